"""Memory that is lent for as long as somebody will read what lies there."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from cconv.engine.memory import Arena

LINE = 64  # bytes of a cache line; every array begins on a cache line


class _Span(NamedTuple):
    """A range of bytes in a piece of memory."""

    piece: int
    begin: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin


class Lender:
    """Lends its own memory, and memory that others do not need until the next batch.

    An array goes into the smallest gap that holds it. Memory that is lent never moves.

    Parameters
    ----------
    arena : Arena
        Where its own memory comes from.

    Examples
    --------
    >>> arena = Arena()
    >>> lender = Lender(arena)
    >>> a, b = lender.array((4, 2), np.float64), lender.array((8,), np.float64)
    >>> lender.keep_only([b])
    >>> lender.array((8,), np.float64).ctypes.data == a.ctypes.data, arena.nbytes
    (True, 128)
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._pieces: dict[int, np.ndarray] = {}  # own: 0, 1, ...; those of others: -1, -2, ...
        self._free: list[_Span] = []
        self._lent: list[tuple[_Span, np.ndarray]] = []

    def begin(self) -> None:
        """Begin a batch: nothing is lent, and others have their memory back."""
        self._pieces = {number: piece for number, piece in self._pieces.items() if number >= 0}
        self._free = [_Span(number, 0, piece.nbytes) for number, piece in self._pieces.items()]
        self._lent.clear()

    def adopt(self, memory: np.ndarray) -> None:
        """Take memory (bytes) of others; lend it as soon as `keep_only` finds that nobody reads it."""
        number = min((0, *self._pieces)) - 1
        self._pieces[number] = memory
        self._lent.append((_Span(number, 0, memory.nbytes // LINE * LINE), memory))

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return an array: uninitialised, C-contiguous, beginning on a cache line."""
        kind = np.dtype(dtype)
        nbytes = math.prod(map(int, shape)) * kind.itemsize
        size = max(-(-nbytes // LINE), 1) * LINE
        # Of equal gaps take the one that was freed last: it may still be in a cache. Prefer the memory of
        # others, which exists anyway: then its own stays in large gaps.
        fitting = [span for span in reversed(self._free) if span.size >= size]
        gap = min(fitting, key=lambda span: (span.piece >= 0, span.size)) if fitting else self._grown(size)
        if fitting:
            self._free.remove(gap)
        span = _Span(gap.piece, gap.begin, gap.begin + size)
        if span.end < gap.end:
            self._free.append(_Span(gap.piece, span.end, gap.end))
        memory = self._pieces[span.piece][span.begin : span.end]
        self._lent.append((span, memory))
        return memory[:nbytes].view(kind).reshape(shape)

    def lends(self, array: np.ndarray) -> bool:
        """Whether an array lies in memory that is lent."""
        return any(np.may_share_memory(memory, array) for _, memory in self._lent)

    def keep_only(self, arrays: Iterable[np.ndarray]) -> None:
        """Take back all memory that holds none of these arrays."""
        arrays, lent = list(arrays), self._lent
        self._lent = []
        for span, memory in lent:
            if any(np.may_share_memory(memory, array) for array in arrays):
                self._lent.append((span, memory))
            else:
                self._take_back(span)

    def _take_back(self, span: _Span) -> None:
        """Mark a span as free, and join it with the free spans beside it."""
        beside = [other for other in self._free if other.piece == span.piece]
        for other in beside:
            if other.end == span.begin or other.begin == span.end:
                self._free.remove(other)
                span = _Span(span.piece, min(span.begin, other.begin), max(span.end, other.end))
        self._free.append(span)

    def _grown(self, size: int) -> _Span:
        """Return new memory, which replaces the largest own piece of which nothing is lent."""
        whole = [s for s in self._free if s.piece >= 0 and s.size == self._pieces[s.piece].nbytes]
        number = len([piece for piece in self._pieces if piece >= 0])
        if whole:
            largest = max(whole, key=lambda span: span.size)
            self._free.remove(largest)
            number = largest.piece
            del self._pieces[number]  # release the old memory before the new one is allocated
        self._pieces[number] = self._arena.array(("lent", number), (size,), np.uint8)
        return _Span(number, 0, size)
