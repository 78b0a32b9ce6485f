"""Operators, which are not layers, in Keras 3's graphs, and the layers of cconv that replace them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cconv.arguments.text import key_of

Config = dict[str, Any]
MODULES = ("keras.src.ops.", "keras.ops", "keras.src.activations.")


class Tensor(NamedTuple):
    """An operand that is a tensor: the name of its layer, the use, the output, and a shape."""

    name: str
    node: int
    output: int
    shape: Any


class Step(NamedTuple):
    """A layer that replaces an operator, and the numbers of its input tensors; -1 is the previous step."""

    class_name: str
    config: Config
    inputs: tuple[int, ...]


Given = list[Any]
Steps = list[Step] | None  # a translator takes the parameters that it knows out of the configuration


def _number(value: Any) -> Any:
    """Return an operand that is a number, or one number per channel; None for other operands."""
    if isinstance(value, Mapping) and value.get("class_name") in ("__numpy__", "__tensor__"):
        config = value.get("config")
        value = config.get("value") if isinstance(config, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        flat = value if isinstance(value, list) else []
        return [float(v) for v in flat] if flat and all(type(v) in (int, float) for v in flat) else None
    return float(value)


def _scaled(scale: Any, offset: Any) -> list[Step]:
    return [Step("Rescaling", {"scale": scale, "offset": offset}, (0,))]


def _each(value: Any, function: Callable[[float], float]) -> Any:
    return [function(v) for v in value] if isinstance(value, list) else function(value)


def _binary(merge: str, right: Callable[[Any], list[Step]], left: Callable[[Any], Steps]) -> Any:
    """Return the translator of ``x ∘ y``: a merging layer; with a number the steps of `right` or `left`."""

    def translate(config: Config, given: Given) -> Steps:
        if len(given) != 2:
            return None
        if all(isinstance(value, Tensor) for value in given):
            return [Step(merge, {}, (0, 1))]
        number = _number(given[1] if isinstance(given[0], Tensor) else given[0])
        if number is None or not any(isinstance(value, Tensor) for value in given):
            return None
        return right(number) if isinstance(given[0], Tensor) else left(number)

    return translate


def _quotient(number: Any) -> Any:
    if 0.0 in (number if isinstance(number, list) else [number]):
        return None
    return _scaled(_each(number, lambda v: 1.0 / v), 0.0)


def _activation(key: str) -> Any:
    return lambda config, given: [Step("Activation", {"activation": key}, (0,))]


def _axes(config: Config, given: Given, default: Any) -> list[int] | None:
    """Return an operator's axes, counted from the front; None if it has none, or the batch's."""
    axis, shape = config.pop("axis", default), given[0].shape
    axes = axis if isinstance(axis, list) else [axis]
    if not isinstance(shape, list) or not all(type(a) is int for a in axes):
        return None
    found = sorted(a + len(shape) if a < 0 else a for a in axes)
    return found if found == [a for a in range(1, len(shape)) if a in found] else None


def _softmax(logarithm: bool) -> Any:
    def translate(config: Config, given: Given) -> Steps:
        axes = _axes(config, given, -1)
        if axes is None:
            return None
        rank = len(given[0].shape)
        last = axes == [rank - 1]
        if not logarithm:  # for images -1 means the channels, also if they come first
            return [Step("Softmax", {"axis": -1 if last and rank < 4 else axes}, (0,))]
        over = {"class_name": "SoftmaxOver", "config": {"axes": axes, "logarithm": True}}
        return [Step("Activation", {"activation": "log_softmax" if last else over}, (0,))]

    return translate


def _pooled(average: bool) -> Any:
    def translate(config: Config, given: Given) -> Steps:
        axes, keeps = _axes(config, given, None), bool(config.pop("keepdims", False))
        if axes is None:
            return None
        rank, kind = len(given[0].shape), "Average" if average else "Max"
        options: Config = {"keepdims": keeps}
        if rank == 4 and axes in ([1, 2], [2, 3]):
            options["data_format"] = "channels_last" if axes == [1, 2] else "channels_first"
            return [Step(f"Global{kind}Pooling2D", options, (0,))]
        return [Step(f"Global{kind}Pooling1D", options, (0,))] if rank == 3 and axes == [1] else None

    return translate


def _relu(config: Config, given: Given) -> Steps:
    """Return the steps of `keras.ops.relu`, and of `keras.activations.relu`, which has arguments."""
    defaults = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
    found = {key: config.pop(key, default) for key, default in defaults.items()}
    plain = found == defaults
    return [Step("Activation", {"activation": "relu"}, (0,)) if plain else Step("ReLU", found, (0,))]


def _elu(config: Config, given: Given) -> Steps:
    return [Step("ELU", {"alpha": config.pop("alpha", 1.0)}, (0,))]


def _gelu(config: Config, given: Given) -> Steps:
    options = {"approximate": config.pop("approximate", True)}
    return [Step("Activation", {"activation": {"class_name": "GELU", "config": options}}, (0,))]


def _reshape(config: Config, given: Given) -> Steps:
    target = config.pop("newshape", None) or config.pop("new_shape", None)
    if not isinstance(target, list) or len(target) < 2 or target[0] not in (-1, None):
        return None
    return [Step("Reshape", {"target_shape": target[1:]}, (0,))]


def _transpose(config: Config, given: Given) -> Steps:
    axes = config.pop("axes", None)
    if not isinstance(axes, list) or not axes or axes[0] != 0:
        return None
    return [Step("Permute", {"dims": axes[1:]}, (0,))]


def _concatenate(config: Config, given: Given) -> Steps:
    axis = config.get("axis", 0)
    if not all(isinstance(value, Tensor) for value in given) or len(_axes(config, given, 0) or ()) != 1:
        return None
    return [Step("Concatenate", {"axis": axis}, tuple(range(len(given))))]


def _clip(config: Config, given: Given) -> Steps:
    low, high = config.pop("x_min", None), config.pop("x_max", None)
    if low != 0 or not isinstance(high, int | float):
        return None
    return [Step("ReLU", {"max_value": float(high)}, (0,))]


def _leaky(config: Config, given: Given) -> Steps:
    return [Step("LeakyReLU", {"negative_slope": config.pop("negative_slope", 0.2)}, (0,))]


def _scaled_sum(config: Config, given: Given) -> Steps:
    """Return the steps of `CustomScaleLayer` of keras.applications: x + scale · y."""
    scale = config.pop("scale", None)
    if len(given) != 2 or not isinstance(scale, int | float):
        return None
    return [Step("Rescaling", {"scale": float(scale)}, (1,)), Step("Add", {}, (0, -1))]


TABLE: dict[str, Callable[[Config, Given], Steps]] = {
    "add": _binary("Add", lambda n: _scaled(1.0, n), lambda n: _scaled(1.0, n)),
    "subtract": _binary(
        "Subtract", lambda n: _scaled(1.0, _each(n, lambda v: -v)), lambda n: _scaled(-1.0, n)
    ),
    "multiply": _binary("Multiply", lambda n: _scaled(n, 0.0), lambda n: _scaled(n, 0.0)),
    "divide": _binary("Divide", _quotient, lambda n: None),
    "truedivide": _binary("Divide", _quotient, lambda n: None),
    "maximum": _binary("Maximum", lambda n: None, lambda n: None),  # type: ignore[arg-type, return-value]
    "minimum": _binary("Minimum", lambda n: None, lambda n: None),  # type: ignore[arg-type, return-value]
    "negative": lambda config, given: _scaled(-1.0, 0.0),
    **{
        key_of(name): _activation(name)
        for name in (
            *("relu6", "sigmoid", "silu", "tanh", "selu", "softplus", "softsign", "mish"),
            *("hard_sigmoid", "hard_silu"),
        )
    },
    "hardswish": _activation("hard_silu"),
    "swish": _activation("silu"),
    "softmax": _softmax(logarithm=False),
    "logsoftmax": _softmax(logarithm=True),
    "relu": _relu,
    "leakyrelu": _leaky,
    "elu": _elu,
    "gelu": _gelu,
    "clip": _clip,
    "mean": _pooled(True),
    "max": _pooled(False),
    "reshape": _reshape,
    "transpose": _transpose,
    "concatenate": _concatenate,
}
OF_ALL = ("name", "trainable", "dtype")  # entries of any operator's or layer's configuration
# Layers of keras.applications that are sums and products.
OF_APPLICATIONS = {"CustomScaleLayer": _scaled_sum}


def is_operator(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a graph is an operator, not a layer."""
    name, config = str(entry.get("class_name")), entry.get("config")
    if name in OF_APPLICATIONS or str(entry.get("module")).startswith(MODULES):
        return True
    # In Keras 2's layout an operator is recognised only by the entries that it lacks.
    plain = isinstance(config, Mapping) and not {"trainable", "dtype"} & set(config)
    nodes = entry.get("inbound_nodes")
    modern = isinstance(nodes, list) and bool(nodes) and isinstance(nodes[0], Mapping)
    return "module" not in entry and plain and modern and key_of(name) in TABLE


def steps_of(entry: Mapping[str, Any], given: Given) -> Steps:
    """Return the layers that replace an operator; None if cconv cannot express it."""
    name, config = str(entry.get("class_name")), entry.get("config")
    translate = OF_APPLICATIONS.get(name) or TABLE.get(key_of(name))
    if (
        translate is None
        or not isinstance(config, Mapping)
        or not given
        or not any(isinstance(v, Tensor) for v in given)
    ):
        return None
    rest = {key: value for key, value in config.items() if key not in OF_ALL}
    steps = translate(rest, given)
    # What the translator did not take would change the result, were it not the default None.
    return None if any(value is not None for value in rest.values()) else steps
