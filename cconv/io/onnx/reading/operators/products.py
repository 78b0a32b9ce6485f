"""Einsum: the products of all vectors of one value with all vectors of another."""

from typing import Any

from cconv.io.onnx.reading.einsum import contraction
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.translating import Translator, operator
from cconv.io.onnx.reading.values import Unread, Value, images_last
from cconv.layers import Dot


@operator("Einsum")
def einsum(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make the products of two values along one axis of each."""
    along = contraction(node("equation"))
    if along is None or len(given) != 2 or not all(isinstance(one, Value) for one in given):
        raise Unread("of other than the products of two values along an axis")
    values = [t.plain(one) for one in given]
    if any(one.batch != 0 for one in values):
        raise Unread("of values whose samples are not along the first axis")
    terms = node("equation").replace(" ", "").partition("->")[0].split(",")
    if [len(term) for term in terms] != [one.rank for one in values]:
        raise ValueError(f"the equation {node('equation')!r} does not fit {[one.shape for one in values]}")
    seen = [t.arranged(one, _seen(t, one.rank)) for one in values]
    sizes = [tuple(e for a, e in enumerate(v.shape) if a != at) for v, at in zip(values, along, strict=True)]
    shape = (*sizes[0], *sizes[1][1:])
    options: dict[str, Any] = {"axes": along}
    if node("normalize"):
        options["normalize"] = True
    return t.add(Dot, seen, _seen(t, len(shape)), shape, options=options)


def _seen(t: Translator, rank: int) -> tuple[int, ...]:
    """Return the stored order of a value that the model's user would see in ONNX' order."""
    return images_last(rank) if t.steps.data_format == "channels_first" and rank == 4 else tuple(range(rank))
