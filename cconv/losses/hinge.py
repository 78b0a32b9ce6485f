"""Margin losses, for targets of -1 and 1."""

import numpy as np
from numpy.typing import ArrayLike

from cconv.losses.base import SUM_OVER_BATCH_SIZE, Loss, Values, terms_of
from cconv.ops.run import Run


class Hinge(Loss):
    """Mean of ``max(1 - y_true y_pred, 0)``; targets that are all 0 or 1 become -1 and 1, as in Keras.

    Source: Rosasco et al. 2004, "Are loss functions all the same?".

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> Hinge()([[0.0, 1.0]], np.array([[0.5, 0.75]]))
    (0.875, array([[ 0.5, -0.5]]))
    """

    key = "hinge"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "hinge") -> None:
        super().__init__(name, reduction)

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = super()._targets(y_true, pred, first)
        return true * 2 - 1 if ((true == 0) | (true == 1)).all() else true

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        short = np.maximum(1 - true * pred, 0)
        dy = np.multiply(short > 0, -true, out=run.empty("dy", pred.shape, pred.dtype))
        return Values(short, dy, 1.0, terms_of(pred))


class SquaredHinge(Hinge):
    """Mean of ``max(1 - y_true y_pred, 0)²``; see `Hinge`.

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> SquaredHinge()([[0.0, 1.0]], np.array([[0.5, 0.75]]))
    (1.15625, array([[ 1.5 , -0.25]]))
    """

    key = "squared_hinge"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "squared_hinge") -> None:
        super().__init__(reduction, name)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        short = np.maximum(1 - true * pred, 0)
        dy = np.multiply(short, -true, out=run.empty("dy", pred.shape, pred.dtype))
        return Values(np.square(short), dy, 2.0, terms_of(pred))


class CategoricalHinge(Loss):
    """``max(neg - pos + 1, 0)`` for one-hot targets, from the right class' and the best wrong class' scores.

    ``pos = Σ_k t_k p_k`` and ``neg = max_k (1 - t_k) p_k``, as in Keras. Among equal scores the first gets
    the gradient.

    Parameters
    ----------
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> CategoricalHinge()([[0, 1, 0]], np.array([[0.5, 0.75, 0.0]]))
    (0.75, array([[ 1., -1., -0.]]))
    """

    key = "categorical_hinge"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "categorical_hinge") -> None:
        super().__init__(name, reduction)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        rows = (-1, terms_of(pred))
        t, p = true.reshape(rows), pred.reshape(rows)
        others = (1 - t) * p
        best = others.argmax(axis=1)[:, np.newaxis]
        values = np.maximum(np.take_along_axis(others, best, 1) - (t * p).sum(axis=1, keepdims=True) + 1, 0)
        dy = run.empty("dy", t.shape, pred.dtype)
        np.negative(t, out=dy)
        np.put_along_axis(dy, best, np.take_along_axis(1 - 2 * t, best, 1), 1)
        dy *= values > 0
        return Values(values, dy.reshape(pred.shape))
