"""Resized images, their gradient, and a bias that is added to pixels."""

import numpy as np

from cconv.geometry.layout import from_channels_last, shape_to_channels_last, to_channels_last
from cconv.geometry.sampling import resized_axis


def matrix(size: int, outputs: int, interpolation: str, part: tuple[int, int] | None = None) -> np.ndarray:
    """Return (outputs, size): the weight of every pixel along an axis in each output.

    Output i has its centre at ``(i + 1/2) * extent / outputs``, and pixel p at ``p + 1/2``. In "bilinear" the
    weight of a pixel is ``1 - distance`` if the centres are less than a pixel apart; output centres outside
    of the first and last pixel's centre are moved there. In "nearest" the pixel that contains the centre has
    weight 1.

    Examples
    --------
    >>> matrix(2, 4, "bilinear")
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    axis = resized_axis(size, outputs, interpolation, part)
    every = np.arange(outputs)
    weights = np.zeros((outputs, size))
    weights[every, axis.at] = 1 - axis.share
    between = axis.share > 0
    weights[every[between], axis.at[between] + 1] = axis.share[between]
    return weights


def resize(
    x: np.ndarray,
    size: tuple[int, int],
    *,
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
) -> np.ndarray:
    """Resize images: along each axis multiply by `matrix`, with half-pixel centres.

    Examples
    --------
    >>> import numpy as np
    >>> resize(np.array([0.0, 4.0]).reshape(1, 1, 2, 1), (1, 4)).ravel()
    array([0., 1., 3., 4.])
    """
    x = to_channels_last(x, data_format)
    _, height, width, _ = x.shape
    rows, columns = (
        matrix(n, m, interpolation).astype(x.dtype) for n, m in zip((height, width), size, strict=True)
    )
    y = np.einsum("oh,nhwc,pw->nopc", rows, x, columns, optimize=True)
    return from_channels_last(np.ascontiguousarray(y), data_format)


def resize_backward(
    dy: np.ndarray,
    input_shape: tuple[int, int, int, int],
    *,
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
) -> np.ndarray:
    """Gradient of `resize`: multiply by both matrices, transposed.

    Examples
    --------
    >>> import numpy as np
    >>> resize_backward(np.ones((1, 1, 4, 1)), (1, 1, 2, 1)).ravel()
    array([2., 2.])
    """
    dy = to_channels_last(dy, data_format)
    _, height, width, _ = shape_to_channels_last(input_shape, data_format)
    _, outputs, across, _ = dy.shape
    rows = matrix(height, outputs, interpolation).astype(dy.dtype)
    columns = matrix(width, across, interpolation).astype(dy.dtype)
    dx = np.einsum("oh,nopc,pw->nhwc", rows, dy, columns, optimize=True)
    return from_channels_last(np.ascontiguousarray(dx), data_format)


def add_bias(y: np.ndarray, bias: np.ndarray | None, relu: bool) -> np.ndarray:
    """Rows y (m, c) -> y + bias (c), then max(0, y) if `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> add_bias(np.array([[1.0, 2.0]]), np.array([1.0, -5.0]), True)
    array([[2., 0.]])
    """
    y = y if bias is None else y + bias
    return np.where(y < 0, y.dtype.type(0), y) if relu else y
