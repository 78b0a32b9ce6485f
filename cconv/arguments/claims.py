"""Claims to things that only one caller may use at a time; nobody waits for a claim.

A training writes into its layers from the first batch to the last. A lock would not do: even a signal handler
of the very thread that holds it would wait for it, and an interrupt in the wrong place would leave it locked.
So a training adds its `Claim` to the list of every thing that it changes. It may go on if no claim that still
holds is before its own in a list; otherwise it is refused at once. A claim ends by one assignment, which no
signal handler can interrupt.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")

_forks, _survivor = 0, 0  # how many forks led to this process; the thread that survived the last fork
_builders = threading.RLock()


def _after_fork() -> None:
    global _forks, _survivor, _builders
    _forks, _survivor = _forks + 1, threading.get_ident()
    _builders = threading.RLock()  # the thread that held it may not exist in this process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def builders() -> Any:
    """Return the lock under which weights are made: the first calls of several threads make them once."""
    return _builders


class Claim:
    """Says that a caller uses things that only one may use at a time.

    Attributes
    ----------
    where : str
        What the caller does, as error messages name it.
    active : bool
        False once the claim has ended.
    """

    __slots__ = ("_forks", "_places", "_thread", "active", "where")

    def __init__(self, where: str) -> None:
        self.where: str = where
        self.active: bool = True
        self._forks, self._thread = _forks, threading.get_ident()
        self._places: Sequence[Claims] = ()

    def holds(self) -> bool:
        """Whether the claim has not ended, and no fork has left it behind in another process."""
        return self.active and (self._forks == _forks or self._thread == _survivor)

    def take(self, places: Sequence["Claims"]) -> "Claim | None":
        """Claim these places in order; return the claim that holds one of them already, or None."""
        self._places = places
        for place in places:
            # Of two at once, one is added first, and the other sees it.
            place.claims.append(self)
            if place.claims[0] is not self and (other := place._before(self)) is not None:
                return other
        return None

    def cross_out(self) -> None:
        """Remove the ended claim from its places; otherwise the next caller does it."""
        for place in self._places:
            try:
                place.claims.remove(self)
            except ValueError:
                continue  # somebody else has removed the ended claim, or it was never added here


class Claims:
    """The claims to one thing, in the order in which they came; the first that holds owns the thing.

    A copy or a pickle is empty: nobody uses a copy yet.

    Attributes
    ----------
    claims : list of Claim
        All claims that were added and not removed.

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
        """Return the claim that owns the thing, or None."""
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
        """Remove a claim from the list."""
        try:
            self.claims.remove(claim)
        except ValueError:
            return  # somebody else has removed the ended claim

    def __reduce__(self) -> tuple[type["Claims"], tuple[()]]:
        return Claims, ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Claims) and self.claims == other.claims

    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


def alone(
    where: str, what: Callable[[Claim], str], places: Sequence[Claims], work: Callable[[], T], doing: str
) -> T:
    """Return ``work()``, done while nobody else uses these things.

    Parameters
    ----------
    where : str
        Begins the error message, and tells others what is done.
    what : callable
        Takes a claim, and returns the name of the thing that it owns.
    places : sequence of Claims
        The claims to each thing, in an order that is the same for all callers.
    work : callable
        What is done.
    doing : str
        The word for what others are doing: "training".

    Raises
    ------
    RuntimeError
        If somebody else uses one of them, or this very thread in an outer call; then nothing is done.
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
        # This comes first, and not in a function: an interrupt may come when a function is called.
        claim.active = False
        claim.cross_out()
