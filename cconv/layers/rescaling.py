"""Rescaling of pixels: a model's first layer for uint8 images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite
from cconv.layers.base import Layer, Shape
from cconv.ops import normalization
from cconv.ops.run import Run, replayable

Factor = float | list[float]


class Rescaling(Layer):
    """``y = x · scale + offset``: ``Rescaling(1/255)`` brings uint8 images to 0…1.

    Parameters
    ----------
    scale, offset : float or sequence of float
        One number for all channels, or one for each, as in Keras. Both are rounded to the layer's dtype; then
        the product is rounded, then the sum.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Rescaling(1 / 127.5, offset=-1).forward(np.array([[0, 255]], np.uint8))
    array([[-1.,  1.]], dtype=float32)
    >>> Rescaling([1.0, 0.5], offset=[0.0, 3.0]).forward(np.array([[2, 2]], np.uint8))
    array([[2., 4.]], dtype=float32)
    """

    def __init__(
        self,
        scale: float | Sequence[float],
        offset: float | Sequence[float] = 0.0,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.scale: Factor = self._numbers("scale", scale)
        self.offset: Factor = self._numbers("offset", offset)
        self._set_format(data_format)

    def _numbers(self, name: str, value: Any) -> Factor:
        if isinstance(value, np.ndarray) and value.ndim <= 1:
            value = value.tolist()
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [finite(self.where, f"{name}[{i}]", entry) for i, entry in enumerate(value)]
        return finite(self.where, name, value)

    @property
    def is_plain(self) -> bool:
        """Whether scale and offset are one number each."""
        return isinstance(self.scale, float) and isinstance(self.offset, float)

    def _resolve(self, shape: Shape) -> Shape:
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(value, list) and len(value) not in (1, shape[-1]):
                raise ValueError(
                    f"{self.where}: {name} must be a number, or one for each of the {shape[-1]} channels of "
                    f"input_shape {self._outer(shape)}, got {value!r}"
                )
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _settings(self) -> tuple[Any, ...]:
        return (self.trainable, self.is_plain)

    @controlled
    def _fill(self, vectors: np.ndarray, backward: bool) -> None:
        """Write `normalization.apply`'s arguments, each (channels,): 0, the scale, and the offset or 0."""
        for vector, value in zip(vectors, (0.0, self.scale, 0.0 if backward else self.offset), strict=True):
            vector[...] = value

    def _per_channel(self, x: np.ndarray, run: Run, tag: str) -> np.ndarray:
        rows = x.reshape(-1, x.shape[-1])
        vectors = run.empty(f"{tag}: vectors", (3, x.shape[-1]), x.dtype)
        run.call(self._fill, vectors, tag == "dx")
        zero, scale, offset = vectors
        return normalization.apply(rows, zero, scale, offset, 0.0, run, tag).reshape(x.shape)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        if not self.is_plain:
            return self._per_channel(x, run, "y")
        y = run.empty("y", x.shape, x.dtype)
        run.call(self.rescale, x, y)
        return y

    @controlled
    def rescale(self, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write the result into `out` (x itself, or an array of its shape and float dtype); return it."""
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinities are allowed
            np.multiply(x, x.dtype.type(self.scale), out=out)
            if self.offset:
                np.add(out, x.dtype.type(self.offset), out=out)
        return out

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        if not self.is_plain:
            return self._per_channel(dy, run, "dx")
        dx = run.empty("dx", dy.shape, dy.dtype)
        run.call(np.multiply, dy, dy.dtype.type(self.scale), dx)
        return dx
