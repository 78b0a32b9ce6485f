"""Normalisation of rows by their own statistics, forward and backward."""

import numpy as np


def layer_normalization(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    epsilon: float = 1e-3,
    rule: str = "layer",
) -> np.ndarray:
    """Normalise the rows (the last axis) of x (…, n), each by its own statistics.

    For a row x of n elements, with mean and variance (biased) over the row::

        layer    xhat = (x - mean) / sqrt(variance + eps)
        scaling  xhat = x / sqrt(variance + eps)
        rms      xhat = x / sqrt(mean of x**2 + eps)
        unit     xhat = x * min(1 / sqrt(sum of x**2), 1 / eps)
        y = gamma * xhat + beta

    Source: Ba, Kiros & Hinton 2016, "Layer normalization", equations 3 and 4; Zhang & Sennrich 2019, "Root
    mean square layer normalization", equation 4. ``"scaling"`` is Keras' ``rms_scaling``.

    Examples
    --------
    >>> import numpy as np
    >>> layer_normalization(np.array([[1.0, 3.0]]), epsilon=0.0)
    array([[-1.,  1.]])
    """
    mean, inverse = _statistics(x, epsilon, rule)
    xhat = (x - mean if rule == "layer" else x) * inverse
    y = xhat if gamma is None else gamma * xhat
    return y if beta is None else y + beta


def _statistics(x: np.ndarray, epsilon: float, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each row, and the number `inverse` that multiplies the row."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    squares = (x * x).sum(axis=-1, keepdims=True)
    if rule == "unit":
        with np.errstate(divide="ignore"):
            return mean, np.minimum(1 / np.sqrt(squares), 1 / epsilon)
    return mean, 1 / np.sqrt((squares / x.shape[-1] if rule == "rms" else variance) + epsilon)


def layer_normalization_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    epsilon: float = 1e-3,
    rule: str = "layer",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dgamma, dbeta) of `layer_normalization`.

    With g = gamma * dy::

        layer    dx = inverse * (g - mean of g - xhat * mean of (g * xhat))
        scaling  dx = inverse * g - (x - mean) * inverse**3 * mean of (g * x)
        rms      dx = inverse * (g - xhat * mean of (g * xhat))
        unit     dx = inverse * (g - xhat * sum of (g * xhat)), or inverse * g where inverse is 1 / eps
        dgamma   = sum over rows of dy * xhat
        dbeta    = sum over rows of dy

    where `inverse` multiplies x - mean (layer) or x in `layer_normalization`, and xhat is the product.
    Source: the chain rule carried out; for ``"layer"``, Ba, Kiros & Hinton 2016, supplementary material.

    Examples
    --------
    >>> import numpy as np
    >>> dx, _, dbeta = layer_normalization_backward(np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 3.0, 8.0]]))
    >>> bool(abs(dx.sum()) < 1e-12), dbeta
    (True, array([1., 0., 0.]))
    """
    n = x.shape[-1]
    mean, inverse = _statistics(x, epsilon, rule)
    xhat = (x - mean if rule == "layer" else x) * inverse
    g = dy if gamma is None else gamma * dy
    dot = (g * xhat).sum(axis=-1, keepdims=True)
    if rule == "layer":
        dx = inverse * (g - g.mean(axis=-1, keepdims=True) - xhat * dot / n)
    elif rule == "scaling":
        dx = inverse * g - (x - mean) * inverse**2 * dot / n
    elif rule == "rms":
        dx = inverse * (g - xhat * dot / n)
    else:
        dx = inverse * np.where(inverse < 1 / epsilon, g - xhat * dot, g)
    return dx, (dy * xhat).reshape(-1, n).sum(axis=0), dy.reshape(-1, n).sum(axis=0)
