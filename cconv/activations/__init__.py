"""Activation functions, by name or as objects."""

from typing import Any

from cconv import arguments
from cconv.activations.base import (
    Activation,
    Linear,
    LogSoftmax,
    Sigmoid,
    Softmax,
    SoftmaxOver,
    Tanh,
)
from cconv.activations.functions import (
    elu,
    exponential,
    gelu,
    hard_sigmoid,
    hard_silu,
    leaky_relu,
    linear,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)
from cconv.activations.rectifiers import ClippedReLU, LeakyReLU, ReLU, cap_of, is_relu, rectifier
from cconv.activations.smooth import (
    ELU,
    GELU,
    SELU,
    Exponential,
    HardSigmoid,
    HardSiLU,
    Mish,
    SiLU,
    Softplus,
    Softsign,
)
from cconv.arguments.keras_names import refusing

# Keras' alternative names.
swish, hard_swish = silu, hard_silu

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "ClippedReLU",
    "Exponential",
    "HardSiLU",
    "HardSigmoid",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxOver",
    "Softplus",
    "Softsign",
    "Tanh",
    "cap_of",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "is_relu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "rectifier",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]

_CLASSES: dict[str, type[Activation]] = {
    **{
        entry.key: entry
        for entry in (Linear, ReLU, LeakyReLU, ClippedReLU, Sigmoid, Tanh, Softmax, LogSoftmax)
    },
    **{entry.key: entry for entry in (SiLU, GELU, ELU, SELU, Softplus, Softsign, Mish)},
    **{entry.key: entry for entry in (HardSigmoid, HardSiLU, Exponential)},
    **{"clipped_relu": ClippedReLU, "hard_swish": HardSiLU, "softmax_over": SoftmaxOver, "swish": SiLU},
}


def get(value: Any, where: str = "activations.get", name: str = "value") -> Activation:
    """Return the activation for `value`; None is the linear one.

    Parameters
    ----------
    value : str, Activation, function, mapping or None
        ``"relu"``, ``ReLU()``, `relu` or the configuration.
    where, name : str
        Prefix of the error message.

    Raises
    ------
    TypeError, ValueError
        If there is no such activation.

    Examples
    --------
    >>> get("relu"), get(None).key
    (ReLU(), 'linear')
    """
    if value is None:
        return Linear()
    return arguments.resolve(where, name, getattr(value, "activation", value), Activation, _CLASSES)


class Setting:
    """Descriptor of a layer's `activation`: a name, function or None that is set becomes an `Activation`.

    The value is stored in the layer's ``__dict__`` under the same name, where plans read it.
    """

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else layer.__dict__["activation"]

    def __set__(self, layer: Any, value: Any) -> None:
        layer.__dict__["activation"] = get(value, layer.where, "activation")


def serialize(activation: Any) -> Any:
    """Return the name of an activation, or its configuration if its arguments are not the default.

    Examples
    --------
    >>> serialize(silu), serialize(LeakyReLU(0.5))
    ('silu', {'class_name': 'LeakyReLU', 'config': {'negative_slope': 0.5}})
    """
    return get(activation, "activations.serialize", "activation").plain()


def deserialize(config: Any) -> Activation:
    """Return the activation of a name or configuration from `serialize`.

    Raises
    ------
    TypeError, ValueError
        If there is no such activation.

    Examples
    --------
    >>> deserialize("silu")
    SiLU()
    """
    return get(config, "activations.deserialize", "config")


refusing(globals(), functions=["deserialize", "get"])
