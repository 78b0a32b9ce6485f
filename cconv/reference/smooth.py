"""SiLU, GELU, ELU and similar functions, and their derivatives, which take x."""

import math

import numpy as np

from cconv.reference.activations import sigmoid

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def silu(x: np.ndarray) -> np.ndarray:
    """Sigmoid linear unit, ``y = x / (1 + exp(-x))``.

    Source: Elfwing, Uchibe, Doya 2018, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> silu(np.array([-np.inf, 0.0, 800.0]))
    array([ -0.,   0., 800.])
    """
    return _limited(x) * sigmoid(x)


def silu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = silu(x): ``dx = dy * s * (1 + x * (1 - s))``, s = sigmoid(x).

    Examples
    --------
    >>> import numpy as np
    >>> silu_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return dy * (sigmoid(x) * (1 + np.clip(x, -(2.0**100), 2.0**100) * sigmoid(-x)))


def _limited(x: np.ndarray) -> np.ndarray:
    """Return x, limited so that its product with zero is zero where x is -inf."""
    return np.clip(x, -(2.0**100), None)


def _bell(x: np.ndarray) -> np.ndarray:
    """Density of the normal distribution."""
    return np.exp(-np.square(_within(x)) / 2) / math.sqrt(2 * math.pi)


def _within(x: np.ndarray) -> np.ndarray:
    """Return x, cut to -40 … 40; beyond, the density of the normal distribution is 0 in float64."""
    return np.clip(x, -40, 40)


def normal_distribution(x: np.ndarray) -> np.ndarray:
    """Return Φ(x) = erfc(-x / √2) / 2, the normal distribution's probability below x, in float64.

    Examples
    --------
    >>> import numpy as np
    >>> normal_distribution(np.array([-np.inf, 0.0, np.inf]))
    array([0. , 0.5, 1. ])
    """
    return _erfc(-np.asarray(x, np.float64) / math.sqrt(2)) / 2


def gelu(x: np.ndarray) -> np.ndarray:
    """Gaussian error linear unit, ``y = x Φ(x)``, Φ the normal distribution.

    Source: Hendrycks & Gimpel 2016, "Gaussian error linear units (GELUs)", section 2.

    Examples
    --------
    >>> import numpy as np
    >>> gelu(np.array([-100.0, 0.0, 100.0]))
    array([ -0.,   0., 100.])
    """
    return (np.maximum(x, -40) * normal_distribution(x)).astype(x.dtype)


def gelu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = gelu(x): ``dx = dy * (Φ(x) + x exp(-x²/2) / √(2π))``.

    Examples
    --------
    >>> import numpy as np
    >>> gelu_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return (dy * (normal_distribution(x) + _within(x) * _bell(x))).astype(x.dtype)


def _inner(x: np.ndarray) -> np.ndarray:
    return 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """GELU's approximation, ``y = x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))``.

    It is computed as x times the sigmoid of twice the argument of tanh, which is the same.
    Source: Hendrycks & Gimpel 2016, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> gelu_tanh(np.array([-100.0, 0.0, 100.0]))
    array([ -0.,   0., 100.])
    """
    return np.maximum(x, -40) * sigmoid(_inner(_within(x)))


