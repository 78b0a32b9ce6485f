"""The ONNX graph being written: nodes, constants, and the order of axes of each value.

ONNX' convolutions and poolings have the channels in front, cconv's layers have them last. A value is
transposed only if a node needs the other order, and once for all such nodes; between convolutions it is not.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

Shape = tuple[int, ...]
IMAGE = 3  # axes of an image, without the batch
LEAST_OPSET = 18  # the operator set of a file, unless a node needs a later one


class Value(NamedTuple):
    """A value between two nodes.

    Attributes
    ----------
    name : str
    shape : tuple of int
        One sample's shape, channels last, as the layers see it.
    first : bool
        Whether the channels are in front.
    """

    name: str
    shape: Shape
    first: bool = False


class Sheet:
    """An ONNX graph to which nodes are added.

    Parameters
    ----------
    dtype : numpy.dtype
        Dtype of all arrays, except sizes.

    Attributes
    ----------
    kind : int
        ONNX' number for the dtype.
    label : str
        The prefix of nodes' names: the name of the layer being written.
    layer : str
        Its class, which is written into the nodes' ``doc_string``: it distinguishes layers with the same
        result.
    opset : int
        The operator set that the nodes so far require.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.kind: int = helper.np_dtype_to_tensor_dtype(dtype)
        self.label = self.layer = ""
        self.opset = LEAST_OPSET
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self._names: set[str] = set()
        self._kept: dict[tuple[Any, ...], str] = {}  # names of constants, by contents
        self._turned: dict[str, Value] = {}
        self._ended: set[str] = set()

    def named(self, name: str) -> str:
        """Return the name, with a number if it is used already."""
        new, number = name, 1
        while new in self._names:
            new, number = f"{name}_{number}", number + 1
        self._names.add(new)
        return new

    # --- constants ----------------------------------------------------------------------------

    def weight(self, name: str, array: np.ndarray) -> str:
        """Add an array of the graph's dtype; return its name."""
        return self._constant(f"{self.label}/{name}", np.ascontiguousarray(array, self.dtype))

    def sizes(self, *numbers: int) -> str:
        """Add integers, such as a shape; return their name."""
        return self._constant("sizes", np.array(numbers, np.int64))

    def floats(self, *numbers: float) -> str:
        """Add numbers that are float32 whatever the graph's dtype is; return their name."""
        return self._constant("factors", np.array(numbers, np.float32))

    def number(self, value: float) -> str:
        """Add a single number; return its name."""
        return self._constant("number", np.array(value, self.dtype))

    def _constant(self, name: str, array: np.ndarray) -> str:
        key = (array.shape, array.dtype.str, array.tobytes())
        if key not in self._kept:
            self._kept[key] = self.named(name)
            self.constants[self._kept[key]] = array
        return self._kept[key]

    # --- nodes --------------------------------------------------------------------------------

    def node(self, kind: str, inputs: Sequence[str], opset: int = LEAST_OPSET, **attributes: Any) -> str:
        """Add a node with one output; return the output's name.

        `opset` is the first operator set with this meaning of the operator.
        """
        self.opset = max(self.opset, opset)
        name = self.named(f"{self.label}/{kind}")
        node = helper.make_node(kind, list(inputs), [name], name, doc_string=self.layer, **attributes)
        self.nodes.append(node)
        return name

    def like(self, value: Value, kind: str, *more: str, **attributes: Any) -> Value:
        """Add an elementwise node; `more` are its inputs after the value."""
        return value._replace(name=self.node(kind, [value.name, *more], **attributes))

    def last(self, value: Value) -> Value:
        """Return the value with the channels last."""
        return self._turn(value) if value.first else value

    def first(self, value: Value) -> Value:
        """Return the value with the channels in front."""
        return value if value.first or len(value.shape) == 1 else self._turn(value)

    def _turn(self, value: Value) -> Value:
        if value.name not in self._turned:
            axes = range(1, len(value.shape) + 1)
            order = [0, *axes[1:], 1] if value.first else [0, len(axes), *axes[:-1]]
            name = self.named(f"{value.name}/Transpose")
            self.nodes.append(helper.make_node("Transpose", [value.name], [name], name, perm=order))
            self._turned[value.name] = Value(name, value.shape, not value.first)
            self._turned[name] = value
        return self._turned[value.name]

    def channels(self, value: Value, name: str, vector: np.ndarray) -> str:
        """Add one number per channel, in a shape that is broadcast over the value; return its name."""
        ones = (1,) * (len(value.shape) - 1) if value.first else ()
        return self.weight(name, np.reshape(vector, (-1, *ones)))

    def reshape(self, value: Value, shape: Shape) -> Value:
        """Return the samples in another shape, with their elements in the order of `Value.shape`."""
        # For a single pixel the order of axes does not matter: nothing is transposed.
        given = value if set(value.shape[:-1]) <= {1} else self.last(value)
        if len(shape) == IMAGE and set(shape[:-1]) == {1}:
            front = (shape[-1], *shape[:-1])
            return Value(self.node("Reshape", [given.name, self.sizes(0, *front)]), shape, True)
        return Value(self.node("Reshape", [given.name, self.sizes(0, *shape)]), shape)

    def end(self, name: str, value: Value) -> Value:
        """Return a value under an output's name."""
        maker = next((node for node in self.nodes if value.name in node.output), None)
        if maker is None or value.name in self._ended:  # an input of the model, or already an output
            self.nodes.append(helper.make_node("Identity", [value.name], [name], name))
        else:
            for node in self.nodes:
                node.input[:] = [name if each == value.name else each for each in node.input]
            maker.output[:] = [name]
        self._ended.add(name)
        return value._replace(name=name)

    # --- the graph ----------------------------------------------------------------------------

    def model(self, name: str, inputs: Sequence[Value], outputs: Sequence[Value]) -> onnx.ModelProto:
        """Return the ONNX model with everything that was added."""
        given, made = ([self._end(value) for value in values] for values in (inputs, outputs))
        constants = [numpy_helper.from_array(array, key) for key, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, name, given, made, constants)
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model_gen_version(graph, opset_imports=[opset], producer_name="cconv")

    def _end(self, value: Value) -> onnx.ValueInfoProto:
        shape = (value.shape[-1], *value.shape[:-1]) if value.first else value.shape
        axes = None
        if len(shape) == IMAGE:  # ONNX' "dimension denotation" of the axes
            axes = ["DATA_FEATURE", "DATA_FEATURE"]
            axes.insert(0 if value.first else len(axes), "DATA_CHANNEL")
            axes.insert(0, "DATA_BATCH")
        described = helper.make_tensor_value_info(value.name, self.kind, ["batch", *shape], "", axes)
        return described
