"""From the nodes of an ONNX graph to layers, node by node; everything that cannot be read is collected."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cconv.arguments.text import short as plain
from cconv.files.reading import short
from cconv.io.onnx.reading.constants import Budget, evaluated, is_element_by_element, is_evaluated
from cconv.io.onnx.reading.graphs import Graph, Node
from cconv.io.onnx.reading.steps import Step, Steps
from cconv.io.onnx.reading.values import Flat, Layout, Unread, Value, images_last
from cconv.layers import Activation

Operand = Value | np.ndarray | None
Operator = Callable[["Translator", Node, list[Any]], Any]
OPERATORS: dict[str, Operator] = {}
MOST_SHOWN = 60  # limit of the operators listed in an error message


class NotRead(Exception):
    """Holds the list of operators that no layer can express."""


class _Missing:
    """Stands for the output of a node that cannot be read."""


MISSING = _Missing()


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Return a decorator that registers a function as the translator of these operators.

    The function gets the translator, the node and its inputs, each a `Value`, an array, or None if omitted.
    It returns the node's output: a `Value`, or a list of them.
    """

    def note(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return note


class Translator(Layout):
    """The interface for the functions of operators.

    Attributes
    ----------
    graph : Graph
    steps : Steps
        The layers so far.
    uses : dict of str to int
        The number of nodes and outputs that take a value, by its name.
    """

    def __init__(self, graph: Graph, steps: Steps, budget: Budget) -> None:
        super().__init__(steps)
        self.graph, self.budget = graph, budget
        self.known: dict[str, Any] = dict(graph.constants)
        self.uses: dict[str, int] = {}
        for name in [*graph.outputs, *(name for node in graph.nodes for name in node.inputs)]:
            self.uses[name] = self.uses.get(name, 0) + 1
        self.readers: dict[str, set[str]] = {}  # the operators that take a value
        for node in graph.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, set()).add(node.op)
        self._makers = {name: node for node in graph.nodes for name in node.outputs}
        self._refused: dict[str, list[str]] = {}  # what cannot be read, with the names of its nodes

    @property
    def opset(self) -> int:
        """The version of ONNX' operator set."""
        return self.graph.opset

    # --- what operators ask for ---------------------------------------------------------------

    def add(
        self, make: Any, inputs: Value | Sequence[Value], order: Sequence[int], shape: Any = None, **how: Any
    ) -> Value:
        """Return the output of a new layer on these inputs; its axes are stored in that order.

        Parameters
        ----------
        make : class of the layer
        inputs : Value, or a list of them
        order : sequence of int
            The axes of the result, in the order of the layer's axes.
        shape : tuple of int, optional
            The result's shape with the batch, if it does not follow from the layer's axes.
        **how
            Further arguments of `Steps.add`: options, weights, name, shared.
        """
        given = [inputs] if isinstance(inputs, Value) else list(inputs)
        number = self.steps.add(make, [value.number for value in given], **how)
        if shape is None:
            sizes = dict(zip(order[1:], self.steps.shapes[number], strict=True))
            samples = given[0].shape[given[0].batch]
            shape = tuple(samples if axis == order[0] else sizes[axis] for axis in range(len(order)))
        return Value(number, tuple(shape), tuple(order))

    def mapped(self, make: Any, value: Value, **how: Any) -> Value:
        """Return the output of a new layer that keeps the shape and the order of the axes."""
        number = self.steps.add(make, [value.number], **how)
        return Value(number, value.shape, value.order, value.parts, value.turn)

    def channels_last(self, value: Value) -> Value:
        """Return a value with its second axis, the channels, stored last, as layers need it."""
        if value.batch != 0 or value.rank < 2:
            raise Unread(f"of {value.shape}, whose samples are along axis {value.batch}")
        return self.arranged(value, images_last(value.rank))

    def of_one_layer(self, node: Node, name: str) -> bool:
        """Whether a node may belong to the layer that computes a value: only cconv's own files say no."""
        maker = self._makers.get(name)
        return not node.layer or (maker is not None and maker.belongs_to(node))

    def outer_axis(self, place: int, rank: int) -> int:
        """Return an axis as counted by a layer in the model's data format; the batch is 0."""
        first = self.steps.data_format == "channels_first" and rank == 4 and place
        return place % 3 + 1 if first else place

    def place_of(self, outer: int, rank: int) -> int:
        """Return the stored axis for one counted in the model's data format."""
        return next(place for place in range(rank) if self.outer_axis(place, rank) == outer)

    # --- the nodes ----------------------------------------------------------------------------

    def run(self) -> None:
        """Translate every node.

        Raises
        ------
        NotRead
            With everything that no layer can express.
        ValueError
            If the graph contradicts itself.
        """
        for node in self.graph.nodes:
            given = [self.known[name] if name else None for name in node.inputs]
            try:
                results = self._given_by(node, given)
            except Unread as error:
                results = self._stand_in(node, error)
                self._refused.setdefault(f"{node.op} {error}".rstrip(), []).append(node.name)
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"the node {short(repr(node.name))} ({node.op}): {short(error)}") from error
            outputs = results if isinstance(results, list) else [results]
            for number, name in enumerate(node.outputs):
                if name:
                    self.known[name] = outputs[number] if number < len(outputs) else MISSING
        if self._refused:
            raise NotRead(self._refusal())

    def _stand_in(self, node: Node, error: Unread) -> Any:
        """Return a placeholder with the shape of a node's output, so that translation can go on."""
        if error.shape is None or not all(extent > 0 for extent in error.shape):
            return MISSING
        shape = tuple(int(extent) for extent in error.shape)
        order = (error.batch, *(axis for axis in range(len(shape)) if axis != error.batch))
        sizes = tuple(shape[axis] for axis in order[1:]) or (1,)
        self.steps.shapes.append(sizes)
        self.steps.learns.append(False)
        self.steps.steps.append(Step(Activation("linear"), ()))
        return Value(len(self.steps.shapes) - 1, shape, order)

    def _given_by(self, node: Node, given: list[Any]) -> Any:
        lost = any(value is MISSING for value in given)
        function = OPERATORS.get(node.op)
        if all(value is None or isinstance(value, np.ndarray) for value in given) and is_evaluated(node.op):
            return evaluated(node, given, self.opset, self.budget)
        if node.op in ("Shape", "Size") and isinstance(given[0], Value):
            return self._shape(node, given[0])
        if function is None and not (lost and (is_evaluated(node.op) or node.op in ("Shape", "Size"))):
            raise Unread("", *_element_by_element(node, given))
        if lost or function is None:
            return MISSING
        if not any(isinstance(value, Value | Flat) for value in given):
            raise Unread("of constants alone")
        if len(node.outputs) > 1 and node.op not in MANY and any(self.uses.get(n) for n in node.outputs[1:]):
            raise Unread("with more than one output")
        return function(self, node, given)

    def _shape(self, node: Node, value: Value) -> np.ndarray:
        if node.op == "Size":
            return np.array(np.prod(value.shape, dtype=np.int64))
        return np.array(value.shape[node("start", 0) : node("end")], np.int64)

    def _refusal(self) -> str:
        listed = [
            f"{plain(what, 200)} ({_counted(len(names))}{plain(names[0], 100)!r})"
            for what, names in self._refused.items()
        ]
        more = len(listed) - MOST_SHOWN
        rest = f", and {more} more" if more > 0 else ""
        return f"cconv has no layers for {', '.join(listed[:MOST_SHOWN])}{rest}"


