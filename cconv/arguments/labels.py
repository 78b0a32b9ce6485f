"""Argument checks of labels, targets and sample weights."""

from typing import Any

import numpy as np

from cconv.arguments.arrays import as_array, ready, real_array, same_shape

# The sum of a sample's probabilities may differ from 1 by this: float16 labels of many classes must pass.
PROBABILITY_SLACK = 1e-3

LARGEST_EXACT = 2.0**53  # above it float64 does not hold every integer


def _place(bad: np.ndarray, n: int, first: int) -> tuple[int, str]:
    """Return the place of the first bad entry, and its sample in words; every entry is a sample."""
    index = int(np.argmax(bad.reshape(-1)))
    return index, f"for sample {index + first * (bad.size // max(n, 1))}"


def whole_numbers(where: str, name: str, labels: np.ndarray, first: int = 0) -> np.ndarray:
    """Return class numbers, given as ints, bools or floats, as ints.

    TypeError if one has a fraction, ValueError if one is not finite or too large. `first` is the number
    of the first sample.
    """
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind != "f":
        return labels
    known = np.isfinite(labels) & (np.abs(labels) < np.float64(LARGEST_EXACT))  # float16 cannot hold it
    whole = labels == np.floor(labels)
    if not known.all():
        at, sample = _place(~known, len(labels), first)
        raise ValueError(f"{where}: {name} must be class numbers, got {labels.reshape(-1)[at]} {sample}")
    if not whole.all():
        at, sample = _place(~whole, len(labels), first)
        wrong = labels.reshape(-1)[at]
        raise TypeError(f"{where}: {name} must be ints when they are class numbers, got {wrong} {sample}")
    return labels.astype(np.int64)


def _class_numbers(where: str, name: str, labels: np.ndarray, classes: int, first: int) -> np.ndarray:
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(f"{where}: {name} must be ints when they are class numbers, got dtype {labels.dtype}")
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        at, sample = _place(bad, len(labels), first)
        wrong = labels.reshape(-1)[at]
        raise ValueError(
            f"{where}: {name} must be class numbers from 0 to {classes - 1}, got {wrong} {sample}"
        )
    return ready(labels, np.dtype(np.int64)).reshape(-1)


def as_labels(where: str, name: str, labels: Any, logits: np.ndarray, first: int = 0) -> np.ndarray:
    """Return the true classes of the samples with logits (…, classes).

    Parameters
    ----------
    labels : array-like
        Class numbers (…), or one-hot rows or probabilities (…, classes).
    first : int
        Number of the first sample, for error messages.

    Returns
    -------
    ndarray
        int64 (samples,), or probabilities (samples, classes) in the dtype of logits.

    Raises
    ------
    TypeError
        If class numbers are not ints.
    ValueError
        If the shape is another one, a class number is out of range, or probabilities are negative or do not
        sum to 1.
    """
    classes = logits.shape[-1]
    array = as_array(where, name, labels)
    if array.shape == logits.shape[:-1]:
        return _class_numbers(where, name, array, classes, first)
    if array.shape != logits.shape:
        raise ValueError(
            f"{where}: {name} must be class numbers of shape {logits.shape[:-1]} or probabilities of shape "
            f"{logits.shape}, got shape {array.shape}"
        )
    rows = real_array(where, name, array, None, may_be_empty=True)
    rows = ready(rows, logits.dtype).reshape(-1, classes)
    good = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) <= PROBABILITY_SLACK)
    if not good.all():
        at, sample = _place(~good, len(array), first)
        raise ValueError(
            f"{where}: {name} must be probabilities, at least 0 and with the sum 1 for each sample, "
            f"got {rows[at]} {sample}"
        )
    return rows


def as_shares(where: str, name: str, shares: np.ndarray, logits: np.ndarray, first: int = 0) -> np.ndarray:
    """Return the classes' shares of each sample, (samples, classes), in the dtype of logits (…, classes).

    ValueError if a number is not finite. `first` is the number of the first sample.
    """
    rows = ready(shares, logits.dtype).reshape(-1, logits.shape[-1])
    good = np.isfinite(rows).all(axis=1)
    if not good.all():
        at, sample = _place(~good, len(shares), first)
        raise ValueError(f"{where}: {name} must be finite, got {rows[at]} {sample}")
    return rows


def as_sample_weight(where: str, name: str, weight: Any, logits: np.ndarray) -> np.ndarray | None:
    """Return one weight for each sample, flat and in the dtype of logits (…, classes), or None."""
    if weight is None:
        return None
    array = real_array(where, name, weight, None, may_be_empty=True)
    same_shape(where, name, array, logits.shape[:-1])
    flat = ready(array, logits.dtype).reshape(-1)
    good = np.isfinite(flat) & (flat >= 0)
    if not good.all():
        raise ValueError(f"{where}: {name} must be finite and at least 0, got {flat[np.argmin(good)]}")
    return flat


def spread_weight(where: str, name: str, weight: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return a weight for each entry of an array of this shape (n, …), flat and in this dtype.

    Parameters
    ----------
    weight : array-like
        Finite; one for each sample or each entry. Axes may have length 1, and axes of length 1 may follow.

    Raises
    ------
    TypeError, ValueError
        If the weights are not of this kind.

    Examples
    --------
    >>> spread_weight("f", "sample_weight", [[1], [2]], (2, 3), np.dtype("float32"))
    array([1., 1., 1., 2., 2., 2.], dtype=float32)
    """
    array = real_array(where, name, weight, None, may_be_empty=True)
    check_weight_shape(where, name, array.shape, shape)
    finite_weights(where, name, array)
    kept = array.shape[: len(shape)]
    aligned = array.reshape(kept + (1,) * (len(shape) - len(kept)))
    return ready(np.broadcast_to(aligned, shape), dtype).reshape(-1)


def check_weight_shape(where: str, name: str, given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise a ValueError if weights of shape `given` do not fit values of shape `shape` (n, …)."""
    pairs = zip(given[1:], shape[1:], strict=False)
    behind = given[len(shape) :]
    wrong = any(a not in (1, b) for a, b in pairs) or any(a != 1 for a in behind)
    short = len(given) < len(shape) and any(a != 1 for a in given[1:])
    if given[:1] != shape[:1] or wrong or short:
        also = f" or {shape}" if len(shape) > 1 else ""
        raise ValueError(f"{where}: {name} must have shape {shape[:1]}{also}, got {given}")


def finite_weights(where: str, name: str, weight: np.ndarray) -> None:
    """Raise a ValueError if a weight is not finite; the first axis counts samples."""
    good = np.isfinite(weight)
    if not good.all():
        at, sample = _place(~good, len(weight), 0)
        raise ValueError(f"{where}: {name} must be finite, got {weight.reshape(-1)[at]} {sample}")
