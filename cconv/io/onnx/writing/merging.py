"""Layers with several inputs as ONNX nodes."""

import string
from typing import Any

from cconv.io.onnx.writing.sheet import Sheet, Value
from cconv.layers import elementwise
from cconv.layers.joining import EPSILON


def _in_line(sheet: Sheet, layer: Any, xs: list[Value]) -> list[Value]:
    """Return the inputs with the same order and number of axes."""
    rank = len(layer._running[-1])
    if all(len(x.shape) == rank for x in xs):
        first = sum(x.first for x in xs) * 2 > len(xs)
        return [sheet.first(x) if first else sheet.last(x) for x in xs]
    lined = []
    for number, x in enumerate(xs):
        shape = layer._lined_up[number]
        if layer._is_turned(number):
            x = Value(sheet.first(x).name, (x.shape[2], *x.shape[:2]))
        lined.append(x if x.shape == shape else sheet.reshape(x, shape))
    return [sheet.last(x) for x in lined]


def elementwise_layer(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Add, Subtract, Multiply, Divide, Average, Maximum, Minimum: two inputs at a time, in order."""
    kind = KINDS[type(layer)]
    y, *others = _in_line(sheet, layer, xs)
    for x, shape in zip(others, layer._running[1:], strict=True):
        y = y._replace(name=sheet.node(kind, [y.name, x.name]), shape=shape)
    if type(layer) is elementwise.Average and others:
        y = sheet.like(y, "Div", sheet.number(len(xs)))
    return y


KINDS = {
    elementwise.Add: "Add",
    elementwise.Average: "Add",
    elementwise.Subtract: "Sub",
    elementwise.Multiply: "Mul",
    elementwise.Divide: "Div",
    elementwise.Maximum: "Max",
    elementwise.Minimum: "Min",
}


def concatenate(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Concatenate, along any axis of the samples."""
    rank = len(xs[0].shape)
    place = layer._place(rank)
    first = rank > 1 and any(x.first for x in xs)
    given = [sheet.first(x) if first else sheet.last(x) for x in xs]
    axis = (place + 1) % rank + 1 if first else place + 1
    shape = layer._whole
    return Value(sheet.node("Concat", [x.name for x in given], axis=axis), shape, first)


def dot(sheet: Sheet, layer: Any, xs: list[Value]) -> Value:
    """Dot: products of all vectors of one input with all of the other."""
    turned = [layer.data_format == "channels_first" and len(x.shape) == 3 for x in xs]
    seen = [(sheet.first if turn else sheet.last)(x).name for turn, x in zip(turned, xs, strict=True)]
    if layer.normalize:
        seen = [_unit(sheet, name, at + 1) for name, at in zip(seen, layer._at, strict=True)]
    letters = iter(sorted({*string.ascii_letters} - {"k", "n"}))
    terms = []
    for x, at in zip(xs, layer._at, strict=True):
        own = ["k" if axis == at else next(letters) for axis in range(len(x.shape))]
        terms.append("".join(own))
    kept = "".join(terms).replace("k", "")
    products = sheet.node("Einsum", seen, equation=f"n{terms[0]},n{terms[1]}->n{kept}")
    shape = layer._whole
    if not kept:
        return Value(sheet.node("Reshape", [products, sheet.sizes(-1, 1)]), shape)
    return Value(products, shape, layer.data_format == "channels_first" and len(shape) == 3)


def _unit(sheet: Sheet, name: str, axis: int) -> str:
    squares = sheet.node("ReduceSum", [sheet.node("Mul", [name, name]), sheet.sizes(axis)])
    length = sheet.node("Max", [sheet.node("Sqrt", [squares]), sheet.number(EPSILON)])
    return sheet.node("Div", [name, length])
