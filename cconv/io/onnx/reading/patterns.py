"""Operators that exporters write out in several: recognised, and one put in their place.

A product is looked at as a whole: a number times some factors, whatever the order in which a file multiplies
and divides. What makes up GELU, hard swish and their kin is then a matter of what the factors are.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Graph, Node

MOST_FACTORS = 6


def recognise(graph: Graph) -> None:
    """Put one node for what was written out; what nothing depends on any more goes."""
    look = _Look(graph)
    for node in graph.nodes:
        if node.op in ("Mul", "Div"):
            _product(look, node)
    for node in graph.nodes:
        if node.op in ("Mul", "Div"):
            _normalised(look, node)
        elif node.op == "Gather":
            _strided(look, node)
        elif node.op in ("Min", "Clip"):
            _cut(look, node)
    wanted, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]


class _Look:
    """A graph, seen from what it gives back to where that comes from."""

    def __init__(self, graph: Graph) -> None:
        self.constants = graph.constants
        self.maker = {name: node for node in graph.nodes for name in node.outputs if name}

    def made(self, name: str, *ops: str) -> Node | None:
        """Return the node that gives a value, if it is of one of these operators."""
        node = self.maker.get(name)
        return node if node is not None and node.op in ops else None

    def number(self, name: str) -> float | None:
        """Return a constant of one element; None for all else."""
        array = self.constants.get(name)
        if array is None or array.size != 1 or array.dtype.kind not in "iuf":
            return None
        return float(array.ravel()[0])

    def with_number(self, name: str, op: str) -> tuple[str, float] | None:
        """Return the other input of a node that has a number as one of two."""
        node = self.made(name, op)
        if node is None or len(node.inputs) != 2:
            return None
        for value, other in (node.inputs, node.inputs[::-1]):
            number = self.number(other)
            if number is not None:
                return value, number
        return None

    def factors(self, name: str) -> tuple[float, list[str]]:
        """Return a value as a number times other values."""
        number, waiting = 1.0, [name]
        found: list[str] = []
        while waiting:
            at = waiting.pop()
            own = self.number(at)
            node = self.made(at, "Mul", "Div", "Neg")
            if own is not None:
                number *= own
            elif node is None or len(found) + len(waiting) > MOST_FACTORS:
                found.append(at)
            elif node.op == "Neg":
                number = -number
                waiting.append(node.inputs[0])
            elif node.op == "Mul" and len(node.inputs) == 2:
                waiting += node.inputs
            else:
                divisor = self.number(node.inputs[1])
                if divisor:
                    number /= divisor
                    waiting.append(node.inputs[0])
                else:
                    found.append(at)
        return number, found

    def clipped(self, name: str) -> tuple[str, float, float] | None:
        """Return what is cut off, and where, in any of the ways in which that is written."""
        node = self.made(name, "Clip")
        if node is not None:
            low, high = node("min"), node("max")
            if len(node.inputs) > 1 and node.inputs[1]:
                low = self.number(node.inputs[1])
            if len(node.inputs) > 2 and node.inputs[2]:
                high = self.number(node.inputs[2])
            return None if low is None or high is None else (node.inputs[0], float(low), float(high))
        upper = self.with_number(name, "Min")
        if upper is None:
            return None
        relu = self.made(upper[0], "Relu")
        if relu is not None:
            return relu.inputs[0], 0.0, upper[1]
        lower = self.with_number(upper[0], "Max")
        return None if lower is None else (lower[0], lower[1], upper[1])

    def hard(self, name: str) -> str | None:
        """Return x of min(max(x + 3, 0), 6)."""
        cut = self.clipped(name)
        if cut is None or cut[1:] != (0.0, 6.0):
            return None
        moved = self.with_number(cut[0], "Add")
        return moved[0] if moved is not None and moved[1] == 3.0 else None


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-4)


def _cut(look: _Look, node: Node) -> None:
    """Make the node a Clip of what a ReLU in front is given, or a Max."""
    cut = look.clipped(node.outputs[0])
    if cut is None or cut[1] > cut[2]:
        return
    relu = look.made(cut[0], "Relu")
    if relu is not None and cut[1] <= 0:
        cut = relu.inputs[0], 0.0, cut[2]
    elif node.op == "Clip":
        return
    node.op, node.inputs, node.attributes = "Clip", [cut[0]], {"min": cut[1], "max": cut[2]}


def _strided(look: _Look, node: Node) -> None:
    """Make the node a Reshape, if it takes all of a flat value in turn: PyTorch's ``as_strided``."""
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


def _product(look: _Look, node: Node) -> None:
    """Make the node one of an activation, if its product is that."""
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
    """Return a rule: x · op(x)."""

    def rule(look: _Look, number: float, found: Sequence[str]) -> str | None:
        for x, other in _pairs(found):
            node = look.made(other, op)
            if number == 1 and node is not None and node.inputs[0] == x and all(c(node) for c in checks):
                return x
        return None

    return rule


