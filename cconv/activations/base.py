"""The base of all activations, and the most common ones: linear, the sigmoids and the softmaxes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from cconv import arguments, ops
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int
from cconv.ops.run import Run, replayable


class Activation(arguments.Configured):
    """An activation function and its derivative.

    Attributes
    ----------
    key : str
        Keras' name, which is also the name of the function in `ops`.
    keeps : {"output", "input"}
        What the layer keeps from the forward pass for `backward`: the output y, or the input x.

    Examples
    --------
    >>> class Cubed(Activation):
    ...     keeps = "input"
    ...     def __call__(self, x, run):
    ...         return x**3
    ...     def backward(self, dy, y, run):
    ...         return 3 * y**2 * dy
    >>> from cconv.layers import Dense
    >>> Dense(2, activation=Cubed(), kernel_initializer="ones").forward(np.ones((1, 2)))
    array([[8., 8.]])
    """

    not_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("call", "forward"), "define __call__(x, run) and backward(dy, y, run)"
    )
    key: str = ""
    keeps: str = "output"

    def plain(self) -> Any:
        """Return the name, or the configuration if arguments are not the default."""
        return self.key if self == type(self)() else arguments.config_of(self)

    def kept(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the array that `backward` needs: the input or the output."""
        return x if self.keeps == "input" else y

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        return getattr(ops, self.key)(x, run)

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the output's gradient `dy` and the kept array `y`: the output, or the input."""
        return getattr(ops, f"{self.key}_backward")(dy, y, run)


class Linear(Activation):
    """``y = x``, the same array.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Linear()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-1.,  0.,  2.]])
    """

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


class Sigmoid(Activation):
    """``y = 1 / (1 + exp(-x))``, with errors of at most 2.6 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Sigmoid()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0.2689, 0.5   , 0.8808]])
    """

    key = "sigmoid"


class Tanh(Activation):
    """``y = tanh(x)``, with errors of at most 2.6 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Tanh()).forward(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.7616,  0.    ,  0.964 ]])
    """

    key = "tanh"


class Softmax(Activation):
    """``y = exp(x) / Σ exp(x)`` over the last axis; errors of exp are at most 1.1 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(Softmax()).forward(np.array([[0.0, 0.0, 2.0]])).round(4)
    array([[0.1065, 0.1065, 0.787 ]])
    """

    key = "softmax"


class LogSoftmax(Activation):
    """``y = x - log Σ exp(x)`` over the last axis; errors of log are at most 0.9 units in the last place.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(LogSoftmax()).forward(np.array([[0.0, 0.0, 2.0]])).round(4)
    array([[-2.2395, -2.2395, -0.2395]])
    """

    key = "log_softmax"


class SoftmaxOver(Activation):
    """A softmax over given axes.

    Parameters
    ----------
    axes : sequence of int
        Different axes of x; axis 0 is the batch.
    logarithm : bool
        Whether to return the logarithm of the softmax.

    Examples
    --------
    >>> from cconv import layers
    >>> layers.Activation(SoftmaxOver(axes=(1, 2))).forward(np.array([[[0.0, 0.0], [2.0, 2.0]]])).round(4)
    array([[[0.0596, 0.0596],
            [0.4404, 0.4404]]])
    """

    key = "softmax"

    def __init__(self, axes: Sequence[int] = (-1,), logarithm: bool = False) -> None:
        expected = f"SoftmaxOver: axes must be ints that are all different, got {axes!r}"
        if isinstance(axes, str) or not isinstance(axes, Sequence) or not all(map(is_int, axes)):
            raise TypeError(expected)
        self.axes: tuple[int, ...] = tuple(map(int, axes))
        if not axes or len(set(axes)) < len(axes):
            raise ValueError(expected)
        self.logarithm: bool = arguments.flag("SoftmaxOver", "logarithm", logarithm)

    def plain(self) -> Any:
        """Return the configuration."""
        return arguments.config_of(self)

    def _moved(self, x: np.ndarray) -> np.ndarray:
        """Return a view with the axes of the sums last."""
        axes = [axis % x.ndim for axis in self.axes]
        return x.transpose([*(axis for axis in range(x.ndim) if axis not in axes), *axes])

    def _rows(self, x: np.ndarray, tag: str, run: Run) -> np.ndarray:
        """Return a copy as a matrix, with one row for each sum."""
        moved = self._moved(x)
        rows = run.empty(tag, moved.shape, x.dtype)
        run.call(np.copyto, rows, moved)
        return rows.reshape(-1, np.prod(moved.shape[moved.ndim - len(self.axes) :], dtype=int))

    def _back(self, rows: np.ndarray, like: np.ndarray, tag: str, run: Run) -> np.ndarray:
        """Return the rows of `_rows` as an array with the axes of `like`."""
        array = run.empty(tag, like.shape, like.dtype)
        there = self._moved(array)
        run.call(np.copyto, there, rows.reshape(there.shape))
        return array

    @replayable
    @controlled
    def __call__(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the function's values, of x's shape and dtype."""
        function = ops.log_softmax if self.logarithm else ops.softmax
        return self._back(function(self._rows(x, "rows", run), run), x, "y", run)

    @replayable
    @controlled
    def backward(self, dy: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        """Return dx for the output `y` and its gradient `dy`."""
        function = ops.log_softmax_backward if self.logarithm else ops.softmax_backward
        dx = function(self._rows(dy, "dy rows", run), self._rows(y, "y rows", run), run)
        return self._back(dx, y, "dx", run)
