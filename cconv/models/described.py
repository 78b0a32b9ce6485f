"""Models as plain data: the configuration of a graph, and a graph made from a configuration.

Configurations are not trusted, since they may come from a file.
"""

from collections.abc import Mapping
from typing import Any

from cconv import layers as layer_classes
from cconv.arguments.configured import config_of
from cconv.arguments.numbers import is_int
from cconv.layers.base import Layer
from cconv.layers.input import InputLayer
from cconv.layers.symbolic import KerasTensor, input_tensor
from cconv.models.flowing import Entry, in_order_of_calls
from cconv.models.network import Network
from cconv.models.training import Trainer

KINDS: dict[str, Any] = {}  # model classes by their names in configurations

_ENTRIES = ("name", "seed", "dtype", "data_format", "inputs", "outputs", "layers", "uses")


def item_config(item: Any) -> dict[str, Any]:
    """Return the configuration of a layer, or of a model as a layer, with its name."""
    if isinstance(item, Network):
        return {"class_name": item.kind, "config": item.get_config(), "name": item.name}  # type: ignore[attr-defined]
    return config_of(item) | {"name": item.name}


def item_of_config(where: str, entry: Any) -> Any:
    """Return the layer, or the model, that a configuration's entry describes, with its name."""
    if isinstance(entry, Layer | Network):  # `clone_model` has made it; files hold no objects
        return entry
    keys = ("class_name", "config", "name")
    if not isinstance(entry, Mapping) or not set(keys) <= set(entry):
        raise ValueError(f"{where}: a layer must hold {', '.join(keys)}, got {entry!r}")
    if not isinstance(entry["name"], str) or not entry["name"]:
        raise TypeError(f"{where}: a layer's name must be a string that is not empty, got {entry['name']!r}")
    kind = KINDS.get(entry["class_name"]) if isinstance(entry["class_name"], str) else None
    item = (
        kind._unbuilt(entry["config"]) if kind else layer_classes.deserialize({k: entry[k] for k in keys[:2]})
    )
    item.name = entry["name"]
    return item


def model_of(where: str, class_name: Any, config: Any) -> Any:
    """Return an unbuilt model of the class that a configuration names."""
    kind = KINDS.get(class_name) if isinstance(class_name, str) else None
    if kind is None:
        raise ValueError(f"{where}: class_name must be one of {', '.join(KINDS)}, got {class_name!r}")
    return kind._unbuilt(config)


def config_of_graph(model: Any) -> dict[str, Any]:
    """Return the configuration of a `Model`."""
    numbers = {id(item): number for number, item in enumerate(model._items)}
    inputs = [numbers[id(layer)] for layer in model._input_items]
    return {
        "name": model.name,
        "seed": model.seed,
        "dtype": model.dtype.name,
        "data_format": model._settled_format,
        "trainable": model._trainable,
        "input_shape": [list(shape) for shape in model._input_shapes],
        "inputs": {"names": list(model._ins.names), "form": model._ins.form, "layers": inputs},
        "outputs": {"names": list(model._outs.names), "form": model._outs.form, "values": model._outputs},
        "layers": [item_config(item) for item in model._items],
        "uses": [[numbers[id(e.item)], list(e.inputs), e.at_inference, *_call(e)] for e in model._entries],
    }


def _call(entry: Entry) -> list[int]:
    """Return the number of a call in a list, or nothing for 0, as the first releases wrote it."""
    return [entry.call] if entry.call else []


def graph_of_config(cls: Any, config: Any) -> tuple[Any, Any, Any]:
    """Return a model of that class without a graph, and the input and output tensors for its graph."""
    where = f"{cls.kind}.from_config"
    if not isinstance(config, Mapping) or not set(_ENTRIES) <= set(config):
        raise ValueError(f"{where}: config must hold {', '.join(_ENTRIES)}, got {config!r:.200}")
    if config["dtype"] not in ("float32", "float64"):
        raise ValueError(f"{where}: dtype must be 'float32' or 'float64', got {config['dtype']!r}")
    model = cls.__new__(cls)
    described = {name: config[name] for name in ("name", "seed", "dtype", "data_format")}
    Trainer.__init__(model, *described.values(), config.get("trainable", True))
    items = [item_of_config(where, entry) for entry in _list(where, "layers", config["layers"])]
    ins, outs = (_ends(where, name, config[name]) for name in ("inputs", "outputs"))
    values = []
    for number in _list(where, "inputs.layers", ins.get("layers")):
        layer = _at(where, "inputs.layers", items, number)
        if not isinstance(layer, InputLayer):
            raise ValueError(f"{where}: inputs.layers must name InputLayers, got {layer!r}")
        if layer._nodes:
            raise ValueError(f"{where}: inputs.layers must each be there once, got {number} twice")
        values.append(input_tensor(layer, layer.shape))
        values[-1].data_format = config["data_format"] if len(layer.shape) == 3 else None
    inputs = list(values)
    entries, nodes = [], []
    for use in _list(where, "uses", config["uses"]):
        if not isinstance(use, list) or len(use) not in (3, 4) or not isinstance(use[2], bool):
            raise ValueError(f"{where}: uses must each be a layer, its inputs and a flag, got {use!r:.200}")
        if not all(map(is_int, use[3:])):
            raise ValueError(f"{where}: the number of a call must be an int, got {use!r:.200}")
        given = [_at(where, "uses", values, value) for value in _list(where, "uses", use[1])]
        item = _at(where, "uses", items, use[0])
        if isinstance(item, InputLayer) or not given:
            raise ValueError(f"{where}: uses must be of layers with inputs, got {use!r:.200}")
        single = len(given) == 1 and not item._merges
        item(given[0] if single else given, training=False if use[2] else None)
        nodes.append(item._nodes[-1])
        entries.append(Entry(item, (), call=int(use[3]) if use[3:] else 0))
        values += nodes[-1].outputs
    in_order_of_calls(entries, nodes)
    outputs = [
        _at(where, "outputs.values", values, v) for v in _list(where, "outputs.values", outs.get("values"))
    ]
    return model, _formed(where, ins, inputs), _formed(where, outs, outputs)


def _list(where: str, name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{where}: {name} must be a list, got {value!r:.200}")
    return value


def _at(where: str, name: str, things: list[Any], number: Any) -> Any:
    """Return the entry of that number among those made so far; so a circle cannot be described."""
    if not is_int(number) or not 0 <= number < len(things):
        raise ValueError(f"{where}: {name} must be numbers below {len(things)}, got {number!r}")
    return things[number]


def _ends(where: str, name: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or given.get("form") not in ("one", "list", "dict"):
        raise ValueError(f"{where}: {name} must hold names and a form, got {given!r:.200}")
    if not all(isinstance(entry, str) for entry in _list(where, f"{name}.names", given.get("names"))):
        raise ValueError(f"{where}: {name}.names must be strings, got {given['names']!r:.200}")
    return given


def _formed(where: str, ends: Mapping[str, Any], tensors: list[KerasTensor]) -> Any:
    """Return tensors in the user's form: one, a list or a dict."""
    if len(ends["names"]) != len(tensors) or not tensors or (ends["form"] == "one" and len(tensors) > 1):
        raise ValueError(
            f"{where}: names must be one for each of {len(tensors)} tensors, got {ends['names']!r:.200}"
        )
    if ends["form"] == "one":
        return tensors[0]
    return dict(zip(ends["names"], tensors, strict=True)) if ends["form"] == "dict" else tensors
