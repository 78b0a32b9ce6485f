"""Normalisation of groups of channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import arguments, constraints, initializers, regularizers
from cconv.arguments.numbers import finite, is_int
from cconv.layers.base import Layer, Shape
from cconv.layers.listed import named
from cconv.layers.normalization import channels_axis, check_channels_axis
from cconv.ops import group_normalization, shards
from cconv.ops.run import Run, replayable


class GroupNormalization(Layer):
    """Every group of channels of a sample normalised to mean 0 and variance 1, then scaled and shifted.

    ::

        y = gamma · (x - mean) / √(variance + epsilon) + beta

    Mean and (biased) variance are those of a group's channels over all pixels of one sample, in training and
    at inference; gamma and beta are per channel (Wu & He 2018, "Group normalization"). One group normalises a
    sample as a whole; one group per channel is instance normalisation.

    Parameters
    ----------
    groups : int
        A divisor of the number of channels; neighbouring channels form a group. -1: one group per channel.
    axis : int
        Where the channels are: 3 (last) or 1 (channels_first images), or the last axis of any input; -1 means
        the channels in the model's data format.
    epsilon : float
        Added to the variance, at least 0.
    center, scale : bool
        Whether there is a beta, a gamma.
    beta_initializer, gamma_initializer
        See `cconv.initializers`.
    beta_regularizer, gamma_regularizer
        See `cconv.regularizers`.
    beta_constraint, gamma_constraint
        See `cconv.constraints`.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"gamma"`` and ``"beta"``, each (channels,).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0]])
    >>> GroupNormalization(groups=2, epsilon=0.0).forward(x)
    array([[-1.,  1., -1.,  1.]])
    """

    _by_shard = True
    gamma, beta = named("gamma"), named("beta")

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        expected = f"{where}: groups must be a positive int, or -1 for one of each channel, got {groups!r}"
        if not is_int(groups):
            raise TypeError(expected)
        if groups < 1 and groups != -1:
            raise ValueError(expected)
        self.groups: int = int(groups)
        self.axis: int = channels_axis(where, axis)
        self.data_format = "channels_first" if axis == 1 else "channels_last"
        self.epsilon: float = finite(where, "epsilon", epsilon, least=0.0)
        self.center: bool = arguments.flag(where, "center", center)
        self.scale: bool = arguments.flag(where, "scale", scale)
        self.beta_initializer: initializers.Initializer = initializers.get(
            beta_initializer, where, "beta_initializer"
        )
        self.gamma_initializer: initializers.Initializer = initializers.get(
            gamma_initializer, where, "gamma_initializer"
        )
        self.beta_regularizer: regularizers.Regularizer | None = regularizers.get(
            beta_regularizer, where, "beta_regularizer"
        )
        self.gamma_regularizer: regularizers.Regularizer | None = regularizers.get(
            gamma_regularizer, where, "gamma_regularizer"
        )
        self.beta_constraint: constraints.Constraint | None = constraints.get(
            beta_constraint, where, "beta_constraint"
        )
        self.gamma_constraint: constraints.Constraint | None = constraints.get(
            gamma_constraint, where, "gamma_constraint"
        )

    def _named_format(self) -> str | None:
        return None if self.axis == -1 else self.data_format

    def _resolve(self, shape: Shape) -> Shape:
        check_channels_axis(self.where, self.axis, shape)
        if shape[-1] % self.groups:
            raise ValueError(
                f"{self.where}: groups must divide the {shape[-1]} channels of input_shape "
                f"{self._outer(shape)}, got {self.groups}"
            )
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        self._counted = shape[-1] if self.groups == -1 else self.groups
        if self.scale:
            gamma = self.gamma_initializer, self.gamma_regularizer, self.gamma_constraint
            self._add_weight("gamma", shape[-1:], *gamma)
        if self.center:
            beta = self.beta_initializer, self.beta_regularizer, self.beta_constraint
            self._add_weight("beta", shape[-1:], *beta)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        pixels = x.reshape(len(x), -1, x.shape[-1])
        gamma, beta = self.params.get("gamma"), self.params.get("beta")
        y, *kept = group_normalization.normalize(pixels, gamma, beta, self._counted, self.epsilon, run)
        if run.training:
            self._keep(len(x), pixels, *kept)
        return y.reshape(x.shape)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        x, *kept = self._cache
        arrays = dy.reshape(x.shape), x, *kept
        dx, dgamma, dbeta = self._gradients(arrays, run, need_dx)
        if self.trainable:
            if run.cut is not None:
                dgamma, dbeta = shards.summed(self._weight_gradients, arrays, run)
            gradients = {"gamma": dgamma, "beta": dbeta}
            self.grads.update({name: gradients[name] for name in self.params})
        return None if dx is None else dx.reshape(dy.shape)

    def _gradients(
        self, arrays: Sequence[np.ndarray], run: Run, need_dx: bool
    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        dy, x, mean, scale, inverse = arrays
        gamma = self.params.get("gamma")
        return group_normalization.normalize_backward(dy, x, gamma, mean, scale, inverse, run, need_dx)

    def _weight_gradients(self, *given: Any) -> tuple[np.ndarray, np.ndarray]:
        *arrays, run = given
        return self._gradients(arrays, run, need_dx=False)[1:]
