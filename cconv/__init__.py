"""cconv: convolutional networks for CPUs, in Python, with Cython kernels.

Layers, `cconv.functional`, `cconv.reference` and the optimizers load with the package; models,
data sets, pictures and the scikit-learn estimators when they are first used.

Examples
--------
>>> import numpy as np
>>> import cconv
>>> conv = cconv.Conv2D(30, 5)
>>> conv.forward(np.zeros((2, 28, 28, 1), np.float32)).shape
(2, 24, 24, 30)
"""

import importlib
from typing import TYPE_CHECKING, Any

from cconv import functional, layers
from cconv._version import __version__
from cconv.config import show_config
from cconv.layers import (
    Activation,
    AveragePool2D,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    LeakyReLU,
    MaxPooling,
    MaxPooling2D,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    ReLU,
    Rescaling,
    Reshape,
    Softmax,
    ZeroPadding2D,
)
from cconv.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from cconv.estimators import Scratch2dCNNClassifier
    from cconv.models import Sequential, load_model

# Loaded on first use: name -> the module that has it.
_LAZY = {
    "Scratch2dCNNClassifier": "cconv.estimators",
    "Sequential": "cconv.models",
    "load_model": "cconv.models",
}
_MODULES = (
    "applications",
    "callbacks",
    "datasets",
    "initializers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "plotting",
    "reference",
    "regularizers",
    "schedules",
    "utils",
)

__all__ = [
    "Activation",
    "AveragePool2D",
    "AveragePooling2D",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "Input",
    "LeakyReLU",
    "MaxPooling",
    "MaxPooling2D",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Scratch2dCNNClassifier",
    "Sequential",
    "Softmax",
    "ZeroPadding2D",
    "__version__",
    "functional",
    "get_num_threads",
    "layers",
    "load_model",
    "set_num_threads",
    "show_config",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"cconv.{name}")
    else:
        raise AttributeError(f"module 'cconv' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_MODULES})
