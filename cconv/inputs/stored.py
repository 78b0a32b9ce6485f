"""Rows that are not in memory: what is asked of the object that reads them.

A reader has ``shape``, NumPy's ``dtype`` and ``reader[start:stop]``, as datasets of h5py, Zarr and Dask have.
One whose ``takes_rows`` is true is asked for ``reader[numbers]`` instead, an array of rising numbers. Its
``chunks``, in the form of Zarr's or Dask's, say which samples lie together.
"""

import itertools
from typing import Any, Protocol, Self

import numpy as np

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.locks import Lock


class Reader(Protocol):
    """What must be there of an object that reads rows."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, rows: Any) -> Any:
        """Return the samples from ``rows.start`` to ``rows.stop``."""


class Stored:
    """Samples `start` to `stop` of an array that is not in memory.

    Parameters
    ----------
    where, name : str
        Begin the error messages.
    given : Reader
    start, stop : int
        The part to use; by default all.

    Attributes
    ----------
    chunks : ndarray of int, or None
        The first samples of what the file keeps together; None where it does not say, or keeps each apart.
    picks : bool
        Whether single samples of a chunk cost no more than their share of it.

    Examples
    --------
    >>> rows = Stored("f", "x", np.arange(12).reshape(6, 2), 2, 5)
    >>> rows.shape, rows[1:2]
    ((3, 2), array([[6, 7]]))
    >>> room = np.zeros((2, 2), int)
    >>> rows.read(np.array([0, 2]), room, np.array([1, 0]))
    >>> room.tolist()
    [[8, 9], [4, 5]]
    """

    def __init__(self, where: str, name: str, given: Any, start: int = 0, stop: int | None = None) -> None:
        self._where, self._name, self._given = where, name, given
        self._lock = Lock()  # batches are prepared by threads of their own
        whole = _known(where, name, given.shape)
        self._start, self._stop = start, whole[0] if stop is None else stop
        self.shape: tuple[int, ...] = (self._stop - start, *whole[1:])
        self.dtype: np.dtype = np.dtype(given.dtype)
        self.ndim: int = len(self.shape)
        self.picks: bool = getattr(given, "takes_rows", False) is True
        self.chunks: np.ndarray | None = self._chunks(whole[0])

    def __len__(self) -> int:
        return self.shape[0]

    def _chunks(self, n: int) -> np.ndarray | None:
        """Return where chunks begin, in the part that is meant."""
        chunks = getattr(self._given, "chunks", None)
        first: Any = chunks[0] if isinstance(chunks, tuple) and chunks else 1
        if isinstance(first, tuple):  # Dask names every chunk
            if not all(arguments.is_int(size) and size >= 0 for size in first) or sum(first) != n:
                return None
            starts = np.cumsum((0, *first[:-1]), dtype=np.intp)
        elif arguments.is_int(first) and first > 1:
            starts = np.arange(0, n, int(first))
        else:
            return None
        starts = np.unique(np.clip(starts, self._start, self._stop) - self._start)
        return starts[starts < len(self)]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read and return these samples."""
        start, stop, _ = rows.indices(len(self))
        first, last = self._start + start, self._start + stop
        asked = np.arange(first, last) if self.picks else slice(first, last)
        return self._read(asked, stop - start, start, stop)

    def read(self, rows: np.ndarray, room: np.ndarray, places: np.ndarray) -> None:
        """Read the samples that have these rising numbers into these places of `room`."""
        if self.picks:
            room[places] = self._read(self._start + rows, len(rows), int(rows[0]), int(rows[-1]) + 1)
            return
        apart = np.diff(rows) != 1
        if self.chunks is not None:  # of which what lies between is read in any case
            apart &= np.diff(np.searchsorted(self.chunks, rows, "right")) != 0
        ends = [0, *(np.flatnonzero(apart) + 1).tolist(), len(rows)]
        for begin, end in itertools.pairwise(ends):
            first, last = int(rows[begin]), int(rows[end - 1])
            found = self[first : last + 1]
            room[places[begin:end]] = found if len(found) == end - begin else found[rows[begin:end] - first]

    def _read(self, asked: Any, count: int, start: int, stop: int) -> np.ndarray:
        """Return what the reader has for `asked`, so many of the samples from `start` to `stop`."""
        with self._lock:
            try:
                found = self._given[asked]
            except StopIteration as error:  # it would end the epoch, as if there were no more samples
                raise RuntimeError(
                    f"{self._where}: {self._name} raised StopIteration for samples {start} to {stop}"
                ) from error
            read = as_array(self._where, self._name, found)
        expected = (count, *self.shape[1:])
        if read.shape != expected or read.dtype != self.dtype:
            of = "" if count == stop - start else f"{count} of "
            raise ValueError(
                f"{self._where}: {of}samples {start} to {stop} of {self._name} must have shape {expected} "
                f"and dtype {self.dtype}, as {self._name} has, got {read.shape} and {read.dtype}"
            )
        return read

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def part(self, start: int, stop: int) -> Self:
        """Return the samples from `start` to `stop`, without reading them."""
        return type(self)(self._where, self._name, self._given, self._start + start, self._start + stop)


def _known(where: str, name: str, shape: Any) -> tuple[int, ...]:
    """Return a shape as ints; ValueError where an extent is unknown, as behind a selection of Dask's."""
    try:
        whole = tuple(int(extent) for extent in shape)
    except (TypeError, ValueError):
        whole = (-1,)
    if min(whole, default=-1) < 0:
        raise ValueError(
            f"{where}: {name} must have a shape of known extents, got {tuple(shape)}: "
            "a Dask array finds out by compute_chunk_sizes()"
        )
    return whole


def stored_array(where: str, name: str, given: Any, may_be_empty: bool = False) -> Stored:
    """Return an array that is not in memory; its shape and dtype are checked as in `real_array`."""
    found = Stored(where, name, given)
    arguments.real_array(
        where, name, np.broadcast_to(np.zeros((), found.dtype), found.shape), None, may_be_empty=may_be_empty
    )
    return found
