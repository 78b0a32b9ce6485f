"""Holds Ctrl-C back until work that must not be interrupted is done."""

# `_signal` lacks the enums of `signal`, which take longer than a step of a small network.
import _signal  # type: ignore[import-not-found]
import threading
from types import FrameType
from typing import Self


class Interrupts:
    """Hears Ctrl-C inside a ``with`` block, and delays its KeyboardInterrupt while that is held back.

    A second Ctrl-C never waits. This works only in the thread that hears signals, and only if Ctrl-C means
    Python's KeyboardInterrupt: a handler of the user's own is left alone, and so is that of an outer block.

    Attributes
    ----------
    came : bool
        Whether a KeyboardInterrupt waits.
    held : int
        How many callers hold it back: each adds 1, and later calls `release`.

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
            try:
                _signal.signal(_signal.SIGINT, self._hear)
                self._installed = True
            except BaseException:  # what another handler of signals raises between the two
                self._uninstall()
                raise
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
            # If Ctrl-C comes between two lines of `__enter__` or `__exit__`, nobody else would uninstall it.
            self._uninstall()
            _signal.default_int_handler(number, frame)
        self.came = True

    def _uninstall(self) -> None:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        self._installed = False

    def release(self) -> None:
        """Stop holding back; raise the KeyboardInterrupt if one waits and nobody else holds it back."""
        self.held -= 1
        if self.came and not self.held:
            self.raise_it()

    def raise_it(self) -> None:
        """Raise the KeyboardInterrupt that waits, if one does."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt
