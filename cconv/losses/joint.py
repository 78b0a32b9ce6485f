"""The loss of a model with several losses: the weighted sum of its outputs' losses, as in Keras."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cconv.losses.base import Loss
from cconv.ops.run import Run


class Total(float):
    """A sum of losses that also stores the summed losses.

    Attributes
    ----------
    parts : tuple of float
        The losses, before they are multiplied by their weights.
    """

    parts: tuple[float, ...] = ()


class Joint:
    """The sum of the outputs' losses, each times its weight.

    Parameters
    ----------
    parts : sequence of Loss or None
        One for each output; None: that output is ignored.
    weights : sequence of float, optional
        One for each output; by default 1.

    Attributes
    ----------
    parts, weights : tuple
        As given.

    Examples
    --------
    >>> from cconv.losses import MeanAbsoluteError, MeanSquaredError
    >>> loss = Joint([MeanSquaredError(), MeanAbsoluteError()], [1.0, 0.5])
    >>> y_true, y_pred = ([[0.0]], [[0.0]]), (np.array([[3.0]]), np.array([[2.0]]))
    >>> total, (first, second) = loss.of_all(y_true, y_pred, None, [Run(), Run()], [False, False])
    >>> total, total.parts, first, second
    (10.0, (9.0, 2.0), array([[6.]]), array([[0.5]]))
    """

    def __init__(self, parts: Sequence[Loss | None], weights: Sequence[float] | None = None) -> None:
        self.parts: tuple[Loss | None, ...] = tuple(parts)
        self.weights: tuple[float, ...] = tuple(weights or [1.0] * len(self.parts))

    def of_all(
        self,
        y_true: Sequence[Any],
        y_pred: Sequence[np.ndarray],
        sample_weight: Sequence[Any] | None,
        runs: Iterable[Run],
        from_logits: Sequence[bool],
    ) -> tuple[Total, tuple[np.ndarray | None, ...]]:
        """Return the sum, and the gradient with respect to each output; None for an output without a loss.

        Parameters
        ----------
        y_true, y_pred, sample_weight, from_logits : sequence
            The arguments of `Loss`, for each output.
        runs : iterable of Run
            Provide the memory for each output's gradient.
        """
        weights = [None] * len(self.parts) if sample_weight is None else sample_weight
        total = 0.0
        parts: list[float] = []
        gradients: list[np.ndarray | None] = []
        rows = zip(self.parts, self.weights, y_true, y_pred, weights, runs, from_logits, strict=True)
        for loss, factor, true, pred, weight, run, logits in rows:
            if loss is None:
                gradients.append(None)
                continue
            value, gradient = loss(true, pred, weight, run, logits)
            if factor != 1:
                gradient *= factor
            total += factor * value
            parts.append(value)
            gradients.append(gradient)
        found = Total(total)
        found.parts = tuple(parts)
        return found, tuple(gradients)

    def __call__(
        self, y_true: Any, y_pred: np.ndarray, sample_weight: Any, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        """Return the weighted loss of the only output and its gradient."""
        total, (gradient,) = self.of_all((y_true,), (y_pred,), (sample_weight,), [run], [from_logits])
        assert gradient is not None
        return float(total), gradient

    def __repr__(self) -> str:
        return f"Joint({list(self.parts)}, {list(self.weights)})"


def parts_of(loss: Any) -> tuple[Loss | None, ...]:
    """Return the loss of each output."""
    return loss.parts if isinstance(loss, Joint) else (loss,)