def gelu_tanh_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = x s(w), s the sigmoid: ``dx = dy * s(w) (1 + x w' s(-w))``.

    Examples
    --------
    >>> import numpy as np
    >>> gelu_tanh_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    x = _within(x)
    w, slope = _inner(x), 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return dy * (sigmoid(w) * (1 + x * slope * sigmoid(-w)))


def elu(x: np.ndarray, alpha: float) -> np.ndarray:
    """Exponential linear unit, ``y = x where x > 0, else alpha * (exp(x) - 1)``.

    Source: Clevert, Unterthiner, Hochreiter 2016, "Fast and accurate deep network learning by
    exponential linear units (ELUs)", eq. 15.

    Examples
    --------
    >>> import numpy as np
    >>> elu(np.array([-100.0, 0.0, 3.0]), 2.0)
    array([-2.,  0.,  3.])
    """
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


def elu_backward(dy: np.ndarray, x: np.ndarray, alpha: float) -> np.ndarray:
    """Return dx of `elu`: ``dx = dy where x > 0, else dy * alpha * exp(x)``.

    Examples
    --------
    >>> import numpy as np
    >>> elu_backward(np.array([4.0, 4.0]), np.array([0.0, 3.0]), 2.0)
    array([8., 4.])
    """
    return dy * np.where(x > 0, 1, x.dtype.type(alpha) * np.exp(np.minimum(x, 0)))


def selu(x: np.ndarray) -> np.ndarray:
    """Scaled ELU, ``y = 1.0507… · elu(x, 1.6733…)``, which keeps the mean 0 and the variance 1.

    Source: Klambauer, Unterthiner, Mayr, Hochreiter 2017, "Self-normalizing neural networks", eq. 2.

    Examples
    --------
    >>> import numpy as np
    >>> selu(np.array([-100.0, 0.0, 1.0]))
    array([-1.75809934,  0.        ,  1.05070099])
    """
    return x.dtype.type(SELU_SCALE) * elu(x, SELU_ALPHA)


def selu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of `selu`: the gradient of `elu`, scaled.

    Examples
    --------
    >>> import numpy as np
    >>> selu_backward(np.array([4.0]), np.array([2.0]))
    array([4.20280395])
    """
    return x.dtype.type(SELU_SCALE) * elu_backward(dy, x, SELU_ALPHA)


def softplus(x: np.ndarray) -> np.ndarray:
    """Smooth rectifier, ``y = log(1 + exp(x))``.

    Computed as ``max(x, 0) + log(1 + exp(-|x|))``, where nothing overflows.
    Source: Dugas, Bengio, Bélisle, Nadeau, Garcia 2001, "Incorporating second-order functional knowledge
    for better option pricing", section 2.

    Examples
    --------
    >>> import numpy as np
    >>> softplus(np.array([-1000.0, 0.0, 1.0]))
    array([0.        , 0.69314718, 1.31326169])
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = softplus(x): ``dx = dy * sigmoid(x)``.

    Examples
    --------
    >>> import numpy as np
    >>> softplus_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return dy * sigmoid(x)


def softsign(x: np.ndarray) -> np.ndarray:
    """Sigmoid without exp, ``y = x / (1 + |x|)``.

    Source: Turian, Bergstra, Bengio 2009, "Quadratic features and deep architectures for chunking".

    Examples
    --------
    >>> import numpy as np
    >>> softsign(np.array([-np.inf, 0.0, 1.0]))
    array([-1. ,  0. ,  0.5])
    """
    v = np.clip(x, -(2.0**100), 2.0**100)
    return v / (1 + np.abs(v))


def softsign_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = softsign(x): ``dx = dy / (1 + |x|)²``.

    Examples
    --------
    >>> import numpy as np
    >>> softsign_backward(np.array([4.0]), np.array([1.0]))
    array([1.])
    """
    return dy * np.square(1 / (1 + np.abs(x)))


def _mish_tanh(x: np.ndarray) -> np.ndarray:
    """tanh(softplus(x)) = n / (n + 2), n = exp(x) (exp(x) + 2); it is 1 from x = 20 on."""
    e = np.exp(np.clip(x, None, 20))
    return e * (e + 2) / (e * (e + 2) + 2)


def mish(x: np.ndarray) -> np.ndarray:
    """Self-regularised unit, ``y = x · tanh(log(1 + exp(x)))``.

    Source: Misra 2019, "Mish: a self regularized non-monotonic activation function", eq. 1.

    Examples
    --------
    >>> import numpy as np
    >>> mish(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    return _limited(x) * _mish_tanh(_limited(x))


def mish_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = x t, t = tanh(softplus(x)): ``dx = dy * (t + x * (1 - t²) * sigmoid(x))``.

    Examples
    --------
    >>> import numpy as np
    >>> mish_backward(np.array([5.0]), np.array([0.0]))
    array([3.])
    """
    x = np.clip(x, -(2.0**100), 2.0**100)
    t = _mish_tanh(x)
    return dy * (t + x * ((1 - t**2) * sigmoid(x)))


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """Sigmoid made of three lines, ``y = min(max(x + 3, 0), 6) / 6``.

    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2; Keras 3.

    Examples
    --------
    >>> import numpy as np
    >>> hard_sigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return np.minimum(np.maximum(x + 3, 0), 6) / 6


def hard_sigmoid_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = hard_sigmoid(x): ``dx = dy / 6 where -3 < x < 3, else 0``.

    Examples
    --------
    >>> import numpy as np
    >>> hard_sigmoid_backward(np.array([6.0, 6.0]), np.array([0.0, 3.0]))
    array([1., 0.])
    """
    slope = np.where((x > -3) & (x < 3), x.dtype.type(1 / 6), x.dtype.type(0))
    return dy * np.where(np.isnan(x), x, slope)


def hard_silu(x: np.ndarray) -> np.ndarray:
    """SiLU made of three parts, ``y = x · hard_sigmoid(x)``, also called hard swish.

    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> hard_silu(np.array([-4.0, 0.0, 4.0]))
    array([-0.,  0.,  4.])
    """
    return np.maximum(x, -(2.0**100)) * hard_sigmoid(x)


def hard_silu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx of y = hard_silu(x): ``dx = dy * (2x + 3) / 6 where -3 < x < 3``, 0 below and dy above.

    Examples
    --------
    >>> import numpy as np
    >>> hard_silu_backward(np.array([6.0, 6.0]), np.array([0.0, 3.0]))
    array([3., 6.])
    """
    with np.errstate(invalid="ignore"):
        slope = np.where(x >= 3, x.dtype.type(1), (2 * x + 3) / 6)
    return dy * np.where(x <= -3, x.dtype.type(0), slope)


def exponential(x: np.ndarray) -> np.ndarray:
    """``y = exp(x)``.

    Source: Keras' activation of the same name.

    Examples
    --------
    >>> import numpy as np
    >>> exponential(np.array([-np.inf, 0.0]))
    array([0., 1.])
    """
    return np.exp(x)


def exponential_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx of y = exp(x): ``dx = dy * y``.

    Examples
    --------
    >>> import numpy as np
    >>> exponential_backward(np.array([4.0]), np.array([0.5]))
    array([2.])
    """
    return dy * y
