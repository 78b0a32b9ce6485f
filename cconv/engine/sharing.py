"""Layers that a model uses more than once, or in inference mode: each such use gets its own copy.

A copy has the layer's weights and state, and keeps for itself what its backward pass needs. The gradients of
all uses are added at the end, in the order of the uses.
"""

import copy
from typing import NamedTuple

from cconv.engine.flow import Flow
from cconv.engine.memory import PlanRun
from cconv.layers.base import Layer
from cconv.ops import merging

# From one use of a layer to the next, the key of its random draws grows by NEXT_KEY.
NEXT_KEY = 1 << 20


class _Copy(NamedTuple):
    layer: Layer
    twin: Layer
    times: int  # the layer has been used before
    followed: tuple[str, ...]  # attributes that the copy has from the layer in every batch


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
        given = (name for name in layer._parameters() if name in vars(layer))
        entry = _Copy(layer, twin, times, ("trainable", *given))
        self._copies.append(entry)
        if times:
            twin.grads = {}
            self._again.append(entry)
        return twin

    def follow(self) -> None:
        """Give every copy its layer's arguments as they are now, and the key of its own random draws."""
        for layer, twin, times, followed in self._copies:
            twin.key = layer.key + times * NEXT_KEY
            for name in followed:
                vars(twin)[name] = vars(layer)[name]

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
