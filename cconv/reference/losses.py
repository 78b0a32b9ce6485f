"""Cross-entropy, of logits and of probabilities."""

import numpy as np

from cconv.reference.activations import log_softmax, softmax


def softmax_cross_entropy(
    logits: np.ndarray, labels_or_probs: np.ndarray, sample_weight: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Cross-entropy of softmax(logits): its mean over the samples, and its gradient.

    With the leading axes flattened into n samples r, true probabilities p (a class number
    means all probability on that class) and weights w (1 if there are none)::

        loss         = -1/n * sum over r of w[r] * sum over k of p[r,k] * log_softmax(z[r])[k]
        dlogits[r,k] = w[r] / n * (softmax(z[r])[k] * (sum over j of p[r,j]) - p[r,k])

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
    dlogits = (w / n)[:, np.newaxis] * (softmax(z) * p.sum(axis=1, keepdims=True) - p)
    return float(loss), dlogits.reshape(logits.shape)


def categorical_crossentropy(
    p: np.ndarray,
    labels_or_probs: np.ndarray,
    sample_weight: np.ndarray | None = None,
    epsilon: float = 1e-7,
) -> tuple[float, np.ndarray]:
    """Cross-entropy of predictions p that need not sum to one: its mean, and its gradient with respect to p.

    With the leading axes flattened into n samples r, true probabilities t (a class number
    means all probability on that class) and weights w (1 if there are none)::

        s[r]      = sum over k of p[r,k]
        q[r,k]    = p[r,k] / s[r], cut to epsilon and 1 - epsilon
        loss      = -1/n * sum over r of w[r] * sum over k of t[r,k] * log(q[r,k])
        dp[r,j]   = w[r] / (n * s[r]) * (sum over k of u[r,k] - u[r,j] / q[r,j])
        u[r,k]    = t[r,k], or 0 where q[r,k] was cut, because the loss is flat there

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
