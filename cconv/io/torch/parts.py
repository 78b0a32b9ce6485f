"""Each layer's module in torch: its tensors, their shapes, and how they become weights.

=====================  =================================================================================
here                   torch
=====================  =================================================================================
convolution            ``weight`` (out, in / groups, h, w), here (h, w, in / groups, out)
depthwise              ``weight`` (channels · multiplier, 1, h, w), here (h, w, channels, multiplier)
transposed             ``weight`` (in, out / groups, h, w), here (h, w, out / groups, in)
`Dense`                ``weight`` (out, in), here (in, out)
batch normalisation    ``weight``, ``bias``, ``running_mean``, ``running_var``
other normalisations   ``weight``, ``bias``
`PReLU`                ``weight`` (channels) or (1)
`LayerScale`           a parameter of its block, with its own name
=====================  =================================================================================
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from cconv.io.torch.ordering import Order, Orders
from cconv.layers import (
    BatchNormalization,
    Dense,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LayerScale,
    Normalization,
    PReLU,
    RMSNormalization,
)
from cconv.layers.affine import Affine
from cconv.layers.convolution import DepthwiseConvolution
from cconv.layers.separable import SeparableConvolution

Shape = tuple[int, ...]
Turn = Callable[[np.ndarray], np.ndarray]

# Kinds of modules, as they can be recognised in a file.
PRODUCT, DENSE, BATCH, NORM, ALONE, SINGLE = "convolution", "dense", "batch", "norm", "alone", "single"


class Slot(NamedTuple):
    """A tensor of a module.

    Attributes
    ----------
    name : str
        Within the module; empty if the module is only this tensor.
    layer : Layer or None
        The layer of the weight; None if only torch has the tensor, whose elements are then `constant`.
    key : str
        Name of the weight in the layer.
    shape : tuple of int
        The shape in torch.
    into, out : callable
        Convert the tensor to the weight, and the weight to the tensor.
    constant : float
        The value that all elements must have, if there is no weight.
    """

    name: str
    layer: Layer | None
    key: str
    shape: Shape
    into: Turn
    out: Turn
    constant: float = 0.0

    @property
    def place(self) -> np.ndarray:
        """The weight."""
        assert self.layer is not None
        store = self.layer.params if self.key in self.layer.params else self.layer.state
        return store[self.key]


class Part(NamedTuple):
    """A layer, or half of a separable one, that is a module in torch."""

    name: str
    kind: str
    slots: tuple[Slot, ...]


def parts_of(model: Any, order: str) -> list[Part]:
    """Return the modules of a built model, in the order of its graph.

    Raises
    ------
    ValueError
        For weights that are impossible in torch's module.
    """
    flow = model._inlined().flow
    orders = Orders(flow, order)
    names = {id(layer): name.replace("/", ".") for name, layer in model._named}
    parts: dict[int, list[Part]] = {}
    for number, use in enumerate(flow.uses):
        if id(use.layer) not in parts:
            inside, outside = orders.around(number)
            parts[id(use.layer)] = list(_parts(use.layer, names[id(use.layer)], inside, outside))
    return [part for found in parts.values() for part in found]


def _parts(layer: Layer, name: str, inside: Order, outside: Order) -> Iterator[Part]:
    if isinstance(layer, Normalization) or not (layer.params or layer.state):
        return
    if isinstance(layer, SeparableConvolution):
        yield Part(f"{name}.depthwise", PRODUCT, (_depthwise(layer, "depthwise_kernel"),))
        yield Part(f"{name}.pointwise", PRODUCT, (_kernel(layer, "pointwise_kernel"), *_bias(layer, None)))
    elif isinstance(layer, DepthwiseConvolution):
        yield Part(name, PRODUCT, (_depthwise(layer, "kernel"), *_bias(layer, None)))
    elif isinstance(layer, Dense):
        yield Part(name, DENSE, (_dense(layer, inside, outside), *_bias(layer, outside)))
    elif isinstance(layer, Affine):
        yield Part(name, PRODUCT, (_kernel(layer, "kernel"), *_bias(layer, None)))
    elif isinstance(layer, BatchNormalization | GroupNormalization | LayerNormalization | RMSNormalization):
        yield from _normalization(layer, name, inside)
    elif isinstance(layer, PReLU):
        yield Part(name, ALONE, (_slopes(layer, inside),))
    elif isinstance(layer, LayerScale):
        yield Part(name, SINGLE, (_row(layer, "", "gamma", inside),))
    else:
        for key, array in [*layer.params.items(), *layer.state.items()]:
            yield Part(f"{name}.{key}", SINGLE, (Slot("", layer, key, array.shape, _same, _same),))


# --- tensors --------------------------------------------------------------------------------------


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _kernel(layer: Layer, key: str) -> Slot:
    """Return the slot of a kernel, also a transposed one: its last two axes come first in torch."""
    shape = layer.params[key].shape
    spatial = tuple(range(len(shape) - 2))
    there = (len(shape) - 1, len(shape) - 2, *spatial)
    back = (*(axis + 2 for axis in spatial), 1, 0)
    size = tuple(shape[axis] for axis in there)
    return Slot("weight", layer, key, size, lambda w: w.transpose(back), lambda w: w.transpose(there))


def _depthwise(layer: Layer, key: str) -> Slot:
    *spatial, channels, multiplier = layer.params[key].shape
    axes = tuple(range(len(spatial)))
    size = (channels * multiplier, 1, *spatial)

    def into(weight: np.ndarray) -> np.ndarray:
        apart = weight.reshape(channels, multiplier, *spatial)
        return apart.transpose(*(axis + 2 for axis in axes), 0, 1)

    def out(kernel: np.ndarray) -> np.ndarray:
        return kernel.transpose(len(axes), len(axes) + 1, *axes).reshape(size)

    return Slot("weight", layer, key, size, into, out)


def _dense(layer: Layer, inside: Order, outside: Order) -> Slot:
    shape = layer.params["kernel"].shape[::-1]

    def into(weight: np.ndarray) -> np.ndarray:
        return _placed(_placed(weight, outside).T, inside)

    def out(kernel: np.ndarray) -> np.ndarray:
        return _taken(_taken(kernel, inside).T, outside)

    return Slot("weight", layer, "kernel", shape, into, out)


def _bias(layer: Layer, order: Order) -> Iterator[Slot]:
    if "bias" in layer.params:
        yield _row(layer, "bias", "bias", order)


def _row(layer: Layer, name: str, key: str, order: Order) -> Slot:
    """Return the slot of a tensor of one axis, or of an image's axes, whose channels come first in torch."""
    shape = layer.params[key].shape if key in layer.params else layer.state[key].shape
    if len(shape) == 3:
        there, back = (2, 0, 1), (1, 2, 0)
        size = tuple(shape[axis] for axis in there)
        return Slot(name, layer, key, size, lambda w: w.transpose(back), lambda w: w.transpose(there))
    if len(shape) > 1:
        return Slot(name, layer, key, shape, _same, _same)
    return Slot(name, layer, key, shape, lambda w: _placed(w, order), lambda w: _taken(w, order))


