"""Several columns of a data set, one for each input or output of a model."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from cconv.inputs.columns import Column


class Columns:
    """Columns with the methods of one `Column`; batches are tuples of the columns' batches.

    Parameters
    ----------
    columns : sequence of Column or None
        One for each input or output; None, also in the batches, for one without data.

    Attributes
    ----------
    mapped, stored : bool
        Whether one of them is.
    shape : tuple of int
        Shape (numbers in a sample,), over all columns.

    Examples
    --------
    >>> a, b = np.arange(4.0), np.arange(4.0)[:, np.newaxis] * 10
    >>> Columns([Column(a, 2, a.dtype), None, Column(b, 2, b.dtype)]).gather(np.array([3, 1]))
    (array([3., 1.]), None, array([[30.],
           [10.]]))
    """

    def __init__(self, columns: Sequence[Column | None]) -> None:
        self._columns = tuple(columns)
        there = [column for column in columns if column is not None]
        self.source: Any = there[0].source
        self.mapped: bool = any(column.mapped for column in there)
        self.stored: bool = any(column.stored for column in there)
        self.shape: tuple[int, ...] = (sum(int(np.prod(column.shape)) for column in there),)

    def ahead(self, begin: bool) -> None:
        """Begin to read ahead of the batches, or end that."""
        for column in self._columns:
            if column is not None:
                column.ahead(begin)

    def begin(
        self, order: np.ndarray | None, first: int = 0, part: Callable[[int], slice] | None = None
    ) -> None:
        """Begin an epoch in that order; see `Column.begin`."""
        for column in self._columns:
            if column is not None:
                column.begin(order, first, part)

    def slice(
        self,
        start: int,
        stop: int,
        slot: int = 0,
        rescale: tuple[float, float] | None = None,
        own: bool = False,
    ) -> Any:
        """Return the samples from `start` to `stop`; see `Column.slice`."""
        return tuple(
            [
                None if column is None else column.slice(start, stop, slot, rescale, own and column.mapped)
                for column in self._columns
            ]
        )

    def gather(self, order: np.ndarray, slot: int = 0, rescale: tuple[float, float] | None = None) -> Any:
        """Return the samples with these numbers; see `Column.gather`."""
        return tuple(
            [None if column is None else column.gather(order, slot, rescale) for column in self._columns]
        )

    def follow(self, other: "Columns") -> None:
        """Reuse the memory of other columns, one by one; see `Column.follow`."""
        for column, before in zip(self._columns, other._columns, strict=True):
            if column is not None and before is not None:
                column.follow(before)

    def apart(self) -> "Columns":
        """Return other columns over the same sources, with memory of their own."""
        return Columns([None if column is None else column.apart() for column in self._columns])


def joined(parts: Iterable[Any]) -> Any:
    """Return a single part itself, several parts as a tuple; None if all are None."""
    found = tuple(parts)
    if all(part is None for part in found):
        return None
    return found[0] if len(found) == 1 else found
