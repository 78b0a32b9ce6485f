"""The arrays of a layer, by name."""

from collections import UserDict

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments.arrays import as_array
from cconv.arguments.control import controlled


class Weights(UserDict[str, np.ndarray]):
    """Named arrays that keep their memory: assigning to a name copies the values into its array.

    The kernels trust the shape, dtype and layout that the layer gave them.

    Examples
    --------
    >>> w = Weights()
    >>> w.add("bias", np.zeros(2))
    >>> w["bias"] = [1, 2]
    >>> w["bias"]
    array([1., 2.])
    """

    @controlled
    def __setitem__(self, name: str, value: ArrayLike) -> None:
        if name not in self.data:
            raise KeyError(f"there is no {name!r} here, only {', '.join(self.data) or 'nothing'}")
        array = self.data[name]
        values = as_array("weights", name, value)
        if values.shape != array.shape:
            raise ValueError(f"{name} must have shape {array.shape}, got {values.shape}")
        if values.dtype.kind not in "biuf":
            raise TypeError(f"{name} must hold real numbers, got dtype {values.dtype}")
        array[...] = values

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name!r} cannot be deleted: the layer needs it")

    def add(self, name: str, array: np.ndarray) -> None:
        """Add an array under a new name: the array itself, not a copy."""
        self.data[name] = array
