"""Images of another size: repeated, interpolated, or cropped to their middle."""

from typing import Any

import numpy as np

from cconv import arguments, ops
from cconv.arguments.numbers import finite, pair, positive_int
from cconv.geometry.sampling import INTERPOLATIONS, Axis, check_sides, resized_axis
from cconv.geometry.shapes import Size2
from cconv.layers.base import Layer, Shape
from cconv.layers.padding import crop, enlarge
from cconv.layers.spatial import Spatial
from cconv.ops.run import Run, replayable


def interpolation_of(where: str, value: Any) -> str:
    """Return the name of an interpolation, checked."""
    expected = (
        f"{where}: interpolation must be 'bilinear' or 'nearest' ('bicubic', 'lanczos3', 'lanczos5' and "
        f"'area' are not there), got {value!r}"
    )
    if not isinstance(value, str):
        raise TypeError(expected)
    if value.lower() not in INTERPOLATIONS:
        raise ValueError(expected)
    return value.lower()


class Resized(Spatial):
    """The common part of layers whose output pixels lie at or between input pixels."""

    def _outputs(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        """Return the output's rows and columns for an image of that shape."""
        raise NotImplementedError

    def _axes(self, shape: tuple[int, int, int]) -> tuple[Axis, Axis]:
        """Return the positions of the output's rows and columns in the input."""
        raise NotImplementedError

    def _resolve(self, shape: Shape) -> Shape:
        image = self._image_shape(shape)
        outputs = self._outputs(image)
        check_sides(self.where, *outputs)
        return self._own_shape(*outputs, image[2])

    def _build(self, shape: Shape) -> None:
        self._places = self._axes(self._image_shape(shape))

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return self._own(ops.resize(self._images(x, run), *self._places, run), run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        return self._own(ops.resize_backward(self._images(dy, run), *self._places, run), run, "dx")


class UpSampling2D(Resized):
    """Every pixel repeated as a block of pixels, or the block interpolated.

    Parameters
    ----------
    size : int or pair of int
        Rows and columns of the block for each pixel of the input.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    interpolation : {"nearest", "bilinear"}
        Repeated pixels, or interpolation: see `Resizing`.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> UpSampling2D((1, 2)).forward(np.arange(4.0).reshape(1, 2, 2, 1))[0, :, :, 0]
    array([[0., 0., 1., 1.],
           [2., 2., 3., 3.]])
    """

    def __init__(
        self,
        size: Size2 = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.size: tuple[int, int] = pair(self.where, "size", size)
        self.interpolation: str = interpolation_of(self.where, interpolation)
        self._set_format(data_format)

    def _outputs(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        return shape[0] * self.size[0], shape[1] * self.size[1]

    def _axes(self, shape: tuple[int, int, int]) -> tuple[Axis, Axis]:
        rows, columns = (
            resized_axis(extent, extent * factor, self.interpolation)
            for extent, factor in zip(shape[:2], self.size, strict=True)
        )
        return rows, columns


class UpSampling1D(Resized):
    """Every step of a sequence repeated.

    Parameters
    ----------
    size : int
        How often each step is repeated.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> UpSampling1D(2).forward(np.arange(3.0).reshape(1, 3, 1)).ravel()
    array([0., 0., 1., 1., 2., 2.])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self, size: int = 2, *, name: str | None = None, trainable: bool = True, input_shape: Any = None
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.size: int = positive_int(self.where, "size", size)

    def _outputs(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        return 1, shape[1] * self.size

    def _axes(self, shape: tuple[int, int, int]) -> tuple[Axis, Axis]:
        return resized_axis(1, 1, "nearest"), resized_axis(shape[1], shape[1] * self.size, "nearest")


class RepeatVector(Layer):
    """Every row of features repeated `n` times, as a sequence.

    Parameters
    ----------
    n : int
        Steps of the sequence.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> RepeatVector(2).forward(np.array([[1.0, 2.0]]))
    array([[[1., 2.],
            [1., 2.]]])
    """

    ranks: tuple[int, ...] = (1,)

    def __init__(
        self, n: int, *, name: str | None = None, trainable: bool = True, input_shape: Any = None
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.n: int = positive_int(self.where, "n", n)
        check_sides(self.where, self.n)

    def _resolve(self, shape: Shape) -> Shape:
        return (self.n, *shape)

    def _rank_behind(self, rank: int | None) -> int | None:
        return 2

    def _build(self, shape: Shape) -> None:
        self._places = resized_axis(1, self.n, "nearest"), resized_axis(1, 1, "nearest")

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        y = ops.resize(x.reshape(len(x), 1, 1, -1), *self._places, run)
        return y.reshape(len(x), self.n, -1)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = ops.resize_backward(dy.reshape(len(dy), self.n, 1, -1), *self._places, run)
        return dx.reshape(len(dy), -1)


def _fitting(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Return the height that fits an image's width, and the width for its height, at the target's ratio.

    Both are rounded down, and computed in the same floats as in Keras.
    """
    return int(float(size[1] * target[0]) / target[1]), int(float(size[0] * target[1]) / target[0])


def _middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (first, extent) of the rows and of the columns of the largest central part with that ratio."""
    parts = []
    for extent, fitting in zip(size, _fitting(size, target), strict=True):
        kept = max(min(extent, fitting), 1)
        parts.append(((extent - kept) // 2, kept))
    return parts[0], parts[1]


class Resizing(Resized):
    """Images of a given size, interpolated between the centres of the pixels.

    Output pixel i along an axis has its centre at ``(i + 1/2) · n / size`` in the input of n pixels:
    half-pixel centres, as in Keras, and in PyTorch with ``align_corners=False``. There is no smoothing before
    (antialias=False), so a much smaller output uses only a few of the input's pixels.

    Parameters
    ----------
    height, width : int
        Height and width of the output, in pixels.
    interpolation : {"bilinear", "nearest"}
        "bilinear": the four pixels around the centre, weighted by distance; "nearest": the pixel that the
        centre lies in.
    crop_to_aspect_ratio : bool
        Resize the largest central part with the output's aspect ratio.
    pad_to_aspect_ratio : bool
        First pad rows or columns, so that the image has the output's aspect ratio.
    fill_mode : {"constant"}
        How to pad: with one value.
    fill_value : float
        The value of padded pixels.
    antialias : {False}
        Only False is supported.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Resizing(1, 4).forward(np.array([0.0, 4.0]).reshape(1, 1, 2, 1)).ravel()
    array([0., 1., 3., 4.])
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        self.height: int = positive_int(where, "height", height)
        self.width: int = positive_int(where, "width", width)
        self.interpolation: str = interpolation_of(where, interpolation)
        self.crop_to_aspect_ratio: bool = arguments.flag(where, "crop_to_aspect_ratio", crop_to_aspect_ratio)
        self.pad_to_aspect_ratio: bool = arguments.flag(where, "pad_to_aspect_ratio", pad_to_aspect_ratio)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError(
                f"{where}: crop_to_aspect_ratio and pad_to_aspect_ratio must not both be True, got both"
            )
        self.fill_mode: str = arguments.one_of(where, "fill_mode", fill_mode, ("constant",))
        self.fill_value: float = finite(where, "fill_value", fill_value)
        self.antialias: bool = arguments.flag(where, "antialias", antialias)
        if self.antialias:
            raise ValueError(f"{where}: antialias must be False, got True: average the images before")
        self._set_format(data_format)

    def _pads(self, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the rows and columns of padding around an image; as in Keras on one axis only."""
        if not self.pad_to_aspect_ratio:
            return (0, 0), (0, 0)
        size = (shape[0], shape[1])
        rows, columns = (
            max(fitting - extent, 0) // 2
            for extent, fitting in zip(size, _fitting(size, (self.height, self.width)), strict=True)
        )
        return (rows, rows), ((0, 0) if rows else (columns, columns))

    def _outputs(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        return self.height, self.width

    def _parts(self, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """Return (first, extent) of the resized rows and columns, of the padded image."""
        size = (shape[0], shape[1])
        if self.crop_to_aspect_ratio:
            return _middle(size, (self.height, self.width))
        return tuple((0, e + sum(p)) for e, p in zip(size, self._pads(shape), strict=True))

    def _axes(self, shape: tuple[int, int, int]) -> tuple[Axis, Axis]:
        rows, columns = (
            resized_axis(max(extent, part[1]), outputs, self.interpolation, part)
            for extent, outputs, part in zip(
                shape[:2], (self.height, self.width), self._parts(shape), strict=True
            )
        )
        return rows, columns

    def _build(self, shape: Shape) -> None:
        super()._build(shape)
        self._around = self._pads(shape)
        self._padded = any(map(any, self._around))

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        if self._padded:
            x = enlarge(x, self._around, run, "padded", self.fill_value)
        return ops.resize(x, *self._places, run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = ops.resize_backward(dy, *self._places, run)
        return crop(dx, self._around, run, "dx") if self._padded else dx


class CenterCrop(Resized):
    """The middle of every image; an image that is too small is resized, with crop_to_aspect_ratio.

    Parameters
    ----------
    height, width : int
        Height and width of the output, in pixels.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> CenterCrop(1, 2).forward(np.arange(12.0).reshape(1, 3, 4, 1)).ravel()
    array([5., 6.])
    """

    def __init__(
        self,
        height: int,
        width: int,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.height: int = positive_int(self.where, "height", height)
        self.width: int = positive_int(self.where, "width", width)
        self._set_format(data_format)

    def _outputs(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        return self.height, self.width

    def _parts(self, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """Return (first, extent) of the rows and columns of the middle."""
        size, target = (shape[0], shape[1]), (self.height, self.width)
        if size[0] >= target[0] and size[1] >= target[1]:
            return tuple(((e - t) // 2, t) for e, t in zip(size, target, strict=True))
        return _middle(size, target)

    def _axes(self, shape: tuple[int, int, int]) -> tuple[Axis, Axis]:
        rows, columns = (
            resized_axis(extent, outputs, "bilinear", part)
            for extent, outputs, part in zip(
                shape[:2], (self.height, self.width), self._parts(shape), strict=True
            )
        )
        return rows, columns
