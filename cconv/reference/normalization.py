"""Batch normalisation, forward and backward."""

import numpy as np


def batch_normalization(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalise the channels (the last axis) by the statistics of a batch; returns (y, mean, variance).

    With all other axes flattened into m rows r::

        mean[c]     = 1/m * sum over r of x[r,c]
        variance[c] = 1/m * sum over r of (x[r,c] - mean[c])**2
        y[r,c]      = gamma[c] * (x[r,c] - mean[c]) / sqrt(variance[c] + eps) + beta[c]

    Source: Ioffe & Szegedy 2015, "Batch normalization: accelerating deep network training by
    reducing internal covariate shift", algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> batch_normalization(np.array([[1.0], [3.0]]), one, 0 * one, epsilon=0.0)
    (array([[-1.],
           [ 1.]]), array([2.]), array([1.]))
    """
    rows = x.reshape(-1, x.shape[-1])
    mean, variance = rows.mean(axis=0), rows.var(axis=0)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta, mean, variance


def batch_normalization_backward(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, epsilon: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dgamma, dbeta) of `batch_normalization`.

    With xhat the normalised x, and m rows r::

        dbeta[c]  = sum over r of dy[r,c]
        dgamma[c] = sum over r of dy[r,c] * xhat[r,c]
        dx[r,c]   = gamma[c] / sqrt(variance[c] + eps) * (dy[r,c] - dbeta[c] / m - xhat[r,c] * dgamma[c] / m)

    Source: Ioffe & Szegedy 2015, section 3, the chain rule carried out.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy, one = np.array([[1.0], [3.0], [8.0]]), np.array([[1.0], [0.0], [0.0]]), np.ones(1)
    >>> dx, dgamma, dbeta = batch_normalization_backward(dy, x, one, epsilon=0.0)
    >>> bool(abs(dx.sum()) < 1e-12), dbeta
    (True, array([1.]))
    """
    c = x.shape[-1]
    rows, dy_rows = x.reshape(-1, c), dy.reshape(-1, c)
    inverse = 1 / np.sqrt(rows.var(axis=0) + epsilon)
    xhat = (rows - rows.mean(axis=0)) * inverse
    dbeta, dgamma = dy_rows.sum(axis=0), (dy_rows * xhat).sum(axis=0)
    dx = gamma * inverse * (dy_rows - dbeta / len(rows) - xhat * dgamma / len(rows))
    return dx.reshape(x.shape), dgamma, dbeta
