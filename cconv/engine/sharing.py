"""Layers that a model uses more than once, or in inference mode: each such use gets its own copy.

A copy has the layer's weights and state, and keeps for itself what its backward pass needs. The gradients of
all uses are added at the end, in the order of the uses.
"""

import copy
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from cconv.engine.flow import Flow
from cconv.engine.memory import PlanRun
from cconv.layers.base import Layer
from cconv.layers.hooks import own_of
from cconv.ops import merging

# From one use of a layer to the next, the key of its random draws grows by NEXT_KEY.
NEXT_KEY = 1 << 20


class _Copy(NamedTuple):
    layer: Layer
    twin: Layer
    times: int  # the layer has been used before
    arguments: tuple[str, ...]  # which the copy has from the layer in every batch
    values: Callable[[dict[str, Any]], tuple[Any, ...]]  # returns theirs from the layer's attributes
    own: bool  # whether the layer is one of the user's own


def _numbers(layer: Layer) -> dict[str, Any]:
    """Return the numbers and texts in attributes of a layer of the user's own.

    Other values may be what a pass keeps for the next one, such as memory that is used again.
    """
    kinds = bool | int | float | complex | str | np.generic
    attributes = list(vars(layer).items())
    return {
        name: value for name, value in attributes if not name.startswith("_") and isinstance(value, kinds)
    }


class Shared:
    """The layers of a flow, and the copies for their further uses.

    Attributes
    ----------
    layers : list of Layer
        In the order of their first use, each once.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._copies: list[_Copy] = []
        self._again: list[_Copy] = []

    def used(self, layer: Layer, at_inference: bool) -> Layer:
        """Return the layer for the next use: the layer itself, or a copy."""
        times = sum(other.layer is layer for other in self._copies) + (layer in self.layers)
        if not times:
            self.layers.append(layer)
            if not at_inference:
                return layer
        twin = copy.copy(layer)
        twin._as_at_inference = at_inference
        names = {"name", "trainable", *layer._parameters()} & vars(layer).keys()
        own = own_of(type(layer), "forward") is not None
        entry = _Copy(layer, twin, times, tuple(names), itemgetter(*names), own)
        self._copies.append(entry)
        if times:
            twin.grads = {}
            self._again.append(entry)
        return twin

    def follow(self) -> None:
        """Give every copy its layer's settings as they are now, and the key of its own random draws."""
        for layer, twin, times, arguments, values, own in self._copies:
            to = vars(twin)
            to.update(zip(arguments, values(vars(layer)), strict=True))
            if own:
                to.update(_numbers(layer))
            twin.key = layer.key + times * NEXT_KEY

    def add_gradients(self, run: PlanRun) -> None:
        """Add the gradients of further uses to those of the first use."""
        for layer, twin, *_ in self._again:
            for name, gradient in twin.grads.items() if layer.trainable else ():
                total = layer.grads[name]
                merging.add(total, gradient, total, run)


def apart(flow: Flow) -> tuple[Flow, Shared]:
    """Return a flow in which every use has its own layer, and the object that joins them."""
    shared = Shared()
    layers = [shared.used(use.layer, use.at_inference) for use in flow.uses]
    shared.follow()
    return flow.with_layers(layers), shared
