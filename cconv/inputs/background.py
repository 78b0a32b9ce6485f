"""A thread that does the next pieces of work while the caller uses what the last one gave."""

import contextvars
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from cconv import threads
from cconv.arguments.control import controlled


class Background:
    """One thread, which does what was begun piece by piece.

    Results are the same with and without the thread. Where no thread can be started, and in a process that
    was forked since `begin`, `take` does the work itself. Kernels that the work calls run serially, so
    that the thread needs no OpenMP team.

    Parameters
    ----------
    work : callable
        The function to call. `take` returns its result, which then belongs to the caller, or raises its
        error.

    Examples
    --------
    >>> squares = Background(lambda number: number**2)
    >>> squares.begin(3)
    >>> squares.take()
    9
    >>> squares.close()
    """

    def __init__(self, work: Callable[..., Any]) -> None:
        self._work = work
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._begun: deque[tuple[Any, ...]] = deque()  # what has not been taken
        self._process = os.getpid()
        self._thread: threading.Thread | None = threading.Thread(
            target=_serve, args=(work, self._jobs, self._results), name="cconv batches", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # the system has no more threads, or Python is shutting down
            self._thread = None

    def _runs(self) -> bool:
        return self._thread is not None and os.getpid() == self._process

    def begin(self, *given: Any) -> None:
        """Start on ``work(*given)``, as soon as what was begun before is done."""
        self._begun.append(given)
        if self._runs():
            # The caller's context, such as np.errstate, holds for the work too.
            self._jobs.put((contextvars.copy_context(), given))

    def take(self) -> Any:
        """Return the result of what was begun first of what is not taken, as soon as there is one."""
        given = self._begun.popleft()
        if not self._runs():
            return self._work(*given)
        result, error = self._results.get()
        if error is not None:
            try:
                raise error
            finally:
                del error  # avoids a cycle: the error's traceback refers to this frame
        return result

    def ready(self) -> bool:
        """Whether `take` need not wait."""
        return self._runs() and not self._results.empty()

    def forget(self) -> None:
        """Wait for the end of what was begun and not taken, if there is such, and drop its results."""
        for _ in range(len(self._begun) if self._runs() else 0):
            self._results.get()
        self._begun.clear()

    def close(self) -> None:
        """End the thread, after what was begun."""
        thread, running, self._thread = self._thread, self._runs(), None
        if thread is not None and running:
            self._jobs.put(None)
            thread.join()


@controlled  # a thread inherits its creator's floating-point state
def _serve(work: Callable[..., Any], jobs: Any, results: Any) -> None:
    """Do pieces of work until None comes."""
    with threads.limit(1):
        while (job := jobs.get()) is not None:
            context, given = job
            result = error = None
            try:
                result = context.run(work, *given)
            except BaseException as raised:
                error = raised
            results.put((result, error))
            del job, given, context, result, error  # an idle thread keeps no references
