"""A column of a data set: samples in memory or in a mapped file, read batch by batch."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cconv.arguments.arrays import aligned_empty
from cconv.inputs.mapped import Announcer, map_of
from cconv.ops import images


def is_plain(array: np.ndarray) -> bool:
    """Whether NumPy gathers the array's rows without first copying the whole array."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned and array.dtype.isnative


class Column:
    """One array of a data set, whose batches are gathered into reused memory.

    Parameters
    ----------
    source : ndarray
        Shape (n, ...), any dtype of real numbers, any strides; never modified, never copied whole.
    rows : int
        The largest batch size.
    dtype : dtype
        Dtype of the batches; bytes keep their values and are not scaled.
    channels_first : bool
        Whether the source is (n, c, h, w), so that batches are transposed to (rows, h, w, c).

    Attributes
    ----------
    mapped : bool
        Whether the source is read from disk as it is used.
    stored : bool
        Whether it is no array at all: see `windows.StoredColumn`.

    Examples
    --------
    >>> images = np.arange(12, dtype=np.uint8).reshape(6, 2)
    >>> Column(images, 2, np.dtype(np.float32)).gather(np.array([5, 0]))
    array([[10., 11.],
           [ 0.,  1.]], dtype=float32)
    """

    stored = False

    def __init__(self, source: np.ndarray, rows: int, dtype: np.dtype, channels_first: bool = False) -> None:
        if channels_first and source.ndim == 4 and source.shape[1] == 1:
            # With one channel both layouts are the same memory; only the shape differs.
            source, channels_first = np.moveaxis(source, 1, -1), False
        self.source = source
        self.rows: int = min(rows, len(source))
        self.dtype: np.dtype = np.dtype(dtype)
        self.turn: bool = channels_first and source.ndim == 4
        self.mapped: bool = map_of(source) is not None
        shape = source.shape[1:]
        self.shape: tuple[int, ...] = (*shape[1:], shape[0]) if self.turn else shape
        # Columns that stay integers are small: usually one number per sample.
        self._bytes = images.rows_of(source) if self.dtype.kind == "f" else None
        self._memory: dict[Any, np.ndarray] = {}
        self._announcer = Announcer.of(source) if self.mapped else None

    def ahead(self, begin: bool) -> None:
        """Begin to read ahead of the batches, or end that: little to do where samples are at hand."""
        if self._announcer is not None and not begin:
            self._announcer.begin(mixed=False)

    def begin(
        self, order: np.ndarray | None, first: int = 0, part: Callable[[int], slice] | None = None
    ) -> None:
        """Begin an epoch in that order at batch `first`; of each batch these rows will be asked for."""
        if self._announcer is not None:
            self._announcer.begin(mixed=order is not None)

    def slice(
        self,
        start: int,
        stop: int,
        slot: int = 0,
        rescale: tuple[float, float] | None = None,
        own: bool = False,
    ) -> np.ndarray:
        """Return the samples from `start` to `stop`: a view of the source if possible, unless `own`.

        `slot`, 0 or 1, is the buffer to fill. `rescale` is a scale and an offset for each number.
        """
        rows = self.source[start:stop]
        if rows.dtype == self.dtype and not self.turn and rescale is None and is_plain(rows) and not own:
            return rows
        if self._bytes is not None:
            return self._converted(self._bytes[start:stop], None, stop - start, slot, rescale)
        staged = self._place(("gathered", slot), len(rows), rows.shape[1:], rows.dtype.newbyteorder("="))
        staged[...] = rows
        return self._finished(staged, slot, rescale)

    def gather(
        self, order: np.ndarray, slot: int = 0, rescale: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Return the samples with these numbers; the memory is overwritten by the next batch of that slot."""
        if self._announcer is not None:
            self._announcer.announce(order)
        if self._bytes is not None:
            return self._converted(self._bytes, order, len(order), slot, rescale)
        source = self.source
        rows = self._place(("gathered", slot), len(order), source.shape[1:], source.dtype.newbyteorder("="))
        if is_plain(source):
            # mode="clip" because with the default NumPy buffers the output.
            np.take(source, order, axis=0, out=rows, mode="clip")
        else:
            rows[...] = source[order]  # copies only the batch; `take` would copy the whole source
        return self._finished(rows, slot, rescale)

    def follow(self, other: "Column") -> None:
        """Reuse the memory of another column, whose batches are no longer used, if it fits."""

        def kind(column: Column) -> tuple[Any, ...]:
            source = column.source
            return type(column), source.shape[1:], source.dtype, column.shape, column.dtype, column.turn

        if self.rows <= other.rows and kind(self) == kind(other):
            self._memory, self.rows = other._memory, other.rows

    def apart(self) -> "Column":
        """Return another column over the same source, with memory of its own."""
        other = copy.copy(self)
        other._memory = {}
        return other

    def _finished(self, rows: np.ndarray, slot: int, rescale: tuple[float, float] | None) -> np.ndarray:
        """Return gathered rows in the batch's dtype and layout, rescaled."""
        if rows.dtype == self.dtype and not self.turn and rescale is None:
            return rows
        if self.dtype.kind != "f":  # integers are only transposed
            out = self._place(slot, len(rows), self.shape, self.dtype)
            out[...] = np.moveaxis(rows, 1, -1)
            return out
        staged = images.rows_of(rows)
        assert staged is not None
        return self._converted(staged, None, len(rows), slot, rescale)

    def _converted(
        self,
        rows: np.ndarray,
        order: np.ndarray | None,
        count: int,
        slot: int,
        rescale: tuple[float, float] | None,
    ) -> np.ndarray:
        out = self._place(slot, count, self.shape, self.dtype)
        kind = self.source.dtype.newbyteorder("=")
        return images.gather_rows(rows, kind, order, out, rescale, self.shape[-1] if self.turn else 1)

    def _place(self, name: Any, count: int, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return _reused(self._memory, name, self.rows, (count, *shape), dtype)


def _reused(
    memory: dict[Any, np.ndarray], name: Any, rows: int, shape: tuple[int, ...], dtype: DTypeLike
) -> np.ndarray:
    """Return an array of this shape in named memory, which is made once, for `rows` rows."""
    if name not in memory:
        memory[name] = aligned_empty((rows, *shape[1:]), dtype)
    return memory[name][: shape[0]]
