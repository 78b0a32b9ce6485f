"""Arrays that are not in memory: read slice by slice, a block of batches at a time.

Anything with ``shape``, ``dtype`` and slices fits: h5py data sets, Zarr arrays, Dask arrays. Only slices of
consecutive samples are read, and each sample is read once in an epoch.
"""

import threading
from typing import Any, Self

import numpy as np

from cconv import arguments, seeds
from cconv.arguments.arrays import as_array
from cconv.inputs.columns import Column
from cconv.inputs.orders import SHUFFLE, epoch_order

BLOCK_BYTES = 1 << 26  # size of a block, the samples that are in memory at a time
RUN_BYTES = 1 << 20  # size of a run, which one slice reads; at most a batch, but whole chunks
PIECE_BYTES = 1 << 22  # maximum size of a slice of consecutive runs


class Stored:
    """Samples `start` to `stop` of an array that is not in memory.

    Parameters
    ----------
    where, name : str
        Prefix of error messages.
    given : object with ``shape``, ``dtype`` and ``__getitem__`` of slices
    start, stop : int
        The part to use; by default all.

    Examples
    --------
    >>> rows = Stored("f", "x", np.arange(12).reshape(6, 2), 2, 5)
    >>> rows.shape, rows[1:2]
    ((3, 2), array([[6, 7]]))
    """

    def __init__(self, where: str, name: str, given: Any, start: int = 0, stop: int | None = None) -> None:
        self._where, self._name, self._given = where, name, given
        self._lock = threading.Lock()  # batches are prepared in another thread
        whole = tuple(int(extent) for extent in given.shape)
        self._start, self._stop = start, whole[0] if stop is None else stop
        self.shape: tuple[int, ...] = (self._stop - start, *whole[1:])
        self.dtype: np.dtype = np.dtype(given.dtype)
        self.ndim: int = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read and return these samples."""
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
        """Number of samples in a chunk of the file; 1 if unknown."""
        chunks = getattr(self._given, "chunks", None)
        first: Any = chunks[0] if isinstance(chunks, tuple) and chunks else 1
        first = first[0] if isinstance(first, tuple) and first else first  # Dask has the sizes of all chunks
        return int(first) if arguments.is_int(first) and first > 0 else 1

    def part(self, start: int, stop: int) -> Self:
        """Return the samples from `start` to `stop`, without reading them."""
        return type(self)(self._where, self._name, self._given, self._start + start, self._start + stop)


def stored_array(where: str, name: str, given: Any, may_be_empty: bool = False) -> Stored:
    """Return an array that is not in memory; its shape and dtype are checked as in `real_array`."""
    found = Stored(where, name, given)
    arguments.real_array(
        where, name, np.broadcast_to(np.zeros((), found.dtype), found.shape), None, may_be_empty=may_be_empty
    )
    return found


class Blocks:
    """How stored samples are divided into blocks, one of which is in memory, and how they are shuffled.

    First runs of consecutive samples are shuffled, then the samples in each block. A batch lies in a single
    block, and so does a run, except runs at a block's edge, which are split between two blocks.

    Parameters
    ----------
    n, batch_size : int
        Number of all samples, and of samples in a batch.
    sample_bytes : int
        Size of one sample, over all stored columns.
    chunk : int
        Number of samples in a chunk of the file.

    Attributes
    ----------
    size, run, piece : int
        Number of samples in a block, in a run, and at most in one slice.

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

    Within an epoch the batches must be requested in order. The memory of used batches is filled with the
    next samples: a block is read in pieces while the batches of the previous block are used up.

    Parameters
    ----------
    source : Stored
    rows, dtype, channels_first
        As for `Column`.
    blocks : Blocks
        How to read the source.
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
        self._held: Any = None  # column of the rows in memory
        self._at = np.empty(0, np.intp)  # each sample's row in memory

    def begin(self, order: np.ndarray | None) -> None:
        """Begin an epoch in that order."""
        n, blocks = len(self.source), self._blocks
        # The sample numbers in the order of reading, if shuffled, and the ends of their consecutive slices.
        self._wanted: np.ndarray | None = None
        self._ends = np.array([n])
        if order is not None:
            self._wanted = order.copy()
            for start in range(0, n, blocks.size):
                self._wanted[start : start + blocks.size].sort()
            self._ends = np.append(np.flatnonzero(np.diff(self._wanted) != 1) + 1, n)
        # Without shuffling only the current and the next batch are needed, and a piece that is read ahead.
        self._hold(min((2 * self.rows if order is None else blocks.size) + blocks.piece, n))
        self._current: Any = None  # the last requested batch
        self._read = self._given = 0  # numbers of the epoch's samples

    def _hold(self, count: int) -> None:
        """Make or reuse memory for `count` samples, all of it free."""
        if self._held is None or len(self._held.source) != count:
            self._held = None  # free the old memory first
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
        """Return a batch, the samples with these numbers, in the memory of a slot."""
        if self._current is None or self._current[0] != order[0]:  # else the same batch is requested again
            if self._current is not None:
                self._free += self._at[self._current].tolist()
            self._current = order
            self._given += len(order)
            self._fill()
        return self._held.gather(self._at[order], slot, rescale)

    def _fill(self) -> None:
        """Read the batch's samples, or if shuffled its whole block, and more if there is free memory."""
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
    """A column with random access: each sample is read when it is requested."""

    def gather(
        self, order: np.ndarray, slot: int = 0, rescale: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Return the samples with these numbers."""
        rows = np.concatenate([self.source[number : number + 1] for number in order.tolist()])
        alone = Column(rows, len(rows), self.dtype, self._channels_first)
        return alone.gather(np.arange(len(rows)), slot, rescale)
