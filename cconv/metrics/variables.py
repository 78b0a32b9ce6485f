"""Variables for the state of a user's metric, as in Keras' guides."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike


class Variable(NDArrayOperatorsMixin):
    """A float64 array that keeps its name and shape: assigned values are copied into it.

    Parameters
    ----------
    value : array
        The first value.
    name : str
        Its name.

    Examples
    --------
    >>> total = Variable(0.0, "total")
    >>> total.assign_add(2)
    >>> float(total), float(total / 4), float(np.maximum(total, 3))
    (2.0, 0.5, 3.0)
    """

    def __init__(self, value: ArrayLike, name: str) -> None:
        self._array = np.array(value, np.float64)
        self.name = name

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)

    def assign(self, value: ArrayLike) -> None:
        """Set the value; ValueError for an array of another shape."""
        given = np.asarray(value, np.float64)
        if given.shape != self._array.shape:
            raise ValueError(f"{self.name}: assign expects the shape {self._array.shape}, got {given.shape}")
        self._array[...] = given

    def assign_add(self, value: ArrayLike) -> None:
        """Add to the value."""
        self.assign(self._array + np.asarray(value))

    def assign_sub(self, value: ArrayLike) -> None:
        """Subtract from the value."""
        self.assign(self._array - np.asarray(value))

    def numpy(self) -> np.ndarray:
        """Return a copy of the value."""
        return self._array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        # A copy: later assignments must not change the result.
        return self._array.astype(dtype or self._array.dtype)

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [value._array if isinstance(value, Variable) else value for value in inputs]
        call: Callable[..., Any] = getattr(function, method)
        return call(*plain, **options)

    def __float__(self) -> float:
        return float(self._array)

    def __int__(self) -> int:
        return int(self._array)

    def __bool__(self) -> bool:
        return bool(self._array)

    def __getitem__(self, place: Any) -> Any:
        return np.array(self._array[place])

    def __repr__(self) -> str:
        return f"<Variable {self.name!r}: {self._array}>"
