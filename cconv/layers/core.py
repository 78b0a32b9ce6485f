"""Layers that only reshape: Flatten, Reshape."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.numbers import is_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable


class Flatten(Layer):
    """Every sample as one row, in the order (h, w, c) whatever the data format, as Keras.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Of the input.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten().forward(np.ones((2, 4, 4, 3))).shape
    (2, 48)
    """

    def __init__(
        self,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self._set_format(data_format)

    def _resolve(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def _rank_behind(self, rank: int | None) -> int | None:
        return 1

    def _build(self, shape: Shape) -> None:
        self._shape = shape

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return x.reshape(x.shape[0], math.prod(self._shape))

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return dy.reshape(dy.shape[0], *self._shape) if need_dx else None


class Reshape(Layer):
    """Every sample in another shape, its elements in the same order.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch; one entry may be -1, which stands for what remains.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Reshape((28, 28, 1)).forward(np.ones((2, 784))).shape
    (2, 28, 28, 1)
    """

    def __init__(
        self,
        target_shape: Sequence[int],
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        expected = (
            f"{self.where}: target_shape must hold positive ints and at most one -1, got {target_shape!r}"
        )
        if not isinstance(target_shape, Sequence) or not all(map(is_int, target_shape)):
            raise TypeError(expected)
        sizes = [extent for extent in target_shape if extent != -1]
        if not target_shape or len(sizes) < len(target_shape) - 1 or any(extent < 1 for extent in sizes):
            raise ValueError(expected)
        self.target_shape: tuple[int, ...] = tuple(int(v) for v in target_shape)

    def _resolve(self, shape: Shape) -> Shape:
        size = math.prod(shape)
        known = math.prod(v for v in self.target_shape if v != -1)
        fits = size % known == 0 if -1 in self.target_shape else size == known
        if not fits:
            raise ValueError(
                f"{self.where}: target_shape must hold the {size} elements of input_shape {shape}, "
                f"got {self.target_shape}"
            )
        return tuple(size // known if v == -1 else v for v in self.target_shape)

    def _rank_behind(self, rank: int | None) -> int | None:
        return len(self.target_shape)

    def _build(self, shape: Shape) -> None:
        self._shapes = shape, self._resolve(shape)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return x.reshape(x.shape[0], *self._shapes[1])

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return dy.reshape(dy.shape[0], *self._shapes[0]) if need_dx else None
