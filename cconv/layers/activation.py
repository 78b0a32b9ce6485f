"""Activation functions as layers of their own."""

from typing import Any

import numpy as np

from cconv import activations
from cconv.layers.base import Layer
from cconv.ops.run import Run, is_replayable, replayable


class Activation(Layer):
    """An activation function by name.

    Parameters
    ----------
    activation : str
        ``"relu"``, ``"relu6"``, ``"leaky_relu"``, ``"sigmoid"``, ``"tanh"``, ``"softmax"``,
        ``"log_softmax"`` or ``"linear"``; the two softmaxes run over the last axis, the channels.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Activation("relu").forward(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """

    activation: activations.Setting = activations.Setting()

    def __init__(
        self, activation: Any, *, name: str | None = None, trainable: bool = True, input_shape: Any = None
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.activation = activation

    def _replays(self, training: bool) -> bool:
        function = self.activation
        own = is_replayable(function.backward) or not training
        return super()._replays(training) and is_replayable(function.__call__) and own

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        y = self.activation(x, run)
        if run.training:
            self._keep(x.shape[0], y)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (y,) = self._cache
        return self.activation.backward(dy, y, run) if need_dx else None


class ReLU(Activation):
    """Rectified linear unit, ``y = max(x, 0)`` unless something else is asked for.

    Parameters
    ----------
    max_value : float, optional
        Where y is cut off, at least 0.
    negative_slope : float
        What values below 0 are multiplied with, at least 0.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> ReLU().forward(np.array([[-1.0, 2.0, 9.0]]))
    array([[0., 2., 9.]])
    >>> ReLU(6).forward(np.array([[1.0, 2.0, 9.0]]))
    array([[1., 2., 6.]])
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        leaky = activations.LeakyReLU(negative_slope)
        kind: Any = leaky if leaky.negative_slope else "relu"
        if max_value is not None:
            kind = activations.ClippedReLU(max_value, negative_slope)
        super().__init__(kind, name=name, trainable=trainable, input_shape=input_shape)
        self.max_value = max_value
        self.negative_slope: float = leaky.negative_slope


class LeakyReLU(Activation):
    """``y = x`` where x > 0, else ``negative_slope · x`` (Maas, Hannun, Ng 2013).

    Parameters
    ----------
    negative_slope : float
        At least 0.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(0.5).forward(np.array([[-1.0, 2.0]]))
    array([[-0.5,  2. ]])
    """

    def __init__(
        self,
        negative_slope: float = 0.3,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        leaky = activations.LeakyReLU(negative_slope)
        self.negative_slope: float = leaky.negative_slope
        super().__init__(leaky, name=name, trainable=trainable, input_shape=input_shape)


class Softmax(Activation):
    """``y = exp(x) / Σ exp(x)`` over the last axis.

    Parameters
    ----------
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().forward(np.array([[1.0, 1.0]]))
    array([[0.5, 0.5]])
    """

    def __init__(self, *, name: str | None = None, trainable: bool = True, input_shape: Any = None) -> None:
        super().__init__("softmax", name=name, trainable=trainable, input_shape=input_shape)
