"""Decisions at thresholds: counts of right and wrong ones, precision and recall."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, is_int, positive_int
from cconv.metrics.base import Metric
from cconv.metrics.checks import alike
from cconv.metrics.confusion import spread

LEAST = -1e10  # the score of predictions outside the k best, and a threshold that the k best exceed
DECISIONS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def counted(
    true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, thresholds: np.ndarray
) -> np.ndarray:
    """Return the weight of each of `DECISIONS` at each threshold: float64 (4, thresholds).

    `true`, `pred` and the weights are flat; a target other than 0 is positive. Thresholds rise. A prediction
    above a threshold, as a number of its own dtype, is positive; NaN never is.
    """
    places = thresholds.astype(pred.dtype)
    passed = np.where(np.isnan(pred), 0, np.searchsorted(places, pred, side="left"))
    count = len(thresholds) + 1
    positive = true != 0
    # From "how many thresholds did a prediction pass" to "how many predictions passed threshold i".
    yes, no = (
        np.bincount(passed[which], None if weight is None else weight[which], count).astype(np.float64)
        for which in (positive, ~positive)
    )
    right, wrong = (np.cumsum(each[::-1])[::-1][1:] for each in (yes, no))
    return np.stack([right, wrong, no.sum() - wrong, yes.sum() - right])


def spread_pixels(where: str, weight: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return one weight for each element of predictions of that shape; a pixel's elements share one."""
    if weight is None:
        return None
    outer = shape[:-1] if len(shape) > 1 else shape
    each = spread(where, weight, outer).reshape(outer + (1,) * (len(shape) - len(outer)))
    return np.broadcast_to(each, shape)


class _Decisions(Metric):
    """Counts decisions at some thresholds."""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None,
        top_k: int | None,
        class_id: int | None,
        name: str | None,
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        self.thresholds = thresholds
        self.top_k = None if top_k is None else positive_int(where, "top_k", top_k)
        if class_id is not None and (not is_int(class_id) or class_id < 0):
            raise ValueError(f"{where}: class_id must be an int of at least 0 or None, got {class_id!r}")
        self.class_id = class_id
        given = [0.5 if top_k is None else LEAST] if thresholds is None else thresholds
        self._places = np.array(
            [
                finite(where, "thresholds", each)
                for each in (given if isinstance(given, list | tuple | np.ndarray) else [given])
            ]
        )
        if not self._places.size or (
            thresholds is not None and ((self._places < 0) | (self._places > 1)).any()
        ):
            raise ValueError(f"{where}: thresholds must be in [0, 1], got {thresholds!r}")
        self.gives_number = self._places.size == 1
        self.reset_state()

    def reset_state(self) -> None:
        """Reset all counts."""
        self.counts: np.ndarray = np.zeros((4, self._places.size))

    @controlled
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        true, pred = alike(self.name, y_true, y_pred)
        weight = spread_pixels(self.name, sample_weight, pred.shape)
        if self.top_k is not None:
            places = np.argsort(-pred, axis=-1, kind="stable").argsort(axis=-1, kind="stable")
            pred = np.where(places < self.top_k, pred, LEAST)
        if self.class_id is not None:
            if pred.ndim < 2 or self.class_id >= pred.shape[-1]:
                raise ValueError(
                    f"{self.name}: y_pred must have a class {self.class_id} along its last axis, "
                    f"got shape {pred.shape}"
                )
            true, pred = true[..., self.class_id], pred[..., self.class_id]
            weight = None if weight is None else weight[..., self.class_id]
        order = np.argsort(self._places, kind="stable")
        flat = None if weight is None else weight.reshape(-1)
        found = counted(true.reshape(-1), pred.reshape(-1), flat, self._places[order])
        self.counts = self.counts + found[:, np.argsort(order, kind="stable")]

    def _figure(self, values: np.ndarray) -> Any:
        return float(values[0]) if self.gives_number else values.copy()

    def _share_of(self, other: int) -> Any:
        """Return true positives divided by the sum of true positives and `other`; 0 if the sum is 0."""
        right, all_of_them = self.counts[0], self.counts[0] + self.counts[other]
        shares = np.divide(right, all_of_them, out=np.zeros_like(right), where=all_of_them != 0)
        return self._figure(shares)


class Precision(_Decisions):
    """The fraction of positive predictions that are true: ``TP / (TP + FP)``.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        In [0, 1]: predictions above it are positive; by default 0.5. For several `result` is an array.
    top_k : int, optional
        Only the k largest scores of each sample can be positive.
    class_id : int, optional
        Only this entry of the last axis is evaluated.
    name : str, optional
        In the logs.

    Examples
    --------
    >>> Precision()([0, 1, 1, 1], [1, 0, 1, 1])
    0.6666666666666666
    """

    rising = True

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(thresholds, top_k, class_id, name)

    @controlled
    def result(self) -> Any:
        """Return the precision, or an array with one per threshold; 0 without positive predictions."""
        return self._share_of(1)


class Recall(_Decisions):
    """The fraction of positive targets that are predicted: ``TP / (TP + FN)``.

    Parameters
    ----------
    thresholds, top_k, class_id, name
        See `Precision`.

    Examples
    --------
    >>> Recall()([0, 1, 1, 1], [1, 0, 1, 1])
    0.6666666666666666
    """

    rising = True

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(thresholds, top_k, class_id, name)

    @controlled
    def result(self) -> Any:
        """Return the recall, or an array with one per threshold; 0 without positive targets."""
        return self._share_of(3)


class _DecisionCount(_Decisions):
    """The number of decisions of one kind."""

    _which = 0

    def __init__(self, thresholds: float | Sequence[float] | None = None, name: str | None = None) -> None:
        super().__init__(thresholds, None, None, name)

    @controlled
    def result(self) -> Any:
        """Return their number (or sum of weights), or an array with one per threshold."""
        return self._figure(self.counts[self._which])


class TruePositives(_DecisionCount):
    """The number of positive targets that are predicted as positive.

    Parameters
    ----------
    thresholds, name
        See `Precision`.

    Examples
    --------
    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    _which = 0


class FalsePositives(_DecisionCount):
    """The number of negative targets that are predicted as positive.

    Parameters
    ----------
    thresholds, name
        See `Precision`.

    Examples
    --------
    >>> FalsePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    _which = 1


class TrueNegatives(_DecisionCount):
    """The number of negative targets that are predicted as negative.

    Parameters
    ----------
    thresholds, name
        See `Precision`.

    Examples
    --------
    >>> TrueNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    0.0
    """

    _which = 2


class FalseNegatives(_DecisionCount):
    """The number of positive targets that are predicted as negative.

    Parameters
    ----------
    thresholds, name
        See `Precision`.

    Examples
    --------
    >>> FalseNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    _which = 3
