"""Which activations at a model's ends are left to the loss."""

import copy
from collections.abc import Sequence
from typing import Any

from cconv import activations
from cconv.activations import Activation
from cconv.engine.flow import Flow
from cconv.engine.fusing import is_plain
from cconv.layers.activation import Activation as ActivationLayer
from cconv.layers.affine import Affine
from cconv.layers.base import Layer


def split_activations(
    flow: Flow, loss: Any
) -> tuple[Flow, list[Activation | None], list[tuple[Layer, Layer]]]:
    """Return a flow that ends in logits, and for each output the activation that was removed from its end.

    The third entry lists the layers without activation, each with the layer that it replaces.
    """
    losses = getattr(loss, "parts", [loss] * len(flow.outputs))
    layers, taken, bare = flow.layers, [], []
    for value, part in zip(flow.outputs, losses, strict=True):
        number = value - flow.n_inputs
        activation = None
        if number >= 0 and flow.readers[value] == 1:
            (end,), activation = split_activation([layers[number]], part)
            if activation is not None:
                bare.append((end, layers[number]))
                layers[number] = end
        taken.append(activation)
    return flow.with_layers(layers), taken, bare


def split_activation(layers: Sequence[Layer], loss: Any) -> tuple[list[Layer], Activation | None]:
    """Return layers that end in logits, and the activation that was removed from their end.

    This is done for a loss that is more accurate without the activation: cross-entropy behind a softmax or
    sigmoid. Its gradient is then a plain difference of probabilities, and never divides by a
    small one. Otherwise, and for a layer or an activation of the user's own, the layers are those given,
    and the activation is None.
    """
    last = layers[-1]
    if not isinstance(last, Affine | ActivationLayer) or loss is None:
        return list(layers), None
    activation = last.activation
    if not is_plain(last) or type(activation) not in (activations.Softmax, activations.Sigmoid):
        return list(layers), None
    if not loss.from_logits_of(activation.key):
        return list(layers), None
    bare = copy.copy(last)  # another layer over the same weights and gradients
    bare.activation = activations.Linear()
    return [*layers[:-1], bare], activation
