"""Every kind of array that a user may hand over: the same numbers, in other memory or another object.

Each kind is a function of a plain array (and of a folder for files) that returns it in another form, or None
where there is no such form of it. `plain` says what a form stands for.
"""

import array
import itertools
import warnings
from typing import NamedTuple

import numpy as np
import pandas
import polars


class Exposed:
    """An object that is no array, and has only one of the ways to be read as one."""

    def __init__(self, values, way):
        self._values = values
        if way == "__array_interface__":
            self.__array_interface__ = values.__array_interface__


class WithArray(Exposed):
    def __array__(self, dtype=None, copy=None):
        return self._values if dtype is None else self._values.astype(dtype)


class WithDlpack(Exposed):
    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


class TensorLike(WithArray, WithDlpack):
    """As tensors are: with a shape, a length, indices, and a dtype that NumPy does not know."""

    dtype = "torch.float64"

    @property
    def shape(self):
        return self._values.shape

    def __len__(self):
        return len(self._values)

    def __getitem__(self, index):
        return TensorLike(self._values[index], "")


class Upside(np.ndarray):
    """A subclass whose rows and reductions are not those of its memory."""

    def __getitem__(self, index):
        raise TypeError("a subclass must be read as a plain array")

    sum = max = min = all = any = reshape = astype = __getitem__


def _between(values, axis):
    """Every other entry along an axis of a larger array."""
    return np.repeat(values, 2, axis=axis)[(slice(None),) * axis + (slice(None, None, 2),)]


def _reversed(values):
    return np.flip(np.ascontiguousarray(np.flip(values)))


def _transposed(values):
    return np.ascontiguousarray(values.T).T


def _column(values):
    """A column of a table, as ``table[:, 0]``."""
    return np.stack([values, values], axis=values.ndim)[..., 0]


def _field(values):
    table = np.zeros(values.shape, [("flag", "u1"), ("value", values.dtype), ("rest", "u2")])
    table["value"] = values
    return table["value"]


def _unaligned(values):
    memory = np.zeros(values.nbytes + 1, np.uint8)[1:]
    view = memory.view(values.dtype).reshape(values.shape)
    view[...] = values
    return view


def _read_only(values):
    view = values.copy()
    view.flags.writeable = False
    return view


def _swapped(values):
    return values.astype(values.dtype.newbyteorder())


def _repeated(values):
    """One row for all samples, which lies once in memory (stride 0)."""
    return np.broadcast_to(values[:1], values.shape)


def _repeated_columns(values):
    return np.broadcast_to(values[..., :1], values.shape) if values.ndim > 1 else None


def _windows(values):
    """Rows that overlap in memory."""
    if values.ndim < 2:
        return None
    flat = np.resize(values, values.size)
    strides = (values.itemsize, *np.ascontiguousarray(values).strides[1:])
    return np.lib.stride_tricks.as_strided(flat, values.shape, strides)


def _mapped(values, folder):
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    path.write_bytes(b"head" + values.tobytes())
    return np.memmap(path, values.dtype, "r", 4, values.shape)


def _record(values):
    return np.rec.fromarrays([values, values], names="value,other").value


def _matrix(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.asmatrix(values) if values.ndim == 2 else None


def _array_array(values):
    fits = values.ndim == 1 and values.dtype.char in array.typecodes
    return array.array(values.dtype.char, values.tolist()) if fits else None


def _frame(values, series, frame):
    kind = {1: series, 2: frame}.get(values.ndim)
    return None if kind is None or values.dtype.char == "e" else kind(values)


def _interface(values):
    return Exposed(values, "__array_interface__")


VIEWS = {
    "every other sample": lambda v: _between(v, 0),
    "every other of the last axis": lambda v: _between(v, v.ndim - 1),
    "reversed": _reversed,
    "samples reversed": lambda v: v[::-1].copy()[::-1],
    "transposed": _transposed,
    "Fortran": np.asfortranarray,
    "column": _column,
    "field": _field,
    "unaligned": _unaligned,
    "read-only": _read_only,
    "swapped": _swapped,
    "repeated": _repeated,
    "repeated columns": _repeated_columns,
    "overlapping": _windows,
    "every other, swapped": lambda v: _between(_swapped(v), 0),
    "column, reversed": lambda v: _column(v[::-1].copy())[::-1],
    "every other, unaligned": lambda v: _unaligned(np.repeat(v, 2, axis=0))[::2],
}
OBJECTS = {
    "list": lambda v: v.tolist(),
    "tuple": lambda v: tuple(v.tolist()),
    "list of arrays": list,
    "array.array": _array_array,
    "memoryview": lambda v: memoryview(np.ascontiguousarray(v)) if v.dtype.char != "e" else None,
    "memoryview of a view": lambda v: memoryview(_between(v, 0)) if v.dtype.char != "e" else None,
    "bytes": lambda v: bytearray(v.tobytes()) if v.dtype == np.uint8 and v.ndim == 1 else None,
    "__array__": lambda v: WithArray(v, ""),
    "__array__ of a view": lambda v: WithArray(_between(v, 0), ""),
    "__array_interface__": _interface,
    "__dlpack__": lambda v: WithDlpack(v.copy(), "") if v.dtype.kind != "b" else None,
    "tensor": lambda v: TensorLike(v.copy(), ""),
    "matrix": _matrix,
    "recarray": _record,
    "subclass": lambda v: v.copy().view(Upside),
    "pandas": lambda v: _frame(v, pandas.Series, pandas.DataFrame),
    "polars": lambda v: _frame(v, polars.Series, polars.DataFrame),
    "pandas, other index": lambda v: pandas.Series(v, index=range(len(v))[::-1]) if v.ndim == 1 else None,
}
DTYPES = [*"?bBhHiIlLqQefd"]


class Form(NamedTuple):
    """An array in one of the forms, and the plain array of its numbers."""

    name: str
    given: object
    plain: np.ndarray


def plain(given):
    """The numbers in memory of their own: contiguous, aligned, native, no subclass."""
    if isinstance(given, Exposed):
        given = given._values if hasattr(given, "_values") else given
    values = np.asarray(given)
    return np.ascontiguousarray(values, values.dtype.newbyteorder("=")).copy()


def forms(values, folder, part=(0, 1)):
    """Every form of an array of whole numbers, for every dtype that holds them.

    `part` is a number and how many there are: only each so many-th case, beginning there.
    """
    values = np.asarray(values)
    kinds = {**VIEWS, **OBJECTS, "mapped": lambda v: _mapped(v, folder)}
    for number, ((name, kind), dtype) in enumerate(itertools.product(kinds.items(), DTYPES)):
        with np.errstate(invalid="ignore"):
            typed = values.astype(dtype)
        if number % part[1] != part[0] or not np.array_equal(typed, values):
            continue
        given = kind(typed)
        if given is not None:
            yield Form(f"{name} of {np.dtype(dtype)}", given, plain(given))
