"""Initial values without a draw."""

import numpy as np

from cconv.arguments.numbers import finite
from cconv.initializers.base import Initializer


class Constant(Initializer):
    """Every element is `value`.

    Examples
    --------
    >>> Constant(2.0)((2,))
    array([2., 2.], dtype=float32)
    """

    def __init__(self, value: float = 0.0):
        self.value: float = finite("Constant", "value", value)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        flat[...] = self.value


class Zeros(Initializer):
    """Every element is 0.

    Examples
    --------
    >>> Zeros()((2, 2))
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        flat[...] = 0


class Ones(Initializer):
    """Every element is 1.

    Examples
    --------
    >>> Ones()((2, 2))
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        flat[...] = 1


class Identity(Initializer):
    """The identity matrix times `gain`, for weights with two axes of any lengths.

    Examples
    --------
    >>> Identity(2.0)((2, 3))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0):
        self.gain: float = finite("Identity", "gain", gain)

    def _fill(self, flat: np.ndarray, shape: tuple[int, ...], seed: int, stream: int) -> None:
        if len(shape) != 2:
            raise ValueError(f"Identity: shape must have two axes, got {shape}")
        flat[...] = 0
        matrix = flat.reshape(shape)
        matrix[np.diag_indices(min(shape))] = self.gain
