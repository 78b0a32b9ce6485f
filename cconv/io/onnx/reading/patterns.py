"""Operators that exporters write out in several: recognised, and one put in their place."""

from cconv.io.onnx.reading.graphs import Graph


def recognise(graph: Graph) -> None:
    """Put one node for what was written out."""
