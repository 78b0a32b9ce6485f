"""Batch normalisation."""

import math
from typing import Any

import numpy as np

from cconv import arguments, constraints, initializers, ops, regularizers
from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, fraction, is_int
from cconv.layers.base import Layer, Shape
from cconv.layers.listed import named
from cconv.ops import batch_normalization, normalization
from cconv.ops.run import Run, is_replayable, replayable


def channels_axis(where: str, axis: Any) -> int:
    """Return the argument `axis`, counted with the batch, checked to be a possible axis of channels."""
    if not is_int(axis) or axis not in (-1, 1, 3):
        raise ValueError(f"{where}: axis must be -1 or 3 (channels last) or 1 (channels first), got {axis!r}")
    return int(axis)


def check_channels_axis(where: str, axis: int, shape: Shape) -> None:
    """Refuse an axis that is not the channels' in an input of that shape, given without the batch."""
    # Counted with the batch, the channels of images are axis 1 or 3; of other inputs they are the last axis.
    if axis not in (-1, len(shape)) and (axis, len(shape)) != (1, 3):
        last = f"-1 or {len(shape)}" if len(shape) in (1, 3) else "-1"
        raise ValueError(
            f"{where}: axis must be {last}, the last of the input's axes, got {axis} for input_shape {shape}"
        )


