"""An ONNX file's graph in plain Python: nodes, constants, inputs and outputs."""

import heapq
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import onnx

from cconv.files.reading import open_regular, short
from cconv.io.onnx.reading import wire
from cconv.io.onnx.reading.tensors import array_of

OPSETS = range(7, 25)
DOUBLE = 11  # TensorProto.DataType
LARGEST_FILE = 2**31 - 1  # limit of a protobuf message in bytes; larger weights are in separate files
OWN_DOMAINS = ("", "ai.onnx")
OWN_PRODUCER = "cconv"
CHANNELS = "DATA_CHANNEL"  # ONNX' name for the axis of channels
# By AttributeProto.AttributeType: the field with the value.
_FIELDS = {
    1: "f",
    2: "i",
    3: "s",
    4: "t",
    5: "g",
    6: "floats",
    7: "ints",
    8: "strings",
    9: "tensors",
    10: "graphs",
}


@dataclass
class Node:
    """One operation.

    Attributes
    ----------
    op : str
        Its operator, with the domain in front if it is not ONNX's own.
    name : str
        As error messages show it: the node's name, or its first output's.
    inputs, outputs : list of str
        Names of values, "" for an omitted one.
    attributes : dict
        Numbers, strings, lists of these, and arrays.
    layer : str
        In a file of cconv: the layer class that the node is a part of, which distinguishes layers with the
        same result. "" in all other files.
    """

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    layer: str = ""

    @property
    def label(self) -> str:
        """The common prefix of the names of a layer's nodes, in a file of cconv."""
        return self.name.rpartition("/")[0]

    def belongs_to(self, other: "Node") -> bool:
        """Whether the file says that both nodes are parts of one layer."""
        return (self.label, self.layer) == (other.label, other.layer)

    def __call__(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)


class Entry(NamedTuple):
    """An input: its name, its sizes (a name or None if unknown), its TensorProto.DataType.

    `channels` is the axis of the channels, if the file says so.
    """

    name: str
    shape: tuple[int | str | None, ...] | None
    kind: int
    channels: int | None = None


@dataclass
class Graph:
    """The nodes in an order of computation, with constants, inputs and outputs."""

    nodes: list[Node]
    constants: dict[str, np.ndarray]
    inputs: list[Entry]
    outputs: list[str]
    opset: int

    @property
    def dtype(self) -> np.dtype:
        """The model's dtype: float64 if an input is double, else float32."""
        doubles = any(entry.kind == DOUBLE for entry in self.inputs)
        return np.dtype(np.float64 if doubles else np.float32)


def read(path: str | os.PathLike[str]) -> Graph:
    """Return the graph of an ONNX file.

    Raises
    ------
    OSError
        When there is no such file.
    ValueError
        When the file is not a complete model; the message has the reason.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE:
            raise ValueError(f"it has {size} bytes, at most {LARGEST_FILE} are read")
        data = file.read(size + 1)
    if not data:
        raise ValueError("it is empty")
    wire.check(data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's own class is not imported here
        raise ValueError(f"it is no ONNX model: {short(error)}") from error
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise ValueError("it is no ONNX model: there is no graph in it")
    return _graph_of(model, os.path.dirname(os.path.abspath(os.fspath(path))))


def _graph_of(model: Any, folder: str) -> Graph:
    opset = next((entry.version for entry in model.opset_import if entry.domain in OWN_DOMAINS), None)
    if opset is None or opset not in OPSETS:
        raise ValueError(f"it is of opset {opset}; {OPSETS.start} to {OPSETS.stop - 1} are read")
    graph = model.graph
    if graph.sparse_initializer:
        raise ValueError("it has sparse tensors, which are not read")
    constants: dict[str, np.ndarray] = {}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in constants:
            raise ValueError(f"two tensors have the name {short(repr(tensor.name))}")
        constants[tensor.name] = array_of(tensor, folder)
    inputs = [_entry_of(value) for value in graph.input if value.name not in constants]
    outputs = [value.name for value in graph.output]
    if not inputs or not outputs:
        raise ValueError("its graph has no inputs or no outputs")
    own = model.producer_name == OWN_PRODUCER
    nodes = [_node_of(node, folder, own) for node in graph.node]
    known = [*constants, *(entry.name for entry in inputs)]
    return Graph(_needed(_sorted(nodes, known), outputs), constants, inputs, outputs, int(opset))


def _entry_of(value: Any) -> Entry:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise ValueError(f"the input {short(repr(value.name))} is no tensor, but {kind}")
    tensor = value.type.tensor_type
    shape: tuple[Any, ...] | None = None
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim
        )
        # Some files write 0 or -1 for an unknown size.
        shape = tuple(None if isinstance(extent, int) and extent < 1 else extent for extent in shape)
    said = [dim.denotation for dim in tensor.shape.dim]
    channels = said.index(CHANNELS) if said.count(CHANNELS) == 1 else None
    return Entry(value.name, shape, tensor.elem_type, channels)


def _node_of(node: Any, folder: str, own: bool) -> Node:
    domain = "" if node.domain in OWN_DOMAINS else f"{node.domain}::"
    outputs = list(node.output)
    name = node.name or next(iter(outputs), "")
    if not outputs:
        raise ValueError(f"the node {short(repr(name))} has no outputs")
    attributes = {entry.name: _attribute_of(entry, folder) for entry in node.attribute}
    layer = node.doc_string if own else ""
    return Node(f"{domain}{node.op_type}", name, list(node.input), outputs, attributes, layer)


def _attribute_of(entry: Any, folder: str) -> Any:
    value = getattr(entry, _FIELDS.get(entry.type, "f"))
    if entry.type == 3:
        return value.decode("utf-8", "replace")
    if entry.type == 4:
        return array_of(value, folder)
    if entry.type == 8:
        return [text.decode("utf-8", "replace") for text in value]
    return list(value) if entry.type in (6, 7, 9, 10) else value


def _sorted(nodes: Sequence[Node], known: Iterable[str]) -> list[Node]:
    """Return the nodes sorted so that each follows the nodes whose outputs it takes."""
    maker: dict[str, int] = {}
    taken = set(known)
    for number, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in maker or name in taken:
                raise ValueError(f"two values have the name {short(repr(name))}")
            maker[name] = number
    waits = [0] * len(nodes)
    readers: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        for name in filter(None, node.inputs):
            if name in maker:
                waits[number] += 1
                readers.setdefault(maker[name], []).append(number)
            elif name not in taken:
                raise ValueError(
                    f"the node {short(repr(node.name))} takes {short(repr(name))}, which nothing gives"
                )
    ready = [number for number, count in enumerate(waits) if not count]  # in ascending order, so it is a heap
    order: list[int] = []
    while ready:  # in the file's order, if it is valid
        order.append(heapq.heappop(ready))
        for reader in readers.get(order[-1], ()):
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waits, strict=True) if count)
        raise ValueError(f"its nodes make up a circle, with {short(repr(stuck.name))} in it")
    return [nodes[number] for number in order]


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """Return the nodes that the outputs depend on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]
