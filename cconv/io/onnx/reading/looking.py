"""A graph as patterns are searched in it: from a value back to the nodes that compute it."""

import math
from collections import Counter
from typing import Any

from cconv.io.onnx.reading.graphs import Graph, Node

MOST_FACTORS = 6


def close(a: float, b: float) -> bool:
    """Whether two constants are equal up to rounding to float32 or float16."""
    return math.isclose(a, b, rel_tol=1e-4)


class Look:
    """A graph, seen from values back to the nodes that compute them."""

    def __init__(self, graph: Graph) -> None:
        self.constants = graph.constants
        self.maker = {name: node for node in graph.nodes for name in node.outputs if name}
        uses = Counter(name for node in graph.nodes for name in set(node.inputs))
        self.shared = {name for name, count in uses.items() if count > 1}

    def made(self, name: str, *ops: str) -> Node | None:
        """Return the node that computes a value, if it has one of these operators."""
        node = self.maker.get(name)
        return node if node is not None and node.op in ops else None

    def number(self, name: str) -> float | None:
        """Return a constant with one element as a number; else None."""
        array = self.constants.get(name)
        if array is None or array.size != 1 or array.dtype.kind not in "iuf":
            return None
        return float(array.ravel()[0])

    def with_number(self, name: str, op: str) -> tuple[str, float] | None:
        """Return the other input of a node with two inputs, one of which is a number, and this number."""
        node = self.made(name, op)
        if node is None or len(node.inputs) != 2:
            return None
        for value, other in (node.inputs, node.inputs[::-1]):
            number = self.number(other)
            if number is not None:
                return value, number
        return None

    def factors(self, name: str) -> tuple[float, list[str]]:
        """Return a value as a product: a number and a list of other values.

        A product that several nodes take is one of these: it may be the x of a function of x.
        """
        number, waiting = 1.0, [name]
        found: list[str] = []
        while waiting:
            at = waiting.pop()
            own = self.number(at)
            is_one = at in self.shared and at != name
            node = None if is_one else self.made(at, "Mul", "Div", "Neg")
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
        """Return a clipped value and its two bounds, however the clipping is written."""
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
        """Return the x of min(max(x + 3, 0), 6)."""
        cut = self.clipped(name)
        if cut is None or cut[1:] != (0.0, 6.0):
            return None
        moved = self.with_number(cut[0], "Add")
        return moved[0] if moved is not None and moved[1] == 3.0 else None

    def reduced(self, name: str, op: str) -> tuple[str, tuple[int, ...]] | None:
        """Return the x of a mean, sum, … and its axes, if the axes are kept."""
        node = self.made(name, op)
        if node is None or not node("keepdims", 1):
            return None
        axes = node("axes")
        if axes is None and len(node.inputs) > 1 and node.inputs[1] in self.constants:
            axes = self.constants[node.inputs[1]].ravel().tolist()
        return None if not axes else (node.inputs[0], tuple(sorted(int(axis) for axis in axes)))

    def squared(self, name: str) -> str | None:
        """Return the x of x², written as a product or as a power."""
        node = self.made(name, "Mul", "Pow")
        if node is None or len(node.inputs) != 2:
            return None
        twice = node.inputs[0] == node.inputs[1] if node.op == "Mul" else self.number(node.inputs[1]) == 2.0
        return node.inputs[0] if twice else None

    def become(self, node: Node, op: str, inputs: list[str], **attributes: Any) -> None:
        """Change a node's operator, inputs and attributes; it keeps its name and its first output."""
        node.op, node.inputs, node.outputs, node.attributes = op, inputs, node.outputs[:1], attributes
