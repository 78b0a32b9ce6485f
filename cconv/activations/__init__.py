"""Activation functions by name: what follows the affine part of a layer."""

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
from cconv.activations.rectifiers import ClippedReLU, LeakyReLU, ReLU, is_relu, rectifier
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

# Keras' second names.
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
    """Return the activation that `value` stands for; None stands for the linear one.

    Parameters
    ----------
    value : str, Activation, function, mapping or None
        ``"relu"``, ``ReLU()``, `relu` or the configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        When it stands for none.

    Examples
    --------
    >>> get("relu"), get(None).key
    (ReLU(), 'linear')
    """
    if value is None:
        return Linear()
    return arguments.resolve(where, name, getattr(value, "activation", value), Activation, _CLASSES)


class Setting:
    """The attribute of a layer that holds its activation: set to a name or None, it is what that stands for.

    It is kept under its own name, where plans look for it.
    """

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else layer.__dict__["activation"]

    def __set__(self, layer: Any, value: Any) -> None:
        layer.__dict__["activation"] = get(value, layer.where, "activation")


def serialize(activation: Any) -> Any:
    """Return the name of an activation, or its configuration where it has arguments of its own.

    Examples
    --------
    >>> serialize(silu), serialize(LeakyReLU(0.5))
    ('silu', {'class_name': 'LeakyReLU', 'config': {'negative_slope': 0.5}})
    """
    return get(activation, "activations.serialize", "activation").plain()


def deserialize(config: Any) -> Activation:
    """Return the activation that `serialize` described.

    Raises
    ------
    TypeError, ValueError
        When it describes none.

    Examples
    --------
    >>> deserialize("silu")
    SiLU()
    """
    return get(config, "activations.deserialize", "config")


refusing(globals(), functions=["deserialize", "get"])
