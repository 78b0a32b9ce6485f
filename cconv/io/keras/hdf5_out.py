"""Writing HDF5 files, with h5py."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

LONGEST_ATTRIBUTE = 64_000  # bytes of a list of strings: a group's attributes in HDF5 are limited to 64 kB


def written(arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return a file of arrays by path, with strings and lists of strings as attributes of groups.

    Raises
    ------
    ImportError
        When h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError("cconv.io.keras writes files with h5py: pip install 'cconv[keras]'") from error
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("earliest", "v110")) as file:
        for path, array in arrays.items():
            file.create_dataset(path, data=array)
        for path, texts in attributes.items():
            group = file.require_group(path) if path else file
            for name, value in texts.items():
                _put(group, name, value)
    return buffer.getvalue()


def _put(group: Any, name: str, value: Any) -> None:
    if isinstance(value, str):
        group.attrs[name] = value.encode()
        return
    data = [text.encode() for text in value]
    width = max(map(len, data), default=1) or 1
    most = max(LONGEST_ATTRIBUTE // width, 1)
    if len(data) <= most:
        group.attrs[name] = np.array(data, dtype=f"S{width}")
        return
    for number, start in enumerate(range(0, len(data), most)):
        group.attrs[f"{name}{number}"] = np.array(data[start : start + most], dtype=f"S{width}")
