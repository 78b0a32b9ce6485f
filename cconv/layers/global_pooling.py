"""Pooling of whole images: the mean or the largest value of every channel."""

from typing import Any

import numpy as np

from cconv import arguments, ops
from cconv.geometry.shapes import Window, resolve_window
from cconv.layers.base import Shape
from cconv.layers.spatial import Spatial
from cconv.ops.run import Run, replayable


class GlobalPooling(Spatial):
    """What poolings of whole images and sequences share: everything but the mean or the maximum itself."""

    def _set_kept(self, data_format: Any, keepdims: Any) -> None:
        self._set_format(data_format)
        self.keepdims: bool = arguments.flag(self.where, "keepdims", keepdims)

    def _resolve(self, shape: Shape) -> Shape:
        channels = self._image_shape(shape)[2]
        return self._own_shape(1, 1, channels) if self.keepdims else (channels,)

    def _rank_behind(self, rank: int | None) -> int | None:
        return self.ranks[0] if self.keepdims else 1

    def _build(self, shape: Shape) -> None:
        size = self._image_shape(shape)[:2]
        self.window: Window = resolve_window(self.where, size, size)

    def _pooled(self, y: np.ndarray, run: Run) -> np.ndarray:
        """Return y (n, 1, 1, c) in the layer's output shape."""
        return self._own(y, run, "y") if self.keepdims else y.reshape(y.shape[0], y.shape[3])

    def _spread(self, dy: np.ndarray, run: Run) -> np.ndarray:
        """Return the gradient of `_pooled`'s result as (n, 1, 1, c)."""
        return self._images(dy, run) if self.keepdims else dy.reshape(dy.shape[0], 1, 1, -1)


class GlobalMean(GlobalPooling):
    """What `GlobalAveragePooling2D` and `GlobalAveragePooling1D` share: their passes."""

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return self._pooled(ops.average_pool2d(self._images(x, run), self.window, False, run), run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = ops.average_pool2d_backward(self._spread(dy, run), self.window, False, run)
        return self._own(dx, run, "dx")


class GlobalMaximum(GlobalPooling):
    """What `GlobalMaxPooling2D` and `GlobalMaxPooling1D` share: their passes."""

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        y, argmax = ops.max_pool2d(self._images(x, run), self.window, run)
        if run.training:
            self._keep(x.shape[0], argmax)
        return self._pooled(y, run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (argmax,) = self._cache
        if not need_dx:
            return None
        dx = ops.max_pool2d_backward(self._spread(dy, run), argmax, self.window, run)
        return self._own(dx, run, "dx")


class GlobalAveragePooling2D(GlobalMean):
    """The mean of every channel over the image (Lin, Chen, Yan 2013, "Network in network").

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the input.
    keepdims : bool
        Give (1, 1, c) instead of (c,).
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAveragePooling2D().forward(np.ones((2, 7, 7, 5))).shape
    (2, 5)
    """

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self._set_kept(data_format, keepdims)


class GlobalMaxPooling2D(GlobalMaximum):
    """The largest value of every channel over the image; the gradient goes to the first of equal ones.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the input.
    keepdims : bool
        Give (1, 1, c) instead of (c,).
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalMaxPooling2D().forward(np.arange(12.0).reshape(1, 2, 3, 2))
    array([[10., 11.]])
    """

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self._set_kept(data_format, keepdims)
