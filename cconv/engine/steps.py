"""The steps of a plan: how layers in a row are computed as one; `fusing.py` says which layers.

The output of a fused step has the same bits as that of its layers one by one. The exception is a batch
normalisation that is folded into the weights: there it is the same within rounding.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import activations, ops
from cconv.activations import Activation
from cconv.engine.following import IN_THE_SAME_PASS, follows
from cconv.engine.memory import PlanRun
from cconv.geometry.algorithms import OF_PIXELS, forward_algorithm, spreads_pooled
from cconv.layers.affine import Affine, Dense
from cconv.layers.base import Layer, Weights
from cconv.layers.convolution import Conv2D
from cconv.layers.normalization import BatchNormalization
from cconv.layers.pooling import AveragePooling2D, MaxPooling2D
from cconv.layers.separable import SeparableConvolution
from cconv.ops import shards
from cconv.ops.run import Run, is_replayable, replayable


class Step:
    """One entry of a plan: here one layer, perhaps with its activation; a fused step holds several layers.

    Parameters
    ----------
    layers : sequence of Layer
        In order.
    first : int
        Number of the first layer in the model.
    joined : Affine, optional
        A copy of a layer that also does what another one does: has the activation of the next one
        (`fusing._join`), or pads as the one in front.
    owner : int
        Which of the layers the copy is of.

    Attributes
    ----------
    layers : list of Layer
        In order; their `grads` are set by `backward`.
    first : int
        Number of the first layer in the model.
    from_relu : bool
        The input is the output of a ReLU, whose gradient this step also computes: `keeping.share_relus`.
    to_relu : bool
        The next step also computes the gradient of the ReLU at the end.
    sources : tuple of int
        Numbers of the values that go in (`flow.Flow`).
    value : int
        Number of the value that comes out.
    again : bool
        The output is not kept until `backward`, but computed again: see `keeping.compute_again`.
    """

    def __init__(
        self, layers: Sequence[Layer], first: int, joined: Affine | None = None, owner: int = 0
    ) -> None:
        self.layers: list[Layer] = list(layers)
        self.first = first
        self.sources: tuple[int, ...] = (first,)
        self.value = first + len(self.layers)
        self.from_relu = self.to_relu = self.again = False
        self._joined, self._owner = joined, owner

    @property
    def layer(self) -> Layer:
        """The layer that computes: the first one, or a copy, which has its layer's weights and gradients."""
        own, joined = self.layers[self._owner], self._joined
        if joined is None:
            return own
        joined.params, joined.grads, joined.trainable = own.params, own.grads, own.trainable
        return joined

    @property
    def computing(self) -> int:
        """Number of the layer that computes, in the model; with what others do around it."""
        return self.first + self._owner

    @property
    def affine(self) -> Affine:
        """The layer with a kernel that computes, or that this plan computes with at inference."""
        layer = self.layer
        assert isinstance(layer, Affine)
        return layer

    @property
    def merges(self) -> bool:
        """Whether `forward` takes several inputs, as a tuple, and `backward` returns as many gradients."""
        return self.layers[0]._merges

    def prepare(self, run: PlanRun) -> None:
        """Get ready for batches during which the weights do not change."""

    def replays(self, training: bool) -> bool:
        """Whether `forward`, and in training `backward`, consist only of kernel calls."""
        own = is_replayable(self.forward) and (is_replayable(self.backward) or not training)
        return own and all(layer._replays(training) for layer in self.layers)

    @replayable
    def forward(self, x: Any, run: PlanRun) -> np.ndarray:
        """Return the output of the last layer."""
        return self.layer._forward(x, run)

    @replayable
    def backward(self, dy: np.ndarray, run: PlanRun, need_dx: Any) -> Any:
        """Set the gradients of the weights; return that of the input, or of each, if `need_dx` says so."""
        layer = self.layer
        if isinstance(layer, Affine) and (self.from_relu or self.to_relu):
            if not self.to_relu:
                dy = layer._activation_gradient(dy, run)
            return layer._affine_backward(dy, run, need_dx, self.from_relu)
        return layer._backward(dy, run, need_dx=need_dx)

    def recompute(self, run: PlanRun) -> None:
        """Compute the output of the last `forward` again, into the same memory, if it was not kept."""

    def release(self) -> None:
        """Let go of what `backward` needs."""
        for layer in [*self.layers, self.layer]:
            layer._forget()

    def learns(self) -> bool:
        """Whether the step has weights that are trained."""
        return any(layer.trainable and layer.params for layer in self.layers)


