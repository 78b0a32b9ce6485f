"""Checks of a metric's targets and predictions."""

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments.arrays import as_array

MOST_CLASSES = 1 << 14  # where nobody says how many: a matrix of 2 GB


def both(where: str, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions as arrays of numbers, for the same samples (at least one)."""
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


def classes_of(where: str, true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Return true class numbers, for predictions with one score per class on the last axis."""
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


def is_binary(pred: np.ndarray) -> bool:
    """Whether predictions are probabilities of class 1."""
    return pred.ndim == 1 or pred.shape[-1] == 1


def class_numbers(where: str, classes: np.ndarray, count: int | None, name: str = "y_true") -> np.ndarray:
    """Return class numbers as int64; ValueError if one is not in ``[0, count)``, or not whole or below 0."""
    wrong = ~(
        (classes >= 0)
        & (classes < (MOST_CLASSES if count is None else count))
        & (classes == np.floor(classes))
    )
    if wrong.any():
        within = f"in [0, {MOST_CLASSES if count is None else count})"
        raise ValueError(f"{where}: {name} must hold class numbers {within}, got {classes[wrong].flat[0]}")
    return classes.astype(np.int64)


def alike(where: str, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions with the same shape; one of them may lack a last axis of length 1."""
    true, pred = both(where, y_true, y_pred)
    if true.shape != pred.shape:
        true, pred = (a[..., 0] if a.ndim > 1 and a.shape[-1] == 1 else a for a in (true, pred))
    if true.shape != pred.shape:
        raise ValueError(f"{where}: y_true must have the shape of y_pred {pred.shape}, got {true.shape}")
    return true, pred
