"""Layers that exist for networks of other tools, as the ONNX nodes that they come from."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from cconv.io.onnx.writing.convolutions import images, own
from cconv.io.onnx.writing.shapes import resized
from cconv.io.onnx.writing.sheet import Sheet, Value

FARTHEST = 2**62  # the end of a slice that goes to the end of the axis


def _as_it_lies(x: Value, entries: Iterable[Any]) -> list[Any]:
    """Return entries for a channels-last sample's axes in the stored order of the value."""
    in_order = list(entries)
    return [in_order[-1], *in_order[:-1]] if x.first else in_order


def argmax(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """ArgMax; its indices are converted to the graph's dtype."""
    x, shape = sheet.last(xs[0]), layer._resolve(xs[0].shape)
    last = int(layer.select_last_index)
    places = sheet.node("ArgMax", [x.name], axis=layer._at, keepdims=1, select_last_index=last)
    found = sheet.node("Cast", [places], to=sheet.kind)
    return Value(sheet.node("Reshape", [found, sheet.sizes(0, *shape)]), shape)


def clip(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Clip."""
    ends = ["" if end is None else sheet.number(end) for end in (layer.min_value, layer.max_value)]
    return sheet.like(xs[0], "Clip", *ends)


def slice_(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Slice."""
    x = xs[0]
    rows = [
        _as_it_lies(x, [_bound(end, step, side) for end, step in zip(ends, layer.step, strict=True)])
        for side, ends in ((0, layer.begin), (1, layer.end))
    ]
    axes, steps = range(1, len(x.shape) + 1), _as_it_lies(x, layer.step)
    inputs = [x.name, *(sheet.sizes(*numbers) for numbers in (*rows, axes, steps))]
    return x._replace(name=sheet.node("Slice", inputs), shape=layer._resolve(x.shape))


def _bound(end: int | None, step: int, side: int) -> int:
    """Return the begin (side 0) or the end of a slice; None is the first or last element in its direction."""
    if end is not None:
        return int(end)
    forwards = step > 0
    if side == 0:
        return 0 if forwards else FARTHEST
    return FARTHEST if forwards else -FARTHEST


def pad(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Pad, along any axis."""
    x = xs[0]
    around = [(0, 0), *_as_it_lies(x, layer.pad_width)]
    sizes = sheet.sizes(*(before for before, _ in around), *(after for _, after in around))
    inputs = [x.name, sizes, *([sheet.number(layer.constant_values)] if layer.mode == "constant" else [])]
    opset = 19 if layer.mode == "wrap" else 18
    name = sheet.node("Pad", inputs, opset, mode=layer.mode)
    return x._replace(name=name, shape=layer._resolve(x.shape))


def tile(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Tile."""
    x = xs[0]
    name = sheet.node("Tile", [x.name, sheet.sizes(1, *_as_it_lies(x, layer.repeats))])
    return x._replace(name=name, shape=layer._resolve(x.shape))


def elementwise_affine(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """ElementwiseAffine: a factor and a summand of a sample's shape."""
    y = xs[0]
    for name, kind in (("gamma", "Mul"), ("beta", "Add")):
        if name in layer.params:
            array = layer.params[name]
            y = sheet.like(y, kind, sheet.weight(name, np.moveaxis(array, -1, 0) if y.first else array))
    return y


def response_normalization(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """LocalResponseNormalization."""
    names = ("size", "alpha", "beta", "bias")
    return sheet.like(sheet.first(xs[0]), "LRN", **{name: getattr(layer, name) for name in names})


def depth_to_space(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """DepthToSpace."""
    x = images(sheet, layer, xs[0])
    return own(layer, sheet.node("DepthToSpace", [x], blocksize=layer.block_size, mode=layer.mode))


def space_to_depth(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """SpaceToDepth."""
    return own(layer, sheet.node("SpaceToDepth", [images(sheet, layer, xs[0])], blocksize=layer.block_size))


def resampling(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Resampling, by ONNX' own rules."""
    rule = {"coordinate_transformation_mode": layer.coordinates, "mode": "linear"}
    if layer.interpolation == "nearest":
        rule |= {"mode": "nearest", "nearest_mode": layer.rounding}
    x = images(sheet, layer, xs[0])
    if layer.scales is None:
        return own(layer, resized(sheet, x, [layer.height, layer.width], **rule))
    scales = sheet.floats(1.0, 1.0, *layer.scales)
    return own(layer, sheet.node("Resize", [x, "", scales], opset=19, **rule))
