"""User-defined losses: plain functions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.arrays import readable
from cconv.losses.base import Loss
from cconv.ops.run import Run


class FunctionLoss(Loss):
    """A loss that is a function of targets and predictions: see `from_function`.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)``; without a `gradient` it returns both the values and their gradient.
    gradient : callable, optional
        ``gradient(y_true, y_pred)``.
    name : str, optional
        By default the function's.
    """

    def __init__(
        self,
        function: Callable[[Any, Any], Any],
        gradient: Callable[[Any, Any], Any] | None = None,
        name: str | None = None,
    ) -> None:
        for what, given in (("function", function), ("gradient", gradient)):
            if not callable(given) and not (what == "gradient" and given is None):
                raise TypeError(f"losses.from_function: {what} must be callable, got {given!r}")
        super().__init__(name or getattr(function, "__name__", type(function).__name__))
        self.function, self.gradient = function, gradient
        self.key: str = self.name

    def get_config(self) -> dict[str, Any]:
        """Return only the name: a function cannot be written as data, and models' files do not hold code."""
        return {"name": self.name}

    def check_shape(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Raise ValueError unless there is one target per prediction; the function checks the rest."""
        if true[:1] != pred[:1]:
            raise ValueError(f"{self.key}: y_true must have shape ({pred[0]}, …), got {true}")

    def _targets(self, y_true: ArrayLike, pred: np.ndarray, first: int = 0) -> np.ndarray:
        true = arguments.real_array(self.key, "y_true", y_true, None)
        self.check_shape(true.shape, pred.shape)
        alike = true.shape == pred.shape[:-1] and pred.shape[-1] == 1
        return arguments.ready(true.reshape(pred.shape) if alike else true, pred.dtype)

    def _weights(self, sample_weight: ArrayLike | None, pred: np.ndarray) -> np.ndarray | None:
        """Return the weights unchanged, since the shape of the function's values is not known yet."""
        if sample_weight is None:
            return None
        weight = arguments.real_array(self.key, "sample_weight", sample_weight, None)
        arguments.finite_weights(self.key, "sample_weight", weight)
        return weight

    def _compute(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, run: Run, from_logits: bool
    ) -> tuple[float, np.ndarray]:
        values, slopes = self._asked(true, pred)
        dy = run.empty("dy", pred.shape, pred.dtype)
        dy[...] = slopes
        if not values.ndim:
            if weight is not None:
                raise ValueError(
                    f"{self.key}: sample_weight needs a loss that returns one value a sample; "
                    f"this function returns one number for the whole batch"
                )
            return float(values), dy
        if weight is None:
            dy /= values.size
            return float(values.sum(dtype=np.float64)) / values.size, dy
        spread = arguments.spread_weight(
            self.key, "sample_weight", weight, values.shape, np.dtype(np.float64)
        ).reshape(values.shape)
        dy *= (spread / values.size).reshape(spread.shape + (1,) * (dy.ndim - spread.ndim))
        return float((values * spread).sum(dtype=np.float64)) / values.size, dy

    def _asked(self, true: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values (a number, or an array of the predictions' first axes) and the slopes."""
        true, pred = readable(true), readable(pred)
        found = self.function(true, pred)
        if self.gradient is None:
            if not isinstance(found, tuple) or len(found) != 2:
                raise TypeError(
                    f"{self.key}: a loss function must return (value, gradient), got {type(found).__name__}; "
                    f"cconv derives no gradients: give one to losses.from_function(function, gradient)"
                )
            values, slopes = found
        else:
            values, slopes = found, self.gradient(true, pred)
        values, slopes = (
            arguments.as_array(self.key, what, given)
            for what, given in (("value", values), ("gradient", slopes))
        )
        for what, array in (("value", values), ("gradient", slopes)):
            if array.dtype.kind not in "biuf":
                raise TypeError(f"{self.key}: {what} must hold real numbers, got dtype {array.dtype}")
        if slopes.shape != pred.shape:
            raise ValueError(
                f"{self.key}: gradient must have the shape of y_pred {pred.shape}, got {slopes.shape}"
            )
        if values.shape != pred.shape[: values.ndim]:
            raise ValueError(
                f"{self.key}: value must be one number, or an array of the first axes of y_pred "
                f"{pred.shape}, got shape {values.shape}"
            )
        return values, slopes


def from_function(
    function: Callable[[Any, Any], Any], gradient: Callable[[Any, Any], Any], name: str | None = None
) -> Loss:
    """Return a loss made of two functions of targets and predictions, in NumPy: values and gradient.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)`` returns one value per sample, an array of shape (n,), or one per pixel or
        element, (n, …), of the first axes of `y_pred`; the loss is their mean. Or it returns one number for
        the whole batch, which cannot be weighted.
    gradient : callable
        ``gradient(y_true, y_pred)`` returns the derivatives of each value, in the shape of `y_pred`; if there
        is one number for the batch, its derivatives.
    name : str, optional
        By default the function's.

    Returns
    -------
    Loss
        For `compile`. Both functions are called with arrays in the model's dtype, images channels last.

    Raises
    ------
    TypeError
        When one of them is not callable.

    Examples
    --------
    >>> import numpy as np
    >>> cubic = from_function(
    ...     lambda t, p: (np.abs(p - t) ** 3).mean(axis=-1),
    ...     lambda t, p: 3 * (p - t) * np.abs(p - t) / p.shape[-1],
    ...     name="cubic",
    ... )
    >>> cubic([[0.0], [0.0]], np.array([[2.0], [1.0]]))
    (4.5, array([[6. ],
           [1.5]]))
    """
    if gradient is None:
        raise TypeError("losses.from_function: gradient must be callable, got None")
    return FunctionLoss(function, gradient, name)
