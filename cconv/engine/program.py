"""A pass as a list of kernel calls: all that is left of it when only its inputs change."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from cconv._kernels import view
from cconv.engine.memory import Call


class Program:
    """Recorded kernel calls that are repeated with other inputs of the same shapes.

    Every array except the inputs keeps its place, so changed weights are used.

    Parameters
    ----------
    calls : sequence of (kernel, arguments)
        In order; the arguments name every array that is read or written.
    inputs : sequence of ndarray
        The inputs of the recorded pass. No other array may lie in their memory.
    y : ndarray or tuple of ndarray, optional
        The output of the recorded pass.

    Examples
    --------
    >>> x, w, y = np.array([1.0, 2.0]), np.array([10.0, 10.0]), np.empty(2)
    >>> program = Program.of([(np.multiply, (x, w, y))], [x], y)
    >>> w[0] = 20.0
    >>> program(np.array([3.0, 4.0]))
    array([60., 40.])
    """

    def __init__(self, calls: Sequence[Call], inputs: Sequence[np.ndarray], y: Any = None) -> None:
        prepared = [_prepared(kernel, args) for kernel, args in calls]
        # Where inputs are needed: list of arguments, place in it, number of the input, and which part of it
        # in which shape; None for all of it as it is.
        self._places = [
            (args, place, number, _part_of(x, arg))
            for (_, args), (_, given) in zip(prepared, calls, strict=True)
            for place, arg in enumerate(given)
            for number, x in enumerate(inputs)
            if _is_of(arg, x)
        ]
        # Lists of arguments that never change are stored as tuples, which need no copy for a call.
        changing = {id(args) for args, *_ in self._places}
        self._calls: list[tuple[Any, Sequence[Any]]] = [
            (kernel, args if id(args) in changing else tuple(args)) for kernel, args in prepared
        ]
        self._y = y
        self._unbind()

    @classmethod
    def of(cls, calls: Sequence[Call], inputs: Sequence[np.ndarray], y: Any = None) -> Self | None:
        """Return the program, or None if an array shares memory with an input but is not a piece of it."""
        for x in inputs:
            same = [arg for _, args in calls for arg in args if _is_of(arg, x)]
            ys = y if isinstance(y, tuple) else (y,)
            if any(_is_of(each, x) for each in ys) or not all(_is_piece(arg, x) for arg in same):
                return None
        return cls(calls, inputs, y)

    def __call__(self, *inputs: np.ndarray) -> Any:
        """Return the output for C-contiguous inputs of the recorded shapes; the next call overwrites it."""
        try:
            for args, place, number, part in self._places:
                x = inputs[number]
                args[place] = x if part is None else x.reshape(-1)[part[0]].reshape(part[1])
            for kernel, given in self._calls:
                kernel(*given)
        finally:
            self._unbind()
        return self._y

    def _unbind(self) -> None:
        # The inputs may be the user's own memory.
        for args, place, *_ in self._places:
            args[place] = None


# Cython's names for the dtypes of its fused functions.
SIGNATURES = {"f4": "float", "f8": "double"}


def _prepared(kernel: Any, args: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Return a call that takes less time: to the function for its dtype, with memoryviews for arrays."""
    dtypes = {arg.dtype.str[1:] for arg in args if isinstance(arg, np.ndarray)} & SIGNATURES.keys()
    name = SIGNATURES[dtypes.pop()] if len(dtypes) == 1 else ""
    if name not in getattr(kernel, "__signatures__", ()):
        return kernel, list(args)
    return kernel[name], [view(arg) if _is_viewed(arg) else arg for arg in args]


def _is_viewed(arg: Any) -> bool:
    array = isinstance(arg, np.ndarray) and arg.dtype.kind == "f"
    return array and arg.flags.c_contiguous and 1 <= arg.ndim <= 4


def _is_of(arg: object, x: np.ndarray) -> bool:
    """Whether an argument is an array in the memory of x."""
    return isinstance(arg, np.ndarray) and np.may_share_memory(arg, x)


def _is_piece(arg: np.ndarray, x: np.ndarray) -> bool:
    """Whether an argument in the memory of x is a contiguous piece of its elements."""
    if arg.dtype != x.dtype or not arg.flags.c_contiguous:
        return False
    first = arg.ctypes.data - x.ctypes.data
    return 0 <= first <= x.nbytes - arg.nbytes


def _part_of(x: np.ndarray, arg: np.ndarray) -> tuple[slice, tuple[int, ...]] | None:
    """Return which elements of x the argument is, and in what shape; None if it is x itself."""
    first = (arg.ctypes.data - x.ctypes.data) // x.itemsize
    return None if arg.shape == x.shape else (slice(first, first + arg.size), arg.shape)
