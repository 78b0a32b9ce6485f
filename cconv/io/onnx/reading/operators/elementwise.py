"""Add, Sub, Mul and Div: of two values, or of a value and a constant."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.operators.activations import clipped
from cconv.io.onnx.reading.operators.own import OWN
from cconv.io.onnx.reading.steps import Step
from cconv.io.onnx.reading.translating import Translator, operator
from cconv.io.onnx.reading.values import Unread, Value
from cconv.layers import (
    Add,
    Average,
    BatchNormalization,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    ElementwiseAffine,
    GroupNormalization,
    Layer,
    LayerNormalization,
    Maximum,
    Minimum,
    Multiply,
    Rescaling,
    RMSNormalization,
    Subtract,
)
from cconv.layers.elementwise import Divide

MERGES = {
    "Add": Add,
    "Sub": Subtract,
    "Mul": Multiply,
    "Div": Divide,
    "Max": Maximum,
    "Min": Minimum,
    "Sum": Add,
    "Mean": Average,
}
# Layers that can take over a factor and a summand for each of their output channels.
AFFINE = (Conv1D, Conv2D, Dense, DepthwiseConv1D, DepthwiseConv2D)
NORMALISATIONS = (
    *(BatchNormalization, ElementwiseAffine, GroupNormalization),
    *(LayerNormalization, RMSNormalization),
)
TRANSPOSED = (Conv1DTranspose, Conv2DTranspose)


@operator(*MERGES)
def merge(t: Translator, node: Node, given: list[Any]) -> Value:
    """Merge values element by element, or combine a value with constants one after the other."""
    values = [one for one in given if isinstance(one, Value)]
    constants = [one for one in given if isinstance(one, np.ndarray)]
    if any(value.whole for value in values) and node.op not in ("Max", "Min"):
        raise Unread("of whole numbers")
    if not constants:
        return merged(t, MERGES[node.op], values)
    if node.op in ("Max", "Min"):
        y = values[0] if len(values) == 1 else merged(t, MERGES[node.op], values)
        for array in constants:
            y = _bounded(t, node.op, y, array)
        return y
    if node.op == "Mean":
        raise Unread("with a constant")
    if node.op == "Sum":
        y = values[0] if len(values) == 1 else merged(t, Add, values)
        for array in constants:
            y = with_constant(t, node, y, np.ones(1), array)
        return y
    x, array = values[0], constants[0]
    first = isinstance(given[0], np.ndarray)
    if array.dtype.kind not in "iuf":
        raise Unread(f"of {array.dtype}")
    t.budget.pay(array.size)
    array = array.astype(np.float64)
    one, zero = np.ones(1), np.zeros(1)
    if node.op == "Add":
        return with_constant(t, node, x, one, array)
    if node.op == "Sub":
        return with_constant(t, node, x, -one if first else one, array if first else -array)
    if node.op == "Mul":
        return with_constant(t, node, x, array, zero)
    if first:
        raise Unread("of a constant by a value")
    if not np.all(array):
        raise Unread("by 0")
    return with_constant(t, node, x, 1 / array, zero)


def merged(t: Translator, make: Any, values: Sequence[Value]) -> Value:
    """Return values merged element by element, broadcast as in ONNX."""
    if len(values) == 1:
        return values[0]
    if len({value.shape for value in values}) == 1 and all(v.parts == values[0].parts for v in values):
        same = all(v.order == values[0].order and v.turn == values[0].turn for v in values)
        if same:  # also if features have another order than in ONNX
            y = t.add(make, values, values[0].order, values[0].shape)
            return replace(y, parts=values[0].parts, turn=values[0].turn)
    rank = max(value.rank for value in values)
    longer = [_longer(t, value, rank) for value in values]
    if len({value.batch for value in longer}) > 1:
        raise Unread("of values whose samples are along different axes")
    shape = np.broadcast_shapes(*(value.shape for value in longer))
    largest = max(longer, key=lambda value: np.prod(value.shape, dtype=np.float64))
    return t.add(make, [t.arranged(value, largest.order) for value in longer], largest.order, shape)


def _longer(t: Translator, value: Value, rank: int) -> Value:
    """Return a value with leading axes of size 1 added, up to that rank."""
    if value.rank == rank:
        return t.plain(value)
    lacks = rank - value.rank
    return t.reshaped(value, (1,) * lacks + value.shape, value.batch + lacks)


def _bounded(t: Translator, op: str, value: Value, array: np.ndarray) -> Value:
    if array.size != 1:
        raise Unread(f"with a constant of shape {array.shape}")
    bound = float(array.ravel()[0])
    return clipped(t, value, bound if op == "Max" else None, bound if op == "Min" else None)


# --- with constants ---------------------------------------------------------------------------


def lying(value: Value, array: np.ndarray) -> np.ndarray:
    """Return a constant, broadcast to a value's rank, with its axes in the stored order of a sample.

    `Unread` if the value would have to be broadcast to it, or if it differs from sample to sample.
    """
    if array.ndim > value.rank:
        if array.shape[: array.ndim - value.rank] != (1,) * (array.ndim - value.rank):
            raise Unread(f"with a constant of shape {array.shape} for {value.shape}")
        array = array.reshape(array.shape[array.ndim - value.rank :])
    array = array.reshape((1,) * (value.rank - array.ndim) + array.shape)
    if array.shape[value.batch] != 1:
        first = array.take([0], value.batch)
        if not np.array_equal(np.broadcast_to(first, array.shape), array):
            raise Unread("with a constant for every sample")
        array = first
    if any(a not in (1, b) for a, b in zip(array.shape, value.shape, strict=True)):
        raise Unread(f"with a constant of shape {array.shape} for {value.shape}")
    return array.transpose(value.order)[0]


def with_constant(t: Translator, node: Node, x: Value, factor: np.ndarray, summand: np.ndarray) -> Value:
    """Return x · factor + summand, merged into the layer in front if possible."""
    if node.layer in OWN:
        step = _step_alone(t, x, node)
        y = OWN[node.layer](t, node, x, factor, summand, step)
        if y is not None:
            return y
    numbers = [array for array in (factor, summand) if array.size > 1]
    if not numbers:
        scale, offset = float(factor.ravel()[0]), float(summand.ravel()[0])
        _check_finite(scale, offset)
        if (scale, offset) == (1.0, 0.0):
            return x
        folded = _folded(t, x, node, np.array([scale]), np.array([offset])) if not x.parts else None
        if folded is None and not x.parts and _normalises(t, x, node, factor, summand):
            return x
        return folded or t.mapped(Rescaling, x, options={"scale": scale, "offset": offset})
    x = t.plain(x)
    a, b = lying(x, factor), lying(x, summand)
    _check_finite(a, b)
    own = np.broadcast_shapes(a.shape, b.shape)
    channels = not own or own[:-1] == (1,) * (len(own) - 1)
    if channels:
        folded = _folded(t, x, node, a.reshape(-1), b.reshape(-1))
        if folded is not None:
            return folded
    if _normalises(t, x, node, a, b):
        return x
    shared = [axis for axis, extent in enumerate(own, 1) if extent == 1]
    scale, center = bool(np.any(a != 1)), bool(np.any(b != 0))
    options: dict[str, Any] = {"scale": scale, "center": center, "shared_axes": shared or None}
    weights = {}
    if scale:
        weights["gamma"] = np.broadcast_to(a, own)
    if center:
        weights["beta"] = np.broadcast_to(b, own)
    if not t.steps.learns[x.number]:
        options["trainable"] = False  # preprocessing of images is not trained
    return t.mapped(ElementwiseAffine, x, options=options, weights=weights, name=node.name)


def _check_finite(*arrays: Any) -> None:
    if not all(np.all(np.isfinite(array)) for array in arrays):
        raise Unread("with a constant that is not finite")


def _step_alone(t: Translator, x: Value, node: Node) -> Step | None:
    """Return the step that computes x, if x has no other reader and its layer no other use."""
    step = t.steps.step_of(x.number)
    name = next(name for name in node.inputs if isinstance(t.known.get(name), Value))
    if step is None or t.uses.get(name, 0) != 1 or t.known[name].number != x.number:
        return None
    if not t.of_one_layer(node, name):
        return None
    return step if t.steps.is_alone(x.number) else None


def _normalises(t: Translator, x: Value, node: Node, factor: np.ndarray, summand: np.ndarray) -> bool:
    """Set factor and summand as the weights of a normalisation that computes x; return whether it can.

    Both have as many axes as a sample, in its stored order, or are single numbers.
    """
    step = _step_alone(t, x, node)
    if step is None or not isinstance(step.layer, NORMALISATIONS):
        return False
    layer, shape = step.layer, t.steps.shapes[x.number]
    places = _weighed(t, layer, shape)
    row = tuple(extent if axis in places else 1 for axis, extent in enumerate(shape, 1))
    if not _is_spread(np.broadcast_shapes(factor.shape, summand.shape), row):
        return False
    a, b = (_of_weights(layer, array, row, places) for array in (factor, summand))
    config, weights = layer.get_config(), dict(step.weights)
    adds = bool(np.any(b != 0)) or node.op in ("Add", "Sub")
    if isinstance(layer, RMSNormalization) or config.get("rms_scaling", False):
        if np.any(b != 0):
            return False
        name = "scale" if isinstance(layer, RMSNormalization) else "gamma"
        weights[name] = weights[name].astype(np.float64) * a
    else:
        scales = config["scale"] or node.op in ("Mul", "Div") or bool(np.any(a != 1))
        config |= {"scale": scales, "center": config["center"] or adds}
        if scales:
            weights["gamma"] = weights.get("gamma", np.ones_like(a)).astype(np.float64) * a
        if config["center"]:
            weights["beta"] = weights.get("beta", np.zeros_like(a)).astype(np.float64) * a + b
    t.steps.replace(x.number, type(layer).from_config(config), weights)
    return True


def _of_weights(layer: Layer, array: np.ndarray, row: tuple[int, ...], places: Sequence[int]) -> np.ndarray:
    """Return an array broadcast to `row`, in the shape of a normalisation's weights along these axes."""
    whole = np.broadcast_to(array, row)
    if isinstance(layer, ElementwiseAffine):
        return whole
    others = [axis for axis in range(1, len(row) + 1) if axis not in places]
    turned = whole.transpose([axis - 1 for axis in (*places, *others)])
    return turned.reshape([row[place - 1] for place in places])


