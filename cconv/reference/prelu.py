"""The rectifier with learned slopes, and its derivatives."""

import numpy as np


def prelu(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Parametric rectifier, ``y = x where x > 0, else alpha * x``; alpha is broadcast.

    Source: He, Zhang, Ren, Sun 2015, "Delving deep into rectifiers", eq. 1.

    Examples
    --------
    >>> import numpy as np
    >>> prelu(np.array([[-2.0, -2.0, 3.0]]), np.array([0.5, 0.25, 9.0]))
    array([[-1. , -0.5,  3. ]])
    """
    return np.where(x > 0, x, alpha * x)


def prelu_backward(dy: np.ndarray, x: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return dx, and the share of every element in dalpha (He et al. 2015, eqs. 2 and 3).

    ::

        dx = dy where x > 0, else alpha * dy
        share = 0 where x > 0, else dy * x

    dalpha is the sum of the shares over all elements with the same slope.

    Examples
    --------
    >>> import numpy as np
    >>> prelu_backward(np.array([[2.0, 2.0]]), np.array([[-3.0, 3.0]]), np.array([0.5, 0.5]))
    (array([[1., 2.]]), array([[-6.,  0.]]))
    """
    return np.where(x > 0, dy, alpha * dy), np.where(x > 0, 0, dy * x)
