"""Values of an ONNX graph as outputs of layers: the same elements, perhaps with the axes in another order.

An ONNX image is (n, c, h, w), a layer computes (n, h, w, c). So a value knows the stored order of its axes; a
Transpose changes only this order, and a `Permute` is made only if another order is required.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cconv.io.onnx.reading.steps import Steps

Shape = tuple[int, ...]


class Unread(ValueError):
    """A node that no layer can express: the text follows the operator's name.

    With the shape and the axis of samples of its output, the nodes behind it can be examined too, so that the
    error lists everything that is missing.
    """

    def __init__(self, text: str, shape: Sequence[int] | None = None, batch: int = 0) -> None:
        super().__init__(text)
        self.shape, self.batch = shape, batch


@dataclass(frozen=True)
class Flat:
    """A value flattened to one row, for a Gather that may restore the samples."""

    value: "Value"


@dataclass(frozen=True)
class Value:
    """The output of a step, with its shape in the graph.

    Attributes
    ----------
    number : int
        Number of the value.
    shape : tuple of int
        As in ONNX, with the batch.
    order : tuple of int
        The value's axes in the order of the layer's array, the batch first.
    parts : tuple of int
        For (n, features) whose features are the axes of an image in another order: the axes' stored sizes.
        Otherwise empty.
    turn : tuple of int
        The numbers of these axes in ONNX' order. Otherwise empty.
    whole : bool
        Whether all elements are integers, as in `ArgMax`.
    """

    number: int
    shape: Shape
    order: tuple[int, ...]
    parts: Shape = ()
    turn: tuple[int, ...] = ()
    whole: bool = False

    @property
    def rank(self) -> int:
        """The number of axes, including the batch."""
        return len(self.shape)

    @property
    def batch(self) -> int:
        """The axis of the samples."""
        return self.order[0]

    def place(self, axis: int) -> int:
        """Return where an axis is stored; the batch is 0."""
        return self.order.index(axis)


def images_last(rank: int) -> tuple[int, ...]:
    """Return the order with the second axis, the channels, at the end."""
    return (0, *range(2, rank), 1) if rank > 1 else (0,)


class Layout:
    """The steps so far, and methods that bring values into an order or a shape."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._arranged: dict[tuple[int, tuple[int, ...]], int] = {}
        self._sources: dict[tuple[int, Shape, Shape], Value] = {}  # by the reshaped value

    def inner(self, value: Value) -> Shape:
        """Return one sample's shape in the stored order."""
        return tuple(value.shape[axis] for axis in value.order[1:]) or (1,)

    def plain(self, value: Value) -> Value:
        """Return a value with its features in ONNX' order."""
        if not value.parts:
            return value
        images = self.steps.reshaped(value.number, value.parts)
        dims = tuple(place + 1 for place in value.turn)
        turned = self.steps.permuted(images, dims)
        flat = self.steps.reshaped(turned, (math.prod(value.parts),))
        return replace(value, number=flat, parts=(), turn=())

    def arranged(self, value: Value, order: Sequence[int]) -> Value:
        """Return a value with its axes stored in that order, the batch first."""
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
        """Return a value with these axes stored last, in this order; the order of the others is kept."""
        kept = [axis for axis in value.order if axis not in axes]
        return self.arranged(value, (*kept, *axes))

    # --- reshaping ----------------------------------------------------------------------------

    def source(self, value: Value) -> Value | None:
        """Return the value before it was reshaped; None if it was not."""
        return self._sources.get((value.number, value.shape, value.order))

    def note_source(self, value: Value, source: Value) -> None:
        """Record that reshaping `value` back gives `source`."""
        self._sources[value.number, value.shape, value.order] = source

    def reshaped(self, value: Value, shape: Sequence[int], batch: int | None = None) -> Value:
        """Return a value in another shape, in the order of its axes in ONNX.

        Parameters
        ----------
        value : Value
        shape : sequence of int
            The new shape, with the batch.
        batch : int, optional
            The axis of samples in the new shape; by default it is found by the sizes.

        Raises
        ------
        Unread
            If samples would be mixed.
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
        """Return (n, features) with features in the stored order: the next layer's weights are rearranged."""
        parts = tuple(value.shape[axis] for axis in long)
        turn = tuple(list(long).index(axis) for axis in sorted(long))
        number = self.steps.reshaped(value.number, (math.prod(parts),))
        return Value(number, shape, (0, 1), parts, turn, value.whole)

    @staticmethod
    def _batch_of(value: Value, shape: Shape) -> int:
        """Return the axis of samples in another shape of a value."""
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
    """Return which axes become which, without those of size 1, in the smallest groups of equal product."""
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
    """Return the axes ordered so that the axes of a group are neighbours, in ONNX' order."""
    group_of = {axis: group[0] for group in groups for axis in group[0]}
    gathered: list[int] = []
    for axis in long:
        if axis not in gathered:
            gathered += group_of[axis]
    return gathered


def _with_units(out: Sequence[int], shape: Shape, batch: int) -> tuple[int, ...]:
    """Return an order of all axes with those longer than 1 as given; for images if possible channels last."""
    orders: list[tuple[int, ...]] = [(0, 2, 3, 1)] if len(shape) == 4 and batch == 0 else []
    orders.append((batch, *(axis for axis in range(len(shape)) if axis != batch)))
    for order in orders:
        if [axis for axis in order[1:] if shape[axis] != 1] == list(out):
            return order
    units = [axis for axis in range(len(shape)) if axis != batch and shape[axis] == 1]
    return (batch, *out, *units)
