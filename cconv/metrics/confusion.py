"""Confusion matrices: which classes are predicted as which."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments import spread_weight
from cconv.arguments.control import controlled
from cconv.arguments.numbers import positive_int
from cconv.metrics.base import Metric
from cconv.metrics.checks import both, class_numbers, classes_of


@controlled
def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None) -> np.ndarray:
    """Count how often class i was predicted as class j.

    Parameters
    ----------
    y_true : array
        Class numbers ``(n,)`` or ``(n, 1)``, or one-hot ``(n, classes)``.
    y_pred : array
        Class numbers ``(n,)`` or scores ``(n, classes)``; of floats ``(n, 1)`` those above 0.5 are class 1.
    num_classes : int, optional
        By default the number of scores, else the largest class number plus one.

    Returns
    -------
    ndarray of int64, shape (num_classes, num_classes)
        Rows are true classes, columns predicted ones.

    Raises
    ------
    ValueError
        For class numbers outside ``[0, num_classes)``.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """
    where = "confusion_matrix"
    true, pred = both(where, y_true, y_pred)
    count = num_classes
    if pred.ndim > 1 and pred.shape[-1] == 1:
        pred = pred[..., 0]
        if pred.dtype.kind == "f":  # probabilities of class 1
            pred, count = pred > 0.5, 2 if count is None else count
        true = true[..., 0] if true.shape == (*pred.shape, 1) else true
    elif pred.ndim > 1:
        true = classes_of(where, true, pred)
        count = pred.shape[-1] if count is None else count
        if np.isnan(pred).any():
            raise ValueError(f"{where}: y_pred must hold scores that are numbers, got NaN")
        pred = pred.argmax(axis=-1)
    elif true.ndim > 1:
        true = true[:, 0] if true.shape[1] == 1 else true.argmax(axis=-1)
    known = None if count is None else positive_int(where, "num_classes", count)
    true = class_numbers(where, true, known).reshape(-1)
    pred = class_numbers(where, pred, known, "y_pred").reshape(-1)
    count = known or int(max(true.max(), pred.max(), 0)) + 1
    return np.bincount(true * count + pred, minlength=count * count).reshape(count, count)


class Counts(Metric):
    """Sums weights in a matrix: how much the row's class was predicted as the column's class."""

    def __init__(self, num_classes: int, name: str | None) -> None:
        super().__init__(name=name)
        self.num_classes: int = positive_int(type(self).__name__, "num_classes", num_classes)
        self.reset_state()

    def reset_state(self) -> None:
        """Reset all counts."""
        self.total_cm: np.ndarray = np.zeros((self.num_classes, self.num_classes))

    def _count(self, true: np.ndarray, pred: np.ndarray, sample_weight: ArrayLike | None) -> None:
        """Add class numbers, checked and of the same shape; weights are for the first axes of that shape."""
        weight = None
        if sample_weight is not None:
            weight = spread(self.name, sample_weight, true.shape)
        pairs = (true * self.num_classes + pred).reshape(-1)
        counts = np.bincount(pairs, weight, minlength=self.num_classes**2)
        self.total_cm = self.total_cm + counts.reshape(self.total_cm.shape)


class ConfusionMatrix(Counts):
    """How often, or with what weight, class i (row) was predicted as class j (column).

    Parameters
    ----------
    num_classes : int
        Number of classes.
    name : str, optional
        For messages: a model cannot have a matrix in its logs.

    Examples
    --------
    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update_state([0, 1], [0, 1])
    >>> matrix.update_state([1], [[0.75, 0.25]], sample_weight=[0.5])
    >>> matrix.result()
    array([[1. , 0. ],
           [0.5, 1. ]])
    """

    gives_number = False

    def __init__(self, num_classes: int, name: str | None = None) -> None:
        super().__init__(num_classes, name)

    @controlled
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch of class numbers, or of one-hot targets and scores; see `confusion_matrix`."""
        true, pred = both(self.name, y_true, y_pred)
        if pred.ndim > 1:
            if np.isnan(pred).any():
                raise ValueError(f"{self.name}: y_pred must hold scores that are numbers, got NaN")
            true, pred = classes_of(self.name, true, pred), pred.argmax(axis=-1)
        true = class_numbers(self.name, true, self.num_classes)
        pred = class_numbers(self.name, pred, self.num_classes, "y_pred")
        self._count(true.reshape(pred.shape), pred, sample_weight)

    @controlled
    def result(self) -> np.ndarray:
        """Return the matrix, float64 (num_classes, num_classes)."""
        return self.total_cm.copy()


def spread(where: str, weight: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return one weight for each entry of an array of that shape, flat."""
    return spread_weight(where, "sample_weight", weight, shape, np.dtype(np.float64))
