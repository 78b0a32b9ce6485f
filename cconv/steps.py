"""The steps of a plan: which layers in a row are computed as one, and how.

The rules that say which are tried in order at every layer. What a fused step gives has the same bits
as its layers one by one, but for a batch normalisation in the weights, which is the same within rounding.
"""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from cconv import activations, ops, ops_rows
from cconv.activations import Activation
from cconv.algorithms import (
    average_pool_fits,
    choose_forward,
    fuses_pooling,
    is_pointwise,
    lanes_across,
    spreads_pooled,
)
from cconv.arena import PlanRun
from cconv.layers.activation import Activation as ActivationLayer
from cconv.layers.affine import Affine, Dense
from cconv.layers.base import Layer, Weights
from cconv.layers.convolution import Conv2D, DepthwiseConv2D
from cconv.layers.normalization import BatchNormalization
from cconv.layers.pooling import AveragePooling2D, MaxPooling2D
from cconv.run import is_replayable, replayable

P = TypeVar("P", MaxPooling2D, AveragePooling2D)

# A normalisation is folded into a copy of a kernel of at most so many elements, or so many for each
# element of one image's output: with a larger one the folding, at every call of `predict`, costs more
# than the pass over the output that it saves. Kernels that are scaled where they are laid out may have
# any size (`scales_kernel`). Shapes alone decide, so that no result depends on the batch.
FOLDED_KERNEL, FOLDED_PER_OUTPUT = 1 << 16, 4


class Step:
    """One entry of a plan: here one layer, perhaps with its activation; a fused step holds several.

    Parameters
    ----------
    layers : sequence of Layer
        In order.
    first : int
        Number of the first of them in the model.
    joined : Affine, optional
        A copy of the first layer that has the activation of the second: see `_join`.

    Attributes
    ----------
    layers : list of Layer
        In order; their `grads` are set by `backward`.
    first : int
        Number of the first of them in the model.
    from_relu : bool
        The input is what a ReLU gave, and the gradient of that is part of this step's: `share_relus`.
    to_relu : bool
        The gradient of the ReLU at the end is part of the next step's.
    again : bool
        The output is not kept until `backward`: the plan has it computed again, see `compute_again`.
    """

    def __init__(self, layers: Sequence[Layer], first: int, joined: Affine | None = None) -> None:
        self.layers = list(layers)
        self.first = first
        self.from_relu = self.to_relu = self.again = False
        self._joined = joined

    @property
    def layer(self) -> Layer:
        """The layer that computes: the first, or its copy, which has the same weights and gradients."""
        first, joined = self.layers[0], self._joined
        if joined is None:
            return first
        joined.params, joined.grads, joined.trainable = first.params, first.grads, first.trainable
        return joined

    def prepare(self, run: PlanRun) -> None:
        """Get ready for batches through which the weights stay as they are."""

    def replays(self, training: bool) -> bool:
        """Whether `forward`, and in training `backward`, are nothing but kernel calls."""
        own = is_replayable(self.forward) and (is_replayable(self.backward) or not training)
        return own and all(layer._replays(training) for layer in self.layers)

    @replayable
    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the output of the last layer."""
        return self.layer._forward(x, run)

    @replayable
    def backward(self, dy: np.ndarray, run: PlanRun, need_dx: bool) -> np.ndarray | None:
        """Set the gradients of the weights; return that of the input if `need_dx`."""
        layer = self.layer
        if isinstance(layer, Affine) and (self.from_relu or self.to_relu):
            if not self.to_relu:
                dy = layer.activation.backward(dy, layer._cache[1], run)
            return layer._affine_backward(dy, run, need_dx, self.from_relu)
        return layer._backward(dy, run, need_dx=need_dx)

    def recompute(self, run: PlanRun) -> None:
        """Put the output of the last `forward` back where it was, if it is one that is computed again."""

    def release(self) -> None:
        """Let go of what `backward` needs."""
        for layer in [*self.layers, self.layer]:
            layer._forget()

    def learns(self) -> bool:
        """Whether there are weights here for an optimizer to change."""
        return any(layer.trainable and layer.params for layer in self.layers)


class NormalizedStep(Step):
    """An affine layer, the batch normalisation behind it and, if it has one, the activation behind that.

    At inference that is one layer with other weights, which computes ReLU inside its kernel.
    Those weights are computed again by every `prepare`, since the layers' own may be written to by
    anyone at any time; next to a batch of images that is little work. A dense layer or a pointwise
    convolution multiplies its kernel where that is laid out anyway.
    """

    def __init__(self, layers: Sequence[Layer], first: int, activation: Activation | None) -> None:
        super().__init__(layers, first)
        folded = copy.copy(layers[0])
        assert isinstance(folded, Affine)
        folded.params = Weights()
        self._scales = scales_kernel(folded)
        if activation is not None:
            folded.activation = activation
        self._folded = folded

    def prepare(self, run: PlanRun) -> None:
        """Fold the normalisation into the weights, which keep their memory."""
        affine, normalization = self.layers[:2]
        assert isinstance(normalization, BatchNormalization)
        kernel, weights = affine.params["kernel"], self._folded.params
        if self._scales:
            scale, shift = normalization.affine(affine.params.get("bias"))
            self._folded._scale = run.empty("scale", scale.shape, kernel.dtype)
            self._folded._scale[...] = scale
        else:
            out = run.empty("folded", kernel.shape, kernel.dtype)
            kernel, shift = normalization.folded_into(kernel, affine.params.get("bias"), out)
        bias = run.empty("folded bias", shift.shape, kernel.dtype)
        bias[...] = shift
        weights.add("kernel", kernel)
        weights.add("bias", bias)

    def replays(self, training: bool) -> bool:
        """Whether the layer of the folded weights is nothing but kernel calls."""
        return self._folded._replays(training)

    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the normalised output."""
        return self._folded._forward(x, run)


