"""What convolutions and Dense share: a kernel, a bias, and an activation behind them."""

from typing import Any

import numpy as np

from cconv import activations, arguments, constraints, initializers, ops, regularizers
from cconv.arguments.numbers import positive_int
from cconv.layers.base import Layer, Shape
from cconv.layers.listed import named
from cconv.ops import shards
from cconv.ops.run import Run, is_replayable, replayable


class Affine(Layer):
    """A layer that computes ``activation(affine(x))``; a subclass defines the affine part.

    Attributes
    ----------
    activation : cconv.activations.Activation
        The activation function; ReLU is computed inside the affine kernel.
    """

    activation: activations.Setting = activations.Setting()
    _by_shard = True

    # A factor for each output, before the bias: the scale of a batch normalisation that a plan has folded in.
    _scale: np.ndarray | None = None
    # What a plan computes behind this layer in the same pass, at inference.
    _last: ops.behind.Behind = ops.behind.NOTHING
    # The methods that `_affine_backward` calls.
    _own_gradients: tuple[str, ...] = ("_weight_gradient", "_input_gradient")

    def __init__(
        self,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.activation = activation
        self.use_bias: bool = arguments.flag(self.where, "use_bias", use_bias)
        self.kernel_initializer: initializers.Initializer = initializers.get(
            kernel_initializer, self.where, "kernel_initializer"
        )
        self.bias_initializer: initializers.Initializer = initializers.get(
            bias_initializer, self.where, "bias_initializer"
        )
        self.kernel_regularizer: regularizers.Regularizer | None = regularizers.get(
            kernel_regularizer, self.where, "kernel_regularizer"
        )
        self.bias_regularizer: regularizers.Regularizer | None = regularizers.get(
            bias_regularizer, self.where, "bias_regularizer"
        )
        self.kernel_constraint: constraints.Constraint | None = constraints.get(
            kernel_constraint, self.where, "kernel_constraint"
        )
        self.bias_constraint: constraints.Constraint | None = constraints.get(
            bias_constraint, self.where, "bias_constraint"
        )

    kernel, bias = named("kernel"), named("bias")

    def _add_weights(self, kernel_shape: Shape, outputs: int) -> None:
        kernel, bias = self.kernel_initializer, self.bias_initializer
        self._add_weight("kernel", kernel_shape, kernel, self.kernel_regularizer, self.kernel_constraint)
        if self.use_bias:
            self._add_weight("bias", (outputs,), bias, self.bias_regularizer, self.bias_constraint)

    def _replays(self, training: bool) -> bool:
        parts = [self._affine, self.activation.__call__]
        if training:
            parts += [self._affine_backward, self._activation_gradient]
            parts += [getattr(self, name) for name in self._own_gradients]
            parts.append(self.activation.backward)
        return super()._replays(training) and all(map(is_replayable, parts))

    def _fold(self, normalization: Any, run: Run) -> tuple[np.ndarray, np.ndarray]:
        """Fold a normalisation behind this layer into it: return kernel and bias, in arrays of the run."""
        _, shift, kernel = normalization._folded(self.params["kernel"], self.params.get("bias"), run)
        return kernel, shift

    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        raise NotImplementedError

    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def _summed_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, ...]:
        return shards.summed(self._weight_gradient, (dy, x), run, read=1 + self.use_bias)

    def _input_gradient(self, dy: np.ndarray, run: Run, positive: np.ndarray | None = None) -> np.ndarray:
        # `positive`: the input if a ReLU gave it, else None; see `ops.conv2d_input_gradient`.
        raise NotImplementedError

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        relu = activations.is_relu(self.activation)
        z = self._affine(x, relu, run)
        y = z if relu else self.activation(z, run)
        if run.training:
            self._keep(x.shape[0], x, self.activation.kept(z, y))
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return self._affine_backward(self._activation_gradient(dy, run), run, need_dx)

    @replayable
    def _activation_gradient(self, dy: np.ndarray, run: Run) -> np.ndarray:
        """Return the gradient in front of the activation, for the gradient behind it."""
        return self.activation.backward(dy, self._cache[1], run)

    @replayable
    def _affine_backward(
        self, dy: np.ndarray, run: Run, need_dx: bool, from_relu: bool = False
    ) -> np.ndarray | None:
        """Set the weights' gradients; return dx, with `from_relu` also back through the ReLU that gave x."""
        x = self._cache[0]
        if self.trainable:
            dkernel, dbias = self._summed_gradient(dy, x, run)
            self.grads["kernel"] = dkernel
            if self.use_bias:
                self.grads["bias"] = dbias
        return self._input_gradient(dy, run, x if from_relu else None) if need_dx else None


class Dense(Affine):
    """A fully connected layer, ``y = activation(x · kernel + bias)``, on the last axis.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str, optional
        ``"relu"``, ``"silu"``, ``"softmax"`` or another of `cconv.activations`; None: no activation.
    use_bias : bool
        Whether a bias is added.
    kernel_initializer, bias_initializer : str, Initializer or function
        Initial weights: see `cconv.initializers`.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        Penalties: see `cconv.regularizers`.
    kernel_constraint, bias_constraint : str or Constraint, optional
        Applied to the weights after every step: see `cconv.constraints`.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"kernel"`` (features, units) and ``"bias"`` (units,).

    Examples
    --------
    >>> import numpy as np
    >>> dense = Dense(10, activation="softmax")
    >>> dense.forward(np.ones((2, 784), np.float32)).shape, dense.count_params()
    ((2, 10), 7850)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
            name=name,
            trainable=trainable,
            input_shape=input_shape,
        )
        self.units: int = positive_int(self.where, "units", units)

    def _resolve(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        self._add_weights((shape[-1], self.units), self.units)

    @replayable
    def _affine(self, x: np.ndarray, relu: bool, run: Run) -> np.ndarray:
        rows = x.reshape(-1, x.shape[-1])
        kernel, bias = self.params["kernel"], self.params.get("bias")
        y = ops.dense(rows, kernel, bias, relu, run, self._scale, self._last)
        return y.reshape(*x.shape[:-1], self.units)

    @replayable
    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
        return ops.dense_weight_gradient(dy.reshape(-1, self.units), x.reshape(-1, x.shape[-1]), run)

    def _summed_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray, ...]:
        rows = dy.reshape(-1, self.units), x.reshape(-1, x.shape[-1])
        return ops.dense_weight_gradient_by_shard(*rows, run)

    @replayable
    def _input_gradient(self, dy: np.ndarray, run: Run, positive: np.ndarray | None = None) -> np.ndarray:
        kernel = self.params["kernel"]
        if positive is not None:
            positive = positive.reshape(-1, positive.shape[-1])
        dx = ops.dense_input_gradient(dy.reshape(-1, self.units), kernel, run, positive)
        return dx.reshape(*dy.shape[:-1], dx.shape[-1])
