"""What has a state of its own goes on where it was: callbacks, data, the learning rate."""

import numpy as np
import pytest

import cconv
from cconv.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from cconv.optimizers import SGD
from cconv.schedules import ExponentialDecay
from cconv.utils import PyDataset

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)
PLACES = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 1)]


class Interrupt(Callback):
    def __init__(self, epoch, step):
        super().__init__()
        self.at, self.epoch = (epoch, step), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise ZeroDivisionError


def train(data, callbacks=(), rate=0.05, epochs=4, **options):
    model = cconv.Sequential([cconv.Dense(1, input_shape=(4,))], seed=0)
    model.compile(SGD(rate), "mse")
    given = (X, Y, 8) if data is None else (data,)
    history = model.fit(*given, epochs=epochs, verbose=0, callbacks=[*callbacks], **options)
    return history.epoch, model.get_weights()[0].tobytes()


def resumed(make, folder, at, save_freq, callbacks=tuple, **options):
    """Train, interrupted after that batch of that epoch, and go on."""
    backup = BackupAndRestore(folder, save_freq=save_freq)
    with pytest.raises(ZeroDivisionError):
        train(make(), [*callbacks(), backup, Interrupt(*at)], **options)
    return train(make(), [*callbacks(), BackupAndRestore(folder, save_freq=save_freq)], **options)


def nothing():
    return None


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("save_freq", ["epoch", 1])
def test_a_state_that_is_empty_is_a_state(at, save_freq, tmp_path):
    class Warm(Callback):
        def __init__(self):
            super().__init__()
            self.left = [1.1, 1.2]

        def on_train_batch_end(self, batch, logs=None):
            if self.left:
                factor = self.left.pop()
                self.model.set_weights([factor * array for array in self.model.get_weights()])

        def get_state(self):
            return {str(number): factor for number, factor in enumerate(self.left)}

        def set_state(self, state):
            self.left = list(state.values())

    assert resumed(nothing, tmp_path, at, save_freq, lambda: [Warm()]) == train(None, [Warm()])


class Parts:
    """As docs/data.md describes it: iter() after set_state gives what was left of that epoch."""

    def __init__(self):
        self.epoch = self.place = 0
        self.restored = True

    def __iter__(self):
        if not self.restored:
            self.epoch, self.place = self.epoch + 1, 0
        self.restored = False
        return self.left()

    def left(self):
        while self.place < 3:
            rows = slice(8 * self.place, 8 * self.place + 8)
            self.place += 1
            yield (1 + self.epoch) * X[rows], Y[rows]

    def get_state(self):
        return [self.epoch, self.place]

    def set_state(self, state):
        self.epoch, self.place = state
        self.restored = True


class Done(Parts):
    """One that begins the next epoch where the last was at its end."""

    def __iter__(self):
        if not self.restored or self.place == 3:
            self.epoch, self.place = self.epoch + 1, 0
        self.restored = False
        return self.left()


class Drawn(PyDataset):
    """Its batches depend on what was before."""

    def __init__(self):
        super().__init__()
        self.drawn = 0

    def __len__(self):
        return 3

    def __getitem__(self, number):
        self.drawn += 1
        row = 7 * self.drawn % 24
        return X[row : row + 1], Y[row : row + 1]

    def get_state(self):
        return {"drawn": self.drawn}

    def set_state(self, state):
        self.drawn = state["drawn"]


class Growing(PyDataset):
    """A curriculum: every epoch has a batch more."""

    def __init__(self):
        super().__init__()
        self.epoch = 0

    def __len__(self):
        return 3 + self.epoch

    def __getitem__(self, number):
        return X[3 * number : 3 * number + 3], Y[3 * number : 3 * number + 3]

    def on_epoch_end(self):
        self.epoch += 1

    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("save_freq", ["epoch", 1])
@pytest.mark.parametrize("kind", [Parts, Drawn, Growing])
def test_data_with_a_state_go_on(kind, save_freq, at, tmp_path):
    assert resumed(kind, tmp_path, at, save_freq) == train(kind())


@pytest.mark.parametrize("at", PLACES)
def test_between_epochs_data_may_begin_the_next_one_at_once(at, tmp_path):
    assert resumed(Done, tmp_path, at, "epoch") == train(Done())


@pytest.mark.parametrize("at", [(1, 0), (2, 1), (3, 0)])
@pytest.mark.parametrize("save_freq", ["epoch", 1])
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_pass_of_other_length_than_now_goes_on(save_freq, at, tmp_path):
    options = {"steps_per_epoch": 2}
    assert resumed(Growing, tmp_path, at, save_freq, **options) == train(Growing(), **options)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (0.05, 0.001),
        (0.05, ExponentialDecay(0.05, 2, 0.5)),
        (ExponentialDecay(0.05, 2, 0.5), 0.001),
        (ExponentialDecay(0.05, 2, 0.5), ExponentialDecay(0.01, 3, 0.9)),
    ],
)
def test_a_learning_rate_of_another_kind_goes_on(first, then, tmp_path):
    class Change(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.optimizer.learning_rate = then

    wanted = train(None, [Change()], first)
    assert resumed(nothing, tmp_path, (2, 1), 1, lambda: [Change()], rate=first) == wanted


def test_a_reader_that_raises_stop_iteration():
    class Reader:
        shape, dtype = (24, 4), np.dtype("f4")

        def __getitem__(self, rows):
            return next(iter([]))

    model = cconv.Sequential([cconv.Dense(1, input_shape=(4,))], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match=r"Sequential.fit: x raised StopIteration for samples 0 to"):
        model.fit(Reader(), Y, verbose=0)


@pytest.mark.parametrize(("name", "alone"), [("m.weights.h5", False), ("m.keras", True)])
def test_a_name_that_does_not_go_with_what_is_saved_is_refused_at_once(name, alone):
    with pytest.raises(ValueError, match=f"save_weights_only={alone}"):
        ModelCheckpoint(name, save_weights_only=alone)
    ModelCheckpoint(name, save_weights_only=not alone)
