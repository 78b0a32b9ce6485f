"""A forward pass as the list of its kernel calls: all that is left when only the input changes."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from cconv.arena import Call


class Program:
    """Recorded kernel calls, which are repeated on other inputs of the same shape.

    Every array but the input keeps its place, so what is written into the weights is seen.

    Parameters
    ----------
    calls : sequence of (kernel, arguments)
        In order; the arguments name every array that is read or written.
    x, y : ndarray
        The input and the output of the recorded pass. No other array may lie in the memory of x.

    Examples
    --------
    >>> x, w, y = np.array([1.0, 2.0]), np.array([10.0, 10.0]), np.empty(2)
    >>> program = Program.of([(np.multiply, (x, w, y))], x, y)
    >>> w[0] = 20.0
    >>> program(np.array([3.0, 4.0]))
    array([60., 40.])
    """

    def __init__(self, calls: Sequence[Call], x: np.ndarray, y: np.ndarray) -> None:
        self._calls = [(kernel, list(args)) for kernel, args in calls]
        self._inputs = [
            (args, place, arg.shape)
            for _, args in self._calls
            for place, arg in enumerate(args)
            if _is_of(arg, x)
        ]
        self._y = y
        self._unbind()

    @classmethod
    def of(cls, calls: Sequence[Call], x: np.ndarray, y: np.ndarray) -> Self | None:
        """Return the program, or None where some array is neither x in another shape nor apart from it."""
        inputs = [arg for _, args in calls for arg in args if _is_of(arg, x)]
        if _is_of(y, x) or any(arg.size != x.size or not arg.flags.c_contiguous for arg in inputs):
            return None
        return cls(calls, x, y)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the output for x, C-contiguous and of the recorded shape; overwritten by the next call."""
        for args, place, shape in self._inputs:
            args[place] = x.reshape(shape)
        for kernel, args in self._calls:
            kernel(*args)
        self._unbind()
        return self._y

    def _unbind(self) -> None:
        # The input may be the user's own memory.
        for args, place, _ in self._inputs:
            args[place] = None


def _is_of(arg: object, x: np.ndarray) -> bool:
    """Whether an argument is an array in the memory of x."""
    return isinstance(arg, np.ndarray) and np.may_share_memory(arg, x)
