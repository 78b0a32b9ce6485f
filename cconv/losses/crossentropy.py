"""Cross-entropies, of probabilities and of logits."""

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, exactmath, ops
from cconv.losses.base import (
    EPSILON,
    SUM_OVER_BATCH_SIZE,
    Loss,
    Values,
    last_axis,
    rows_of,
    terms_of,
)
from cconv.ops.run import Run

IGNORED = -1  # replaces class numbers that are ignored


class BinaryCrossentropy(Loss):
    """Cross-entropy of independent 0/1 targets t, ``mean(-t log p - (1 - t) log(1 - p))``.

    From logits z it is ``mean(max(z, 0) - t z + log(1 + exp(-|z|)))`` with the gradient ``(sigmoid(z) - t) /
    size``, which never overflows (Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.90).

    Parameters
    ----------
    from_logits : bool
        Whether the model's outputs are logits, not probabilities.
    label_smoothing : float
        In [0, 1]: targets t become ``t (1 - label_smoothing) + label_smoothing / 2``.
    axis : -1
        Other axes are refused.
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = BinaryCrossentropy()([[1], [0]], np.array([[0.5], [0.5]]))
    >>> round(loss, 6), dy.tolist()
    (0.693147, [[-1.0], [1.0]])
    """

    key = "binary_crossentropy"
    activation = "sigmoid"
    looks_at_targets = True

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = SUM_OVER_BATCH_SIZE,
        name: str = "binary_crossentropy",
    ) -> None:
        super().__init__(name, reduction)
        where = type(self).__name__
        self.from_logits: bool = arguments.flag(where, "from_logits", from_logits)
        self.label_smoothing: float = smoothing(where, label_smoothing)
        self.axis: int = last_axis(where, axis)

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = super()._targets(y_true, pred, first)
        low, high = true.min(), true.max()
        if not (low >= 0 and high <= 1):
            raise ValueError(f"{self.key}: y_true must lie in [0, 1], got {low} … {high}")
        return smoothed(true, self.label_smoothing, 2)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        dy = run.empty("dy", pred.shape, pred.dtype)
        if from_logits:
            # log(1 + exp(-|z|)) = -log(sigmoid(|z|))
            upper = ops.sigmoid(np.abs(pred), run)
            losses = np.maximum(pred, 0) - true * pred - exactmath.log(upper)
            np.subtract(np.where(pred < 0, 1 - upper, upper), true, out=dy)
        else:
            p = np.clip(pred, EPSILON, 1 - EPSILON)
            losses = -(true * exactmath.log(p) + (1 - true) * exactmath.log(1 - p))
            np.divide(p - true, p * (1 - p), out=dy)
            dy *= p == pred  # the loss is constant where p was clipped
        return Values(losses, dy, 1.0, terms_of(pred))


