"""The learning rate as scripts of Keras' use it: a number that can be assigned."""

import weakref
from typing import Any

import numpy as np


class Rate(float):
    """The learning rate of an optimizer's next step: a plain number, with the methods of Keras' variable.

    Examples
    --------
    >>> from cconv.optimizers import SGD
    >>> sgd = SGD(0.5)
    >>> sgd.learning_rate.assign(sgd.learning_rate * 0.5)
    >>> sgd.learning_rate
    0.25
    """

    _of: weakref.ref[Any]

    @classmethod
    def of(cls, optimizer: Any) -> "Rate":
        """Return the rate of an optimizer, which it does not keep alive: rates are collected in lists."""
        rate = cls(optimizer._rate())
        rate._of = weakref.ref(optimizer)
        return rate

    def assign(self, value: Any) -> None:
        """Set the optimizer's `learning_rate`."""
        optimizer = self._of()
        if optimizer is not None:
            optimizer.learning_rate = value

    def numpy(self) -> np.float64:
        """Return the number."""
        return np.float64(self)

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        # NumPy takes only a plain float for a number that follows the dtype of the arrays beside it.
        plain = [float(value) if isinstance(value, Rate) else value for value in inputs]
        return getattr(function, method)(*plain, **options)

    def __reduce__(self) -> Any:
        return float, (float(self),)
