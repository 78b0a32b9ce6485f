"""Batches from a user's own object: checked one by one, and converted as batches of arrays are."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from cconv.inputs.accepted import Boundary, Data
from cconv.inputs.batches import Batch
from cconv.inputs.feeds import Feed
from cconv.inputs.kinds import item_of


class Fed:
    """A source of a `Feed`'s batches.

    Parameters
    ----------
    feed : Feed
    boundary : Boundary
        What the model accepts.
    labelled : bool
        Whether batches must have targets.
    class_weight : dict of int to float, optional
        Weight of each class.
    """

    n: int | None = None
    mixing: str | bool = True

    def __init__(
        self,
        feed: Feed,
        boundary: Boundary,
        labelled: bool = True,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        self._feed, self._boundary = feed, boundary
        self._labelled, self._class_weight = labelled, class_weight
        self._given: Any = None  # the current epoch
        self._start = 0  # number of its samples that have been yielded

    @property
    def steps(self) -> int | None:
        """Batches in an epoch; None if unknown."""
        return self._feed.steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the current epoch, with the threads that make its batches."""
        given, self._given = self._given, None
        if given is not None:
            given.close()

    def take_part(self, part: Callable[[int], slice] | None) -> None:
        """Do nothing: the user's object makes whole batches."""

    def more(self) -> bool:
        """Whether there is a batch for another epoch."""
        return self._feed.more()

    def order(self, seed: int, epoch: int) -> Any:
        """Return the order of an epoch, if it can be chosen."""
        return self._feed.order(seed, epoch)

    def check_first(self) -> None:
        """Raise an error if the first batch does not fit, before anything begins."""
        self._data(0, self._feed.first())

    def position(self) -> dict[str, Any]:
        """Return the feed's position, and the number of samples that the epoch has yielded."""
        return {"feed": self._feed.position(), "start": self._start}

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Restore a `position`."""
        self._feed.take_up(position["feed"], seed, shuffle)
        self._start = position["start"]

    def epoch(self, order: Any = None, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch from number `first` on, each made on demand."""
        before = None
        self._start = start = self._start if first else 0
        self._given = self._feed.given(order, first)
        for position, item in enumerate(self._given, first):
            data = self._data(self._feed.number(position), item)
            # One batch by itself: its front, if it augments, is left to the model.
            batches = self._boundary.batches(data, data.n)
            if before is not None:
                batches.follow(before)  # new memory would cost as much as filling it
            before = batches
            self._start += data.n
            yield next(batches.epoch())._replace(start=start)
            start += data.n

    def _data(self, number: int, given: Any) -> Data:
        """Return a batch, checked; error messages name every batch but the first."""
        where = self._boundary.where
        boundary = self._boundary.at(f"{where}: batch {number}") if number else self._boundary
        item = item_of(where, number, given, self._labelled)
        x = boundary.read(item.x)
        if not self._labelled:
            return Data(x)
        return boundary.data(x, item.y, item.weight, self._class_weight)
