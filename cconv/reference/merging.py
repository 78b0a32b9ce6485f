"""Layers of several inputs: sums, products, maxima, scaled channels, copied columns, and gradients."""

import numpy as np


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a + b``, the shortcut of a residual block.

    Source: He, Zhang, Ren, Sun 2016, "Deep residual learning for image recognition", eq. 1.

    Examples
    --------
    >>> import numpy as np
    >>> add(np.array([1.0, 2.0]), np.array([10.0, 20.0]))
    array([11., 22.])
    """
    return a + b


def add_relu(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``max(a + b, 0)``, the end of a residual block; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> add_relu(np.array([1.0, -2.0]), np.array([1.0, 1.0]))
    array([2., 0.])
    """
    return np.maximum(a + b, 0)


def subtract(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a - b``.

    Examples
    --------
    >>> import numpy as np
    >>> subtract(np.array([3.0]), np.array([1.0]))
    array([2.])
    """
    return a - b


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a * b``, element by element.

    Examples
    --------
    >>> import numpy as np
    >>> multiply(np.array([3.0]), np.array([2.0]))
    array([6.])
    """
    return a * b


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a / b``, element by element.

    Examples
    --------
    >>> import numpy as np
    >>> divide(np.array([3.0]), np.array([2.0]))
    array([1.5])
    """
    return a / b


def divide_by(x: np.ndarray, divisor: float) -> np.ndarray:
    """Return ``x / divisor``, which turns a sum into a mean.

    Examples
    --------
    >>> import numpy as np
    >>> divide_by(np.array([3.0]), 2)
    array([1.5])
    """
    return x / x.dtype.type(divisor)


def negative(x: np.ndarray) -> np.ndarray:
    """Return ``-x``: with x = dy, the gradient of `subtract` with respect to b.

    Examples
    --------
    >>> import numpy as np
    >>> negative(np.array([3.0]))
    array([-3.])
    """
    return -x


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the larger of a and b, element by element; NaN where one is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> maximum(np.array([3.0, 0.0]), np.array([2.0, 1.0]))
    array([3., 1.])
    """
    return np.maximum(a, b)


def minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the smaller of a and b, element by element; NaN where one is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> minimum(np.array([3.0, 0.0]), np.array([2.0, 1.0]))
    array([2., 0.])
    """
    return np.minimum(a, b)


def larger_share(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the derivative of max(a, b) with respect to a: ``1 where a > b, 1/2 where a = b, else 0``.

    Where both are equal each gets half of the gradient, as in JAX' automatic differentiation
    (``jax.lax.max``). The derivative of min(a, b) is this one with a and b exchanged.

    Examples
    --------
    >>> import numpy as np
    >>> larger_share(np.array([3.0, 1.0, 0.0]), np.array([2.0, 1.0, 1.0]))
    array([1. , 0.5, 0. ])
    """
    return np.where(a > b, 1, np.where(a == b, 0.5, 0)).astype(a.dtype)


def scale_channels(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Scale the channels of every sample: ``y[n,p,c] = x[n,p,c] * s[n,c]`` for every pixel p.

    Source: Hu, Shen, Sun 2018, "Squeeze-and-excitation networks", eq. 4.

    Examples
    --------
    >>> import numpy as np
    >>> scale_channels(np.ones((1, 2, 2)), np.array([[2.0, 3.0]]))
    array([[[2., 3.],
            [2., 3.]]])
    """
    return x * scale[:, np.newaxis]


def product_sums(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Add up products over the pixels: ``s[n,c] = sum over p of a[n,p,c] * b[n,p,c]``.

    With dy and x this is the gradient of `scale_channels` with respect to its scale.

    Examples
    --------
    >>> import numpy as np
    >>> product_sums(np.array([[[1.0], [2.0]]]), np.array([[[10.0], [20.0]]]))
    array([[50.]])
    """
    return (a * b).sum(axis=1)


def copy_columns(x: np.ndarray, first: int, y: np.ndarray, to: int, columns: int) -> None:
    """Copy columns of x (m, c1) to columns of y (m, c2); the other columns of y stay.

    ``y[:, to:to+columns] = x[:, first:first+columns]``: one piece of a concatenation, or of its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.zeros((1, 3))
    >>> copy_columns(np.array([[1.0, 2.0]]), 1, y, 0, 1)
    >>> y
    array([[2., 0., 0.]])
    """
    y[:, to : to + columns] = x[:, first : first + columns]
