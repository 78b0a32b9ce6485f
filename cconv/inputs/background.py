"""A thread that does the next piece of work while the caller uses the last result."""

import contextvars
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from cconv import threads
from cconv.arguments.control import controlled


class Background:
    """One thread that does one piece of work ahead.

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
        self._begun = self._ended = 0  # numbers of pieces; equal if there is nothing to take
        self._given: tuple[Any, ...] = ()
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
        """Start ``work(*given)``; the previous result must have been taken or forgotten."""
        self._begun += 1
        self._given = given
        if self._runs():
            # The caller's context, such as np.errstate, holds for the work too.
            self._jobs.put((contextvars.copy_context(), given))

    def take(self) -> Any:
        """Wait for the result of the work that was begun, and return it."""
        if not self._runs():
            self._ended = self._begun
            return self._work(*self._given)
        result, error = self._results.get()
        self._ended += 1
        if error is not None:
            try:
                raise error
            finally:
                del error  # avoids a cycle: the error's traceback refers to this frame
        return result

    def forget(self) -> None:
        """Wait for the end of work whose result was not taken, if any, and drop the result."""
        if self._runs() and self._ended != self._begun:
            self._results.get()
        self._ended = self._begun

    def close(self) -> None:
        """End the thread after its current piece of work."""
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
