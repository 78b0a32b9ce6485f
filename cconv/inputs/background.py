"""A thread that does the next piece of work while the caller uses what the last one gave."""

import contextvars
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from cconv import threads
from cconv.arguments.control import controlled


class Background:
    """One thread, one piece of work ahead.

    The work is the same with and without the thread, which is why the caller may take what was never begun
    in one: where no thread can be had, and in a child that was forked meanwhile, `take` does the work itself.
    The kernels that the work calls run serially, so that the thread has no team of OpenMP's.

    Parameters
    ----------
    work : callable
        What is done. Its result is the caller's as soon as it is taken; what it raises is raised by `take`.

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
        self._begun = self._ended = 0  # how often; they differ while there is something to take
        self._given: tuple[Any, ...] = ()
        self._process = os.getpid()
        self._thread: threading.Thread | None = threading.Thread(
            target=_serve, args=(work, self._jobs, self._results), name="cconv batches", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # the system has no more threads, or Python is about to end
            self._thread = None

    def _runs(self) -> bool:
        return self._thread is not None and os.getpid() == self._process

    def begin(self, *given: Any) -> None:
        """Start on ``work(*given)``; what was begun before has been taken or forgotten."""
        self._begun += 1
        self._given = given
        if self._runs():
            # What the caller has set for itself, such as np.errstate, holds for the work too.
            self._jobs.put((contextvars.copy_context(), given))

    def take(self) -> Any:
        """Return the result of what was begun, as soon as there is one."""
        if not self._runs():
            self._ended = self._begun
            return self._work(*self._given)
        result, error = self._results.get()
        self._ended += 1
        if error is not None:
            try:
                raise error
            finally:
                del error  # else its traceback would hold this frame, which holds the error
        return result

    def forget(self) -> None:
        """Wait for the end of what was begun and not taken, if there is such, and drop its result."""
        if self._runs() and self._ended != self._begun:
            self._results.get()
        self._ended = self._begun

    def close(self) -> None:
        """End the thread, after the piece of work it is at."""
        thread, running, self._thread = self._thread, self._runs(), None
        if thread is not None and running:
            self._jobs.put(None)
            thread.join()


@controlled  # the thread has the state of the one that made it
def _serve(work: Callable[..., Any], jobs: Any, results: Any) -> None:
    """Do one piece of work after the other."""
    with threads.limit(1):
        while (job := jobs.get()) is not None:
            context, given = job
            result = error = None
            try:
                result = context.run(work, *given)
            except BaseException as raised:
                error = raised
            results.put((result, error))
            del job, given, context, result, error  # nothing is held while there is nothing to do
