"""A data set, batch by batch: gathered, converted, augmented and shuffled without ever copying the whole.

The data set stays as it is: in memory, or in a file that is mapped. The next batch is converted into one of
two buffers in the background, while the model works on the other one. If a model's first layers only
rescale and augment, they are computed at the same time.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from cconv import threads
from cconv.inputs.background import Background
from cconv.inputs.columns import Column
from cconv.inputs.front import Front, FrontState, _FrontRun
from cconv.inputs.joined import Columns
from cconv.inputs.orders import Blocks, epoch_order


class Batch(NamedTuple):
    """Samples `start` … `start + n` of an epoch; `y` and `weight` may be absent.

    Each is an array; for several inputs or outputs a tuple of arrays, with None for absent ones. `done` is
    the number of the model's first layers that are already applied to x; `given()` returns the samples before
    these layers. If x has only a part of the batch's samples, `whole` is the number of all its samples.
    """

    start: int
    x: Any
    y: Any
    weight: Any
    done: int
    given: Callable[[], Any]
    whole: int | None = None

    @property
    def n(self) -> int:
        """Number of samples in the batch."""
        if self.whole is not None:
            return self.whole
        x = self.x
        return len(x[0] if type(x) is tuple else x)


class Source(Protocol):
    """A source of batches: what `Batches` of arrays and all other kinds have in common."""

    @property
    def n(self) -> int | None:
        """Samples in an epoch; None if unknown before its end."""

    @property
    def steps(self) -> int | None:
        """Batches in an epoch; None if unknown before its end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def take_part(self, part: Callable[[int], slice] | None) -> None:
        """From now on gather only these rows of x of a batch of n samples, if that saves work."""

    def more(self) -> bool:
        """Whether there is a batch for another epoch; may fetch the first batch to find out."""

    @property
    def mixing(self) -> str | bool:
        """How batches are shuffled, for who takes a training up; True: by their numbers."""

    def order(self, seed: int, epoch: int) -> Any:
        """Return the shuffled order of epoch `epoch`, as an argument of the method `epoch`."""

    def epoch(self, order: Any = None, first: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches from number `first` on; each is valid until the next is asked for."""

    def position(self) -> dict[str, Any]:
        """Return the state beyond the numbers of epoch and batch; TypeError if it cannot be known."""

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Restore a `position` of such a source; the interrupted epoch, if any, is asked for next."""


# Batches with fewer numbers are prepared in the caller's thread: another thread would cost more.
BACKGROUND_NUMBERS = 1 << 16


class Batches:
    """The batches of a data set: samples, and if given targets and weights, in the same order.

    Inside a ``with`` block the next batch is prepared while the caller works on the current one, if there is
    more than one and the work is worth it. The values do not depend on this.

    Parameters
    ----------
    x, y, weight : Column or Columns
    batch_size : int
    front : Front, optional
        The first layers of the model, as far as they are computed here.
    blocks : Blocks, optional
        In which order they are shuffled; by default in any.
    """

    def __init__(
        self,
        x: Column | Columns,
        y: Column | Columns | None = None,
        weight: Column | Columns | None = None,
        *,
        batch_size: int,
        front: Front | None = None,
        blocks: Blocks | None = None,
    ) -> None:
        self.columns: tuple[Any, Any, Any] = (x, y, weight)
        self.n: int = len(x.source)
        self.batch_size: int = min(batch_size, self.n)
        self._blocks = blocks
        self._there = [column for column in self.columns if column is not None]
        self._front = front or Front()
        self._augmented = bool(self._front.augmentations) and len(self) > 1
        self._memory: dict[Any, np.ndarray] = {}
        self._background: Background | None = None
        self._part: Callable[[int], slice] | None = None

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self)

    def follow(self, other: "Batches") -> None:
        """Reuse the memory of other batches, which are no longer used, if it fits."""
        for column, before in zip(self.columns, other.columns, strict=True):
            if column is not None and before is not None:
                column.follow(before)

    def take_part(self, part: Callable[[int], slice] | None) -> None:
        """Gather only these rows of x of a batch of n samples."""
        self._part = part

    def more(self) -> bool:
        """Whether there is a batch for another epoch: always."""
        return True

    @property
    def mixing(self) -> str | bool:
        """How samples are shuffled."""
        return True if self._blocks is None else str(self._blocks)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the order in which epoch `epoch` visits the samples: a permutation."""
        if self._blocks is not None:
            return self._blocks.order(seed, epoch)
        return epoch_order(seed, epoch, self.n)

    def __enter__(self) -> Self:
        if len(self) > 1 and self._is_work():
            self._background = Background(self._prepared)
            for column in self._there:
                column.ahead(True)
        return self

    def __exit__(self, *_: object) -> None:
        background, self._background = self._background, None
        if background is not None:
            background.close()
            for column in self._there:
                column.ahead(False)

    def _is_work(self) -> bool:
        """Whether a thread is worth its cost: there is disk access, or enough work and an idle processor."""
        x = self.columns[0]
        if x.mapped or any(column.stored for column in self._there):
            return True
        work = self._augmented or self.batch_size * math.prod(x.shape) >= BACKGROUND_NUMBERS
        return work and threads.one_to_spare()

    def position(self) -> dict[str, Any]:
        """Return an empty dict: the numbers of epoch and batch are enough."""
        return {}

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Do nothing: order and batch number determine a batch."""

    def epoch(self, order: np.ndarray | None = None, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch from number `first` on; by default samples are not shuffled.

        Each is valid until the next one is asked for.
        """
        ahead, begun = self._background, None
        self._begin(order, first)
        for number, start in enumerate(range(first * self.batch_size, self.n, self.batch_size)):
            state = self._front.state(self.columns[0].source.dtype.kind, self._augmented)
            slot = 0 if ahead is None else number % 2
            # A callback may have changed a layer, or the step's number, since the batch was begun.
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

    def _begin(self, order: np.ndarray | None, first: int) -> None:
        """Tell what is not in memory what will be asked for."""
        if self._background is not None:
            self._background.forget()  # of an epoch that was broken off
        for column in self._there:
            column.begin(order, first, self._part if column is self.columns[0] else None)

    def _prepared(self, start: int, order: np.ndarray | None, slot: int, state: FrontState) -> Batch:
        """Return a batch in the memory of a slot, for this state of the model's front."""
        x, y, weight = self.columns
        stop = min(start + self.batch_size, self.n)
        part = slice(0, stop - start) if self._part is None else self._part(stop - start)

        def rows_of(
            column: Column | Columns, rows: slice, slot: int, rescale: tuple[float, float] | None
        ) -> Any:
            if order is not None:
                return column.gather(order[rows], slot, rescale)
            own = column.mapped and self._background is not None
            return column.slice(rows.start, rows.stop, slot, rescale, own)

        own = slice(start + part.start, start + part.stop)
        images = rows_of(x, own, 0 if self._augmented else slot, state.rescale)
        done = int(state.rescale is not None)
        if self._augmented:
            images = self._augment(images, own.start, slot, state)
            done += len(self._front.augmentations)
        return Batch(
            start,
            images,
            None if y is None else rows_of(y, slice(start, stop), slot, None),
            None if weight is None else rows_of(weight, slice(start, stop), slot, None),
            done,
            functools.partial(self._given, start, stop, order),
            None if self._part is None else stop - start,
        )

    def _augment(self, x: np.ndarray, start: int, slot: int, state: FrontState) -> np.ndarray:
        run = _FrontRun(training=True, seed=self._front.seed, step=state.step, first_sample=start)
        run.memory, run.rows = self._memory, self.batch_size
        last, between, passed = len(self._front.augmentations) - 1, 0, False
        for number, layer in enumerate(self._front.augmentations):
            run.place = ("out", slot) if number == last else ("between", between)
            given, x = x, layer.augment(x, run)
            # A layer may return its input, whose memory the next one must not write to.
            passed = np.may_share_memory(x, given)
            between = between if passed else 1 - between
        if passed:  # this memory is used for the next batch
            run.place = ("out", slot)
            kept = run.empty("kept", x.shape, x.dtype)
            kept[...] = x
            return kept
        return x

    def _given(self, start: int, stop: int, order: np.ndarray | None) -> Any:
        """Return samples in front of all layers, in memory of their own."""
        column = self.columns[0].apart()
        return column.slice(start, stop) if order is None else column.gather(order[start:stop])
