"""Activations as nodes of ONNX."""

import math
from collections.abc import Callable
from typing import Any

from cconv.activations import base, rectifiers, smooth
from cconv.io.onnx.writing.sheet import Sheet, Value

Written = Callable[[Sheet, Any, Value], Value]
GELU_TANH = math.sqrt(2 / math.pi), 0.044715  # Hendrycks & Gimpel 2016, section 2


def _alike(kind: str, *names: str, **fixed: float) -> Written:
    """Return a function that writes a single node, with these attributes of the activation."""

    def write(sheet: Sheet, activation: Any, x: Value) -> Value:
        own = {name: getattr(activation, name) for name in names}
        return sheet.like(x, kind, **own, **fixed)

    return write


def _leaky(sheet: Sheet, activation: rectifiers.LeakyReLU, x: Value) -> Value:
    return sheet.like(x, "LeakyRelu", alpha=activation.negative_slope)


def _clipped(sheet: Sheet, activation: rectifiers.ClippedReLU, x: Value) -> Value:
    """Write ``x`` above the threshold, ``slope · (x - threshold)`` elsewhere, at most max_value."""
    if activation.is_plain:
        return sheet.like(x, "Clip", sheet.number(0.0), sheet.number(activation.cap))
    slope, threshold = activation.negative_slope, sheet.number(activation.threshold)
    if activation.threshold:
        below = sheet.like(x, "Sub", threshold)
        below = sheet.like(below, "LeakyRelu", alpha=slope) if slope else sheet.like(below, "Relu")
        above = sheet.node("Greater", [x.name, threshold])
        y = x._replace(name=sheet.node("Where", [above, x.name, below.name]))
    else:
        y = sheet.like(x, "LeakyRelu", alpha=slope) if slope else sheet.like(x, "Relu")
    return y if activation.max_value is None else sheet.like(y, "Min", sheet.number(activation.cap))


def _softmax(sheet: Sheet, activation: Any, x: Value) -> Value:
    kind = "LogSoftmax" if isinstance(activation, base.LogSoftmax) else "Softmax"
    return sheet.like(x, kind, axis=1 if x.first else -1)


def _softmax_over(sheet: Sheet, activation: base.SoftmaxOver, x: Value) -> Value:
    """Write ``exp(x - max)`` divided by its sum along several axes; for one axis a single node."""
    x = sheet.last(x)
    axes = [axis % (len(x.shape) + 1) for axis in activation.axes]
    if len(axes) == 1:
        return sheet.like(x, "LogSoftmax" if activation.logarithm else "Softmax", axis=axes[0])
    over = sheet.sizes(*axes)
    shifted = sheet.like(x, "Sub", sheet.node("ReduceMax", [x.name, over]))
    powers = sheet.like(shifted, "Exp")
    total = sheet.node("ReduceSum", [powers.name, over])
    if activation.logarithm:
        return sheet.like(shifted, "Sub", sheet.node("Log", [total]))
    return sheet.like(powers, "Div", total)


def _silu(sheet: Sheet, activation: smooth.SiLU, x: Value) -> Value:
    return sheet.like(x, "Mul", sheet.like(x, "Sigmoid").name)


def _gelu(sheet: Sheet, activation: smooth.GELU, x: Value) -> Value:
    """Write ``x/2 · (1 + erf(x/√2))``, or with tanh, as several nodes: Gelu exists only from opset 20 on."""
    if activation.approximate:
        outer, cubic = GELU_TANH
        cube = sheet.like(sheet.like(sheet.like(x, "Mul", x.name), "Mul", x.name), "Mul", sheet.number(cubic))
        inside = sheet.like(sheet.like(cube, "Add", x.name), "Mul", sheet.number(outer))
        curve = sheet.like(inside, "Tanh")
    else:
        curve = sheet.like(sheet.like(x, "Div", sheet.number(math.sqrt(2))), "Erf")
    share = sheet.like(sheet.like(curve, "Add", sheet.number(1.0)), "Mul", sheet.number(0.5))
    return sheet.like(x, "Mul", share.name)


WRITTEN: dict[type, Written] = {
    base.Linear: lambda sheet, activation, x: x,
    base.Sigmoid: _alike("Sigmoid"),
    base.Tanh: _alike("Tanh"),
    base.Softmax: _softmax,
    base.LogSoftmax: _softmax,
    base.SoftmaxOver: _softmax_over,
    rectifiers.ReLU: _alike("Relu"),
    rectifiers.LeakyReLU: _leaky,
    rectifiers.ClippedReLU: _clipped,
    smooth.SiLU: _silu,
    smooth.GELU: _gelu,
    smooth.ELU: _alike("Elu", "alpha"),
    smooth.SELU: _alike("Selu"),
    smooth.Softplus: _alike("Softplus"),
    smooth.Softsign: _alike("Softsign"),
    smooth.Mish: _alike("Mish"),
    smooth.HardSigmoid: _alike("HardSigmoid", alpha=1 / 6, beta=0.5),
    smooth.HardSiLU: _alike("HardSwish"),
    smooth.Exponential: _alike("Exp"),
}


def activate(sheet: Sheet, activation: base.Activation, x: Value) -> Value:
    """Write an activation; return its values."""
    return WRITTEN[type(activation)](sheet, activation, x)
