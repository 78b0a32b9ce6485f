"""Normalisation of groups of channels of each sample, forward and backward."""

import numpy as np


def group_normalization(
    x: np.ndarray,
    groups: int,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    epsilon: float = 1e-3,
) -> np.ndarray:
    """Normalise each sample of x (n, …, c) by the statistics of `groups` groups of neighbouring channels.

    With a sample as m pixels p, and each group g of d channels j::

        mean[g]     = 1/(m*d) * sum over p, j of x[p,g,j]
        variance[g] = 1/(m*d) * sum over p, j of (x[p,g,j] - mean[g])**2
        y[p,g,j]    = gamma[g,j] * (x[p,g,j] - mean[g]) / sqrt(variance[g] + eps) + beta[g,j]

    Source: Wu & He 2018, "Group normalization", equations 1, 2 and 7.

    Examples
    --------
    >>> import numpy as np
    >>> group_normalization(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, epsilon=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    grouped, mean, inverse = _statistics(x, groups, epsilon)
    y = ((grouped - mean) * inverse).reshape(x.shape)
    if gamma is not None:
        y = gamma * y
    return y if beta is None else y + beta


def _statistics(x: np.ndarray, groups: int, epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x as (n, m, g, d), and the mean and 1 / deviation of each group."""
    grouped = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean, variance = (f(axis=(1, 3), keepdims=True) for f in (grouped.mean, grouped.var))
    return grouped, mean, 1 / np.sqrt(variance + epsilon)


def group_normalization_backward(
    dy: np.ndarray, x: np.ndarray, groups: int, gamma: np.ndarray | None = None, epsilon: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dgamma, dbeta) of `group_normalization`.

    With xhat the normalised x, and h = gamma * dy::

        dx     = inverse * (h - mean of h - xhat * mean of (h * xhat)), means over each group
        dgamma = sum over samples and pixels of dy * xhat
        dbeta  = sum over samples and pixels of dy

    Source: Wu & He 2018, the chain rule carried out.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy = np.array([[1.0, 3.0, 10.0, 30.0]]), np.array([[1.0, 0.0, 0.0, 1.0]])
    >>> dx, _, dbeta = group_normalization_backward(dy, x, 1)
    >>> bool(abs(dx.sum()) < 1e-12), dbeta
    (True, array([1., 0., 0., 1.]))
    """
    c = x.shape[-1]
    grouped, mean, inverse = _statistics(x, groups, epsilon)
    xhat = (grouped - mean) * inverse
    h = (dy if gamma is None else gamma * dy).reshape(grouped.shape)
    dx = inverse * (
        h - h.mean(axis=(1, 3), keepdims=True) - xhat * (h * xhat).mean(axis=(1, 3), keepdims=True)
    )
    products = dy.reshape(-1, c) * xhat.reshape(-1, c)
    return dx.reshape(x.shape), products.sum(axis=0), dy.reshape(-1, c).sum(axis=0)
