"""Intersection over union: how well areas are predicted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments import flag
from cconv.arguments.arrays import as_array
from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, is_int, positive_int
from cconv.losses.base import EPSILON, last_axis
from cconv.metrics.checks import both
from cconv.metrics.confusion import Counts, spread


class IoU(Counts):
    """Mean intersection over union of some classes: ``TP / (TP + FN + FP)``, as in Keras.

    Classes that neither occur nor are predicted are ignored, and so are class numbers out of range. Fractions
    of weights are kept; Keras drops them.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    target_class_ids : sequence of int
        The classes to evaluate.
    name : str, optional
        In the logs.
    ignore_class : int, optional
        Samples with this target are ignored.
    sparse_y_true, sparse_y_pred : bool
        Whether targets and predictions are class numbers; otherwise they are one-hot and scores.
    axis : -1
        Other axes are refused.

    Examples
    --------
    >>> round(IoU(2, [0])([0, 0, 1, 1], [0, 1, 0, 1]), 6)
    0.333333
    """

    rising = True

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name)
        where = type(self).__name__
        ids = list(target_class_ids)
        if not ids or not all(is_int(number) and 0 <= number < num_classes for number in ids):
            raise ValueError(f"{where}: target_class_ids must be ints in [0, {num_classes}), got {ids}")
        if ignore_class is not None and not is_int(ignore_class):
            raise TypeError(f"{where}: ignore_class must be an int or None, got {ignore_class!r}")
        self.target_class_ids, self.ignore_class = ids, ignore_class
        self.sparse_y_true: bool = flag(where, "sparse_y_true", sparse_y_true)
        self.sparse_y_pred: bool = flag(where, "sparse_y_pred", sparse_y_pred)
        self.axis: int = last_axis(where, axis)

    @controlled
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        true, pred = both(self.name, y_true, y_pred)
        true = true if self.sparse_y_true else true.argmax(axis=-1)
        pred = pred if self.sparse_y_pred else pred.argmax(axis=-1)
        if true.size != pred.size:
            raise ValueError(
                f"{self.name}: y_true must have as many class numbers as y_pred, {pred.shape}, "
                f"got {true.shape}"
            )
        with np.errstate(invalid="ignore"):
            true, pred = true.astype(np.int64).reshape(pred.shape), pred.astype(np.int64)
        counts = (true >= 0) & (true < self.num_classes) & (pred >= 0) & (pred < self.num_classes)
        if self.ignore_class is not None:
            counts &= true != self.ignore_class
        weight = counts.astype(np.float64)
        if sample_weight is not None:
            weight *= spread(self.name, sample_weight, counts.shape).reshape(counts.shape)
        self._count(np.where(counts, true, 0), np.where(counts, pred, 0), weight)

    @controlled
    def result(self) -> float:
        """Return the mean over the classes to evaluate."""
        right = np.diag(self.total_cm)
        union = self.total_cm.sum(axis=0) + self.total_cm.sum(axis=1) - right
        right, union = right[self.target_class_ids], union[self.target_class_ids]
        valid = union > 1e-9
        shares = np.where(valid, right / (union + EPSILON), 0.0)
        return float(shares.sum() / (valid.sum() + EPSILON))


class MeanIoU(IoU):
    """The mean of all classes' intersections over unions; see `IoU`.

    Parameters
    ----------
    num_classes, name, ignore_class, sparse_y_true, sparse_y_pred, axis
        See `IoU`.

    Examples
    --------
    >>> round(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]), 6)
    0.333333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(positive_int(type(self).__name__, "num_classes", num_classes)),
            name,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotIoU(IoU):
    """`IoU` for one-hot targets.

    Parameters
    ----------
    num_classes, target_class_ids, name, ignore_class, sparse_y_pred, axis
        See `IoU`.

    Examples
    --------
    >>> round(OneHotIoU(2, [1])([[0, 1], [0, 1]], [[0.2, 0.8], [0.6, 0.4]]), 6)
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot targets.

    Parameters
    ----------
    num_classes, name, ignore_class, sparse_y_pred, axis
        See `IoU`.

    Examples
    --------
    >>> round(OneHotMeanIoU(2)([[0, 1], [0, 1]], [[0.2, 0.8], [0.6, 0.4]]), 6)
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class BinaryIoU(IoU):
    """`IoU` of two classes; predictions of at least `threshold` count as class 1.

    Parameters
    ----------
    target_class_ids : sequence of 0 and 1
        The classes to evaluate.
    threshold : float
        Class 1 is predicted from this value on.
    name : str, optional
        In the logs.

    Examples
    --------
    >>> round(BinaryIoU([0, 1], threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 6)
    0.333333
    """

    def __init__(
        self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5, name: str | None = None
    ) -> None:
        super().__init__(2, target_class_ids, name)
        self.threshold: float = finite("BinaryIoU", "threshold", threshold)

    @controlled
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        pred = as_array(self.name, "y_pred", y_pred) >= self.threshold
        super().update_state(y_true, pred, sample_weight)
