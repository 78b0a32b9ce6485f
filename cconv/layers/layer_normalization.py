"""Normalisations along axes of each sample: the choice of axes, and the layout of the data as rows."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import arguments, constraints, initializers, regularizers
from cconv.arguments.numbers import finite, is_int
from cconv.layers.axes import OfFormat
from cconv.layers.base import Shape
from cconv.layers.listed import named
from cconv.ops import layer_normalization, shards
from cconv.ops.layer_normalization import Rule
from cconv.ops.run import Run, replayable


class RowNormalization(OfFormat):
    """A layer that normalises along some axes, with statistics of each sample.

    `axis` is counted with the batch, as in Keras, in the layer's `data_format` if it was given one, else in
    the model's; -1 alone means the channels in any format.
    """

    _by_shard = True
    _rule = "layer"
    _weights: tuple[str | None, str | None] = (None, None)  # names of the factor and of the summand

    def __init__(self, axis: Any, epsilon: float, data_format: str | None, **base: Any) -> None:
        super().__init__(**base)
        several = isinstance(axis, Sequence) and not isinstance(axis, str)
        if not (is_int(axis) or (several and axis and all(map(is_int, axis)))):
            raise TypeError(f"{self.where}: axis must be an int or a sequence of them, got {axis!r}")
        self.axis: int | list[int] = [int(entry) for entry in axis] if several else int(axis)
        self.epsilon: float = finite(self.where, "epsilon", epsilon, least=0.0)
        self._set_format(data_format)

    def _axes(self, shape: Shape) -> tuple[int, ...]:
        """Return the normalised axes of a channels_last input shape, in the order of the weights."""
        rank = len(shape) + 1
        if self.axis == -1:
            return (rank - 1,)
        given = self.axis if isinstance(self.axis, list) else [self.axis]
        axes = sorted(entry + rank if entry < 0 else entry for entry in given)
        if axes[0] < 1 or axes[-1] >= rank or len(set(axes)) < len(axes):
            raise ValueError(
                f"{self.where}: axis must name different axes of 1 to {rank - 1}, the batch being 0, got "
                f"{self.axis!r} for input_shape {self._outer(shape)}"
            )
        first = self.data_format == "channels_first" and rank == 4
        return tuple({1: 3, 2: 1, 3: 2}[axis] for axis in axes) if first else tuple(axes)

    def _resolve(self, shape: Shape) -> Shape:
        self._axes(shape)
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        axes = self._axes(shape)
        kept = [axis for axis in range(len(shape) + 1) if axis not in axes]
        self._order: tuple[int, ...] | None = (*kept, *axes)
        if self._order == tuple(range(len(shape) + 1)):
            self._order = None
        self._row: Shape = tuple(shape[axis - 1] for axis in axes)
        self._add_weights(self._row)

    def _add_weights(self, shape: Shape) -> None:
        """Create the weights, of the shape of the normalised axes."""

    def _flat(self, name: str | None) -> np.ndarray | None:
        return None if name is None or name not in self.params else self.params[name].reshape(-1)

    def _rows(self, x: np.ndarray, tag: str, run: Run) -> np.ndarray:
        """Return x as rows (…, size) along the normalised axes."""
        if self._order is not None:
            turned = x.transpose(self._order)
            x = run.empty(tag, turned.shape, x.dtype)
            run.call(np.copyto, x, turned)
        return x.reshape(-1, math.prod(self._row))

    def _unrows(self, rows: np.ndarray, shape: tuple[int, ...], tag: str, run: Run) -> np.ndarray:
        """Undo `_rows`: return its result in the order and the shape of the input."""
        if self._order is None:
            return rows.reshape(shape)
        x = run.empty(tag, shape, rows.dtype)
        turned = x.transpose(self._order)
        run.call(np.copyto, turned, rows.reshape(turned.shape))
        return x

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        rows, rule = self._rows(x, "rows of x", run), Rule(self._rule, self.epsilon)
        gamma, beta = map(self._flat, self._weights)
        y, statistics = layer_normalization.normalize(rows, gamma, beta, rule, run)
        if run.training:
            self._keep(len(x), rows, statistics)
        return self._unrows(y, x.shape, "y in order", run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        x, statistics = self._cache
        rows, rule = self._rows(dy, "rows of dy", run), Rule(self._rule, self.epsilon)
        gamma = self._flat(self._weights[0])
        options = rows, x, gamma, statistics, rule, run, need_dx
        if self.trainable and self.params and run.cut is None:
            dx, *gradients = layer_normalization.normalize_gradients(*options)
            self._set_gradients(gradients)
        else:
            dx = layer_normalization.normalize_backward(*options)
            if self.trainable and self.params:
                self._set_gradients(shards.summed(self._weight_gradients, (rows, x, statistics), run))
        return None if dx is None else self._unrows(dx, dy.shape, "dx in order", run)

    def _weight_gradients(
        self, dy: np.ndarray, x: np.ndarray, statistics: np.ndarray, run: Run
    ) -> tuple[np.ndarray, np.ndarray]:
        options = self._flat(self._weights[0]), statistics, Rule(self._rule, self.epsilon), run, False
        return layer_normalization.normalize_gradients(dy, x, *options)[1:]

    def _set_gradients(self, gradients: Sequence[np.ndarray]) -> None:
        for name, gradient in zip(self._weights, gradients, strict=True):
            if name is not None and name in self.params:
                self.grads[name] = gradient.reshape(self._row)


class LayerNormalization(RowNormalization):
    """Every pixel, or every sample, normalised to mean 0 and variance 1, then scaled and shifted.

    ::

        y = gamma · (x - mean) / √(variance + epsilon) + beta

    Mean and (biased) variance are over the axes `axis` of each sample, in training and at inference (Ba,
    Kiros & Hinton 2016, "Layer normalization"). By default these are the channels of a pixel.

    Parameters
    ----------
    axis : int or sequence of int
        The axes to normalise over, counted with the batch: -1 the channels, ``(1, 2, 3)`` a whole image. Axes
        other than -1 count in `data_format`, or in the model's.
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
    rms_scaling : bool
        Keras' older variant: ``y = gamma · x / √(variance + epsilon)``, always with a gamma and without a
        beta. For true RMS normalisation use `RMSNormalization`.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"gamma"`` and ``"beta"``, of the shape of the normalised axes.

    Examples
    --------
    >>> import numpy as np
    >>> LayerNormalization(epsilon=0.0).forward(np.array([[1.0, 3.0], [10.0, 30.0]]))
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    _weights = ("gamma", "beta")
    gamma, beta = named("gamma"), named("beta")

    def __init__(
        self,
        axis: Any = -1,
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
        rms_scaling: bool = False,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(axis, epsilon, data_format, name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        self.center: bool = arguments.flag(where, "center", center)
        self.scale: bool = arguments.flag(where, "scale", scale)
        self.rms_scaling: bool = arguments.flag(where, "rms_scaling", rms_scaling)
        self._rule = "scaling" if self.rms_scaling else "layer"
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

    def _add_weights(self, shape: Shape) -> None:
        if self.scale or self.rms_scaling:
            gamma = self.gamma_initializer, self.gamma_regularizer, self.gamma_constraint
            self._add_weight("gamma", shape, *gamma)
        if self.center and not self.rms_scaling:
            beta = self.beta_initializer, self.beta_regularizer, self.beta_constraint
            self._add_weight("beta", shape, *beta)


class RMSNormalization(RowNormalization):
    """Every pixel, or every sample, normalised to mean square 1, then scaled.

    ::

        y = scale · x / √(mean of x² + epsilon)

    Zhang & Sennrich 2019, "Root mean square layer normalization".

    Parameters
    ----------
    axis : int or sequence of int
        As in `LayerNormalization`.
    epsilon : float
        Added to the mean square, at least 0.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"scale"``, of the shape of the normalised axes.

    Examples
    --------
    >>> import numpy as np
    >>> RMSNormalization(epsilon=0.0).forward(np.array([[1.0, 7.0]]))
    array([[0.2, 1.4]])
    """

    _rule = "rms"
    _weights = ("scale", None)
    scale = named("scale")

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-6,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(axis, epsilon, data_format, name=name, trainable=trainable, input_shape=input_shape)

    def _add_weights(self, shape: Shape) -> None:
        self._add_weight("scale", shape, initializers.Ones())


class UnitNormalization(RowNormalization):
    """Every pixel, or every sample, normalised to length 1: ``y = x / √(sum of x²)``.

    Vectors shorter than 10⁻¹² are multiplied by 10¹² instead, as in Keras, and so are their gradients.

    Parameters
    ----------
    axis : int or sequence of int
        As in `LayerNormalization`.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> UnitNormalization().forward(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """

    _rule = "unit"

    def __init__(
        self,
        axis: Any = -1,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(axis, 1e-12, data_format, name=name, trainable=trainable, input_shape=input_shape)
