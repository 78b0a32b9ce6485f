"""The activations as functions of arrays, by Keras' names and with Keras' arguments.

A layer accepts these functions instead of names: `Dense(8, activation=activations.relu)`.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from cconv.activations.base import (
    Activation,
    Linear,
    LogSoftmax,
    Sigmoid,
    Softmax,
    SoftmaxOver,
    Tanh,
)
from cconv.activations.rectifiers import ClippedReLU, LeakyReLU, ReLU, rectifier
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
from cconv.arguments.arrays import common_dtype, ready, real_array
from cconv.arguments.numbers import is_int
from cconv.ops.run import Run

F = TypeVar("F", bound=Callable[..., np.ndarray])


def _stands_for(activation: Activation) -> Callable[[F], F]:
    """Return a decorator that marks a function with the activation for layers that get the function."""

    def mark(function: F) -> F:
        function.__dict__["activation"] = activation
        return function

    return mark


def _array(name: str, x: ArrayLike) -> np.ndarray:
    array = real_array(name, "x", x, None, may_be_empty=True)
    return ready(array, common_dtype(array)).copy()


def _values(name: str, x: ArrayLike, activation: Activation) -> np.ndarray:
    return activation(_array(name, x), Run())


def _over(name: str, x: ArrayLike, axis: int, plain: Activation) -> np.ndarray:
    """Return a softmax over any axis."""
    array = _array(name, x)
    if not is_int(axis):
        raise TypeError(f"{name}: axis must be an int, got {axis!r}")
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"{name}: axis must be one of the {array.ndim} of x, got {axis}")
    last = axis in (-1, array.ndim - 1)
    return (plain if last else SoftmaxOver((int(axis),), isinstance(plain, LogSoftmax)))(array, Run())


@_stands_for(ReLU())
def relu(
    x: ArrayLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> np.ndarray:
    """Return x where x > threshold, else ``negative_slope · (x - threshold)``; at most `max_value`.

    Examples
    --------
    >>> relu([-2.0, 1.0, 9.0]), relu([-2.0, 1.0, 9.0], negative_slope=0.5, max_value=6)
    (array([0., 1., 9.]), array([-1.,  1.,  6.]))
    """
    return _values("relu", x, rectifier(max_value, negative_slope, threshold))


@_stands_for(LeakyReLU())
def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> np.ndarray:
    """Return x where x > 0, else ``negative_slope · x``.

    Examples
    --------
    >>> leaky_relu([-2.0, 0.0, 2.0]).round(4)
    array([-0.4,  0. ,  2. ])
    """
    return _values("leaky_relu", x, LeakyReLU(negative_slope))


@_stands_for(ELU())
def elu(x: ArrayLike, alpha: float = 1.0) -> np.ndarray:
    """Return x where x > 0, else ``alpha · (exp(x) - 1)``.

    Examples
    --------
    >>> elu([-100.0, 0.0, 3.0])
    array([-1.,  0.,  3.])
    """
    return _values("elu", x, ELU(alpha))


@_stands_for(GELU())
def gelu(x: ArrayLike, approximate: bool = False) -> np.ndarray:
    """Return x Φ(x), with the normal distribution function Φ or its approximation with tanh.

    Examples
    --------
    >>> gelu([-1.0, 1.0]), gelu([-1.0, 1.0], approximate=True)
    (array([-0.15865525,  0.84134475]), array([-0.15880801,  0.84119199]))
    """
    return _values("gelu", x, GELU(approximate))


@_stands_for(Softmax())
def softmax(x: ArrayLike, axis: int = -1) -> np.ndarray:
    """Return ``exp(x) / Σ exp(x)`` over an axis.

    Examples
    --------
    >>> softmax([[0.0, 1.0], [0.0, 1.0]], axis=0)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    return _over("softmax", x, axis, Softmax())


@_stands_for(LogSoftmax())
def log_softmax(x: ArrayLike, axis: int = -1) -> np.ndarray:
    """Return ``x - log Σ exp(x)`` over an axis.

    Examples
    --------
    >>> log_softmax([0.0, 0.0, 2.0]).round(4)
    array([-2.2395, -2.2395, -0.2395])
    """
    return _over("log_softmax", x, axis, LogSoftmax())


@_stands_for(Linear())
def linear(x: ArrayLike) -> np.ndarray:
    """Return x itself, in a new array.

    Examples
    --------
    >>> linear([-2.0, 0.0, 2.0]).round(4)
    array([-2.,  0.,  2.])
    """
    return _values("linear", x, Linear())


@_stands_for(ClippedReLU())
def relu6(x: ArrayLike) -> np.ndarray:
    """Return min(max(x, 0), 6).

    Examples
    --------
    >>> relu6([-2.0, 2.0, 8.0])
    array([0., 2., 6.])
    """
    return _values("relu6", x, ClippedReLU())


@_stands_for(Sigmoid())
def sigmoid(x: ArrayLike) -> np.ndarray:
    """Return 1 / (1 + exp(-x)).

    Examples
    --------
    >>> sigmoid([-2.0, 0.0, 2.0]).round(4)
    array([0.1192, 0.5   , 0.8808])
    """
    return _values("sigmoid", x, Sigmoid())


@_stands_for(Tanh())
def tanh(x: ArrayLike) -> np.ndarray:
    """Return tanh(x).

    Examples
    --------
    >>> tanh([-2.0, 0.0, 2.0]).round(4)
    array([-0.964,  0.   ,  0.964])
    """
    return _values("tanh", x, Tanh())


@_stands_for(SiLU())
def silu(x: ArrayLike) -> np.ndarray:
    """Return x / (1 + exp(-x)).

    Examples
    --------
    >>> silu([-2.0, 0.0, 2.0]).round(4)
    array([-0.2384,  0.    ,  1.7616])
    """
    return _values("silu", x, SiLU())


@_stands_for(SELU())
def selu(x: ArrayLike) -> np.ndarray:
    """Return 1.0507… · elu(x, 1.6733…).

    Examples
    --------
    >>> selu([-2.0, 0.0, 2.0]).round(4)
    array([-1.5202,  0.    ,  2.1014])
    """
    return _values("selu", x, SELU())


@_stands_for(Softplus())
def softplus(x: ArrayLike) -> np.ndarray:
    """Return log(1 + exp(x)).

    Examples
    --------
    >>> softplus([-2.0, 0.0, 2.0]).round(4)
    array([0.1269, 0.6931, 2.1269])
    """
    return _values("softplus", x, Softplus())


@_stands_for(Softsign())
def softsign(x: ArrayLike) -> np.ndarray:
    """Return ``x / (1 + |x|)``.

    Examples
    --------
    >>> softsign([-2.0, 0.0, 2.0]).round(4)
    array([-0.6667,  0.    ,  0.6667])
    """
    return _values("softsign", x, Softsign())


@_stands_for(Mish())
def mish(x: ArrayLike) -> np.ndarray:
    """Return x tanh(log(1 + exp(x))).

    Examples
    --------
    >>> mish([-2.0, 0.0, 2.0]).round(4)
    array([-0.2525,  0.    ,  1.944 ])
    """
    return _values("mish", x, Mish())


@_stands_for(HardSigmoid())
def hard_sigmoid(x: ArrayLike) -> np.ndarray:
    """Return min(max(x + 3, 0), 6) / 6.

    Examples
    --------
    >>> hard_sigmoid([-2.0, 0.0, 2.0]).round(4)
    array([0.1667, 0.5   , 0.8333])
    """
    return _values("hard_sigmoid", x, HardSigmoid())


@_stands_for(HardSiLU())
def hard_silu(x: ArrayLike) -> np.ndarray:
    """Return x · hard_sigmoid(x).

    Examples
    --------
    >>> hard_silu([-2.0, 0.0, 2.0]).round(4)
    array([-0.3333,  0.    ,  1.6667])
    """
    return _values("hard_silu", x, HardSiLU())


@_stands_for(Exponential())
def exponential(x: ArrayLike) -> np.ndarray:
    """Return exp(x).

    Examples
    --------
    >>> exponential([-2.0, 0.0, 2.0]).round(4)
    array([0.1353, 1.    , 7.3891])
    """
    return _values("exponential", x, Exponential())
