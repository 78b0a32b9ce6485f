"""The function that writes each layer."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cconv import layers
from cconv.engine.flow import Use
from cconv.io.onnx.writing import activations, convolutions, elsewhere, merging, normalization, shapes
from cconv.io.onnx.writing.sheet import Sheet, Value
from cconv.layers import augmentation, convolution, pairwise, separable, transposed
from cconv.layers.global_pooling import GlobalMaximum, GlobalMean
from cconv.layers.layer_normalization import RowNormalization
from cconv.layers.padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from cconv.layers.pooling import MaximumPooling, MeanPooling

Written = Callable[[Sheet, Any, list[Value]], Value]
# The first of a layer's classes that is listed here chooses the function.
WRITTEN: dict[type, Written] = {
    convolution.GroupedConvolution: convolutions.convolution,
    convolution.DepthwiseConvolution: convolutions.depthwise,
    separable.SeparableConvolution: convolutions.separable,
    transposed.TransposedConvolution: convolutions.transposed,
    layers.Dense: convolutions.dense,
    MaximumPooling: convolutions.max_pooling,
    MeanPooling: convolutions.average_pooling,
    GlobalMaximum: convolutions.global_max,
    GlobalMean: convolutions.global_average,
    layers.BatchNormalization: normalization.batch,
    layers.GroupNormalization: normalization.group,
    RowNormalization: normalization.rows,
    layers.Normalization: normalization.data,
    layers.Activation: shapes.activation,
    layers.PReLU: shapes.prelu,
    layers.LayerScale: shapes.layer_scale,
    layers.Rescaling: shapes.scale,
    layers.Flatten: shapes.flatten,
    layers.Reshape: shapes.reshape,
    layers.Permute: shapes.permute,
    layers.RepeatVector: shapes.repeat_vector,
    ZeroPadding2D: shapes.pad,
    ZeroPadding1D: shapes.pad,
    Cropping2D: shapes.crop,
    Cropping1D: shapes.crop,
    layers.UpSampling2D: shapes.upsample,
    layers.UpSampling1D: shapes.upsample,
    layers.Resizing: shapes.resize,
    layers.CenterCrop: shapes.center_crop,
    layers.RandomCrop: shapes.random_crop,
    layers.Resampling: elsewhere.resampling,
    layers.ArgMax: elsewhere.argmax,
    layers.Clip: elsewhere.clip,
    layers.Slice: elsewhere.slice_,
    layers.Pad: elsewhere.pad,
    layers.Tile: elsewhere.tile,
    layers.ElementwiseAffine: elsewhere.elementwise_affine,
    layers.LocalResponseNormalization: elsewhere.response_normalization,
    layers.DepthToSpace: elsewhere.depth_to_space,
    layers.SpaceToDepth: elsewhere.space_to_depth,
    augmentation.Augmentation: shapes.same,
    layers.AlphaDropout: shapes.same,
    layers.Dropout: shapes.same,
    layers.GaussianNoise: shapes.same,
    layers.GaussianDropout: shapes.same,
    layers.Concatenate: merging.concatenate,
    layers.Dot: merging.dot,
    pairwise.Elementwise: merging.elementwise_layer,
}


def _writer(layer: Any) -> Written | None:
    """Return the function that writes a layer; None for any class of the user's, even a derived one."""
    if not type(layer).__module__.startswith("cconv."):
        return None
    return next((WRITTEN[kind] for kind in type(layer).__mro__ if kind in WRITTEN), None)


def unwritten(uses: Sequence[Use]) -> Iterator[str]:
    """Yield a description of each layer, and of each activation, that cannot be written."""
    for layer in dict.fromkeys(use.layer for use in uses):
        activation = getattr(layer, "activation", None)
        if _writer(layer) is None:
            yield f"{layer.name} ({type(layer).__name__})"
        elif activation is not None and type(activation) not in activations.WRITTEN:
            yield f"the activation of {layer.name} ({type(activation).__name__})"


def write(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write a layer as at inference; return its output."""
    writer = _writer(layer)
    assert writer is not None  # `unwritten` was checked before
    return writer(sheet, layer, xs)
