"""Simplification of a graph before layers are made from it."""

from cconv.files.reading import short
from cconv.io.onnx.reading.constants import Budget, evaluated, is_evaluated
from cconv.io.onnx.reading.graphs import Graph
from cconv.io.onnx.reading.patterns import recognise


def simplify(graph: Graph, budget: Budget) -> None:
    """Compute everything that does not depend on the input, and replace groups of operators by one."""
    fold(graph, budget)
    recognise(graph)


def fold(graph: Graph, budget: Budget) -> None:
    """Compute the nodes that depend only on constants."""
    left = []
    for node in graph.nodes:
        known = all(not name or name in graph.constants for name in node.inputs)
        if not known or not is_evaluated(node.op):
            left.append(node)
            continue
        given = [graph.constants[name] if name else None for name in node.inputs]
        try:
            found = evaluated(node, given, graph.opset, budget)
        except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"the node {short(repr(node.name))} ({node.op}): {short(error)}") from error
        for name, array in zip(node.outputs, found if isinstance(found, list) else [found], strict=False):
            graph.constants[name] = array
    graph.nodes = left
