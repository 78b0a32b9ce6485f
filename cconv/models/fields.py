"""Receptive fields: how much of the image one number of a layer's output sees."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cconv.engine.flow import Flow
from cconv.layers import (
    Cropping2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    UpSampling2D,
    ZeroPadding2D,
)
from cconv.layers.transposed import TransposedConvolution


class Field(NamedTuple):
    """What one pixel of a map sees, and how far its neighbours see beside it, in input pixels each way.

    Attributes
    ----------
    size : (float, float)
        Height and width of what it sees.
    jump : (float, float)
        From one pixel to the next.
    first : (float, float)
        Where what the first pixel sees begins; above zero or left of it in padding.
    """

    size: tuple[float, float]
    jump: tuple[float, float]
    first: tuple[float, float]


PIXEL = Field((1, 1), (1, 1), (0, 0))


def receptive_fields(layers: Sequence[Layer] | Flow) -> list[tuple[int, int] | None]:
    """Return for each layer of a row, or use in a flow, what one of its outputs sees.

    In height and width, in input pixels. Araujo, Norris & Sim 2019, "Computing receptive fields of
    convolutional neural networks",
    equation 2: r grows by (extent of the kernel - 1) times the product of the strides before, by which
    upsampling divides. Where ways join, the largest counts. None for what sees everything; where it is
    joined with what does not, such as a gate with the map that it weighs, it does not count.
    """
    return [
        None if field is None else (round(field.size[0]), round(field.size[1])) for field in fields_of(layers)
    ]


def fields_of(layers: Sequence[Layer] | Flow) -> list[Field | None]:
    """Return for each layer of a row, or use in a flow, what its pixels see; as in `receptive_fields`."""
    flow = Flow.of(layers)
    fields: list[Field | None] = [PIXEL] * flow.n_inputs
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
    """Return the field of a layer's output for that of its input; None if it sees everything."""
    if len(layer.output_shape) != 3 or isinstance(layer, GlobalAveragePooling2D | GlobalMaxPooling2D):
        return None
    if isinstance(layer, UpSampling2D):
        between = layer.interpolation != "nearest"
        return _joined(_nearer(*way, between) for way in zip(*field, layer.size, strict=True))
    if isinstance(layer, ZeroPadding2D | Cropping2D):
        sign = -1 if isinstance(layer, ZeroPadding2D) else 1
        moved = zip(*field, (sides[0] for sides in layer._around), strict=True)
        return _joined((size, jump, first + sign * side * jump) for size, jump, first, side in moved)
    window = getattr(layer, "window", None)
    if window is None:
        return field
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


def _nearer(
    size: float, jump: float, first: float, factor: int, others: int = 0
) -> tuple[float, float, float]:
    """Return size, jump and first where `factor` pixels take one's place, and see `others` beside it."""
    return size + others * jump, jump / factor, first - others * jump / 2


def _joined(ways: Iterable[tuple[float, float, float]]) -> Field:
    (height, down, top), (width, right, left) = ways
    return Field((height, width), (down, right), (top, left))
