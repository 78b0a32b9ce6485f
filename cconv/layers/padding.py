"""Zeros around images and sequences, and images and sequences cropped."""

from typing import Any

import numpy as np

from cconv.geometry.shapes import resolve_padding
from cconv.layers.base import Shape
from cconv.layers.spatial import Spatial, sides
from cconv.ops.run import Run, replayable

Around = tuple[tuple[int, int], tuple[int, int]]  # rows above and below, columns on the left and right


def _inside(images: np.ndarray, around: Around) -> np.ndarray:
    """Return a view of images (n, h, w, c) without the border `around`."""
    (top, bottom), (left, right) = around
    return images[:, top : images.shape[1] - bottom, left : images.shape[2] - right]


def _fill(x: np.ndarray, around: Around, value: float, larger: np.ndarray) -> None:
    (top, bottom), (left, right) = around
    height, width = larger.shape[1:3]
    for border in (
        larger[:, :top],
        larger[:, height - bottom :],
        larger[:, top : height - bottom, :left],
        larger[:, top : height - bottom, width - right :],
    ):
        border[...] = value
    _inside(larger, around)[...] = x


def enlarge(x: np.ndarray, around: Around, run: Run, tag: str, value: float = 0.0) -> np.ndarray:
    """Return images (n, h, w, c) with a border of pixels of that value."""
    n, height, width, channels = x.shape
    shape = (n, height + sum(around[0]), width + sum(around[1]), channels)
    larger = run.empty(tag, shape, x.dtype)
    run.call(_fill, x, around, value, larger)
    return larger


def crop(x: np.ndarray, around: Around, run: Run, tag: str) -> np.ndarray:
    """Return images (n, h, w, c) without the border `around`, copied."""
    inside = _inside(x, around)
    smaller = run.empty(tag, inside.shape, x.dtype)
    run.call(np.copyto, smaller, inside)
    return smaller


class _Padding(Spatial):
    """What the paddings share: all but their arguments."""

    _around: Around

    def _resolve(self, shape: Shape) -> Shape:
        height, width, channels = self._image_shape(shape)
        rows, columns = self._around
        return self._own_shape(height + sum(rows), width + sum(columns), channels)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return self._own(enlarge(self._images(x, run), self._around, run, "y"), run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        return self._own(crop(self._images(dy, run), self._around, run, "dx"), run, "dx")


class ZeroPadding2D(_Padding):
    """Rows and columns of zeros around every image.

    Parameters
    ----------
    padding : int or nested pair
        An int, ``(ph, pw)`` or ``((top, bottom), (left, right))``, in pixels.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> ZeroPadding2D(((1, 0), (0, 2))).forward(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    array([[0., 0., 0.],
           [1., 0., 0.]])
    """

    def __init__(
        self,
        padding: Any = (1, 1),
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        if isinstance(padding, str):
            raise TypeError(f"{self.where}: padding must be ints, got {padding!r}")
        self.padding: Around = resolve_padding(self.where, padding, (1, 1), (1, 1), (1, 1), (1, 1))
        self._around = self.padding
        self._set_format(data_format)


class ZeroPadding1D(_Padding):
    """Steps of zeros at both ends of every sequence.

    Parameters
    ----------
    padding : int or pair of int
        Number of steps at both ends, or (in front, behind).
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs: ``(n, steps, c)`` or ``(n, c, steps)``.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> ZeroPadding1D((1, 2)).forward(np.ones((1, 2, 1))).ravel()
    array([0., 1., 1., 0., 0.])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        padding: Any = 1,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.padding: tuple[int, int] = sides(self.where, "padding", padding)
        self._around = (0, 0), self.padding
        self._set_format(data_format)


class _Cropping(Spatial):
    """What the croppings share: all but their arguments."""

    _around: Around

    def _resolve(self, shape: Shape) -> Shape:
        height, width, channels = self._image_shape(shape)
        rows, columns = self._around
        if sum(rows) >= height or sum(columns) >= width:
            cropping = getattr(self, "cropping")  # noqa: B009  its type differs by class
            raise ValueError(f"{self.where}: cropping must leave something of {shape}, got {cropping}")
        return self._own_shape(height - sum(rows), width - sum(columns), channels)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return self._own(crop(self._images(x, run), self._around, run, "y"), run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        return self._own(enlarge(self._images(dy, run), self._around, run, "dx"), run, "dx")


class Cropping2D(_Cropping):
    """Images without some rows and columns at their borders.

    Parameters
    ----------
    cropping : int or nested pair
        An int, ``(rows, columns)`` or ``((top, bottom), (left, right))``, in pixels.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Cropping2D(((1, 0), (0, 2))).forward(np.arange(6.0).reshape(1, 2, 3, 1)).ravel()
    array([3.])
    """

    def __init__(
        self,
        cropping: Any = ((0, 0), (0, 0)),
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.cropping: Around = _cropping(self.where, cropping)
        self._around = self.cropping
        self._set_format(data_format)


def _cropping(where: str, cropping: Any) -> Around:
    """Return ((top, bottom), (left, right)); `cropping` has the same forms as a padding."""
    expected = f"{where}: cropping must be an int, (rows, columns) or ((top, bottom), (left, right))"
    try:
        if isinstance(cropping, str):
            raise TypeError
        return resolve_padding(where, cropping, (1, 1), (1, 1), (1, 1), (1, 1))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{expected}, all at least 0, got {cropping!r}") from None


class Cropping1D(_Cropping):
    """Sequences without some steps at their ends.

    Parameters
    ----------
    cropping : int or pair of int
        Number of steps at both ends, or (in front, behind).
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Cropping1D((1, 2)).forward(np.arange(5.0).reshape(1, 5, 1)).ravel()
    array([1., 2.])
    """

    ranks: tuple[int, ...] = (2,)

    def __init__(
        self,
        cropping: Any = (1, 1),
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.cropping: tuple[int, int] = sides(self.where, "cropping", cropping)
        self._around = (0, 0), self.cropping
