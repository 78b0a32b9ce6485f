"""Operators that only change shapes or orders: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Identity."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from cconv.io.onnx.reading.constants import DTYPES, target_shape
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, argument, checked_axis, constant, operator
from cconv.io.onnx.reading.values import Flat, Unread, Value


@operator("Identity")
def identity(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the value itself."""
    return given[0]


@operator("Dropout")
def dropout(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the value itself: a file is a trained network."""
    training = constant(given, 2, "a training_mode")
    if training is not None and training.any():
        raise Unread("in training")
    return given[0]


@operator("Cast")
def cast(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the value itself, since a model has one dtype; a cast that rounds is refused."""
    to = DTYPES.get(node("to"))
    if to is None:
        raise Unread(f"to the type {node('to')}")
    whole = np.dtype(to).kind in "iu"
    if np.dtype(to).kind == "b" or (whole and not given[0].whole):
        raise Unread(f"to {np.dtype(to)}")
    return replace(given[0], whole=whole)


@operator("CastLike")
def cast_like(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the value itself, if the cast would not round."""
    like = given[1]
    whole = like.whole if isinstance(like, Value) else like.dtype.kind != "f"
    if whole and not given[0].whole:
        raise Unread("to whole numbers")
    return replace(given[0], whole=whole)


@operator("Reshape")
def reshape(t: Translator, node: Node, given: list[Any]) -> Value | Flat:
    """Return the same elements in another shape."""
    target = argument(node, given, "shape", 1)
    if target is None:
        raise ValueError("it has no shape")
    x = given[0]
    shape = target_shape(x.shape, target, node("allowzero", 0))
    if len(shape) == 1 < x.rank and t.readers.get(node.outputs[0]) == {"Gather"}:
        return Flat(x)
    return t.reshaped(x, shape)


@operator("Flatten")
def flatten(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the axes in front of `axis` joined to one, and those from it on joined to another."""
    x = given[0]
    axis = node("axis", 1)
    if not -x.rank <= axis <= x.rank:
        raise ValueError(f"there is no axis {axis} of {x.rank}")
    axis += x.rank if axis < 0 else 0
    return t.reshaped(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@operator("Squeeze")
def squeeze(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the value without axes of size 1."""
    x = given[0]
    axes = argument(node, given, "axes", 1)
    if axes is None:
        gone = [axis for axis, extent in enumerate(x.shape) if extent == 1]
    else:
        gone = [checked_axis(axis, x.rank) for axis in axes]
    if any(x.shape[axis] != 1 for axis in gone):
        raise ValueError(f"axes {gone} of {x.shape} are not all of size 1")
    if x.batch in gone:
        raise Unread("that takes the axis of the samples away")
    kept = [axis for axis in range(x.rank) if axis not in gone]
    return t.reshaped(x, [x.shape[axis] for axis in kept], kept.index(x.batch))


@operator("Unsqueeze")
def unsqueeze(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the value with more axes of size 1."""
    x = given[0]
    axes = argument(node, given, "axes", 1)
    if axes is None or len(axes) > 8:
        raise ValueError("it has no axes")
    rank = x.rank + len(axes)
    new = [checked_axis(axis, rank) for axis in axes]
    if len(set(new)) < len(new):
        raise ValueError(f"axes {axes} are not all different")
    old = [axis for axis in range(rank) if axis not in new]
    shape = [1] * rank
    for axis, extent in zip(old, x.shape, strict=True):
        shape[axis] = extent
    return t.reshaped(x, shape, old[x.batch])


@operator("Transpose")
def transpose(t: Translator, node: Node, given: list[Any]) -> Value:
    """Return the value with other axes; no element moves before a layer requires it."""
    x = t.plain(given[0])
    perm = node("perm") or list(range(x.rank))[::-1]
    if sorted(perm) != list(range(x.rank)):
        raise ValueError(f"perm {perm} is no order of {x.rank} axes")
    shape = tuple(x.shape[axis] for axis in perm)
    return replace(x, shape=shape, order=tuple(perm.index(axis) for axis in x.order))