def _placed(values: np.ndarray, order: Order) -> np.ndarray:
    """Return values, given in torch's order, in the order here."""
    if order is None or len(order) != len(values):
        return values
    placed = np.empty_like(values)
    placed[order] = values
    return placed


def _taken(values: np.ndarray, order: Order) -> np.ndarray:
    """Return values, given in the order here, in torch's order."""
    return values if order is None or len(order) != len(values) else values[order]


def _constant(name: str, shape: Shape, value: float) -> Slot:
    return Slot(name, None, "", shape, _same, _same, value)


def _normalization(layer: Any, name: str, order: Order) -> Iterator[Part]:
    factor = "scale" if isinstance(layer, RMSNormalization) else "gamma"
    keys = {"weight": factor, "bias": "beta"}
    of_batch = isinstance(layer, BatchNormalization)
    shapes = [array.shape for array in (*layer.params.values(), *layer.state.values())]
    slots = [
        _row(layer, torch, key, order) if key in layer.params else _constant(torch, shapes[0], 1.0 - number)
        for number, (torch, key) in enumerate(keys.items())
    ]
    if of_batch:
        slots += [_row(layer, "running_mean", "moving_mean", order)]
        slots += [_row(layer, "running_var", "moving_variance", order)]
    kind = BATCH if of_batch else NORM if "beta" in layer.params else ALONE
    yield Part(name, kind, tuple(slots))


def _slopes(layer: PReLU, order: Order) -> Slot:
    alpha = layer.params["alpha"]
    if len([extent for extent in alpha.shape if extent > 1]) > 1:
        raise ValueError(
            f"{layer.where}: torch has one slope a channel or one for all, this layer has {alpha.shape}: "
            "give it shared_axes=[1, 2]"
        )
    shape = alpha.shape
    return Slot(
        "weight",
        layer,
        "alpha",
        (math.prod(shape),),
        lambda w: _placed(w, order).reshape(shape),
        lambda a: _taken(a.reshape(-1), order),
    )
