"""Which files of other tools a model is saved to and loaded from, by how their names end.

`models` knows nothing of these formats, and imports no room above it: a module of ``cconv.io``, and the
package that it needs, loads when a file of its kind is named.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from cconv.files.names import KERAS

# How the name of a file ends, in lower case, and the module that reads and writes all of a model.
DOORS = dict.fromkeys(KERAS, "cconv.io.keras")
# The same for files that hold what a model predicts, and nothing of its training.
EXPORTS = {".onnx": "cconv.io.onnx"}


def door(path: Any, doors: Mapping[str, str] = DOORS) -> Any:
    """Return the module that reads and writes files with the name of this one, or None for cconv's own."""
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    ending = next((ending for ending in doors if str(name).lower().endswith(ending)), None)
    return None if ending is None else importlib.import_module(doors[ending])
