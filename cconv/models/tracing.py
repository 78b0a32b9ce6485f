"""From a graph's input and output tensors to the uses of layers between them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cconv.layers.input import InputLayer
from cconv.layers.symbolic import KerasTensor, Node
from cconv.models.flowing import Entry


class Graph(NamedTuple):
    """The graph between inputs and outputs.

    Attributes
    ----------
    entries : list of Entry
        The uses of layers; each follows those that it needs.
    outputs : list of int
        Numbers of the output values.
    items : list of Layer or Network
        The layers in Keras' order, farthest from the outputs first; inputs are `InputLayer`s among them.
    nodes : list of Node
        The node of each entry.
    """

    entries: list[Entry]
    outputs: list[int]
    items: list[Any]
    nodes: list[Node]


class _Search:
    """Follows tensors back to the inputs, without recursion, since networks may have thousands of layers."""

    def __init__(self, where: str, inputs: Sequence[KerasTensor]) -> None:
        self._where = where
        self._inputs = {id(tensor): number for number, tensor in enumerate(inputs)}
        self.number: dict[int, int] = dict(self._inputs)
        self.read: set[int] = set()
        self.nodes: list[Node] = []
        self.order: dict[int, int] = {}  # the order in which items are met first
        self._count = len(inputs)

    def follow(self, tensor: KerasTensor) -> None:
        """Give a tensor a number, and before that all tensors that it depends on."""
        work, open_ = [tensor], {id(tensor)}
        self._meet(tensor)
        while work:
            last = work[-1]
            need = None
            if id(last) not in self.number:
                need = self._missing(last)
                if need is None:
                    self._finish(last.node)
            if need is None:
                open_.discard(id(work.pop()))
                continue
            if id(need) in open_:
                raise ValueError(f"{self._where}: outputs must not depend on themselves, {need!r} does")
            open_.add(id(need))
            work.append(need)

    def _missing(self, tensor: KerasTensor) -> KerasTensor | None:
        """Return the first input of a tensor's node that has no number yet."""
        if not tensor.node.inputs:
            raise ValueError(
                f"{self._where}: outputs must depend on inputs alone, but they need {tensor!r}, "
                "which is not among them"
            )
        for each in tensor.node.inputs:
            self._meet(each)
            if id(each) not in self.number:
                return each
        return None

    def _meet(self, tensor: KerasTensor) -> None:
        key = id(tensor) if id(tensor) in self._inputs else id(tensor.node.layer)
        self.order.setdefault(key, len(self.order))

    def _finish(self, node: Node) -> None:
        self.read |= {id(each) for each in node.inputs}
        self.nodes.append(node)
        for tensor in node.outputs:
            self.number[id(tensor)] = self._count
            self._count += 1


def graph_of(where: str, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> Graph:
    """Return the graph between these tensors.

    Raises
    ------
    ValueError
        If an input occurs twice or is not used, or outputs need a tensor that is not among the inputs.
    """
    if len({id(tensor) for tensor in inputs}) < len(inputs):
        raise ValueError(f"{where}: inputs must each be there once, got {list(inputs)!r}")
    search = _Search(where, inputs)
    for tensor in outputs:
        search.follow(tensor)
    ends = {id(tensor) for tensor in outputs}
    for tensor in inputs:
        if id(tensor) not in search.read | ends:
            raise ValueError(f"{where}: inputs must all be used, no output depends on {tensor!r}")
    entries = [
        Entry(
            node.layer,
            tuple(search.number[id(each)] for each in node.inputs),
            node.at_inference,
            len(node.outputs),
            call,
        )
        for node, call in zip(search.nodes, _calls(search.nodes), strict=True)
    ]
    items = _in_order(search, inputs)
    return Graph(entries, [search.number[id(tensor)] for tensor in outputs], items, search.nodes)


def _calls(nodes: Sequence[Node]) -> list[int]:
    """Return for each node how many of the others its layer was called for before."""
    inside = {id(node) for node in nodes}
    before: dict[int, int] = {}
    for layer in {id(node.layer): node.layer for node in nodes}.values():
        called = [id(node) for node in layer._nodes if id(node) in inside]
        before |= {node: number for number, node in enumerate(called)}
    return [before.get(id(node), 0) for node in nodes]


def input_layer_of(tensor: KerasTensor) -> InputLayer:
    """Return the layer that stands for an input: its own, or a new one if another layer computes it."""
    layer = tensor.node.layer
    return layer if isinstance(layer, InputLayer) else InputLayer(tensor.sample_shape)


def _in_order(search: _Search, inputs: Sequence[KerasTensor]) -> list[Any]:
    """Return the layers in Keras' order: by the longest path to an output, then in the order of meeting."""
    node_of = {id(tensor): node for node in search.nodes for tensor in node.outputs}
    depth: dict[int, int] = {}  # by the id of a node, an item or an input
    items: dict[int, Any] = {}
    for node in reversed(search.nodes):
        key = id(node.layer)
        items[key] = node.layer
        far = max(depth.get(id(node.outputs), 0), depth.get(key, 0))
        depth[id(node.outputs)] = depth[key] = far
        for tensor in node.inputs:
            before = node_of.get(id(tensor))
            name = id(tensor) if before is None else id(before.outputs)
            depth[name] = max(far + 1, depth.get(name, 0))
    for tensor in inputs:
        items[id(tensor)] = input_layer_of(tensor)
    return [
        items[key] for key in sorted(items, key=lambda key: (-depth.get(key, 0), search.order.get(key, -1)))
    ]
