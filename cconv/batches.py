"""A data set, batch by batch: gathered, converted and shuffled without ever copying the whole.

The data set stays where it is and as it is: bytes in memory, a file on disk that is mapped. What
a batch needs of it is converted into one buffer that serves every batch.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cconv import seeds
from cconv.metrics import Mean
from cconv.run import aligned_empty

# No layer has this key: the stream of random bits that shuffles is nobody else's.
SHUFFLE = seeds.stream_of(0xFFFFFFFF, "shuffle")


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order in which epoch `epoch` visits `n` samples: a permutation of ``range(n)``.

    The samples are sorted by 64-bit keys from the stream of (seed, epoch). Raw draws, because
    NumPy promises these to be the same in every version, and its shuffles not.

    Examples
    --------
    >>> sorted(epoch_order(seed=7, epoch=0, n=5).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.argsort(seeds.bits(seed, SHUFFLE, (0, epoch)).random_raw(n), kind="stable")


def split_tail(where: str, fraction: Any, n: int) -> int:
    """Return how many of `n` samples stay for training when the last `fraction` are set apart."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float, np.integer, np.floating)):
        raise TypeError(f"{where}: validation_split must be a number in [0, 1), got {fraction!r}")
    if not 0 <= fraction < 1:
        raise ValueError(f"{where}: validation_split must be a number in [0, 1), got {fraction!r}")
    kept = math.floor(n * (1 - fraction))
    if fraction and not 0 < kept < n:
        raise ValueError(
            f"{where}: validation_split must leave samples on both sides, got {fraction!r} of {n} samples"
        )
    return kept


def is_plain(array: np.ndarray) -> bool:
    """Whether NumPy gathers rows of it straight from its memory, without a copy of the whole."""
    return array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative


class Column:
    """One array of a data set, from which batches are gathered into memory that is reused.

    Parameters
    ----------
    source : ndarray
        Shape (n, ...), any dtype of real numbers, any strides; never modified, never copied whole.
    rows : int
        The largest batch.
    dtype : dtype
        What the batches are converted to; bytes keep their values and are not scaled.
    channels_first : bool
        The source is (n, c, h, w) and the batches are to be (rows, h, w, c).
    after : callable, optional
        ``after(x, out)`` is a model's first layer, computed for whole numbers as soon as they are
        converted, in place, while they are in the cache.

    Attributes
    ----------
    finished : bool
        Whether `after` is computed here: not for what needs no conversion.

    Examples
    --------
    >>> images = np.arange(12, dtype=np.uint8).reshape(6, 2)
    >>> Column(images, 2, np.dtype(np.float32)).gather(np.array([5, 0]))
    array([[10., 11.],
           [ 0.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        source: np.ndarray,
        rows: int,
        dtype: np.dtype,
        channels_first: bool = False,
        after: Callable[[np.ndarray, np.ndarray], Any] | None = None,
    ) -> None:
        if channels_first and source.ndim == 4 and source.shape[1] == 1:
            # With one channel the two layouts are the same memory; only the shape is written otherwise.
            source, channels_first = np.moveaxis(source, 1, -1), False
        self.source = source
        self.rows = min(rows, len(source))
        self.dtype = np.dtype(dtype)
        self.turn = channels_first and source.ndim == 4
        self.after = after
        self.finished = after is not None and source.dtype.kind != "f"
        self._gathered: np.ndarray | None = None
        self._converted: np.ndarray | None = None

    def slice(self, start: int, stop: int) -> np.ndarray:
        """Return the samples from `start` to `stop`: a view of the source where that will do."""
        rows = self.source[start:stop]
        if rows.dtype == self.dtype and not self.turn and is_plain(rows):
            return rows
        return self._convert(rows)

    def gather(self, order: np.ndarray) -> np.ndarray:
        """Return the samples with these numbers; the memory is overwritten by the next batch."""
        if self._gathered is None:
            self._gathered = aligned_empty((self.rows, *self.source.shape[1:]), self.source.dtype)
        rows = self._gathered[: len(order)]
        if is_plain(self.source) and is_plain(rows):
            # mode="clip" because with the default NumPy buffers the output.
            np.take(self.source, order, axis=0, out=rows, mode="clip")
        else:
            for row, sample in zip(rows, order, strict=True):
                row[...] = self.source[sample]
        if rows.dtype == self.dtype and not self.turn:
            return rows
        return self._convert(rows)

    def _convert(self, rows: np.ndarray) -> np.ndarray:
        if self.turn:
            rows = np.moveaxis(rows, 1, -1)
        if self._converted is None:
            self._converted = aligned_empty((self.rows, *rows.shape[1:]), self.dtype)
        converted = self._converted[: len(rows)]
        with np.errstate(over="ignore"):  # too large for float32 is inf, and reported as such by fit
            np.copyto(converted, rows, casting="unsafe")
        if self.after is not None and self.finished:
            self.after(converted, converted)
        return converted


class Batch(NamedTuple):
    """Samples `start` … `start + len(x)` of an epoch; `y` and `weight` may be absent.

    `done` is the number of the model's first layers that x has been through already.
    """

    start: int
    x: np.ndarray
    y: np.ndarray | None
    weight: np.ndarray | None
    done: int


class Batches:
    """The batches of a data set: images, and if given targets and weights, always row by row together."""

    def __init__(
        self, x: Column, y: Column | None = None, weight: Column | None = None, *, batch_size: int
    ) -> None:
        self.columns: tuple[Column, Column | None, Column | None] = (x, y, weight)
        self.n = len(x.source)
        self.batch_size = min(batch_size, self.n)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def epoch(self, order: np.ndarray | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch, in the given order of samples or their own."""
        for start in range(0, self.n, self.batch_size):
            stop = min(start + self.batch_size, self.n)
            x, y, weight = (
                None
                if column is None
                else column.slice(start, stop)
                if order is None
                else column.gather(order[start:stop])
                for column in self.columns
            )
            assert x is not None
            yield Batch(start, x, y, weight, int(self.columns[0].finished))


class Meter:
    """Means over samples of the loss and the metrics, summed in float64 in the order of the batches."""

    def __init__(self, names: Sequence[str]) -> None:
        self._figures = {name: Mean() for name in names}

    def add(self, values: Sequence[float], count: int) -> None:
        """Count the means of a batch of `count` samples."""
        for figure, value in zip(self._figures.values(), values, strict=True):
            figure.update(value, count)

    def means(self) -> dict[str, float]:
        """Return the means by name."""
        return {name: figure.result() for name, figure in self._figures.items()}
