"""The transposed convolution and its gradients."""

import numpy as np

from cconv.geometry.layout import from_channels_last, to_channels_last
from cconv.geometry.shapes import Padding, Size2, Window, resolve_transposed
from cconv.reference.activations import ACTIVATIONS
from cconv.reference.windows import pad, taps, under, unpad

PIXELS = (0, 1, 2)  # the axes n, i, j of an activation


def _window(
    where: str,
    shape: tuple[int, ...],
    kernel: np.ndarray,
    strides: Size2,
    padding: Padding,
    output_padding: Size2 | None,
    dilation: Size2,
) -> Window:
    more = None if output_padding is None else _both(output_padding)
    size, (kh, kw) = (shape[1], shape[2]), kernel.shape[:2]
    return resolve_transposed(where, size, (kh, kw), _both(strides), padding, more, _both(dilation))


def _both(number: Size2) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else number


def _of_group(g: int, channels: int) -> slice:
    return slice(g * channels, (g + 1) * channels)


def conv2d_transpose(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    output_padding: Size2 | None = None,
    dilation: Size2 = 1,
    groups: int = 1,
    activation: str | None = None,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Transposed convolution: each pixel of x is spread over the taps of kernel (kh, kw, f // groups, c).

    ::

        y[n,p,q,f] = b[f] + sum of x[n,i,j,c] * K[u,v,f,c] over c and all u, v, i, j with
                     p = i*sh + u*dh - ph, q = j*sw + v*dw - pw

    With groups, channel block g of x makes filter block g of y.
    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", section 4.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 3.0).reshape(1, 1, 2, 1)
    >>> conv2d_transpose(x, np.ones((1, 3, 1, 1)), strides=(1, 2)).ravel()
    array([1., 1., 3., 2., 2.])
    """
    x = to_channels_last(x, data_format)
    filters, channels = kernel.shape[2], x.shape[3] // groups
    window = _window("conv2d_transpose", x.shape, kernel, strides, padding, output_padding, dilation)
    whole = np.zeros((len(x), *window.input_size, filters * groups), np.result_type(x, kernel))
    spread = pad(whole, window)
    for u, v in taps(window):
        seen = under(spread, window, u, v)
        for g in range(groups):
            ins, outs = _of_group(g, channels), _of_group(g, filters)
            seen[..., outs] += x[..., ins] @ kernel[u, v, :, ins].T
    y = unpad(spread, window)
    if bias is not None:
        y = y + bias
    return from_channels_last(ACTIVATIONS[activation](y), data_format)


def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    output_padding: Size2 | None = None,
    dilation: Size2 = 1,
    groups: int = 1,
    data_format: str = "channels_last",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dkernel, dbias) of `conv2d_transpose` without activation; dx is a convolution of dy.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 3.0).reshape(1, 1, 2, 1)
    >>> dx, dkernel, dbias = conv2d_transpose_backward(np.ones((1, 1, 3, 1)), x, np.ones((1, 2, 1, 1)))
    >>> dx.ravel(), dkernel.ravel(), dbias
    (array([2., 2.]), array([3., 3.]), array([3.]))
    """
    x, dy = to_channels_last(x, data_format), to_channels_last(dy, data_format)
    filters, channels = kernel.shape[2], x.shape[3] // groups
    where = "conv2d_transpose_backward"
    window = _window(where, x.shape, kernel, strides, padding, output_padding, dilation)
    padded = pad(dy, window)
    dx, dkernel = np.zeros(x.shape, dy.dtype), np.zeros_like(kernel)
    for u, v in taps(window):
        seen = under(padded, window, u, v)
        for g in range(groups):
            ins, outs = _of_group(g, channels), _of_group(g, filters)
            dx[..., ins] += seen[..., outs] @ kernel[u, v, :, ins]
            dkernel[u, v, :, ins] = np.tensordot(seen[..., outs], x[..., ins], (PIXELS, PIXELS))
    return from_channels_last(dx, data_format), dkernel, dy.sum(PIXELS)
