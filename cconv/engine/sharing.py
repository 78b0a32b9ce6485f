"""Layers that a model uses more than once, or in inference mode: each such use gets its own copy.

A copy has the layer's weights and state, and keeps for itself what its backward pass needs. The gradients of
all uses are added at the end, in the order of the uses.
"""

import copy
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


def _settings(layer: Layer) -> dict[str, Any]:
    """Return what may be set on a layer at any time: its arguments, and numbers in one of the user's own.

    Other values may be what a pass keeps for the next one, such as memory that is used again.
    """
    attributes = vars(layer)
    found = {name: attributes[name] for name in ("trainable", *layer._parameters()) if name in attributes}
    if own_of(type(layer), "forward") is not None:
        found |= {
            name: value
            for name, value in list(attributes.items())
            if not name.startswith("_") and isinstance(value, bool | int | float | complex | str | np.generic)
        }
    return found


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
        entry = _Copy(layer, twin, times)
        self._copies.append(entry)
        if times:
            twin.grads = {}
            self._again.append(entry)
        return twin

    def follow(self) -> None:
        """Give every copy its layer's settings as they are now, and the key of its own random draws."""
        for layer, twin, times in self._copies:
            vars(twin).update(_settings(layer))
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
