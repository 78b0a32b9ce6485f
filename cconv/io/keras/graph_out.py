"""A model of cconv as Keras 3 describes models in its files."""

from collections.abc import Sequence
from typing import Any

from cconv.io.keras.layers_out import (
    Config,
    input_entry,
    is_operator,
    layer_entry,
    policy,
    serialized,
    zeros_entry,
)
from cconv.io.keras.problems import Problems, shown
from cconv.io.keras.windows_out import Around, Placed, has_window, is_above_zero, placed
from cconv.models.network import Network
from cconv.models.sequential import Sequential

Listed = dict[str, list[tuple[str, str]]]
FUNCTIONAL = "keras.src.models.functional"
# In Keras a functional model once had a use of its own before those by others. So it still counts the uses of
# nested functional models from 1, but only in `output_layers`: in `inbound_nodes` it counts from 0.
FIRST_USE = 1


def keras_class(item: Any) -> str:
    """Return the Keras class of a model's item."""
    if isinstance(item, Network):
        return "Sequential" if isinstance(item, Sequential) else "Functional"
    return type(item).__name__


def listed(model: Any, path: str = "") -> Listed:
    """Return, by path, the classes and names of the layers of a model and of the models inside it."""
    found: Listed = {path: [(keras_class(item), item.name) for item in model._items if not is_operator(item)]}
    for item in model._items:
        if isinstance(item, Network):
            found |= listed(item, f"{path}{item.name}/")
    return found


def model_entry(model: Any, problems: Problems) -> Config:
    """Return Keras' description of a built model."""
    if isinstance(model, Sequential):
        return _row(model, problems)
    return _graph(model, problems)


class _Zeros:
    """Zero padding layers in front of other layers, for paddings that Keras' layers lack."""

    def __init__(self, model: Any, problems: Problems) -> None:
        self.model, self.problems = model, problems
        self.placed: dict[int, Placed] = {}
        self.names: dict[int, str] = {}
        self._taken = {item.name for item in model._items}

    def look(self, item: Any, above_zero: bool) -> Around:
        """Return the zeros in front of an item; record it as a problem if Keras cannot express it."""
        if not has_window(item):
            return ()
        found = placed(item, above_zero)
        if found is None:
            told = [
                f"{name}={shown(getattr(item, name))}"
                for name in ("padding", "ceil_mode", "count_include_pad")
                if getattr(item, name, False)
            ]
            self.problems.add(item.where, f"{type(item).__name__}({', '.join(told)})")
            found = Placed("valid")
        self.placed[id(item)] = found
        if found.around and id(item) not in self.names:
            name = f"{item.name}_pad"
            while name in self._taken:
                name += "_"
            self._taken.add(name)
            self.names[id(item)] = name
        return found.around

    def entry(self, item: Any) -> Config:
        """Return the description of the zero padding in front of an item."""
        return zeros_entry(self.names[id(item)], self.placed[id(item)].around, self._format(item), item)

    def _format(self, item: Any) -> str:
        """Return the data format that a layer with a window has in Keras."""
        told: str | None = item.get_config()["data_format"]
        return told or (self.model.data_format if item.ranks == (3,) else "channels_last")

    def item(self, item: Any) -> Config:
        """Return the description of an item itself."""
        if isinstance(item, Network):
            return model_entry(item, self.problems)
        padding = self.placed[id(item)].padding if id(item) in self.placed else None
        return layer_entry(item, self.model.data_format, self.problems, padding)

    def shape(self, item: Any, shape: list[Any]) -> list[Any]:
        """Return the shape of an item's input after the zero padding."""
        around = self.placed[id(item)].around
        wide = list(shape)
        for axis, (before, after) in enumerate(around, 2 if self._format(item) == "channels_first" else 1):
            wide[axis] += before + after
        return wide


def _row(model: Any, problems: Problems) -> Config:
    shape = [None, *model._input_shapes[0]]
    entries = [input_entry(model._ins.names[0], model._input_shapes[0], model.dtype.name)]
    zeros, above = _Zeros(model, problems), False
    for item in model._items:
        if zeros.look(item, above):
            entries.append(zeros.entry(item))
        entries.append(zeros.item(item))
        above = is_above_zero(item, [above])
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
    padded: dict[int, list[Config]] = {id(item): [] for item in model._items}
    above = [False] * len(values)
    zeros = _Zeros(model, problems)
    for entry in model._entries:
        made, in_front = nodes[id(entry.item)], padded[id(entry.item)]
        given = [_tensor(model, values[value], shapes[value]) for value in entry.inputs]
        if zeros.look(entry.item, all(above[value] for value in entry.inputs)):
            key = zeros.names[id(entry.item)], len(in_front), 0
            in_front.append({"args": given, "kwargs": {}})
            given = [_tensor(model, key, zeros.shape(entry.item, shapes[entry.inputs[0]]))]
        options = {"training": False} if entry.at_inference else {}
        values += [(entry.item.name, len(made), index) for index in range(entry.n_outputs)]
        shapes += _shapes(entry.item)
        above += [is_above_zero(entry.item, [above[value] for value in entry.inputs])] * entry.n_outputs
        made.append({"args": _args(entry.item, given), "kwargs": options})
    entries = []
    for item in model._items:
        if padded[id(item)]:
            entries.append(
                {**zeros.entry(item), "name": zeros.names[id(item)], "inbound_nodes": padded[id(item)]}
            )
        entries.append({**zeros.item(item), "name": item.name, "inbound_nodes": nodes[id(item)]})
    config = {
        "name": model.name,
        "trainable": model._trainable,
        "layers": entries,
        "input_layers": _ends(model._ins, values[: len(model._input_items)]),
        "output_layers": _ends(model._outs, [_as_output(model, values[value]) for value in model._outputs]),
    }
    return {
        **serialized(FUNCTIONAL, "Functional", config, "Functional"),
        "build_config": {"input_shape": None},
    }


def _as_output(model: Any, key: tuple[str, int, int]) -> tuple[str, int, int]:
    """Return a value's key as `output_layers` has it."""
    name, use, index = key
    nested = any(item.name == name and keras_class(item) == "Functional" for item in model._items)
    return name, use + FIRST_USE if nested else use, index


def _shapes(item: Any) -> list[Any]:
    """Return the output shapes of a use of an item."""
    if isinstance(item, Network):
        shape = item.output_shape
        return [list(one) for one in (shape if isinstance(shape, list) else [shape])]
    return [[None, *item.output_shape]]


def _tensor(model: Any, key: Sequence[Any], shape: Any) -> Config:
    config = {"shape": shape, "dtype": model.dtype.name, "keras_history": list(key)}
    return {"class_name": "__keras_tensor__", "config": config}


def _args(item: Any, given: list[Config]) -> list[Any]:
    """Return the tensors of a use in the form that Keras' class is called with."""
    if is_operator(item):
        return list(given)
    if isinstance(item, Network):
        ends = item._ins  # type: ignore[attr-defined]
        if ends.form == "dict":
            return [dict(zip(ends.names, given, strict=True))]
        return [given[0] if ends.form == "one" else given]
    return [given if item._merges else given[0]]


def _ends(ends: Any, keys: list[tuple[Any, ...]]) -> Any:
    """Return inputs or outputs in the user's form."""
    if ends.form == "dict":
        return dict(zip(ends.names, map(list, keys), strict=True))
    return list(keys[0]) if ends.form == "one" else list(map(list, keys))
