"""Arguments that are paths of files or folders."""

import os
from typing import Any


def as_path(where: str, name: str, value: Any) -> str:
    """Return the path as text.

    Raises
    ------
    TypeError
        If it is neither text nor an object such as `pathlib.Path`.
    ValueError
        If it is empty.

    Examples
    --------
    >>> from pathlib import PurePosixPath
    >>> as_path("Model.save", "path", PurePosixPath("models", "a.safetensors"))
    'models/a.safetensors'
    """
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(f"{where}: {name} must be text or a pathlib.Path, got {value!r:.80}")
    if not path:
        raise ValueError(f"{where}: {name} must not be an empty path")
    return path
