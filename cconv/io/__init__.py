"""Models from elsewhere, and models for elsewhere: files of ONNX, Keras and PyTorch.

Each module translates into layers and weights and back, and does nothing else: files are data, and no
code that stands in one is ever run. A module, and the package that it needs, loads when it is first used.
"""

import importlib
from typing import Any

__all__ = ["onnx"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
