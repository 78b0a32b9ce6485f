"""Computation of everything that does not depend on the input: shapes, axes, rearranged or scaled weights.

Sizes are known, and counted in a budget, before memory is allocated: `_elements` returns the size of the
result of operators that enlarge their inputs.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.io.onnx.reading.graphs import Graph, Node

LEAST_BUDGET = 1 << 24  # number of elements
Function = Callable[[Node, list[Any], int], Any]

# NumPy's types by TensorProto.DataType.
DTYPES = {
    **{1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64},
    **{9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64, 16: np.float32},
}


class Budget:
    """The number of elements that may be computed: a multiple of the elements in the file."""

    def __init__(self, graph: Graph) -> None:
        self.left = LEAST_BUDGET + 8 * sum(array.size for array in graph.constants.values())

    def pay(self, count: int) -> None:
        """Subtract a number of elements; ValueError if the budget is exceeded."""
        self.left -= count
        if count < 0 or self.left < 0:
            raise ValueError("its constants would take more memory than a file of this size may ask for")


def is_evaluated(op: str) -> bool:
    """Whether an operator on constants is computed here."""
    return op in _FUNCTIONS


def is_element_by_element(op: str) -> bool:
    """Whether an operator works element by element."""
    return op in _BROADCASTING or op in _UNARY or op in _OTHER_UNARY


@controlled
def evaluated(node: Node, given: Sequence[Any], opset: int, budget: Budget) -> Any:
    """Return the result of a node for arrays: an array or a list of arrays."""
    arrays = list(given)
    budget.pay(_elements(node, arrays))
    with np.errstate(all="ignore"):
        found = _FUNCTIONS[node.op](node, arrays, opset)
    return [np.asarray(one) for one in found] if isinstance(found, list) else np.asarray(found)


def _elements(node: Node, arrays: Sequence[Any]) -> int:
    """Return an upper bound of the result's number of elements."""
    sizes = [0 if array is None else array.size for array in arrays]
    if node.op in ("Expand", "ConstantOfShape"):
        shape = [int(extent) for extent in np.ravel(arrays[-1])]
        return max(math.prod(shape), 0) * (sizes[0] if node.op == "Expand" else 1) + 1
    if node.op == "Tile":
        return sizes[0] * max(math.prod(int(times) for times in np.ravel(arrays[1])), 0)
    if node.op == "Range":
        first, last, step = (float(np.ravel(array)[0]) for array in arrays)
        count = (last - first) / step if step else math.inf
        if not math.isfinite(count):
            raise ValueError("a range has no end")
        return max(math.ceil(count), 0)
    if node.op == "Pad":
        return (
            sum(sizes)
            + math.prod(
                extent + 2 * max(map(abs, np.ravel(arrays[1]).tolist()), default=0)
                for extent in arrays[0].shape
            )
            if len(arrays) > 1
            else sum(sizes)
        )
    if node.op in ("MatMul", "Gather"):
        return sizes[0] * max(sizes[1], 1)
    if node.op in _BROADCASTING:
        shapes = [array.shape for array in arrays if array is not None]
        return math.prod(np.broadcast_shapes(*shapes)) if shapes else 0
    return sum(sizes) + 1


def _axes(node: Node, arrays: Sequence[Any]) -> tuple[int, ...] | None:
    axes = node("axes") if node("axes") is not None else arrays[1] if len(arrays) > 1 else None
    return None if axes is None else tuple(int(axis) for axis in np.ravel(axes))


def _cast(node: Node, arrays: list[Any], opset: int) -> Any:
    if node("to") not in DTYPES:
        raise ValueError(f"it casts to the type {node('to')}, which is not read")
    return arrays[0].astype(DTYPES[node("to")])


def _constant(node: Node, arrays: list[Any], opset: int) -> Any:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if node(name) is not None:
            kind = np.float32 if "float" in name else np.int64 if "int" in name else None
            return np.asarray(node(name), kind)
    raise ValueError("it is a constant of no kind that is read")


def _filled(node: Node, arrays: list[Any], opset: int) -> Any:
    value = node("value", np.zeros(1, np.float32))
    return np.full([int(extent) for extent in arrays[0]], np.ravel(value)[0], value.dtype)


def _reshape(node: Node, arrays: list[Any], opset: int) -> Any:
    return arrays[0].reshape(
        target_shape(arrays[0].shape, np.ravel(arrays[1]).tolist(), node("allowzero", 0))
    )


