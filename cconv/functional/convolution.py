"""Convolution, its gradients, and its matrix form."""

import math

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.functional import windows
from cconv.functional.activations import activate
from cconv.functional.windows import input_shape_of, window_of
from cconv.geometry.algorithms import check_algorithm, check_winograd
from cconv.geometry.layout import from_channels_last, naming_channels_first, to_channels_last
from cconv.geometry.shapes import Padding, Size2
from cconv.ops.run import Run


@controlled
def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    groups: int = 1,
    activation: str | None = None,
    data_format: str = "channels_last",
    algorithm: str = "auto",
) -> np.ndarray:
    """Convolve images with a kernel that is not flipped (Goodfellow et al. 2016, eq. 9.6).

    Parameters
    ----------
    x : array-like (n, h, w, c)
    kernel : array-like (kh, kw, c // groups, filters)
    bias : array-like (filters,), optional
    strides, dilation : int or pair of int
        Pixels from one output to the next, and from one kernel tap to the next.
    padding : "valid", "same", int, pair of int, or pair of pairs
        Zeros around the image.
    groups : int
        Number of blocks of channels and filters; block g of channels makes block g of filters.
    activation : None, "linear", "relu", "sigmoid", "tanh", "softmax" or "log_softmax"
        Applied to y; the softmaxes over the filters.
    data_format : "channels_last" or "channels_first"
    algorithm : "auto", "direct" or "winograd"
        "winograd" is Winograd's minimal filtering, for 3x3 and 2x2 kernels with strides 1: faster, with a
        little more rounding. "auto" chooses by the shapes alone; it also takes Winograd's algorithm along the
        rows, for 5x5 kernels. The algorithm mixes the inputs of tiles of up to 4 x 4 outputs. An output is
        summed directly if its tile has a value that is not finite, or more than 256 times larger than all
        that the output sees. So its error stays below 1,024 eps max|x that it sees| sum|kernel|, where eps is
        2**-24 in float32 and 2**-53 in float64 (values up to 2**-60, in float64 2**-500, count as zero).

    Returns
    -------
    y : ndarray (n, oh, ow, filters)
        oh and ow are those of `output_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d(np.ones((1, 144, 144, 3)), np.ones((3, 3, 3, 6)), np.zeros(6)).shape
    (1, 142, 142, 6)
    """
    where = "conv2d"
    data_format = arguments.data_format(where, data_format)
    activation = arguments.activation(where, activation)
    algorithm = check_algorithm(where, algorithm)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    kernel = arguments.real_array(where, "kernel", kernel)
    bias = None if bias is None else arguments.real_array(where, "bias", bias, 1)
    dtype = arguments.common_dtype(x, kernel, bias)
    with naming_channels_first(x.shape, data_format):
        x = to_channels_last(x, data_format)
        groups = windows.channel_groups(where, groups, x.shape[3], kernel.shape)
        window = window_of(where, x.shape, dtype, kernel.shape[:2], strides, padding, dilation)
    check_winograd(where, algorithm, window, groups)
    if bias is not None:
        arguments.same_shape(where, "bias", bias, kernel.shape[3:])
        bias = arguments.ready(bias, dtype)
    if not len(x):
        return from_channels_last(np.empty((0, *window.output_size, kernel.shape[3]), dtype), data_format)
    x, kernel, run = arguments.ready(x, dtype), arguments.ready(kernel, dtype), Run()
    y = ops.conv2d(x, kernel, bias, window, groups, activation == "relu", run, algorithm)
    return from_channels_last(activate(y, activation, run), data_format)


