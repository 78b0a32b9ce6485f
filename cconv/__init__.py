"""cconv: convolutional networks for CPUs, in Python, with Cython kernels.

Every name here is loaded when it is first used. So ``import cconv`` takes milliseconds, and nothing
that a script does not need (scikit-learn, matplotlib) is imported.

Examples
--------
>>> import numpy as np
>>> import cconv
>>> conv = cconv.Conv2D(30, 5)
>>> conv.forward(np.zeros((2, 28, 28, 1), np.float32)).shape
(2, 24, 24, 30)
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from cconv._interpreters import refuse_subinterpreters
from cconv._sources import refuse_sources

refuse_subinterpreters()
refuse_sources(__path__)

from cconv._version import __version__  # noqa: E402
from cconv.arguments.keras_names import refuse_name  # noqa: E402

if TYPE_CHECKING:
    from cconv.constraints import Constraint
    from cconv.estimators import CNNClassifier, CNNRegressor, Scratch2dCNNClassifier
    from cconv.initializers import Initializer
    from cconv.layers import (
        ELU,
        Activation,
        AveragePool2D,
        AveragePooling2D,
        BatchNormalization,
        Conv2D,
        CutMix,
        Dense,
        DepthwiseConv2D,
        Dropout,
        Flatten,
        GlobalAveragePooling2D,
        Input,
        KerasTensor,
        Layer,
        LeakyReLU,
        MaxPooling,
        MaxPooling2D,
        MixUp,
        PReLU,
        RandomBrightness,
        RandomContrast,
        RandomCrop,
        RandomErasing,
        RandomFlip,
        RandomRotation,
        RandomTranslation,
        RandomZoom,
        ReLU,
        Rescaling,
        Reshape,
        Softmax,
        ZeroPadding2D,
    )
    from cconv.losses import Loss
    from cconv.metrics import Metric
    from cconv.models import Model, Sequential, load_model
    from cconv.models.explaining import explain
    from cconv.optimizers import Optimizer
    from cconv.regularizers import Regularizer
    from cconv.reporting import report
    from cconv.threads import get_num_threads, set_num_threads
    from cconv.utils.config import show_config

# What is loaded on first use: names, by the module that has them, and modules.
_NAMES = {
    "utils.config": ("show_config",),
    "models.explaining": ("explain",),
    "reporting": ("report",),
    "estimators": ("CNNClassifier", "CNNRegressor", "Scratch2dCNNClassifier"),
    "constraints": ("Constraint",),
    "initializers": ("Initializer",),
    "losses": ("Loss",),
    "metrics": ("Metric",),
    "optimizers": ("Optimizer",),
    "regularizers": ("Regularizer",),
    "layers": (
        "ELU",
        "Activation",
        "AveragePool2D",
        "AveragePooling2D",
        "BatchNormalization",
        "Conv2D",
        "CutMix",
        "Dense",
        "DepthwiseConv2D",
        "Dropout",
        "Flatten",
        "GlobalAveragePooling2D",
        "Input",
        "KerasTensor",
        "Layer",
        "LeakyReLU",
        "MaxPooling",
        "MaxPooling2D",
        "MixUp",
        "RandomBrightness",
        "RandomContrast",
        "RandomCrop",
        "RandomErasing",
        "PReLU",
        "RandomFlip",
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "ReLU",
        "Rescaling",
        "Reshape",
        "Softmax",
        "ZeroPadding2D",
    ),
    "models": ("Model", "Sequential", "load_model"),
    "threads": ("get_num_threads", "set_num_threads"),
}
_LAZY = {name: f"cconv.{module}" for module, names in _NAMES.items() for name in names}
_MODULES = (
    "activations",
    "applications",
    "callbacks",
    "constraints",
    "datasets",
    "distributed",
    "functional",
    "initializers",
    "io",
    "layers",
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
    "ELU",
    "Activation",
    "AveragePool2D",
    "AveragePooling2D",
    "BatchNormalization",
    "CNNClassifier",
    "CNNRegressor",
    "Constraint",
    "Conv2D",
    "CutMix",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "Initializer",
    "Input",
    "KerasTensor",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MaxPooling",
    "MaxPooling2D",
    "Metric",
    "MixUp",
    "Model",
    "Optimizer",
    "PReLU",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Regularizer",
    "Rescaling",
    "Reshape",
    "Scratch2dCNNClassifier",
    "Sequential",
    "Softmax",
    "ZeroPadding2D",
    "__version__",
    "explain",
    "get_num_threads",
    "load_model",
    "report",
    "set_num_threads",
    "show_config",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"cconv.{name}")
    else:
        refuse_name("", name, sys._getframe(1))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_MODULES})
