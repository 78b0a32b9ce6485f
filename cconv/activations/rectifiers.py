"""Rectifiers: piecewise linear activations."""

import math
from typing import Any

import numpy as np

from cconv import ops
from cconv.activations.base import Activation
from cconv.arguments.control import controlled
from cconv.arguments.numbers import at_least_zero, finite
from cconv.ops.run import Run, replayable


class ReLU(Activation):
    """``y = max(x, 0)`` (Nair & Hinton 2010).

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(ReLU()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0., 0., 2.]])
    """

    key = "relu"


def is_relu(activation: Activation) -> bool:
    """Whether an activation is exactly ReLU, which kernels of other layers can include.

    Examples
    --------
    >>> is_relu(ReLU()), is_relu(LeakyReLU())
    (True, False)
    """
    return type(activation) is ReLU


def cap_of(activation: Activation) -> float:
    """Return the upper limit of a ReLU (infinity) or a plain clipped ReLU; 0 for all other activations.

    Examples
    --------
    >>> cap_of(ReLU()), cap_of(ClippedReLU(6.0)), cap_of(LeakyReLU())
    (inf, 6.0, 0.0)
    """
    if type(activation) is ClippedReLU and activation.is_plain:
        return activation.cap
    return math.inf if is_relu(activation) else 0.0


class LeakyReLU(Activation):
    """``y = x`` where x > 0, else ``negative_slope · x`` (Maas, Hannun, Ng 2013).

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(LeakyReLU(0.1)).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.1,  0. ,  2. ]])
    """

    key = "leaky_relu"

    def __init__(self, negative_slope: float = 0.2) -> None:
        # `backward` takes the sign of x from the output, so the slope must not be negative.
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
    """``y = x`` where x > threshold, else ``negative_slope · (x - threshold)``; at most `max_value`.

    ``ClippedReLU(6)`` is "relu6" (Krizhevsky 2010).

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(ClippedReLU(1.5)).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0. , 0. , 1.5]])
    """

    key = "relu6"

    def __init__(
        self, max_value: float | None = 6.0, negative_slope: float = 0.0, threshold: float = 0.0
    ) -> None:
        self.max_value: float | None = (
            None if max_value is None else finite("ReLU", "max_value", max_value, least=0.0)
        )
        self.negative_slope: float = at_least_zero("ReLU", "negative_slope", negative_slope)
        # With a negative threshold the output's sign would not show on which side x was.
        self.threshold: float = at_least_zero("ReLU", "threshold", threshold)

    @property
    def is_plain(self) -> bool:
        """Whether it is ``min(max(x, 0), max_value)``, which a single kernel computes."""
        return bool(self.max_value) and not (self.negative_slope or self.threshold)

    @property
    def cap(self) -> float:
        """The largest value; infinity if there is none."""
        return math.inf if self.max_value is None else self.max_value

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        if self.is_plain:
            return ops.clipped_relu(x, self.cap, run)
        if self.threshold:
            shifted, above = run.empty("shifted", x.shape, x.dtype), run.empty("above", x.shape, np.bool_)
            run.call(np.subtract, x, self.threshold, shifted)
            y = ops.leaky_relu(shifted, self.negative_slope, run)
            run.call(np.greater, x, self.threshold, above)
            run.call(np.copyto, y, x, "same_kind", above)
        else:
            y = ops.leaky_relu(x, self.negative_slope, run)
        if self.max_value is not None:
            run.call(np.clip, y, None, self.max_value, y)
        return y

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the output `y` and its gradient `dy`."""
        if self.is_plain:
            return ops.clipped_relu_backward(dy, y, self.cap, run)
        dx = ops.leaky_relu_backward(dy, y, self.negative_slope, run)
        if self.max_value is None:
            return dx
        cut = run.empty("cut", y.shape, np.bool_)
        run.call(np.greater_equal, y, self.max_value, cut)
        # Copied, because multiplying by zero would turn an infinite dy into NaN.
        run.call(np.copyto, dx, 0.0, "same_kind", cut)
        return dx


def rectifier(max_value: Any = None, negative_slope: Any = 0.0, threshold: Any = 0.0) -> Activation:
    """Return the activation of Keras' `ReLU` with these arguments.

    Examples
    --------
    >>> rectifier(), rectifier(max_value=6.0), rectifier(negative_slope=0.1)
    (ReLU(), ClippedReLU(), LeakyReLU(negative_slope=0.1))
    """
    full = ClippedReLU(max_value, negative_slope, threshold)
    if full.max_value is not None or full.threshold:
        return full
    return LeakyReLU(full.negative_slope) if full.negative_slope else ReLU()
