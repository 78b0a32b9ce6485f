"""The rows of a data set: arrays of real numbers, in memory or where they are stored."""

from typing import Any, TypeVar

import numpy as np

from cconv import arguments
from cconv.inputs.kinds import STORED, kind_of
from cconv.inputs.stored import Stored, stored_array

Rows = np.ndarray | Stored
T = TypeVar("T", bound=Rows)


def rows_of(where: str, name: str, given: Any, may_be_empty: bool = False) -> Rows:
    """Return the user's data as an array of real numbers; an array that is not in memory is not read."""
    if kind_of(given) == STORED:
        return stored_array(where, name, given, may_be_empty)
    return arguments.real_array(where, name, given, None, may_be_empty=may_be_empty)


def same_length(where: str, name: str, array: T, n: int) -> T:
    """Return rows if there is one for each sample; ValueError otherwise."""
    if len(array) != n:
        raise ValueError(f"{where}: {name} must have one row for each of the {n} samples, got {len(array)}")
    return array