class BatchNormalization(Layer):
    """Every channel normalised to mean 0 and variance 1, then scaled and shifted.

    ::

        y = gamma · (x - mean) / √(variance + epsilon) + beta

    In training the mean and the (biased) variance are those of the batch, over every axis but the channels;
    moving averages of them are kept: ``moving ← momentum · moving + (1 - momentum) · batch``. At inference,
    and when the layer is not trainable, the moving averages are used instead
    (Ioffe & Szegedy 2015, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift").

    Parameters
    ----------
    axis : int
        Where the channels are: 3 (last) or 1 (channels_first images), or the last axis of any input; -1 means
        the channels in the model's data format. A model whose layers name different formats is refused.
    momentum : float
        In [0, 1).
    epsilon : float
        Added to the variance, at least 0.
    center, scale : bool
        Whether there is a beta, a gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
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
    state : dict
        ``"moving_mean"`` and ``"moving_variance"``, each (channels,).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> BatchNormalization(epsilon=0.0).forward(x, training=True)
    array([[-1., -1.],
           [ 1.,  1.]])
    """

    gamma, beta = named("gamma"), named("beta")
    moving_mean, moving_variance = named("moving_mean"), named("moving_variance")

    _by_shard = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
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
        self.axis: int = channels_axis(where, axis)
        self.data_format = "channels_first" if axis == 1 else "channels_last"
        self.momentum: float = fraction(where, "momentum", momentum)
        self.epsilon: float = finite(where, "epsilon", epsilon, least=0.0)
        self.center: bool = arguments.flag(where, "center", center)
        self.scale: bool = arguments.flag(where, "scale", scale)
        self.beta_initializer: initializers.Initializer = initializers.get(
            beta_initializer, where, "beta_initializer"
        )
        self.gamma_initializer: initializers.Initializer = initializers.get(
            gamma_initializer, where, "gamma_initializer"
        )
        self.moving_mean_initializer: initializers.Initializer = initializers.get(
            moving_mean_initializer, where, "moving_mean_initializer"
        )
        self.moving_variance_initializer: initializers.Initializer = initializers.get(
            moving_variance_initializer, where, "moving_variance_initializer"
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
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        channels = shape[-1:]
        if self.scale:
            gamma = self.gamma_initializer, self.gamma_regularizer, self.gamma_constraint
            self._add_weight("gamma", channels, *gamma)
        if self.center:
            beta = self.beta_initializer, self.beta_regularizer, self.beta_constraint
            self._add_weight("beta", channels, *beta)
        self._add_state("moving_mean", channels, self.moving_mean_initializer)
        self._add_state("moving_variance", channels, self.moving_variance_initializer)

    def _replays(self, training: bool) -> bool:
        parts = [self._normalize, self._go_back] if training else [self._normalize]
        return super()._replays(training) and all(map(is_replayable, parts))

    def _settings(self) -> tuple[Any, ...]:
        return *super()._settings(), self.momentum

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        return self._normalize(x, run)

    @replayable
    def _normalize(self, x: np.ndarray, run: Run, cap: float = 0.0) -> np.ndarray:
        """Return the output; with `cap` the output of the ReLU behind it, whose upper bound is `cap`."""
        rows = x.reshape(-1, x.shape[-1])
        of_batch = run.training and self.trainable and not self._as_at_inference
        weights = self.params.get("gamma"), self.params.get("beta")
        moving = self.state["moving_mean"], self.state["moving_variance"]
        scales = (
            batch_normalization.of_batch(rows, *weights, moving, self.momentum, self.epsilon, run)
            if of_batch
            else batch_normalization.of_moving(*weights, moving, self.epsilon, run)
        )
        if run.training:
            self._keep(x.shape[0], rows, scales, of_batch)
        return self._applied(rows, scales, cap, run).reshape(x.shape)

    @staticmethod
    def _applied(rows: np.ndarray, scales: batch_normalization.Scales, cap: float, run: Run) -> np.ndarray:
        return normalization.apply(rows, scales.mean, scales.scale, scales.shift, cap, run)

    @replayable
    def _relu_again(self, shape: Shape, cap: float, run: Run) -> np.ndarray:
        """Compute again the output, of that shape, of the ReLU behind this layer for the last batch."""
        rows, scales, _ = self._cache
        return self._applied(rows, scales, cap, run).reshape(shape)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return self._go_back(dy, run, need_dx)

    @replayable
    def _go_back(
        self, dy: np.ndarray, run: Run, need_dx: bool, y: np.ndarray | None = None, cap: float = math.inf
    ) -> np.ndarray | None:
        """Do the work of `_backward`; `y`, if given, is the output of a ReLU behind, bounded by `cap`."""
        x, scales, of_batch = self._cache
        rows = dy.reshape(x.shape)
        cap = 0.0 if y is None else cap
        what = normalization.Normalized(scales.mean, scales.scale, scales.shift, cap)
        if of_batch or self.trainable:
            partial, m = batch_normalization.gradient_sums(rows, x, what, run)
            found = batch_normalization.slopes(partial, m, scales, run)
            gradients = {"gamma": found.dgamma, "beta": found.dbeta}
            self.grads.update({name: gradients[name] for name in self.params})
        if not need_dx:
            return None
        if not of_batch:  # statistics that do not depend on x
            return self._scaled_back(
                dy if y is None else ops.rectifier_backward(dy, y, cap, run), scales, run
            )
        # dx = scale (dy - mean(dy) - (x - mean) inverse² mean(dy (x - mean)))
        return normalization.input_gradient(rows, x, what, found.slope, found.shift, run).reshape(dy.shape)

    @staticmethod
    def _scaled_back(dy: np.ndarray, scales: batch_normalization.Scales, run: Run) -> np.ndarray:
        """Return dx for statistics that do not depend on x."""
        dx = run.empty("dx", dy.shape, dy.dtype)
        run.call(np.multiply, dy, scales.scale, dx)
        return dx

    def _folded(
        self, kernel: np.ndarray | None, bias: np.ndarray | None, run: Run
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return `affine`'s scale and shift, and the kernel of `folded_into`, in arrays of the run."""
        weights = self.params.get("gamma"), self.params.get("beta")
        moving = self.state["moving_mean"], self.state["moving_variance"]
        return batch_normalization.fold(weights, moving, self.epsilon, kernel, bias, run)

    @controlled
    def affine(self, bias: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return scale and shift, each (channels,): at inference ``y = x · scale + shift``.

        Parameters
        ----------
        bias : ndarray of shape (channels,), optional
            Added to x before the normalisation.
        """
        scale = 1 / np.sqrt(self.state["moving_variance"] + self.epsilon)
        if self.scale:
            scale = scale * self.params["gamma"]
        shift = -self.state["moving_mean"] * scale
        if self.center:
            shift = shift + self.params["beta"]
        return scale, shift if bias is None else bias * scale + shift

    @controlled
    def folded_into(
        self, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel and bias of one layer that computes, at inference, a convolution and this layer.

        Parameters
        ----------
        kernel : ndarray
            ``(kh, kw, c, filters)``, ``(in, out)``, or a depthwise ``(kh, kw, c, multiplier)``, of a
            layer without activation in front of this one.
        bias : ndarray of shape (channels,) or None
            Its bias.
        out : ndarray, optional
            Where to put the kernel.

        Returns
        -------
        kernel, bias : ndarray
            New arrays, or `out` and a new one.

        Raises
        ------
        ValueError
            When the number of the kernel's outputs differs from this layer's channels.

        Examples
        --------
        >>> import numpy as np
        >>> layer = BatchNormalization(epsilon=0.0).build((2,), dtype="float64")
        >>> layer.state["moving_variance"] = [4.0, 1.0]
        >>> kernel, bias = layer.folded_into(np.ones((3, 2)), None)
        >>> kernel[0], bias
        (array([0.5, 1. ]), array([0., 0.]))
        """
        scale, shift = self.affine(bias)
        if kernel.shape[-1] == scale.size:
            folded = np.multiply(kernel, scale, out=out)
        elif kernel.shape[-1] * kernel.shape[-2] == scale.size:
            folded = np.multiply(kernel, scale.reshape(kernel.shape[-2:]), out=out)
        else:
            raise ValueError(
                f"{self.where}: kernel must have {scale.size} output channels, got the shape {kernel.shape}"
            )
        return folded, shift
