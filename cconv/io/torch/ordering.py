"""The order of a row's features in torch: behind a Flatten it is channels first.

Images are channels last here and channels first in torch, so a feature has different places in the flattened
rows. An order is an array `p`: the feature at place t in torch is at ``p[t]`` here. The order is followed
through all layers that keep it, so that dense layers, normalisations and slopes behind a Flatten are
reordered. If the output of a dense layer becomes an image, its outputs are reordered too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cconv.engine.flow import Flow, Use
from cconv.layers import Concatenate, Dense, Flatten, Layer, Permute, Reshape
from cconv.layers.spatial import Spatial

Order = np.ndarray | None  # None: as here

AXES = "hwc"
DEFAULT = "chw"


def check_order(where: str, order: Any) -> str:
    """Return the argument flatten_order, checked."""
    if order is None:
        return DEFAULT
    if not isinstance(order, str):
        raise TypeError(f"{where}: flatten_order must be three letters as in {DEFAULT!r}, got {order!r}")
    if sorted(order) != sorted(AXES):
        raise ValueError(
            f"{where}: flatten_order must have each of c, h and w once, the one that changes slowest first, "
            f"as torch's {DEFAULT!r}, got {order!r}"
        )
    return order


def flattened(shape: tuple[int, ...], order: str, first: bool = False) -> Order:
    """Return the order of a row that was an image or a sequence of this shape.

    The channels are last, or, if `first`, first.

    Examples
    --------
    >>> flattened((1, 2, 3), "chw")
    array([0, 3, 1, 4, 2, 5])
    """
    names = {1: "c", 2: "wc", 3: AXES}.get(len(shape))
    if names is None:
        return None
    names = names[-1] + names[:-1] if first else names
    axes = [names.index(letter) for letter in order if letter in names]
    size = int(np.prod(shape))
    found = np.arange(size).reshape(shape).transpose(axes).ravel()
    return None if np.array_equal(found, np.arange(size)) else found


class Orders:
    """The orders of all rows of a model.

    Parameters
    ----------
    flow : Flow
        Flow of a built model.
    order : str
        How torch flattens: the letters of `AXES` in another order.
    """

    def __init__(self, flow: Flow, order: str) -> None:
        self._flow, self._order = flow, order
        self._first = _channels_first(flow)
        self._wanted = self._backward()
        self._of: dict[int, Order] = {}
        for number, use in enumerate(flow.uses):
            self._of[flow.value_of(number)] = self._behind(use, flow.value_of(number))

    def around(self, number: int) -> tuple[Order, Order]:
        """Return the orders of the rows that are a use's input and output."""
        use = self._flow.uses[number]
        return self._of.get(use.inputs[0]), self._of[self._flow.value_of(number)]

    def _backward(self) -> Mapping[int, Order]:
        """Return the orders of rows that become images, from the last use to the first."""
        wanted: dict[int, Order] = {}
        for number in reversed(range(len(self._flow.uses))):
            use = self._flow.uses[number]
            if len(use.inputs) != 1 or not _is_row(use.layer.input_shape):
                continue
            shape = use.layer._inner(use.layer.output_shape)
            if isinstance(use.layer, Reshape) and len(shape) > 1:
                first = self._flow.value_of(number) in self._first
                wanted.setdefault(use.inputs[0], flattened(shape, DEFAULT, first))
            elif _keeps(use.layer) and self._flow.value_of(number) in wanted:
                wanted.setdefault(use.inputs[0], wanted[self._flow.value_of(number)])
        return wanted

    def _behind(self, use: Use, value: int) -> Order:
        layer = use.layer
        if isinstance(layer, Flatten | Reshape) and _is_row(layer.output_shape):
            shape = layer._inner(layer._checked_shape(layer.input_shape))
            if _is_row(shape):
                return self._of.get(use.inputs[0])
            first = use.inputs[0] in self._first
            if isinstance(layer, Flatten) and layer._turns:
                shape, first = shape[::-1], not first
            return flattened(shape, self._order, first)
        if not _is_row(layer.output_shape):
            return None
        if isinstance(layer, Dense):
            return self._wanted.get(value)
        given = [self._of.get(each) for each in use.inputs]
        if isinstance(layer, Concatenate):
            shapes: Any = layer.input_shape
            return _joined(given, [shape[-1] for shape in shapes])
        if len(given) > 1:
            _agree(layer, given)
        return given[0] if _keeps(layer) or len(given) > 1 else None


def _channels_first(flow: Flow) -> set[int]:
    """Return the values that are sequences (c, steps): what layers with that data format read and write."""
    found: set[int] = set()
    for forward in (True, False):
        for number in range(len(flow.uses)) if forward else reversed(range(len(flow.uses))):
            layer, inputs, value = flow.uses[number].layer, flow.uses[number].inputs, flow.value_of(number)
            if isinstance(layer, Spatial):
                found.update((*inputs, value) if layer._turns else ())
            elif isinstance(layer, Permute | Reshape) or len(layer.output_shape) != 2:
                continue
            elif forward and found.intersection(inputs):
                found.add(value)
            elif not forward and value in found:
                found.update(inputs)
    return found


def _agree(layer: Layer, orders: list[Order]) -> None:
    """Refuse to merge rows whose elements torch orders otherwise, so that those of one place do not meet."""
    size = layer.output_shape[-1]
    first, *others = (np.arange(size) if order is None else order for order in orders)
    if any(not np.array_equal(first, other) for other in others):
        raise ValueError(
            f"{layer.name} merges a flattened image with rows that have another order in torch: "
            "its weights cannot be matched"
        )


def _is_row(shape: Any) -> bool:
    return len(shape) == 1 and isinstance(shape[0], int)


def _keeps(layer: Layer) -> bool:
    """Whether every output element has the place of the input element that it comes from."""
    return not isinstance(layer, Dense) and layer.output_shape == layer.input_shape


def _joined(orders: list[Order], sizes: list[int]) -> Order:
    if all(order is None for order in orders):
        return None
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [
        start + (np.arange(size) if order is None else order)
        for order, size, start in zip(orders, sizes, starts, strict=True)
    ]
    return np.concatenate(parts)
