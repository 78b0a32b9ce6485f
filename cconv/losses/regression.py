"""Regression losses: the distance between predictions and targets."""

import numpy as np

from cconv import arguments, exactmath, ops
from cconv.losses.base import EPSILON, SUM_OVER_BATCH_SIZE, Loss, Values, last_axis, terms_of
from cconv.ops.run import Run

LOG_2 = 0.6931471805599453


class MeanSquaredError(Loss):
    """Mean of squared differences, ``mean((y_pred - y_true)²)`` (Legendre 1805).

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> MeanSquaredError()([[1.0]], np.array([[3.0]]))
    (4.0, array([[4.]]))
    """

    key = "mean_squared_error"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "mean_squared_error") -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        dy = np.subtract(pred, true, out=run.empty("dy", pred.shape, pred.dtype))
        return Values(np.square(dy), dy, 2.0, terms_of(pred))


class MeanAbsoluteError(Loss):
    """Mean of absolute differences, ``mean(|y_pred - y_true|)`` (Boscovich 1757); its gradient at 0 is 0.

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> MeanAbsoluteError()([[1.0]], np.array([[3.0]]))
    (2.0, array([[1.]]))
    """

    key = "mean_absolute_error"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "mean_absolute_error") -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        dy = np.subtract(pred, true, out=run.empty("dy", pred.shape, pred.dtype))
        values = np.abs(dy)
        return Values(values, np.sign(dy, out=dy), 1.0, terms_of(pred))


class MeanAbsolutePercentageError(Loss):
    """Mean of ``100 |y_true - y_pred| / max(|y_true|, 1e-7)``, as in Keras.

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> MeanAbsolutePercentageError()([[2.0]], np.array([[3.0]]))
    (50.0, array([[50.]]))
    """

    key = "mean_absolute_percentage_error"

    def __init__(
        self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "mean_absolute_percentage_error"
    ) -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        dy = np.subtract(pred, true, out=run.empty("dy", pred.shape, pred.dtype))
        unit = np.maximum(np.abs(true), EPSILON)
        values = 100 * np.abs(dy / unit)
        np.sign(dy, out=dy)
        dy /= unit
        return Values(values, dy, 100.0, terms_of(pred))


class MeanSquaredLogarithmicError(Loss):
    """Mean of ``(log(1 + y_true) - log(1 + y_pred))²``, both at least 1e-7, as in Keras.

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = MeanSquaredLogarithmicError()([[0.0]], np.array([[1.0]]))
    >>> round(loss, 6), dy.round(6)
    (0.480453, array([[0.693147]]))
    """

    key = "mean_squared_logarithmic_error"

    def __init__(
        self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "mean_squared_logarithmic_error"
    ) -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        above = np.maximum(pred, EPSILON) + 1
        apart = exactmath.log(above) - exactmath.log(np.maximum(true, EPSILON) + 1)
        dy = run.empty("dy", pred.shape, pred.dtype)
        dy[...] = np.where(pred < EPSILON, 0, apart / above)
        return Values(np.square(apart), dy, 2.0, terms_of(pred))


class Huber(Loss):
    """Quadratic for small differences e, ``e² / 2``, linear for large ones, ``delta |e| - delta² / 2``.

    Source: Huber 1964, "Robust estimation of a location parameter".

    Parameters
    ----------
    delta : float
        Above 0: the largest difference that counts as small.
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> Huber()([[0.0, 0.0]], np.array([[0.5, 3.0]]))
    (1.3125, array([[0.25, 0.5 ]]))
    """

    key = "huber"

    def __init__(
        self, delta: float = 1.0, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "huber_loss"
    ) -> None:
        super().__init__(name, reduction)
        self.delta: float = arguments.finite("Huber", "delta", delta)
        if self.delta <= 0:
            raise ValueError(f"Huber: delta must be above 0, got {delta!r}")

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        delta, dy = self.delta, np.subtract(pred, true, out=run.empty("dy", pred.shape, pred.dtype))
        size = np.abs(dy)
        values = np.where(size <= delta, np.square(dy) / 2, delta * size - delta * delta / 2)
        return Values(values, np.clip(dy, -delta, delta, out=dy), 1.0, terms_of(pred))


class LogCosh(Loss):
    """Mean of ``log(cosh(y_pred - y_true))``: about ``e² / 2`` for small differences e, ``|e|`` for large.

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = LogCosh()([[0.0]], np.array([[1.0]]))
    >>> round(loss, 6), dy.round(6)
    (0.433781, array([[0.761594]]))
    """

    key = "log_cosh"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "log_cosh") -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        apart = pred - true
        size = np.abs(apart).astype(np.float64)
        # log(1 + exp(-2|e|)) = -log(sigmoid(2|e|))
        values = size - exactmath.log(ops.sigmoid(2 * size)) - LOG_2
        dy = run.empty("dy", pred.shape, pred.dtype)
        dy[...] = ops.tanh(apart)
        return Values(values, dy, 1.0, terms_of(pred))


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between targets and predictions along the last axis, as in Keras.

    Both are divided by their length, or by 1e-7 if they are shorter.

    Parameters
    ----------
    axis : -1
        Other axes are refused.
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = CosineSimilarity()([[0.0, 1.0]], np.array([[3.0, 4.0]]))
    >>> round(loss, 6), dy.round(6)
    (-0.8, array([[ 0.096, -0.072]]))
    """

    key = "cosine_similarity"

    def __init__(
        self, axis: int = -1, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "cosine_similarity"
    ) -> None:
        super().__init__(name, reduction)
        self.axis: int = last_axis("CosineSimilarity", axis)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        rows = (-1, terms_of(pred))
        (t, _), (p, shrink) = _unit(true.reshape(rows)), _unit(pred.reshape(rows))
        cosine = (t * p).sum(axis=1, keepdims=True)
        dy = run.empty("dy", pred.shape, pred.dtype)
        # If the divisor is EPSILON, it does not depend on the prediction.
        turned = np.where(shrink < 1 / EPSILON, cosine * p, 0) - t
        dy[...] = (turned * shrink).reshape(pred.shape)
        return Values(-cosine, dy)


def _unit(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in float64 divided by their lengths, and the factors."""
    wide = rows.astype(np.float64)
    shrink = 1 / np.maximum(np.sqrt(np.square(wide).sum(axis=1, keepdims=True)), EPSILON)
    return wide * shrink, shrink
