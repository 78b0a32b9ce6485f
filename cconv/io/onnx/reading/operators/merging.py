"""Concat."""

from collections import Counter
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, axis_of, operator
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import Concatenate


@operator("Concat")
def concat(t: Translator, node: Node, given: list[Any]) -> Value:
    """Join values along an axis."""
    if any(isinstance(one, np.ndarray) for one in given):
        raise Unread("with a constant", *_joined(node, given))
    values = [t.plain(value) for value in given]
    if len(values) == 1:
        return values[0]
    axis = axis_of(node, values[0])
    first = values[0]
    others = {(*v.shape[:axis], *v.shape[axis + 1 :]) for v in values}
    if len({v.batch for v in values}) > 1 or axis == first.batch:
        raise Unread("along the axis of the samples")
    if len(others) > 1 or len({v.rank for v in values}) > 1:
        raise ValueError(f"shapes {[v.shape for v in values]} do not fit along axis {axis}")
    order = Counter(value.order for value in values).most_common(1)[0][0]
    place = order.index(axis)
    options = {"axis": t.outer_axis(place, first.rank)}
    if place == first.rank - 1 and (first.rank != 4 or t.steps.data_format == "channels_last"):
        options = {}
    shape = (*first.shape[:axis], sum(v.shape[axis] for v in values), *first.shape[axis + 1 :])
    return t.add(Concatenate, [t.arranged(v, order) for v in values], order, shape, options=options)


def _joined(node: Node, given: list[Any]) -> tuple[Any, ...]:
    """Return the shape of joined values and constants, and the axis of samples; () if they do not fit."""
    first = next(one for one in given if isinstance(one, Value))
    if any(len(one.shape) != first.rank for one in given):
        return ()
    axis = axis_of(node, first)
    shape = list(first.shape)
    shape[axis] = sum(one.shape[axis] for one in given)
    return shape, first.batch
