"""Arithmetic as in a fresh process, whatever the caller or another library has set in the processor.

A rounding mode, zeros in place of denormal numbers, or exceptions that end the process hold for all of a
thread's arithmetic, NumPy's and Python's too, and would change losses, learning rates and weights. The
kernels see to it themselves, in each of their threads (`simd/system/control.h`); what is `controlled`
is safe as a whole.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from cconv.arguments import _control

F = TypeVar("F", bound=Callable[..., Any])


def controlled(function: F) -> F:
    """Let a function compute in the state of a fresh process; when it ends the caller has its own again.

    That is for what users call: all that is called inside is safe then. The state is the calling
    thread's, so a function that hands work to another thread does not protect it.

    Examples
    --------
    >>> @controlled
    ... def third():
    ...     return 1 / 3
    >>> third()
    0.3333333333333333
    """
    return cast(F, functools.wraps(function)(_control.controlled(function)))