@controlled
def conv2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel: ArrayLike,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `conv2d` without activation (Goodfellow et al. 2016, eqs. 9.11 and 9.13).

    Parameters
    ----------
    dy : array-like (n, oh, ow, filters)
        Derivative of a loss with respect to y.
    x, kernel, strides, padding, dilation, groups, data_format, algorithm
        As `conv2d` was given them.

    Returns
    -------
    dx, dkernel, dbias : ndarray
        Shaped as x, kernel and bias.

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> x, kernel = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))
    >>> dx, dkernel, dbias = conv2d_backward(np.ones((1, 2, 2, 1)), x, kernel)
    >>> dx[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    where = "conv2d_backward"
    data_format = arguments.data_format(where, data_format)
    algorithm = check_algorithm(where, algorithm)
    dy = arguments.real_array(where, "dy", dy, may_be_empty=True)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    kernel = arguments.real_array(where, "kernel", kernel)
    dtype = arguments.common_dtype(dy, x, kernel)
    with naming_channels_first(x.shape, data_format):
        dy, x = to_channels_last(dy, data_format), to_channels_last(x, data_format)
        n, _, _, channels = x.shape
        groups = windows.channel_groups(where, groups, channels, kernel.shape)
        window = window_of(where, x.shape, dtype, kernel.shape[:2], strides, padding, dilation)
    check_winograd(where, algorithm, window, groups)
    arguments.same_shape(where, "dy", dy, (n, *window.output_size, kernel.shape[3]))
    if not n:
        dx = from_channels_last(np.empty(x.shape, dtype), data_format)
        return dx, np.zeros(kernel.shape, dtype), np.zeros(kernel.shape[3:], dtype)
    dy, x, kernel = arguments.ready(dy, dtype), arguments.ready(x, dtype), arguments.ready(kernel, dtype)
    run = Run()
    dx = ops.conv2d_input_gradient(dy, kernel, window, groups, channels, run, algorithm)
    dkernel, dbias = ops.conv2d_weight_gradient(dy, x, window, groups, run, algorithm)
    return from_channels_last(dx, data_format), dkernel, dbias


@controlled
def im2col(
    x: ArrayLike,
    kernel_size: Size2,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Write the window of every output pixel as a row (Chellapilla et al. 2006).

    Parameters
    ----------
    x : array-like (n, h, w, c)
    kernel_size, strides, padding, dilation, data_format
        As for `conv2d`; kernel_size is an int or a pair.

    Returns
    -------
    col : ndarray (n * oh * ow, kh * kw * c)
        The same for both data formats: its columns run over kernel rows, kernel columns and channels.

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> im2col(np.arange(6.0).reshape(1, 2, 3, 1), 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    where = "im2col"
    data_format = arguments.data_format(where, data_format)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    dtype = arguments.common_dtype(x)
    with naming_channels_first(x.shape, data_format):
        x = to_channels_last(x, data_format)
        window = window_of(where, x.shape, dtype, kernel_size, strides, padding, dilation)
    if not len(x):
        return np.empty((0, math.prod(window.kernel_size) * x.shape[3]), dtype)
    return ops.im2col(arguments.ready(x, dtype), window, Run())


@controlled
def col2im(
    col: ArrayLike,
    input_shape: tuple[int, int, int, int],
    kernel_size: Size2,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Add every entry of col to the pixel it came from: the transpose of `im2col`.

    Parameters
    ----------
    col : array-like (n * oh * ow, kh * kw * c)
    input_shape : tuple of 4 int
        Shape of x.
    kernel_size, strides, padding, dilation, data_format
        As `im2col` was given them.

    Returns
    -------
    x : ndarray of shape input_shape

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> col2im(np.ones((2, 4)), (1, 2, 3, 1), 2)[0, :, :, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    where = "col2im"
    data_format = arguments.data_format(where, data_format)
    col = arguments.real_array(where, "col", col, 2, may_be_empty=True)
    shape = input_shape_of(where, input_shape, data_format)
    n, channels = shape[0], shape[3]
    dtype = arguments.common_dtype(col)
    window = window_of(where, shape, dtype, kernel_size, strides, padding, dilation)
    (oh, ow), (kh, kw) = window.output_size, window.kernel_size
    arguments.same_shape(where, "col", col, (n * oh * ow, kh * kw * channels))
    if not n:
        return from_channels_last(np.empty(shape, dtype), data_format)
    return from_channels_last(
        ops.col2im(arguments.ready(col, dtype), n, channels, window, Run()), data_format
    )
