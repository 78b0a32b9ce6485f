"""A data set, batch by batch: gathered, converted, augmented and shuffled without ever copying the whole.

The data set stays where it is and as it is: bytes in memory, a file on disk that is mapped. What
a batch needs of it is converted into one of two buffers, in the background while the model works on
the other. A model's first layers, if they only rescale and augment, are computed on the way.
"""

import copy
import functools
import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from cconv import ops_images, seeds, threads
from cconv.background import Background
from cconv.metrics import Mean
from cconv.run import Run, aligned_empty

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
    flags = array.flags
    return flags.c_contiguous and flags.aligned and array.dtype.isnative


def _is_mapped(array: Any) -> bool:
    """Whether the array is, or is a view of, a file."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array is not None


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

    Attributes
    ----------
    mapped : bool
        Whether the source is read from disk as it is used.

    Examples
    --------
    >>> images = np.arange(12, dtype=np.uint8).reshape(6, 2)
    >>> Column(images, 2, np.dtype(np.float32)).gather(np.array([5, 0]))
    array([[10., 11.],
           [ 0.,  1.]], dtype=float32)
    """

    def __init__(self, source: np.ndarray, rows: int, dtype: np.dtype, channels_first: bool = False) -> None:
        if channels_first and source.ndim == 4 and source.shape[1] == 1:
            # With one channel the two layouts are the same memory; only the shape is written otherwise.
            source, channels_first = np.moveaxis(source, 1, -1), False
        self.source = source
        self.rows = min(rows, len(source))
        self.dtype = np.dtype(dtype)
        self.turn = channels_first and source.ndim == 4
        self.mapped = _is_mapped(source)
        shape = source.shape[1:]
        self.shape = (*shape[1:], shape[0]) if self.turn else shape
        # Whole numbers that stay whole are few: one a sample.
        self._bytes = ops_images.rows_of(source) if self.dtype.kind == "f" else None
        self._memory: dict[Any, np.ndarray] = {}

    def slice(
        self,
        start: int,
        stop: int,
        slot: int = 0,
        rescale: tuple[float, float] | None = None,
        own: bool = False,
    ) -> np.ndarray:
        """Return the samples from `start` to `stop`: unless `own`, a view of the source where that will do.

        `slot` is 0 or 1: which of two buffers is filled. `rescale` is a scale and an offset for each number.
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
        if self._bytes is not None:
            return self._converted(self._bytes, order, len(order), slot, rescale)
        source = self.source
        rows = self._place(("gathered", slot), len(order), source.shape[1:], source.dtype.newbyteorder("="))
        if is_plain(source):
            # mode="clip" because with the default NumPy buffers the output.
            np.take(source, order, axis=0, out=rows, mode="clip")
        else:
            rows[...] = source[order]  # which copies the batch and, unlike `take`, not the whole
        return self._finished(rows, slot, rescale)

    def apart(self) -> "Column":
        """Return another column over the same source, with memory of its own."""
        other = copy.copy(self)
        other._memory = {}
        return other

    def _finished(self, rows: np.ndarray, slot: int, rescale: tuple[float, float] | None) -> np.ndarray:
        """Return gathered rows as they are to be."""
        if rows.dtype == self.dtype and not self.turn and rescale is None:
            return rows
        if self.dtype.kind != "f":  # whole numbers, which only change their places
            out = self._place(slot, len(rows), self.shape, self.dtype)
            out[...] = np.moveaxis(rows, 1, -1)
            return out
        staged = ops_images.rows_of(rows)
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
        return ops_images.gather_rows(rows, kind, order, out, rescale, self.shape[-1] if self.turn else 1)

    def _place(self, name: Any, count: int, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return _reused(self._memory, name, self.rows, (count, *shape), dtype)


def _reused(
    memory: dict[Any, np.ndarray], name: Any, rows: int, shape: tuple[int, ...], dtype: DTypeLike
) -> np.ndarray:
    """Return an array of that shape, of at most so many rows, in memory that has a name."""
    if name not in memory:
        memory[name] = aligned_empty((rows, *shape[1:]), dtype)
    return memory[name][: shape[0]]


class FrontState(NamedTuple):
    """What the front of a model does to a batch: equal states do the same."""

    step: int
    rescale: tuple[float, float] | None
    settings: tuple[Any, ...]


class Front:
    """The first layers of a model, as far as batches come with them computed.

    Parameters
    ----------
    rescaling : Rescaling, optional
        The first layer of all.
    augmentations : sequence of Augmentation
        What follows it, or comes first; used in training.
    seed : int
        Key of the draws.
    step : callable, optional
        Returns the number of the step that comes next.
    """

    def __init__(
        self,
        rescaling: Any = None,
        augmentations: Sequence[Any] = (),
        seed: int = 0,
        step: Callable[[], int] | None = None,
    ) -> None:
        self.rescaling, self.augmentations = rescaling, tuple(augmentations)
        self.seed = seed
        self._step = step

    def state(self, kind: str, augmented: bool) -> FrontState:
        """Return what is done now to samples of that kind of dtype.

        Floats that are not augmented are left as they are: gathering them without a copy, where that is
        possible, saves more than a layer that rescales them costs.
        """
        rescaling = self.rescaling if kind != "f" or augmented else None
        rescale = None if rescaling is None else (rescaling.scale, rescaling.offset)
        if not augmented or self._step is None:
            return FrontState(0, rescale, ())
        return FrontState(self._step(), rescale, tuple(layer.settings() for layer in self.augmentations))


class _FrontRun(Run):
    """A run whose arrays are the same memory at every batch: one `place` after the other."""

    place: Any = None
    rows = 0
    memory: dict[Any, np.ndarray]

    def empty(self, tag: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return _reused(self.memory, (self.place, tag), self.rows, shape, dtype)


class Batch(NamedTuple):
    """Samples `start` … `start + len(x)` of an epoch; `y` and `weight` may be absent.

    `done` is the number of the model's first layers that x has been through already; `given()` returns
    the samples as they were before.
    """

    start: int
    x: np.ndarray
    y: np.ndarray | None
    weight: np.ndarray | None
    done: int
    given: Callable[[], np.ndarray]


# Numbers of a batch under which preparing it costs less than having it prepared by another thread.
BACKGROUND_NUMBERS = 1 << 16


class Batches:
    """The batches of a data set: images, and if given targets and weights, always row by row together.

    Inside a ``with`` block the next batch is prepared while the caller works on the current one, if there is
    more than one and the work is worth it. The values do not depend on it.
    """

    def __init__(
        self,
        x: Column,
        y: Column | None = None,
        weight: Column | None = None,
        *,
        batch_size: int,
        front: Front | None = None,
    ) -> None:
        self.columns: tuple[Column, Column | None, Column | None] = (x, y, weight)
        self.n = len(x.source)
        self.batch_size = min(batch_size, self.n)
        self._front = front or Front()
        self._augmented = bool(self._front.augmentations) and len(self) > 1
        self._memory: dict[Any, np.ndarray] = {}
        self._background: Background | None = None

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __enter__(self) -> Self:
        if len(self) > 1 and self._is_work():
            self._background = Background(self._prepared)
        return self

    def __exit__(self, *_: object) -> None:
        background, self._background = self._background, None
        if background is not None:
            background.close()

    def _is_work(self) -> bool:
        """Whether another thread gains more than it costs: the disk's time, or that of an idle processor."""
        x = self.columns[0]
        if x.mapped:
            return True
        work = self._augmented or self.batch_size * math.prod(x.shape) >= BACKGROUND_NUMBERS
        return work and threads.one_to_spare()

    def epoch(self, order: np.ndarray | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch, in the given order of samples or their own.

        Each is valid until the next one is asked for.
        """
        ahead, begun = self._background, None
        for number, start in enumerate(range(0, self.n, self.batch_size)):
            state = self._front.state(self.columns[0].source.dtype.kind, self._augmented)
            slot = 0 if ahead is None else number % 2
            # A callback may have changed a layer, or the number of the step, since the batch was begun.
            if ahead is not None and begun == state:
                batch = ahead.take()
            else:
                if ahead is not None:
                    ahead.forget()
                batch = self._prepared(start, order, slot, state)
            if ahead is not None and start + self.batch_size < self.n:
                begun = state._replace(step=state.step + 1) if self._augmented else state
                ahead.begin(start + self.batch_size, order, 1 - slot, begun)
            yield batch

    def _prepared(self, start: int, order: np.ndarray | None, slot: int, state: FrontState) -> Batch:
        """Return a batch, in the memory of that slot, of a model whose front is in that state."""
        x, y, weight = self.columns
        stop = min(start + self.batch_size, self.n)

        def rows_of(column: Column, slot: int, rescale: tuple[float, float] | None) -> np.ndarray:
            if order is not None:
                return column.gather(order[start:stop], slot, rescale)
            return column.slice(start, stop, slot, rescale, column.mapped and self._background is not None)

        images = rows_of(x, 0 if self._augmented else slot, state.rescale)
        done = int(state.rescale is not None)
        if self._augmented:
            images = self._augment(images, start, slot, state)
            done += len(self._front.augmentations)
        return Batch(
            start,
            images,
            None if y is None else rows_of(y, slot, None),
            None if weight is None else rows_of(weight, slot, None),
            done,
            functools.partial(self._given, start, stop, order),
        )

    def _augment(self, x: np.ndarray, start: int, slot: int, state: FrontState) -> np.ndarray:
        run = _FrontRun(training=True, seed=self._front.seed, step=state.step, first_sample=start)
        run.memory, run.rows = self._memory, self.batch_size
        last, given = len(self._front.augmentations) - 1, x
        for number, layer in enumerate(self._front.augmentations):
            run.place = ("out", slot) if number == last else ("between", number % 2)
            x = layer.augment(x, run)
        if np.may_share_memory(x, given):  # whose memory is the next batch's
            run.place = ("out", slot)
            kept = run.empty("kept", x.shape, x.dtype)
            kept[...] = x
            return kept
        return x

    def _given(self, start: int, stop: int, order: np.ndarray | None) -> np.ndarray:
        """Return samples before any layer, in memory of their own."""
        column = self.columns[0].apart()
        return column.slice(start, stop) if order is None else column.gather(order[start:stop])


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
