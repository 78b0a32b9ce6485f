"""Batches of rows that are not in memory: read window by window, each sample once an epoch, in rising order.

A window is some batches that follow each other. Its samples are read in the order in which they lie, and
given in the order in which they are wanted. Meanwhile the next window is read into the places of samples that
have been used.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from cconv.inputs.background import Background
from cconv.inputs.columns import Column
from cconv.inputs.stored import Stored

PIECE_BYTES = 1 << 22  # read at once


class Window:
    """The samples of some batches.

    Parameters
    ----------
    rows : ndarray of int
        Their numbers, in any order.

    Attributes
    ----------
    rows : ndarray of int
        The same in rising order.
    sent, read, left : int
        How many of them are asked for, in memory, and still to be given.

    Examples
    --------
    >>> window = Window(np.array([7, 3, 5]))
    >>> window.places[:] = 20, 21, 22
    >>> window.places_of(np.array([5, 3])).tolist()
    [21, 20]
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = np.sort(rows)
        self.places = np.zeros(len(rows), np.intp)
        self.sent = self.read = 0
        self.left = len(rows)

    def places_of(self, rows: np.ndarray) -> np.ndarray:
        """Return where these samples are."""
        return self.places[np.searchsorted(self.rows, rows)]


class StoredColumn(Column):
    """A column of samples that are not in memory.

    Within an epoch the batches are asked for one after another. Between `ahead` and its end a thread reads;
    without it samples are read when they are wanted, to the same result.

    Parameters
    ----------
    source : Stored
    rows, dtype, channels_first
        As for `Column`.
    budget : int
        Samples that are read ahead, at least a batch; beside them a piece of `PIECE_BYTES`, or a batch.
    """

    def __init__(self, source: Stored, rows: int, dtype: np.dtype, channels_first: bool, budget: int) -> None:
        one = np.zeros((1, *source.shape[1:]), source.dtype)
        super().__init__(one, rows, dtype, channels_first)
        self.source: Any = source
        self.rows = min(rows, len(source))
        self.mapped = self.stored = True
        self._channels_first, self._budget = channels_first, budget
        self._batches = max(1, budget // max(self.rows, 1))  # of a window
        self._piece = max(PIECE_BYTES // max(source.sample_bytes, 1), self.rows, 1)
        if source.chunks is not None and not source.picks:  # which are never read in part
            sizes = np.diff(source.chunks, append=len(source))
            self._piece = max(self._piece, min(int(sizes.max(initial=1)), self._batches * self.rows))
        self._held: Any = None  # the rows in memory
        self._reader: Background | None = None
        self._stale = False  # nobody wants any more what the reader is asked for
        self._sent: deque[tuple[Window, int, np.ndarray]] = deque()  # what it is asked for

    # --- the epoch ----------------------------------------------------------------------------

    def ahead(self, begin: bool) -> None:
        """Begin to read in a thread, or end that."""
        if begin and self._reader is None:
            self._reader = Background(self._read)
        elif not begin and self._reader is not None:
            reader, self._reader, self._stale = self._reader, None, True
            reader.close()
            self._sent.clear()

    def begin(
        self, order: np.ndarray | None, first: int = 0, part: Callable[[int], slice] | None = None
    ) -> None:
        """Begin an epoch in that order at batch `first`; of each batch these rows will be asked for."""
        self._stale = True
        if self._reader is not None:
            self._reader.forget()
        self._sent.clear()
        self._stale = False
        self._order, self._part, self._next = order, part, first
        n = len(self.source)
        self._hold(min(self._batches * self.rows + self._piece, n))
        self._windows: deque[Window] = deque()
        self._current: Any = None  # numbers and places of the batch that was asked for last

    def _hold(self, count: int) -> None:
        """Have memory for so many samples, all of it free."""
        if self._held is None or len(self._held.source) != count:
            self._held = None  # the old one goes before the new one comes
            self._room = np.empty((count, *self.source.shape[1:]), self.source.dtype)
            self._held = Column(self._room, self.rows, self.dtype, self._channels_first)
            self._held.rows, self._held._memory = self.rows, self._memory
        self._free = np.arange(count)

    def _make_window(self) -> bool:
        """Begin the next window; False where the epoch has no more batches."""
        n, rows = len(self.source), self.rows
        # In the samples' own order a piece is as much as needs to be there at once.
        batches = self._batches if self._order is not None else max(1, self._piece // max(rows, 1))
        batches = min(batches, self._batches, -(-n // rows) - self._next)
        if batches <= 0:
            return False
        start, stop = self._next * rows, min((self._next + batches) * rows, n)
        self._next += batches
        wanted = np.arange(start, stop) if self._order is None else self._order[start:stop]
        if self._part is not None:
            starts = range(0, stop - start, rows)
            pieces = [wanted[begin : begin + rows] for begin in starts]
            wanted = np.concatenate([piece[self._part(len(piece))] for piece in pieces])
        self._windows.append(Window(wanted))
        return True

    # --- batches ------------------------------------------------------------------------------

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
        if self._current is None or self._current[0][0] != order[0]:  # else it is wanted once more
            if self._current is not None:
                self._free = np.append(self._free, self._current[1])
            self._current = None
            self._current = order.copy(), self._taken(order)
            self._read_ahead()
        return self._held.gather(self._current[1], slot, rescale)

    def _taken(self, order: np.ndarray) -> np.ndarray:
        """Return where the samples of the next batch are, when they are there."""
        while not (self._windows and self._windows[0].left):
            if self._windows:
                self._windows.popleft()
            elif not self._make_window():
                raise RuntimeError("the epoch has no more batches")
        window = self._windows[0]
        needed = len(window.rows)
        if self._order is None:
            needed = int(np.searchsorted(window.rows, order[-1])) + 1
        while window.read < needed:
            if not self._sent:
                self._send(window, must=True)
            self._land()
        window.left -= len(order)
        return window.places_of(order)

    # --- reading ------------------------------------------------------------------------------

    def _read_ahead(self) -> None:
        """Ask for all that there is room for, in whole pieces."""
        if self._reader is None:
            return
        while self._sent and self._reader.ready():
            self._land()
        while True:
            window = next((each for each in self._windows if each.sent < len(each.rows)), None)
            if window is None:
                if not len(self._free) or not self._make_window():
                    return
            elif not self._send(window):
                return

    def _send(self, window: Window, must: bool = False) -> bool:
        """Ask for the next piece of a window; False where there is no room for it."""
        start = window.sent
        stop = self._end(window, start)
        if stop - start > len(self._free):
            if not must:
                return False
            stop = start + len(self._free)
        places, self._free = self._free[: stop - start], self._free[stop - start :]
        window.sent = stop
        self._sent.append((window, start, places))
        if self._reader is not None:
            self._reader.begin(window.rows[start:stop], places)
        return True

    def _end(self, window: Window, start: int) -> int:
        """Return where the piece of a window ends that begins at `start`: with a chunk, if one fits."""
        rows, chunks, stop = window.rows, self.source.chunks, start + self._piece
        if stop >= len(rows) or chunks is None or self.source.picks:
            return min(stop, len(rows))
        begins = chunks[np.searchsorted(chunks, rows[stop], "right") - 1]
        whole = int(np.searchsorted(rows, begins))
        return whole if whole > start else stop

    def _land(self) -> None:
        """Have what was asked for first, as soon as it is there."""
        window, start, places = self._sent.popleft()
        stop = start + len(places)
        if self._reader is not None:
            self._reader.take()
        else:
            self._read(window.rows[start:stop], places)
        window.places[start:stop] = places
        window.read = stop

    def _read(self, rows: np.ndarray, places: np.ndarray) -> None:
        """Read these samples, unless nobody wants them any more."""
        if not self._stale:
            self.source.read(rows, self._room, places)

    def apart(self) -> "Column":
        """Return another column over the same source, with memory of its own."""
        return _Singles(self.source, self.rows, self.dtype, self._channels_first, self._budget)


class _Singles(StoredColumn):
    """The same for any batch at any time: each sample is read when it is asked for."""

    def gather(
        self, order: np.ndarray, slot: int = 0, rescale: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Return the samples that have these numbers."""
        rows, at = np.unique(order, return_inverse=True)
        room = np.empty((len(rows), *self.source.shape[1:]), self.source.dtype)
        if len(rows):
            self.source.read(rows, room, np.arange(len(rows)))
        alone = Column(room, max(len(order), 1), self.dtype, self._channels_first)
        alone.rows = len(order)
        return alone.gather(at, slot, rescale)
