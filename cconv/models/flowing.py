"""From a model, and the models in it, to the one flow that a plan runs."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cconv.engine.flow import Flow, Use

DEEPEST = 32  # models inside one another, through which copies, files and more go by recursion


class Entry(NamedTuple):
    """One use of a layer, or of a model as a layer, in a model.

    Attributes
    ----------
    item : Layer or Network
    inputs : tuple of int
        Numbers of the values that go in: first the model's inputs, then what the entries give, in order.
    at_inference : bool
        It does what it does at inference also while the model learns.
    n_outputs : int
        Values that it gives.
    """

    item: Any
    inputs: tuple[int, ...]
    at_inference: bool = False
    n_outputs: int = 1


class Inner(NamedTuple):
    """A model inside another, or a layer that only passes on, and which values of the flow go into it."""

    item: Any
    inputs: tuple[int, ...]


class Inliner:
    """Makes one flow of a model's entries.

    Parameters
    ----------
    entries : sequence of Entry
        In order.
    n_inputs : int
        Values that go into the model.
    outputs : sequence of int
        Values that come out of it.

    Attributes
    ----------
    flow : Flow
    inner : list of Inner
        The models among the entries, and in them.
    passing : list of Inner
        The layers that are no part of the flow: uses at inference alone of what works in training.
    """

    def __init__(self, entries: Sequence[Entry], n_inputs: int, outputs: Sequence[int]) -> None:
        self._n_inputs = n_inputs
        self._uses: list[Use] = []
        self.inner: list[Inner] = []
        self.passing: list[Inner] = []
        values = self._through(entries, tuple(range(n_inputs)), False)
        self.flow: Flow = Flow(self._uses, n_inputs, [values[value] for value in outputs])

    def _through(self, entries: Sequence[Entry], inputs: Sequence[int], at_inference: bool) -> list[int]:
        """Use these entries; return the flow's numbers of their values."""
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
    """Refuse to put a model into another if there would be more than `DEEPEST` inside one another."""
    depth, level = 1, {id(item): item}
    while level := {id(inner): inner for one in level.values() for inner in getattr(one, "_items", ())}:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"{where}: models must be nested at most {DEEPEST} deep, {item.name!r} is")


def leaves(items: Sequence[Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every layer among the items, and in models among them, with its name in files and optimizers."""
    for item in items:
        if hasattr(item, "_items"):
            yield from leaves(item._items, f"{path}{item.name}/")
        else:
            yield f"{path}{item.name}", item
