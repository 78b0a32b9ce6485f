"""Arrays that are not in memory: read slice by slice, a block of batches at a time.

Whatever has ``shape``, ``dtype`` and slices will do: datasets of h5py, Zarr arrays, Dask arrays. A slice of
consecutive samples is all that is ever asked for, in rising order, and each sample is read once an epoch.
"""

import threading
from typing import Any, Self

import numpy as np

from cconv import arguments, seeds
from cconv.arguments.arrays import as_array
from cconv.inputs.columns import Column
from cconv.inputs.orders import SHUFFLE, epoch_order

BLOCK_BYTES = 1 << 26  # of the samples that are in memory at a time
RUN_BYTES = 1 << 20  # of a run, which is read with one slice; less where a batch is less
PIECE_BYTES = 1 << 22  # read with one slice, of runs that follow each other


class Stored:
    """Samples `start` to `stop` of an array that is not in memory.

    Parameters
    ----------
    where, name : str
        Begin the error messages.
    given : object with ``shape``, ``dtype`` and ``__getitem__`` of slices
    start, stop : int
        The part that is meant; by default all.

    Examples
    --------
    >>> rows = Stored("f", "x", np.arange(12).reshape(6, 2), 2, 5)
    >>> rows.shape, rows[1:2]
    ((3, 2), array([[6, 7]]))
    """

    def __init__(self, where: str, name: str, given: Any, start: int = 0, stop: int | None = None) -> None:
        self._where, self._name, self._given = where, name, given
        self._lock = threading.Lock()  # a batch is prepared by a thread of its own
        whole = tuple(int(extent) for extent in given.shape)
        self._start, self._stop = start, whole[0] if stop is None else stop
        self.shape: tuple[int, ...] = (self._stop - start, *whole[1:])
        self.dtype: np.dtype = np.dtype(given.dtype)
        self.ndim: int = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return these samples, read now."""
        start, stop, _ = rows.indices(len(self))
        with self._lock:
            read = as_array(self._where, self._name, self._given[self._start + start : self._start + stop])
        expected = (stop - start, *self.shape[1:])
        if read.shape != expected or read.dtype != self.dtype:
            raise ValueError(
                f"{self._where}: samples {start} to {stop} of {self._name} must have shape {expected} and "
                f"dtype {self.dtype}, as {self._name} has, got {read.shape} and {read.dtype}"
            )
        return read

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    @property
    def chunk(self) -> int:
        """How many samples the file keeps together; 1 where it does not say."""
        chunks = getattr(self._given, "chunks", None)
        first: Any = chunks[0] if isinstance(chunks, tuple) and chunks else 1
        first = first[0] if isinstance(first, tuple) and first else first  # Dask names every chunk
        return int(first) if arguments.is_int(first) and first > 0 else 1

    def part(self, start: int, stop: int) -> Self:
        """Return the samples from `start` to `stop` as such an array."""
        return type(self)(self._where, self._name, self._given, self._start + start, self._start + stop)


def stored_array(where: str, name: str, given: Any, may_be_empty: bool = False) -> Stored:
    """Return an array that is not in memory, its shape and dtype checked as `real_array` checks them."""
    found = Stored(where, name, given)
    arguments.real_array(
        where, name, np.broadcast_to(np.zeros((), found.dtype), found.shape), None, may_be_empty=may_be_empty
    )
    return found


class Blocks:
    """How stored samples are cut into blocks, one of which is in memory, and how they are shuffled.

    Runs of consecutive samples change their places, and so do the samples of a block. A batch lies in one
    block; a run does too, but for those at a block's edges, of which each block has a part.

    Parameters
    ----------
    n, batch_size : int
        Samples in all, and in a batch.
    sample_bytes : int
        Of one sample, all its stored parts together.
    chunk : int
        Samples that the file keeps together.

    Attributes
    ----------
    size, run, piece : int
        Samples of a block, of a run, and at most read with one slice.

    Examples
    --------
    >>> blocks = Blocks(10, 2, BLOCK_BYTES // 4, 1)
    >>> blocks.size, blocks.run
    (4, 1)
    >>> sorted(blocks.order(seed=3, epoch=0).tolist()) == list(range(10))
    True
    """

    def __init__(self, n: int, batch_size: int, sample_bytes: int, chunk: int) -> None:
        self.n = n
        self.size = batch_size * max(1, BLOCK_BYTES // (batch_size * sample_bytes))
        run = min(batch_size, max(1, RUN_BYTES // sample_bytes))
        self.run = -(-run // chunk) * chunk
        runs = min(PIECE_BYTES // sample_bytes, self.size) // self.run
        self.piece = min(max(runs, 1) * self.run, self.size)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the order in which an epoch visits the samples: a permutation of ``range(n)``."""
        starts = epoch_order(seed, epoch, -(-self.n // self.run)) * self.run
        order = (starts[:, np.newaxis] + np.arange(self.run)).ravel()
        order = order[order < self.n]
        keys = seeds.bits(seed, SHUFFLE, (1 << 32, epoch)).random_raw(self.n)
        for begin in range(0, self.n, self.size):
            block = slice(begin, begin + self.size)
            order[block] = order[block][np.argsort(keys[block], kind="stable")]
        return order


class StoredColumn(Column):
    """A column of samples that are not in memory.

    Within an epoch the batches are asked for one after another. The rows of one that has been used are filled
    with what comes next: a block is read in pieces, while the batches of the block before are used up.

    Parameters
    ----------
    source : Stored
    rows, dtype, channels_first
        As for `Column`.
    blocks : Blocks
        How it is read.
    """

    def __init__(
        self, source: Stored, rows: int, dtype: np.dtype, channels_first: bool, blocks: Blocks
    ) -> None:
        one = np.zeros((1, *source.shape[1:]), source.dtype)
        super().__init__(one, rows, dtype, channels_first)
        self.source: Any = source
        self.rows = min(rows, len(source))
        self.mapped = True
        self._channels_first, self._blocks = channels_first, blocks
        self._held: Any = None  # the rows in memory
        self._at = np.empty(0, np.intp)  # where a sample is among them

    def begin(self, order: np.ndarray | None) -> None:
        """Begin an epoch in that order."""
        n, blocks = len(self.source), self._blocks
        # The numbers to read, where they are not all in their order, and where slices of them end.
        self._wanted: np.ndarray | None = None
        self._ends = np.array([n])
        if order is not None:
            self._wanted = order.copy()
            for start in range(0, n, blocks.size):
                self._wanted[start : start + blocks.size].sort()
            self._ends = np.append(np.flatnonzero(np.diff(self._wanted) != 1) + 1, n)
        # In the samples' own order, nothing is needed but the batch and what can be read meanwhile.
        self._hold(min((2 * self.rows if order is None else blocks.size) + blocks.piece, n))
        self._current: Any = None  # the batch that was asked for last
        self._read = self._given = 0  # of the epoch

    def _hold(self, count: int) -> None:
        """Have memory for so many samples, all of it free."""
        if self._held is None or len(self._held.source) != count:
            self._held = None  # the old one goes before the new one comes
            rows = np.empty((count, *self.source.shape[1:]), self.source.dtype)
            self._held = Column(rows, self.rows, self.dtype, self._channels_first)
            self._held.rows, self._held._memory = self.rows, self._memory
            self._room = rows
            self._at = np.empty(len(self.source), np.intp)
        self._free = list(range(count - 1, -1, -1))

    def slice(
        self,
        start: int,
        stop: int,
        slot: int = 0,
        rescale: tuple[float, float] | None = None,
        own: bool = False,
    ) -> np.ndarray:
        """Return the samples from `start` to `stop`, in the memory of that slot."""
        return self.gather(np.arange(start, stop), slot, rescale)

    def gather(
        self, order: np.ndarray, slot: int = 0, rescale: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Return the samples of a batch, which has these numbers, in the memory of that slot."""
        if self._current is None or self._current[0] != order[0]:  # else it is wanted once more
            if self._current is not None:
                self._free += self._at[self._current].tolist()
            self._current = order
            self._given += len(order)
            self._fill()
        return self._held.gather(self._at[order], slot, rescale)

    def _fill(self) -> None:
        """Read what the batch needs, which is its block if samples are mixed, and what there is room for."""
        n, needed = len(self.source), self._given
        if self._wanted is not None:
            needed = min(-(-needed // self._blocks.size) * self._blocks.size, n)
        while self._read < n:
            end = int(self._ends[np.searchsorted(self._ends, self._read, "right")])
            count = min(end - self._read, self._blocks.piece)
            if count > len(self._free):
                if self._read >= needed:
                    return
                count = len(self._free)
            number = self._read if self._wanted is None else int(self._wanted[self._read])
            places, self._free = self._free[: -count - 1 : -1], self._free[:-count]
            self._room[places] = self.source[number : number + count]
            self._at[number : number + count] = places
            self._read += count

    def apart(self) -> "Column":
        """Return another column over the same source, with memory of its own."""
        return _Singles(self.source, self.rows, self.dtype, self._channels_first, self._blocks)


class _Singles(StoredColumn):
    """The same for any batch at any time: each sample is read when it is asked for."""

    def gather(
        self, order: np.ndarray, slot: int = 0, rescale: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Return the samples that have these numbers."""
        rows = np.concatenate([self.source[number : number + 1] for number in order.tolist()])
        alone = Column(rows, len(rows), self.dtype, self._channels_first)
        return alone.gather(np.arange(len(rows)), slot, rescale)
