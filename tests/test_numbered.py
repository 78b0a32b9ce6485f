"""Batches by number that end themselves, are wrong, or become more."""

import numpy as np
import pytest

from cconv.layers import Dense
from cconv.models import Sequential
from cconv.utils import PyDataset


class EndsItself(PyDataset):
    """Its reader has run out before its last batch."""

    def __init__(self, left, **options):
        super().__init__(**options)
        self.left = left

    def __len__(self):
        return 5

    def __getitem__(self, i):
        if i >= self.left:
            next(iter(()))
        return np.full((4, 2), i, np.float32), np.full((4, 1), i, np.float32)


def small_model():
    model = Sequential([Dense(1, input_shape=(2,))], seed=0)
    model.compile("sgd", "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("left", [0, 1, 3])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
def test_stop_iteration_in_a_numbered_batch_is_no_end(call, workers, left):
    model = small_model()
    options = {"shuffle": False} if call == "fit" else {}
    with pytest.raises(RuntimeError, match=rf"Sequential.{call}: x\[{left}\] raised StopIteration"):
        getattr(model, call)(EndsItself(left, workers=workers), verbose=0, **options)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_errors_name_a_numbered_batch_by_its_number(seed, workers):
    class Short(PyDataset):
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return np.ones((4, 2), np.float32), np.ones((3 if i == 7 else 4, 1), np.float32)

    model = small_model()
    model.seed = seed
    with pytest.raises(ValueError, match=r"Sequential\.fit: batch 7: y must have one row for each"):
        model.fit(Short(workers=workers), verbose=0)


def test_a_pass_of_batches_whose_number_grows_ends_where_it_did_when_it_began():
    class Grows(PyDataset):
        count = 2

        def __len__(self):
            return self.count

        def on_epoch_end(self):
            self.count += 1

        def __getitem__(self, i):
            return np.full((4, 2), i + 1, np.float32), np.zeros((4, 1), np.float32)

    history = small_model().fit(Grows(), epochs=6, steps_per_epoch=1, verbose=0).history
    assert all(0 < figure < np.inf for figures in history.values() for figure in figures)
