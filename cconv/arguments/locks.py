"""A lock that no fork leaves locked."""

import os
import threading
import weakref
from types import TracebackType

_all: "weakref.WeakSet[Lock]" = weakref.WeakSet()


class Lock:
    """A lock for ``with``; the thread that holds it may enter again.

    In a child of a fork it is free if a thread held it that the child does not have.

    Examples
    --------
    >>> lock = Lock()
    >>> with lock, lock:
    ...     print("inside")
    inside
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Forget a holder that is not this thread."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


def _after_fork() -> None:
    for lock in list(_all):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
