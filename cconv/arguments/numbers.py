"""Argument checks of single values: numbers, flags and words."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax", "log_softmax")
DATA_FORMATS = ("channels_last", "channels_first")


def flag(where: str, name: str, value: Any) -> bool:
    """Return value as a bool; anything but True and False is refused."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{where}: {name} must be True or False, got {value!r}")
    return bool(value)


def _one_of(where: str, name: str, value: Any, known: tuple[str, ...], also: str = "") -> str:
    expected = f"{where}: {name} must be {also}one of {', '.join(map(repr, known))}, got {value!r}"
    if not isinstance(value, str):
        raise TypeError(expected)
    if value not in known:
        raise ValueError(expected)
    return value


def data_format(where: str, value: Any) -> str:
    """Return the name of a layout of activations."""
    return _one_of(where, "data_format", value, DATA_FORMATS)


def activation(where: str, value: Any) -> str | None:
    """Return the name of an activation, or None for the linear one."""
    if value is None:
        return None
    name = _one_of(where, "activation", value, ACTIVATIONS, also="None or ")
    return None if name == "linear" else name


# No extent of an array, and no product of extents, may be larger: it is the largest index.
LARGEST = 2**63 - 1


def is_int(value: Any) -> bool:
    """Whether value is an integer of Python or NumPy; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def positive_int(where: str, name: str, value: Any) -> int:
    """Return value as an int of at least 1; `where` and `name` begin the error message."""
    if not is_int(value):
        raise TypeError(f"{where}: {name} must be a positive int, got {value!r}")
    if not 1 <= value <= LARGEST:
        below = " below 2**63" if value > LARGEST else ""
        raise ValueError(f"{where}: {name} must be a positive int{below}, got {value!r}")
    return int(value)


def pair(where: str, name: str, value: Any) -> tuple[int, int]:
    """Return a size as a pair of positive ints: 3 means (3, 3)."""
    expected = f"{where}: {name} must be a positive int or a pair of them, got {value!r}"
    if is_int(value):
        value = (value, value)
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(map(is_int, value)):
        raise TypeError(expected)
    if len(value) != 2 or not all(1 <= v <= LARGEST for v in value):
        raise ValueError(expected)
    return int(value[0]), int(value[1])


def finite(where: str, name: str, value: Any, least: float = -math.inf) -> float:
    """Return value as a finite float of at least `least`; `where` and `name` begin the error message."""
    limit = "" if least == -math.inf else f" of at least {least:g}"
    expected = f"{where}: {name} must be a finite number{limit}, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(expected)
    try:
        number = float(value)
    except OverflowError:  # an int that is too large for a float
        number = math.inf
    if not math.isfinite(number) or number < least:
        raise ValueError(expected)
    return number


def at_least_zero(where: str, name: str, value: Any) -> float:
    """Return value as a finite float of at least 0."""
    return finite(where, name, value, least=0.0)


def fraction(where: str, name: str, value: Any) -> float:
    """Return value as a float in [0, 1)."""
    number = finite(where, name, value)
    if not 0.0 <= number < 1.0:
        raise ValueError(f"{where}: {name} must be in [0, 1), got {value!r}")
    return number


def one_of(where: str, name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return value, which must be one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{where}: {name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
