"""Layers that only reshape: Flatten, Reshape, Permute."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.numbers import is_int
from cconv.layers.axes import OfAxes
from cconv.layers.base import Layer, Shape
from cconv.layers.spatial import turned
from cconv.ops.run import Run, replayable


class Flatten(Layer):
    """Every sample as one row, in the order (h, w, c) or (steps, c) in both data formats, as in Keras.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the input: images, or sequences, which are taken as they lie unless the layer itself is
        given ``"channels_first"``.
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
        # Images come with the channels last; sequences come as they are.
        self._turns = self.data_format == "channels_first" and len(shape) == 2

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        x = turned(x, run, "y") if self._turns else x
        return x.reshape(x.shape[0], math.prod(self._shape))

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        if self._turns:
            return turned(dy.reshape(dy.shape[0], *self._shape[::-1]), run, "dx")
        return dy.reshape(dy.shape[0], *self._shape)


class Reshape(OfAxes):
    """Every sample in another shape, its elements in the same order.

    In a channels_first model the shapes and the order of elements are those of ``(c, h, w)``, as in Keras.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch; one entry may be -1: it is computed from the others.
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
        shape = self._outer(shape)
        size = math.prod(shape)
        known = math.prod(v for v in self.target_shape if v != -1)
        fits = size % known == 0 if -1 in self.target_shape else size == known
        if not fits:
            raise ValueError(
                f"{self.where}: target_shape must hold the {size} elements of input_shape {shape}, "
                f"got {self.target_shape}"
            )
        return self._inner(tuple(size // known if v == -1 else v for v in self.target_shape))

    def _rank_behind(self, rank: int | None) -> int | None:
        return len(self.target_shape)

    def _build(self, shape: Shape) -> None:
        self._shapes = shape, self._resolve(shape)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return self._reshaped(x, self._shapes[1], run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return self._reshaped(dy, self._shapes[0], run, "dx") if need_dx else None

    def _reshaped(self, x: np.ndarray, shape: Shape, run: Run, tag: str) -> np.ndarray:
        """Return x in another shape; both are channels last. A copy if the order is that of (c, h, w)."""
        n, images = len(x), self.data_format == "channels_first"
        if images and x.ndim == 4:
            name = f"{tag}: first" if len(shape) == 3 else tag
            first = run.empty(name, (n, *self._outer(x.shape[1:])), x.dtype)
            run.call(np.copyto, first, x.transpose(0, 3, 1, 2))
            x = first
        if not images or len(shape) != 3:
            return x.reshape(n, *shape)
        last = run.empty(tag, (n, *shape), x.dtype)
        run.call(np.copyto, last, x.reshape(n, *self._outer(shape)).transpose(0, 2, 3, 1))
        return last


class Permute(OfAxes):
    """Every sample with its axes in another order.

    In a channels_first model the axes are those of ``(c, h, w)``, as in Keras.

    Parameters
    ----------
    dims : tuple of int
        For each axis of the output, the number of the input's axis; the first axis behind the batch is 1.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Permute((2, 1)).forward(np.arange(6.0).reshape(1, 2, 3))[0]
    array([[0., 3.],
           [1., 4.],
           [2., 5.]])
    """

    def __init__(
        self,
        dims: Sequence[int],
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        expected = f"{self.where}: dims must be the ints from 1 on in some order, got {dims!r}"
        if isinstance(dims, str) or not isinstance(dims, Sequence) or not all(map(is_int, dims)):
            raise TypeError(expected)
        if not dims or sorted(dims) != list(range(1, len(dims) + 1)):
            raise ValueError(expected)
        self.dims: tuple[int, ...] = tuple(int(axis) for axis in dims)

    def _resolve(self, shape: Shape) -> Shape:
        shape = self._outer(shape)
        if len(shape) != len(self.dims):
            raise ValueError(
                f"{self.where}: dims must name the {len(shape)} axes of input_shape {shape}, got {self.dims}"
            )
        return self._inner(tuple(shape[axis - 1] for axis in self.dims))

    def _rank_behind(self, rank: int | None) -> int | None:
        return len(self.dims)

    def _build(self, shape: Shape) -> None:
        self._order = self.dims
        if self.data_format == "channels_first" and len(shape) == 3:
            # Axis 1, 2, 3 of (c, h, w) is axis 3, 1, 2 of (h, w, c).
            self._order = tuple((3, 1, 2)[self.dims[axis] - 1] for axis in (1, 2, 0))
        self._inverse = tuple(self._order.index(axis) + 1 for axis in range(1, len(shape) + 1))

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return _permuted(x, self._order, run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return _permuted(dy, self._inverse, run, "dx") if need_dx else None


def _permuted(x: np.ndarray, axes: Sequence[int], run: Run, tag: str) -> np.ndarray:
    """Return x with its axes behind the batch in another order, a copy."""
    view = x.transpose(0, *axes)
    permuted = run.empty(tag, view.shape, x.dtype)
    run.call(np.copyto, permuted, view)
    return permuted
