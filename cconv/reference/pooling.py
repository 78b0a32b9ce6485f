"""Max and average pooling and their gradients."""

import numpy as np

from cconv.geometry.layout import from_channels_last, shape_to_channels_last, to_channels_last
from cconv.geometry.shapes import Padding, Size2, Window, resolve_window
from cconv.reference.windows import pad, taps, under, unpad


def max_pool2d(
    x: np.ndarray,
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    ceil_mode: bool = False,
    data_format: str = "channels_last",
) -> tuple[np.ndarray, np.ndarray]:
    """Largest pixel of each window, and its place in the window.

    ::

        y[n,i,j,c]      = max over u, v of x[n, i*sh + u*dh - ph, j*sw + v*dw - pw, c]
        argmax[n,i,j,c] = u*kw + v of that pixel

    Only pixels of the image count. The first of equal values wins. A NaN is larger than everything;
    the first NaN wins. A window that sees no pixel gives -inf and the argmax "none": 255 if the
    argmax is uint8 (windows of at most 255 positions), -1 if it is int32.
    Source: Zhou & Chellappa 1988, "Computation of optical flow using a neural network".

    Examples
    --------
    >>> import numpy as np
    >>> y, argmax = max_pool2d(np.array([[1.0, 5, 2, 0], [3, 4, 2, 7]]).reshape(1, 2, 4, 1))
    >>> y[0, 0, :, 0], argmax[0, 0, :, 0]
    (array([5., 7.]), array([1, 3], dtype=uint8))
    """
    x = to_channels_last(x, data_format)
    size = x.shape[1:3]
    window = resolve_window("max_pool2d", size, pool_size, strides, padding, dilation, ceil_mode, "pool_size")
    kh, kw = window.kernel_size
    padded, inside = pad(x, window, -np.inf), pad(np.ones_like(x, bool), window)
    shape = (len(x), *window.output_size, x.shape[3])
    y = np.full(shape, -np.inf, x.dtype)
    dtype, none = (np.uint8, 255) if kh * kw <= 255 else (np.int32, -1)
    argmax = np.full(shape, none, dtype)
    for u, v in taps(window):
        seen = under(padded, window, u, v)
        larger = (argmax == none) | (seen > y) | (np.isnan(seen) & ~np.isnan(y))
        takes = under(inside, window, u, v) & larger
        y[takes] = seen[takes]
        argmax[takes] = u * kw + v
    return from_channels_last(y, data_format), from_channels_last(argmax, data_format)


def max_pool2d_backward(
    dy: np.ndarray,
    argmax: np.ndarray,
    input_shape: tuple[int, int, int, int],
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    dilation: Size2 = 1,
    ceil_mode: bool = False,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Gradient of `max_pool2d`: all of it goes to the pixel that won.

    ::

        dx[n, i*sh + u*dh - ph, j*sw + v*dw - pw, c] += dy[n,i,j,c]   where argmax[n,i,j,c] = u*kw + v

    Source: LeCun, Bottou, Orr, Müller 1998, "Efficient BackProp", the chain rule on a selection.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 5, 2, 0], [3, 4, 2, 7]]).reshape(1, 2, 4, 1)
    >>> y, argmax = max_pool2d(x)
    >>> max_pool2d_backward(np.ones_like(y), argmax, x.shape)[0, :, :, 0]
    array([[0., 1., 0., 0.],
           [0., 0., 0., 1.]])
    """
    dy, argmax = to_channels_last(dy, data_format), to_channels_last(argmax, data_format)
    n, height, width, channels = shape_to_channels_last(input_shape, data_format)
    window = resolve_window(
        "max_pool2d_backward", (height, width), pool_size, strides, padding, dilation, ceil_mode, "pool_size"
    )
    kw = window.kernel_size[1]
    dpadded = pad(np.zeros((n, height, width, channels), dy.dtype), window)
    for u, v in taps(window):
        under(dpadded, window, u, v)[...] += np.where(argmax == u * kw + v, dy, 0)
    return from_channels_last(unpad(dpadded, window), data_format)


def _counted(window: Window, axis: int, count_include_pad: bool) -> np.ndarray:
    """Return how many rows (or columns) of each window count: (oh,) or (ow,)."""
    before, after = window.pads[axis] if count_include_pad else (0, 0)
    first = np.arange(window.output_size[axis]) * window.strides[axis] - window.pads[axis][0]
    at = first[:, np.newaxis] + np.arange(window.kernel_size[axis])
    return np.sum((at >= -before) & (at < window.input_size[axis] + after), axis=1)


def _divisors(window: Window, count_include_pad: bool, dtype: np.dtype) -> np.ndarray:
    """Return the number of pixels of each average, m (oh, ow, 1), at least 1."""
    m = np.outer(_counted(window, 0, count_include_pad), _counted(window, 1, count_include_pad))
    return np.maximum(m, 1)[..., np.newaxis].astype(dtype)


def average_pool2d(
    x: np.ndarray,
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Mean of each window.

    ::

        y[n,i,j,c] = 1 / m[i,j] * sum over u, v of x[n, i*sh + u - ph, j*sw + v - pw, c]

    where x is 0 outside the image. m[i,j] counts the window's pixels inside the image, or, with
    count_include_pad, inside the padded image. Pixels beyond, which ceil_mode may reach, never count. A
    window without counted pixels gives 0.
    Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition",
    section II; the divisor's rule is PyTorch's.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 5, 2, 0], [3, 4, 2, 7]]).reshape(1, 2, 4, 1)
    >>> average_pool2d(x)[0, 0, :, 0]
    array([3.25, 2.75])
    """
    x = to_channels_last(x, data_format)
    size = x.shape[1:3]
    window = resolve_window("average_pool2d", size, pool_size, strides, padding, 1, ceil_mode, "pool_size")
    padded = pad(x, window)
    y = np.zeros((len(x), *window.output_size, x.shape[3]), x.dtype)
    for u, v in taps(window):
        y += under(padded, window, u, v)
    return from_channels_last(y / _divisors(window, count_include_pad, x.dtype), data_format)


def average_pool2d_backward(
    dy: np.ndarray,
    input_shape: tuple[int, int, int, int],
    pool_size: Size2 = 2,
    *,
    strides: Size2 | None = None,
    padding: Padding = "valid",
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Gradient of `average_pool2d`: every pixel of a window gets the same share.

    ::

        dx[n, i*sh + u - ph, j*sw + v - pw, c] += dy[n,i,j,c] / m[i,j]

    Examples
    --------
    >>> import numpy as np
    >>> average_pool2d_backward(np.array([[[[1.0], [2.0]]]]), (1, 2, 4, 1))[0, :, :, 0]
    array([[0.25, 0.25, 0.5 , 0.5 ],
           [0.25, 0.25, 0.5 , 0.5 ]])
    """
    dy = to_channels_last(dy, data_format)
    n, height, width, channels = shape_to_channels_last(input_shape, data_format)
    window = resolve_window(
        "average_pool2d_backward", (height, width), pool_size, strides, padding, 1, ceil_mode, "pool_size"
    )
    share = dy / _divisors(window, count_include_pad, dy.dtype)
    dpadded = pad(np.zeros((n, height, width, channels), dy.dtype), window)
    for u, v in taps(window):
        under(dpadded, window, u, v)[...] += share
    return from_channels_last(unpad(dpadded, window), data_format)
