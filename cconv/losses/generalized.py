"""The generalized cross-entropy, for labels with errors."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.losses.base import SUM_OVER_BATCH_SIZE, Values, each
from cconv.losses.crossentropy import SparseCategoricalCrossentropy
from cconv.losses.focal import any_power
from cconv.ops.run import Run


class CategoricalGeneralizedCrossEntropy(SparseCategoricalCrossentropy):
    """``(1 - p_c^q) / q`` for class numbers c, as in Keras.

    For q near 0 it is the cross-entropy, near 1 the absolute error.

    Source: Zhang & Sabuncu 2018, "Generalized cross entropy loss for training deep neural networks with noisy
    labels".

    Parameters
    ----------
    q : float
        In (0, 1).
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> loss, dy = CategoricalGeneralizedCrossEntropy()([1], np.array([[0.75, 0.25]]))
    >>> round(loss, 6), dy.round(6).tolist()
    (1.0, [[0.0, -2.0]])
    """

    key = "categorical_generalized_cross_entropy"
    activation = ""

    def __init__(
        self,
        q: float = 0.5,
        reduction: str = SUM_OVER_BATCH_SIZE,
        name: str = "categorical_generalized_cross_entropy",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.q: float = arguments.finite("CategoricalGeneralizedCrossEntropy", "q", q)
        if not 0 < self.q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: q must be in (0, 1), got {q!r}")

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        return self._of_values(true, pred, weight, run, from_logits)

    def _values(self, true: np.ndarray, pred: np.ndarray, run: Run, from_logits: bool) -> Values:
        rows = pred.reshape(-1, pred.shape[-1])
        numbers = np.arange(len(rows))
        p = rows[numbers, true].astype(np.float64)
        power = any_power(p, self.q)
        dy = run.empty("dy", rows.shape, rows.dtype)
        dy[...] = 0
        dy[numbers, true] = -power / p
        return Values((1 - power) / self.q, dy.reshape(pred.shape))


@controlled
def categorical_generalized_cross_entropy(y_true: ArrayLike, y_pred: ArrayLike, q: float) -> Any:
    """Return the generalized cross-entropy of each sample, see `CategoricalGeneralizedCrossEntropy`.

    Examples
    --------
    >>> import numpy as np
    >>> categorical_generalized_cross_entropy([1, 0], np.array([[0.75, 0.25], [0.25, 0.75]]), 0.5).round(6)
    array([1., 1.])
    """
    return each(CategoricalGeneralizedCrossEntropy(q), y_true, y_pred)
