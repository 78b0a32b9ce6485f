"""Models from and for other tools: files of ONNX, Keras and PyTorch.

Each module only translates files into layers and weights, and back. Files are data: code in a file is never
run. A module, and the package that it needs, is imported when it is first used.
"""

import importlib
from typing import Any

__all__ = ["keras", "onnx", "torch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
