"""How one call is run: where its arrays come from, and what keys its random draws.

A layer used alone gets `Run()`: fresh arrays, which belong to the caller for ever. A plan
(`engine/plan.py`) gives its layers a `Run` whose arrays are the same memory at every step, because
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

    A plan that repeats such a pass only repeats its kernel calls. A marked forward pass must satisfy this
    in prediction; in training it must do so only if the layer's backward pass is marked too. A function
    that overrides a marked one is not marked.
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
    """Return the kernel, but without NumPy's warnings about NaN and infinities if it is a ufunc."""
    return _quietly(kernel) if isinstance(kernel, np.ufunc) else kernel


@dataclasses.dataclass
class Run:
    """One forward or backward call of a layer.

    Attributes
    ----------
    training : bool
        Whether `backward` will follow (keep what it needs), and dropout and augmentation are on.
    seed, step, first_sample : int
        The key of every random draw: sample i of this call is sample `first_sample + i` of step
        `step`. The same key gives the same draw, however the batch is split, in any thread or process.
    cut : cconv.ops.shards.Cut, optional
        How the batch is cut into shards; gradients of weights are summed shard by shard.
    lasting : bool
        Whether the weights never change from call to call.
    """

    training: bool = False
    seed: int = 0
    step: int = 0
    first_sample: int = 0
    cut: Any = None
    lasting: bool = False

    @property
    def draw_key(self) -> np.ndarray:
        """Step and first sample, modulo 2**32, in the form in which kernels take them."""
        return np.array((self.step % WORD, self.first_sample % WORD), np.uint32)

    def empty(self, tag: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return an uninitialised array; `tag` names its purpose, and is unique in a layer's call."""
        return aligned_empty(shape, dtype)

    def scratch(self, nbytes: int) -> np.ndarray:
        """Return `nbytes` bytes whose content nobody needs after the next kernel call."""
        return aligned_empty((nbytes,), np.uint8)

    def kept(self, what: Hashable, count: int, dtype: DTypeLike) -> np.ndarray | None:
        """Return `count` elements that last until the same call of the layer comes again, or None.

        `what` tells what is stored there, and how. The first element is 0 at the first call. None means
        that the run has no such memory.
        """
        return None

    def levels(self, count: int) -> list[Any]:
        """Return `count` runs, without a cut, whose arrays are in use at the same time."""
        return [dataclasses.replace(self, cut=None) for _ in range(count)]

    def again(self) -> None:
        """Give up all arrays that were handed out: later ones may lie in the same memory."""

    def call(self, kernel: Callable[..., Any], *args: Any) -> None:
        """Call a kernel; what it writes to is among its arguments."""
        quiet(kernel)(*args)


Array = np.ndarray

# With fewer multiply-adds, a parallel region costs more than it saves.
SERIAL_WORK = 300_000
# Elements that are worth another thread, for exp and similar functions, and for Philox.
SERIAL_COSTLY = 8_192


def scratch_for(run: Run, count: int, dtype: np.dtype) -> Array:
    """Return `count` elements of scratch, at least one."""
    return run.scratch(max(count, 1) * dtype.itemsize).view(dtype)
