"""Focal cross-entropies, in which easy samples count little (Lin et al. 2017, "Focal loss")."""

from collections.abc import Sequence

import numpy as np

from cconv import arguments, exactmath, ops
from cconv.losses.base import EPSILON, SUM_OVER_BATCH_SIZE, Values
from cconv.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy
from cconv.ops.run import Run


class BinaryFocalCrossentropy(BinaryCrossentropy):
    """Binary cross-entropy times ``(1 - c)^gamma``, c being the probability of the true class; as in Keras.

    ``c = t p + (1 - t)(1 - p)``. The cross-entropy of logits is computed from them, and never saturates.

    Parameters
    ----------
    apply_class_balancing : bool
        Also multiply by ``t alpha + (1 - t)(1 - alpha)``.
    alpha : float
        Weight of class 1.
    gamma : float
        At least 0.
    from_logits, label_smoothing, axis, reduction, name
        See `BinaryCrossentropy`.

    Examples
    --------
    >>> loss, dy = BinaryFocalCrossentropy()([[1], [0]], np.array([[0.5], [0.25]]))
    >>> round(loss, 6), dy.round(6).tolist()
    (0.095633, [[-0.596574], [0.113587]])
    """

    key = "binary_focal_crossentropy"
    activation = ""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = SUM_OVER_BATCH_SIZE,
        name: str = "binary_focal_crossentropy",
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        where = type(self).__name__
        self.apply_class_balancing: bool = arguments.flag(
            where, "apply_class_balancing", apply_class_balancing
        )
        self.alpha: float = arguments.finite(where, "alpha", alpha)
        self.gamma: float = arguments.at_least_zero(where, "gamma", gamma)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        plain = super()._values(true, pred, run, from_logits)
        p = ops.sigmoid(pred) if from_logits else pred
        wrong = 1 - (true * p + (1 - true) * (1 - p))
        focus, steepness = _power(wrong, self.gamma)
        steepness = steepness * (p * (1 - p) if from_logits else 1.0)
        balance = true * self.alpha + (1 - true) * (1 - self.alpha) if self.apply_class_balancing else 1.0
        plain.slopes[...] = (steepness * (1 - 2 * true) * plain.values + focus * plain.slopes) * balance
        return plain._replace(values=focus * plain.values * balance)


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """Sum over the classes of ``-alpha (1 - q_k)^gamma t_k log q_k``, as in Keras.

    q are the predictions divided by their sum, as in `CategoricalCrossentropy`; those of logits are computed
    from them, with their logarithms, and never saturate.

    Parameters
    ----------
    alpha : float, or sequence of one for each class
        Weights of the classes.
    gamma : float
        At least 0.
    from_logits, label_smoothing, axis, reduction, name
        See `CategoricalCrossentropy`.

    Examples
    --------
    >>> loss, dy = CategoricalFocalCrossentropy()([[0, 1]], np.array([[0.5, 0.5]]))
    >>> round(loss, 6), dy.round(6).tolist()
    (0.043322, [[0.149143, -0.149143]])
    """

    key = "categorical_focal_crossentropy"
    activation = ""

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = SUM_OVER_BATCH_SIZE,
        name: str = "categorical_focal_crossentropy",
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        where = type(self).__name__
        self.alpha: float | list[float] = (
            [arguments.finite(where, f"alpha[{number}]", each) for number, each in enumerate(alpha)]
            if isinstance(alpha, list | tuple | np.ndarray)
            else arguments.finite(where, "alpha", alpha)
        )
        self.gamma: float = arguments.at_least_zero(where, "gamma", gamma)

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Raise ValueError if targets of that shape do not fit predictions of that shape."""
        super().check_shape(true, pred)
        if isinstance(self.alpha, list) and len(self.alpha) not in (1, pred[-1]):
            raise ValueError(
                f"{self.key}: alpha must be one number for each of the {pred[-1]} classes, "
                f"got {len(self.alpha)} of them"
            )

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        return self._of_values(true, pred, weight, run, from_logits)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        rows = pred.reshape(-1, pred.shape[-1])
        weights = np.asarray(self.alpha, np.float64) * true
        values, slope = (self._of_logits if from_logits else self._of_shares)(weights, rows)
        dy = run.empty("dy", rows.shape, rows.dtype)
        dy[...] = slope
        return Values(values, dy.reshape(pred.shape))

    def _of_shares(self, weights: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and slopes for probabilities."""
        sums = rows.sum(axis=1, keepdims=True)
        shares = rows / sums
        q = np.clip(shares, EPSILON, 1 - EPSILON)
        logs = exactmath.log(q)
        focus, steepness = _power(1 - q, self.gamma)
        slope = np.where(q == shares, weights * (steepness * logs - focus / q), 0)
        slope = (slope - (slope * shares).sum(axis=1, keepdims=True)) / sums
        return -weights * focus * logs, slope

    def _of_logits(self, weights: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and slopes for logits: log q and its derivative need no quotient that saturates."""
        q, logs = ops.softmax(rows), ops.log_softmax(rows)
        logs = np.where(weights == 0, 0, logs)  # it may be -inf, of a class that counts nothing
        focus, steepness = _power(1 - q, self.gamma)
        lowest = np.finfo(logs.dtype).min  # in place of -inf, whose product with a q of 0 is no number
        slope = weights * (steepness * q * np.maximum(logs, lowest) - focus)
        return -weights * focus * logs, slope - q * slope.sum(axis=1, keepdims=True)


def _power(x: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x ** gamma in float64 and its derivative, with the same bits on every instruction set."""
    wide = x.astype(np.float64)
    if gamma == 0:
        return np.ones_like(wide), np.zeros_like(wide)
    below = _whole_power(wide, int(gamma) - 1) if gamma == int(gamma) else any_power(wide, gamma - 1)
    return np.where(wide == 0, 0, below * wide), gamma * below


def _whole_power(x: np.ndarray, times: int) -> np.ndarray:
    result = np.ones_like(x)
    for bit in bin(times)[2:]:
        result = result * result * (x if bit == "1" else 1.0)
    return result


def any_power(x: np.ndarray, exponent: float) -> np.ndarray:
    """Return x ** exponent for float64, with the same bits on every instruction set; NaN for x below 0."""
    return np.where(x >= 0, exactmath.exp(exponent * exactmath.log(np.maximum(x, 0))), np.nan)
