"""Memory that is allocated once and handed out again, and the `Run` that hands it out."""

import copy
import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from cconv.arguments.arrays import aligned_empty
from cconv.ops.run import Run, quiet

# Shapes that are remembered for a name: of whole and last batches, in training and validation.
MOST_SHAPES = 8

Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Arena:
    """Memory by name: the same memory for the same name; it grows only if more is asked for.

    Whoever asks for a name gives up the arrays of that name that were handed out before. Where several arrays
    of one name are used at the same time, the memory is reserved first, and then does not grow.

    Attributes
    ----------
    growths : int
        How often memory was allocated. Arrays that were handed out before the last time may be invalid.

    Examples
    --------
    >>> arena = Arena()
    >>> a, b = arena.array("y", (4, 2), np.float32), arena.array("y", (3, 2), np.float32)
    >>> a.ctypes.data == b.ctypes.data, arena.nbytes
    (True, 32)
    """

    def __init__(self) -> None:
        self._memory: dict[Any, np.ndarray] = {}
        self._arrays: dict[Any, dict[Any, np.ndarray]] = {}
        self._reserved: set[Any] = set()
        self.growths: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return sum(memory.nbytes for memory in self._memory.values())

    def array(self, name: Any, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return the array `name`: uninitialised, C-contiguous, beginning on a cache line."""
        arrays = self._arrays.get(name)
        if arrays is None:
            arrays = self._arrays[name] = {}
        array = arrays.get((shape, dtype))
        return self._new(name, shape, dtype, arrays) if array is None else array

    def reserve(self, name: Any, nbytes: int) -> None:
        """Make room for arrays of that name, of up to `nbytes` bytes, that are used at the same time.

        Arrays that were handed out before may become invalid. From now on `array` does not let the memory
        grow: the memory would move, and holders of older arrays would read what nobody writes any more.
        """
        self._reserved.add(name)
        memory = self._memory.get(name)
        if memory is None or memory.nbytes < nbytes:
            del memory
            self._allocate(name, nbytes)

    def memory(self, name: Any) -> np.ndarray | None:
        """Return all memory of a name as bytes, or None if there is none."""
        return self._memory.get(name)

    def scratch(self, nbytes: int) -> np.ndarray:
        """Return the first `nbytes` bytes of the scratch, of which there is only one."""
        memory = self._memory.get("scratch")
        if memory is None or memory.nbytes < nbytes:
            return self.array("scratch", (nbytes,), np.uint8)
        return memory[:nbytes]

    def _new(self, name: Any, shape: tuple[int, ...], dtype: DTypeLike, arrays: dict) -> np.ndarray:
        kind = np.dtype(dtype)
        nbytes = math.prod(map(int, shape)) * kind.itemsize
        memory = self._memory.get(name)
        if memory is None or memory.nbytes < nbytes:
            if name in self._reserved:
                raise RuntimeError(f"Arena: {name!r} must be reserved with {nbytes} bytes before it is used")
            del memory
            memory = self._allocate(name, nbytes)
        if len(arrays) == MOST_SHAPES:
            arrays.pop(next(iter(arrays)))
        array = arrays[shape, dtype] = memory[:nbytes].view(kind).reshape(shape)
        return array

    def _allocate(self, name: Any, nbytes: int) -> np.ndarray:
        # Release the old memory before the new one is allocated.
        self._arrays.get(name, {}).clear()
        self._memory.pop(name, None)
        self.growths += 1
        memory = self._memory[name] = aligned_empty((nbytes,), np.uint8)
        return memory


class Lends(Protocol):
    """What lends memory: `lending.Lender`."""

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return an array that belongs to nobody else for a while."""
        ...


class PlanRun(Run):
    """A `Run` whose arrays are from an arena.

    If a layer asks for a name twice in one pass, it gets two arrays, as it would from `Run`.

    Attributes
    ----------
    tape : list of (kernel, arguments), or None
        Where kernel calls are recorded; None while they are not recorded.
    dry : bool
        No kernel is called; only the memory that would be asked for is of interest.
    """

    step: int
    first_sample: int

    def __init__(self, arena: Arena, training: bool, seed: int) -> None:
        super().__init__(training=training, seed=seed)
        self.arena = arena
        self.tape: list[Call] | None = None
        self.dry = False
        self._place: Any = None
        self._turn: Any = 0
        self._turning = ""
        self._asked: dict[str, int] = {}
        self._lender: Lends | None = None
        self._lending = ""
        self._offered: np.ndarray | None = None
        self._offered_as = ""
        self._draw_key = super().draw_key

    def begin(self, step: int, first_sample: int) -> None:
        """Begin a batch: random draws that follow are those of this step, from this sample on."""
        self.step, self.first_sample = step, first_sample
        self._draw_key[...] = super().draw_key

    @property
    def draw_key(self) -> np.ndarray:
        """The step and the first sample as kernels take them: the same array for every batch."""
        return self._draw_key

    def enter(self, place: Any, turn: Any, turning: str) -> None:
        """Begin a pass of step `place`; arrays named `turning` (all, if "*") lie in the memory of `turn`."""
        self._place, self._turn, self._turning = place, turn, turning
        self._asked.clear()
        self._lender = self._offered = None

    def borrow(self, tag: str, lender: Lends) -> None:
        """Let the current pass borrow its arrays `tag` from the lender."""
        self._lender, self._lending = lender, tag

    def written(self, place: Any, tag: str) -> Iterator[np.ndarray]:
        """Yield the memory, as bytes, of the arrays `tag` of passes of `place`, except borrowed ones."""
        for times in itertools.count():
            memory = self.arena.memory((place, tag, times))
            if memory is None:
                return
            yield memory

    def reserve(self, turn: Any, tag: str, nbytes: int) -> None:
        """Make room for the arrays `tag` of all passes with that `turn`, which are used at the same time."""
        self.arena.reserve((turn, tag, 0), nbytes)

    def offer(self, array: np.ndarray | None, tag: str = "y") -> None:
        """Offer the current pass an array for its first array `tag`, if that has the same size."""
        self._offered, self._offered_as = array, tag

    def empty(self, tag: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return an array of the arena, or the one that was offered."""
        times = self._asked.get(tag, 0)
        self._asked[tag] = times + 1
        offered = self._offered if (tag, times) == (self._offered_as, 0) else None
        if offered is not None and (offered.size, offered.dtype) == (math.prod(shape), dtype):
            return offered.reshape(shape)
        if self._lender is not None and tag == self._lending:
            return self._lender.array(shape, dtype)
        place = self._turn if self._turning in (tag, "*") else self._place
        return self.arena.array((place, tag, times), tuple(shape), dtype)

    def scratch(self, nbytes: int) -> np.ndarray:
        """Return the arena's one scratch."""
        return self.arena.scratch(nbytes)

    def kept(self, what: Hashable, count: int, dtype: DTypeLike) -> np.ndarray | None:
        """Return an array that no other call gets; None in training, where weights change."""
        if self.training:
            return None
        times = self._asked.get("kept", 0)
        self._asked["kept"] = times + 1
        growths = self.arena.growths
        memory = self.arena.array((self._place, "kept", times, what), (count,), dtype)
        if self.arena.growths != growths:
            memory[0] = 0
        return memory

    def levels(self, count: int) -> list["PlanRun"]:
        """Return `count` runs, without a cut; their arrays, and those of this pass, are used together."""
        times = self._asked.get("levels", 0)
        self._asked["levels"] = times + 1
        runs = [copy.copy(self) for _ in range(count)]
        for level, run in enumerate(runs):
            run._asked, run.cut = {}, None
            run.enter((self._place, "level", times, level), 0, "")
        return runs

    def again(self) -> None:
        """Hand out the same arrays again."""
        self._asked.clear()

    def call(self, kernel: Callable[..., Any], *args: Any) -> None:
        """Call a kernel, and record the call."""
        if self.dry:
            return
        kernel = quiet(kernel)
        if self.tape is not None:
            self.tape.append((kernel, args))
        kernel(*args)
