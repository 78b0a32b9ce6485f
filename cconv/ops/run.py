"""How one call is run: where its arrays come from, and what keys its random draws.

A layer used alone gets `Run()`: fresh arrays, which belong to the caller for ever. A plan
(`engine/plan.py`) hands its layers a `Run` whose arrays are the same memory at every step, because
touching fresh pages costs more than the arithmetic of a small network.
"""

import dataclasses
from collections.abc import Callable, Hashable
from functools import cache, wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from cconv.arguments.arrays import aligned_empty

F = TypeVar("F", bound=Callable[..., Any])
WORD = 2**32  # values of a random word


_replayable: set[Any] = set()


def replayable(function: F) -> F:
    """Mark a pass of a layer whose whole work is kernel calls made by `Run.call`.

    A plan repeats the calls of such passes alone. A forward pass so marked need be no more than that
    without training; where the layer's backward pass is marked too, it is in training as well. What
    overrides a function is not marked.
    """
    _replayable.add(function)
    return function


def is_replayable(function: Any) -> bool:
    """Whether a function, or the function of a method, is marked as `replayable`."""
    return getattr(function, "__func__", function) in _replayable


@cache
def _quietly(function: np.ufunc) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            function(*args)

    return call


def quiet(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kernel that gives no warnings: NaN and infinities pass. NumPy's functions do otherwise."""
    return _quietly(kernel) if isinstance(kernel, np.ufunc) else kernel


@dataclasses.dataclass
class Run:
    """One forward or backward call of a layer.

    Attributes
    ----------
    training : bool
        Keep what `backward` needs; drop out; augment.
    seed, step, first_sample : int
        The key of every random draw: sample i of this call is sample `first_sample + i` of step
        `step`. The same key gives the same draw in any batch split, thread or process.
    cut : cconv.ops.shards.Cut, optional
        How the batch is cut into shards, over which gradients of weights are summed one by one.
    """

    training: bool = False
    seed: int = 0
    step: int = 0
    first_sample: int = 0
    cut: Any = None

    @property
    def draw_key(self) -> np.ndarray:
        """The step and the first sample, modulo 2**32, as kernels that draw take them."""
        return np.array((self.step % WORD, self.first_sample % WORD), np.uint32)

    def empty(self, tag: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return an uninitialised array; `tag` says what it is for, once per layer and call."""
        return aligned_empty(shape, dtype)

    def scratch(self, nbytes: int) -> np.ndarray:
        """Return `nbytes` bytes whose content nobody needs after the next kernel call."""
        return aligned_empty((nbytes,), np.uint8)

    def kept(self, what: Hashable, count: int, dtype: DTypeLike) -> np.ndarray | None:
        """Return `count` elements that last until this very call of the layer comes again.

        `what` tells what is laid out there, and how. The first element is 0 the first time. None where
        there is no such memory.
        """
        return None

    def levels(self, count: int) -> list[Any]:
        """Return so many runs, without a cut, whose arrays are in use together."""
        return [dataclasses.replace(self, cut=None) for _ in range(count)]

    def again(self) -> None:
        """Give up what was handed out: the next arrays may lie in the same memory."""

    def call(self, kernel: Callable[..., Any], *args: Any) -> None:
        """Call a kernel; what it writes to is among its arguments."""
        quiet(kernel)(*args)


Array = np.ndarray

# Multiply-adds under which a parallel region costs more than it saves.
SERIAL_WORK = 300_000
# Elements that are worth more threads, for exp and its kin, and Philox.
SERIAL_COSTLY = 8_192


def scratch_for(run: Run, count: int, dtype: np.dtype) -> Array:
    """Return `count` elements of scratch, at least one."""
    return run.scratch(max(count, 1) * dtype.itemsize).view(dtype)
