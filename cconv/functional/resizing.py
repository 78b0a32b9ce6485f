"""Resized images, and the gradient."""

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.arguments.numbers import one_of, pair
from cconv.functional.windows import input_shape_of
from cconv.geometry.layout import from_channels_last, naming_channels_first, to_channels_last
from cconv.geometry.sampling import INTERPOLATIONS, check_sides, resized_axis
from cconv.geometry.shapes import Size2
from cconv.ops.run import Run


@controlled
def resize(
    x: ArrayLike,
    size: Size2,
    *,
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
) -> np.ndarray:
    """Resize images, with half-pixel centres and without smoothing (Keras' antialias=False).

    Parameters
    ----------
    x : array-like (n, h, w, c)
    size : int or pair of int
        Rows and columns of the result.
    interpolation : "bilinear" or "nearest"
        The four pixels around the centre of a new pixel, weighted by distance, or the pixel that contains it.
    data_format : "channels_last" or "channels_first"

    Returns
    -------
    y : ndarray (n, oh, ow, c)

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> resize(np.array([0.0, 4.0]).reshape(1, 1, 2, 1), (1, 4)).ravel()
    array([0., 1., 3., 4.])
    """
    where = "resize"
    data_format = arguments.data_format(where, data_format)
    one_of(where, "interpolation", interpolation, INTERPOLATIONS)
    height, width = pair(where, "size", size)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    dtype = arguments.common_dtype(x)
    with naming_channels_first(x.shape, data_format):
        x = to_channels_last(x, data_format)
    check_sides(where, height, width)
    arguments.addressable(where, "y", (len(x), height, width, x.shape[3]), dtype)
    if not len(x):
        return from_channels_last(np.empty((0, height, width, x.shape[3]), dtype), data_format)
    x = arguments.ready(x, dtype)
    axes = (resized_axis(x.shape[1], height, interpolation), resized_axis(x.shape[2], width, interpolation))
    return from_channels_last(ops.resize(x, *axes, Run()), data_format)


@controlled
def resize_backward(
    dy: ArrayLike,
    input_shape: tuple[int, int, int, int],
    *,
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
) -> np.ndarray:
    """Gradient of `resize`: each pixel of x gets its weight's part of every dy, summed in float64.

    Parameters
    ----------
    dy : array-like (n, oh, ow, c)
        Derivative of a loss with respect to y.
    input_shape : tuple of 4 int
        Shape of x.
    interpolation, data_format
        As `resize` was given them.

    Returns
    -------
    dx : ndarray of shape input_shape

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> resize_backward(np.ones((1, 1, 4, 1)), (1, 1, 2, 1)).ravel()
    array([2., 2.])
    """
    where = "resize_backward"
    data_format = arguments.data_format(where, data_format)
    one_of(where, "interpolation", interpolation, INTERPOLATIONS)
    dy = arguments.real_array(where, "dy", dy, may_be_empty=True)
    n, height, width, channels = input_shape_of(where, input_shape, data_format)
    dtype = arguments.common_dtype(dy)
    with naming_channels_first(dy.shape, data_format):
        dy = to_channels_last(dy, data_format)
    arguments.same_shape(where, "dy", dy, (n, *dy.shape[1:3], channels))
    check_sides(where, *dy.shape[1:3])
    arguments.addressable(where, "dx", (n, height, width, channels), dtype)
    if not n:
        return from_channels_last(np.empty((0, height, width, channels), dtype), data_format)
    dy = arguments.ready(dy, dtype)
    _, outputs, across, _ = dy.shape
    axes = (resized_axis(height, outputs, interpolation), resized_axis(width, across, interpolation))
    return from_channels_last(ops.resize_backward(dy, *axes, Run()), data_format)
