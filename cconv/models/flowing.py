"""A model, and the models in it, as the one flow that a plan runs."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cconv.engine.flow import Flow, Use

DEEPEST = 32  # limit of nested models; copying and saving them is recursive


class Entry(NamedTuple):
    """One use of a layer, or of a model as a layer, in a model.

    Attributes
    ----------
    item : Layer or Network
    inputs : tuple of int
        Numbers of the input values: first the model's inputs, then the outputs of the entries, in order.
    at_inference : bool
        Whether it acts as at inference even while the model trains.
    n_outputs : int
        Number of its outputs.
    call : int
        The uses of an item by this number are in the order in which the item was called.
    """

    item: Any
    inputs: tuple[int, ...]
    at_inference: bool = False
    n_outputs: int = 1
    call: int = 0


def in_order_of_calls(entries: Sequence[Entry], nodes: Sequence[Any]) -> None:
    """Put the nodes of an item that has just been called for several entries in the order of its calls."""
    uses: dict[int, list[tuple[int, Any]]] = {}
    for entry, node in zip(entries, nodes, strict=True):
        uses.setdefault(id(entry.item), []).append((entry.call, node))
    for of_item in uses.values():
        known = of_item[0][1].layer._nodes
        known[-len(of_item) :] = [node for _, node in sorted(of_item, key=lambda use: use[0])]


class Inner(NamedTuple):
    """A model inside another, or a layer that returns its input; and the flow's values that go into it."""

    item: Any
    inputs: tuple[int, ...]


class Inliner:
    """Makes one flow of a model's entries.

    Parameters
    ----------
    entries : sequence of Entry
        In order.
    n_inputs : int
        Number of the model's inputs.
    outputs : sequence of int
        Numbers of the values that are the model's outputs.

    Attributes
    ----------
    flow : Flow
    inner : list of Inner
        The models among the entries, and those inside them.
    passing : list of Inner
        Layers that are left out of the flow: they act only in training, and are used only as at inference.
    """

    def __init__(self, entries: Sequence[Entry], n_inputs: int, outputs: Sequence[int]) -> None:
        self._n_inputs = n_inputs
        self._uses: list[Use] = []
        self.inner: list[Inner] = []
        self.passing: list[Inner] = []
        values = self._through(entries, tuple(range(n_inputs)), False)
        self.flow: Flow = Flow(self._uses, n_inputs, [values[value] for value in outputs])

    def _through(self, entries: Sequence[Entry], inputs: Sequence[int], at_inference: bool) -> list[int]:
        """Add the uses of these entries; return the flow's numbers of their values."""
        values = list(inputs)
        for entry in entries:
            given = tuple([values[value] for value in entry.inputs])
            values += self._use(entry.item, given, at_inference or entry.at_inference)
        return values

    def _use(self, item: Any, inputs: tuple[int, ...], at_inference: bool) -> Sequence[int]:
        entries = getattr(item, "_entries", None)
        if entries is not None:
            self.inner.append(Inner(item, inputs))
            values = self._through(entries, inputs, at_inference)
            return [values[value] for value in item._outputs]
        if at_inference and item._only_in_training:
            self.passing.append(Inner(item, inputs))
            return inputs
        self._uses.append(Use(item, inputs, at_inference))
        return (self._n_inputs + len(self._uses) - 1,)


def check_depth(where: str, item: Any) -> None:
    """Refuse a model that would be nested more than `DEEPEST` deep."""
    depth, level = 1, {id(item): item}
    while level := {id(inner): inner for one in level.values() for inner in getattr(one, "_items", ())}:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"{where}: models must be nested at most {DEEPEST} deep, {item.name!r} is")


def inner_models(items: Sequence[Any]) -> Iterator[Any]:
    """Yield every model among the items, and inside models among them."""
    for item in items:
        if hasattr(item, "_items"):
            yield item
            yield from inner_models(item._items)


def leaves(items: Sequence[Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every layer among the items, and inside models among them, with its name in files."""
    for item in items:
        if hasattr(item, "_items"):
            yield from leaves(item._items, f"{path}{item.name}/")
        else:
            yield f"{path}{item.name}", item
