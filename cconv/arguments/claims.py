"""Who works with what only one may work with at a time: a claim, for which nobody waits.

A training writes into its layers from the first batch to the last. A lock would be waited for, even by a
signal handler of the very thread that holds it, and would stay locked when an interrupt comes in the wrong
place. So whoever wants to train writes its `Claim` down at every thing that it changes, and may go on if no
claim that still holds stands there before its own; otherwise it is refused at once. A claim ends by one
assignment, in the middle of which no signal handler runs.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")

_forks, _survivor = 0, 0  # how many forks made this process, and the thread that came through the last one
_builders = threading.RLock()


def _after_fork() -> None:
    global _forks, _survivor, _builders
    _forks, _survivor = _forks + 1, threading.get_ident()
    _builders = threading.RLock()  # whoever held it may not be in this process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def builders() -> Any:
    """Return the lock under which weights are made: the first calls of several threads make them once."""
    return _builders


class Claim:
    """That somebody works with things that only one may work with.

    Attributes
    ----------
    where : str
        What is done, as error messages name it.
    active : bool
        Set to False, the claim has ended.
    """

    __slots__ = ("_forks", "_places", "_thread", "active", "where")

    def __init__(self, where: str) -> None:
        self.where: str = where
        self.active: bool = True
        self._forks, self._thread = _forks, threading.get_ident()
        self._places: Sequence[Claims] = ()

    def holds(self) -> bool:
        """Whether it has not ended, nor been left behind in another process by a fork."""
        return self.active and (self._forks == _forks or self._thread == _survivor)

    def take(self, places: Sequence["Claims"]) -> "Claim | None":
        """Claim these places in order; return the claim that was there before, if any was."""
        self._places = places
        for place in places:
            # Two at once: one is written down first, and the other sees it.
            place.claims.append(self)
            if place.claims[0] is not self and (other := place._before(self)) is not None:
                return other
        return None

    def cross_out(self) -> None:
        """Leave nothing behind where it has ended; without this whoever comes next does it."""
        for place in self._places:
            try:
                place.claims.remove(self)
            except ValueError:
                continue  # somebody who found it ended was quicker, or it never came to this place


class Claims:
    """The claims to one thing, in the order in which they came; the first that holds has it.

    A copy or a pickle of it is empty: nobody works with a copy yet.

    Attributes
    ----------
    claims : list of Claim
        All that were written down and not crossed out.

    Examples
    --------
    >>> thing, first, second = Claims(), Claim("first"), Claim("second")
    >>> first.take([thing]), second.take([thing]) is first
    (None, True)
    >>> second.active = False
    >>> thing.owner() is first
    True
    """

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    def owner(self) -> Claim | None:
        """Return the claim that has the thing, if any has."""
        return self._before(None) if self.claims else None

    def _before(self, claim: Claim | None) -> Claim | None:
        for other in list(self.claims):
            if other is claim:
                return None
            if other.holds():
                return other
            self.drop(other)
        return None

    def drop(self, claim: Claim) -> None:
        """Cross a claim out."""
        try:
            self.claims.remove(claim)
        except ValueError:
            return  # somebody who found it ended was quicker

    def __reduce__(self) -> tuple[type["Claims"], tuple[()]]:
        return Claims, ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Claims) and self.claims == other.claims

    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


def alone(
    where: str, what: Callable[[Claim], str], places: Sequence[Claims], work: Callable[[], T], doing: str
) -> T:
    """Return ``work()``, done while nobody else works with these things.

    Parameters
    ----------
    where : str
        Begins the error message, and tells others what is done.
    what : callable
        Returns the name of what the claim that it is given has.
    places : sequence of Claims
        Of each of them, in an order that is the same for all.
    work : callable
        What is done.
    doing : str
        What others are said to be at: "training".

    Raises
    ------
    RuntimeError
        When somebody does, be it this very thread, further out; then nothing is done.
    """
    claim = Claim(where)
    try:
        other = claim.take(places)
        if other is not None:
            raise RuntimeError(
                f"{where}: {what(other)} is already {doing}, in {other.where}: wait until that has ended, or "
                "work with a copy (copy.deepcopy)"
            )
        return work()
    finally:
        # First of all, and not in a function: where one is called an interrupt may come.
        claim.active = False
        claim.cross_out()
