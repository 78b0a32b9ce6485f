"""How good predictions are: numbers for people, of which no gradient is taken.

Each metric is the mean over the samples of a batch; means over batches of different sizes are
weighted with those sizes by whoever sums them, for example `Mean`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import finite, positive_int
from cconv.arguments.text import key_of

__all__ = [
    "Mean",
    "Metric",
    "accuracy",
    "binary_accuracy",
    "confusion_matrix",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "top_k_accuracy",
]


def _both(where: str, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions as arrays of numbers for the same, at least one, samples."""
    true, pred = as_array(where, "y_true", y_true), as_array(where, "y_pred", y_pred)
    for name, array in (("y_true", true), ("y_pred", pred)):
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{where}: {name} must hold real numbers, got dtype {array.dtype}")
    if pred.ndim < 1 or pred.shape[0] == 0:
        raise ValueError(f"{where}: y_pred must hold at least one sample, got shape {pred.shape}")
    if true.ndim < 1 or len(true) != len(pred):
        raise ValueError(
            f"{where}: y_true must have one row for each of the {len(pred)} samples, got shape {true.shape}"
        )
    return true, pred


def _classes(where: str, true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Return true class numbers, for predictions with a score for every class along the last axis."""
    if true.shape == pred.shape:
        return true.argmax(axis=-1)
    if true.shape == (*pred.shape[:-1], 1):
        true = true[..., 0]
    if true.shape != pred.shape[:-1]:
        raise ValueError(
            f"{where}: y_true must be class numbers of shape {pred.shape[:-1]} or one-hot of shape "
            f"{pred.shape}, got {true.shape}"
        )
    return true


def _is_binary(pred: np.ndarray) -> bool:
    return pred.ndim == 1 or pred.shape[-1] == 1


@controlled
def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the share of samples whose class is predicted right.

    Parameters
    ----------
    y_true : array
        Class numbers ``(n,)``, ``(n, 1)``, or one-hot ``(n, classes)``; 0 and 1 for two classes.
    y_pred : array
        Scores ``(n, classes)``, of which the first largest counts; or probabilities ``(n,)`` or
        ``(n, 1)`` of class 1, which count from above 0.5.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        When the shapes do not belong together.

    Examples
    --------
    >>> accuracy([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    0.5
    >>> accuracy([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]]), accuracy([0, 1], [0.3, 0.7])
    (0.5, 1.0)
    """
    true, pred = _both("accuracy", y_true, y_pred)
    if _is_binary(pred):
        return binary_accuracy(true, pred)
    return float(np.mean(_classes("accuracy", true, pred) == pred.argmax(axis=-1)))


@controlled
def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> float:
    """Return the share of 0/1 targets on whose side of the threshold the prediction lies.

    Parameters
    ----------
    y_true : array of 0 and 1
        The shape of `y_pred`; a last axis of length 1 may be missing in one of them.
    y_pred : array
        Probabilities of 1.
    threshold : float
        Above it 1 is predicted.

    Examples
    --------
    >>> binary_accuracy([0, 1, 1], [0.2, 0.7, 0.4])
    0.6666666666666666
    """
    where = "binary_accuracy"
    true, pred = _both(where, y_true, y_pred)
    threshold = finite(where, "threshold", threshold)
    if true.shape != pred.shape:
        true, pred = (a[..., 0] if a.ndim > 1 and a.shape[-1] == 1 else a for a in (true, pred))
    if true.shape != pred.shape:
        raise ValueError(f"{where}: y_true must have the shape of y_pred {pred.shape}, got {true.shape}")
    return float(np.mean((pred > threshold) == true))


@controlled
def top_k_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> float:
    """Return the share of samples whose class is among the k largest scores.

    A class counts when fewer than k classes have a larger score.

    Parameters
    ----------
    y_true : array
        Class numbers ``(n,)`` or ``(n, 1)``, or one-hot ``(n, classes)``.
    y_pred : array
        Scores ``(n, classes)``.
    k : int
        At least 1.

    Examples
    --------
    >>> top_k_accuracy([0, 1], [[0.5, 0.3, 0.2], [0.5, 0.1, 0.4]], k=2)
    0.5
    """
    where = "top_k_accuracy"
    k = positive_int(where, "k", k)
    true, pred = _both(where, y_true, y_pred)
    classes = _class_numbers(where, _classes(where, true, pred), pred.shape[-1])
    score = np.take_along_axis(pred, classes[..., np.newaxis], axis=-1)
    larger = (pred > score).sum(axis=-1)
    # A score that is not a number beats nobody.
    return float(np.mean((larger < k) & np.isfinite(score[..., 0])))


def _class_numbers(where: str, classes: np.ndarray, count: int) -> np.ndarray:
    numbers = classes.astype(np.int64)
    if (numbers != classes).any() or numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(f"{where}: y_true must hold class numbers in [0, {count})")
    return numbers


@controlled
def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None) -> np.ndarray:
    """Count how often class i was predicted as class j.

    Parameters
    ----------
    y_true : array
        Class numbers ``(n,)`` or ``(n, 1)``, or one-hot ``(n, classes)``.
    y_pred : array
        Class numbers ``(n,)`` or scores ``(n, classes)``.
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
    true, pred = _both(where, y_true, y_pred)
    count = num_classes
    if pred.ndim > 1:
        true = _classes(where, true, pred)
        count = pred.shape[-1] if count is None else count
        pred = pred.argmax(axis=-1)
    elif true.ndim > 1:
        true = true[:, 0] if true.shape[1] == 1 else true.argmax(axis=-1)
    if count is None:
        count = int(max(true.max(), pred.max(), 0)) + 1
    count = positive_int(where, "num_classes", count)
    true, pred = (_class_numbers(where, a, count).reshape(-1) for a in (true, pred))
    return np.bincount(true * count + pred, minlength=count * count).reshape(count, count)


class Mean:
    """A mean of means: batches of different sizes count by their sizes.

    Examples
    --------
    >>> mean = Mean()
    >>> mean.update(1.0, 10), mean.update(0.0, 30)
    (None, None)
    >>> mean.result()
    0.25
    """

    def __init__(self) -> None:
        self.reset()

    @controlled
    def update(self, value: float, count: float = 1) -> None:
        """Add the mean `value` of `count` samples."""
        self.total += value * count
        self.count += count

    @controlled
    def result(self) -> float:
        """Return the mean of all samples since the last reset; NaN of none."""
        return self.total / self.count if self.count else float("nan")

    def reset(self) -> None:
        """Forget everything."""
        self.total: float = 0.0
        self.count: float = 0.0


class Metric(arguments.Configured):
    """A metric of a model: a name for the logs, and a function of targets and predictions.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)`` returns the mean over a batch as a float.
    name : str, optional
        By default the function's.
    """

    not_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("update_state", "result", "reset_state", "reset_states", "call"),
        "give Metric a function of (y_true, y_pred), whose values are averaged over the samples",
    )

    def __init__(self, function: Callable[[Any, Any], float], name: str | None = None) -> None:
        if not callable(function):
            raise TypeError(f"Metric: function must be callable, got {function!r}")
        self.function = function
        self.name: str = str(name or getattr(function, "__name__", type(function).__name__))

    @controlled
    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike) -> float:
        """Return the mean over the batch."""
        true, pred = as_array(self.name, "y_true", y_true), as_array(self.name, "y_pred", y_pred)
        return float(self.function(true, pred))

    @property
    def rising(self) -> bool | None:
        """Whether more is better; None where that is not known, of a function of the user's."""
        # By identity: a function of the user's need not be hashable.
        return next((rising for function, rising in _RISING.items() if function is self.function), None)

    def plain(self) -> str:
        """Return the name: a function cannot be written down."""
        return self.name