def _is_mobile(node: Node) -> bool:
    """Whether a HardSigmoid is the one of mobile networks, min(max(x / 6 + 1/2, 0), 1)."""
    return _close(node("alpha", 0.2), 1 / 6) and _close(node("beta", 0.5), 0.5)


def _hard_swish(look: _Look, number: float, found: Sequence[str]) -> str | None:
    return next((x for x, o in _pairs(found) if _close(number, 1 / 6) and look.hard(o) == x), None)


def _hard_sigmoid(look: _Look, number: float, found: Sequence[str]) -> str | None:
    return look.hard(found[0]) if len(found) == 1 and _close(number, 1 / 6) else None


def _gelu(look: _Look, number: float, found: Sequence[str]) -> str | None:
    for x, other in _pairs(found):
        moved = look.with_number(other, "Add")
        erf = look.made(moved[0], "Erf") if moved is not None and moved[1] == 1.0 else None
        if erf is None or not _close(number, 0.5):
            continue
        scale, inner = look.factors(erf.inputs[0])
        if _close(scale, math.sqrt(0.5)) and inner == [x]:
            return x
    return None


def _gelu_tanh(look: _Look, number: float, found: Sequence[str]) -> str | None:
    for x, other in _pairs(found):
        moved = look.with_number(other, "Add")
        tanh = look.made(moved[0], "Tanh") if moved is not None and moved[1] == 1.0 else None
        if tanh is None or not _close(number, 0.5):
            continue
        scale, inner = look.factors(tanh.inputs[0])
        if _close(scale, math.sqrt(2 / math.pi)) and (_is_cubic(look, inner, x)):
            return x
    return None


def _is_cubic(look: _Look, found: Sequence[str], x: str) -> bool:
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


def _is_power(look: _Look, name: str, x: str, power: int) -> bool:
    """Whether a value is 0.044715 x³, or that with x²."""
    number, found = look.factors(name)
    if not _close(number, 0.044715):
        return False
    count = 0
    for factor in found:
        node = look.made(factor, "Pow")
        exponent = look.number(node.inputs[1]) if node is not None and node.inputs[0] == x else None
        if factor != x and exponent is None:
            return False
        count += 1 if exponent is None else int(exponent)
    return count == power


def _mish(look: _Look, number: float, found: Sequence[str]) -> str | None:
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


# --- normalisation ----------------------------------------------------------------------------


def _normalised(look: _Look, node: Node) -> None:
    """Make the node one of (x - mean) / √(variance + epsilon), if it is that written out.

    The variance is the mean of the squares of x - mean; the root is divided by, or its inverse a factor.
    """
    if len(node.inputs) != 2:
        return
    sides = [tuple(node.inputs)] if node.op == "Div" else [tuple(node.inputs), tuple(node.inputs[::-1])]
    for over, under in sides:
        centred = _centred(look, over)
        found = _deviation(look, under, node.op == "Mul")
        if centred is None or found is None:
            continue
        x, axes = centred
        square_of, square_axes, epsilon = found
        if _centred(look, square_of) == (x, axes) and square_axes == axes:
            node.op, node.inputs, node.outputs = "MeanVarianceOver", [x], node.outputs[:1]
            node.attributes = {"axes": list(axes), "epsilon": epsilon}
            return


def _mean(look: _Look, name: str) -> tuple[str, tuple[int, ...]] | None:
    """Return what a value is the mean of, and over which axes, if these stay."""
    node = look.made(name, "ReduceMean")
    if node is None or not node("keepdims", 1):
        return None
    axes = node("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1] in look.constants:
        axes = look.constants[node.inputs[1]].ravel().tolist()
    return None if not axes else (node.inputs[0], tuple(sorted(int(axis) for axis in axes)))


def _centred(look: _Look, name: str) -> tuple[str, tuple[int, ...]] | None:
    """Return x and the axes of x - mean(x)."""
    node = look.made(name, "Sub")
    mean = _mean(look, node.inputs[1]) if node is not None else None
    return mean if node is not None and mean is not None and mean[0] == node.inputs[0] else None


def _deviation(look: _Look, name: str, inverse: bool) -> tuple[str, tuple[int, ...], float] | None:
    """Return y, the axes and epsilon of √(mean(y²) + epsilon), or of 1 divided by it."""
    if inverse:
        node = look.made(name, "Reciprocal", "Div")
        if node is None or (node.op == "Div" and look.number(node.inputs[0]) != 1.0):
            return None
        name = node.inputs[-1]
    root = look.made(name, "Sqrt", "Pow")
    if root is None or (root.op == "Pow" and look.number(root.inputs[1]) != 0.5):
        return None
    moved = look.with_number(root.inputs[0], "Add")
    mean = _mean(look, moved[0]) if moved is not None else None
    if moved is None or mean is None:
        return None
    square = look.made(mean[0], "Pow", "Mul")
    if square is None:
        return None
    twice = square.inputs[0] == square.inputs[1]
    if (square.op == "Mul" and not twice) or (square.op == "Pow" and look.number(square.inputs[1]) != 2.0):
        return None
    return square.inputs[0], mean[1], float(np.float32(moved[1]))
