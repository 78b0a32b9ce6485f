"""Arrays that are files mapped into memory, larger than memory: the system is told which rows come next."""

import mmap
import os
from typing import Any

import numpy as np

# Not every system has these.
RANDOM, NORMAL, WILLNEED = (getattr(mmap, f"MADV_{name}", -1) for name in ("RANDOM", "NORMAL", "WILLNEED"))


def map_of(array: Any) -> mmap.mmap | None:
    """Return the file that an array is, or is a view of; None where it is none."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array


def _memory() -> int:
    """Return the bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


class Announcer:
    """Tells the system of rows of a mapped file before they are gathered.

    Where rows are wanted in any order, each of their pages that is not in memory would be waited for alone,
    and many beside it be read, that nobody wants before they are dropped again. A file of less than half the
    machine's memory stays there, and is left to the system.

    Parameters
    ----------
    source : ndarray
    file : mmap
        That `map_of` finds for it.
    """

    def __init__(self, source: np.ndarray, file: mmap.mmap) -> None:
        self._map: Any = file
        self._mixed = False
        address = np.frombuffer(file, np.uint8).__array_interface__["data"][0]
        self._begin = source.__array_interface__["data"][0] - address
        self._stride, self._row = source.strides[0], source[:1].nbytes

    @classmethod
    def of(cls, source: np.ndarray) -> "Announcer | None":
        """Return that of an array; None where there is nothing to tell."""
        file = map_of(source)
        large = source.nbytes > _memory() // 2 and source[:1].flags.c_contiguous
        return None if file is None or not large or WILLNEED < 0 else cls(source, file)

    def begin(self, mixed: bool) -> None:
        """Tell whether rows come in any order, until this is called again."""
        if mixed != self._mixed:
            self._map.madvise(RANDOM if mixed else NORMAL)
            self._mixed = mixed

    def announce(self, order: np.ndarray) -> None:
        """Tell which rows come next."""
        if self._mixed:
            starts = self._begin + order.astype(np.int64) * self._stride
            for start in starts.tolist():
                first = start - start % mmap.PAGESIZE
                self._map.madvise(WILLNEED, first, start + self._row - first)
