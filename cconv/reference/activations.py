"""ReLU, sigmoid, tanh and the softmaxes, and their derivatives."""

from collections.abc import Callable

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    """Rectified linear unit, ``y = max(x, 0)``; NaN stays NaN.

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function, ``y = 1 / (1 + exp(-x))``; exp of a positive number, which may overflow, is avoided.

    Source: Verhulst 1845. For x < 0 it is computed as ``exp(x) / (1 + exp(x))``, which is the same.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent, ``y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))``.

    Source: LeCun, Bottou, Orr, Müller 1998, "Efficient BackProp", section 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> tanh(np.array([-100.0, 0.0, 100.0]))
    array([-1.,  0.,  1.])
    """
    return np.tanh(x)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Logarithm of `softmax` over the last axis.

    ::

        y[i] = x[i] - m - log(sum over k of exp(x[k] - m)),   m = max over k of x[k]

    Subtracting m changes nothing, but keeps exp from overflowing.
    Source: Blanchard, Higham, Higham 2021, "Accurately computing the log-sum-exp and softmax
    functions", eq. 1.5.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.array([1000.0, 1000.0]))
    array([-0.69314718, -0.69314718])
    """
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(x: np.ndarray) -> np.ndarray:
    """Turn scores into probabilities over the last axis.

    ::

        y[i] = exp(x[i] - m) / sum over k of exp(x[k] - m),   m = max over k of x[k]

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.log([1.0, 3.0]))
    array([0.25, 0.75])
    """
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _linear(x: np.ndarray) -> np.ndarray:
    return x


ACTIVATIONS: dict[str | None, Callable[[np.ndarray], np.ndarray]] = {
    None: _linear,
    "linear": _linear,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softmax": softmax,
    "log_softmax": log_softmax,
}


def relu_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx of y = max(x, 0): ``dx = dy where y > 0, else 0``.

    Examples
    --------
    >>> import numpy as np
    >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
    array([0., 5.])
    """
    return np.where(y > 0, dy, 0)


def clipped_relu(x: np.ndarray, cap: float) -> np.ndarray:
    """Rectified linear unit that is cut at `cap`, ``y = min(max(x, 0), cap)``; NaN stays NaN.

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10", with a cap of 6.

    Examples
    --------
    >>> import numpy as np
    >>> clipped_relu(np.array([-1.0, 2.0, 7.0]), 6.0)
    array([0., 2., 6.])
    """
    return np.minimum(relu(x), cap).astype(x.dtype, copy=False)


def clipped_relu_backward(dy: np.ndarray, y: np.ndarray, cap: float) -> np.ndarray:
    """Return dx of `clipped_relu`: ``dx = dy where 0 < y < cap``, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> clipped_relu_backward(np.array([5.0, 5.0, 5.0]), np.array([0.0, 2.0, 6.0]), 6.0)
    array([0., 5., 0.])
    """
    return np.where((y > 0) & (y < cap), dy, 0).astype(dy.dtype, copy=False)


def leaky_relu(x: np.ndarray, slope: float) -> np.ndarray:
    """Leaky rectifier, ``y = x where x > 0, else slope * x``.

    Source: Maas, Hannun, Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu(np.array([-2.0, 2.0]), 0.25)
    array([-0.5,  2. ])
    """
    if slope == 0:  # 0 * -inf would be NaN
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
