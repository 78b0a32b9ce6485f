"""Functions that exporters write as several operators: recognised, and replaced by one.

A product is seen as a whole: a number times some factors, in whatever order a file multiplies and divides.
The rules for GELU, hard swish and similar functions then depend only on the factors.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Graph, Node
from cconv.io.onnx.reading.looking import Look, close
from cconv.io.onnx.reading.normalizing import log_softmax, normalised, products


def recognise(graph: Graph) -> None:
    """Replace groups of nodes by one node, and remove nodes that no output depends on any more."""
    look = Look(graph)
    for node in graph.nodes:
        if node.layer in _OF_SEVERAL:
            _joined(look, node)
        elif node.op in ("Mul", "Div"):
            _product(look, node)
    for node in graph.nodes:
        for pattern in _PATTERNS.get(node.op, ()):
            pattern(look, node)
    wanted, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]


# Layers that cconv writes as a chain of nodes with two inputs each.
_OF_SEVERAL = ("Add", "Average", "Maximum", "Minimum", "Multiply")


def _joined(look: Look, node: Node) -> None:
    """Let a node that continues the previous node of the same layer take the inputs of both."""
    before = look.made(node.inputs[0], node.op, "Add")
    if before is None or not before.belongs_to(node):
        return
    if node.op == before.op:
        node.inputs = [*before.inputs, *node.inputs[1:]]
    elif node.op == "Div" and look.number(node.inputs[1]) == len(before.inputs):
        look.become(node, "Mean", before.inputs)


def _cut(look: Look, node: Node) -> None:
    """Turn the node into a Clip, together with a ReLU or Max in front."""
    cut = look.clipped(node.outputs[0])
    if cut is None or cut[1] > cut[2]:
        return
    relu = look.made(cut[0], "Relu")
    if relu is not None and cut[1] <= 0 <= cut[2]:
        cut = relu.inputs[0], 0.0, cut[2]
    elif node.op == "Clip":
        return
    node.op, node.inputs, node.attributes = "Clip", [cut[0]], {"min": cut[1], "max": cut[2]}


def _rectified(look: Look, node: Node) -> None:
    """Turn the node into a ReLU with a threshold: x above it, else slope · (x - threshold), or 0."""
    if len(node.inputs) != 3:
        return
    above = look.made(node.inputs[0], "Greater")
    below = look.made(node.inputs[2], "Relu", "LeakyRelu")
    moved = look.made(below.inputs[0], "Sub") if below is not None else None
    if above is None or below is None or moved is None:
        return
    x, threshold = moved.inputs[0], look.number(moved.inputs[1])
    same = node.inputs[1] == x == above.inputs[0] and look.number(above.inputs[1]) == threshold
    if same and threshold is not None and threshold >= 0:
        slope = below("alpha", 0.01) if below.op == "LeakyRelu" else 0.0
        look.become(node, "Rectifier", [x], threshold=threshold, slope=slope)


def _capped(look: Look, node: Node) -> None:
    """Add an upper bound to a ReLU of any kind that is followed by a Min."""
    cut = look.with_number(node.outputs[0], "Min")
    given = look.made(cut[0], "LeakyRelu", "Rectifier") if cut is not None else None
    if cut is None or given is None or cut[1] < 0:
        return
    slope = given("alpha", 0.01) if given.op == "LeakyRelu" else given("slope")
    known = {"slope": slope, "threshold": given("threshold", 0.0), "cap": cut[1]}
    look.become(node, "Rectifier", given.inputs[:1], **known)


def _strided(look: Look, node: Node) -> None:
    """Turn the node into a Reshape, if it takes all elements in order: PyTorch's ``as_strided``."""
    places = look.constants.get(node.inputs[1])
    flat = look.made(node.inputs[0], "Reshape")
    if places is None or flat is None or places.size < 2 or node("axis", 0):
        return
    target = look.constants.get(flat.inputs[1]) if len(flat.inputs) > 1 else None
    if target is not None and target.size == 1 and np.array_equal(places.ravel(), np.arange(places.size)):
        shape = f"{node.outputs[0]}/shape"
        look.constants[shape] = np.array(places.shape, np.int64)
        node.op, node.inputs, node.attributes = "Reshape", [flat.inputs[0], shape], {}


# --- products ---------------------------------------------------------------------------------


def _product(look: Look, node: Node) -> None:
    """Turn a product into an activation, if one of the rules fits."""
    number, found = look.factors(node.outputs[0])
    for op, attributes, rule in _RULES:
        x = rule(look, number, found)
        if x is not None and x not in node.outputs:
            node.op, node.inputs, node.attributes = op, [x], dict(attributes)
            node.outputs = node.outputs[:1]
            return


