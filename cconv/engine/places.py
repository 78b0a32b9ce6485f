"""Where values lie while they are needed: in as few places as possible."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cconv.engine.lending import Lender
from cconv.engine.memory import PlanRun
from cconv.engine.steps import Step
from cconv.ops import merging


class Places:
    """Which places are taken by values that will still be read.

    A place may hold several values, if one is a view of the other.

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
        """Return the number of the first free place."""
        taken = self._place_of.values()
        return next(place for place in itertools.count() if place not in taken)

    def put(self, value: int, place: int | None) -> None:
        """Note in which place a value lies; None: its memory is not one of these places."""
        if place is not None:
            self._place_of[value] = place

    def of(self, value: int) -> int | None:
        """Return the place of a value, or None."""
        return self._place_of.get(value)

    def leave(self, value: int) -> None:
        """Note that a value is not needed any more."""
        self._place_of.pop(value, None)


class Values:
    """The values of a pass at inference; each is kept as long as somebody will read it.

    Parameters
    ----------
    readers : sequence of int
        How often each value is read.
    given : mapping of int to ndarray
        The values that exist already.
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
        """Return all values that somebody will read."""
        return self._there.values()

    def begin(self, value: int, y: np.ndarray) -> None:
        """Continue with one value, the only one that is still needed; it has its own memory."""
        self._there = {value: y}

    def put(self, value: int, y: np.ndarray, place: int, sources: Sequence[int]) -> None:
        """Keep a value y that was made of sources; it lies in `place`, unless it is a view of a source."""
        viewed = next((v for v in sources if np.may_share_memory(y, self._there[v])), None)
        self.places.put(value, place if viewed is None else self.places.of(viewed))
        self._there[value] = y
        for source in sources:
            self._left[source] -= 1
            if not self._left[source]:
                self.places.leave(source)
                del self._there[source]


class Gradients:
    """The gradients of values in the backward pass; those of one value are added in the order they come.

    Parameters
    ----------
    run : PlanRun
        The run that adds them.
    lender : Lender
        Gives the memory of a sum, if neither of its terms can be overwritten.
    """

    def __init__(self, run: PlanRun, lender: Lender) -> None:
        self._run = run
        self._lender = lender
        self._there: dict[int, np.ndarray] = {}

    def begin(self, value: int, dy: np.ndarray) -> None:
        """Take the gradient of an output; it is never overwritten."""
        self.add([(value, dy)])

    def of(self, value: int) -> np.ndarray | None:
        """Return the gradient of a value; None if nothing depends on it."""
        return self._there.get(value)

    def spare(self, value: int) -> np.ndarray | None:
        """Return the gradient of a value if the next result may overwrite it, else None."""
        dy = self._there[value]
        return dy if self._is_alone(dy, value, []) else None

    def all(self) -> Iterable[np.ndarray]:
        """Return the gradients that have not been passed on."""
        return self._there.values()

    def leave(self, value: int) -> None:
        """Let go of a gradient that has been passed on."""
        self._there.pop(value, None)

    def add(self, given: Sequence[tuple[int, np.ndarray]]) -> None:
        """Add the (value, gradient) pairs that a step returned to the gradients of the values."""
        coming = [dx for _, dx in given]
        for value, dx in given:
            del coming[0]
            there = self._there.get(value)
            self._there[value] = dx if there is None else self._sum(value, there, dx, coming)

    def _sum(self, value: int, there: np.ndarray, dx: np.ndarray, coming: list[np.ndarray]) -> np.ndarray:
        """Return the sum of a gradient that was there and a new one; either order gives the same bits."""
        # Prefer the memory of the newer gradient: around it more has been read for the last time.
        for out in (dx, there):
            if self._is_alone(out, value, coming):
                return merging.add(there, dx, out, self._run)
        self._run.enter(("sum", value), 0, "")
        self._run.borrow("dx", self._lender)
        return merging.add(there, dx, self._run.empty("dx", dx.shape, dx.dtype), self._run)

    def _is_alone(self, dx: np.ndarray, value: int, coming: list[np.ndarray]) -> bool:
        """Whether nobody else, the user included, needs the memory of a gradient of this value."""
        others = [other for number, other in self._there.items() if number != value]
        shared = any(np.may_share_memory(dx, other) for other in (*others, *coming))
        return self._lender.lends(dx) and not shared
