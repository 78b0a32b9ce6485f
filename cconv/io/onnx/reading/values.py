"""Values of an ONNX graph as layers give them: the same numbers, their axes perhaps in another order.

An ONNX image is (n, c, h, w), a layer computes (n, h, w, c). So a value knows which of its axes lies where;
a Transpose changes only that, and a `Permute` is made where an order is asked for that is not there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cconv.io.onnx.reading.steps import Steps

Shape = tuple[int, ...]


class Unread(ValueError):
    """What a node asks for and no layer does: the text comes behind the operator's name.

    With the shape, and the axis of the samples, that its value would have, the nodes behind it are looked at
    too, so that all of what is missing is named.
    """

    def __init__(self, text: str, shape: Sequence[int] | None = None, batch: int = 0) -> None:
        super().__init__(text)
        self.shape, self.batch = shape, batch


@dataclass(frozen=True)
class Flat:
    """A value whose samples were put into one row, for a Gather that may take them apart again."""

    value: "Value"


@dataclass(frozen=True)
class Value:
    """What a step gives, as the graph sees it.

    Attributes
    ----------
    number : int
        Of the value among the steps'.
    shape : tuple of int
        As in ONNX, with the batch.
    order : tuple of int
        Which of its axes the axes of the layer's array are, the batch first.
    parts : tuple of int
        Of (n, features) whose features are the axes of an image in another order: their sizes as they lie,
    turn : tuple of int
        and which of these comes first, second, … in ONNX. Both empty otherwise.
    whole : bool
        Whether all numbers are whole ones, as of `ArgMax`.
    """

    number: int
    shape: Shape
    order: tuple[int, ...]
    parts: Shape = ()
    turn: tuple[int, ...] = ()
    whole: bool = False

    @property
    def rank(self) -> int:
        """Axes, the batch's among them."""
        return len(self.shape)

    @property
    def batch(self) -> int:
        """The axis of the samples."""
        return self.order[0]

    def place(self, axis: int) -> int:
        """Return where an axis lies, the batch being 0."""
        return self.order.index(axis)


def images_last(rank: int) -> tuple[int, ...]:
    """Return the order with the second axis, that of the channels, at the end."""
    return (0, *range(2, rank), 1) if rank > 1 else (0,)


