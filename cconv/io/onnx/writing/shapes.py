"""Layers that move pixels, or change the shape of samples, as ONNX nodes."""

from typing import Any

import numpy as np

from cconv.io.onnx.writing.activations import activate
from cconv.io.onnx.writing.convolutions import images, own, spatial
from cconv.io.onnx.writing.sheet import IMAGE, Sheet, Value

Part = tuple[int, int]  # first row or column, and their number


def same(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Dropout, noise, augmentation: no node, as at inference."""
    return xs[0]


def flatten(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Flatten: elements in the order (h, w, c), or (steps, c), in both data formats."""
    shape = tuple(layer.output_shape)
    if layer._turns:
        x = sheet.last(xs[0])
        name = sheet.node("Transpose", [x.name], perm=[0, 2, 1])
        return sheet.reshape(Value(name, x.shape[::-1]), shape)
    return xs[0] if shape == xs[0].shape else sheet.reshape(xs[0], shape)


def reshape(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Reshape: elements in the order of the user's data format."""
    (x,), shape = xs, layer._inner(layer.output_shape)
    if layer.data_format == "channels_last":
        return x if x.shape == shape else sheet.reshape(x, shape)
    seen = sheet.first(x) if len(x.shape) == IMAGE else sheet.last(x)
    name = sheet.node("Reshape", [seen.name, sheet.sizes(0, *layer.output_shape)])
    return Value(name, shape, len(shape) == IMAGE)


def permute(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Permute."""
    x = sheet.last(xs[0])
    name = sheet.node("Transpose", [x.name], perm=[0, *layer._order])
    return Value(name, tuple(x.shape[axis - 1] for axis in layer._order))


def repeat_vector(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """RepeatVector."""
    (features,) = xs[0].shape
    row = sheet.reshape(xs[0], (1, features))
    name = sheet.node("Tile", [row.name, sheet.sizes(1, layer.n, 1)])
    return Value(name, (layer.n, features))


def pad(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """ZeroPadding2D, ZeroPadding1D."""
    return own(layer, _padded(sheet, images(sheet, layer, xs[0]), spatial(layer, layer._around), 0.0))


def _padded(sheet: Sheet, x: str, around: list[Any], value: float) -> str:
    before, after = zip(*around, strict=True)
    return sheet.node("Pad", [x, sheet.sizes(0, 0, *before, 0, 0, *after), sheet.number(value)])


def _cut(sheet: Sheet, x: str, parts: list[Part]) -> str:
    """Return these rows and columns of images."""
    axes = sheet.sizes(*range(2, 2 + len(parts)))
    begin = sheet.sizes(*(first for first, _ in parts))
    end = sheet.sizes(*(first + extent for first, extent in parts))
    return sheet.node("Slice", [x, begin, end, axes])


def crop(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Cropping2D, Cropping1D."""
    size = spatial(layer, layer._image_shape(xs[0].shape)[:2])
    around = spatial(layer, layer._around)
    parts = [(before, extent - before - after) for extent, (before, after) in zip(size, around, strict=True)]
    return own(layer, _cut(sheet, images(sheet, layer, xs[0]), parts))


def _resized(sheet: Sheet, x: str, size: list[int], target: list[int], how: str) -> str:
    """Resize so that pixel centres cover the image evenly, as in `cconv.geometry.sampling`."""
    if size == target:
        return x
    rule: dict[str, Any] = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
    if how == "nearest":
        # "nearest" is the pixel in which the centre lies; for whole factors it is the one of the floored
        # index.
        whole = all(new % old == 0 for old, new in zip(size, target, strict=True))
        places = "asymmetric" if whole else "half_pixel"
        rounded = "floor" if whole else "round_prefer_ceil"
        rule = {"coordinate_transformation_mode": places, "mode": "nearest", "nearest_mode": rounded}
    return resized(sheet, x, target, **rule)


def resized(sheet: Sheet, x: str, target: list[int], **rule: Any) -> str:
    """Return images resized by a rule of the operator Resize."""
    # All sizes are given, also the batch: with `axes` onnxruntime (1.32) loses them when it moves a
    # Transpose.
    batch = sheet.node("Shape", [x], start=0, end=2)
    sizes = sheet.node("Concat", [batch, sheet.sizes(*target)], axis=0)
    return sheet.node("Resize", [x, "", "", sizes], **rule)


def upsample(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """UpSampling2D, UpSampling1D."""
    given = layer._image_shape(xs[0].shape)
    size, target = (spatial(layer, pair) for pair in (given[:2], layer._outputs(given)))
    how = getattr(layer, "interpolation", "nearest")
    return own(layer, _resized(sheet, images(sheet, layer, xs[0]), size, target, how))


def _part_resized(
    sheet: Sheet, layer: Any, x: str, shape: tuple[int, ...], parts: list[Part], how: str
) -> Value:
    target = [layer.height, layer.width]
    if parts != [(0, extent) for extent in shape[:2]]:
        x = _cut(sheet, x, parts)
    y = _resized(sheet, x, [extent for _, extent in parts], target, how)
    return Value(y, (*target, shape[2]), True)


def resize(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Resizing, also with cropping or padding to the aspect ratio."""
    x, shape = images(sheet, layer, xs[0]), xs[0].shape
    around = layer._pads(shape)
    if any(map(any, around)):
        x = _padded(sheet, x, list(around), layer.fill_value)
        shape = (*(extent + sum(pads) for extent, pads in zip(shape[:2], around, strict=True)), shape[2])
    parts = list(layer._parts(xs[0].shape[:2]))
    return _part_resized(sheet, layer, x, shape, parts, layer.interpolation)


def center_crop(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """CenterCrop: a part, resized only if the image is too small."""
    parts = list(layer._parts(xs[0].shape[:2]))
    return _part_resized(sheet, layer, images(sheet, layer, xs[0]), xs[0].shape, parts, "bilinear")


def random_crop(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """RandomCrop, which takes the middle at inference."""
    window, corner = layer._middle(xs[0].shape[:2])
    parts = list(zip(corner, window, strict=True))
    return _part_resized(sheet, layer, sheet.first(xs[0]).name, xs[0].shape, parts, "bilinear")


def scale(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Rescaling: ``scale · x + offset``, channel by channel or everywhere."""
    x = xs[0]
    factor, offset = (
        sheet.number(value)
        if isinstance(value, float)
        else sheet.channels(x, name, np.broadcast_to(value, x.shape[-1:]))
        for name, value in (("scale", layer.scale), ("offset", layer.offset))
    )
    x = sheet.like(x, "Mul", factor)
    return sheet.like(x, "Add", offset) if layer.offset != 0.0 else x


def layer_scale(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """LayerScale."""
    return sheet.like(xs[0], "Mul", sheet.channels(xs[0], "gamma", layer.params["gamma"]))


def prelu(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """PReLU: alpha is stored in the user's data format, with a sample's shape."""
    alpha = layer.params["alpha"]
    inner = alpha.transpose(1, 2, 0) if layer._turned else alpha
    x = xs[0]
    if len(x.shape) > 1:
        x = sheet.first(x)
        inner = np.moveaxis(inner, -1, 0)
    return sheet.like(x, "PRelu", sheet.weight("alpha", inner))


def activation(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Activation, and the layers derived from it."""
    return activate(sheet, layer.activation, xs[0])
