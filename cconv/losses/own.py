"""User-defined loss classes: the arguments and results of their `__call__`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from cconv.arguments.arrays import as_array, readable, ready

OPTIONS = ("sample_weight", "run", "from_logits")
WORTH = {"sample_weight": None, "run": None, "from_logits": False}  # values that have no effect


def is_own(loss: Any) -> bool:
    """Whether a loss is of a user-defined class, or has a user-defined function."""
    return hasattr(loss, "function") or (loss is not None and not type(loss).__module__.startswith("cconv."))


def checked(own: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that a model calls instead of a user-defined loss' own `__call__`.

    The user's `__call__` gets read-only targets and predictions, and need not accept arguments that it does
    not use. It returns the loss and its gradient: any real numbers, in any layout.
    """
    parameters = inspect.signature(own).parameters
    every = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    taken = [name for name in OPTIONS if every or name in parameters]

    @functools.wraps(own)
    def call(
        self: Any,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        run: Any = None,
        from_logits: bool = False,
    ) -> tuple[float, np.ndarray]:
        where = type(self).__name__
        given = {"sample_weight": sample_weight, "run": run, "from_logits": from_logits}
        for name in ("sample_weight", "from_logits"):
            if name not in taken and given[name] is not WORTH[name]:
                raise TypeError(f"{where}: {name} is given, but its __call__ does not take it")
        if isinstance(sample_weight, np.ndarray):
            given["sample_weight"] = readable(sample_weight)
        pred = as_array(where, "y_pred", y_pred)
        true = as_array(where, "y_true", y_true)
        found = own(self, readable(true), readable(pred), **{name: given[name] for name in taken})
        return _result(where, found, pred)

    return call


def _result(where: str, found: Any, pred: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the loss and the gradient from a `__call__`; raise if they are not valid."""
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise TypeError(
            f"{where}: __call__ must return (loss, gradient), got {type(found).__name__}; cconv derives no "
            "gradients"
        )
    value, slopes = as_array(where, "loss", found[0]), as_array(where, "gradient", found[1])
    for what, array in (("loss", value), ("gradient", slopes)):
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{where}: {what} must hold real numbers, got dtype {array.dtype}")
    if value.ndim:
        raise ValueError(f"{where}: loss must be one number, got shape {value.shape}")
    if slopes.shape != pred.shape:
        raise ValueError(f"{where}: gradient must have the shape of y_pred {pred.shape}, got {slopes.shape}")
    dtype = pred.dtype if pred.dtype.kind == "f" else slopes.dtype
    dy = ready(slopes, dtype)
    return float(value), dy.copy() if np.may_share_memory(dy, pred) else dy