class Layout:
    """The steps so far, and how values are brought into an order, or into a shape."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._arranged: dict[tuple[int, tuple[int, ...]], int] = {}
        self._sources: dict[tuple[int, Shape, Shape], Value] = {}  # what was reshaped, by what it became

    def inner(self, value: Value) -> Shape:
        """Return the shape of a sample as it lies."""
        return tuple(value.shape[axis] for axis in value.order[1:]) or (1,)

    def plain(self, value: Value) -> Value:
        """Return a value whose features are in ONNX' order."""
        if not value.parts:
            return value
        images = self.steps.reshaped(value.number, value.parts)
        dims = tuple(place + 1 for place in value.turn)
        turned = self.steps.permuted(images, dims)
        flat = self.steps.reshaped(turned, (math.prod(value.parts),))
        return replace(value, number=flat, parts=(), turn=())

    def arranged(self, value: Value, order: Sequence[int]) -> Value:
        """Return a value whose axes lie in that order, the batch's first."""
        value, order = self.plain(value), tuple(order)
        if value.order == order:
            return value
        if order[0] != value.batch:
            raise Unread("which has its samples along another axis")
        if value.rank == 1:
            return value
        key = value.number, tuple(value.place(axis) for axis in order[1:])
        if key not in self._arranged:
            sizes = tuple(value.shape[axis] for axis in order[1:])
            long = [axis for axis in order[1:] if value.shape[axis] > 1]
            if long == [axis for axis in value.order[1:] if value.shape[axis] > 1]:
                number = self.steps.reshaped(value.number, sizes)
            else:
                number = self.steps.permuted(value.number, key[1])
            self._arranged[key] = number
        return replace(value, number=self._arranged[key], order=order)

    def in_place(self, value: Value, axes: Sequence[int]) -> Value:
        """Return a value with these axes at the end, in this order; the others stay as they are."""
        kept = [axis for axis in value.order if axis not in axes]
        return self.arranged(value, (*kept, *axes))

    # --- reshaping ----------------------------------------------------------------------------

    def source(self, value: Value) -> Value | None:
        """Return what a value was before it was reshaped; None if it was not."""
        return self._sources.get((value.number, value.shape, value.order))

    def note_source(self, value: Value, source: Value) -> None:
        """Remember what reshaping a value back gives."""
        self._sources[value.number, value.shape, value.order] = source

    def reshaped(self, value: Value, shape: Sequence[int], batch: int | None = None) -> Value:
        """Return a value in another shape, as ONNX reshapes it: in the order of its own axes.

        Parameters
        ----------
        value : Value
        shape : sequence of int
            With the batch.
        batch : int, optional
            Which axis is that of the samples then; by default it is found by the sizes.

        Raises
        ------
        Unread
            Where samples would be mixed.
        """
        shape = tuple(int(extent) for extent in shape)
        before = self.source(value)
        if before is not None and before.shape == shape:
            return before
        given = value = self.plain(value)
        at = self._batch_of(value, shape) if batch is None else batch
        groups = [
            *_groups(value.shape, range(value.batch), shape, range(at)),
            *_groups(value.shape, range(value.batch + 1, value.rank), shape, range(at + 1, len(shape))),
        ]
        long = [axis for axis in value.order[1:] if value.shape[axis] > 1]
        wanted = _gathered(long, groups)
        if wanted != long and len(shape) == 2 and at == 0 and len(groups) == 1:
            return self._flattened(value, long, shape)
        if wanted != long:
            units = [axis for axis in value.order[1:] if value.shape[axis] == 1]
            value = self.arranged(value, (value.batch, *wanted, *units))
        by_first = {group[0][0]: group for group in groups}
        out = [axis for first in wanted if first in by_first for axis in by_first[first][1]]
        order = _with_units(out, shape, at)
        sizes = tuple(shape[axis] for axis in order[1:]) or (1,)
        number = value.number
        if sizes != self.inner(value):
            number = self.steps.reshaped(number, sizes)
        result = Value(number, shape, order, whole=value.whole)
        self.note_source(result, given)
        return result

    def _flattened(self, value: Value, long: Sequence[int], shape: Shape) -> Value:
        """Return (n, features) with the features as they lie: a layer behind has its weights turned."""
        parts = tuple(value.shape[axis] for axis in long)
        turn = tuple(list(long).index(axis) for axis in sorted(long))
        number = self.steps.reshaped(value.number, (math.prod(parts),))
        return Value(number, shape, (0, 1), parts, turn, value.whole)

    @staticmethod
    def _batch_of(value: Value, shape: Shape) -> int:
        """Return the axis of the samples in another shape of a value."""
        samples, front = value.shape[value.batch], math.prod(value.shape[: value.batch])
        found = [
            axis
            for axis, extent in enumerate(shape)
            if extent == samples and math.prod(shape[:axis]) == front
        ]
        if not found:
            raise Unread(f"that mixes samples: from {value.shape} to {shape}")
        return value.batch if value.batch in found else found[0]


def _groups(
    shape: Shape, axes: Sequence[int], onto: Shape, onto_axes: Sequence[int]
) -> list[tuple[list[int], list[int]]]:
    """Return which axes become which, without those of size 1: the least sets of the same product."""
    left = [axis for axis in axes if shape[axis] != 1]
    right = [axis for axis in onto_axes if onto[axis] != 1]
    groups = []
    while left or right:
        ours, theirs = [left.pop(0)] if left else [], [right.pop(0)] if right else []
        a, b = math.prod(shape[axis] for axis in ours), math.prod(onto[axis] for axis in theirs)
        while a != b:
            if a < b and left:
                ours.append(left.pop(0))
                a *= shape[ours[-1]]
            elif b < a and right:
                theirs.append(right.pop(0))
                b *= onto[theirs[-1]]
            else:
                raise Unread(f"of {shape} to {onto}, which has another number of elements")
        groups.append((ours, theirs))
    return groups


def _gathered(long: Sequence[int], groups: Sequence[tuple[list[int], list[int]]]) -> list[int]:
    """Return the axes in an order in which those of a group stand together, in ONNX' order."""
    group_of = {axis: group[0] for group in groups for axis in group[0]}
    gathered: list[int] = []
    for axis in long:
        if axis not in gathered:
            gathered += group_of[axis]
    return gathered


def _with_units(out: Sequence[int], shape: Shape, batch: int) -> tuple[int, ...]:
    """Return an order of all axes in which those longer than 1 are as given; images' as layers have them."""
    orders: list[tuple[int, ...]] = [(0, 2, 3, 1)] if len(shape) == 4 and batch == 0 else []
    orders.append((batch, *(axis for axis in range(len(shape)) if axis != batch)))
    for order in orders:
        if [axis for axis in order[1:] if shape[axis] != 1] == list(out):
            return order
    units = [axis for axis in range(len(shape)) if axis != batch and shape[axis] == 1]
    return (batch, *out, *units)