class NormalizedStep(Step):
    """An affine layer, the batch normalisation behind it, and the activation behind that, if there is one.

    At inference this is one layer with other weights, which computes ReLU inside its kernel.
    Every `prepare` computes these weights again, because anyone may write to the layers' own weights
    at any time; that is little work beside a batch of images. A dense layer or a 1x1
    convolution scales its kernel when it lays it out, which it does anyway.
    """

    def __init__(self, layers: Sequence[Layer], first: int, activation: Activation | None) -> None:
        super().__init__(layers, first)
        folded = copy.copy(layers[0])
        assert isinstance(folded, Affine)
        folded.params = Weights()
        self._scales = scales_kernel(folded)
        if activation is not None:
            folded.activation = activation
            last = follows(activation)
            # The affine kernel computes ReLU itself.
            if last is not None and last.activation != "relu" and isinstance(folded, IN_THE_SAME_PASS):
                folded.activation, folded._last = activations.Linear(), last
        self._folded = folded

    @property
    def affine(self) -> Affine:
        """The layer with the folded weights."""
        return self._folded

    def prepare(self, run: PlanRun) -> None:
        """Fold the normalisation into the weights; these stay in the same memory."""
        affine, normalization = self.layers[:2]
        assert isinstance(normalization, BatchNormalization)
        assert isinstance(affine, Affine)
        kernels = {name: array for name, array in affine.params.items() if name != "bias"}
        if self._scales:
            self._folded._scale, shift, _ = normalization._folded(None, affine.params.get("bias"), run)
        else:
            kernels["kernel"], shift = affine._fold(normalization, run)
        for name, array in (*kernels.items(), ("bias", shift)):
            self._folded.params.add(name, array)

    def replays(self, training: bool) -> bool:
        """Whether the layer with the folded weights consists only of kernel calls."""
        return self._folded._replays(training)

    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the normalised output."""
        return self._folded._forward(x, run)


class NormalizedRelu(Step):
    """A batch normalisation and the ReLU behind it, cut above or not, as one pass in each direction.

    The results have the same bits as those of the two layers one by one.
    """

    _y: np.ndarray | None = None

    def __init__(self, layers: Sequence[Layer], first: int, cap: float) -> None:
        super().__init__(layers, first)
        self._cap = cap

    @property
    def normalization(self) -> BatchNormalization:
        """The layer in front of the ReLU."""
        layer = self.layers[0]
        assert isinstance(layer, BatchNormalization)
        return layer

    @replayable
    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the output of the ReLU."""
        y = self.normalization._normalize(x, run, self._cap)
        self._y = y if run.training else None
        return y

    def recompute(self, run: PlanRun) -> None:
        """Compute the output again, from what the normalisation kept."""
        assert self._y is not None
        self._y = self.normalization._relu_again(self._y.shape, self._cap, run)

    @replayable
    def backward(self, dy: np.ndarray, run: PlanRun, need_dx: bool) -> np.ndarray | None:
        """Set the gradients of the normalisation's weights; return that of the input if `need_dx`."""
        return self.normalization._go_back(dy, run, need_dx, self._y, self._cap)

    def release(self) -> None:
        """Let go of what `backward` needs."""
        super().release()
        self._y = None


