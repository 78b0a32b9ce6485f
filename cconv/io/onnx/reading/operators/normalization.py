"""BatchNormalization, LayerNormalization, GroupNormalization, InstanceNormalization, LRN."""

import math
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, axis_of, constant, operator
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    LocalResponseNormalization,
)


@operator("BatchNormalization")
def batch_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a batch normalisation with its moving averages."""
    if node("training_mode", 0) or not node("spatial", 1):
        raise Unread("in training, or not by channels")
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights: dict[str, np.ndarray] = {}
    for number, name in enumerate(names, 1):
        array = constant(given, number, name)
        if array is None or array.shape != (given[0].shape[1],):
            raise ValueError(f"its weights do not fit {given[0].shape}")
        weights[name] = array
    x = t.channels_last(given[0])
    momentum = node("momentum", 0.9)
    options = {"epsilon": float(node("epsilon", 1e-5))}
    if 0 <= momentum < 1:
        options["momentum"] = _tidy(momentum)
    options["epsilon"] = _tidy(options["epsilon"])
    how = {"options": options, "weights": weights, "name": node.name}
    return t.mapped(BatchNormalization, x, **how)


def _tidy(number: float) -> float:
    """Return a float32 as the shortest number that it stands for: 0.001, not 0.0010000000474974513."""
    return float(str(np.float32(number)))


@operator("LayerNormalization")
def layer_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a layer normalisation over an axis and all behind it."""
    x = t.plain(given[0])
    axis = axis_of(node, x, -1)
    axes = list(range(axis, x.rank))
    if x.batch in axes or any(x.shape[a] > 1 for a in range(x.batch)):
        raise Unread("over the samples")
    shape = tuple(x.shape[a] for a in axes)
    gamma, beta = constant(given, 1, "a scale"), constant(given, 2, "a bias")
    return normalized(t, node, x, axes, gamma, beta, node("epsilon", 1e-5), shape)


def normalized(
    t: Translator,
    node: Node,
    value: Value,
    axes: list[int],
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
    shape: tuple[int, ...],
) -> Value:
    """Return a layer normalisation over these axes, with weights of that shape."""
    x = t.in_place(value, axes)
    options: dict[str, Any] = {"epsilon": _tidy(epsilon)}
    if len(axes) > 1:
        options["axis"] = list(range(x.rank - len(axes), x.rank))
    weights = {}
    for name, flag, array in (("gamma", "scale", gamma), ("beta", "center", beta)):
        if array is None:
            options[flag] = False
        else:
            t.budget.pay(math.prod(shape))
            weights[name] = np.broadcast_to(array, shape)
    return t.mapped(LayerNormalization, x, options=options, weights=weights, name=node.name)


@operator("GroupNormalization")
def group_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a normalisation of groups of channels."""
    x = t.channels_last(given[0])
    groups, channels = node("num_groups", 0), x.shape[1]
    t.budget.pay(channels)
    weights = []
    for number in (1, 2):
        array = constant(given, number, "weights")
        if array is None or array.shape not in ((channels,), (groups,)):
            raise ValueError(f"its weights do not fit {x.shape}")
        weights.append(array if array.size == channels else np.repeat(array, channels // groups))
    return grouped(t, node, x, groups, *weights)


def grouped(t: Translator, node: Node, x: Value, groups: int, gamma: np.ndarray, beta: np.ndarray) -> Value:
    """Return a group normalisation; the weights are left out where they do nothing."""
    options = {"groups": groups, "epsilon": _tidy(node("epsilon", 1e-5))}
    weights = {"gamma": gamma, "beta": beta}
    if np.all(gamma == 1) and not np.any(beta):
        options, weights = {**options, "scale": False, "center": False}, {}
    return t.mapped(GroupNormalization, x, options=options, weights=weights, name=node.name)


@operator("InstanceNormalization")
def instance_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a normalisation of every channel by itself; of groups, where these were made channels before."""
    gamma, beta = constant(given, 1, "a scale"), constant(given, 2, "a bias")
    x = given[0]
    if gamma is None or beta is None or gamma.shape != (x.shape[1],) or beta.shape != gamma.shape:
        raise ValueError(f"its weights do not fit {x.shape}")
    source = t.source(x)
    groups = x.shape[1]
    if source is not None and source.rank > 2 and source.batch == 0 and source.shape[1] % groups == 0:
        # PyTorch writes a group normalisation so: reshaped to (n, groups, …), and back.
        each = source.shape[1] // groups
        t.budget.pay(source.shape[1])
        inner = t.channels_last(source)
        y = grouped(t, node, inner, groups, np.repeat(gamma, each), np.repeat(beta, each))
        before = len(t.steps.steps)
        back = t.reshaped(y, x.shape)
        t.note_source(back, y)
        if t.uses.get(node.outputs[0]) == 1 and t.readers[node.outputs[0]] == {"Reshape"}:
            t.steps.set_idle(before)
        return back
    return grouped(t, node, t.channels_last(x), -1, gamma, beta)


@operator("MeanVarianceOver")
def mean_variance(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make what was written out as (x - mean) / √(variance + epsilon), by `simplifying`."""
    x = t.plain(given[0])
    axes = sorted(axis + x.rank if axis < 0 else axis for axis in node("axes"))
    if x.batch in axes or not all(0 <= axis < x.rank for axis in axes):
        raise Unread("over the samples")
    return normalized(t, node, x, axes, None, None, node("epsilon"), tuple(x.shape[a] for a in axes))


@operator("LRN")
def response_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a normalisation by the channels around."""
    x = t.channels_last(given[0])
    options = {
        **{"size": node("size"), "alpha": _tidy(node("alpha", 1e-4)), "beta": _tidy(node("beta", 0.75))},
        "bias": _tidy(node("bias", 1.0)),
    }
    return t.mapped(LocalResponseNormalization, x, options=options)
