"""Ctrl-C that waits until what must be done as a whole is done."""

import signal
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

    Examples
    --------
    >>> with Interrupts() as interrupts:
    ...     interrupts.hold()
    ...     interrupts.release()
    """

    def __init__(self) -> None:
        self.came = False
        self._held = 0
        self._installed = False

    def __enter__(self) -> Self:
        if (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
            and threading.current_thread() is threading.main_thread()
        ):
            self._installed = True
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            self._installed = False
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._held = 0
        self.raise_it()

    def __reduce__(self) -> tuple[type["Interrupts"], tuple[()]]:
        return Interrupts, ()  # a copy has heard nothing

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.came or not self._held:
            self.came = False
            signal.default_int_handler(number, frame)
        self.came = True

    def hold(self) -> None:
        """Let Ctrl-C wait for `release`."""
        self._held += 1

    def release(self) -> None:
        """Hold back no more; raise the KeyboardInterrupt that waits."""
        self._held = max(self._held - 1, 0)
        if self.came and not self._held:
            self.raise_it()

    def raise_it(self) -> None:
        """Raise the KeyboardInterrupt that waits, if one does."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt
