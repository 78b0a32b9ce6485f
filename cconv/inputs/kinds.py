"""The kinds of a user's data, and the form of a batch."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

ARRAY, STORED, NUMBERED, STREAM = "array", "stored", "numbered", "stream"

# An object with any of these attributes has its numbers in memory, and NumPy can read it.
_IN_MEMORY = ("__array_interface__", "__array_struct__", "__dlpack__", "iloc")
# Types that Python can iterate over, but which are arrays for NumPy, or are refused.
_LISTS = (Sequence, dict, set, frozenset, np.ndarray, np.generic)
_ENDLESS = (itertools.cycle, itertools.count)


def kind_of(x: Any) -> str:
    """Return what kind of data `x` is.

    Returns
    -------
    str
        STORED: an array that is read slice by slice (h5py, Zarr, Dask): it has a ``shape``, NumPy's ``dtype``
        and ``__getitem__``, and its numbers are not in memory. NUMBERED: ``x[i]`` is batch i. STREAM:
        iterating over it gives batches. ARRAY: all others, for NumPy to read.

    Examples
    --------
    >>> kind_of(np.ones(3)), kind_of([[1, 2]]), kind_of(iter([]))
    ('array', 'array', 'stream')
    """
    if isinstance(x, _LISTS) and not hasattr(x, "on_epoch_end"):
        return ARRAY
    if any(hasattr(x, way) for way in _IN_MEMORY) or _is_buffer(x):
        return ARRAY
    if hasattr(x, "__getitem__"):
        if isinstance(getattr(x, "dtype", None), np.dtype) and isinstance(getattr(x, "shape", None), tuple):
            return STORED if x.shape else ARRAY
        if not hasattr(x, "__array__") and (hasattr(x, "num_batches") or hasattr(x, "__len__")):
            return NUMBERED
    if hasattr(x, "__array__") or not (hasattr(x, "__iter__") or hasattr(x, "__next__")):
        return ARRAY
    return STREAM


def _is_buffer(x: Any) -> bool:
    """Whether an object has the buffer protocol, like ``array.array``."""
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def is_endless(x: Any) -> bool:
    """Whether iterating over `x` is known never to end; for a generator this is unknown."""
    if isinstance(x, _ENDLESS):
        return True
    if isinstance(x, itertools.repeat):
        try:
            x.__length_hint__()
        except TypeError:
            return True
    cardinality = getattr(x, "cardinality", None)  # of a tf.data.Dataset
    return callable(cardinality) and int(cardinality()) == -1


class Item(NamedTuple):
    """A batch as a user's object gave it."""

    x: Any
    y: Any = None
    weight: Any = None


def item_of(where: str, number: int, given: Any, labelled: bool) -> Item:
    """Return a batch's parts.

    Parameters
    ----------
    where : str
        Prefix of the error message.
    number : int
        Number of the batch.
    given : (x, y), (x, y, sample_weight), or x if targets are not required
        Tuples and, as in Keras, lists; each part an array, or several in a tuple, list or dict.
    labelled : bool
        Whether targets are required.
    """
    parts = tuple(given) if isinstance(given, tuple | list) else (given,)
    if (labelled and isinstance(given, dict)) or not (2 if labelled else 1) <= len(parts) <= 3:
        got = (
            f"{type(given).__name__} of {len(parts)}"
            if isinstance(given, tuple | list)
            else type(given).__name__
        )
        expected = "(x, y) or (x, y, sample_weight)" if labelled else "x, (x, y) or (x, y, sample_weight)"
        raise TypeError(f"{where}: batch {number} must be {expected}, got {got}")
    return Item(*(_readable(part) for part in parts))


def _readable(value: Any) -> Any:
    """Return tensors that NumPy reads only through their `numpy` method as arrays."""
    if isinstance(value, dict):
        return {name: _readable(part) for name, part in value.items()}
    if isinstance(value, tuple | list) and any(hasattr(part, "numpy") for part in value):
        return [_readable(part) for part in value]
    if hasattr(value, "numpy") and not hasattr(value, "__array__") and not isinstance(value, np.ndarray):
        return value.numpy()
    return value
