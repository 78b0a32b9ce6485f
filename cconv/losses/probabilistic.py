"""Losses of probability distributions and of counts."""

import numpy as np

from cconv import exactmath
from cconv.losses.base import EPSILON, SUM_OVER_BATCH_SIZE, Loss, Values, terms_of
from cconv.ops.run import Run


class KLDivergence(Loss):
    """Divergence of predicted distributions q from true ones t, ``Σ_k t_k log(t_k / q_k)``, as in Keras.

    Both are clipped to [1e-7, 1]. Source: Kullback and Leibler 1951, "On information and sufficiency".

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = KLDivergence()([[0.5, 0.5]], np.array([[0.25, 0.75]]))
    >>> round(loss, 6), dy.round(6)
    (0.143841, array([[-2.      , -0.666667]]))
    """

    key = "kl_divergence"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "kl_divergence") -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        t, q = np.clip(true, EPSILON, 1), np.clip(pred, EPSILON, 1)
        dy = np.divide(-t, q, out=run.empty("dy", pred.shape, pred.dtype))
        dy *= q == pred  # the loss is constant where q was clipped
        return Values(t * exactmath.log(t / q), dy)


class Poisson(Loss):
    """Mean of ``y_pred - y_true log(y_pred + 1e-7)``, for counts and their expected values, as in Keras.

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = Poisson()([[3.0]], np.array([[2.0]]))
    >>> round(loss, 6), dy.round(6)
    (-0.079442, array([[-0.5]]))
    """

    key = "poisson"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "poisson") -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        above = pred + pred.dtype.type(EPSILON)
        logs = np.where(above >= 0, exactmath.log(np.maximum(above, 0)), np.nan)
        dy = np.divide(true, above, out=run.empty("dy", pred.shape, pred.dtype))
        return Values(pred - true * logs, np.subtract(1, dy, out=dy), 1.0, terms_of(pred))
