"""A model of cconv's as Keras 3 writes models into its files."""

from collections.abc import Sequence
from typing import Any

from cconv.io.keras.layers_out import (
    Config,
    input_entry,
    is_operator,
    layer_entry,
    policy,
    serialized,
)
from cconv.io.keras.problems import Problems
from cconv.models.network import Network
from cconv.models.sequential import Sequential

Listed = dict[str, list[tuple[str, str]]]
FUNCTIONAL = "keras.src.models.functional"


def keras_class(item: Any) -> str:
    """Return the class that an item of a model is in Keras."""
    if isinstance(item, Network):
        return "Sequential" if isinstance(item, Sequential) else "Functional"
    return type(item).__name__


def listed(model: Any, path: str = "") -> Listed:
    """Return, for a model and those in it by their paths, the classes and names of the layers."""
    found: Listed = {path: [(keras_class(item), item.name) for item in model._items if not is_operator(item)]}
    for item in model._items:
        if isinstance(item, Network):
            found |= listed(item, f"{path}{item.name}/")
    return found


def model_entry(model: Any, problems: Problems) -> Config:
    """Return what describes a built model."""
    if isinstance(model, Sequential):
        return _row(model, problems)
    return _graph(model, problems)


def _item(model: Any, item: Any, problems: Problems) -> Config:
    if isinstance(item, Network):
        return model_entry(item, problems)
    return layer_entry(item, model.data_format, problems)


def _row(model: Any, problems: Problems) -> Config:
    shape = [None, *model._input_shapes[0]]
    first = input_entry(model._ins.names[0], model._input_shapes[0], model.dtype.name)
    entries = [first, *(_item(model, item, problems) for item in model._items)]
    config = {
        "name": model.name,
        "trainable": model._trainable,
        "dtype": policy(model.dtype.name),
        "layers": entries,
        "build_input_shape": shape,
    }
    return {**serialized("keras", "Sequential", config), "build_config": {"input_shape": shape}}


def _graph(model: Any, problems: Problems) -> Config:
    values = [(layer.name, 0, 0) for layer in model._input_items]
    shapes: list[Any] = [[None, *shape] for shape in model._input_shapes]
    nodes: dict[int, list[Config]] = {id(item): [] for item in model._items}
    for entry in model._entries:
        made = nodes[id(entry.item)]
        given = [_tensor(model, values[value], shapes[value]) for value in entry.inputs]
        options = {"training": False} if entry.at_inference else {}
        values += [(entry.item.name, len(made), index) for index in range(entry.n_outputs)]
        shapes += _shapes(entry.item)
        made.append({"args": _args(entry.item, given), "kwargs": options})
    entries = [
        {**_item(model, item, problems), "name": item.name, "inbound_nodes": nodes[id(item)]}
        for item in model._items
    ]
    config = {
        "name": model.name,
        "trainable": model._trainable,
        "layers": entries,
        "input_layers": _ends(model._ins, values[: len(model._input_items)]),
        "output_layers": _ends(model._outs, [values[value] for value in model._outputs]),
    }
    return {
        **serialized(FUNCTIONAL, "Functional", config, "Functional"),
        "build_config": {"input_shape": None},
    }


def _shapes(item: Any) -> list[Any]:
    """Return the shapes of what a use of an item gives."""
    if isinstance(item, Network):
        shape = item.output_shape
        return [list(one) for one in (shape if isinstance(shape, list) else [shape])]
    return [[None, *item.output_shape]]


def _tensor(model: Any, key: Sequence[Any], shape: Any) -> Config:
    config = {"shape": shape, "dtype": model.dtype.name, "keras_history": list(key)}
    return {"class_name": "__keras_tensor__", "config": config}


def _args(item: Any, given: list[Config]) -> list[Any]:
    """Return the tensors of a use in the form in which Keras' class is called on them."""
    if is_operator(item):
        return list(given)
    if isinstance(item, Network):
        ends = item._ins  # type: ignore[attr-defined]
        if ends.form == "dict":
            return [dict(zip(ends.names, given, strict=True))]
        return [given[0] if ends.form == "one" else given]
    return [given if item._merges else given[0]]


def _ends(ends: Any, keys: list[tuple[Any, ...]]) -> Any:
    """Return inputs or outputs in the form in which the user gave them."""
    if ends.form == "dict":
        return dict(zip(ends.names, map(list, keys), strict=True))
    return list(keys[0]) if ends.form == "one" else list(map(list, keys))
