"""The sources of each layer's inputs in a graph, as tables of models show them."""

from collections import Counter
from typing import Any


def connections(model: Any) -> dict[int, list[str]] | None:
    """Return the sources of each layer's inputs, by the layer's id; None if the layers form a simple row.

    A source is a layer's name, the number of its use, and the number of the output: ``"add[0][0]"``, as in
    Keras.
    """
    if _is_row(model):
        return None
    made_by = [f"{layer.name}[0][0]" for layer in model._input_items]
    found: dict[int, list[str]] = {}
    times: Counter[int] = Counter()
    for entry in model._entries:
        key = id(entry.item)
        found.setdefault(key, []).extend(made_by[value] for value in entry.inputs)
        made_by += [f"{entry.item.name}[{times[key]}][{index}]" for index in range(entry.n_outputs)]
        times[key] += 1
    return found


def _is_row(model: Any) -> bool:
    """Whether every layer takes the previous layer's output, and is used once."""
    uses = model._entries
    apart = len({id(entry.item) for entry in uses}) == len(uses)
    return apart and all(entry.inputs == (number,) for number, entry in enumerate(uses))


def shape_of(layer: Any) -> Any:
    """Return the output's shape with None for the batch, of a layer or of a model among the layers."""
    shape = layer.output_shape
    return shape if hasattr(layer, "_items") else (None, *shape)


def expanded(items: list[Any], nested: bool, mark: str, depth: int = 0) -> list[tuple[str, Any]]:
    """Return layers with their prefixes in a table; with `nested` also the layers of models among them."""
    rows: list[tuple[str, Any]] = []
    for item in items:
        rows.append(("   " * depth + mark if depth else "", item))
        if nested and hasattr(item, "_items"):
            rows += expanded(item._items, nested, mark, depth + 1)
    return rows
