"""Receptive fields: the part of the image that one element of a layer's output depends on.

A sequence is an image one pixel high, as in its layers.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cconv.engine.flow import Flow
from cconv.layers import (
    Cropping1D,
    Cropping2D,
    GroupNormalization,
    Layer,
    LayerNormalization,
    Permute,
    Reshape,
    RMSNormalization,
    Softmax,
    UnitNormalization,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from cconv.layers.global_pooling import GlobalPooling
from cconv.layers.transposed import TransposedConvolution


class Field(NamedTuple):
    """The receptive field of a pixel of a feature map, in input pixels.

    Attributes
    ----------
    size : (float, float)
        Height and width of the field.
    jump : (float, float)
        Distance between the fields of neighbouring pixels.
    first : (float, float)
        Upper left corner of the first pixel's field; negative if it begins in the padding.
    """

    size: tuple[float, float]
    jump: tuple[float, float]
    first: tuple[float, float]


PIXEL = Field((1, 1), (1, 1), (0, 0))


def receptive_fields(layers: Sequence[Layer] | Flow) -> list[tuple[int, int] | None]:
    """Return the receptive field of each layer of a row, or of each use in a flow, as (height, width).

    In input pixels, by equation 2 of Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional
    neural networks": the size r grows by (extent of the kernel - 1) times the product of the previous
    strides; upsampling divides that product. Where branches join, the largest field counts. None means the
    whole image, also behind layers that move pixels in another way (reshaping, resizing). Where such a branch
    (say a gate) joins others, it is ignored.
    """
    return [
        None if field is None else (round(field.size[0]), round(field.size[1])) for field in fields_of(layers)
    ]


def fields_of(
    layers: Sequence[Layer] | Flow, inputs: Sequence[Field | None] | None = None
) -> list[Field | None]:
    """Return the `Field` of each layer of a row, or of each use in a flow; as in `receptive_fields`.

    `inputs` are the fields of the inputs, by default of one pixel each; those of None do not count.
    """
    flow = Flow.of(layers)
    fields: list[Field | None] = [PIXEL] * flow.n_inputs if inputs is None else list(inputs)
    for use in flow.uses:
        known = [field for field in (fields[value] for value in use.inputs) if field is not None]
        fields.append(_behind(use.layer, _largest(known)) if known else None)
    return fields[flow.n_inputs :]


def _largest(fields: Sequence[Field]) -> Field:
    sizes, jumps, firsts = zip(*fields, strict=True)
    return Field(
        (max(size[0] for size in sizes), max(size[1] for size in sizes)),
        (max(jump[0] for jump in jumps), max(jump[1] for jump in jumps)),
        (min(first[0] for first in firsts), min(first[1] for first in firsts)),
    )


def _behind(layer: Any, field: Field) -> Field | None:
    """Return the field of a layer's output for its input's field; None if it is the whole image."""
    if len(layer.output_shape) not in (2, 3) or isinstance(layer, GlobalPooling) or _mixes_places(layer):
        return None
    if isinstance(layer, UpSampling1D):
        return _joined(_nearer(*way) for way in zip(*field, (1, layer.size), strict=True))
    if isinstance(layer, UpSampling2D):
        between = layer.interpolation != "nearest"
        return _joined(_nearer(*way, between) for way in zip(*field, layer.size, strict=True))
    if isinstance(layer, ZeroPadding2D | ZeroPadding1D | Cropping2D | Cropping1D):
        sign = -1 if isinstance(layer, ZeroPadding2D | ZeroPadding1D) else 1
        moved = zip(*field, (sides[0] for sides in layer._around), strict=True)
        return _joined((size, jump, first + sign * side * jump) for size, jump, first, side in moved)
    window = getattr(layer, "window", None)
    if window is None:
        return field if _keeps_places(layer) else None
    extents = [d * (k - 1) + 1 for k, d in zip(window.kernel_size, window.dilation, strict=True)]
    before = [pads[0] for pads in window.pads]
    if isinstance(layer, TransposedConvolution):
        others = [-(-extent // s) - 1 for extent, s in zip(extents, window.strides, strict=True)]
        return _joined(_nearer(*way) for way in zip(*field, window.strides, others, strict=True))
    ways = zip(*field, extents, window.strides, before, strict=True)
    return _joined(
        (size + (extent - 1) * jump, jump * s, first - pad * jump)
        for size, jump, first, extent, s, pad in ways
    )


def _mixes_places(layer: Any) -> bool:
    """Whether a normalisation or a softmax puts pixels in relation to each other."""
    if not isinstance(layer, LayerNormalization | RMSNormalization | UnitNormalization | Softmax):
        return isinstance(layer, GroupNormalization)
    rank = len(layer.output_shape) + 1
    channels = 1 if layer.data_format == "channels_first" and rank == 4 else rank - 1
    axes = layer.axis if isinstance(layer.axis, Iterable) else [layer.axis]
    return any(axis % rank != channels for axis in axes)


def _keeps_places(layer: Any) -> bool:
    """Whether a layer without a window leaves every pixel where it is."""
    if isinstance(layer, Permute | Reshape):
        return False
    shapes: Any = layer.input_shape if layer._merges else [layer.input_shape]
    sizes = [layer._inner(shape)[:-1] for shape in shapes if len(shape) == len(layer.output_shape)]
    # The smaller inputs of a merge are repeated.
    largest = tuple([max(extents) for extents in zip(*sizes, strict=True)])
    return largest == layer._inner(layer.output_shape)[:-1]


def _nearer(
    size: float, jump: float, first: float, factor: int, others: int = 0
) -> tuple[float, float, float]:
    """Return size, jump and first if `factor` pixels replace one, and see `others` input pixels besides."""
    return size + others * jump, jump / factor, first - others * jump / 2


def _joined(ways: Iterable[tuple[float, float, float]]) -> Field:
    (height, down, top), (width, right, left) = ways
    return Field((height, width), (down, right), (top, left))