class PooledConvolution(Step):
    """A convolution, with or without ReLU, and the max pooling behind it, as one sweep.

    The image between them stays in the cache. The gradient of ReLU costs nothing: where
    the largest value of a window is not above zero, the argmax names no position.
    The results have the same bits as those of the two layers one by one. So have the gradients, if the
    input and the kernel are finite: what pooling does not choose is left out, not multiplied by zero.
    """

    def __init__(self, layers: Sequence[Layer], first: int, joined: Affine | None = None) -> None:
        super().__init__(layers, first, joined)
        convolution, pooling = self.convolution, layers[-1]
        assert isinstance(pooling, MaxPooling2D)
        self.pooling = pooling
        shapes = (convolution.groups, convolution.in_channels, convolution.filters)
        self._spreads = spreads_pooled(convolution.window, *shapes, convolution.algorithm)
        self._kept: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def convolution(self) -> Conv2D:
        """The convolution, with the activation that is computed with it."""
        layer = self.layer
        assert isinstance(layer, Conv2D)
        return layer

    @replayable
    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the pooled output."""
        layer = self.convolution
        y, argmax = ops.conv2d_max_pool(
            x,
            layer.params["kernel"],
            layer.params.get("bias"),
            layer.window,
            self.pooling.window,
            layer.groups,
            activations.is_relu(layer.activation),
            run,
            layer.algorithm,
        )
        self._kept = (x, argmax) if run.training else None
        return y

    def release(self) -> None:
        """Let go of the input."""
        super().release()
        self._kept = None

    @replayable
    def backward(self, dy: np.ndarray, run: PlanRun, need_dx: bool) -> np.ndarray | None:
        """Set the gradients of the convolution's weights; return that of the input if `need_dx`."""
        assert self._kept is not None
        x, argmax = self._kept
        layer, window, pool = self.convolution, self.convolution.window, self.pooling.window
        gradients, dx, read = None, None, 1 + layer.use_bias
        if need_dx and not self._spreads:
            between = ops.max_pool2d_backward(dy, argmax, pool, run)
            if layer.trainable:
                gradients = shards.summed(layer._weight_gradient, (between, x), run, read)
            dx = layer._input_gradient(between, run, x if self.from_relu else None)
        else:
            if layer.trainable:
                gradients = shards.summed(self._weight_gradient, (dy, argmax, x), run, read)
            if need_dx:
                kernel = layer.params["kernel"]
                positive = x if self.from_relu else None
                dx = ops.conv2d_max_pool_input_gradient(
                    dy, argmax, kernel, window, layer.in_channels, run, positive
                )
        if gradients is not None:
            layer.grads["kernel"] = gradients[0]
            if layer.use_bias:
                layer.grads["bias"] = gradients[1]
        return dx

    def _weight_gradient(
        self, dy: np.ndarray, argmax: np.ndarray, x: np.ndarray, run: Run
    ) -> tuple[np.ndarray, np.ndarray]:
        layer, windows = self.convolution, (self.convolution.window, self.pooling.window)
        how = (*windows, layer.groups, run, layer.algorithm)
        return ops.conv2d_max_pool_weight_gradient(dy, argmax, x, *how)


class AddedRelu(Step):
    """The sum of two inputs of one shape, and the ReLU behind it, as one pass in each direction."""

    _y: np.ndarray | None = None

    @replayable
    def forward(self, x: tuple[np.ndarray, np.ndarray], run: PlanRun) -> np.ndarray:
        """Return the output of the ReLU."""
        y = ops.merging.add_relu(*x, None, run)
        self._y = y if run.training else None
        return y

    @replayable
    def backward(self, dy: np.ndarray, run: PlanRun, need_dx: tuple[bool, bool]) -> tuple[Any, Any]:
        """Return the gradient of each input that needs it: the same for both."""
        assert self._y is not None
        dx = ops.relu_backward(dy, self._y, run)
        return (dx if need_dx[0] else None), (dx if need_dx[1] else None)

    def release(self) -> None:
        """Let go of what `backward` needs."""
        super().release()
        self._y = None


class AveragedConvolution(Step):
    """At inference, a convolution of few filters, its activation and the average pooling behind it.

    With enough images for the lanes of vectors this is one sweep: rows are convolved, activated and pooled
    before they leave the lanes. The results have the same bits as those of the layers one by one.
    """

    @replayable
    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the pooled output."""
        layer, pooling = self.layer, self.layers[-1]
        assert isinstance(layer, Conv2D)
        assert isinstance(pooling, AveragePooling2D)
        kernel, bias = layer.params["kernel"], layer.params.get("bias")
        if forward_algorithm(layer.convolution, len(x)) != "lanes":
            return pooling._forward(layer._forward(x, run), run)
        key, windows = layer.activation.key, (pooling.window, pooling.count_include_pad)
        return ops.conv2d_average_pool(x, kernel, bias, layer.window, key, *windows, run)


def scales_kernel(layer: Affine) -> bool:
    """Whether the layer can scale its outputs by its kernel, because it lays the kernel out anyway."""
    if isinstance(layer, SeparableConvolution):
        return True
    return type(layer) is Dense or (
        type(layer) is Conv2D and forward_algorithm(layer.convolution, 1) in OF_PIXELS
    )
