"""Layers that cconv has written as products and sums with constants are read as these layers again.

Each function gets a node, its value, the factor, the summand, and the step that the same layer's previous
node has made, if any. It returns None if the node cannot belong to that layer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.steps import Step
from cconv.io.onnx.reading.translating import Translator
from cconv.io.onnx.reading.values import Value
from cconv.layers import LayerScale, Normalization, Rescaling

Array = np.ndarray
MOST_LISTED = 1 << 16  # limit of the numbers in a layer's arguments


def _lying(x: Value, array: Array) -> Array | None:
    """Return a constant broadcast to a sample in its stored order; None if it does not fit."""
    if array.ndim > x.rank or array.size > MOST_LISTED:
        return None
    array = array.reshape((1,) * (x.rank - array.ndim) + array.shape)
    if array.shape[x.batch] != 1 or any(a not in (1, b) for a, b in zip(array.shape, x.shape, strict=True)):
        return None
    return array.transpose(x.order)[0]


def _by_channel(x: Value, array: Array) -> Any:
    """Return a number, or a list of one number per channel; None for other arrays."""
    if array.size == 1:
        return float(array.ravel()[0])
    lying = _lying(x, array)
    if lying is None or lying.shape[:-1] != (1,) * (lying.ndim - 1):
        return None
    return lying.ravel().tolist()


def _rescaling(t: Translator, node: Node, x: Value, a: Array, b: Array, step: Step | None) -> Value | None:
    """Return x · scale + offset, written as a product, and a sum if the offset is not 0."""
    x = x if a.size == b.size == 1 else t.plain(x)
    scale, offset = _by_channel(x, a), _by_channel(x, b)
    if scale is None or offset is None or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return None
    if step is None:
        return t.mapped(Rescaling, x, options={"scale": scale, "offset": offset})
    if not isinstance(step.layer, Rescaling) or step.layer.offset != 0.0 or scale != 1.0:
        return None
    t.steps.replace(x.number, Rescaling(step.layer.scale, offset), {})
    return x


def _layer_scale(t: Translator, node: Node, x: Value, a: Array, b: Array, step: Step | None) -> Value | None:
    """Return x · gamma, with one factor per channel."""
    x = t.plain(x)
    gamma = _lying(x, a)
    if gamma is None or gamma.shape[:-1] != (1,) * (gamma.ndim - 1) or np.any(b):
        return None
    channels = t.steps.shapes[x.number][-1]
    weights = {"gamma": np.broadcast_to(gamma.ravel(), (channels,))}
    return t.mapped(LayerScale, x, options={"init_values": 1.0}, weights=weights, name=node.label)


def _normalization(
    t: Translator, node: Node, x: Value, a: Array, b: Array, step: Step | None
) -> Value | None:
    """Return (x - mean) · scale, or if inverted x · deviation + mean, written as two nodes."""
    before = None if step is None else step.layer
    x = t.plain(x)
    invert = node.op == "Mul" if before is None else bool(getattr(before, "invert", None))
    numbers = _lying(x, b if node.op in ("Add", "Sub") else a)
    if numbers is None or node.op not in ("Add", "Sub", "Mul") or not np.all(np.isfinite(numbers)):
        return None
    mean = np.zeros_like(numbers) if node.op == "Mul" else -numbers if node.op == "Sub" else numbers
    variance = np.ones_like(numbers)
    if node.op == "Mul":
        found = numbers**2 if invert else _variance(numbers, t.graph.dtype)
        if found is None or np.any(numbers <= 0):
            return None
        variance = found
    long = [place for place, extent in enumerate(numbers.shape, 1) if extent > 1]
    outer = sorted((t.outer_axis(place, x.rank), place) for place in long)
    channels = long in ([], [x.rank - 1])
    axis: Any = None if not long else -1 if channels else [number for number, _ in outer]
    mean, variance = (_listed(array, [place for _, place in outer]) for array in (mean, variance))
    options = {"axis": axis, "mean": mean, "variance": variance, "invert": invert}
    if before is None:
        return t.mapped(Normalization, x, options=options)
    if not isinstance(before, Normalization) or before.axis != axis:
        return None
    known = "mean" if node.op == "Mul" else "variance"
    t.steps.replace(x.number, Normalization(**{**options, known: getattr(before, known)}), {})
    return x


def _listed(array: Array, places: list[int]) -> Any:
    """Return the numbers along these axes, in that order, as nested lists; without axes a float."""
    others = [place for place in range(1, array.ndim + 1) if place not in places]
    turned = array.transpose([place - 1 for place in (*places, *others)])
    return turned.reshape([array.shape[place - 1] for place in places]).tolist()


def _variance(scale: Array, dtype: np.dtype) -> Array | None:
    """Return v so that 1 / √v is `scale` bit for bit in a model of that dtype; None if there is none.

    Rounding in float64 moves v by at most one float: the neighbours are tried.
    """

    def fits(variance: Array) -> Array:
        return (1 / np.sqrt(variance)).astype(dtype) == scale

    with np.errstate(all="ignore"):
        inverse = 1 / scale
        deviations = inverse, np.nextafter(inverse, 0), np.nextafter(inverse, np.inf)
        found = inverse**2
        for square in (deviation**2 for deviation in deviations):
            for near in (square, np.nextafter(square, 0), np.nextafter(square, np.inf)):
                found = np.where(fits(found), found, near)
        return found if np.all(fits(found)) else None


OWN: dict[str, Callable[[Translator, Node, Value, Array, Array, Step | None], Value | None]] = {
    "LayerScale": _layer_scale,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
}
