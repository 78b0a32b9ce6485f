"""Cross-entropy of logits."""

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.ops.run import Run


@controlled
def softmax_cross_entropy(
    logits: ArrayLike, labels_or_probs: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, np.ndarray]:
    """Cross-entropy of softmax(logits), its mean over the samples, and its gradient (Bishop 2006, eq. 4.108).

    Parameters
    ----------
    logits : array-like (…, classes)
        Scores; the leading axes, at least one, count samples.
    labels_or_probs : array-like
        Class numbers (…), or one-hot rows or probabilities (…, classes).
    sample_weight : array-like (…), optional
        Factors of the samples' losses, at least 0. The mean still divides by the number of samples.

    Returns
    -------
    loss : float
        The mean; 0 if there are no samples.
    dlogits : ndarray of logits' shape

    Raises
    ------
    TypeError, ValueError, MemoryError
        See `cconv.functional`.

    Examples
    --------
    >>> import numpy as np
    >>> loss, dlogits = softmax_cross_entropy(np.zeros((1, 4)), [2])
    >>> round(loss, 6), dlogits
    (1.386294, array([[ 0.25,  0.25, -0.75,  0.25]]))
    """
    where = "softmax_cross_entropy"
    logits = arguments.as_activations(where, "logits", logits, None, may_be_empty=True)
    if logits.ndim < 2:
        raise ValueError(f"{where}: logits must have shape (…, classes), got shape {logits.shape}")
    labels = arguments.as_labels(where, "labels_or_probs", labels_or_probs, logits)
    weight = arguments.as_sample_weight(where, "sample_weight", sample_weight, logits)
    if not logits.size:
        return 0.0, np.empty(logits.shape, logits.dtype)
    loss, dlogits = ops.softmax_cross_entropy(logits.reshape(-1, logits.shape[-1]), labels, weight, Run())
    return loss, dlogits.reshape(logits.shape)
