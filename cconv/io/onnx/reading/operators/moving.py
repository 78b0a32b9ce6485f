"""Parts and copies: Slice, Split, Gather, Tile, Expand, SpaceToDepth, DepthToSpace, ArgMax."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cconv.io.onnx.reading.constants import slices, split_sizes
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, argument, axis_of, constant, operator
from cconv.io.onnx.reading.values import Flat, Unread, Value
from cconv.layers import ArgMax, DepthToSpace, Slice, SpaceToDepth, Tile


def sliced(t: Translator, value: Value, parts: Sequence[slice]) -> Value:
    """Return a part of a value, along all of its axes."""
    x = t.plain(value)
    shape = tuple(len(range(*part.indices(extent))) for part, extent in zip(parts, x.shape, strict=True))
    along = parts[x.batch].indices(x.shape[x.batch])
    if range(*along) != range(x.shape[x.batch]):
        raise Unread("of the samples")
    if 0 in shape:
        raise Unread("that leaves nothing")
    if all(
        range(*part.indices(extent)) == range(extent) for part, extent in zip(parts, x.shape, strict=True)
    ):
        return x
    bounds = [_shortest(parts[axis], x.shape[axis]) for axis in x.order[1:]]
    begin, end, step = (list(column) for column in zip(*bounds, strict=True))
    options: dict[str, Any] = {"begin": begin, "end": end}
    if any(entry != 1 for entry in step):
        options["step"] = step
    return t.add(Slice, x, x.order, shape, options=options)


def _shortest(part: slice, extent: int) -> tuple[int | None, int | None, int]:
    """Return begin, end and step, with None for an end of the axis."""
    begin, end, step = part.indices(extent)
    whole = range(extent) if step > 0 else range(extent - 1, -1, -1)
    first = None if begin == whole.start else begin
    return first, None if (end == whole.stop) else end, step


@operator("Slice")
def slice_(t: Translator, node: Node, given: list[Any]) -> Value:
    """Take a part."""
    if any(isinstance(one, Value) for one in given[1:]):
        raise Unread("with bounds that depend on the input")
    return sliced(t, given[0], slices(node, given, given[0].rank))


@operator("Split")
def split(t: Translator, node: Node, given: list[Any]) -> list[Value]:
    """Take consecutive parts."""
    constant(given, 1, "sizes")
    x = given[0]
    axis = axis_of(node, x, 0)
    sizes = split_sizes(node, given, x.shape[axis])
    if axis == x.batch and len(sizes) > 1:
        raise Unread("of the samples")
    found, begin = [], 0
    for name, size in zip(node.outputs, sizes, strict=True):
        parts = [slice(None)] * x.rank
        parts[axis] = slice(begin, begin + size)
        begin += size
        found.append(sliced(t, x, parts) if t.uses.get(name) else x)
    return found


@operator("Gather")
def gather(t: Translator, node: Node, given: list[Any]) -> Value:
    """Take one element along an axis, or several evenly spaced ones."""
    x, places = given
    if isinstance(x, Flat) and isinstance(places, np.ndarray) and _counts_on(places, x.value):
        return t.reshaped(x.value, places.shape)
    if not isinstance(x, Value) or not isinstance(places, np.ndarray) or places.ndim > 1 or not places.size:
        raise Unread("by other than a number or a row of numbers")
    axis = axis_of(node, x, 0)
    extent = x.shape[axis]
    numbers = [int(place) + (extent if place < 0 else 0) for place in places.ravel()]
    if not all(0 <= number < extent for number in numbers):
        raise ValueError(f"there is no element {numbers} along an axis of {extent}")
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if not step or numbers != list(range(numbers[0], numbers[0] + step * len(numbers), step)):
        raise Unread("of elements that are not evenly spaced")
    if axis == x.batch:
        raise Unread("of the samples")
    last = numbers[-1] + (1 if step > 0 else -1)
    parts = [slice(None)] * x.rank
    parts[axis] = slice(numbers[0], None if last < 0 else last, step)
    y = sliced(t, x, parts)
    if places.ndim:
        return y
    return t.reshaped(y, (*y.shape[:axis], *y.shape[axis + 1 :]), y.batch - (axis < y.batch))


def _counts_on(places: np.ndarray, value: Value) -> bool:
    """Whether the indices are 0, 1, 2, … over all of a value: PyTorch writes ``as_strided`` in this form."""
    return places.size == math.prod(value.shape) and np.array_equal(places.ravel(), np.arange(places.size))


@operator("Tile")
def tile(t: Translator, node: Node, given: list[Any]) -> Value:
    """Repeat a value along its axes."""
    x = t.plain(given[0])
    repeats = constant(given, 1, "repeats")
    times = [] if repeats is None else [int(entry) for entry in repeats.ravel()]
    if len(times) != x.rank or min(times) < 1:
        raise ValueError(f"repeats {times} do not fit {x.shape}")
    return tiled(t, x, times)


def tiled(t: Translator, x: Value, times: Sequence[int]) -> Value:
    """Return a value repeated along each axis."""
    if times[x.batch] != 1:
        raise Unread("of the samples")
    if max(times) == 1:
        return x
    shape = tuple(extent * count for extent, count in zip(x.shape, times, strict=True))
    return t.add(Tile, x, x.order, shape, options={"repeats": [times[axis] for axis in x.order[1:]]})


@operator("Expand")
def expand(t: Translator, node: Node, given: list[Any]) -> Value:
    """Repeat a value along its axes of size 1."""
    target = argument(node, given, "shape", 1)
    x = t.plain(given[0])
    if target is None or len(target) > 16:
        raise ValueError("it has no shape")
    rank = max(len(target), x.rank)
    x = t.reshaped(x, (1,) * (rank - x.rank) + x.shape, x.batch + rank - x.rank)
    wanted = np.broadcast_shapes(x.shape, tuple(int(extent) for extent in target))
    return tiled(t, x, [want // have for want, have in zip(wanted, x.shape, strict=True)])


@operator("SpaceToDepth")
def space_to_depth(t: Translator, node: Node, given: list[Any]) -> Value:
    """Turn blocks of pixels into channels."""
    return _blocks(t, node, given[0], SpaceToDepth, {})


@operator("DepthToSpace")
def depth_to_space(t: Translator, node: Node, given: list[Any]) -> Value:
    """Turn channels into blocks of pixels."""
    mode = node("mode", "DCR")
    return _blocks(t, node, given[0], DepthToSpace, {} if mode == "DCR" else {"mode": mode})


def _blocks(t: Translator, node: Node, value: Value, make: Any, more: dict[str, Any]) -> Value:
    if make is SpaceToDepth and node("mode", "DCR") != "DCR":
        raise Unread("with another mode")
    if value.rank != 4:
        raise ValueError(f"a value of shape {value.shape} is no image")
    x = t.channels_last(value)
    return t.add(make, x, x.order, options={"block_size": node("blocksize"), **more})


@operator("ArgMax")
def argmax(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make the index of the largest value."""
    x = t.plain(given[0])
    axis = axis_of(node, x, 0)
    if axis == x.batch:
        raise Unread("over the samples")
    place, keeps = x.place(axis), bool(node("keepdims", 1))
    options: dict[str, Any] = {} if place == x.rank - 1 else {"axis": place}
    if keeps:
        options["keepdims"] = True
    if node("select_last_index", 0):
        options["select_last_index"] = True
    if keeps:
        shape, order = tuple(1 if a == axis else e for a, e in enumerate(x.shape)), x.order
    else:
        shape = (*x.shape[:axis], *x.shape[axis + 1 :])
        order = tuple(a - (a > axis) for a in x.order if a != axis)
    return replace(t.add(ArgMax, x, order, shape, options=options), whole=True)