def _is_spread(own: tuple[int, ...], row: tuple[int, ...]) -> bool:
    """Whether shape `own` can be broadcast to `row`."""
    return all(a in (1, b) for a, b in zip(own[::-1], row[::-1], strict=False)) and len(own) <= len(row)


def _weighed(t: Translator, layer: Layer, shape: tuple[int, ...]) -> list[int]:
    """Return the axes along which a normalisation has weights, in their order; the batch is axis 0."""
    rank = len(shape) + 1
    if isinstance(layer, ElementwiseAffine):
        return [axis for axis in range(1, rank) if axis not in (layer.shared_axes or ())]
    axis = getattr(layer, "axis", -1)
    return [t.place_of(outer, rank) for outer in axis] if isinstance(axis, list) else [rank - 1]


def _folded(t: Translator, x: Value, node: Node, factor: np.ndarray, summand: np.ndarray) -> Value | None:
    """Return x with factor and summand per channel merged into the layer that computes it, or None."""
    step = _step_alone(t, x, node)
    if step is None or not isinstance(step.layer, (*AFFINE, *TRANSPOSED)):
        return None
    config = step.layer.get_config()
    t.budget.pay(step.weights["kernel"].size)
    kernel = _scaled(step, factor)
    if kernel is None:
        return None
    outputs = t.steps.shapes[x.number][-1]
    bias = step.weights.get("bias", np.zeros(outputs)).astype(np.float64) * factor + summand
    config["use_bias"] = True
    weights = {"kernel": kernel, "bias": np.broadcast_to(bias, (outputs,))}
    t.steps.replace(x.number, type(step.layer).from_config(config), weights)
    return x


