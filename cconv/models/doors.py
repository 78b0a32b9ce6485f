"""Which files of other tools a model is saved to and loaded from, by how their names end.

`models` knows nothing of these formats, and imports no room above it: a module of ``cconv.io``, and the
package that it needs, loads when a file of its kind is named.
"""

import importlib
import os
from typing import Any

from cconv.files.names import KERAS

# How the name of a file ends, in lower case, and the module that reads and writes it.
DOORS: dict[str, str] = dict.fromkeys(KERAS, "cconv.io.keras")


def door(path: Any) -> Any:
    """Return the module that reads and writes files with the name of this one, or None for cconv's own."""
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    ending = next((ending for ending in DOORS if str(name).lower().endswith(ending)), None)
    return None if ending is None else importlib.import_module(DOORS[ending])
