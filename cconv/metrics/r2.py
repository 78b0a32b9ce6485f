"""R²: the fraction of the targets' variance that predictions explain."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int
from cconv.metrics.base import Metric
from cconv.metrics.checks import alike
from cconv.metrics.thresholds import spread_pixels

AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """The coefficient of determination ``1 - Σ(t - p)² / Σ(t - mean t)²`` of each output, as in Keras.

    For an output with constant targets it is 0, or NaN if the predictions are exact.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}
        The mean over the outputs, their mean weighted by the targets' variance, or an array of all outputs.
    num_regressors : int
        p of the adjusted score ``1 - (1 - r²)(n - 1) / (n - p - 1)``, with n the number of targets of all
        outputs together; 0 for the plain score.
    name : str
        In the logs.

    Examples
    --------
    >>> round(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]), 6)
    0.571429
    """

    rising = True

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        if class_aggregation not in AGGREGATIONS:
            known = ", ".join(map(repr, AGGREGATIONS))
            raise ValueError(f"{where}: class_aggregation must be one of {known}, got {class_aggregation!r}")
        if not is_int(num_regressors):
            raise TypeError(f"{where}: num_regressors must be an int of at least 0, got {num_regressors!r}")
        if num_regressors < 0:
            raise ValueError(f"{where}: num_regressors must be an int of at least 0, got {num_regressors!r}")
        self.class_aggregation = class_aggregation
        self.num_regressors: int = int(num_regressors)
        self.gives_number = class_aggregation is not None
        self.reset_state()

    def reset_state(self) -> None:
        """Reset all sums."""
        self.sums: np.ndarray | None = None  # (4, outputs): weights, targets, their squares, squared errors
        self.shift: np.ndarray | None = None  # subtracted from all targets: the first sample's targets
        self.n: int = 0

    @controlled
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch: targets and predictions of shape (n, outputs) or (n,); see `Metric.update_state`."""
        true, pred = (a.astype(np.float64) for a in alike(self.name, y_true, y_pred))
        if true.ndim == 1:
            true, pred = true[:, np.newaxis], pred[:, np.newaxis]
        known = true.shape[-1] if self.sums is None else self.sums.shape[1]
        if true.ndim != 2 or true.shape[1] != known:
            outputs = "outputs" if self.sums is None else known
            raise ValueError(f"{self.name}: y_pred must have shape (n, {outputs}), got {pred.shape}")
        weight = spread_pixels(self.name, sample_weight, true.shape)
        counts = np.ones(true.shape) if weight is None else np.broadcast_to(weight, true.shape)
        shift = true[0] if self.shift is None else self.shift
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinities are allowed
            shifted = true - shift
            parts = np.stack([counts, counts * shifted, counts * shifted**2, counts * (true - pred) ** 2])
            sums = parts.sum(axis=1)
        self.sums, self.shift = sums if self.sums is None else self.sums + sums, shift
        self.n = self.n + true.size

    @controlled
    def result(self) -> Any:
        """Return the score, or an array of each output's score; 0 without samples."""
        if self.sums is None:
            return 0.0
        count, total, squares, errors = self.sums
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = squares - total * (total / count)
            scores = 1 - errors / spread
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                scores = scores.mean()
            elif self.class_aggregation is not None:
                scores = (spread * scores).sum() / spread.sum()
        found = self._adjusted(scores)
        return found if self.class_aggregation is None else float(found)

    def _adjusted(self, scores: Any) -> Any:
        left = self.n - self.num_regressors - 1
        if not self.num_regressors:
            return scores
        if left <= 0:
            warnings.warn(
                f"{self.name}: num_regressors must be below the number of targets less one for the adjusted "
                f"score, got {self.num_regressors} of {self.n} targets: this is the plain one",
                stacklevel=3,
            )
            return scores
        return 1 - (1 - scores) * (self.n - 1) / left
