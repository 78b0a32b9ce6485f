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
RUN_BYTES = 1 << 20  # read with one slice; less where a batch is less


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
    """How stored samples are cut into blocks, of which one is in memory at a time, and how they are shuffled.

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
    size, run : int
        Samples of a block and of a run.

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
        self.begin(None)

    def begin(self, order: np.ndarray | None) -> None:
        """Begin an epoch in that order."""
        self._order, self._positions = order, order
        if order is not None:
            self._positions = np.empty(len(order), np.intp)
            self._positions[order] = np.arange(len(order))
        self._block: int | None = None
        self._held: Any = None

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
        position = int(order[0]) if self._positions is None else int(self._positions[order[0]])
        if position // self._blocks.size != self._block:
            self._read(position // self._blocks.size)
        return self._held.gather(np.searchsorted(self._numbers, order), slot, rescale)

    def _read(self, block: int) -> None:
        """Read the samples of a block, in the order in which they are stored."""
        start = block * self._blocks.size
        stop = min(start + self._blocks.size, len(self.source))
        numbers = np.arange(start, stop) if self._order is None else np.sort(self._order[start:stop])
        self._block = self._held = None  # the old one goes before the new one comes
        rows = np.empty((len(numbers), *self.source.shape[1:]), self.source.dtype)
        ends = np.flatnonzero(np.diff(numbers) != 1) + 1
        for begin, end in zip([0, *ends.tolist()], [*ends.tolist(), len(numbers)], strict=True):
            first = int(numbers[begin])
            rows[begin:end] = self.source[first : first + end - begin]
        held = Column(rows, self.rows, self.dtype, self._channels_first)
        held.rows, held._memory = self.rows, self._memory
        self._block, self._numbers, self._held = block, numbers, held

    def apart(self) -> "StoredColumn":
        """Return another column over the same source, with memory of its own."""
        other = StoredColumn(self.source, self.rows, self.dtype, self._channels_first, self._blocks)
        other._order, other._positions = self._order, self._positions
        return other
