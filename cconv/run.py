"""How one call is run: where its arrays come from, and what keys its random draws.

A layer used alone gets `Run()`: fresh arrays, which belong to the caller for ever. A plan
(`plan.py`) hands its layers a `Run` whose arrays are the same memory at every step, because
touching fresh pages costs more than the arithmetic of a small network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

F = TypeVar("F", bound=Callable[..., Any])

ALIGNMENT = 64  # bytes: one cache line, one AVX-512 vector


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an uninitialised C-contiguous array that begins on a cache line.

    MemoryError when it cannot be allocated.
    """
    dtype = np.dtype(dtype)
    count = 1
    for extent in shape:
        count *= int(extent)
    nbytes = count * dtype.itemsize
    try:
        raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    except (ValueError, OverflowError) as error:
        raise MemoryError(f"cannot allocate an array of shape {shape} and dtype {dtype}") from error
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes].view(dtype).reshape(shape)


def replayable(function: F) -> F:
    """Mark a forward pass whose whole work, without training, is kernel calls made by `Run.call`.

    Of such a pass a plan repeats the calls alone. What overrides the function is not marked.
    """
    function.replayable = True  # type: ignore[attr-defined]
    return function


def is_replayable(function: Any) -> bool:
    """Whether a function is marked as `replayable`."""
    return getattr(function, "replayable", False)


@dataclass
class Run:
    """One forward or backward call of a layer.

    Attributes
    ----------
    training : bool
        Keep what `backward` needs; drop out; augment.
    seed, step, first_sample : int
        The key of every random draw: sample i of this call is sample `first_sample + i` of step
        `step`. The same key gives the same draw in any batch split, thread or process.
    """

    training: bool = False
    seed: int = 0
    step: int = 0
    first_sample: int = 0

    def empty(self, tag: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return an uninitialised array; `tag` says what it is for, once per layer and call."""
        return aligned_empty(shape, dtype)

    def scratch(self, nbytes: int) -> np.ndarray:
        """Return `nbytes` bytes whose content nobody needs after the next kernel call."""
        return aligned_empty((nbytes,), np.uint8)

    def call(self, kernel: Callable[..., Any], *args: Any) -> None:
        """Call a kernel; what it writes to is among its arguments."""
        kernel(*args)
