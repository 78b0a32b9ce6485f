"""Accuracies, accumulated over batches."""

from typing import Any

from numpy.typing import ArrayLike

from cconv.arguments import flag
from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, positive_int
from cconv.metrics.base import Mean
from cconv.metrics.checks import alike, both, classes_of, is_binary
from cconv.metrics.rates import (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)


class _Share(Mean):
    """The mean over samples of the results of `_values`."""

    rising = True

    @controlled
    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch; see `Metric.update_state`."""
        super().update_state(self._values(y_true, y_pred), sample_weight)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        raise NotImplementedError


class Accuracy(_Share):
    """The fraction of elements that are equal to their targets.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])
    0.75
    """

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        true, pred = alike(self.name, y_true, y_pred)
        return true == pred


class FittingAccuracy(_Share):
    """The accuracy that fits targets and predictions: ``"accuracy"`` and ``"acc"``, as in Keras.

    Predictions (n,) or (n, 1) are probabilities of class 1, others are scores of all classes; targets are
    class numbers or one-hot.

    Parameters
    ----------
    name : str
        In the logs.
    """

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        true, pred = both("accuracy", y_true, y_pred)
        if is_binary(pred):
            return binary_accuracy(true, pred)
        return classes_of("accuracy", true, pred) == pred.argmax(axis=-1)


class BinaryAccuracy(_Share):
    """The mean of `binary_accuracy`.

    Parameters
    ----------
    name : str
        In the logs.
    threshold : float
        Predictions above it count as 1.

    Examples
    --------
    >>> BinaryAccuracy()([[1], [0]], [[0.75], [0.5]])
    1.0
    """

    def __init__(self, name: str = "binary_accuracy", *, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold: float = finite("BinaryAccuracy", "threshold", threshold)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        return binary_accuracy(y_true, y_pred, self.threshold)


class CategoricalAccuracy(_Share):
    """The mean of `categorical_accuracy`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> CategoricalAccuracy()([[0, 1], [1, 0]], [[0.25, 0.75], [0.25, 0.75]], sample_weight=[3, 1])
    0.75
    """

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        return categorical_accuracy(y_true, y_pred)


class SparseCategoricalAccuracy(_Share):
    """The mean of `sparse_categorical_accuracy`.

    Parameters
    ----------
    name : str
        In the logs.

    Examples
    --------
    >>> SparseCategoricalAccuracy()([1, 0], [[0.25, 0.75], [0.25, 0.75]])
    0.5
    """

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        return sparse_categorical_accuracy(y_true, y_pred)


class TopKCategoricalAccuracy(_Share):
    """The mean of `top_k_categorical_accuracy`.

    Parameters
    ----------
    k : int
        At least 1.
    name : str
        In the logs.

    Examples
    --------
    >>> TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    0.5
    """

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k: int = positive_int("TopKCategoricalAccuracy", "k", k)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        return top_k_categorical_accuracy(y_true, y_pred, self.k)


class SparseTopKCategoricalAccuracy(_Share):
    """The mean of `sparse_top_k_categorical_accuracy`.

    Parameters
    ----------
    k : int
        At least 1.
    name : str
        In the logs.
    from_sorted_ids : bool
        Whether predictions are class numbers sorted by score, the best first.

    Examples
    --------
    >>> SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    0.5
    """

    def __init__(
        self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy", *, from_sorted_ids: bool = False
    ) -> None:
        super().__init__(name)
        self.k: int = positive_int("SparseTopKCategoricalAccuracy", "k", k)
        self.from_sorted_ids: bool = flag("SparseTopKCategoricalAccuracy", "from_sorted_ids", from_sorted_ids)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        return sparse_top_k_categorical_accuracy(y_true, y_pred, self.k, self.from_sorted_ids)
