"""The layers, each a small class that also works alone, outside any model."""

from collections.abc import Mapping
from typing import Any

from cconv.arguments.configured import config_of
from cconv.arguments.keras_names import of_string, refusing
from cconv.arguments.serializable import own_object
from cconv.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from cconv.layers.affine import Dense
from cconv.layers.augmentation import RandomFlip, RandomRotation, RandomTranslation
from cconv.layers.base import Layer
from cconv.layers.convolution import Conv2D, DepthwiseConv2D
from cconv.layers.core import Dropout, Flatten, Input, InputLayer, Reshape
from cconv.layers.normalization import BatchNormalization
from cconv.layers.padding import ZeroPadding2D
from cconv.layers.pooling import (
    AveragePool2D,
    AveragePooling2D,
    GlobalAveragePooling2D,
    MaxPooling,
    MaxPooling2D,
)
from cconv.layers.prelu import PReLU
from cconv.layers.rescaling import Rescaling

# Keras' second names.
MaxPool2D, AvgPool2D, GlobalAvgPool2D = MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D

__all__ = [
    "ELU",
    "Activation",
    "AveragePool2D",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling",
    "MaxPooling2D",
    "PReLU",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "ZeroPadding2D",
    "deserialize",
    "serialize",
]

_CLASSES: dict[str, type[Layer]] = {
    value.__name__: value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Layer) and value is not Layer
}


def serialize(layer: Layer) -> dict[str, Any]:
    """Return ``{"class_name": …, "config": …}`` for a layer, as plain data.

    Examples
    --------
    >>> serialize(Flatten())["class_name"]
    'Flatten'
    """
    return config_of(layer)


def deserialize(config: Mapping[str, Any]) -> Layer:
    """Return a new, unbuilt layer from what `serialize` returned.

    Raises
    ------
    TypeError, ValueError
        When it does not describe a layer of this library.

    Examples
    --------
    >>> deserialize(serialize(Dense(3))).units
    3
    """
    if not isinstance(config, Mapping) or not {"class_name", "config"} <= set(config):
        raise ValueError(f"layers.deserialize: config must hold class_name and config, got {config!r}")
    name = config["class_name"]
    layer = own_object(name) or _CLASSES.get(name) if isinstance(name, str) else None
    if layer is None:
        known = ", ".join(sorted(_CLASSES))
        instead = of_string(Layer, str(name))
        own = "; a layer of your own: register_serializable, or custom_objects= of load_model"
        raise ValueError(
            f"layers.deserialize: class_name must be one of {known}, got {name!r}{instead or own}"
        )
    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise TypeError(f"layers.deserialize: {name!r} must stand for a layer class, got {layer!r}")
    return layer.from_config(config["config"])


refusing(globals(), functions=["deserialize"])
