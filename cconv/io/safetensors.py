"""One file for arrays and a JSON document: the safetensors format, which holds no code.

The format is described at https://huggingface.co/docs/safetensors. This module knows nothing of
models: `models.py` says what goes into the file.
"""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

# One key alone: the format keeps its metadata unordered, and with one the same model is the same bytes.
KEY = "cconv"


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], document: Any) -> None:
    """Write arrays and a JSON document; at every moment the file is the old one or the new one.

    Parameters
    ----------
    path : path
        Of the file; its folder must exist.
    arrays : mapping of str to ndarray
        Of booleans, integers or floats.
    document : JSON value
        Without NaN and infinities.

    Raises
    ------
    OSError
        When the file cannot be written; what was at `path` is untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.safetensors", {"w": np.ones(2)}, {"epochs": 3})
    ...     read(f"{folder}/a.safetensors")
    ({'w': array([1., 1.])}, {'epochs': 3})
    """
    from safetensors.numpy import save_file

    path = Path(path)
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    # safetensors writes the memory as it lies, so it must lie in C order and native bytes.
    plain = {
        name: np.asarray(array, array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()
    }
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            save_file(plain, temporary, metadata={KEY: text})
        except Exception as error:
            raise OSError(f"cannot write {path}: {error}") from error
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], Any]:
    """Return the arrays and the JSON document of a file that `write` wrote.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is not a safetensors file, or not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
    if KEY not in metadata:
        raise ValueError(f"{path} was not written by cconv: it has no {KEY!r} in its metadata")
    try:
        return arrays, json.loads(metadata[KEY])
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: its description is not JSON: {error}") from error
