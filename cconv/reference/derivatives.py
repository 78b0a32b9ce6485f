"""Derivatives of the activations, each from the activation's output y alone: dx for a given dy."""

import numpy as np


def relu_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx of y = max(x, 0): ``dx = dy where y > 0, else 0``.

    Examples
    --------
    >>> import numpy as np
    >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
    array([0., 5.])
    """
    return np.where(y > 0, dy, 0)


def leaky_relu(x: np.ndarray, slope: float) -> np.ndarray:
    """Rectifier that leaks, ``y = x where x > 0, else slope * x``.

    Source: Maas, Hannun, Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu(np.array([-2.0, 2.0]), 0.25)
    array([-0.5,  2. ])
    """
    if slope == 0:  # times which -inf would be NaN
        return np.maximum(x, 0)
    return np.where(x > 0, x, x.dtype.type(slope) * x)


def leaky_relu_backward(dy: np.ndarray, y: np.ndarray, slope: float) -> np.ndarray:
    """Return dx of `leaky_relu`: ``dx = dy where y > 0, else slope * dy``, for a slope of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu_backward(np.array([4.0, 4.0]), np.array([-0.5, 2.0]), 0.25)
    array([1., 4.])
    """
    if slope == 0:
        return relu_backward(dy, y)
    return np.where(y > 0, dy, dy.dtype.type(slope) * dy)


def sigmoid_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx of y = sigmoid(x): ``dx = dy * y * (1 - y)``.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid_backward(np.array([4.0]), np.array([0.5]))
    array([1.])
    """
    return dy * y * (1 - y)


def tanh_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx of y = tanh(x): ``dx = dy * (1 - y**2)``.

    Examples
    --------
    >>> import numpy as np
    >>> tanh_backward(np.array([4.0]), np.array([0.5]))
    array([3.])
    """
    return dy * (1 - y**2)


def softmax_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx of y = softmax(x): ``dx[i] = y[i] * (dy[i] - sum over k of dy[k] * y[k])``.

    Since ``dy[k]/dx[i] = y[k] * ((k == i) - y[i])``.

    Examples
    --------
    >>> import numpy as np
    >>> softmax_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def log_softmax_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx of y = log_softmax(x): ``dx[i] = dy[i] - exp(y[i]) * sum over k of dy[k]``.

    Since ``dy[k]/dx[i] = (k == i) - exp(y[i])``.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax_backward(np.array([1.0, 0.0]), np.log([0.25, 0.75]))
    array([ 0.75, -0.75])
    """
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
