"""The circle loss of embeddings: it makes angles small within classes and large between them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, exactmath, ops
from cconv.arguments.control import controlled
from cconv.losses.base import SUM_OVER_BATCH_SIZE, Loss
from cconv.ops.run import Run


class Circle(Loss):
    """Circle loss of class numbers and embeddings of norm 1 (Sun et al. 2020), as in Keras.

    With the distances ``d_ij = max(0, 1 - e_i · e_j)`` a sample's loss is ``log(1 + P_i N_i)``, where ``P_i =
    Σ exp(-γ (m + d)(m - d))`` over the other samples of its class and ``N_i = Σ exp(γ max(0, 1 + m - d)(1 - m
    - d))`` over samples of other classes. Samples without another sample of their class, or without samples
    of other classes, are left out of the mean.

    Source: Sun et al. 2020, "Circle loss: a unified perspective of pair similarity optimization".

    Parameters
    ----------
    gamma : float
        The scale γ.
    margin : float
        The margin m.
    remove_diagonal : bool
        Whether to leave out a sample's pair with itself.
    reduction, name
        See `Loss`.

    Examples
    --------
    >>> e = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> loss, dy = Circle(gamma=2.0)([0, 0, 1], e)
    >>> round(loss, 6), dy.shape
    (0.915035, (3, 2))
    """

    key = "circle"

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str = SUM_OVER_BATCH_SIZE,
        name: str = "circle",
    ) -> None:
        super().__init__(name, reduction)
        self.gamma: float = arguments.finite("Circle", "gamma", gamma)
        self.margin: float = arguments.finite("Circle", "margin", margin)
        self.remove_diagonal: bool = arguments.flag("Circle", "remove_diagonal", remove_diagonal)

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Raise ValueError if targets of that shape do not fit predictions of that shape."""
        if len(pred) != 2 or true not in (pred[:1], (pred[0], 1)):
            raise ValueError(
                f"{self.key}: y_pred must be embeddings (n, d) and y_true class numbers of shape {pred[:1]}, "
                f"got {pred} and {true}"
            )

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        return arguments.whole_numbers(self.key, "y_true", true.reshape(-1), first)

    def _reduced(self, weight: np.ndarray | None, rows: int) -> np.ndarray | None:
        return weight

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        values, slopes = self._of_pairs(true, pred, true, pred)
        counts = np.not_equal(values, 0).astype(np.float64)  # NaN counts
        if self.reduction in ("sum_over_batch_size", "mean"):
            counts /= max(counts.sum(), 1)
        factors = counts if weight is None else counts * weight
        if self.reduction == "mean_with_sample_weight":
            total = factors.sum()
            factors = factors / total if total else 0.0 * factors
        pairs = slopes * factors[:, np.newaxis]
        # Both embeddings of a pair are rows of the same array.
        dy = run.empty("dy", pred.shape, pred.dtype)
        dy[...] = _product(-(pairs + pairs.T), pred.astype(np.float64))
        return float((values * factors).sum()), dy

    def _of_pairs(
        self, true: np.ndarray, pred: np.ndarray, others: np.ndarray, references: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the samples' losses in float64, and their slopes by the distances, (n, references)."""
        wide = pred.astype(np.float64)
        raw = 1 - _product(wide, references.astype(np.float64).T)
        d, m = np.where(raw < 0, 0, raw), self.margin
        alike = true[:, np.newaxis] == others
        own = np.eye(*alike.shape) == 1
        positive = alike & ~own if self.remove_diagonal else alike
        pulls, pushes = np.maximum(m + d, 0), np.maximum(1 + m - d, 0)
        of_pulls, shares = _log_sums(-self.gamma * pulls * (m - d), positive)
        of_pushes, other_shares = _log_sums(self.gamma * pushes * (1 - m - d), ~alike)
        both = of_pulls + of_pushes
        small = exactmath.exp(-np.abs(both))
        values = np.maximum(both, 0) + exactmath.log(1 + small)
        slope = np.where(both > 0, 1, small) / (1 + small)
        slopes = shares * np.where(pulls > 0, 2 * self.gamma * d, 0)
        slopes -= other_shares * np.where(pushes > 0, 2 * self.gamma * (1 - d), 0)
        return values, np.where(raw > 0, slopes, 0) * slope[:, np.newaxis]


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product of two matrices, in the order of a dense layer's sums."""
    return ops.dense(np.ascontiguousarray(a), np.ascontiguousarray(b), None, False, Run())


def _log_sums(x: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row log Σ exp of the entries that count (-inf if none), and their shares of the sum."""
    masked = np.where(counts, x, -np.inf)
    most = masked.max(axis=1, keepdims=True)
    most = np.where(np.isneginf(most), 0, most)
    e = np.where(counts, exactmath.exp(masked - most), 0)
    sums = e.sum(axis=1, keepdims=True)
    logs = np.where(sums == 0, -np.inf, exactmath.log(np.where(sums == 0, 1, sums)) + most)
    return logs[:, 0], e / np.where(sums == 0, 1, sums)


@controlled
def circle(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    ref_labels: ArrayLike | None = None,
    ref_embeddings: ArrayLike | None = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """Return the circle loss of each sample, see `Circle`; 0 for samples without pairs of both kinds.

    Parameters
    ----------
    y_true, y_pred : array
        Class numbers (n,) and embeddings (n, d).
    ref_labels, ref_embeddings : array, optional
        Labels and embeddings to pair samples with, by default the samples themselves.
    remove_diagonal, gamma, margin
        See `Circle`.

    Examples
    --------
    >>> import numpy as np
    >>> circle([0, 0, 1], np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), gamma=2.0).round(6)
    array([0.545893, 1.284178, 0.      ])
    """
    loss = Circle(gamma, margin, remove_diagonal)
    pred = arguments.as_activations(loss.key, "y_pred", y_pred, None)
    true = loss._targets(y_true, pred)
    references = pred
    if ref_embeddings is not None:
        references = arguments.as_activations(loss.key, "ref_embeddings", ref_embeddings, None)
        if references.ndim != 2 or references.shape[1] != pred.shape[1]:
            raise ValueError(
                f"{loss.key}: ref_embeddings must have the shape (n, {pred.shape[1]}), got {references.shape}"
            )
    others = true if ref_labels is None else loss._targets(ref_labels, references)
    if len(others) != len(references):
        raise ValueError(f"{loss.key}: ref_labels must be {len(references)} class numbers, got {len(others)}")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return loss._of_pairs(true, pred, others, references)[0].astype(pred.dtype)
