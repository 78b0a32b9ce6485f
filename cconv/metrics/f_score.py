"""F scores: means of precision and recall."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments import finite
from cconv.arguments.control import controlled
from cconv.losses.base import EPSILON
from cconv.metrics.base import Metric
from cconv.metrics.checks import alike
from cconv.metrics.thresholds import spread_pixels

AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """Weighted harmonic mean of precision and recall, ``(1 + b²) p r / (b² p + r)``, per class; as in Keras.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        None: `result` is an array of all classes. "micro" counts all classes together; "macro" is the mean
        over the classes, "weighted" their mean weighted by the classes' frequencies among the targets.
    beta : float
        b, above 0: the weight of recall.
    threshold : float, optional
        In (0, 1]: classes with a higher score are predicted; by default only the class with the largest
        score.
    name : str
        In the logs.

    Examples
    --------
    >>> score = FBetaScore(beta=2.0, threshold=0.5)
    >>> score([[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.6, 0.2, 0.8]]).round(4)
    array([0.5556, 1.    , 0.8333])
    """

    rising = True

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        if average not in AVERAGES:
            raise ValueError(
                f"{where}: average must be None, 'micro', 'macro' or 'weighted', got {average!r}"
            )
        self.average = average
        self.beta: float = finite(where, "beta", beta)
        if self.beta <= 0:
            raise ValueError(f"{where}: beta must be above 0, got {beta!r}")
        self.threshold = None if threshold is None else finite(where, "threshold", threshold)
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"{where}: threshold must be in (0, 1], got {threshold!r}")
        self.gives_number = average is not None
        self.reset_state()

    def reset_state(self) -> None:
        """Reset all counts."""
        self.counts: np.ndarray | None = None  # (3, classes): TP, FP, FN

    @controlled
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch: targets and predictions of shape (n, classes); see `Metric.update_state`."""
        true, pred = alike(self.name, y_true, y_pred)
        known = pred.shape[-1] if self.counts is None or self.average == "micro" else self.counts.shape[1]
        if pred.ndim != 2 or pred.shape[1] != known:
            classes = "classes" if self.counts is None else known
            raise ValueError(f"{self.name}: y_pred must have shape (n, {classes}), got {pred.shape}")
        if self.threshold is None:
            yes = (pred >= pred.max(axis=-1, keepdims=True)) & (np.abs(pred) > 1e-9)
        else:
            yes = pred > self.threshold
        found, wanted = yes.astype(np.float64), true.astype(np.float64)
        weight = spread_pixels(self.name, sample_weight, pred.shape)
        parts = np.stack([found * wanted, found * (1 - wanted), (1 - found) * wanted])
        sums = (parts if weight is None else parts * weight).sum(axis=1)
        if self.average == "micro":
            sums = sums.sum(axis=1, keepdims=True)
        self.counts = sums if self.counts is None else self.counts + sums

    @controlled
    def result(self) -> Any:
        """Return the score, or an array of each class' score; 0 without samples."""
        if self.counts is None:
            return 0.0
        right, wrong, missed = self.counts
        precision, recall = right / (right + wrong + EPSILON), right / (right + missed + EPSILON)
        squared = self.beta**2
        scores = precision * recall / (squared * precision + recall + EPSILON) * (1 + squared)
        if self.average is None:
            return scores
        if self.average == "weighted":
            often = right + missed
            return float((scores * often / (often.sum() + EPSILON)).sum())
        return float(scores.mean())


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall, ``2 p r / (p + r)``, per class; see `FBetaScore`.

    Parameters
    ----------
    average, threshold, name
        See `FBetaScore`.

    Examples
    --------
    >>> F1Score(average="micro", threshold=0.5)([[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.6, 0.2, 0.8]])
    0.7499999...
    """

    def __init__(
        self, average: str | None = None, threshold: float | None = None, name: str = "f1_score"
    ) -> None:
        super().__init__(average, 1.0, threshold, name)
