"""Max and average pooling and their gradients."""

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.functional import windows
from cconv.functional.windows import input_shape_of, window_of
from cconv.geometry import shapes
from cconv.geometry.layout import from_channels_last, naming_channels_first, to_channels_last
from cconv.geometry.shapes import Padding, Size2
from cconv.ops.run import Run


@controlled
def max_pool2d(
    x: ArrayLike,
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    ceil_mode: bool = False,
    data_format: str = "channels_last",
) -> tuple[np.ndarray, np.ndarray]:
    """Largest pixel of each window (Zhou & Chellappa 1988).

    Parameters
    ----------
    x : array-like (n, h, w, c)
    pool_size, dilation : int or pair of int
        Size of the window, and pixels from one of its positions to the next.
    strides : int or pair of int, optional
        Pixels from one window to the next; by default pool_size.
    padding : "valid", "same", int, pair of int, or pair of pairs
        Pixels of -inf around the image.
    ceil_mode : bool
        Whether a last window may reach over the end, so that no rows are left out.
    data_format : "channels_last" or "channels_first"

    Returns
    -------
    y : ndarray (n, oh, ow, c)
        NaN if the window has a NaN; -inf if it sees no pixel.
    argmax : ndarray (n, oh, ow, c) of uint8, or of int32 for windows of more than 255 positions
        ``u*kw + v`` of the first pixel with that value; 255, or -1, if the window sees no pixel.

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> y, argmax = max_pool2d(np.array([[1.0, 5, 2, 0], [3, 4, 2, 7]]).reshape(1, 2, 4, 1))
    >>> y[0, 0, :, 0], argmax[0, 0, :, 0]
    (array([5., 7.]), array([1, 3], dtype=uint8))
    """
    where = "max_pool2d"
    data_format = arguments.data_format(where, data_format)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    dtype = arguments.common_dtype(x)
    with naming_channels_first(x.shape, data_format):
        x = to_channels_last(x, data_format)
        window = window_of(
            where, x.shape, dtype, pool_size, strides, padding, dilation, ceil_mode, "pool_size"
        )
    windows.max_window(where, window)
    if not len(x):
        y = from_channels_last(np.empty((0, *window.output_size, x.shape[3]), dtype), data_format)
        return y, y.astype(shapes.argmax_cache(window)[0])
    y, argmax = ops.max_pool2d(arguments.ready(x, dtype), window, Run())
    return from_channels_last(y, data_format), from_channels_last(argmax, data_format)


@controlled
def max_pool2d_backward(
    dy: ArrayLike,
    argmax: ArrayLike,
    input_shape: tuple[int, int, int, int],
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    ceil_mode: bool = False,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Gradient of `max_pool2d`: each dy goes to the pixel that won.

    Parameters
    ----------
    dy : array-like (n, oh, ow, c)
        Derivative of a loss with respect to y.
    argmax : ndarray (n, oh, ow, c)
        As `max_pool2d` returned it.
    input_shape : tuple of 4 int
        Shape of x.
    pool_size, strides, padding, dilation, ceil_mode, data_format
        As `max_pool2d` was given them.

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
    >>> y, argmax = max_pool2d(np.array([[1.0, 5, 2, 0], [3, 4, 2, 7]]).reshape(1, 2, 4, 1))
    >>> max_pool2d_backward(y, argmax, (1, 2, 4, 1))[0, :, :, 0]
    array([[0., 5., 0., 0.],
           [0., 0., 0., 7.]])
    """
    where = "max_pool2d_backward"
    data_format = arguments.data_format(where, data_format)
    dy = arguments.real_array(where, "dy", dy, may_be_empty=True)
    argmax = arguments.any_array(where, "argmax", argmax, 4)
    shape = input_shape_of(where, input_shape, data_format)
    dtype = arguments.common_dtype(dy)
    dy, argmax = to_channels_last(dy, data_format), to_channels_last(argmax, data_format)
    window = window_of(where, shape, dtype, pool_size, strides, padding, dilation, ceil_mode, "pool_size")
    windows.max_window(where, window)
    arguments.same_shape(where, "dy", dy, (shape[0], *window.output_size, shape[3]))
    argmax = windows.as_argmax(where, argmax, dy.shape, window)
    if not len(dy):
        return from_channels_last(np.empty(shape, dtype), data_format)
    dx = ops.max_pool2d_backward(arguments.ready(dy, dtype), argmax, window, Run())
    return from_channels_last(dx, data_format)


@controlled
def average_pool2d(
    x: ArrayLike,
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Mean of each window (LeCun et al. 1998, section II).

    Parameters
    ----------
    x : array-like (n, h, w, c)
    pool_size, strides, padding, ceil_mode, data_format
        As for `max_pool2d`; the padding is of zeros.
    count_include_pad : bool
        Divide by the number of the window's pixels inside the padded image, not only inside the image.

    Returns
    -------
    y : ndarray (n, oh, ow, c)
        0 if the window has no pixel to count.

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> average_pool2d(np.array([[1.0, 5, 2, 0], [3, 4, 2, 7]]).reshape(1, 2, 4, 1))[0, 0, :, 0]
    array([3.25, 2.75])
    """
    where = "average_pool2d"
    data_format = arguments.data_format(where, data_format)
    count_include_pad = arguments.flag(where, "count_include_pad", count_include_pad)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    dtype = arguments.common_dtype(x)
    with naming_channels_first(x.shape, data_format):
        x = to_channels_last(x, data_format)
        window = window_of(where, x.shape, dtype, pool_size, strides, padding, 1, ceil_mode, "pool_size")
    if not len(x):
        return from_channels_last(np.empty((0, *window.output_size, x.shape[3]), dtype), data_format)
    y = ops.average_pool2d(arguments.ready(x, dtype), window, count_include_pad, Run())
    return from_channels_last(y, data_format)


@controlled
def average_pool2d_backward(
    dy: ArrayLike,
    input_shape: tuple[int, int, int, int],
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Gradient of `average_pool2d`: each dy is divided evenly among the pixels of its mean.

    Parameters
    ----------
    dy : array-like (n, oh, ow, c)
        Derivative of a loss with respect to y.
    input_shape : tuple of 4 int
        Shape of x.
    pool_size, strides, padding, ceil_mode, count_include_pad, data_format
        As `average_pool2d` was given them.

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
    >>> average_pool2d_backward(np.array([[[[1.0], [2.0]]]]), (1, 2, 4, 1))[0, :, :, 0]
    array([[0.25, 0.25, 0.5 , 0.5 ],
           [0.25, 0.25, 0.5 , 0.5 ]])
    """
    where = "average_pool2d_backward"
    data_format = arguments.data_format(where, data_format)
    count_include_pad = arguments.flag(where, "count_include_pad", count_include_pad)
    dy = arguments.real_array(where, "dy", dy, may_be_empty=True)
    shape = input_shape_of(where, input_shape, data_format)
    dtype = arguments.common_dtype(dy)
    dy = to_channels_last(dy, data_format)
    window = window_of(where, shape, dtype, pool_size, strides, padding, 1, ceil_mode, "pool_size")
    arguments.same_shape(where, "dy", dy, (shape[0], *window.output_size, shape[3]))
    if not len(dy):
        return from_channels_last(np.empty(shape, dtype), data_format)
    dx = ops.average_pool2d_backward(arguments.ready(dy, dtype), window, count_include_pad, Run())
    return from_channels_last(dx, data_format)
