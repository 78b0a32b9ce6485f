"""Normalisations: of batches, rows, groups and vectors, and by neighbouring channels."""

import math
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import (
    Translator,
    argument,
    axis_of,
    checked_axis,
    constant,
    operator,
    tidy,
)
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    LocalResponseNormalization,
    RMSNormalization,
    UnitNormalization,
)

LEAST_LENGTH = 1e-12  # the smallest divisor of `UnitNormalization`


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
        options["momentum"] = tidy(momentum)
    options["epsilon"] = tidy(options["epsilon"])
    how = {"options": options, "weights": weights, "name": node.name}
    return t.mapped(BatchNormalization, x, **how)


@operator("LayerNormalization", "RMSNormalization")
def layer_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a normalisation over an axis and all axes behind it."""
    x = t.plain(given[0])
    axes = list(range(axis_of(node, x, -1), x.rank))
    gamma, beta = constant(given, 1, "a scale"), constant(given, 2, "a bias")
    if node.op == "RMSNormalization":
        return normalized(t, node, x, axes, {"scale": gamma}, RMSNormalization)
    return normalized(t, node, x, axes, {"gamma": gamma, "beta": beta})


def normalized(
    t: Translator,
    node: Node,
    x: Value,
    axes: list[int],
    arrays: dict[str, np.ndarray | None],
    make: Any = LayerNormalization,
    **options: Any,
) -> Value:
    """Return a normalisation over these axes.

    `arrays` has the weights, which are broadcast over these axes; for `LayerNormalization` they may be None.
    """
    if x.batch in axes or any(x.shape[axis] > 1 for axis in range(x.batch) if axis in axes):
        raise Unread("over the samples")
    options["epsilon"] = tidy(node("epsilon", 1e-5))
    places = [x.place(axis) for axis in axes]
    order = list(range(len(axes)))
    if places != [x.rank - 1]:
        # The layer sorts its axes in the model's data format, and its weights have that order.
        outer = [t.outer_axis(place, x.rank) for place in places]
        order.sort(key=lambda number: outer[number])
        options["axis"] = sorted(outer)
    shape = tuple(x.shape[axis] for axis in axes)
    weights = {}
    for name, array in arrays.items():
        if array is None and name in ("gamma", "beta"):
            options[{"gamma": "scale", "beta": "center"}[name]] = False
            continue
        t.budget.pay(math.prod(shape))
        whole = np.broadcast_to(np.ones(1) if array is None else array, shape)
        weights[name] = whole.transpose(order)
    return t.mapped(make, x, options=options, weights=weights, name=node.name)


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
    """Return a group normalisation; weights that change nothing are left out."""
    options = {"groups": groups, "epsilon": tidy(node("epsilon", 1e-5))}
    weights = {"gamma": gamma, "beta": beta}
    if np.all(gamma == 1) and not np.any(beta):
        options, weights = {**options, "scale": False, "center": False}, {}
    return t.mapped(GroupNormalization, x, options=options, weights=weights, name=node.name)


@operator("InstanceNormalization")
def instance_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a normalisation of every channel; if a Reshape has made groups into channels, one of groups."""
    gamma, beta = constant(given, 1, "a scale"), constant(given, 2, "a bias")
    x = given[0]
    if gamma is None or beta is None or gamma.shape != (x.shape[1],) or beta.shape != gamma.shape:
        raise ValueError(f"its weights do not fit {x.shape}")
    source = t.source(x)
    groups = x.shape[1]
    if source is not None and source.rank > 2 and source.batch == 0 and source.shape[1] % groups == 0:
        # PyTorch writes a group normalisation in this form: reshaped to (n, groups, …), and back.
        each = source.shape[1] // groups
        t.budget.pay(source.shape[1])
        inner = t.channels_last(source)
        y = grouped(t, node, inner, groups, np.repeat(gamma, each), np.repeat(beta, each))
        before = len(t.steps.steps)
        back = t.reshaped(y, x.shape)
        t.note_source(back, y)
        if t.uses.get(node.outputs[0]) == 1 and t.readers.get(node.outputs[0]) == {"Reshape"}:
            t.steps.set_idle(before)
        return back
    return grouped(t, node, t.channels_last(x), -1, gamma, beta)


@operator("MeanVarianceOver", "VarianceOver", "MeanSquareOver")
def by_a_root(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a normalisation from a quotient by √(… + epsilon), which `normalizing` has recognised."""
    x, axes = _over(t, node, given[0])
    if node.op == "MeanSquareOver":
        return normalized(t, node, x, axes, {"scale": None}, RMSNormalization)
    if node.op == "VarianceOver":
        ones = np.ones(tuple(x.shape[axis] for axis in axes))
        return normalized(t, node, x, axes, {"gamma": ones}, rms_scaling=True)
    return normalized(t, node, x, axes, {"gamma": None, "beta": None})


def _over(t: Translator, node: Node, value: Value) -> tuple[Value, list[int]]:
    """Return a value, and the axes that a node reduces over."""
    x = t.plain(value)
    axes = sorted({checked_axis(axis, x.rank) for axis in node("axes")})
    if x.batch in axes:
        raise Unread("over the samples")
    return x, axes


@operator("LpNormalization", "LengthOver")
def unit_length(t: Translator, node: Node, given: list[Any]) -> Value:
    """Normalise vectors to length 1."""
    if node.op == "LengthOver":
        x, axes = _over(t, node, given[0])
        target = argument(node, given, "shape", 1)
        epsilon = node("epsilon")
        if target is not None and np.broadcast_shapes(x.shape, tuple(map(int, target))) != x.shape:
            raise Unread(f"of {x.shape} over lengths of shape {target}")
    else:
        x, epsilon = t.plain(given[0]), LEAST_LENGTH
        axes = [axis_of(node, x, -1)]
        if node("p", 2) != 2:
            raise Unread("with another p than 2")
    if not math.isclose(epsilon, LEAST_LENGTH, rel_tol=1e-4):
        raise Unread(f"with a least length of {tidy(epsilon)}")
    if x.batch in axes:
        raise Unread("over the samples")
    places = [x.place(axis) for axis in axes]
    options = {"axis": sorted(t.outer_axis(place, x.rank) for place in places)}
    return t.mapped(UnitNormalization, x, options={} if places == [x.rank - 1] else options)


@operator("LRN")
def response_normalization(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a normalisation by neighbouring channels."""
    x = t.channels_last(given[0])
    options = {
        **{"size": node("size"), "alpha": tidy(node("alpha", 1e-4)), "beta": tidy(node("beta", 0.75))},
        "bias": tidy(node("bias", 1.0)),
    }
    return t.mapped(LocalResponseNormalization, x, options=options)
