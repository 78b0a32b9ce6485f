"""ReduceMean, ReduceMax and ReduceSum over any axes except the samples."""

import math
from typing import Any

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, argument, checked_axis, operator
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    Rescaling,
)

POOLINGS = {
    "ReduceMean": (GlobalAveragePooling2D, GlobalAveragePooling1D),
    "ReduceSum": (GlobalAveragePooling2D, GlobalAveragePooling1D),
    "ReduceMax": (GlobalMaxPooling2D, GlobalMaxPooling1D),
}


@operator(*POOLINGS)
def reduce(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a pooling over these axes; a sum is the mean times the number of elements."""
    x = t.plain(given[0])
    axes = _axes(node, given, x)
    if x.whole and node.op != "ReduceMax":
        raise Unread("of whole numbers")
    if x.batch in axes:
        raise Unread("over the samples")
    keeps = bool(node("keepdims", 1))
    kept = [axis for axis in x.order[1:] if axis not in axes]
    gone = [axis for axis in x.order[1:] if axis in axes]
    left = [axis for axis in range(x.rank) if axis not in axes]
    two, one = POOLINGS[node.op]
    if not gone:
        return x
    if len(gone) == 2 and len(kept) == 1 and x.order[-1] == kept[0]:
        flattened = t.readers.get(node.outputs[0], set()) <= {"Flatten", "Reshape", "Squeeze"}
        if keeps and not flattened and node.op != "ReduceSum":
            shape = tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))
            return t.add(two, x, x.order, shape, options={"keepdims": True})
        number = t.steps.add(two, [x.number])
    else:
        x = t.arranged(x, (x.batch, *gone, *kept))
        sizes = (math.prod(x.shape[axis] for axis in gone), math.prod(x.shape[axis] for axis in kept))
        rows = t.steps.reshaped(x.number, sizes)
        number = t.steps.add(one, [rows])
        if len(kept) > 1:
            target = tuple(x.shape[axis] for axis in kept)
            number = t.steps.reshaped(number, target)
    if node.op == "ReduceSum":
        count = math.prod(x.shape[axis] for axis in gone)
        number = t.steps.add(Rescaling, [number], {"scale": float(count)})
    shape = tuple(x.shape[axis] for axis in left)
    order = (left.index(x.batch), *(left.index(axis) for axis in kept))
    y = Value(number, shape, order)
    if not keeps:
        return y
    return t.reshaped(y, [1 if axis in axes else extent for axis, extent in enumerate(x.shape)], x.batch)


def _axes(node: Node, given: list[Any], x: Value) -> set[int]:
    axes = argument(node, given, "axes", 1)
    if not axes:
        if node("noop_with_empty_axes", 0):
            return set()
        return set(range(x.rank))
    return {checked_axis(int(axis), x.rank) for axis in axes}
