"""Ctrl-C that waits until what must be done as a whole is done."""

# Without the enums of `signal`, which take longer than a step of a small network.
import _signal  # type: ignore[import-not-found]
import threading
from types import FrameType
from typing import Self


class Interrupts:
    """Hears Ctrl-C inside a ``with`` block, and waits with its KeyboardInterrupt where that is held back.

    A second Ctrl-C never waits. It is for the thread that hears signals, and only where Ctrl-C means Python's
    KeyboardInterrupt: a handler of the user's own is left alone, and so is that of a block around this one.

    Attributes
    ----------
    came : bool
        Whether there is one that waits.
    held : int
        By how many it is held back: each adds 1, and calls `release`.

    Examples
    --------
    >>> with Interrupts() as interrupts:
    ...     interrupts.held += 1
    ...     interrupts.release()
    """

    def __init__(self) -> None:
        self.came = False
        self.held = 0
        self._installed = False

    def __enter__(self) -> Self:
        if (
            _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
            and threading.get_ident() == threading.main_thread().ident
        ):
            _signal.signal(_signal.SIGINT, self._hear)
            self._installed = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            self._uninstall()
        self.held = 0
        self.raise_it()

    def __reduce__(self) -> tuple[type["Interrupts"], tuple[()]]:
        return Interrupts, ()  # a copy has heard nothing

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.came or not self.held:
            self.came = False
            # Where Ctrl-C comes between two lines of `__enter__` or `__exit__`, nobody else would do it.
            self._uninstall()
            _signal.default_int_handler(number, frame)
        self.came = True

    def _uninstall(self) -> None:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        self._installed = False

    def release(self) -> None:
        """Hold back no more; raise the KeyboardInterrupt that waits."""
        self.held -= 1
        if self.came and not self.held:
            self.raise_it()

    def raise_it(self) -> None:
        """Raise the KeyboardInterrupt that waits, if one does."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt
