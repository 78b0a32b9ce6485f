"""Activation functions by name: what follows the affine part of a layer."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments, ops
from cconv.arguments.arrays import common_dtype, ready, real_array
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import at_least_zero, finite
from cconv.ops.run import Run, replayable

__all__ = [
    "Activation",
    "ClippedReLU",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "get",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "relu6",
    "sigmoid",
    "softmax",
    "tanh",
]


class Activation(arguments.Configured):
    """An activation function and its derivative, which needs the output alone.

    Attributes
    ----------
    key : str
        Keras' name, which is also that of the functions in `ops`.
    """

    not_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("call", "forward"), "define __call__(x, run) and backward(dy, y, run)"
    )
    key: str = ""

    def plain(self) -> Any:
        """Return the name, or the configuration where there is more to say."""
        return self.key if self == type(self)() else arguments.config_of(self)

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        return getattr(ops, self.key)(x, run)

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the output `y` and its gradient `dy`."""
        return getattr(ops, f"{self.key}_backward")(dy, y, run)


class Linear(Activation):
    """``y = x``, the same array."""

    key = "linear"

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return x itself."""
        return x

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dy itself."""
        return dy


class ReLU(Activation):
    """``y = max(x, 0)`` (Nair & Hinton 2010)."""

    key = "relu"


def is_relu(activation: Activation) -> bool:
    """Whether an activation is ReLU and no more, and may be computed inside of a kernel."""
    return type(activation) is ReLU


class LeakyReLU(Activation):
    """``y = x`` where x > 0, else ``negative_slope · x`` (Maas, Hannun, Ng 2013)."""

    key = "leaky_relu"

    def __init__(self, negative_slope: float = 0.2) -> None:
        # The derivative is read off the output's sign, which a negative slope would hide.
        self.negative_slope: float = at_least_zero("LeakyReLU", "negative_slope", negative_slope)

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        return ops.leaky_relu(x, self.negative_slope, run)

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the output `y` and its gradient `dy`."""
        return ops.leaky_relu_backward(dy, y, self.negative_slope, run)


class ClippedReLU(Activation):
    """``y = min(max(x, negative_slope · x), max_value)``; with 6 and no slope "relu6" (Krizhevsky 2010)."""

    key = "relu6"

    def __init__(self, max_value: float = 6.0, negative_slope: float = 0.0) -> None:
        self.max_value: float = finite("ReLU", "max_value", max_value, least=0.0)
        self.negative_slope: float = at_least_zero("ReLU", "negative_slope", negative_slope)

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        y = ops.leaky_relu(x, self.negative_slope, run)
        run.call(np.clip, y, None, self.max_value, y)
        return y

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the output `y` and its gradient `dy`."""
        dx = ops.leaky_relu_backward(dy, y, self.negative_slope, run)
        cut = run.empty("cut", y.shape, np.bool_)
        run.call(np.greater_equal, y, self.max_value, cut)
        # Written, not multiplied by zero, which would turn an infinite dy into NaN.
        run.call(np.copyto, dx, 0.0, "same_kind", cut)
        return dx


class Sigmoid(Activation):
    """``y = 1 / (1 + exp(-x))``, to 2.6 units in the last place."""

    key = "sigmoid"


class Tanh(Activation):
    """``y = tanh(x)``, to 2.6 units in the last place."""

    key = "tanh"


class Softmax(Activation):
    """``y = exp(x) / Σ exp(x)`` over the last axis; exp is right to 1.1 units in the last place."""

    key = "softmax"


class LogSoftmax(Activation):
    """``y = x - log Σ exp(x)`` over the last axis; log is right to 0.9 units in the last place."""

    key = "log_softmax"


_CLASSES: dict[str, type[Activation]] = {
    entry.key: entry for entry in (Linear, ReLU, LeakyReLU, ClippedReLU, Sigmoid, Tanh, Softmax, LogSoftmax)
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


def _function(name: str) -> Callable[[ArrayLike], np.ndarray]:
    """Return the function of a name, for arrays of numbers; a layer may be given it in place of the name."""
    activation = get(name)

    def function(x: ArrayLike) -> np.ndarray:
        array = real_array(name, "x", x, None, may_be_empty=True)
        return activation(ready(array, common_dtype(array)).copy(), Run())

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return the values of `{type(activation).__name__}` for an array."
    function.__dict__["activation"] = activation
    return function


# By Keras' names: `activations.relu(x)`, `Dense(8, activation=activations.relu)`.
linear, relu, relu6, leaky_relu = map(_function, ("linear", "relu", "relu6", "leaky_relu"))
sigmoid, tanh, softmax, log_softmax = map(_function, ("sigmoid", "tanh", "softmax", "log_softmax"))

refusing(globals(), functions=["get"])