def target_shape(shape: Sequence[int], target: Sequence[int], allow_zero: int = 0) -> tuple[int, ...]:
    """Return the result's shape of Reshape: 0 keeps the size of that axis, -1 is computed from the others.

    Examples
    --------
    >>> target_shape((2, 3, 4), (0, -1))
    (2, 12)
    """
    if len(target) > 16 or any(extent < -1 for extent in target) or list(target).count(-1) > 1:
        raise ValueError(f"{list(target)} is no shape")
    if not allow_zero and any(extent == 0 and at >= len(shape) for at, extent in enumerate(target)):
        raise ValueError(f"{list(target)} is no shape for {tuple(shape)}")
    sizes = [shape[at] if extent == 0 and not allow_zero else int(extent) for at, extent in enumerate(target)]
    if -1 in sizes:
        known, whole = math.prod(extent for extent in sizes if extent != -1), math.prod(shape)
        if not known or whole % known:
            raise ValueError(f"{list(target)} is no shape for {tuple(shape)}")
        sizes[sizes.index(-1)] = whole // known
    if math.prod(sizes) != math.prod(shape):
        raise ValueError(f"{list(target)} is no shape for {tuple(shape)}")
    return tuple(sizes)


def slices(node: Node, arrays: Sequence[Any], rank: int) -> tuple[slice, ...]:
    """Return Slice's slice along each axis."""
    if node("starts") is not None:
        starts, ends, axes, steps = node("starts"), node("ends"), node("axes"), None
    else:
        starts, ends, axes, steps = (
            [*(None if a is None else np.ravel(a).tolist() for a in arrays[1:]), None, None]
        )[:4]
    if starts is None or ends is None or len(starts) != len(ends):
        raise ValueError("a slice needs as many starts as ends")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if (
        not len(axes) == len(steps) == len(starts)
        or any(not -rank <= axis < rank for axis in axes)
        or 0 in steps
    ):
        raise ValueError(f"axes {axes} and steps {steps} are none of a slice of {rank} axes")
    found = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # For a negative step, an end before the first element is a very small number, which Python would
        # misread.
        last = None if step < 0 and end < -(2**30) else int(end)
        found[axis] = slice(int(start), last, int(step))
    return tuple(found)


def split_sizes(node: Node, arrays: Sequence[Any], extent: int) -> list[int]:
    """Return the sizes of Split's parts of an axis."""
    given = node("split") if node("split") is not None else arrays[1] if len(arrays) > 1 else None
    if given is not None:
        sizes = [int(size) for size in np.ravel(given)]
    else:
        count = len(node.outputs)
        each = -(-extent // count)
        sizes = [min(each, extent - at * each) for at in range(count)]
    if len(sizes) != len(node.outputs) or min(sizes) < 0 or sum(sizes) != extent:
        raise ValueError(f"an axis of {extent} cannot be split into {sizes}")
    return sizes


def _split(node: Node, arrays: list[Any], opset: int) -> Any:
    axis = node("axis", 0)
    sizes = split_sizes(node, arrays, arrays[0].shape[axis])
    return list(np.split(arrays[0], np.cumsum(sizes)[:-1], axis))


def _gather(node: Node, arrays: list[Any], opset: int) -> Any:
    return np.take(arrays[0], arrays[1].astype(np.int64), node("axis", 0))


def _unsqueeze(node: Node, arrays: list[Any], opset: int) -> Any:
    return np.expand_dims(arrays[0], _axes(node, arrays) or ())


def _expand(node: Node, arrays: list[Any], opset: int) -> Any:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(int(extent) for extent in arrays[1]))
    return np.broadcast_to(arrays[0], shape)


def _divided(node: Node, arrays: list[Any], opset: int) -> Any:
    a, b = arrays
    if a.dtype.kind in "iu":
        if not np.all(b):
            raise ValueError("a whole number is divided by 0")
        return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)
    return a / b


def _mod(node: Node, arrays: list[Any], opset: int) -> Any:
    if arrays[0].dtype.kind in "iu" and not np.all(arrays[1]):
        raise ValueError("a whole number is divided by 0")
    return np.fmod(*arrays) if node("fmod", 0) else np.mod(*arrays)


def _clip(node: Node, arrays: list[Any], opset: int) -> Any:
    low, high = ([*arrays[1:], None, None])[:2]
    low = node("min") if low is None else low
    high = node("max") if high is None else high
    found = arrays[0] if low is None else np.maximum(arrays[0], np.asarray(low, arrays[0].dtype))
    return found if high is None else np.minimum(found, np.asarray(high, arrays[0].dtype))


def _dequantized(node: Node, arrays: list[Any], opset: int) -> Any:
    x, scale = arrays[0], arrays[1].astype(np.float32)
    zero = arrays[2] if len(arrays) > 2 and arrays[2] is not None else np.zeros_like(scale, x.dtype)
    if node("block_size", 0):
        raise ValueError("numbers that are quantized in blocks are not read")
    if scale.ndim == 1 and scale.size > 1:
        along = [1] * x.ndim
        along[node("axis", 1)] = scale.size
        scale, zero = scale.reshape(along), zero.reshape(along)
    return (x.astype(np.float32) - zero.astype(np.float32)) * scale


