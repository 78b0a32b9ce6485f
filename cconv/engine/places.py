"""Where values lie while they are needed: in the fewest places that do."""

import itertools
from collections.abc import Sequence

import numpy as np

from cconv.engine.memory import PlanRun
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
        Where a sum's memory comes from, if none of its terms can be overwritten.
    """

    def __init__(self, run: PlanRun) -> None:
        self._run = run
        self._there: dict[int, np.ndarray] = {}
        self._given: list[np.ndarray] = []
        self.places: Places = Places()

    def begin(self, value: int, dy: np.ndarray) -> None:
        """Take the gradient of an output, which is not overwritten."""
        self._given.append(dy)
        self.add([(value, dy, None)])

    def of(self, value: int) -> np.ndarray | None:
        """Return the gradient of a value; None where nothing depends on it."""
        return self._there.get(value)

    def leave(self, value: int) -> None:
        """Let go of a gradient that has been passed on."""
        self._there.pop(value, None)
        self.places.leave(value)

    def add(self, given: Sequence[tuple[int, np.ndarray, int | None]]) -> None:
        """Add to the gradients of values what a step gave: (value, gradient, the place where it lies)."""
        coming = [dx for _, dx, _ in given]
        # Until all are added no sum may be written where one of them lies.
        for number, (_, _, place) in enumerate(given):
            self.places.put(-1 - number, place)
        for value, dx, place in given:
            del coming[0]
            there = self._there.get(value)
            if there is None:
                self._there[value] = dx
                self.places.put(value, place)
            else:
                self._add(value, there, dx, place, coming)
        for number in range(len(given)):
            self.places.leave(-1 - number)

    def _add(
        self, value: int, there: np.ndarray, dx: np.ndarray, place: int | None, coming: list[np.ndarray]
    ) -> None:
        """Add to a gradient that is there already: a sum of two has the same bits in either order."""
        if self._is_alone(there, value, coming):
            merging.add(there, dx, there, self._run)
            return
        if self._is_alone(dx, value, coming):
            total = merging.add(there, dx, dx, self._run)
        else:
            place = self.places.free()
            self._run.enter(("sum", value), place, "dx")
            total = merging.add(there, dx, self._run.empty("dx", dx.shape, dx.dtype), self._run)
        self._there[value] = total
        self.places.leave(value)
        self.places.put(value, place)

    def _is_alone(self, dx: np.ndarray, value: int, coming: list[np.ndarray]) -> bool:
        """Whether nobody else needs what lies in the memory of a gradient of that value."""
        others = (other for number, other in self._there.items() if number != value)
        return not any(np.may_share_memory(dx, other) for other in (*others, *coming, *self._given))
