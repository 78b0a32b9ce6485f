"""The modules that save and load other tools' files, chosen by the end of the file's name.

`models` does not know these formats, and imports nothing from the rooms above it: a module of ``cconv.io``,
and the package that it needs, is imported when a file of its kind is named.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from cconv.files.names import KERAS

# Endings of file names, in lower case, and the module that reads and writes whole models.
DOORS = dict.fromkeys(KERAS, "cconv.io.keras")
# The same for files that hold the model for prediction only, without its training.
EXPORTS = {".onnx": "cconv.io.onnx"}


def door(path: str | os.PathLike[str], doors: Mapping[str, str] = DOORS) -> Any:
    """Return the module for files with this name's ending, or None for cconv's own format."""
    name = os.fspath(path).lower()
    ending = next((ending for ending in doors if name.endswith(ending)), None)
    return None if ending is None else importlib.import_module(doors[ending])