class NormalizedRelu(Step):
    """In training, a batch normalisation and the ReLU behind it, as one pass over the rows each way.

    The results have the same bits as those of the two layers one by one.
    """

    _y: np.ndarray | None = None

    @property
    def normalization(self) -> BatchNormalization:
        """The layer in front of the ReLU."""
        layer = self.layers[0]
        assert isinstance(layer, BatchNormalization)
        return layer

    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the output of the ReLU."""
        self._y = self.normalization._normalize(x, run, relu=True)
        return self._y

    def recompute(self, run: PlanRun) -> None:
        """Put the output back, from what the normalisation kept."""
        assert self._y is not None
        self._y = self.normalization._relu_again(self._y.shape, run)

    def backward(self, dy: np.ndarray, run: PlanRun, need_dx: bool) -> np.ndarray | None:
        """Set the gradients of the normalisation's weights; return that of the input if `need_dx`."""
        return self.normalization._go_back(dy, run, need_dx, self._y)

    def release(self) -> None:
        """Let go of what `backward` needs."""
        super().release()
        self._y = None


class PooledConvolution(Step):
    """A convolution, with or without ReLU, and the max pooling behind it, as one sweep.

    What lies between them stays in the cache. Without it the gradient of ReLU costs nothing
    either: where the largest value of a window is not above zero, the argmax names no position.
    The results have the same bits as those of the two layers one by one; so have the gradients where the
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
        gradients = dx = None
        if need_dx and not self._spreads:
            between = ops_rows.max_pool2d_backward(dy, argmax, pool, run)
            gradients = layer._weight_gradient(between, x, run) if layer.trainable else None
            dx = layer._input_gradient(between, run, x if self.from_relu else None)
        else:
            if layer.trainable:
                gradients = ops.conv2d_max_pool_weight_gradient(
                    dy, argmax, x, window, pool, layer.groups, run, layer.algorithm
                )
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


class AveragedConvolution(Step):
    """At inference, a convolution of few filters, its activation and the average pooling behind it.

    With enough images for the lanes of vectors that is one sweep: rows are convolved, activated and pooled
    before they leave the lanes. The results have the same bits as those of the layers one by one.
    """

    @replayable
    def forward(self, x: np.ndarray, run: PlanRun) -> np.ndarray:
        """Return the pooled output."""
        layer, pooling = self.layer, self.layers[-1]
        assert isinstance(layer, Conv2D)
        assert isinstance(pooling, AveragePooling2D)
        kernel, bias = layer.params["kernel"], layer.params.get("bias")
        sizes = (len(x), layer.in_channels, layer.filters, layer.groups, x.itemsize)
        if lanes_across(layer.window, *sizes) != "images":
            return pooling._forward(layer._forward(x, run), run)
        key, windows = layer.activation.key, (pooling.window, pooling.count_include_pad)
        return ops.conv2d_average_pool(x, kernel, bias, layer.window, key, *windows, run)


# The layers that apply an activation to what they compute, where they are not subclassed.
AFFINE = (Conv2D, Dense, DepthwiseConv2D)
# The activations that are computed in the lanes of images.
IN_LANES = (activations.Linear, activations.ReLU, activations.Tanh, activations.Sigmoid)


def _is_linear(activation: Activation) -> bool:
    return type(activation) is activations.Linear


# What a layer may do in a way of its own, and a fused step would not see.
HOOKS = ("_forward", "_backward", "_affine", "_affine_backward", "_weight_gradient", "_input_gradient")


def _inherits(layer: Layer, base: type[Layer], *names: str) -> bool:
    """Whether a layer has these methods as its base has them, neither its class nor itself its own."""
    return all(getattr(type(layer), name) is getattr(base, name) for name in names) and not (
        layer.__dict__.keys() & set(names)
    )


def _is_plain(layer: Layer) -> bool:
    """Whether an affine layer or an activation goes forward and back as its base does."""
    base = Affine if isinstance(layer, Affine) else ActivationLayer
    return _inherits(layer, base, "_forward", "_backward")


def _folds(affine: Layer, normalization: Layer) -> bool:
    """Whether the two layers do at inference what their bases do, and can be one."""
    kind = next((kind for kind in AFFINE if isinstance(affine, kind)), None)
    own = ("_forward", "_normalize", "affine", "folded_into")
    return (
        kind is not None
        and _inherits(affine, kind, "_forward", "_affine")
        and isinstance(normalization, BatchNormalization)
        and _inherits(normalization, BatchNormalization, *own)
    )


def _activation_of(layer: Layer) -> Activation | None:
    """Return the activation of a layer that does nothing else, also where it is a subclass."""
    return layer.activation if isinstance(layer, ActivationLayer) and _is_plain(layer) else None


def _join(layers: Sequence[Layer]) -> Affine | None:
    """Return the first layer with the activation of the second, where that is all that the second does."""
    activation = None if len(layers) < 2 else _activation_of(layers[1])
    first = layers[0]
    if activation is None or not isinstance(first, Affine) or type(first) not in AFFINE:
        return None
    if not _is_linear(first.activation):
        return None
    joined = copy.copy(first)
    joined.activation = activation
    return joined


def scales_kernel(layer: Affine) -> bool:
    """Whether the layer multiplies its kernel by a scale of the outputs where that is laid out anyway."""
    return type(layer) is Dense or (type(layer) is Conv2D and is_pointwise(layer.window, layer.groups))


def _normalized(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """Batch normalisation behind an affine layer, and an activation, at inference, where it pays."""
    if training or len(layers) < 2 or not _folds(layers[0], layers[1]):
        return None
    affine = layers[0]
    assert isinstance(affine, Affine)
    if not _is_linear(affine.activation):
        return None
    largest = max(FOLDED_KERNEL, FOLDED_PER_OUTPUT * math.prod(affine.output_shape))
    if affine.params["kernel"].size > largest and not scales_kernel(affine):
        return None
    activation = _activation_of(layers[2]) if len(layers) > 2 else None
    return NormalizedStep(layers[: 2 if activation is None else 3], first, activation)


def _normalized_relu(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """ReLU behind a batch normalisation, in training."""
    if not training or len(layers) < 2 or type(layers[0]) is not BatchNormalization:
        return None
    activation = _activation_of(layers[1])
    if activation is None or not activations.is_relu(activation):
        return None
    return NormalizedRelu(layers[:2], first)


def _before_pooling(layers: Sequence[Layer], kind: type[P]) -> tuple[Conv2D, P, Affine | None] | None:
    """Return a convolution with its activation and the pooling of that kind behind it, if they are that.

    And the convolution again if it is a copy that has the activation of a layer of its own: then they are
    three layers, else two.
    """
    joined = _join(layers)
    layer, behind = joined or layers[0], layers[2:] if joined else layers[1:]
    if type(layer) is not Conv2D or not behind or type(behind[0]) is not kind:
        return None
    return layer, behind[0], joined


def _pooled(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """Max pooling right behind a convolution that is linear or has ReLU, also as a layer of its own."""
    found = _before_pooling(layers, MaxPooling2D)
    if found is None:
        return None
    layer, pooling, joined = found
    if not _is_linear(layer.activation) and not activations.is_relu(layer.activation):
        return None
    shapes = (layer.groups, layer.in_channels, layer.filters)
    fits = fuses_pooling(layer.window, pooling.window, *shapes, layer.algorithm)
    return PooledConvolution(layers[: 3 if joined else 2], first, joined) if fits else None


def _averaged(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """At inference, average pooling right behind a convolution whose images may be the lanes of vectors."""
    found = None if training else _before_pooling(layers, AveragePooling2D)
    if found is None:
        return None
    layer, pooling, joined = found
    shapes = (layer.in_channels, layer.filters)
    chosen = choose_forward(layer.window, layer.groups, *shapes, layer.algorithm)
    if layer.groups > 1 or type(layer.activation) not in IN_LANES or chosen not in ("first", "direct"):
        return None
    fits = average_pool_fits(layer.window, pooling.window, *shapes, layer.dtype.itemsize)
    return AveragedConvolution(layers[: 3 if joined else 2], first, joined) if fits else None


def _activated(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """Any affine layer with an activation behind it as a layer of its own."""
    joined = _join(layers)
    return None if joined is None else Step(layers[:2], first, joined)


def _alone(layers: Sequence[Layer], first: int, training: bool) -> Step:
    """Any layer by itself."""
    return Step(layers[:1], first)


# Each rule sees the layers that are left, the first one's number, and whether backward will follow;
# it returns the step that computes as many of them as it can, or None. The first that knows one wins.
Rule = Callable[[Sequence[Layer], int, bool], Step | None]
RULES: tuple[Rule, ...] = (_normalized, _normalized_relu, _pooled, _averaged, _activated, _alone)


def steps_of(layers: Sequence[Layer], training: bool, fuse: bool = True) -> list[Step]:
    """Return the steps that compute these layers, fused where a rule knows how."""
    rules = RULES if fuse else (_alone,)
    steps: list[Step] = []
    number = 0
    while number < len(layers):
        # A layer that was given a pass of its own goes through that alone.
        own = next((i for i, e in enumerate(layers[number:]) if e.__dict__.keys() & set(HOOKS)), len(layers))
        left = layers[number : number + max(own, 1)]
        known = rules if own else (_alone,)
        step = next(step for rule in known if (step := rule(left, number, training)) is not None)
        steps.append(step)
        number += len(step.layers)
    return steps


def share_relus(steps: Sequence[Step]) -> None:
    """Let the gradient of a ReLU be part of the input gradient of the step behind it.

    What a ReLU gives is kept by the step behind it anyway, and tells where the gradient is zero: it is
    read where that gradient is written, and not in a pass of its own. Both are layers that look at
    no more than their input; a subclass with a `_backward` of its own is left alone.
    """
    plain = [type(step) is Step and type(step.layer) in AFFINE for step in steps]
    for number, (before, after) in enumerate(pairwise(steps)):
        takes = plain[number + 1] or isinstance(after, PooledConvolution)
        last = before.layer
        if plain[number] and takes and isinstance(last, Affine) and activations.is_relu(last.activation):
            before.to_relu = after.from_relu = True


def compute_again(steps: Sequence[Step]) -> None:
    """Let outputs that are cheap be computed again for `backward`, in memory that many steps share.

    That is a normalisation's with ReLU in front of an affine layer, which keeps it until it goes back
    itself: half of what a network of such blocks has to remember. What the normalisation keeps must not be
    such an output itself.
    """
    for before, after in pairwise(steps):
        plain = type(after) is Step and type(after.layer) in AFFINE
        before.again = isinstance(before, NormalizedRelu) and (plain or isinstance(after, PooledConvolution))
    for before, after in pairwise(steps):
        after.again = after.again and not before.again


def split_activation(layers: Sequence[Layer], loss: Any) -> tuple[list[Layer], Activation | None]:
    """Return layers that end in logits, and the activation that was taken off their end.

    That is done for a loss that is better computed without it: cross-entropy behind a softmax or
    sigmoid, whose gradient is then a plain difference of probabilities and never divides by a
    small one. Otherwise, and for a layer or an activation of the user's own, the layers are those given,
    and the activation is None.
    """
    last = layers[-1]
    if not isinstance(last, Affine | ActivationLayer) or loss is None:
        return list(layers), None
    activation = last.activation
    if not _is_plain(last) or type(activation) not in (activations.Softmax, activations.Sigmoid):
        return list(layers), None
    if not loss.from_logits_of(activation.key):
        return list(layers), None
    bare = copy.copy(last)  # another layer over the same weights and gradients
    bare.activation = activations.Linear()
    return [*layers[:-1], bare], activation
