"""Pooling: the largest value or the mean of a window, or of the whole image."""

from typing import Any

import numpy as np

from cconv import arguments, ops
from cconv.arguments.numbers import pair
from cconv.geometry.shapes import Padding, Size2, Window, resolve_padding, resolve_window
from cconv.layers.base import Shape
from cconv.layers.spatial import Spatial, sides, single, two
from cconv.ops.run import Run, replayable


class _Pooling(Spatial):
    """What the poolings with windows share: the geometry."""

    def __init__(
        self,
        pool_size: Any,
        strides: Any,
        padding: Any,
        data_format: str | None,
        dilation_rate: Any = 1,
        ceil_mode: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        size: Any = pair if self.ranks == (3,) else single
        self.pool_size: tuple[int, ...] = size(self.where, "pool_size", pool_size)
        self.strides: tuple[int, ...] = (
            self.pool_size if strides is None else size(self.where, "strides", strides)
        )
        self.dilation_rate: tuple[int, ...] = size(self.where, "dilation_rate", dilation_rate)
        self.padding = padding
        resolve_padding(self.where, self._pads(), (1, 1), *map(two, self._sizes))
        self.ceil_mode: bool = arguments.flag(self.where, "ceil_mode", ceil_mode)
        self._set_format(data_format)

    @property
    def _sizes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.pool_size, self.strides, self.dilation_rate

    def _pads(self) -> Any:
        """Return the padding in the form of images."""
        if self.ranks == (3,) or isinstance(self.padding, str):
            return self.padding
        return (0, 0), sides(self.where, "padding", self.padding)

    def _window(self, shape: tuple[int, int, int]) -> Window:
        pool_size, strides, dilation = map(two, self._sizes)
        how = (pool_size, strides, self._pads(), dilation, self.ceil_mode, "pool_size")
        return resolve_window(self.where, shape[:2], *how)

    def _resolve(self, shape: Shape) -> Shape:
        image = self._image_shape(shape)
        return self._own_shape(*self._window(image).output_size, image[2])

    def _build(self, shape: Shape) -> None:
        self.window: Window = self._window(self._image_shape(shape))


class MaximumPooling(_Pooling):
    """What `MaxPooling2D` and `MaxPooling1D` share: their passes."""

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        y, argmax = ops.max_pool2d(self._images(x, run), self.window, run)
        if run.training:
            self._keep(x.shape[0], argmax)
        return self._own(y, run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (argmax,) = self._cache
        if not need_dx:
            return None
        return self._own(ops.max_pool2d_backward(self._images(dy, run), argmax, self.window, run), run, "dx")


class MeanPooling(_Pooling):
    """What `AveragePooling2D` and `AveragePooling1D` share: their passes."""

    count_include_pad: bool = False

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        how = (self.window, self.count_include_pad, run)
        return self._own(ops.average_pool2d(self._images(x, run), *how), run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        how = (self.window, self.count_include_pad, run)
        return self._own(ops.average_pool2d_backward(self._images(dy, run), *how), run, "dx")


class MaxPooling2D(MaximumPooling):
    """The largest value of every window; `MaxPooling` is the same class.

    The gradient goes to the first of equal largest values (Ranzato et al. 2007; Boureau, Ponce,
    LeCun 2010, "A theoretical analysis of feature pooling"). Padding is never the largest.

    Parameters
    ----------
    pool_size : int or pair of int
        Height and width of the window in pixels.
    strides : int or pair of int, optional
        Steps between windows in pixels; by default the window's size.
    padding : str, int or nested pair
        As in `Conv2D`.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    dilation_rate : int or pair of int
        Distance between the pixels of a window.
    ceil_mode : bool
        Whether a last window may extend beyond the input.
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
        name: str | None = None,
        *,
        dilation_rate: Size2 = (1, 1),
        ceil_mode: bool = False,
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


class AveragePooling2D(MeanPooling):
    """The mean of every window; `AveragePool2D` is the same class.

    Parameters
    ----------
    pool_size, strides, padding, data_format, ceil_mode
        As in `MaxPooling2D`.
    count_include_pad : bool
        Whether padding counts as zeros in the mean; by default only the input's pixels count, as in Keras.
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
        name: str | None = None,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
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
        self.count_include_pad = arguments.flag(self.where, "count_include_pad", count_include_pad)


MaxPooling = MaxPooling2D
AveragePool2D = AveragePooling2D
