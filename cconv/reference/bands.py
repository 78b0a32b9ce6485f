"""A depthwise convolution with the 1x1 convolutions around it, by bands of rows."""

import numpy as np

from cconv.geometry.shapes import Padding, resolve_window
from cconv.reference.convolution import conv2d


def mobile_block(
    x: np.ndarray,
    expand: np.ndarray | None,
    kernel: np.ndarray,
    project: np.ndarray | None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "same",
    dilation: tuple[int, int] = (1, 1),
    activation: str | None = "relu",
    rows: int = 2,
) -> np.ndarray:
    """Expand x (n, h, w, ci) by a 1x1 convolution, convolve each channel by itself, project by a 1x1 one.

    ::

        e = activation(x * expand),  z = activation(e * kernel, channel by channel),  y = z * project

    with kernels (1, 1, ci, c), (kh, kw, 1, c) and (1, 1, c, f); the first or the last may be missing. Of e
    and z only what `rows` rows of y see exists at a time, which changes no value.
    Source: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", sections 3.3, 6.1.

    Examples
    --------
    >>> import numpy as np
    >>> x, e, k, p = (np.ones(shape) for shape in ((1, 5, 4, 2), (1, 1, 2, 6), (3, 3, 1, 6), (1, 1, 6, 3)))
    >>> y = mobile_block(x, e, k, p)
    >>> y.shape, y[0, 1, 1]
    ((1, 5, 4, 3), array([108., 108., 108.]))
    """
    window = resolve_window("mobile_block", x.shape[1:3], kernel.shape[:2], strides, padding, dilation)
    (top, _), columns = window.pads
    bands = []
    for first in range(0, window.output_size[0], rows):
        last = min(first + rows, window.output_size[0]) - 1
        begin, end = (
            first * strides[0] - top,
            last * strides[0] - top + dilation[0] * (kernel.shape[0] - 1) + 1,
        )
        seen = x[:, max(begin, 0) : end]
        if expand is not None:
            seen = conv2d(seen, expand, activation=activation)
        outside = max(-begin, 0), max(end - x.shape[1], 0)
        z = conv2d(
            seen,
            kernel,
            strides=strides,
            padding=(outside, columns),
            dilation=dilation,
            groups=kernel.shape[3],
            activation=activation,
        )
        bands.append(z if project is None else conv2d(z, project))
    return np.concatenate(bands, axis=1)
