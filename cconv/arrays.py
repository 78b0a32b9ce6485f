"""What users call an array, as a NumPy array: the one place that asks NumPy to read it."""

from typing import Any

import numpy as np

# By any of these NumPy finds the numbers in an object itself.
_READABLE = ("__array__", "__array_interface__", "__array_struct__", "__buffer__", "__len__")


def as_array(where: str, name: str, value: Any) -> np.ndarray:
    """Return value as a plain array: of any dtype, in whatever memory it lies, and no subclass.

    Parameters
    ----------
    where, name : str
        Begin the error message.
    value : array-like
        An array or a view of one, lists, a buffer, a frame or a series, or an object that has
        ``__array__``, ``__array_interface__`` or ``__dlpack__``.

    Raises
    ------
    TypeError
        For an array with a mask, which would be lost, and for what cannot be read.
    ValueError
        For lists of which some are longer than others.

    Examples
    --------
    >>> as_array("f", "x", memoryview(b"ab"))
    array([97, 98], dtype=uint8)
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: {name} must be an array without a mask, got a MaskedArray")
    try:
        if hasattr(value, "__dlpack__") and not any(hasattr(value, way) for way in _READABLE):
            return np.from_dlpack(value)
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where}: {name} must be an array, all rows of one length, got {error}") from error
    except (TypeError, RuntimeError, BufferError) as error:
        raise TypeError(
            f"{where}: {name} must be an array that NumPy can read, got {type(value).__name__}: {error}"
        ) from error
