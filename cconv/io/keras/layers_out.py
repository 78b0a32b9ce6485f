"""A layer of cconv as Keras 3 describes layers in its files."""

from collections.abc import Mapping
from typing import Any

from cconv.io.keras.objects import OF_CHANNELS, of_channels
from cconv.io.keras.problems import Problems, shown
from cconv.io.keras.windows_out import Around
from cconv.layers.base import Layer
from cconv.layers.symbolic import IMAGE

Config = dict[str, Any]

ANY = "any"
# Arguments that Keras lacks, with the values for which Keras does the same.
ONLY_OURS: dict[str, Any] = {
    "input_shape": ANY,
    "algorithm": ANY,
    "ceil_mode": ANY,  # `windows_out` has checked these two
    "count_include_pad": ANY,
    "rms_scaling": (False,),
}
ONLY_OURS_IN: dict[str, dict[str, Any]] = {
    "MaxPooling2D": {"dilation_rate": (1, (1, 1), [1, 1])},
    "Conv1DTranspose": {"groups": (1,)},
    "Conv2DTranspose": {"groups": (1,)},
    **{
        kind: {"data_format": ANY}
        for kind in (
            *("AlphaDropout", "Dropout", "LayerNormalization", "LayerScale", "Normalization"),
            *("RMSNormalization", "Rescaling", "UnitNormalization"),
        )
    },
}
# Layers that Keras lacks.
NOT_THERE = (
    *("ArgMax", "Clip", "DepthToSpace", "ElementwiseAffine", "LocalResponseNormalization", "Pad"),
    *("Resampling", "Slice", "SpaceToDepth", "Tile"),
)
MODULES = {"LayerScale": "keras.src.applications.convnext"}
PLAIN = ("SpatialDropout1D", "SpatialDropout2D")  # their constructors take no further arguments
OPERATORS = {"Divide": "keras.src.ops.numpy"}
NAMESPACES = {"initializer": "initializers", "regularizer": "regularizers", "constraint": "constraints"}
# Activations with arguments, which are layers in Keras, and the arguments of these layers.
AS_LAYERS = {
    "LeakyReLU": ("LeakyReLU", ("negative_slope",)),
    "ClippedReLU": ("ReLU", ("max_value", "negative_slope", "threshold")),
    "ELU": ("ELU", ("alpha",)),
}


def is_own(part: Any) -> bool:
    """Whether an object's class is the user's."""
    return type(part).__module__.partition(".")[0] != __name__.partition(".")[0]


def policy(dtype: str) -> Config:
    """Return Keras' description of a dtype."""
    return serialized("keras", "DTypePolicy", {"name": dtype})


def serialized(module: str, class_name: str, config: Any, registered_name: str | None = None) -> Config:
    """Return Keras' description of an object."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered_name}


def is_operator(item: Any) -> bool:
    """Whether a layer is an operator in Keras; these are not in lists of layers."""
    return type(item).__name__ in OPERATORS and not is_own(item)


def layer_entry(layer: Layer, data_format: str, problems: Problems, padding: str | None = None) -> Config:
    """Return Keras' description of a built layer of a model with that data format.

    `padding` is the padding in Keras of a layer with a window.
    """
    kind, where = type(layer).__name__, layer.where
    if is_own(layer):
        problems.add(where, f"the layer {kind}, which is your own")
        return serialized("", kind, {})
    if kind in NOT_THERE:
        problems.add(where, f"the layer {kind}")
        return serialized("", kind, {})
    if kind in OPERATORS:
        return serialized(OPERATORS[kind], kind, {"name": layer.name}, kind)
    if kind == "InputLayer":
        return input_entry(layer.name, layer.shape, str(layer.dtype))  # type: ignore[attr-defined]
    given = layer.get_config() | ({} if padding is None else {"padding": padding})
    for name, allowed in {**ONLY_OURS, **ONLY_OURS_IN.get(kind, {})}.items():
        if name not in given:
            continue
        value = given.pop(name)
        if allowed != ANY and value not in allowed:
            problems.add(where, f"{kind}({name}={shown(value)})")
    config = {name: _argument(where, name, value, problems) for name, value in given.items()}
    if "data_format" in config and config["data_format"] is None:
        config["data_format"] = data_format if _is_image(layer.input_shape) else "channels_last"
    first = data_format == "channels_first"
    if first and _is_image(layer.input_shape):
        if kind in OF_CHANNELS and kind != "RMSNormalization" and config.get("axis") == -1:
            config["axis"] = (
                1  # Keras multiplies an RMSNormalization's scale along the last axis all the same
            )
        over = of_channels(kind, given | {"axis": config.get("axis", -1)})
        if over:
            problems.add(where, f"{over} over channels that come first")
    config |= {"name": layer.name, "trainable": layer.trainable, "dtype": policy(layer.dtype.name)}
    if kind in PLAIN:
        config["dtype"] = layer.dtype.name
        del config["trainable"]
    module = MODULES.get(kind, "keras.layers")
    return serialized(module, kind, config, kind if kind in MODULES else None)


def _is_image(shape: Any) -> bool:
    return shape is not None and len(shape) == IMAGE


def zeros_entry(name: str, around: Around, data_format: str, layer: Layer) -> Config:
    """Return the description of a zero padding in front of a layer for images or sequences."""
    sizes: Any = [list(pads) for pads in around]
    config = {
        **{"name": name, "trainable": True, "dtype": policy(layer.dtype.name)},
        **{"padding": sizes if len(sizes) > 1 else sizes[0], "data_format": data_format},
    }
    return serialized("keras.layers", f"ZeroPadding{len(around)}D", config)


def input_entry(name: str, shape: Any, dtype: str) -> Config:
    """Return the description of an input."""
    config = {"batch_shape": [None, *shape], "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    return serialized("keras.layers", "InputLayer", {**config, "optional": False})


def _argument(where: str, name: str, value: Any, problems: Problems) -> Any:
    """Return an argument's value as Keras writes it."""
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    class_name, config = value["class_name"], value["config"]
    if ">" in class_name:
        problems.add(where, f"{name}={class_name}, which is your own")
    if name == "activation":
        if class_name in AS_LAYERS:
            kind, arguments = AS_LAYERS[class_name]
            return serialized("keras.layers", kind, {key: config[key] for key in arguments})
        if class_name == "SoftmaxOver" and not config["logarithm"]:
            return serialized("keras.layers", "Softmax", {"axis": list(config["axes"])})
        problems.add(where, f"the activation {class_name} with {shown(config)}")
        return None
    namespace = NAMESPACES.get(name.rpartition("_")[2], "layers")
    return serialized(f"keras.{namespace}", class_name, config)
