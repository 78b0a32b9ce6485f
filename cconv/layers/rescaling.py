"""Rescaling of pixels, a model's first layer for uint8 images."""

from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite
from cconv.layers.base import Layer
from cconv.ops.run import Run, replayable


class Rescaling(Layer):
    """``y = x · scale + offset``: ``Rescaling(1/255)`` brings uint8 images to 0…1.

    Parameters
    ----------
    scale, offset : float
        As Keras' layer of this name; each is rounded to the layer's dtype, then the product, then
        the sum.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Rescaling(1 / 127.5, offset=-1).forward(np.array([[0, 255]], np.uint8))
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        scale: float,
        offset: float = 0.0,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.scale: float = finite(self.where, "scale", scale)
        self.offset: float = finite(self.where, "offset", offset)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        y = run.empty("y", x.shape, x.dtype)
        run.call(self.rescale, x, y)
        return y

    @controlled
    def rescale(self, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write the result into `out`, of x's shape and float dtype; it may be x itself. Return `out`."""
        np.multiply(x, x.dtype.type(self.scale), out=out)
        if self.offset:
            np.add(out, x.dtype.type(self.offset), out=out)
        return out

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = run.empty("dx", dy.shape, dy.dtype)
        run.call(np.multiply, dy, dy.dtype.type(self.scale), dx)
        return dx