def _pairs(found: Sequence[str]) -> list[tuple[str, str]]:
    return [(found[0], found[1]), (found[1], found[0])] if len(found) == 2 else []


def _of_activation(op: str, *checks: Callable[[Node], bool]) -> Callable[..., str | None]:
    """Return the rule for x · op(x)."""

    def rule(look: Look, number: float, found: Sequence[str]) -> str | None:
        for x, other in _pairs(found):
            node = look.made(other, op)
            if number == 1 and node is not None and node.inputs[0] == x and all(c(node) for c in checks):
                return x
        return None

    return rule


def _is_mobile(node: Node) -> bool:
    """Whether a HardSigmoid is that of MobileNetV3, min(max(x / 6 + 1/2, 0), 1)."""
    return close(node("alpha", 0.2), 1 / 6) and close(node("beta", 0.5), 0.5)


def _hard_swish(look: Look, number: float, found: Sequence[str]) -> str | None:
    return next((x for x, o in _pairs(found) if close(number, 1 / 6) and look.hard(o) == x), None)


def _hard_sigmoid(look: Look, number: float, found: Sequence[str]) -> str | None:
    return look.hard(found[0]) if len(found) == 1 and close(number, 1 / 6) else None


def _gelu(look: Look, number: float, found: Sequence[str]) -> str | None:
    for x, other in _pairs(found):
        moved = look.with_number(other, "Add")
        erf = look.made(moved[0], "Erf") if moved is not None and moved[1] == 1.0 else None
        if erf is None or not close(number, 0.5):
            continue
        scale, inner = look.factors(erf.inputs[0])
        if close(scale, math.sqrt(0.5)) and inner == [x]:
            return x
    return None


def _gelu_tanh(look: Look, number: float, found: Sequence[str]) -> str | None:
    for x, other in _pairs(found):
        moved = look.with_number(other, "Add")
        tanh = look.made(moved[0], "Tanh") if moved is not None and moved[1] == 1.0 else None
        if tanh is None or not close(number, 0.5):
            continue
        scale, inner = look.factors(tanh.inputs[0])
        if close(scale, math.sqrt(2 / math.pi)) and (_is_cubic(look, inner, x)):
            return x
    return None


def _is_cubic(look: Look, found: Sequence[str], x: str) -> bool:
    """Whether a product is x + 0.044715 x³."""
    if len(found) == 1:
        node = look.made(found[0], "Add")
        return node is not None and any(
            a == x and _is_power(look, b, x, 3) for a, b in (node.inputs, node.inputs[::-1])
        )
    for a, other in _pairs(found):
        moved = look.with_number(other, "Add")
        if a == x and moved is not None and moved[1] == 1.0 and _is_power(look, moved[0], x, 2):
            return True
    return False


def _is_power(look: Look, name: str, x: str, power: int) -> bool:
    """Whether a value is 0.044715 times x to that power."""
    number, found = look.factors(name)
    if not close(number, 0.044715):
        return False
    count = 0
    for factor in found:
        node = look.made(factor, "Pow")
        exponent = look.number(node.inputs[1]) if node is not None and node.inputs[0] == x else None
        if factor != x and exponent is None:
            return False
        count += 1 if exponent is None else int(exponent)
    return count == power


def _mish(look: Look, number: float, found: Sequence[str]) -> str | None:
    for x, other in _pairs(found):
        tanh = look.made(other, "Tanh")
        soft = look.made(tanh.inputs[0], "Softplus") if tanh is not None else None
        if number == 1 and soft is not None and soft.inputs[0] == x:
            return x
    return None


_RULES: tuple[tuple[str, dict[str, Any], Callable[..., str | None]], ...] = (
    ("Gelu", {}, _gelu),
    ("Gelu", {"approximate": "tanh"}, _gelu_tanh),
    ("HardSwish", {}, _hard_swish),
    ("HardSwish", {}, _of_activation("HardSigmoid", _is_mobile)),
    ("Swish", {}, _of_activation("Sigmoid")),
    ("Mish", {}, _mish),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, _hard_sigmoid),
)


# --- by the operator of the last step -----------------------------------------------------------

_PATTERNS: dict[str, tuple[Callable[[Look, Node], None], ...]] = {
    "Mul": (normalised,),
    "Div": (normalised,),
    "Sub": (log_softmax,),
    "Einsum": (products,),
    "Gather": (_strided,),
    "Where": (_rectified,),
    "Min": (_cut, _capped),
    "Clip": (_cut,),
}
