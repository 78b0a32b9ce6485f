"""The state of objects, taken apart into plain JSON and arrays, and put together again with the same bits."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

FEW = 8  # a list of more numbers becomes an array of the file
WHOLE = 2**63


class Taken:
    """The arrays of values that were taken apart, by name.

    Examples
    --------
    >>> taken = Taken("state/")
    >>> plain = taken.apart({"best": float("inf"), "weights": [np.ones(2)]})
    >>> sorted(taken.arrays), together(plain, taken.arrays)
    (['state/0'], {'best': inf, 'weights': [array([1., 1.])]})
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.arrays: dict[str, np.ndarray] = {}

    def apart(self, value: Any, where: str = "the state") -> Any:
        """Return a value as plain JSON that names its arrays.

        Parameters
        ----------
        value : None, bool, int, float, str, array, NumPy scalar, list, tuple or dict of str
            May be nested.
        where : str
            Begins the error message.

        Raises
        ------
        TypeError
            If the value holds anything else; the message names the place.
        """
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.ndarray | np.generic) and not isinstance(value, float):
            if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
                raise TypeError(f"{where} must hold real numbers, got dtype {value.dtype}")
            kind = "array" if isinstance(value, np.ndarray) else "scalar"
            return {kind: self._named(np.array(value))}
        if isinstance(value, int):
            return int(value) if -WHOLE <= value < WHOLE else {"int": str(int(value))}
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, list | tuple):
            return self._list(value, where)
        if isinstance(value, Mapping):
            wrong = [key for key in value if not isinstance(key, str)]
            if wrong:
                raise TypeError(f"{where} must have keys that are str, got {wrong[0]!r}")
            return {"dict": {key: self.apart(entry, f"{where}[{key!r}]") for key, entry in value.items()}}
        raise TypeError(
            f"{where} must be made of numbers, strings, arrays, lists and dicts, got {type(value).__name__}"
        )

    def _list(self, value: Any, where: str) -> Any:
        if isinstance(value, list) and len(value) > FEW:
            for kind, dtype in ((float, np.float64), (int, np.int64)):
                if all(type(each) is kind for each in value) and (
                    kind is float or all(-WHOLE <= each < WHOLE for each in value)
                ):
                    return {"numbers": self._named(np.array(value, dtype))}
        entries = [self.apart(each, f"{where}[{number}]") for number, each in enumerate(value)]
        return {"tuple": entries} if isinstance(value, tuple) else entries

    def _named(self, array: np.ndarray) -> str:
        name = f"{self._prefix}{len(self.arrays)}"
        self.arrays[name] = array
        return name


def together(plain: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the value that `Taken.apart` took apart.

    Raises
    ------
    LookupError, TypeError, ValueError
        If `plain` was not made by `Taken.apart`.
    """
    if isinstance(plain, list):
        return [together(each, arrays) for each in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, value),) = plain.items()
    if kind == "dict":
        return {key: together(entry, arrays) for key, entry in value.items()}
    if kind == "tuple":
        return tuple([together(each, arrays) for each in value])
    if kind == "array":
        return arrays[value].copy()
    if kind == "scalar":
        return arrays[value][()]
    if kind == "numbers":
        return arrays[value].tolist()
    if kind in ("int", "float"):
        return int(value) if kind == "int" else float(value)
    raise ValueError(f"unknown kind {kind!r}")
