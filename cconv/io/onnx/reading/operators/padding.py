"""Pad."""

from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.operators.moving import sliced
from cconv.io.onnx.reading.translating import Translator, argument, checked_axis, constant, operator
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import Pad, ZeroPadding2D

LARGEST = 1 << 20  # elements on one side
MOST_LINES = 1 << 14  # limit of the lines that are copied one by one


@operator("Pad")
def pad(t: Translator, node: Node, given: list[Any]) -> Value:
    """Pad a value; negative pads crop it."""
    x = t.plain(given[0])
    pairs = _pairs(t, node, given, x)
    parts = [slice(-min(a, 0), e + min(b, 0)) for (a, b), e in zip(pairs, x.shape, strict=True)]
    mode = node("mode", "constant")
    x = sliced(t, x, parts)
    pairs = [(max(before, 0), max(after, 0)) for before, after in pairs]
    if not any(map(any, pairs)):
        return x
    if any(pairs[x.batch]):
        raise Unread("of the samples")
    if mode not in ("constant", "edge", "reflect", "wrap"):
        raise Unread(f"with mode {mode!r}")
    value = node("value", 0.0)
    filled = constant(given, 2, "a value")
    if filled is not None and filled.size:
        value = float(filled.ravel()[0])
    shape = tuple(extent + sum(pair) for extent, pair in zip(x.shape, pairs, strict=True))
    width = [pairs[axis] for axis in x.order[1:]]
    if mode == "constant" and value == 0 and x.rank == 4 and not any(width[2]):
        return t.add(ZeroPadding2D, x, x.order, shape, options={"padding": tuple(width[:2])})
    if not np.isfinite(value):
        raise Unread(f"with the value {value}")
    if mode != "constant" and sum(map(sum, width)) > MOST_LINES:
        raise Unread(f"with mode {mode!r} and more than {MOST_LINES} elements")
    options: dict[str, Any] = {"pad_width": width}
    if mode != "constant":
        options["mode"] = mode
    elif value:
        options["constant_values"] = value
    return t.add(Pad, x, x.order, shape, options=options)


def _pairs(t: Translator, node: Node, given: list[Any], x: Value) -> list[tuple[int, int]]:
    """Return the padding before and behind every axis."""
    pads = node("paddings") or argument(node, given, "pads", 1)
    axes = constant(given, 3, "axes")
    places = list(range(x.rank)) if axes is None else [checked_axis(int(a), x.rank) for a in axes.ravel()]
    if pads is None or len(pads) != 2 * len(places) or any(abs(entry) > LARGEST for entry in pads):
        raise ValueError(f"pads {pads} do not fit {x.shape}")
    pairs = [(0, 0)] * x.rank
    for number, axis in enumerate(places):
        pairs[axis] = int(pads[number]), int(pads[number + len(places)])
    return pairs
