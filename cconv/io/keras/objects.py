"""Arguments of layers, losses and optimizers: activations, initializers, regularizers, and numbers."""

from collections.abc import Callable, Mapping
from typing import Any

from cconv.activations import SoftmaxOver, rectifier
from cconv.io.keras.problems import Problems, shown

DTYPES = ("float32", "float64")
# Layers whose axis -1 means the channels in cconv, in any data format, but the last axis in Keras.
OF_CHANNELS = (
    *("BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization"),
    *("RMSNormalization", "Softmax", "UnitNormalization"),
)
# Arguments in Keras' configurations that cconv lacks, with the values that change nothing.
HARMLESS: dict[str, tuple[Any, ...]] = {
    "activity_regularizer": (None,),
    "input_axes": (None,),
    "output_axes": (None,),
    "lora_rank": (None,),
    "lora_alpha": (None,),
    "quantization_config": (None,),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "synchronized": (False,),
    "sparse": (False,),
    "ragged": (False,),
    "optional": (False,),
    "virtual_batch_size": (None,),
    "pad_to_aspect_ratio": (False,),
    "loss_scale_factor": (None,),
    "rms_scaling": (False,),
}
# Such arguments that change nothing, whatever their values.
MEANINGLESS = {
    "renorm_momentum",
    "input_dtype",
    "batch_input_shape",
    "fused",
    "implementation",
    "jit_compile",
    "is_legacy_optimizer",
}


def _softmax(axis: Any = -1) -> Any:
    return "softmax" if axis == -1 else SoftmaxOver(axis if isinstance(axis, list) else [axis]).plain()


# Layers of Keras that may be activations of other layers, but are not activations of these names in cconv.
ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "Activation": lambda activation: activation,
    "ReLU": lambda **config: rectifier(**config).plain(),
    "Softmax": _softmax,
}


def counts_axes(activation: Any) -> bool:
    """Whether an activation, as configurations have it, is one over axes: others if channels come first."""
    if isinstance(activation, Mapping):
        return "axes" in (activation.get("config") or ())
    return activation in ("softmax", "log_softmax")


def of_channels(class_name: str, config: Mapping[str, Any]) -> str:
    """Return what in a layer of cconv means the channels, but the last axis in Keras; "" if nothing does."""
    activation = config.get("activation")
    if class_name in OF_CHANNELS and config.get("axis", -1) == -1:
        return f"{class_name}(axis=-1)"
    if class_name == "Dense":
        return "Dense"
    if counts_axes(activation):
        return shown(activation)
    lists = any(isinstance(config.get(name), list) for name in ("scale", "offset"))
    return "a number for each channel" if class_name == "Rescaling" and lists else ""


def harmless(name: str, value: Any) -> bool:
    """Whether an argument that cconv lacks has a value that changes nothing."""
    return name in MEANINGLESS or value in HARMLESS.get(name, (None,))


def name_of_dtype(policy: Any) -> Any:
    """Return the name of a dtype, which Keras writes as a string or as a policy; None if there is none."""
    if isinstance(policy, Mapping):
        config = policy.get("config")
        return config.get("name") if isinstance(config, Mapping) else shown(policy)
    return policy


def plain(value: Any, where: str, problems: Problems) -> Any:
    """Return an argument's value in the file as cconv's: names, numbers, ``{class_name, config}``."""
    if isinstance(value, list):
        return [plain(entry, where, problems) for entry in value]
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    name, config = value["class_name"], value.get("config")
    if name in ("__lambda__", "Lambda"):
        problems.add(where, "a lambda, which is code and is not run")
        return None
    if name in ("__numpy__", "__tensor__") and isinstance(config, Mapping):
        return config.get("value")
    if name == "function" and isinstance(config, str):
        known = value.get("module") in (None, "builtins") or str(value.get("module")).startswith("keras.")
        if not known:
            problems.add(where, f"the function {shown(config)} of the module {shown(value.get('module'))}")
        return config
    if not isinstance(name, str) or not isinstance(config, Mapping):
        problems.add(where, f"what is no object: {shown(value)}")
        return None
    config = {
        key: plain(entry, where, problems)
        for key, entry in config.items()
        if key not in ("dtype", "trainable", "name", "input_axes", "output_axes") or not harmless(key, entry)
    }
    for key in ("name", "dtype", "trainable"):
        config.pop(key, None)
    if name in ACTIVATIONS:
        return ACTIVATIONS[name](**config)
    if isinstance(config.get("seed"), Mapping | dict):
        config["seed"] = None
    registered = value.get("registered_name")
    return {
        "class_name": registered if isinstance(registered, str) and ">" in registered else name,
        "config": config,
    }
