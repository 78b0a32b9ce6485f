"""Convolution, its gradients, and the matrix form that textbooks use."""

import numpy as np

from cconv.geometry.algorithms import scatters_tiles
from cconv.geometry.layout import from_channels_last, shape_to_channels_last, to_channels_last
from cconv.geometry.shapes import Padding, Size2, resolve_window
from cconv.reference.activations import ACTIVATIONS
from cconv.reference.windows import pad, taps, under, unpad
from cconv.reference.winograd import winograd_conv2d, winograd_input_gradient, winograd_weight_gradient

PIXELS = (0, 1, 2)  # the axes n, i, j of an activation


def _of_group(g: int, channels: int) -> slice:
    """Return the slice of block g, if each block has `channels` channels."""
    return slice(g * channels, (g + 1) * channels)


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    groups: int = 1,
    activation: str | None = None,
    data_format: str = "channels_last",
    algorithm: str = "auto",
) -> np.ndarray:
    """Convolution as in the field of neural networks: the kernel is not flipped.

    ::

        y[n,i,j,f] = b[f] + sum over u, v, c of x[n, i*sh + u*dh - ph, j*sw + v*dw - pw, c] * K[u,v,c,f]

    where x is 0 outside the image. With groups, channel block g of x makes filter block g of y.
    Source: Goodfellow, Bengio, Courville 2016, "Deep Learning", eq. 9.6; dilation after Yu & Koltun
    2016, "Multi-scale context aggregation by dilated convolutions". All algorithms compute this sum,
    except "winograd", whose steps are in `cconv.reference.winograd`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> conv2d(x, np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    x = to_channels_last(x, data_format)
    kh, kw, in_channels, filters = kernel.shape
    out_channels = filters // groups
    window = resolve_window("conv2d", x.shape[1:3], (kh, kw), strides, padding, dilation)
    if algorithm == "winograd":
        y = winograd_conv2d(x, kernel, window)
    else:
        padded = pad(x, window)
        y = np.zeros((len(x), *window.output_size, filters), np.result_type(x, kernel))
        for u, v in taps(window):
            seen = under(padded, window, u, v)
            for g in range(groups):
                ins, outs = _of_group(g, in_channels), _of_group(g, out_channels)
                y[..., outs] += seen[..., ins] @ kernel[u, v, :, outs]
    if bias is not None:
        y += bias
    return from_channels_last(ACTIVATIONS[activation](y), data_format)


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dkernel, dbias) of `conv2d` without activation.

    Each product x[p] * K[q] that went into y[r] gives dy[r] * K[q] to dx[p] and dy[r] * x[p] to dK[q]::

        dx[n, i*sh + u*dh - ph, j*sw + v*dw - pw, c] += sum over f of dy[n,i,j,f] * K[u,v,c,f]
        dK[u,v,c,f] = sum over n, i, j of dy[n,i,j,f] * x[n, i*sh + u*dh - ph, j*sw + v*dw - pw, c]
        db[f]       = sum over n, i, j of dy[n,i,j,f]

    Source: Goodfellow, Bengio, Courville 2016, "Deep Learning", eqs. 9.11 and 9.13.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> dx, dkernel, dbias = conv2d_backward(np.ones((1, 2, 2, 1)), x, np.ones((2, 2, 1, 1)))
    >>> dx[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    >>> dkernel[:, :, 0, 0], dbias
    (array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """
    x, dy = to_channels_last(x, data_format), to_channels_last(dy, data_format)
    kh, kw, in_channels, filters = kernel.shape
    out_channels = filters // groups
    window = resolve_window("conv2d_backward", x.shape[1:3], (kh, kw), strides, padding, dilation)
    if algorithm == "winograd":
        if scatters_tiles(window, in_channels, filters):
            dx = winograd_input_gradient(dy, kernel, window)
        else:
            # dx, with its padding, is the convolution of dy with the flipped kernel, channels swapped.
            flipped = kernel[::-1, ::-1].swapaxes(2, 3)
            whole = resolve_window("conv2d_backward", window.output_size, (kh, kw), padding=kh - 1)
            dx = unpad(winograd_conv2d(dy, flipped, whole), window)
        dx = from_channels_last(dx, data_format)
        return dx, winograd_weight_gradient(dy, x, window), dy.sum(PIXELS)
    padded = pad(x, window)
    dpadded, dkernel = np.zeros_like(padded, dy.dtype), np.zeros_like(kernel)
    for u, v in taps(window):
        seen, dseen = under(padded, window, u, v), under(dpadded, window, u, v)
        for g in range(groups):
            ins, outs = _of_group(g, in_channels), _of_group(g, out_channels)
            dseen[..., ins] += dy[..., outs] @ kernel[u, v, :, outs].T
            dkernel[u, v, :, outs] = np.tensordot(seen[..., ins], dy[..., outs], (PIXELS, PIXELS))
    dx = from_channels_last(unpad(dpadded, window), data_format)
    return dx, dkernel, dy.sum(PIXELS)


def im2col(
    x: np.ndarray,
    kernel_size: Size2,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Write the window of every output pixel as a row, so that convolution is a matrix product.

    ::

        col[(n*oh + i)*ow + j, (u*kw + v)*C + c] = x[n, i*sh + u*dh - ph, j*sw + v*dw - pw, c]

    Then ``conv2d(x, K)`` is ``im2col(x, (kh, kw)) @ K.reshape(-1, f)``.
    Source: Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for
    document processing", section 2.

    Examples
    --------
    >>> import numpy as np
    >>> im2col(np.arange(6.0).reshape(1, 2, 3, 1), 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    x = to_channels_last(x, data_format)
    window = resolve_window("im2col", x.shape[1:3], kernel_size, strides, padding, dilation)
    padded = pad(x, window)
    col = np.stack([under(padded, window, u, v) for u, v in taps(window)], axis=3)
    rows, columns = col.shape[:3], col.shape[3:]
    return col.reshape(np.prod(rows), np.prod(columns))


def col2im(
    col: np.ndarray,
    input_shape: tuple[int, int, int, int],
    kernel_size: Size2,
    *,
    strides: Size2 = 1,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Add every entry of col back to the pixel it came from: the transpose of `im2col`.

    ::

        x[n, i*sh + u*dh - ph, j*sw + v*dw - pw, c] += col[(n*oh + i)*ow + j, (u*kw + v)*C + c]

    for every row and column of col; entries that came from the padding are dropped.

    Examples
    --------
    >>> import numpy as np
    >>> col2im(np.ones((2, 4)), (1, 2, 3, 1), 2)[0, :, :, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    n, height, width, channels = shape_to_channels_last(input_shape, data_format)
    window = resolve_window("col2im", (height, width), kernel_size, strides, padding, dilation)
    padded = pad(np.zeros((n, height, width, channels), col.dtype), window)
    cells = col.reshape(n, *window.output_size, -1, channels)
    for tap, (u, v) in enumerate(taps(window)):
        under(padded, window, u, v)[...] += cells[:, :, :, tap]
    return from_channels_last(unpad(padded, window), data_format)
