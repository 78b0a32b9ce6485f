"""The area under a curve over all thresholds: ROC or precision-recall."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cconv import ops
from cconv.arguments import finite, flag, one_of, positive_int
from cconv.arguments.control import controlled
from cconv.exactmath import log
from cconv.losses.base import EPSILON
from cconv.metrics.base import Metric
from cconv.metrics.checks import alike
from cconv.metrics.thresholds import counted, spread_pixels

CURVES, WAYS = ("ROC", "PR"), ("interpolation", "minoring", "majoring")


class AUC(Metric):
    """The area under the ROC or the precision-recall curve, approximated at some thresholds, as in Keras.

    Source of the interpolation between precisions: Davis and Goadrich 2006, "The relationship between
    precision-recall and ROC curves".

    Parameters
    ----------
    num_thresholds : int
        At least 2, evenly spaced from 0 to 1.
    curve : {"ROC", "PR"}
        Recall over the false positive rate, or precision over recall.
    summation_method : {"interpolation", "minoring", "majoring"}
        The height between two thresholds: interpolated, the lower or the higher one.
    name : str, optional
        In the logs.
    thresholds : sequence of float, optional
        In [0, 1]; 0 and 1 are added. `num_thresholds` is then their number.
    multi_label : bool
        Return the mean of the areas of the last axis' entries, instead of one area for all of them.
    num_labels : int, optional
        Number of labels, with `multi_label`.
    label_weights : sequence of float, optional
        Weights of the labels.
    from_logits : bool
        Whether to apply a sigmoid to the predictions first.

    Examples
    --------
    >>> round(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]), 6)
    0.75
    """

    rising = True

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        *,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name)
        self.curve: str = one_of("AUC", "curve", curve, CURVES)
        self.summation_method: str = one_of("AUC", "summation_method", summation_method, WAYS)
        self.multi_label: bool = flag("AUC", "multi_label", multi_label)
        self.from_logits: bool = flag("AUC", "from_logits", from_logits)
        if num_labels is not None and not self.multi_label:
            raise ValueError(f"AUC: num_labels must be None without multi_label, got {num_labels!r}")
        self.num_labels = None if num_labels is None else positive_int("AUC", "num_labels", num_labels)
        self.label_weights: list[float] | None = (
            None
            if label_weights is None
            else [finite("AUC", "label_weights", each) for each in label_weights]
        )
        self.thresholds: list[float] | None = None
        if thresholds is not None:
            self.thresholds = sorted(finite("AUC", "thresholds", each) for each in thresholds)
            inner = np.array(self.thresholds, np.float64)
        else:
            if positive_int("AUC", "num_thresholds", num_thresholds) < 2:
                raise ValueError(f"AUC: num_thresholds must be at least 2, got {num_thresholds!r}")
            inner = np.arange(1, num_thresholds - 1) / (num_thresholds - 1)
        self.num_thresholds: int = len(inner) + 2
        self._places = np.array([-EPSILON, *inner, 1 + EPSILON])
        self.reset_state()

    def reset_state(self) -> None:
        """Reset all counts."""
        self.counts: np.ndarray | None = None  # (labels, 4, thresholds)

    @controlled
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        true, pred = alike(self.name, y_true, y_pred)
        if self.from_logits:
            pred = ops.sigmoid(np.ascontiguousarray(pred, np.float64))
        weight = spread_pixels(self.name, sample_weight, pred.shape)
        labels = self._labels(pred.shape)
        if self.label_weights is not None and not self.multi_label:
            by_label = np.broadcast_to(np.array(self.label_weights), pred.shape)
            weight = by_label if weight is None else weight * by_label
        if self.thresholds is None:
            pred = np.clip(pred, 0, 1)
        weights = [None] * labels if weight is None else weight.reshape(-1, labels).T
        columns = zip(true.reshape(-1, labels).T, pred.reshape(-1, labels).T, weights, strict=True)
        found = np.stack([counted(*column, self._places) for column in columns])
        self.counts = found if self.counts is None else self.counts + found

    def _labels(self, shape: tuple[int, ...]) -> int:
        """Return the number of areas; ValueError if predictions of that shape do not fit."""
        if not self.multi_label:
            return 1
        labels = shape[-1]
        known = self.num_labels or (labels if self.counts is None else len(self.counts))
        weights = labels if self.label_weights is None else len(self.label_weights)
        if len(shape) != 2 or labels != known or labels != weights:
            raise ValueError(
                f"{self.name}: y_pred must have shape (n, {known if labels != known else weights}) with "
                f"multi_label, got {shape}"
            )
        return labels

    @controlled
    def result(self) -> float:
        """Return the area; 0 without samples."""
        if self.counts is None:
            return 0.0
        areas = np.array([self._area(*label) for label in self.counts])
        if self.label_weights is None or not self.multi_label:
            return float(areas.mean())
        weights = np.array(self.label_weights)
        return float(_ratio((areas * weights).sum(), weights.sum()))

    def _area(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> float:
        """Return the area of one label; thresholds rise, so the curve is traversed from its far end."""
        recall = _ratio(tp, tp + fn)
        if self.curve == "ROC":
            x, y = _ratio(fp, fp + tn), recall
        elif self.summation_method == "interpolation":
            return _interpolated(tp, tp + fp, tp + fn)
        else:
            x, y = recall, _ratio(tp, tp + fp)
        both = y[:-1], y[1:]
        heights = {
            "interpolation": (both[0] + both[1]) / 2,
            "minoring": np.minimum(*both),
            "majoring": np.maximum(*both),
        }[self.summation_method]
        return float(((x[:-1] - x[1:]) * heights).sum())


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros(np.shape(a)), where=np.asarray(b) != 0)


def _interpolated(tp: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> float:
    """Return the area under precision over recall, with true positives linear between thresholds."""
    more_right, more = tp[:-1] - tp[1:], predicted[:-1] - predicted[1:]
    slope = _ratio(more_right, np.maximum(more, 0))
    start = tp[1:] - slope * predicted[1:]
    known = (predicted[:-1] > 0) & (predicted[1:] > 0)
    growth = np.where(known, _ratio(predicted[:-1], np.maximum(predicted[1:], 0)), 1.0)
    growth = np.where(growth > 0, growth, 1.0)
    return float(_ratio(slope * (more_right + start * log(growth)), np.maximum(true[1:], 0)).sum())
