"""Normalisations as ONNX nodes."""

from typing import Any

import numpy as np

from cconv.io.onnx.writing.sheet import Sheet, Value


def batch(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """BatchNormalization, with the moving averages."""
    x = sheet.first(xs[0])
    mean, variance = layer.state["moving_mean"], layer.state["moving_variance"]
    gamma, beta = layer.params.get("gamma"), layer.params.get("beta")
    four = [
        sheet.weight("gamma", np.ones_like(mean) if gamma is None else gamma),
        sheet.weight("beta", np.zeros_like(mean) if beta is None else beta),
        sheet.weight("moving_mean", mean),
        sheet.weight("moving_variance", variance),
    ]
    return sheet.like(x, "BatchNormalization", *four, epsilon=layer.epsilon)


def group(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """GroupNormalization: an instance normalisation with groups as channels, then factor and summand."""
    shape = xs[0].shape
    pixels = sheet.first(xs[0])
    groups = sheet.node("Reshape", [pixels.name, sheet.sizes(0, layer._counted, -1)])
    ones = sheet.weight("ones", np.ones(layer._counted))
    zeros = sheet.weight("zeros", np.zeros(layer._counted))
    plain = sheet.node("InstanceNormalization", [groups, ones, zeros], epsilon=layer.epsilon)
    back = (shape[-1], *shape[:-1])
    y = pixels._replace(name=sheet.node("Reshape", [plain, sheet.sizes(0, *back)]))
    return _scaled(sheet, y, {name: sheet.channels(y, name, array) for name, array in layer.params.items()})


def _scaled(sheet: Sheet, y: Value, weights: dict[str, str]) -> Value:
    for name, kind in (("gamma", "Mul"), ("scale", "Mul"), ("beta", "Add")):
        if name in weights:
            y = sheet.like(y, kind, weights[name])
    return y


def _along(x: Value, axes: tuple[int, ...], array: np.ndarray) -> np.ndarray:
    """Return an array along these axes of a batch, in a shape that is broadcast over a sample."""
    order = np.argsort(axes)
    shape = [x.shape[axis - 1] if axis in axes else 1 for axis in range(1, len(x.shape) + 1)]
    return array.transpose(order).reshape(shape)


def rows(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """LayerNormalization, RMSNormalization, UnitNormalization along any axes of a sample."""
    x = sheet.last(xs[0])
    axes = layer._axes(x.shape)
    weights = {name: sheet.weight(name, _along(x, axes, array)) for name, array in layer.params.items()}
    # LayerNormalization computes statistics in float32 only, in existing programs.
    plain = layer._rule == "layer" and layer._order is None and "gamma" in weights
    if plain and sheet.dtype == np.float32:
        gamma, beta = (layer.params.get(name) for name in ("gamma", "beta"))
        inputs = [sheet.weight("gamma", gamma), *([] if beta is None else [sheet.weight("beta", beta)])]
        return sheet.like(x, "LayerNormalization", *inputs, axis=min(axes), epsilon=layer.epsilon)
    over = sheet.sizes(*sorted(axes))
    centred = x
    if layer._rule in ("layer", "scaling"):
        centred = sheet.like(x, "Sub", sheet.node("ReduceMean", [x.name, over]))
    squares = sheet.like(centred, "Mul", centred.name)
    if layer._rule == "unit":
        total = sheet.node("Sqrt", [sheet.node("ReduceSum", [squares.name, over])])
        return sheet.like(x, "Div", sheet.node("Max", [total, sheet.number(layer.epsilon)]))
    mean = sheet.node("ReduceMean", [squares.name, over])
    root = sheet.node("Sqrt", [sheet.node("Add", [mean, sheet.number(layer.epsilon)])])
    numerator = x if layer._rule == "scaling" else centred
    return _scaled(sheet, sheet.like(numerator, "Div", root), weights)


def data(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Write Normalization with its mean and deviation."""
    x = sheet.last(xs[0])
    mean, deviation = layer._moments()
    scale = deviation if layer.invert else 1 / deviation  # as in the layer
    names = [
        sheet.weight(name, _along(x, layer._axes(x.shape), array))
        for name, array in (("mean", mean), ("scale", scale))
    ]
    if layer.invert:
        return sheet.like(sheet.like(x, "Mul", names[1]), "Add", names[0])
    return sheet.like(sheet.like(x, "Sub", names[0]), "Mul", names[1])
