"""One-hot labels and the global seed."""

import random

import numpy as np
import pytest

from cconv.seeds import new_seed
from cconv.utils import set_random_seed, to_categorical


def test_one_hot():
    y = np.array([2, 0, 1, 2], np.uint8)
    one_hot = to_categorical(y)
    assert one_hot.dtype == np.float32
    assert np.array_equal(one_hot, np.eye(3)[y])
    assert np.array_equal(to_categorical(y, 5, dtype="uint8"), np.eye(5, dtype=np.uint8)[y])
    assert np.array_equal(to_categorical(y[:, np.newaxis]), one_hot)
    assert np.array_equal(to_categorical([2.0, 0.0, 1.0, 2.0]), one_hot)
    assert to_categorical(y.reshape(2, 2)).shape == (2, 2, 3)
    assert to_categorical([], 3).shape == (0, 3)
    assert np.array_equal(to_categorical([True, False]), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([0, 3], 3), ValueError, r"x must lie in \[0, 3\), got 0 … 3"),
        (([-1, 0],), ValueError, r"x must lie in \[0, 1\), got -1 … 0"),
        (([0.5],), TypeError, "x must hold whole numbers, got 0.5"),
        (([1, 1e30],), TypeError, r"x must hold whole numbers, got 1e\+30"),
        (([-1],), ValueError, r"x must lie in \[0, 1\), got -1"),
        ((["a"],), TypeError, "x must hold whole numbers"),
        (([np.nan],), TypeError, "x must hold whole numbers"),
        (([],), ValueError, "num_classes must be given"),
        (([0], 0), ValueError, "num_classes must be a positive int, got 0"),
        (([0], 1.5), TypeError, "num_classes must be a positive int, got 1.5"),
    ],
)
def test_one_hot_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        to_categorical(*arguments)


def test_the_seed_fixes_all_generators():
    def draws():
        set_random_seed(2**40 + 7)
        return new_seed(), new_seed(), random.random(), np.random.rand()  # noqa: NPY002

    first = draws()
    assert draws() == first
    assert first[0] != first[1]


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**64, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_seeds_that_are_refused(seed, error):
    with pytest.raises(error, match=r"seed must be an int from 0 to 2\*\*64 - 1"):
        set_random_seed(seed)
