"""JSON as cconv's files use it: strict, of bounded depth, without anything that readers treat differently."""

import json
import math
from typing import Any, NoReturn

DEEPEST = 32  # nested objects and lists
LONGEST_LIST = 10_000
LARGEST_INT, SMALLEST_INT = 2**64 - 1, -(2**63)
DIGITS = 400  # most digits of a number: more are never written


def dumps(value: Any) -> str:
    """Return the text of plain data; ValueError or TypeError for data that `loads` would not return."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    _check(value)
    return text


def loads(text: str) -> Any:
    """Return the data of a JSON text.

    ValueError for anything that is not JSON, NaN and infinities (also from a literal such as 1e999),
    numbers of more than 64 bits, duplicate keys, characters that no text has, and too much nesting.

    Examples
    --------
    >>> loads('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError:
        raise ValueError(_too_deep()) from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} comes twice")
        found[key] = value
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _float(text: str) -> float:
    value = float(text) if len(text) <= DIGITS else math.inf
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is larger than a number may be")
    return value


def _int(text: str) -> int:
    # Check the length first: Python is slow for thousands of digits.
    value = int(text) if len(text) <= DIGITS else LARGEST_INT + 1
    if not SMALLEST_INT <= value <= LARGEST_INT:
        raise ValueError(f"{text[:20]} is larger than a whole number may be")
    return value


def _check(value: Any) -> None:
    """Refuse data that is too deep or too long, and text that no file can hold. Without recursion."""
    level, depth = [value], 0
    while level:
        if depth > DEEPEST:
            raise ValueError(_too_deep())
        depth, below = depth + 1, []
        for entry in level:
            if isinstance(entry, dict):
                below += [*entry.keys(), *entry.values()]
            elif isinstance(entry, list | tuple):
                if len(entry) > LONGEST_LIST:
                    raise ValueError(f"a list must have at most {LONGEST_LIST} entries, got {len(entry)}")
                below += entry
            elif isinstance(entry, str):
                _check_text(entry)
            elif type(entry) is int and not SMALLEST_INT <= entry <= LARGEST_INT:
                raise ValueError("a whole number must have at most 64 bits")
        level = below


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text[:80]!a} is no text: half a surrogate pair") from error


def _too_deep() -> str:
    return f"objects and lists must be nested at most {DEEPEST} deep"
