"""Activation functions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import activations
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, axis_of, checked_axis, constant, operator, tidy
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import ELU, Activation, Clip, LeakyReLU, PReLU, ReLU, Rescaling, Softmax

# Operators without arguments, and the functions that they are.
PLAIN = {
    **{"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign"},
    **{"Mish": "mish", "HardSwish": "hard_silu", "Exp": "exponential"},
}


@operator(*PLAIN)
def plain(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make an activation by its name."""
    if node.op == "Relu":
        return t.mapped(ReLU, given[0])
    return t.mapped(Activation, given[0], options={"activation": PLAIN[node.op]})


@operator("Swish")
def swish(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make x · sigmoid(x)."""
    if node("alpha", 1.0) != 1.0:
        raise Unread("with another alpha than 1")
    return t.mapped(Activation, given[0], options={"activation": "silu"})


@operator("Gelu")
def gelu(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make GELU, exact or by tanh."""
    approximate = node("approximate", "none") == "tanh"
    function: Any = activations.GELU(True) if approximate else "gelu"
    return t.mapped(Activation, given[0], options={"activation": function})


@operator("LeakyRelu")
def leaky_relu(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a leaky ReLU."""
    return t.mapped(LeakyReLU, given[0], options={"negative_slope": _slope(node("alpha", 0.01))})


def _slope(value: float) -> float:
    if value < 0:
        raise Unread("with an alpha below 0")
    return tidy(value)


@operator("ThresholdedRelu", "Rectifier")
def rectifier(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a ReLU with a threshold, a slope below it, or an upper bound, which `patterns` may have found."""
    if node.op == "Rectifier":
        threshold, slope, cap = node("threshold"), node("slope"), node("cap")
    else:
        threshold, slope, cap = node("alpha", 1.0), 0.0, None
    if threshold < 0:
        raise Unread("with an alpha below 0")
    options = {"max_value": cap, "negative_slope": _slope(slope), "threshold": tidy(threshold)}
    return t.mapped(ReLU, given[0], options=options)


@operator("PRelu")
def prelu(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a ReLU with learned slopes."""
    slopes = constant(given, 1, "slopes")
    x = t.plain(given[0])
    if slopes is None or slopes.ndim > x.rank:
        raise Unread("with slopes of more axes than it has")
    slopes = slopes.reshape((1,) * (x.rank - slopes.ndim) + slopes.shape)
    if slopes.shape[x.batch] != 1 or any(a not in (1, b) for a, b in zip(slopes.shape, x.shape, strict=True)):
        raise Unread(f"with slopes of shape {slopes.shape} for {x.shape}")
    lying = slopes.transpose(x.order)[0]
    # PReLU counts its axes in the model's data format, and stores alpha in it.
    places = [t.outer_axis(place, x.rank) for place in range(1, x.rank)]
    shared = sorted(outer for outer, extent in zip(places, lying.shape, strict=True) if extent == 1)
    alpha = lying.transpose(np.argsort(places))
    how = {"weights": {"alpha": alpha}, "name": node.name}
    return t.mapped(PReLU, x, options={"shared_axes": shared or None}, **how)


@operator("Elu")
def elu(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make ELU."""
    return t.mapped(ELU, given[0], options={"alpha": tidy(node("alpha", 1.0))})


@operator("Selu")
def selu(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make SELU, or, with other constants, ELU times a factor."""
    alpha, gamma = node("alpha", 1.6732632), node("gamma", 1.0507010)
    if math.isclose(alpha, 1.6732632, rel_tol=1e-6) and math.isclose(gamma, 1.0507010, rel_tol=1e-6):
        return t.mapped(Activation, given[0], options={"activation": "selu"})
    y = t.mapped(ELU, given[0], options={"alpha": float(alpha)})
    return t.mapped(Rescaling, y, options={"scale": float(gamma)})


@operator("HardSigmoid")
def hard_sigmoid(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make min(max(alpha · x + beta, 0), 1)."""
    alpha, beta = node("alpha", 0.2), node("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return t.mapped(Activation, given[0], options={"activation": "hard_sigmoid"})
    y = t.mapped(Rescaling, given[0], options={"scale": float(alpha), "offset": float(beta)})
    return t.mapped(ReLU, y, options={"max_value": 1.0})


@operator("Clip")
def clip(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a ReLU with an upper bound, or a `Clip`."""
    bounds = []
    for number, name in ((1, "min"), (2, "max")):
        array = constant(given, number, f"{name}")
        if array is not None and array.size != 1:
            raise ValueError(f"{name} must be a number, got shape {array.shape}")
        value = node(name) if array is None else float(array.ravel()[0])
        bounds.append(None if value is None or abs(value) > 1e38 else float(value))
    return clipped(t, given[0], *bounds)


def clipped(t: Translator, value: Value, low: float | None, high: float | None) -> Value:
    """Return a value clipped to bounds, each of which may be None."""
    if low is None and high is None:
        return value
    if low is not None and high is not None:
        low = min(low, high)  # by ONNX everything is `high` where the bounds are the wrong way round
    if low == 0 and (high is None or high > 0):
        return t.mapped(ReLU, value, options={} if high is None else {"max_value": high})
    return t.mapped(Clip, value, options={"min_value": low, "max_value": high})


@operator("Softmax", "LogSoftmax")
def softmax(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a softmax along an axis; before opset 13 over this axis and all behind it together."""
    x = t.plain(given[0])
    newer = t.opset >= 13
    axis = axis_of(node, x, -1 if newer else 1)
    axes = [axis] if newer else list(range(axis, x.rank))
    if not newer and x.batch > axis:
        raise Unread("over the samples")
    return _softmax(t, x, axes, node.op == "LogSoftmax")


@operator("SoftmaxOver")
def softmax_over(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a softmax along several axes, which `normalizing` has recognised."""
    x = t.plain(given[0])
    axes = sorted({checked_axis(axis, x.rank) for axis in node("axes")})
    return _softmax(t, x, axes, node("logarithm", False))


def _softmax(t: Translator, x: Value, axes: Sequence[int], logarithm: bool) -> Value:
    if x.batch in axes:
        raise Unread("over the samples")
    if any(x.shape[a] > 1 for a in range(x.batch)):
        raise Unread("over the samples")
    places = tuple(sorted(x.place(a) for a in axes))
    if places == (x.rank - 1,) and not logarithm:
        return t.mapped(Softmax, x)
    if places == (x.rank - 1,):
        return t.mapped(Activation, x, options={"activation": "log_softmax"})
    function = activations.SoftmaxOver(places, logarithm)
    return t.mapped(Activation, x, options={"activation": function})
