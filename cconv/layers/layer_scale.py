"""A factor for each channel."""

from typing import Any

import numpy as np

from cconv import initializers
from cconv.arguments.numbers import finite, positive_int
from cconv.layers.base import Layer, Shape
from cconv.layers.listed import named
from cconv.ops import normalization, shards
from cconv.ops.run import Run, replayable


class LayerScale(Layer):
    """Every channel times a learned factor: ``y = gamma · x``.

    At the end of a residual branch, with factors near zero, it lets deep networks begin as shallow ones
    (Touvron et al. 2021, "Going deeper with image transformers", section 2).
    In Keras it belongs to ``keras.applications.convnext``.

    Parameters
    ----------
    init_values : float
        The initial value of every factor.
    projection_dim : int, optional
        The number of channels; by default that of the input.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"gamma"`` (channels,).

    Examples
    --------
    >>> import numpy as np
    >>> LayerScale(0.5, 2).forward(np.array([[1.0, -4.0]]))
    array([[ 0.5, -2. ]])
    """

    _by_shard = True
    gamma = named("gamma")

    def __init__(
        self,
        init_values: float,
        projection_dim: int | None = None,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.init_values: float = finite(self.where, "init_values", init_values)
        self.projection_dim: int | None = (
            None if projection_dim is None else positive_int(self.where, "projection_dim", projection_dim)
        )
        self._set_format(data_format)

    def _resolve(self, shape: Shape) -> Shape:
        if self.projection_dim not in (None, shape[-1]):
            raise ValueError(
                f"{self.where}: projection_dim must be the {shape[-1]} channels of input_shape "
                f"{self._outer(shape)}, got {self.projection_dim}"
            )
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        self._add_weight("gamma", shape[-1:], initializers.Constant(self.init_values))
        self._zero = np.zeros(shape[-1:], self.dtype)

    def _scaled(self, x: np.ndarray, run: Run, tag: str) -> np.ndarray:
        rows = x.reshape(-1, x.shape[-1])
        y = normalization.apply(rows, self._zero, self.params["gamma"], self._zero, 0.0, run, tag)
        return y.reshape(x.shape)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x), x)
        return self._scaled(x, run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (x,) = self._cache
        if self.trainable:
            rows, given = (a.reshape(-1, a.shape[-1]) for a in (dy, x))
            (self.grads["gamma"],) = shards.summed(self._weight_gradient, (rows, given), run)
        return self._scaled(dy, run, "dx") if need_dx else None

    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray]:
        return (normalization.scale_gradient(dy, x, self._zero, run),)