def _element_by_element(node: Node, given: Sequence[Any]) -> tuple[Any, ...]:
    """Return the shape and the axis of samples of an elementwise operator's result; () for others."""
    values = [one for one in given if isinstance(one, Value)]
    if not is_element_by_element(node.op) or not values or any(one is MISSING for one in given):
        return ()
    shape = np.broadcast_shapes(*(one.shape for one in given if one is not None))
    largest = max(values, key=lambda value: value.rank)
    return shape, len(shape) - largest.rank + largest.batch


def _counted(count: int) -> str:
    return f"{count} nodes, first " if count > 1 else "1 node, "


# Operators with more than one output that can be read.
MANY = ("Split",)


def argument(node: Node, given: Sequence[Any], name: str, number: int, default: Any = None) -> Any:
    """Return an argument that is an attribute in older opsets and an input in newer ones, as a list."""
    value = node(name)
    if value is None and number < len(given) and given[number] is not None:
        if not isinstance(given[number], np.ndarray):
            raise Unread(f"with {name} that depend on the input")
        value = given[number]
    if value is None:
        return default
    return np.ravel(value).tolist()


def axis_of(node: Node, value: Value, default: int | None = None, name: str = "axis") -> int:
    """Return the attribute for an axis, counted from 0."""
    axis = node(name, default)
    return checked_axis(axis, value.rank)


def checked_axis(axis: Any, rank: int) -> int:
    """Return an axis counted from 0; ValueError if it does not exist."""
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} of {rank}")
    return axis % rank


def tidy(number: float) -> float:
    """Return a float32 as the shortest decimal that it stands for: 0.001, not 0.0010000000474974513."""
    short = np.float32(number)
    return float(str(short)) if float(short) == number else float(number)


def constant(given: Sequence[Any], number: int, what: str) -> np.ndarray | None:
    """Return an input that must be a constant, or None if it is omitted."""
    value = given[number] if number < len(given) else None
    if value is not None and not isinstance(value, np.ndarray):
        raise Unread(f"with {what} that depend on the input")
    return value
