"""The layers, each a small class that also works alone, outside any model."""

from collections.abc import Mapping
from typing import Any

from cconv.arguments.configured import config_of
from cconv.arguments.keras_names import of_string, refusing
from cconv.arguments.serializable import own_object
from cconv.layers import operators
from cconv.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from cconv.layers.affine import Dense
from cconv.layers.argmax import ArgMax
from cconv.layers.augmentation import RandomFlip
from cconv.layers.base import Layer
from cconv.layers.bordering import Pad
from cconv.layers.clipping import Clip
from cconv.layers.convolution import Conv2D, DepthwiseConv2D
from cconv.layers.core import Flatten, Permute, Reshape
from cconv.layers.data_normalization import Normalization
from cconv.layers.dropout import AlphaDropout, Dropout, SpatialDropout1D, SpatialDropout2D
from cconv.layers.elementwise import Add, Average, Divide, Maximum, Minimum, Multiply, Subtract
from cconv.layers.elementwise_affine import ElementwiseAffine
from cconv.layers.global_pooling import GlobalAveragePooling2D, GlobalMaxPooling2D
from cconv.layers.group_normalization import GroupNormalization
from cconv.layers.input import Input, InputLayer
from cconv.layers.joining import Concatenate, Dot
from cconv.layers.layer_normalization import LayerNormalization, RMSNormalization, UnitNormalization
from cconv.layers.layer_scale import LayerScale
from cconv.layers.levels import RandomBrightness, RandomContrast
from cconv.layers.merging import add, average, concatenate, dot, maximum, minimum, multiply, subtract
from cconv.layers.mixing import CutMix, MixUp
from cconv.layers.noise import GaussianDropout, GaussianNoise
from cconv.layers.normalization import BatchNormalization
from cconv.layers.padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from cconv.layers.patches import RandomCrop, RandomErasing
from cconv.layers.pooling import AveragePool2D, AveragePooling2D, MaxPooling, MaxPooling2D
from cconv.layers.prelu import PReLU
from cconv.layers.resampling import RandomRotation, RandomTranslation, RandomZoom
from cconv.layers.rescaling import Rescaling
from cconv.layers.resizing import CenterCrop, RepeatVector, Resizing, UpSampling1D, UpSampling2D
from cconv.layers.response_normalization import LocalResponseNormalization
from cconv.layers.sampling import Resampling
from cconv.layers.separable import SeparableConv2D
from cconv.layers.sequence_pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)
from cconv.layers.sequences import Conv1D, Conv1DTranspose, DepthwiseConv1D, SeparableConv1D
from cconv.layers.slicing import Slice
from cconv.layers.space_depth import DepthToSpace, SpaceToDepth
from cconv.layers.symbolic import KerasTensor
from cconv.layers.tiling import Tile
from cconv.layers.transposed import Conv2DTranspose

operators.define()

# Keras' second names.
MaxPool2D, AvgPool2D, GlobalAvgPool2D = MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D
MaxPool1D, AvgPool1D, GlobalAvgPool1D = MaxPooling1D, AveragePooling1D, GlobalAveragePooling1D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
Convolution1D, Convolution1DTranspose = Conv1D, Conv1DTranspose
Convolution2D, Convolution2DTranspose = Conv2D, Conv2DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D

__all__ = [
    "ELU",
    "Activation",
    "Add",
    "AlphaDropout",
    "ArgMax",
    "Average",
    "AveragePool2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Clip",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "CutMix",
    "Dense",
    "DepthToSpace",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "ElementwiseAffine",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Input",
    "InputLayer",
    "KerasTensor",
    "Layer",
    "LayerNormalization",
    "LayerScale",
    "LeakyReLU",
    "LocalResponseNormalization",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "MixUp",
    "Multiply",
    "Normalization",
    "PReLU",
    "Pad",
    "Permute",
    "RMSNormalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Resampling",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Subtract",
    "Tile",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

_CLASSES: dict[str, type[Layer]] = {
    value.__name__: value
    for value in [*globals().values(), Divide]  # `Divide` is not exported: the operator `/` makes it
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
        When the config does not describe a layer of this library.

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
            f"layers.deserialize: class_name must be that of a layer, got {name!r}{instead or own}; of the "
            f"library there are {known}"
        )
    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise TypeError(f"layers.deserialize: {name!r} must stand for a layer class, got {layer!r}")
    return layer.from_config(config["config"])


refusing(globals(), functions=["deserialize"])
