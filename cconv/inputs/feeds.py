"""Batches from a user's own object: an iterable, or an object with numbered batches.

The object's methods are called only in the thread that called `fit`, and no batch is made ahead, unless
the object allows several threads by its ``workers``.
"""

import contextlib
import copy
import itertools
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cconv.arguments.numbers import is_int
from cconv.inputs.kinds import NUMBERED, is_endless, kind_of
from cconv.inputs.orders import epoch_order
from cconv.inputs.paced import warn_of_end

if TYPE_CHECKING:
    from concurrent.futures import Future

_END = object()


class Feed(Protocol):
    """A source of the batches that a user's object makes."""

    @property
    def endless(self) -> bool:
        """Whether it is known to be endless."""

    @property
    def steps(self) -> int | None:
        """Batches in an epoch; None if unknown."""

    def first(self) -> Any:
        """Return the first batch without consuming it."""

    def more(self) -> bool:
        """Whether there is a batch for another epoch."""

    def order(self, seed: int, epoch: int) -> Any:
        """Return the order of an epoch, if it can be chosen."""

    def given(self, order: Any, first: int = 0) -> Iterator[Any]:
        """Yield the batches of one epoch from number `first` on."""

    def number(self, position: int) -> int:
        """Return the number in messages of the batch that was yielded last, at this position of its epoch."""

    def position(self) -> dict[str, Any]:
        """Return the state, to go on from; TypeError if it cannot be known."""

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Restore a `position`."""


def _own(item: Any) -> Any:
    """Return a batch whose arrays are copies: who gives it may fill them again before it is used."""
    if isinstance(item, np.ndarray):
        return item.copy()
    if isinstance(item, dict):
        return {name: _own(part) for name, part in item.items()}
    return type(item)(map(_own, item)) if type(item) in (tuple, list) else item


def feed_of(where: str, name: str, x: Any, steps: int | None, again: bool = False) -> Feed:
    """Return a feed of the batches of `x`; `steps`, if not None, is the number of batches in an epoch."""
    return (Numbered if kind_of(x) == NUMBERED else Stream)(where, name, x, steps, again)


class Stream:
    """The batches of an iterable.

    An iterator, such as a generator, continues in the next epoch; any other iterable is iterated anew when
    it has ended.

    Parameters
    ----------
    where, name : str
        Prefix of error messages and warnings.
    x : iterable
    steps : int or None
        Batches in an epoch; None: all.
    again : bool
        Whether every epoch begins with the first batch; impossible for an iterator.
    """

    def __init__(self, where: str, name: str, x: Any, steps: int | None, again: bool = False) -> None:
        self._where, self._name, self._x, self._limit, self._again = where, name, x, steps, again
        self._once = hasattr(x, "__next__")
        self._iterator: Iterator[Any] | None = None
        self._ahead: list[Any] = []
        self._before: Any = None  # the object's own state before it gave what is ahead
        self._begun = False
        self._taken = 0  # number of the iterator's batches that have been yielded
        self._at_end = False  # whether the object may first end the epoch at whose end its state was saved

    def number(self, position: int) -> int:
        """Return the position: the batches have no other number."""
        return position

    @property
    def endless(self) -> bool:
        """Whether it is known to be endless; for a generator this is unknown."""
        return is_endless(self._x)

    @property
    def steps(self) -> int | None:
        """Batches in an epoch; None if unknown."""
        return self._limit if self._limit is not None else length_of(self._x)

    def first(self) -> Any:
        """Return the first batch without consuming it."""
        if not self._fetch():
            raise ValueError(f"{self._where}: {self._name} must give at least one batch, got none")
        self._ahead[0] = _own(self._ahead[0])
        return self._ahead[0]

    def more(self) -> bool:
        """Whether there is a batch for another epoch; warns if not."""
        found = self._fetch()
        if not found:
            warn_of_end(self._where, 0, self._limit)
        return found

    def _fetch(self) -> bool:
        """Fetch the next batch if none is waiting; False if there are no more."""
        for _ in range(3):
            if self._ahead:
                return True
            begins = self._iterator is None
            if self._iterator is None:
                if self._once and self._begun:
                    return False
                self._iterator, self._begun, self._taken = iter(self._x), True, 0
            self._before = copy.deepcopy(self._x.get_state()) if has_state(self._x) else None
            item = next(self._iterator, _END)
            at_end, self._at_end = self._at_end, False
            if item is not _END:
                self._ahead.append(item)
                return True
            self._iterator = None
            if begins and not at_end:
                return False
        return False

    def order(self, seed: int, epoch: int) -> None:
        """Return None: the order is the object's own."""

    def position(self) -> dict[str, Any]:
        """Return the number of batches taken from the iterator, or the object's own state."""
        if has_state(self._x):
            state = self._before if self._ahead else self._x.get_state()
            return {"state": state, "within": self._iterator is not None}
        if self._once:
            raise TypeError(
                f"{self._where}: {self._name} must be data whose place can be saved, got a "
                f"{type(self._x).__name__}: use arrays, an object that can be iterated over again, "
                "batches by number, or define get_state() and set_state(state)"
            )
        return {"taken": self._taken if self._iterator is not None else 0}

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Restore a `position`; without a state of the object, iterate anew and skip the batches before."""
        self._iterator, self._ahead = None, []
        if "state" in position:
            self._x.set_state(position["state"])
            self._begun = position.get("within", True)
            self._at_end = not self._begun
            if self._begun:  # the rest of an epoch; otherwise the next one begins when it is asked for
                self._iterator = iter(self._x)
            return
        if not position["taken"]:
            return
        self._iterator, self._taken = iter(self._x), position["taken"]
        found = sum(1 for _ in itertools.islice(self._iterator, self._taken))
        if found < self._taken:
            raise ValueError(
                f"{self._where}: {self._name} must give at least {self._taken} batches, as before the "
                f"interrupt, got {found}"
            )

    def given(self, order: Any = None, first: int = 0) -> Iterator[Any]:
        """Yield the batches of one epoch from number `first` on."""
        if not first and not self._fetch():
            return
        for number in itertools.count(first) if self._limit is None else range(first, self._limit):
            if not self._ahead:
                assert self._iterator is not None
                item = next(self._iterator, _END)
                if item is _END:
                    self._iterator = None
                    if self._limit is not None:
                        warn_of_end(self._where, number, self._limit)
                    return
                self._ahead.append(item)
            self._taken += 1
            yield self._ahead.pop()
        if self._again and not self._once:
            self._iterator = None


class Numbered:
    """Numbered batches: ``x[i]`` is batch i, of ``len(x)`` or ``x.num_batches``.

    Calls the object's `on_epoch_begin` and `on_epoch_end`, if it has them. If its ``workers`` is greater than
    1, as many threads make batches ahead, at most ``max_queue_size``.

    Parameters
    ----------
    where, name : str
        Prefix of error messages and warnings.
    x : object
    steps : int or None
        Batches in an epoch; None: all.
    again : bool
        Whether every epoch begins a new pass.
    """

    def __init__(self, where: str, name: str, x: Any, steps: int | None, again: bool = False) -> None:
        self._where, self._name, self._x, self._limit, self._again = where, name, x, steps, again
        self._count()
        self._asked: int | None = None  # the last epoch whose order was requested
        self._pass: int | None = None  # the epoch whose order the pass has
        self._first: list[Any] = []
        self._left: Iterator[Any] | None = None
        self._place = 0  # number of the pass's batches so far
        self._size: int | None = None  # of the pass; by now the object may have another number of batches
        self._latest = 0

    def number(self, position: int) -> int:
        """Return the number i of x[i] that was yielded last."""
        return self._latest

    @property
    def endless(self) -> bool:
        """Whether it has no last batch."""
        return self._count() is None

    def _count(self) -> int | None:
        """Return the number of batches; None for an endless object."""
        count = self._x.num_batches if hasattr(self._x, "num_batches") else len(self._x)
        if count is not None and not (is_int(count) and count >= 0):
            raise TypeError(
                f"{self._where}: {self._name} must have as its length or num_batches an int of at least 0, "
                f"or None if it never ends, got {count!r}"
            )
        return None if count is None else int(count)

    @property
    def steps(self) -> int | None:
        """Batches in an epoch; None if unknown."""
        return self._limit if self._limit is not None else self._count()

    def _tell(self, event: str) -> None:
        """Call the object's method for an event; batch 0 may be another one afterwards."""
        if _hears(self._x, event):
            self._first = []
            getattr(self._x, event)()

    def first(self) -> Any:
        """Return the first batch without consuming it."""
        if not self._first:
            if self._count() == 0:
                raise ValueError(f"{self._where}: {self._name} must give at least one batch, got none")
            state = copy.deepcopy(self._x.get_state()) if has_state(self._x) else None
            self._first.append(_own(self._asked_for(0)))
            if state is not None:  # which is saved before this batch is used: it is made again
                self._x.set_state(state)
        return self._first[0]

    def more(self) -> bool:
        """Whether there is a batch for another epoch."""
        return self._count() != 0

    def order(self, seed: int, epoch: int) -> Any:
        """Return the order of the batches; None if they are endless."""
        self._asked = epoch
        count = self._count()
        return None if count is None else epoch_order(seed, epoch, count)

    def position(self) -> dict[str, Any]:
        """Return the epoch whose order the pass has, its number of batches so far, and the object's state."""
        state = self._x.get_state() if has_state(self._x) else None
        place = self._place if self._left is not None else 0
        return {"pass": self._pass, "place": place, "size": self._size, "state": state}

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Restore a `position`."""
        if position["state"] is not None and has_state(self._x):
            self._first = []
            self._x.set_state(position["state"])
        elif _hears(self._x, "on_epoch_end"):
            warnings.warn(
                f"{self._where}: {self._name} has on_epoch_end, but no get_state() and set_state(state): if "
                "earlier epochs change its batches, the result is not that of an uninterrupted training",
                stacklevel=2,
            )
        self._pass, self._left = position["pass"], None
        if position["place"]:
            size, order = position.get("size", self._count()), None
            if shuffle and self._pass is not None and size is not None:
                self._asked, order = self._pass, epoch_order(seed, self._pass, size)
            self._begin(order, size)
            self._place = sum(1 for _ in itertools.islice(self._left or (), position["place"]))

    def _begin(self, order: Any, size: int | None) -> None:
        """Begin a pass of so many batches."""
        self._size = size
        numbers = itertools.count() if self._size is None else range(self._size)
        self._left, self._place = iter(numbers if order is None else order.tolist()), 0

    def given(self, order: Any = None, first: int = 0) -> Iterator[Any]:
        """Yield the batches of one epoch from number `first` on."""
        if not (first and has_state(self._x)):
            self._tell("on_epoch_begin")
        if self._left is None or self._limit is None or self._again:
            self._begin(order, self._count())
            self._pass = self._asked
        assert self._left is not None
        wanted = list(itertools.islice(self._left, self.steps))
        yield from self._made(wanted[first:])
        self._place += len(wanted)
        if self._limit is not None and len(wanted) < self._limit:
            warn_of_end(self._where, len(wanted), self._limit)
        if self._place == self._size or len(wanted) < (self._limit or 0):
            self._left = None
        self._tell("on_epoch_end")

    def _made(self, numbers: list[int]) -> Iterator[Any]:
        """Yield the batches with these numbers."""
        workers = getattr(self._x, "workers", 1)
        if not is_int(workers) or workers < 2:
            made = (self._make(number) for number in numbers)
        else:
            ahead = max(int(getattr(self._x, "max_queue_size", 10)), 1)
            made = in_threads(self._make, numbers, int(workers), ahead)
        with contextlib.closing(made):
            for number, batch in zip(numbers, made, strict=True):
                self._latest = number
                yield batch

    def _make(self, number: int) -> Any:
        """Return batch `number`; batch 0, if `first` has made it already, is not made twice."""
        if number == 0 and self._first and not has_state(self._x):
            return self._first.pop()
        return self._asked_for(number)

    def _asked_for(self, number: int) -> Any:
        try:
            return self._x[number]
        except StopIteration as error:  # it would end the epoch, as if there were no more batches
            raise RuntimeError(f"{self._where}: {self._name}[{number}] raised StopIteration") from error


def in_threads(
    make: Callable[[int], Any], numbers: list[int], workers: int, ahead: int
) -> Generator[Any, None, None]:
    """Yield ``make(number)`` for each number in turn, made by `workers` threads, at most `ahead` at a time.

    Examples
    --------
    >>> list(in_threads(lambda number: number**2, [3, 1, 2], workers=2, ahead=2))
    [9, 1, 4]
    """
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and seldom needed

    with ThreadPoolExecutor(workers, "cconv batches") as pool:
        begun: deque[Future[Any]] = deque()
        left = iter(numbers)
        try:
            begun.extend(pool.submit(make, number) for number in itertools.islice(left, ahead))
            while begun:
                made = begun.popleft().result()
                begun.extend(pool.submit(make, number) for number in itertools.islice(left, 1))
                yield made
        finally:
            for future in begun:
                future.cancel()


def length_of(x: Any) -> int | None:
    """Return an iterable's number of batches; None if it has no length."""
    try:
        return len(x)
    except TypeError:
        return None


def has_state(x: Any) -> bool:
    """Whether a user's object can return its state and restore it."""
    return callable(getattr(x, "get_state", None)) and callable(getattr(x, "set_state", None))


def _hears(x: Any, event: str) -> bool:
    """Whether an object does something at an event; the methods of `PyDataset` do nothing."""
    function = getattr(x, event, None)
    return callable(function) and getattr(function, "__qualname__", "") != f"PyDataset.{event}"
