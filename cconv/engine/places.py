"""Where values lie while they are needed: in the fewest places that do."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cconv.engine.lending import Lender
from cconv.engine.memory import PlanRun
from cconv.engine.steps import Step
from cconv.ops import merging


class Places:
    """Which of a few places are taken by values that will still be read.

    A place may hold several values, of which one is a view of the other.

    Examples
    --------
    >>> places = Places()
    >>> places.put(5, 0), places.put(6, 1), places.free()
    (None, None, 2)
    >>> places.leave(5), places.free()
    (None, 0)
    """

    def __init__(self) -> None:
        self._place_of: dict[int, int] = {}

    def free(self) -> int:
        """Return the first place that no value is in."""
        taken = self._place_of.values()
        return next(place for place in itertools.count() if place not in taken)

    def put(self, value: int, place: int | None) -> None:
        """Note where a value lies; None: in memory that is not one of these places."""
        if place is not None:
            self._place_of[value] = place

    def of(self, value: int) -> int | None:
        """Return where a value lies."""
        return self._place_of.get(value)

    def leave(self, value: int) -> None:
        """Note that a value is not needed any more."""
        self._place_of.pop(value, None)


class Values:
    """The values of a pass at inference, each kept as long as somebody will read it.

    Parameters
    ----------
    readers : sequence of int
        How often each value is read.
    given : mapping of int to ndarray
        The values that are there.
    """

    def __init__(self, readers: Sequence[int], given: dict[int, np.ndarray]) -> None:
        self._left = list(readers)
        self._there = dict(given)
        self.places: Places = Places()

    def read(self, value: int) -> np.ndarray:
        """Return a value."""
        return self._there[value]

    def of(self, step: Step) -> Any:
        """Return what goes into a step."""
        xs = tuple([self._there[value] for value in step.sources])
        return xs if step.merges else xs[0]

    def all(self) -> Iterable[np.ndarray]:
        """Return those that somebody will read."""
        return self._there.values()

    def begin(self, value: int, y: np.ndarray) -> None:
        """Go on from the one value that is still needed, which lies in memory of its own."""
        self._there = {value: y}

    def put(self, value: int, y: np.ndarray, place: int, sources: Sequence[int]) -> None:
        """Keep what was made of the sources, written to that place unless it is a view of one of them."""
        viewed = next((v for v in sources if np.may_share_memory(y, self._there[v])), None)
        self.places.put(value, place if viewed is None else self.places.of(viewed))
        self._there[value] = y
        for source in sources:
            self._left[source] -= 1
            if not self._left[source]:
                self.places.leave(source)
                del self._there[source]


class Gradients:
    """The gradients of values on the way back; those that meet are added, in the order in which they come.

    Parameters
    ----------
    run : PlanRun
        What adds them.
    lender : Lender
        Where a sum's memory comes from, if none of its terms can be overwritten.
    """

    def __init__(self, run: PlanRun, lender: Lender) -> None:
        self._run = run
        self._lender = lender
        self._there: dict[int, np.ndarray] = {}

    def begin(self, value: int, dy: np.ndarray) -> None:
        """Take the gradient of an output, which is not overwritten."""
        self.add([(value, dy)])

    def of(self, value: int) -> np.ndarray | None:
        """Return the gradient of a value; None where nothing depends on it."""
        return self._there.get(value)

    def spare(self, value: int) -> np.ndarray | None:
        """Return the gradient of a value if it may be overwritten by what is made of it."""
        dy = self._there[value]
        return dy if self._is_alone(dy, value, []) else None

    def all(self) -> Iterable[np.ndarray]:
        """Return those that have not been passed on."""
        return self._there.values()

    def leave(self, value: int) -> None:
        """Let go of a gradient that has been passed on."""
        self._there.pop(value, None)

    def add(self, given: Sequence[tuple[int, np.ndarray]]) -> None:
        """Add to the gradients of values what a step gave: (value, gradient)."""
        coming = [dx for _, dx in given]
        for value, dx in given:
            del coming[0]
            there = self._there.get(value)
            self._there[value] = dx if there is None else self._sum(value, there, dx, coming)

    def _sum(self, value: int, there: np.ndarray, dx: np.ndarray, coming: list[np.ndarray]) -> np.ndarray:
        """Return a gradient that was there and one more: a sum of two has the same bits in either order."""
        # The one that came last lies where more has been read for the last time.
        for out in (dx, there):
            if self._is_alone(out, value, coming):
                return merging.add(there, dx, out, self._run)
        self._run.enter(("sum", value), 0, "")
        self._run.borrow("dx", self._lender)
        return merging.add(there, dx, self._run.empty("dx", dx.shape, dx.dtype), self._run)

    def _is_alone(self, dx: np.ndarray, value: int, coming: list[np.ndarray]) -> bool:
        """Whether nobody else, a user neither, needs what lies in the memory of a gradient of that value."""
        others = [other for number, other in self._there.items() if number != value]
        shared = any(np.may_share_memory(dx, other) for other in (*others, *coming))
        return self._lender.lends(dx) and not shared
