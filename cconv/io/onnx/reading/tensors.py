"""Tensors of an ONNX file as arrays, also those stored in separate files."""

import math
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from cconv.files.reading import open_regular, read_exactly, short

MOST_AXES = 16
EXTERNAL = 1  # TensorProto.DataLocation
BFLOAT16 = 16
# By TensorProto.DataType: the dtype, and the field of the numbers if they are not raw bytes.
KINDS = {
    1: ("<f4", "float_data"),
    2: ("u1", "int32_data"),
    3: ("i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
    12: ("<u4", "uint64_data"),
    13: ("<u8", "uint64_data"),
    BFLOAT16: ("<u2", "int32_data"),
}
FLOATS = {1: "float32", 10: "float16", 11: "float64", BFLOAT16: "bfloat16"}


def array_of(tensor: Any, folder: str) -> np.ndarray:
    """Return the array of a TensorProto; bfloat16 becomes float32.

    Parameters
    ----------
    tensor : onnx.TensorProto
    folder : str
        The model's folder: separate files must be in it, or below it.

    Raises
    ------
    ValueError
        If shape, type and data do not fit together; this is checked before memory is allocated.
    """
    called = f"the tensor {short(repr(tensor.name))}"
    if tensor.data_type not in KINDS:
        raise ValueError(f"{called} is of the type {tensor.data_type}, which is not read")
    shape = tuple(tensor.dims)
    if len(shape) > MOST_AXES or any(extent < 0 for extent in shape):
        raise ValueError(f"{called} cannot have the shape {short(str(shape))}")
    dtype, field = np.dtype(KINDS[tensor.data_type][0]), KINDS[tensor.data_type][1]
    count = math.prod(shape)
    if tensor.HasField("segment"):
        raise ValueError(f"{called} is in segments, which are not read")
    if tensor.data_location == EXTERNAL:
        data: Any = _external(tensor, folder, count * dtype.itemsize, called)
    elif tensor.HasField("raw_data"):
        data = tensor.raw_data
    else:
        return _listed(getattr(tensor, field), tensor.data_type, dtype, shape, called)
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{called} of shape {shape} and {dtype} has {len(data)} bytes")
    return _as_floats(np.frombuffer(data, dtype), tensor.data_type).reshape(shape)


def _as_floats(numbers: np.ndarray, kind: int) -> np.ndarray:
    """Return bfloat16 (the upper half of float32) as float32; other types unchanged."""
    return (numbers.astype("<u4") << 16).view("<f4") if kind == BFLOAT16 else numbers


def _listed(listed: Any, kind: int, dtype: np.dtype, shape: tuple[int, ...], called: str) -> np.ndarray:
    """Return the numbers of a field with their type, or with a wider one."""
    if len(listed) != math.prod(shape):
        raise ValueError(f"{called} of shape {shape} has {len(listed)} numbers")
    if dtype.kind == "f" and dtype.itemsize > 2:
        return np.array(listed, dtype).reshape(shape)
    wide = np.array(listed, np.uint64 if dtype.kind == "u" and dtype.itemsize > 2 else np.int64)
    stored = np.dtype("<u2") if kind == 10 else dtype  # float16 is stored as bits
    numbers = wide.astype(stored)
    if not np.array_equal(numbers.astype(wide.dtype), wide):
        raise ValueError(f"{called} has numbers that are no {dtype}")
    return _as_floats(numbers.view("<f2") if kind == 10 else numbers, kind).reshape(shape)


def _external(tensor: Any, folder: str, count: int, called: str) -> bytes:
    """Return the bytes of a tensor that is stored in a separate file in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path = _inside(folder, location, called)
    begin, length = (_size(entries, key, called) for key in ("offset", "length"))
    if length not in (None, count):
        raise ValueError(
            f"{called} needs {count} bytes, and {short(repr(location))} is said to have {length}"
        )
    try:
        with open_regular(path) as file:
            room = os.fstat(file.fileno()).st_size - (begin or 0)
            if room < count:
                raise ValueError(
                    f"{called} needs {count} bytes, {short(repr(location))} has {max(room, 0)} there"
                )
            file.seek(begin or 0)
            return read_exactly(file, count)
    except OSError as error:
        raise ValueError(
            f"{called} lies in {short(repr(location))}, which cannot be read: {error.strerror}"
        ) from error


def _inside(folder: str, location: str, called: str) -> Path:
    """Return the path of a file named in a model; ValueError if it is outside the model's folder."""
    plain = PurePosixPath(location.replace("\\", "/"))
    outside = (
        not location
        or not location.isprintable()
        or plain.is_absolute()
        or PureWindowsPath(location).drive
        or ".." in plain.parts
    )
    root = Path(os.path.realpath(folder or "."))
    path = Path(os.path.realpath(root / plain)) if not outside else root
    if outside or not path.is_relative_to(root):
        raise ValueError(f"{called} lies in {short(repr(location))}, which is not in the model's folder")
    return path


def _size(entries: dict[str, str], key: str, called: str) -> int | None:
    text = entries.get(key)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(f"{called}: {key} must be a number of bytes, got {short(repr(text))}")
    return int(text)
