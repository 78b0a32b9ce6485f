"""Dense layers, activations, and the loss of a classifier."""

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
    """Logistic function, ``y = 1 / (1 + exp(-x))``, with exp of nothing positive, which would overflow.

    Source: Verhulst 1845; for x < 0 the same divided through by exp(-x): ``exp(x) / (1 + exp(x))``.

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

    Taking m out changes nothing but keeps exp from overflowing.
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


def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, activation: str | None = None
) -> np.ndarray:
    """Affine map of the last axis, ``y[..., o] = b[o] + sum over i of x[..., i] * K[i, o]``.

    Source: Goodfellow, Bengio, Courville 2016, "Deep Learning", eq. 6.3.

    Examples
    --------
    >>> import numpy as np
    >>> dense(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [10.0, 1.0]]), np.array([0.5, 0.5]))
    array([[21.5,  2.5]])
    """
    y = x @ kernel
    if bias is not None:
        y = y + bias
    return ACTIVATIONS[activation](y)


def dense_backward(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dkernel, dbias) of `dense` without activation.

    With the leading axes of x and dy flattened into one of rows r::

        dx[r,i] = sum over o of dy[r,o] * K[i,o]
        dK[i,o] = sum over r of x[r,i] * dy[r,o]
        db[o]   = sum over r of dy[r,o]

    Source: Goodfellow, Bengio, Courville 2016, "Deep Learning", algorithm 6.4.

    Examples
    --------
    >>> import numpy as np
    >>> dense_backward(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[5.0], [7.0]]))
    (array([[5., 7.]]), array([[2.],
           [3.]]), array([1.]))
    """
    inputs, outputs = kernel.shape
    dy_rows = dy.reshape(-1, outputs)
    return dy @ kernel.T, x.reshape(-1, inputs).T @ dy_rows, dy_rows.sum(axis=0)


def softmax_cross_entropy(
    logits: np.ndarray, labels_or_probs: np.ndarray, sample_weight: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Cross-entropy of softmax(logits), its mean over the samples, and its gradient.

    With the leading axes flattened into one of n samples r, true probabilities p (a class number
    means all probability on that class) and weights w (1 if there are none)::

        loss         = -1/n * sum over r of w[r] * sum over k of p[r,k] * log_softmax(z[r])[k]
        dlogits[r,k] = w[r] / n * (softmax(z[r])[k] - p[r,k])

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", eqs. 4.108 and 4.109; the mean
    over all samples, weighted or not, is Keras' sum_over_batch_size.

    Examples
    --------
    >>> import numpy as np
    >>> loss, dlogits = softmax_cross_entropy(np.log([[1.0, 3.0]]), np.array([1]))
    >>> round(loss, 6), dlogits
    (0.287682, array([[ 0.25, -0.25]]))
    """
    classes = logits.shape[-1]
    z = logits.reshape(-1, classes)
    if labels_or_probs.shape == logits.shape:
        p = labels_or_probs.reshape(-1, classes).astype(z.dtype)
    else:
        p = np.eye(classes, dtype=z.dtype)[labels_or_probs.reshape(-1)]
    n = max(len(z), 1)  # the loss of no samples is 0
    w = np.ones(len(z), z.dtype) if sample_weight is None else sample_weight.reshape(-1).astype(z.dtype)
    loss = -np.sum(w * np.sum(p * log_softmax(z), axis=1)) / n
    dlogits = (w / n)[:, np.newaxis] * (softmax(z) - p)
    return float(loss), dlogits.reshape(logits.shape)


def categorical_crossentropy(
    p: np.ndarray,
    labels_or_probs: np.ndarray,
    sample_weight: np.ndarray | None = None,
    epsilon: float = 1e-7,
) -> tuple[float, np.ndarray]:
    """Cross-entropy of predictions p that need not sum to one, its mean, and its gradient with respect to p.

    With the leading axes flattened into one of n samples r, true probabilities t (a class number
    means all probability on that class) and weights w (1 if there are none)::

        s[r]      = sum over k of p[r,k]
        q[r,k]    = p[r,k] / s[r], cut off at epsilon and 1 - epsilon
        loss      = -1/n * sum over r of w[r] * sum over k of t[r,k] * log(q[r,k])
        dp[r,j]   = w[r] / (n * s[r]) * (sum over k of u[r,k] - u[r,j] / q[r,j])
        u[r,k]    = t[r,k], or 0 where q[r,k] was cut off and the loss is flat

    Source: Keras 3, `keras.ops.categorical_crossentropy` with ``from_logits=False``.

    Examples
    --------
    >>> import numpy as np
    >>> loss, dp = categorical_crossentropy(np.array([[1.0, 1.0]]), np.array([1]))
    >>> round(loss, 6), dp
    (0.693147, array([[ 0.5, -0.5]]))
    """
    classes = p.shape[-1]
    rows = p.reshape(-1, classes)
    if labels_or_probs.shape == p.shape:
        t = labels_or_probs.reshape(-1, classes).astype(rows.dtype)
    else:
        t = np.eye(classes, dtype=rows.dtype)[labels_or_probs.reshape(-1)]
    n = len(rows)
    w = np.ones(n, rows.dtype) if sample_weight is None else sample_weight.reshape(-1).astype(rows.dtype)
    s = rows.sum(axis=1, keepdims=True)
    q = np.clip(rows / s, epsilon, 1 - epsilon)
    u = np.where(q == rows / s, t, 0)
    loss = -np.sum(w * np.sum(t * np.log(q), axis=1)) / n
    dp = (w / n)[:, np.newaxis] / s * (u.sum(axis=1, keepdims=True) - u / q)
    return float(loss), dp.reshape(p.shape)
