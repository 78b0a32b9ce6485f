"""Pooling: the largest value or the mean of a window, or of the whole image."""

from typing import Any

import numpy as np

from cconv import arguments, ops
from cconv.arguments.numbers import pair
from cconv.geometry.shapes import Padding, Size2, Window, resolve_padding, resolve_window
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable


class _Pooling(Layer):
    """What the two windowed poolings share: the geometry."""

    ranks: tuple[int, ...] = (3,)

    def __init__(
        self,
        pool_size: Size2,
        strides: Size2 | None,
        padding: Padding,
        data_format: str | None,
        dilation_rate: Size2,
        ceil_mode: bool,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.pool_size: tuple[int, int] = pair(self.where, "pool_size", pool_size)
        self.strides: tuple[int, int] = (
            self.pool_size if strides is None else pair(self.where, "strides", strides)
        )
        self.dilation_rate: tuple[int, int] = pair(self.where, "dilation_rate", dilation_rate)
        resolve_padding(self.where, padding, (1, 1), self.pool_size, self.strides, self.dilation_rate)
        self.padding = padding
        self.ceil_mode: bool = arguments.flag(self.where, "ceil_mode", ceil_mode)
        self._set_format(data_format)

    def _window(self, shape: Shape) -> Window:
        return resolve_window(
            self.where,
            (shape[0], shape[1]),
            self.pool_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.ceil_mode,
            "pool_size",
        )

    def _resolve(self, shape: Shape) -> Shape:
        return (*self._window(shape).output_size, shape[2])

    def _build(self, shape: Shape) -> None:
        self.window: Window = self._window(shape)


class MaxPooling2D(_Pooling):
    """The largest value of every window; `MaxPooling` is the same class.

    The gradient goes to the first of equal largest values (Ranzato et al. 2007; Boureau, Ponce,
    LeCun 2010, "A theoretical analysis of feature pooling"). Padding never wins.

    Parameters
    ----------
    pool_size : int or pair of int
        Height and width of the window in pixels.
    strides : int or pair of int, optional
        Steps between windows in pixels; by default the window's size.
    padding : str, int or nested pair
        As in `Conv2D`.
    data_format : {"channels_last", "channels_first"}, optional
        Of inputs and outputs.
    dilation_rate : int or pair of int
        Distance between the pixels of a window.
    ceil_mode : bool
        Whether a last window may reach past the input.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPooling2D(2).forward(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    def __init__(
        self,
        pool_size: Size2 = (2, 2),
        strides: Size2 | None = None,
        padding: Padding = "valid",
        data_format: str | None = None,
        *,
        dilation_rate: Size2 = (1, 1),
        ceil_mode: bool = False,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(
            pool_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            ceil_mode,
            name=name,
            trainable=trainable,
            input_shape=input_shape,
        )

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        y, argmax = ops.max_pool2d(x, self.window, run)
        if run.training:
            self._keep(x.shape[0], argmax)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (argmax,) = self._cache
        return ops.max_pool2d_backward(dy, argmax, self.window, run) if need_dx else None


class AveragePooling2D(_Pooling):
    """The mean of every window; `AveragePool2D` is the same class.

    Parameters
    ----------
    pool_size, strides, padding, data_format, ceil_mode
        As in `MaxPooling2D`.
    count_include_pad : bool
        Whether padding counts as zeros in the mean; by default only true pixels count, as in Keras.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> AveragePooling2D(2).forward(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def __init__(
        self,
        pool_size: Size2 = (2, 2),
        strides: Size2 | None = None,
        padding: Padding = "valid",
        data_format: str | None = None,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(
            pool_size,
            strides,
            padding,
            data_format,
            (1, 1),
            ceil_mode,
            name=name,
            trainable=trainable,
            input_shape=input_shape,
        )
        self.count_include_pad: bool = arguments.flag(self.where, "count_include_pad", count_include_pad)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return ops.average_pool2d(x, self.window, self.count_include_pad, run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return ops.average_pool2d_backward(dy, self.window, self.count_include_pad, run) if need_dx else None


MaxPooling = MaxPooling2D
AveragePool2D = AveragePooling2D


class GlobalAveragePooling2D(Layer):
    """The mean of every channel over the image (Lin, Chen, Yan 2013, "Network in network").

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Of the input.
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

    ranks: tuple[int, ...] = (3,)

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
        self._set_format(data_format)
        self.keepdims: bool = arguments.flag(self.where, "keepdims", keepdims)

    def _resolve(self, shape: Shape) -> Shape:
        return (1, 1, shape[2]) if self.keepdims else (shape[2],)

    def _rank_behind(self, rank: int | None) -> int | None:
        return 3 if self.keepdims else 1

    def _build(self, shape: Shape) -> None:
        size = (shape[0], shape[1])
        self.window: Window = resolve_window(self.where, size, size)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        y = ops.average_pool2d(x, self.window, False, run)
        return y if self.keepdims else y.reshape(x.shape[0], x.shape[3])

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dy = dy.reshape(dy.shape[0], 1, 1, dy.shape[-1])
        return ops.average_pool2d_backward(dy, self.window, False, run)
