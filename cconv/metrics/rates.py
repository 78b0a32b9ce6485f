"""Functions for the accuracy of predictions, as a mean or for each sample."""

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments import flag
from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, positive_int
from cconv.metrics.checks import alike, both, class_numbers, classes_of, is_binary


@controlled
def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the fraction of samples whose class is predicted correctly.

    Parameters
    ----------
    y_true : array
        Class numbers ``(n,)``, ``(n, 1)``, or one-hot ``(n, classes)``; 0 and 1 for two classes.
    y_pred : array
        Scores ``(n, classes)``, of which the first largest is the predicted class; or probabilities ``(n,)``
        or ``(n, 1)`` of class 1, which is predicted above 0.5.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        When the shapes do not fit together.

    Examples
    --------
    >>> accuracy([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    0.5
    >>> accuracy([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]]), accuracy([0, 1], [0.3, 0.7])
    (0.5, 1.0)
    """
    true, pred = both("accuracy", y_true, y_pred)
    if is_binary(pred):
        return float(np.mean(binary_accuracy(true, pred)))
    return float(np.mean(classes_of("accuracy", true, pred) == pred.argmax(axis=-1)))


@controlled
def top_k_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> float:
    """Return the fraction of samples whose class is among the k largest scores.

    It is among them if fewer than k classes have a larger score.

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
    true, pred = both(where, y_true, y_pred)
    return float(np.mean(_among_best(where, classes_of(where, true, pred), pred, k)))


def _among_best(where: str, classes: np.ndarray, pred: np.ndarray, k: int) -> np.ndarray:
    """Return whether fewer than k scores are larger than the class' score."""
    numbers = class_numbers(where, classes, pred.shape[-1])
    score = np.take_along_axis(pred, numbers[..., np.newaxis], axis=-1)
    # A score that is not a number is never among the best.
    return ((pred > score).sum(axis=-1) < k) & np.isfinite(score[..., 0])


# --- of each sample, as in Keras ------------------------------------------------------------------


@controlled
def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> np.ndarray:
    """Return for each element whether prediction and target are on the same side of the threshold.

    Parameters
    ----------
    y_true : array of 0 and 1
        The shape of `y_pred`; a last axis of length 1 may be missing in one of them.
    y_pred : array
        Probabilities of 1.
    threshold : float
        Predictions above it count as 1.

    Returns
    -------
    ndarray of float64
        1 if they are, else 0; in the shape of both.

    Examples
    --------
    >>> binary_accuracy([0, 1, 1], [0.2, 0.7, 0.4])
    array([1., 1., 0.])
    """
    where = "binary_accuracy"
    threshold = finite(where, "threshold", threshold)
    true, pred = alike(where, y_true, y_pred)
    return ((pred > threshold) == true).astype(np.float64)


@controlled
def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> np.ndarray:
    """Return for each sample whether the largest score is at the largest target's index.

    Parameters
    ----------
    y_true, y_pred : array of shape (n, …, classes)
        Targets, one-hot or probabilities, and scores.

    Returns
    -------
    ndarray of float64, shape (n, …)
        1 if it is, else 0.

    Examples
    --------
    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
    array([1., 0.])
    """
    true, pred = both("categorical_accuracy", y_true, y_pred)
    if true.shape[:-1] != pred.shape[:-1] or pred.ndim < 2:
        raise ValueError(
            f"categorical_accuracy: y_true must have the shape of y_pred {pred.shape}, got {true.shape}; "
            f"class numbers are for sparse_categorical_accuracy"
        )
    return (true.argmax(axis=-1) == pred.argmax(axis=-1)).astype(np.float64)


@controlled
def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> np.ndarray:
    """Return for each sample whether its class has the largest score.

    Parameters
    ----------
    y_true : array of shape (n, …) or (n, …, 1)
        Class numbers.
    y_pred : array of shape (n, …, classes)
        Scores.

    Returns
    -------
    ndarray of float64, shape (n, …)
        1 if it has, else 0.

    Examples
    --------
    >>> sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.3, 0.7]])
    array([1., 0.])
    """
    true, pred = _sparse("sparse_categorical_accuracy", y_true, y_pred)
    return (true == pred.argmax(axis=-1)).astype(np.float64)


@controlled
def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> np.ndarray:
    """Return for each sample whether fewer than k scores are larger than that of the largest target.

    Parameters
    ----------
    y_true, y_pred : array of shape (n, …, classes)
        Targets, one-hot or probabilities, and scores.
    k : int
        At least 1.

    Examples
    --------
    >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.3, 0.2]], k=2)
    array([0.])
    """
    where = "top_k_categorical_accuracy"
    true, pred = alike(where, y_true, y_pred)
    return _among_best(where, true.argmax(axis=-1), pred, positive_int(where, "k", k)).astype(np.float64)


@controlled
def sparse_top_k_categorical_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> np.ndarray:
    """Return for each sample whether fewer than k scores are larger than that of its class.

    Parameters
    ----------
    y_true : array of shape (n, …) or (n, …, 1)
        Class numbers.
    y_pred : array of shape (n, …, classes)
        Scores; or class numbers sorted by score, the best first.
    k : int
        At least 1.
    from_sorted_ids : bool
        Whether `y_pred` holds class numbers.

    Examples
    --------
    >>> sparse_top_k_categorical_accuracy([1], [[0.5, 0.3, 0.2]], k=2)
    array([1.])
    >>> sparse_top_k_categorical_accuracy([1], [[2, 0, 1]], k=2, from_sorted_ids=True)
    array([0.])
    """
    where = "sparse_top_k_categorical_accuracy"
    k, from_sorted_ids = positive_int(where, "k", k), flag(where, "from_sorted_ids", from_sorted_ids)
    true, pred = _sparse(where, y_true, y_pred)
    if from_sorted_ids:
        return (true[..., np.newaxis] == pred[..., :k]).any(axis=-1).astype(np.float64)
    return _among_best(where, true, pred, k).astype(np.float64)


def _sparse(where: str, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return class numbers (n, …) and scores (n, …, classes)."""
    true, pred = both(where, y_true, y_pred)
    if true.shape == (*pred.shape[:-1], 1):
        true = true[..., 0]
    if true.shape != pred.shape[:-1]:
        raise ValueError(
            f"{where}: y_true must be class numbers of shape {pred.shape[:-1]}, got {true.shape}"
        )
    return true, pred