def _batch_normalized(node: Node, arrays: list[Any], opset: int) -> Any:
    x, gamma, beta, mean, variance = arrays[:5]
    along = (1, -1, *(1,) * (x.ndim - 2))
    if node("training_mode", 0):
        axes = (0, *range(2, x.ndim))
        mean, variance = x.mean(axes), x.var(axes)
    gamma, beta, mean, variance = (array.reshape(along) for array in (gamma, beta, mean, variance))
    return (x - mean) / np.sqrt(variance + x.dtype.type(node("epsilon", 1e-5))) * gamma + beta


def _ufunc(function: Any) -> Function:
    return lambda node, arrays, opset: function(*arrays)


def _folded(function: Any) -> Function:
    """Return a function of any number of arrays; a third argument of NumPy's would be the output."""
    return lambda node, arrays, opset: functools.reduce(function, arrays)


def _reduction(function: Any) -> Function:
    def reduce(node: Node, arrays: list[Any], opset: int) -> Any:
        return function(arrays[0], axis=_axes(node, arrays), keepdims=bool(node("keepdims", 1)))

    return reduce


def _same(node: Node, arrays: list[Any], opset: int) -> Any:
    return arrays[0]


_BINARY: dict[str, Any] = {
    **{
        "Add": np.add,
        "Sub": np.subtract,
        "Mul": np.multiply,
        "Pow": np.power,
        "Max": np.maximum,
        "Min": np.minimum,
    },
    **{"Equal": np.equal, "Less": np.less, "Greater": np.greater, "LessOrEqual": np.less_equal},
    **{"GreaterOrEqual": np.greater_equal, "And": np.logical_and, "Or": np.logical_or, "Where": np.where},
}
_UNARY: dict[str, Any] = {
    **{"Sqrt": np.sqrt, "Neg": np.negative, "Exp": np.exp, "Abs": np.abs, "Floor": np.floor, "Ceil": np.ceil},
    **{"Reciprocal": np.reciprocal, "Not": np.logical_not, "Log": np.log, "Sign": np.sign},
}
_OTHER_UNARY = ("Cos", "Erf", "IsInf", "IsNaN", "Round", "Sin")  # not computed here
_BROADCASTING = {*_BINARY, "Div", "Mod"}
_FUNCTIONS: dict[str, Function] = {
    **{name: _ufunc(function) for name, function in (_BINARY | _UNARY).items()},
    **{"Max": _folded(np.maximum), "Min": _folded(np.minimum)},
    **{"Div": _divided, "Mod": _mod, "Constant": _constant, "ConstantOfShape": _filled, "Cast": _cast},
    **{"Reshape": _reshape, "Gather": _gather, "Unsqueeze": _unsqueeze, "Expand": _expand, "Split": _split},
    **{"Identity": _same, "Dropout": _same, "Clip": _clip, "DequantizeLinear": _dequantized},
    "BatchNormalization": _batch_normalized,
    "CastLike": lambda node, arrays, opset: arrays[0].astype(arrays[1].dtype),
    "Concat": lambda node, arrays, opset: np.concatenate(arrays, node("axis", 0)),
    "Flatten": lambda node, arrays, opset: _flattened(arrays[0], node("axis", 1)),
    "MatMul": lambda node, arrays, opset: np.matmul(*arrays),
    "Range": lambda node, arrays, opset: np.arange(*(np.ravel(array)[0] for array in arrays)),
    "Shape": lambda node, arrays, opset: np.array(arrays[0].shape[node("start", 0) : node("end")], np.int64),
    "Size": lambda node, arrays, opset: np.array(arrays[0].size),
    "Slice": lambda node, arrays, opset: arrays[0][slices(node, arrays, arrays[0].ndim)],
    "Squeeze": lambda node, arrays, opset: np.squeeze(arrays[0], _axes(node, arrays)),
    "Tile": lambda node, arrays, opset: np.tile(arrays[0], np.ravel(arrays[1])),
    "Transpose": lambda node, arrays, opset: np.transpose(arrays[0], node("perm")),
    **{
        name: _reduction(function)
        for name, function in {
            **{"ReduceSum": np.sum, "ReduceProd": np.prod, "ReduceMax": np.max, "ReduceMin": np.min},
            "ReduceMean": np.mean,
        }.items()
    },
}


def _flattened(array: np.ndarray, axis: int) -> np.ndarray:
    return array.reshape(math.prod(array.shape[: axis % (array.ndim + 1) if axis < 0 else axis]), -1)