@controlled
def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the mean of squared differences.

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    return float(np.mean(np.square(_difference("mean_squared_error", y_true, y_pred))))


@controlled
def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the mean of absolute differences.

    Examples
    --------
    >>> mean_absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return float(np.mean(np.abs(_difference("mean_absolute_error", y_true, y_pred))))


def _difference(where: str, y_true: ArrayLike, y_pred: ArrayLike) -> np.ndarray:
    true, pred = _both(where, y_true, y_pred)
    if true.shape != pred.shape and true.shape == pred.shape[:-1] and pred.shape[-1] == 1:
        true = true[..., np.newaxis]
    if true.shape != pred.shape:
        raise ValueError(f"{where}: y_true must have the shape of y_pred {pred.shape}, got {true.shape}")
    return pred.astype(np.float64) - true


_FUNCTIONS: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy,
    "acc": accuracy,
    "categorical_accuracy": accuracy,
    "sparse_categorical_accuracy": accuracy,
    "binary_accuracy": binary_accuracy,
    "top_k_accuracy": top_k_accuracy,
    "top_k_categorical_accuracy": top_k_accuracy,
    "sparse_top_k_categorical_accuracy": top_k_accuracy,
    "mse": mean_squared_error,
    "mean_squared_error": mean_squared_error,
    "mae": mean_absolute_error,
    "mean_absolute_error": mean_absolute_error,
}

_RISING: dict[Callable[[Any, Any], float], bool] = {
    accuracy: True,
    binary_accuracy: True,
    top_k_accuracy: True,
    mean_squared_error: False,
    mean_absolute_error: False,
}
_BY_KEY = {key_of(name): function for name, function in _FUNCTIONS.items()}


def get(value: Any, where: str = "metrics.get", name: str = "value") -> Metric:
    """Return the metric that `value` stands for, under the name it was given by.

    Parameters
    ----------
    value : str, Metric or callable
        ``"accuracy"``, or a function of ``(y_true, y_pred)``.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        When it stands for none.

    Examples
    --------
    >>> get("acc").name, get("acc")([1], [[0.2, 0.8]])
    ('acc', 1.0)
    """
    if isinstance(value, str) and key_of(value) in _BY_KEY:
        return Metric(_BY_KEY[key_of(value)], value)
    if callable(value) and not isinstance(value, Metric | type):
        return Metric(value)
    return arguments.resolve(where, name, value, Metric, dict.fromkeys(_FUNCTIONS, Metric))


refusing(globals(), functions=["get"])


class Meter:
    """Means over samples of the loss and the metrics, summed in float64 in the order of the batches."""

    def __init__(self, names: Sequence[str]) -> None:
        self._figures = {name: Mean() for name in names}

    def add(self, values: Sequence[float], count: int) -> None:
        """Count the means of a batch of `count` samples."""
        for figure, value in zip(self._figures.values(), values, strict=True):
            figure.update(value, count)

    @controlled
    def means(self) -> dict[str, float]:
        """Return the means by name."""
        return {name: figure.result() for name, figure in self._figures.items()}
