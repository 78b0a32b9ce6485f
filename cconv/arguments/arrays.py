"""Turns what users call an array into a NumPy array: the only place that asks NumPy to read it."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cconv.arguments.numbers import LARGEST, is_int, positive_int

# If an object has one of these, NumPy finds its numbers by itself.
_READABLE = ("__array__", "__array_interface__", "__array_struct__", "__buffer__", "__len__")


def as_array(where: str, name: str, value: Any) -> np.ndarray:
    """Return value as a plain array (no subclass), of any dtype and in any memory layout.

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
        If it is an array with a mask, which would be lost, or cannot be read.
    ValueError
        If lists in it differ in length.

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
        got = _uneven(value) if "inhomogeneous" in str(error) else error
        raise ValueError(f"{where}: {name} must be an array, all rows of one shape, got {got}") from error
    except (TypeError, RuntimeError, BufferError) as error:
        raise TypeError(
            f"{where}: {name} must be an array that NumPy can read, got {type(value).__name__}: {error}"
        ) from error


def _rank(where: str, name: str, array: np.ndarray, ndim: int | None) -> np.ndarray:
    if array.ndim != ndim if ndim is not None else array.ndim < 1:
        expected = "at least 1 axis" if ndim is None else f"{ndim} axes"
        raise ValueError(f"{where}: {name} must have {expected}, got shape {array.shape}")
    return array


def any_array(where: str, name: str, value: Any, ndim: int) -> np.ndarray:
    """Return value as an array of this rank, of any dtype."""
    return _rank(where, name, as_array(where, name, value), ndim)


def arrays_of(where: str, weights: Any) -> list[np.ndarray]:
    """Return a sequence of arrays of real numbers as a list; TypeError if it is none."""
    if not isinstance(weights, Iterable) or isinstance(weights, str | bytes):
        raise TypeError(f"{where}: weights must be a list of arrays, got {weights!r:.80}")
    arrays = [as_array(where, f"weights[{i}]", value) for i, value in enumerate(weights)]
    for i, array in enumerate(arrays):
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{where}: weights[{i}] must hold real numbers, got dtype {array.dtype}")
    return arrays


def real_array(
    where: str, name: str, value: Any, ndim: int | None = 4, *, may_be_empty: bool = False
) -> np.ndarray:
    """Return value as an array of real numbers, in any memory layout.

    Parameters
    ----------
    value : array-like of float32, float64, float16, integers or bool
    ndim : int or None
        The rank that it must have; None means at least 1.
    may_be_empty : bool
        Whether the first axis, which counts samples, may have length 0.

    Raises
    ------
    TypeError
        If the dtype is another one: complex, extended precision, objects, strings, dates.
    ValueError
        If the rank is another one, or an axis is empty.
    """
    array = as_array(where, name, value)
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if not (kind in "biu" or (kind == "f" and itemsize <= 8)):
        raise TypeError(
            f"{where}: {name} must hold real numbers (float32 or float64; float16, ints and bools are "
            f"converted), got {_content(value, array)}"
        )
    _rank(where, name, array, ndim)
    if 0 in (array.shape[1:] if may_be_empty else array.shape):
        but = " but the first" if may_be_empty else ""
        raise ValueError(f"{where}: {name} must have no empty axis{but}, got shape {array.shape}")
    return array


def _uneven(value: Any) -> str:
    """Return in words what a list holds that no array can."""
    try:
        shapes = list(dict.fromkeys(np.shape(row) for row in value))
    except ValueError:  # rows that are uneven themselves
        shapes = []
    return (
        f"rows of the shapes {shapes[0]} and {shapes[1]}" if len(shapes) > 1 else "rows of different shapes"
    )


def _content(value: Any, array: np.ndarray) -> str:
    """Return in words what an array holds that is no real numbers."""
    if array.dtype.kind in "US" and array.size:
        return f"text such as {str(array.reshape(-1)[0])!r:.40}"
    if array.dtype == object and array.ndim == 0:
        return f"one {type(value).__name__}"
    return f"dtype {array.dtype}"


def common_dtype(*arrays: np.ndarray | None) -> np.dtype:
    """Return the dtype to compute in: float64 if any of the arrays is float64, else float32."""
    wide = any(
        array is not None and array.dtype.kind == "f" and array.dtype.itemsize == 8 for array in arrays
    )
    return np.dtype(np.float64 if wide else np.float32)


def ready(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return array as kernels want it: of this dtype in native order, C-contiguous, aligned.

    If it is so already, the array itself is returned, not another view of it.
    """
    if array.dtype == dtype and array.dtype.isnative and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, dtype.newbyteorder("="), ["C", "A"])


def readable(array: np.ndarray) -> np.ndarray:
    """Return a view of the array that cannot be written to, to give to code that is not cconv's."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_activations(
    where: str, name: str, x: Any, ndim: int | None = 4, *, may_be_empty: bool = False
) -> np.ndarray:
    """Return x as a float32 or float64 array that kernels accept.

    float32 and float64 stay as they are; float16, integers and bools become float32. Any memory
    layout and byte order is accepted; if nothing has to change, the array itself is returned.

    Parameters
    ----------
    x : array-like
    ndim, may_be_empty
        As for `real_array`.

    Returns
    -------
    ndarray
        C-contiguous, aligned, in native byte order.

    Raises
    ------
    TypeError
        If the dtype is none of these.
    ValueError
        If the rank is another one, or an axis is empty.

    Examples
    --------
    >>> as_activations("f", "x", [[1, 2]], ndim=2)
    array([[1., 2.]], dtype=float32)
    """
    array = real_array(where, name, x, ndim, may_be_empty=may_be_empty)
    return ready(array, common_dtype(array))


def as_shape(where: str, name: str, shape: Any, length: int = 4) -> tuple[int, ...]:
    """Return shape as a tuple of `length` positive ints; the first, which counts samples, may be 0."""
    if isinstance(shape, str) or not isinstance(shape, Sequence | np.ndarray) or len(shape) != length:
        kind = ValueError if isinstance(shape, tuple | list | np.ndarray) else TypeError
        raise kind(f"{where}: {name} must be a tuple of {length} positive ints, got {shape!r}")
    samples = [0] if is_int(shape[0]) and shape[0] == 0 else [positive_int(where, f"{name}[0]", shape[0])]
    rest = (positive_int(where, f"{name}[{axis}]", extent) for axis, extent in enumerate(shape[1:], 1))
    return (*samples, *rest)


def same_shape(where: str, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse an array whose shape is not the one that the other arguments require; ValueError."""
    if array.shape != shape:
        raise ValueError(f"{where}: {name} must have shape {shape}, got {array.shape}")


def addressable(where: str, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse sizes whose byte offsets would overflow an index."""
    nbytes = dtype.itemsize
    for extent in shape:
        nbytes *= extent
    if nbytes > LARGEST:
        raise MemoryError(f"{where}: {name} must be addressable, got {shape} elements of {dtype}")


ALIGNMENT = 64  # bytes: one cache line, one AVX-512 vector


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an uninitialised C-contiguous array that begins on a cache line.

    MemoryError if it cannot be allocated.
    """
    dtype = np.dtype(dtype)
    count = 1
    for extent in shape:
        count *= int(extent)
    nbytes = count * dtype.itemsize
    try:
        raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    except (ValueError, OverflowError) as error:
        raise MemoryError(f"cannot allocate an array of shape {shape} and dtype {dtype}") from error
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes].view(dtype).reshape(shape)
