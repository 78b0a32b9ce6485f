"""Transposed convolution and its gradients."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int, pair, positive_int
from cconv.functional.activations import activate
from cconv.geometry.layout import from_channels_last, naming_channels_first, to_channels_last
from cconv.geometry.shapes import Padding, Size2, Window, resolve_transposed
from cconv.ops.run import Run


def _groups(where: str, groups: Any, channels: int, kernel_shape: tuple[int, ...]) -> int:
    """Return the number of groups, checked against kernel (kh, kw, filters // groups, channels)."""
    groups = positive_int(where, "groups", groups)
    if channels != kernel_shape[3]:
        raise ValueError(f"{where}: x must have kernel.shape[3] = {kernel_shape[3]} channels, got {channels}")
    if channels % groups:
        raise ValueError(f"{where}: groups must divide the {channels} channels of x, got {groups}")
    return groups


def _window(
    where: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    kernel_shape: tuple[int, ...],
    strides: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    filters: int,
) -> Window:
    """Resolve the geometry, and check that offsets into the output fit an index."""
    strides, dilation = pair(where, "strides", strides), pair(where, "dilation", dilation)
    more = None
    if output_padding is not None:
        expected = (
            f"{where}: output_padding must be None, an int or a pair of ints of at least 0 and below "
            f"strides {strides}, got {output_padding!r}"
        )
        more = (output_padding, output_padding) if is_int(output_padding) else output_padding
        if not isinstance(more, tuple | list) or not all(map(is_int, more)):
            raise TypeError(expected)
        if len(more) != 2 or not all(0 <= m < s for m, s in zip(more, strides, strict=True)):
            raise ValueError(expected)
        more = int(more[0]), int(more[1])
    size, kernel_size = (shape[1], shape[2]), (kernel_shape[0], kernel_shape[1])
    window = resolve_transposed(where, size, kernel_size, strides, padding, more, dilation)
    arguments.addressable(where, "the output", (shape[0], *window.input_size, filters), dtype)
    return window


@controlled
def conv2d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    output_padding: Size2 | None = None,
    dilation: Size2 = 1,
    groups: int = 1,
    activation: str | None = None,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Spread images over the taps of a kernel: the gradient of `conv2d` for its input, plus a bias.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", section 4.

    Parameters
    ----------
    x : array-like (n, h, w, c)
    kernel : array-like (kh, kw, filters // groups, c)
    bias : array-like (filters,), optional
    strides, dilation : int or pair of int
        Output pixels from one input pixel to the next, and from one kernel tap to the next.
    padding : "valid", "same", int, pair of int, or pair of pairs
        "valid" returns all that the kernel reaches, but at least `strides` pixels for each input pixel;
        "same" returns ``strides`` times the input's size; numbers are pixels that are cut off.
    output_padding : int or pair of int, optional
        Additional rows and columns at the end, fewer than strides; for "same" see
        `cconv.layers.Conv2DTranspose`.
    groups : int
        Number of blocks of channels and filters; block g of channels makes block g of filters.
    activation : None, "linear", "relu", "sigmoid", "tanh", "softmax" or "log_softmax"
        Applied to y; the softmaxes over the filters.
    data_format : "channels_last" or "channels_first"

    Returns
    -------
    y : ndarray (n, oh, ow, filters)

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d_transpose(np.ones((1, 7, 7, 16)), np.ones((2, 2, 8, 16)), strides=2).shape
    (1, 14, 14, 8)
    """
    where = "conv2d_transpose"
    data_format = arguments.data_format(where, data_format)
    activation = arguments.activation(where, activation)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    kernel = arguments.real_array(where, "kernel", kernel)
    bias = None if bias is None else arguments.real_array(where, "bias", bias, 1)
    dtype = arguments.common_dtype(x, kernel, bias)
    how = (strides, padding, output_padding, dilation)
    with naming_channels_first(x.shape, data_format):
        x = to_channels_last(x, data_format)
        groups = _groups(where, groups, x.shape[3], kernel.shape)
        filters = kernel.shape[2] * groups
        window = _window(where, x.shape, dtype, kernel.shape, *how, filters)
    if bias is not None:
        arguments.same_shape(where, "bias", bias, (filters,))
        bias = arguments.ready(bias, dtype)
    if not len(x):
        return from_channels_last(np.empty((0, *window.input_size, filters), dtype), data_format)
    x, kernel, run = arguments.ready(x, dtype), arguments.ready(kernel, dtype), Run()
    y = ops.conv2d_transpose(x, kernel, bias, window, groups, activation == "relu", run)
    return from_channels_last(activate(y, activation, run), data_format)


@controlled
def conv2d_transpose_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel: ArrayLike,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    output_padding: Size2 | None = None,
    dilation: Size2 = 1,
    groups: int = 1,
    data_format: str = "channels_last",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dkernel, dbias) of `conv2d_transpose` without activation; dx is a convolution of dy.

    Parameters
    ----------
    dy : array-like (n, oh, ow, filters)
        Derivative of a loss with respect to y.
    x, kernel, strides, padding, output_padding, dilation, groups, data_format
        As `conv2d_transpose` was given them.

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
    >>> x, kernel = np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1))
    >>> dx, dkernel, dbias = conv2d_transpose_backward(np.ones((1, 3, 3, 1)), x, kernel)
    >>> dx[0, :, :, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    where = "conv2d_transpose_backward"
    data_format = arguments.data_format(where, data_format)
    dy = arguments.real_array(where, "dy", dy, may_be_empty=True)
    x = arguments.real_array(where, "x", x, may_be_empty=True)
    kernel = arguments.real_array(where, "kernel", kernel)
    dtype = arguments.common_dtype(dy, x, kernel)
    how = (strides, padding, output_padding, dilation)
    with naming_channels_first(x.shape, data_format):
        dy, x = to_channels_last(dy, data_format), to_channels_last(x, data_format)
        groups = _groups(where, groups, x.shape[3], kernel.shape)
        filters = kernel.shape[2] * groups
        window = _window(where, x.shape, dtype, kernel.shape, *how, filters)
    arguments.same_shape(where, "dy", dy, (len(x), *window.input_size, filters))
    if not len(x):
        dx = from_channels_last(np.empty(x.shape, dtype), data_format)
        return dx, np.zeros(kernel.shape, dtype), np.zeros(filters, dtype)
    dy, x, kernel = arguments.ready(dy, dtype), arguments.ready(x, dtype), arguments.ready(kernel, dtype)
    run = Run()
    dx = ops.conv2d_transpose_input_gradient(dy, kernel, window, groups, run)
    dkernel, dbias = ops.conv2d_transpose_weight_gradient(dy, x, window, groups, run)
    return from_channels_last(dx, data_format), dkernel, dbias
