"""A layer of a Keras file as an entry of cconv's configurations."""

from collections.abc import Callable, Mapping
from typing import Any

from cconv import layers
from cconv.arguments.keras_names import of_string
from cconv.arguments.parameters import constructor_of
from cconv.arguments.serializable import own_object
from cconv.io.keras.objects import DTYPES, harmless, name_of_dtype, plain
from cconv.io.keras.problems import Problems, shown
from cconv.layers.base import Layer

Config = dict[str, Any]

# Names of classes in Keras 2, and in cconv.
RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}
OLD_ARGUMENTS = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "DepthwiseConv2D": {
        "kernel_initializer": "depthwise_initializer",
        "kernel_regularizer": "depthwise_regularizer",
        "kernel_constraint": "depthwise_constraint",
    },
}
# Layers for which Keras 2 also wrote arguments that all convolutions have, and that it did not use.
UNUSED = {
    **dict.fromkeys(
        ("SeparableConv2D", "SeparableConv1D"),
        ("kernel_initializer", "kernel_regularizer", "kernel_constraint", "groups"),
    ),
    **dict.fromkeys(("DepthwiseConv2D", "DepthwiseConv1D"), ("groups", "filters")),
    **dict.fromkeys(("Conv2DTranspose", "Conv1DTranspose"), ("groups",)),
}


def _stochastic_depth(config: Config) -> tuple[str, Config]:
    rate = config.pop("drop_path_rate", None)
    return "Dropout", {**config, "rate": rate, "noise_shape": [None, 1, 1, 1]}


# Layers of keras.applications that have another name in cconv.
OTHERS: dict[str, Callable[[Config], tuple[str, Config]]] = {"StochasticDepth": _stochastic_depth}


def class_of(entry: Mapping[str, Any]) -> str:
    """Return the name of an entry's class: for a user's registered class its registered name."""
    name, registered = entry.get("class_name"), entry.get("registered_name")
    if isinstance(registered, str) and own_object(registered) is not None:
        return registered
    return RENAMED.get(str(name), str(name))


def kind_of(name: str) -> Any:
    """Return the layer class with that name; None if there is none."""
    return own_object(name) or layers._CLASSES.get(name)


def layer_config(
    entry: Mapping[str, Any], name: str, model_dtype: str | None, problems: Problems
) -> Config | None:
    """Return a layer's entry in a configuration of cconv; None if cconv has no such layer."""
    class_name, config = class_of(entry), entry.get("config")
    if not isinstance(config, Mapping):
        raise ValueError(f"the layer {name!r} must have a configuration, got {shown(config)}")
    where, given = f"{class_name} {name!r}", dict(config)
    given.pop("name", None)
    own = own_object(class_name)
    dtype = name_of_dtype(given.pop("dtype", None))
    if dtype is not None and dtype != model_dtype and class_name != "InputLayer":
        what = f"dtype={dtype!r}"
        problems.add(where, what if dtype not in DTYPES else f"{what} in a model of {model_dtype}")
    if own is not None:
        return {"class_name": class_name, "config": given, "name": name}
    if class_name in OTHERS:
        class_name, given = OTHERS[class_name](given)
    kind = layers._CLASSES.get(class_name)
    if kind is None:
        problems.add(repr(name), f"the layer {class_name}{_hint(class_name)}")
        return None
    config = _arguments(class_name, kind, given, where, problems)
    return {"class_name": kind.__name__, "config": config, "name": name}


def _hint(class_name: str) -> str:
    if class_name == "Lambda":
        return ", which is code and is not run"
    return of_string(Layer, class_name)


def _arguments(class_name: str, kind: Any, given: Config, where: str, problems: Problems) -> Config:
    """Return the arguments of cconv's layer for those in the file, with changed names or values if needed."""
    known = constructor_of(kind)
    renamed = OLD_ARGUMENTS.get(class_name, {})
    found: Config = {}
    if class_name == "InputLayer":
        given = {"shape": _input_shape(given, where)}
    for name, value in given.items():
        if name in UNUSED.get(class_name, ()):
            continue
        to = name if name in known else renamed.get(name, name)
        if to == "noise_shape" and isinstance(value, Mapping):
            value = None
        if to not in known:
            if not harmless(name, value):
                problems.add(where, f"{class_name}({name}={shown(value)})")
            continue
        if to == "seed":  # the random numbers would differ anyway
            value = None if isinstance(value, Mapping) else value
        found[to] = plain(value, f"{where}, {name}", problems)
    if class_name in ("BatchNormalization", "LayerNormalization", "GroupNormalization"):
        axis = found.get("axis")
        if isinstance(axis, list) and len(axis) == 1:  # Keras 2's form
            found["axis"] = axis[0]
    for name in ("input_shape", "weights"):
        found.pop(name, None)
    return found


def _input_shape(given: Mapping[str, Any], where: str) -> Any:
    shape = given.get("batch_shape", given.get("batch_input_shape"))
    if shape is None and isinstance(given.get("shape"), list):
        shape = [None, *given["shape"]]
    if not isinstance(shape, list) or len(shape) < 2:
        raise ValueError(f"{where}: its shape must be a list of the batch and sizes, got {shown(shape)}")
    return shape[1:]