class CategoricalCrossentropy(Loss):
    """Cross-entropy of one-hot targets or probabilities t, ``mean over samples of -Σ_k t_k log q_k``.

    q are the predictions p divided by their sum s over the classes, as in Keras, so p need not be
    probabilities; q are clipped to [EPSILON, 1 - EPSILON]. Targets need not sum to 1 either. The gradient is
    ``(Σ_k t_k - t_j / q_j) / (s n)``, with t_k = 0 where q_k was clipped, since the loss is constant there.
    If all predictions of a sample are 0, the result is NaN. From logits the gradient is ``(softmax(z) Σ_k t_k
    - t) / n`` (Bishop 2006, eqs. 4.108 and 4.109). `cconv.reference.categorical_crossentropy` is the twin of
    the first form.

    Parameters
    ----------
    from_logits : bool
        Whether the model's outputs are logits, not probabilities.
    label_smoothing : float
        In [0, 1]: targets t become ``t (1 - label_smoothing) + label_smoothing / classes``.
    axis : -1
        Other axes are refused: the classes are the last axis.
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = CategoricalCrossentropy()([[0, 1]], np.array([[0.75, 0.25]]))
    >>> round(loss, 6), dy.tolist()
    (1.386294, [[1.0, -3.0]])
    >>> round(CategoricalCrossentropy()([[0, 1]], [[1.0, 1.0]])[0], 6)
    0.693147
    >>> round(CategoricalCrossentropy(label_smoothing=0.5)([[0, 1]], [[0.75, 0.25]])[0], 6)
    1.111641
    """

    key = "categorical_crossentropy"
    activation = "softmax"
    looks_at_targets = True
    label_smoothing: float = 0.0

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = SUM_OVER_BATCH_SIZE,
        name: str = "categorical_crossentropy",
    ) -> None:
        super().__init__(name, reduction)
        where = type(self).__name__
        self.from_logits: bool = arguments.flag(where, "from_logits", from_logits)
        self.label_smoothing = smoothing(where, label_smoothing)
        self.axis: int = last_axis(where, axis)

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Raise ValueError if targets of that shape do not fit predictions of that shape."""
        if true != pred:
            raise ValueError(
                f"{self.key}: y_true must have the shape of y_pred {pred}, got {true}; "
                f"class numbers are for sparse_categorical_crossentropy"
            )

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        shares = arguments.as_shares(self.key, "y_true", true, pred, first)
        return smoothed(shares, self.label_smoothing, pred.shape[-1])

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        if not from_logits:
            return self._of_values(true, pred, weight, run, from_logits)
        rows = pred.reshape(-1, pred.shape[-1])
        loss, dy = ops.softmax_cross_entropy(rows, true, weight, run)
        return loss, dy.reshape(pred.shape)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        rows = pred.reshape(-1, pred.shape[-1])
        if from_logits:
            losses, dy = ops.softmax_cross_entropies(rows, true, None, run)
            return Values(losses, dy.reshape(pred.shape), float(len(rows)))
        if true.ndim == 1:
            true = np.equal(true[:, np.newaxis], np.arange(rows.shape[1])).astype(rows.dtype)
        sums = rows.sum(axis=1, keepdims=True)
        shares = rows / sums
        q = np.clip(shares, EPSILON, 1 - EPSILON)
        losses = -(true * exactmath.log(q))
        dy = run.empty("dy", rows.shape, rows.dtype)
        counted = true * (q == shares)
        np.divide(counted, q, out=dy)
        np.subtract(counted.sum(axis=1, keepdims=True), dy, out=dy)
        dy /= sums
        return Values(losses, dy.reshape(pred.shape))


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """Cross-entropy of class numbers c, ``mean over samples of -log q_c``: see `CategoricalCrossentropy`.

    Parameters
    ----------
    from_logits : bool
        Whether the model's outputs are logits, not probabilities.
    ignore_class : int, optional
        A class number, for example -1 or 255 for unlabelled pixels, whose samples are ignored: the mean
        divides by the number of the others.
    reduction : str
        See `Loss`.
    axis : -1
        Other axes are refused: the classes are the last axis.
    name : str
        See `Loss`.

    Examples
    --------
    >>> loss, dy = SparseCategoricalCrossentropy()([1], np.array([[0.75, 0.25]]))
    >>> round(loss, 6), dy.tolist()
    (1.386294, [[1.0, -3.0]])
    >>> loss, dy = SparseCategoricalCrossentropy(ignore_class=255)([1, 255], [[0.75, 0.25], [0.5, 0.5]])
    >>> round(loss, 6), dy[0].tolist()
    (1.386294, [1.0, -3.0])
    """

    key = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = SUM_OVER_BATCH_SIZE,
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(from_logits, 0.0, axis, reduction, name)
        if ignore_class is not None and not arguments.is_int(ignore_class):
            kind = type(self).__name__
            raise TypeError(f"{kind}: ignore_class must be an int or None, got {ignore_class!r}")
        self.ignore_class: int | None = None if ignore_class is None else int(ignore_class)

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Raise ValueError if targets of that shape do not fit predictions of that shape."""
        if true not in (pred[:-1], (*pred[:-1], 1)):
            hint = "; one-hot targets are for categorical_crossentropy" if true == pred else ""
            raise ValueError(
                f"{self.key}: y_true must be class numbers of shape {pred[:-1]}, got {true}{hint}"
            )

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        numbers = arguments.whole_numbers(self.key, "y_true", true.reshape(pred.shape[:-1]), first)
        if self.ignore_class is None:
            return arguments.as_labels(self.key, "y_true", numbers, pred, first)
        ignored = numbers == self.ignore_class
        labels = arguments.as_labels(self.key, "y_true", np.where(ignored, 0, numbers), pred, first)
        return np.where(ignored.reshape(-1), IGNORED, labels)

    def _counted(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        counts = true != IGNORED
        if self.ignore_class is None or counts.all():
            return true, pred, weight
        # Ignored samples may have any values, even NaN.
        pred = np.where(counts.reshape(*pred.shape[:-1], 1), pred, pred.dtype.type(1))
        each = counts.astype(np.float64)
        if self.reduction in ("sum_over_batch_size", "mean"):
            each *= rows_of(pred) / max(counts.sum(), 1)
        return np.where(counts, true, 0), pred, each if weight is None else each * weight


def smoothing(where: str, label_smoothing: float) -> float:
    """Return the fraction of a target that is spread over all classes; ValueError outside of [0, 1]."""
    value = arguments.finite(where, "label_smoothing", label_smoothing)
    if not 0 <= value <= 1:
        raise ValueError(f"{where}: label_smoothing must be in [0, 1], got {label_smoothing!r}")
    return value


def smoothed(true: np.ndarray, label_smoothing: float, classes: int) -> np.ndarray:
    """Return targets with a fraction spread over all classes."""
    if not label_smoothing:
        return true
    return true * (1 - label_smoothing) + label_smoothing / classes
