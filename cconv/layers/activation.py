"""Activation functions as layers of their own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import activations
from cconv.arguments.numbers import is_int
from cconv.layers.axes import OfAxes
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, is_replayable, replayable


class Activation(Layer):
    """An activation function by name.

    Parameters
    ----------
    activation : str
        One of the names in `cconv.activations`, such as ``"relu"``, ``"silu"`` or ``"softmax"``; the two
        softmaxes run over the last axis, the channels. Or a function or an object from there.
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
            self._keep(x.shape[0], self.activation.kept(x, y))
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (kept,) = self._cache
        return self.activation.backward(dy, kept, run) if need_dx else None


class ReLU(Activation):
    """Rectified linear unit, by default ``y = max(x, 0)``.

    Parameters
    ----------
    max_value : float, optional
        The upper bound of y, at least 0.
    negative_slope : float
        The factor of values below the threshold, at least 0.
    threshold : float
        Values up to the threshold give ``negative_slope · (x - threshold)``; at least 0.
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
        threshold: float = 0.0,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        kind = activations.rectifier(max_value, negative_slope, threshold)
        super().__init__(kind, name=name, trainable=trainable, input_shape=input_shape)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold


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


class ELU(Activation):
    """``y = x`` where x > 0, else ``alpha · (exp(x) - 1)`` (Clevert, Unterthiner, Hochreiter 2016).

    Parameters
    ----------
    alpha : float
        The output tends to -alpha for very negative x.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> ELU(2.0).forward(np.array([[-100.0, 2.0]]))
    array([[-2.,  2.]])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        elu = activations.ELU(alpha)
        self.alpha: float = elu.alpha
        super().__init__(elu, name=name, trainable=trainable, input_shape=input_shape)


class Softmax(OfAxes, Activation):
    """``y = exp(x) / Σ exp(x)`` over an axis, or over several together.

    Parameters
    ----------
    axis : int or list of int
        The axes of the sum, counted with the batch, which is axis 0 and not allowed. -1 alone means the
        channels, whatever the model's data format.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().forward(np.array([[1.0, 1.0]]))
    array([[0.5, 0.5]])
    >>> Softmax(axis=[1, 2]).forward(np.ones((1, 2, 2)))
    array([[[0.25, 0.25],
            [0.25, 0.25]]])
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__("softmax", name=name, trainable=trainable, input_shape=input_shape)
        several = not is_int(axis)
        if several and (
            isinstance(axis, str) or not isinstance(axis, Sequence) or not all(map(is_int, axis))
        ):
            raise TypeError(f"{self.where}: axis must be an int or a list of ints, got {axis!r}")
        given: Any = axis
        self.axis: int | list[int] = [int(entry) for entry in given] if several else int(given)

    def _resolve(self, shape: Shape) -> Shape:
        self._inner_axes(shape)
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _inner_axes(self, shape: Shape) -> tuple[int, ...]:
        """Return the axes that are summed over, with the channels last."""
        if self.axis == -1:
            return (len(shape),)
        given = self.axis if isinstance(self.axis, list) else [self.axis]
        axes = {axis + len(shape) + 1 if axis < 0 else axis for axis in given}
        if not given or len(axes) != len(given) or not all(1 <= axis <= len(shape) for axis in axes):
            raise ValueError(
                f"{self.where}: axis must be from 1 to {len(shape)} for input_shape {self._outer(shape)}, "
                f"and named once, got {self.axis!r}"
            )
        first = self.data_format == "channels_first" and len(shape) == 3
        return tuple(sorted((axis - 2) % 3 + 1 if first else axis for axis in axes))

    def _build(self, shape: Shape) -> None:
        axes = self._inner_axes(shape)
        self.activation = "softmax" if axes == (len(shape),) else activations.SoftmaxOver(axes)
