"""Arithmetic as in a fresh process, whatever the caller or another library has set in the processor.

A rounding mode, zeros in place of denormal numbers, or exceptions that end the process hold for all
arithmetic of a thread, also NumPy's and Python's. They would change losses, learning rates and weights. The
kernels set the control word themselves, in each of their threads (`simd/system/control.h`). `controlled`
makes a whole function safe.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from cconv.arguments import _control

F = TypeVar("F", bound=Callable[..., Any])


def controlled(function: F) -> F:
    """Let a function compute in the state of a fresh process; when it ends, the caller's state is back.

    This is for what users call: everything that is called inside is safe then. The state belongs to the
    calling thread; a function that hands work to another thread does not protect that thread.

    Examples
    --------
    >>> @controlled
    ... def third():
    ...     return 1 / 3
    >>> third()
    0.3333333333333333
    """
    return cast(F, functools.wraps(function)(_control.controlled(function)))
