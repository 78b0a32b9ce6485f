"""Cross-entropy of logits."""

import numpy as np

from cconv.kernels import losses as loops
from cconv.ops.run import SERIAL_COSTLY, Array, Run
from cconv.threads import threads_for


def softmax_cross_entropies(
    logits: Array, labels_or_probs: Array, sample_weight: Array | None, run: Run | None = None
) -> tuple[Array, Array]:
    """Compare logits (m, n) with class numbers (m) or probabilities (m, n) -> losses (m), dlogits (m, n).

    Class numbers are int64. Each loss is weight times cross-entropy; dlogits is the gradient of their mean.
    """
    run = run or Run()
    m = logits.shape[0]
    dlogits = run.empty("dlogits", logits.shape, logits.dtype)
    losses = run.scratch(m * 8).view(np.float64)
    labels, probabilities = (labels_or_probs, None) if labels_or_probs.ndim == 1 else (None, labels_or_probs)
    if sample_weight is not None:
        sample_weight = np.ascontiguousarray(sample_weight, np.float64)
    arrays = logits, probabilities, labels, sample_weight, losses, dlogits
    run.call(loops.softmax_cross_entropy, *arrays, threads_for(logits.size, SERIAL_COSTLY))
    return losses, dlogits


def softmax_cross_entropy(
    logits: Array, labels_or_probs: Array, sample_weight: Array | None, run: Run | None = None
) -> tuple[float, Array]:
    """Return the mean of the losses of `softmax_cross_entropies`, and its gradient."""
    losses, dlogits = softmax_cross_entropies(logits, labels_or_probs, sample_weight, run)
    return loops.total(losses) / logits.shape[0], dlogits
