"""Overlap losses for masks: one value for a whole batch, or several."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.losses.base import EPSILON, SUM_OVER_BATCH_SIZE, Loss
from cconv.ops.run import Run


class _Overlap(Loss):
    """A loss of sums over several axes.

    Parameters
    ----------
    axis : int, sequence of int or None
        See `Dice`.
    reduction, name
        See `Loss`.
    """

    def __init__(self, axis: Any, reduction: str, name: str) -> None:
        super().__init__(name, reduction)
        kind = type(self).__name__
        several = isinstance(axis, Sequence) and not isinstance(axis, str)
        if not (axis is None or arguments.is_int(axis) or (several and all(map(arguments.is_int, axis)))):
            raise TypeError(f"{kind}: axis must be None, an int or a sequence of them, got {axis!r}")
        self.axis: Any = tuple(int(each) for each in axis) if several else axis

    def _axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes of the sums, counted from 0."""
        given = (
            range(rank) if self.axis is None else (self.axis,) if isinstance(self.axis, int) else self.axis
        )
        axes = tuple(axis + rank if axis < 0 else axis for axis in given)
        if any(not 0 <= axis < rank for axis in axes) or len(set(axes)) < len(axes):
            raise ValueError(
                f"{self.key}: axis must name different axes of {rank}, the batch being 0, got {self.axis!r}"
            )
        return axes

    def weight_shape(self, pred: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the values that weights multiply; for a single value one weight per sample."""
        axes = self._axes(len(pred))
        return tuple(n for axis, n in enumerate(pred) if axis not in axes) or pred[:1]

    def _reduced(self, weight: np.ndarray | None, rows: int) -> np.ndarray | None:
        return weight

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        values, slopes = self._overlap(true, pred)
        count, total = values.size, values.size
        factors: np.ndarray = np.ones(values.size)
        if weight is not None:
            factors = weight.astype(np.float64)
            count, total = len(weight), weight.sum(dtype=np.float64)
        if self.reduction == "mean_with_sample_weight":
            factors = factors / total if total else 0.0 * factors
        elif self.reduction != "sum":
            factors = factors / count
        if values.size == 1:  # every weight multiplies the single value
            factors = factors.sum(keepdims=True)
        factors = factors.reshape(values.shape)
        dy = run.empty("dy", pred.shape, pred.dtype)
        dy[...] = slopes * factors
        return float((values * factors).sum()), dy

    def _overlap(self, true: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values in float64, with length 1 on summed axes, and their slopes."""
        axes = self._axes(pred.ndim)
        t, p = true.astype(np.float64), pred.astype(np.float64)
        return self._shares(t, p, axes)

    def _shares(self, t: np.ndarray, p: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


class Dice(_Overlap):
    """One minus the overlap of two areas: ``1 - 2 Σ t p / (Σ t + Σ p + 1e-7)``, as in Keras.

    Source: Dice 1945, "Measures of the amount of ecologic association between species".

    Parameters
    ----------
    reduction, name
        See `Loss`. Without `axis` there is one value, which is not divided by a number of samples.
    axis : int, sequence of int or None
        The axes to sum over; 0 is the samples: (1, 2, 3) gives each image its own value. None: all axes, the
        batch is one area.

    Examples
    --------
    >>> loss, dy = Dice()([[1.0], [0.0]], np.array([[0.5], [0.5]]))
    >>> round(loss, 6), dy.round(6).tolist()
    (0.5, [[-0.75], [0.25]])
    """

    key = "dice"

    def __init__(self, reduction: str = SUM_OVER_BATCH_SIZE, name: str = "dice", axis: Any = None) -> None:
        super().__init__(axis, reduction, name)

    def _shares(self, t: np.ndarray, p: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        common = 2 * (t * p).sum(axis=axes, keepdims=True)
        whole = t.sum(axis=axes, keepdims=True) + p.sum(axis=axes, keepdims=True) + EPSILON
        return 1 - common / whole, (common / whole - 2 * t) / whole


class Tversky(_Overlap):
    """`Dice` with weighted errors: ``1 - Σ t p / (Σ t p + α Σ t (1 - p) + β Σ (1 - t) p + 1e-7)``.

    As in Keras. Source: Salehi, Erdogmus, Gholipour 2017, "Tversky loss function for image segmentation".

    Parameters
    ----------
    alpha, beta : float
        Weights of false negatives and of false positives.
    reduction, name, axis
        See `Dice`.

    Examples
    --------
    >>> loss, dy = Tversky(0.25, 0.75)([[1.0], [0.0]], np.array([[0.5], [0.5]]))
    >>> round(loss, 6), dy.round(6).tolist()
    (0.5, [[-0.625], [0.375]])
    """

    key = "tversky"

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str = SUM_OVER_BATCH_SIZE,
        name: str = "tversky",
        axis: Any = None,
    ) -> None:
        super().__init__(axis, reduction, name)
        self.alpha: float = arguments.finite("Tversky", "alpha", alpha)
        self.beta: float = arguments.finite("Tversky", "beta", beta)

    def _shares(self, t: np.ndarray, p: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        common = (t * p).sum(axis=axes, keepdims=True)
        missing = ((1 - p) * t).sum(axis=axes, keepdims=True)
        too_much = (p * (1 - t)).sum(axis=axes, keepdims=True)
        whole = common + missing * self.alpha + too_much * self.beta + EPSILON
        slope = t - self.alpha * t + self.beta * (1 - t)
        return 1 - common / whole, (common / whole * slope - t) / whole


def _values(loss: _Overlap, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    pred = arguments.as_activations(loss.key, "y_pred", y_pred, None, may_be_empty=True)
    axes = loss._axes(pred.ndim)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        values, _ = loss._overlap(loss._targets(y_true, pred), pred)
    return np.squeeze(values, axis=axes).astype(pred.dtype)[()]


@controlled
def dice(y_true: ArrayLike, y_pred: ArrayLike, axis: Any = None) -> Any:
    """Return one minus the overlap, one value for each index of the axes not summed over: see `Dice`.

    Examples
    --------
    >>> import numpy as np
    >>> dice([[1.0, 0.0], [1.0, 1.0]], np.array([[0.5, 0.5], [1.0, 0.0]]), axis=1).round(6)
    array([0.5     , 0.333333])
    """
    return _values(Dice(axis=axis), y_true, y_pred)


@controlled
def tversky(
    y_true: ArrayLike, y_pred: ArrayLike, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """Return `Tversky`'s value for each index of the axes not summed over.

    Examples
    --------
    >>> import numpy as np
    >>> tversky([[1.0, 0.0], [1.0, 1.0]], np.array([[0.5, 0.5], [1.0, 0.0]]), 0.0, 1.0, axis=1).round(6)
    array([0.5, 0. ])
    """
    return _values(Tversky(alpha, beta, axis=axis), y_true, y_pred)