def _scaled(step: Step, factor: np.ndarray) -> np.ndarray | None:
    """Return a layer's kernel times a factor per output; None if its layout does not allow it."""
    kernel = step.weights["kernel"]
    if np.all(factor == 1):
        return kernel
    if isinstance(step.layer, TRANSPOSED):
        if getattr(step.layer, "groups", 1) != 1:
            return None
        return kernel * factor.reshape(-1, 1)
    if isinstance(step.layer, DepthwiseConv1D | DepthwiseConv2D):
        return kernel * (factor if factor.size == 1 else factor.reshape(kernel.shape[-2:]))
    return kernel * factor


@operator("Neg")
def negative(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make -x."""
    if given[0].whole:
        raise Unread("of whole numbers")
    return t.mapped(Rescaling, given[0], options={"scale": -1.0})


@operator("Pow")
def power(t: Translator, node: Node, given: list[Any]) -> Value:
    """Make a square or a cube as products."""
    x, exponent = given
    number = float(exponent.ravel()[0]) if isinstance(exponent, np.ndarray) and exponent.size == 1 else None
    if not isinstance(x, Value) or x.whole or number not in (1.0, 2.0, 3.0):
        raise Unread("with another exponent than 1, 2 or 3")
    return merged(t, Multiply, [x] * int(number))
