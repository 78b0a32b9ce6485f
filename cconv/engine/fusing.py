"""Which layers in a row are computed as one step."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from cconv import activations
from cconv.activations import Activation
from cconv.engine.around import PaddedStep
from cconv.engine.flow import Flow
from cconv.engine.steps import (
    AddedRelu,
    AveragedConvolution,
    NormalizedRelu,
    NormalizedStep,
    PooledConvolution,
    Step,
    scales_kernel,
)
from cconv.geometry.algorithms import (
    average_pool_fits,
    choose_forward,
    fuses_pooling,
    pooled_algorithm,
)
from cconv.geometry.shapes import Window, resolve_window
from cconv.layers.activation import Activation as ActivationLayer
from cconv.layers.affine import Affine, Dense
from cconv.layers.base import Layer
from cconv.layers.convolution import Conv2D, DepthwiseConv2D
from cconv.layers.elementwise import Add
from cconv.layers.normalization import BatchNormalization
from cconv.layers.padding import ZeroPadding2D
from cconv.layers.pooling import AveragePooling2D, MaxPooling2D
from cconv.layers.separable import SeparableConv2D
from cconv.layers.sequences import Conv1D, Conv1DTranspose, DepthwiseConv1D, SeparableConv1D
from cconv.layers.transposed import Conv2DTranspose

P = TypeVar("P", MaxPooling2D, AveragePooling2D)

# A normalisation is folded into a copy of a kernel that has at most FOLDED_KERNEL elements, or at most
# FOLDED_PER_OUTPUT times the elements of one image's output. With a larger kernel, folding at every `predict`
# costs more than the pass over the output that it saves. Kernels that are scaled when they are laid out may
# have any size (`scales_kernel`). Only shapes decide, so that no result depends on the batch.
FOLDED_KERNEL, FOLDED_PER_OUTPUT = 1 << 16, 4


# The layers that apply an activation to what they compute; subclasses are not included.
AFFINE = (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
# The algorithms that leave padding out of their sums.
PADDING = ("depthwise", "few_taps", "direct")
# The activations that can be computed while the images lie in lanes.
IN_LANES = (activations.Linear, activations.ReLU, activations.Tanh, activations.Sigmoid)


def is_linear(activation: Activation) -> bool:
    """Whether an activation does nothing."""
    return type(activation) is activations.Linear


# Methods that a layer may override, and that a fused step would not call.
HOOKS = ("_forward", "_backward", "_affine", "_affine_backward", "_weight_gradient", "_input_gradient")


def _inherits(layer: Layer, base: type[Layer], *names: str) -> bool:
    """Whether a layer has these methods from `base`: neither class nor object overrides them."""
    return all(getattr(type(layer), name) is getattr(base, name) for name in names) and not (
        layer.__dict__.keys() & set(names)
    )


def is_plain(layer: Layer) -> bool:
    """Whether an affine layer or an activation layer has the `_forward` and `_backward` of its base."""
    base = Affine if isinstance(layer, Affine) else ActivationLayer
    return _inherits(layer, base, "_forward", "_backward")


def _folds(affine: Layer, normalization: Layer) -> bool:
    """Whether at inference the two layers do what their bases do, and can be one layer."""
    kind = next((kind for kind in AFFINE if isinstance(affine, kind)), None)
    own = ("_forward", "_normalize", "affine", "folded_into")
    return (
        kind is not None
        and _inherits(affine, kind, "_forward", "_affine")
        and isinstance(normalization, BatchNormalization)
        and _inherits(normalization, BatchNormalization, *own)
    )


def _activation_of(layer: Layer) -> Activation | None:
    """Return the activation of a layer that does nothing else; subclasses are allowed."""
    return layer.activation if isinstance(layer, ActivationLayer) and is_plain(layer) else None


def _join(layers: Sequence[Layer]) -> Affine | None:
    """Return a copy of the first layer with the activation of the second, if the second does nothing else."""
    activation = None if len(layers) < 2 else _activation_of(layers[1])
    first = layers[0]
    if activation is None or not isinstance(first, Affine) or type(first) not in AFFINE:
        return None
    if not is_linear(first.activation):
        return None
    joined = copy.copy(first)
    joined.activation = activation
    return joined


def _normalized(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """Batch normalisation behind an affine layer, then an activation: at inference, where it pays."""
    if training or len(layers) < 2 or not _folds(layers[0], layers[1]):
        return None
    affine = layers[0]
    assert isinstance(affine, Affine)
    if not is_linear(affine.activation):
        return None
    largest = max(FOLDED_KERNEL, FOLDED_PER_OUTPUT * math.prod(affine.output_shape))
    if not scales_kernel(affine) and affine.params["kernel"].size > largest:
        return None
    activation = _activation_of(layers[2]) if len(layers) > 2 else None
    return NormalizedStep(layers[: 2 if activation is None else 3], first, activation)


def _normalized_relu(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """ReLU behind a batch normalisation; the ReLU may be cut above."""
    if len(layers) < 2 or type(layers[0]) is not BatchNormalization:
        return None
    activation = _activation_of(layers[1])
    cap = 0.0 if activation is None else activations.cap_of(activation)
    return NormalizedRelu(layers[:2], first, cap) if cap else None


def _added_relu(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """ReLU behind the sum of two inputs of one shape: the end of a residual block."""
    if len(layers) < 2 or type(layers[0]) is not Add or len(set(layers[0].input_shape or ())) > 1:
        return None
    activation = _activation_of(layers[1])
    if len(layers[0].input_shape or ()) != 2 or activation is None or not activations.is_relu(activation):
        return None
    return AddedRelu(layers[:2], first)


def _before_pooling(layers: Sequence[Layer], kind: type[P]) -> tuple[Conv2D, P, Affine | None] | None:
    """Return a convolution with its activation, and the pooling of this kind behind it, or None.

    The third entry is the convolution again if it is a copy with the activation of a separate layer; then
    there are three layers, otherwise two.
    """
    joined = _join(layers)
    layer, behind = joined or layers[0], layers[2:] if joined else layers[1:]
    if type(layer) is not Conv2D or not behind or type(behind[0]) is not kind:
        return None
    return layer, behind[0], joined


def _pooled(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """Max pooling right behind a linear convolution, or one with ReLU, which may be a separate layer."""
    found = _before_pooling(layers, MaxPooling2D)
    if found is None:
        return None
    layer, pooling, joined = found
    if not is_linear(layer.activation) and not activations.is_relu(layer.activation):
        return None
    shapes = (layer.groups, layer.in_channels, layer.filters)
    fits = fuses_pooling(layer.window, pooling.window, *shapes, layer.algorithm)
    return PooledConvolution(layers[: 3 if joined else 2], first, joined) if fits else None


def _averaged(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """At inference, average pooling right behind a convolution whose images may lie in lanes."""
    found = None if training else _before_pooling(layers, AveragePooling2D)
    if found is None:
        return None
    layer, pooling, joined = found
    shapes = (layer.in_channels, layer.filters)
    chosen = pooled_algorithm(layer.convolution)
    if layer.groups > 1 or type(layer.activation) not in IN_LANES or chosen not in ("few_taps", "direct"):
        return None
    fits = average_pool_fits(layer.window, pooling.window, *shapes, layer.dtype.itemsize)
    return AveragedConvolution(layers[: 3 if joined else 2], first, joined) if fits else None


def _padded(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """Zeros around the images in front of a convolution, with all that is fused behind it.

    Sums that leave padding out have the same bits as sums over zeros, unless the kernel has values that are
    not finite. Winograd's algorithm examines tiles with their zeros, and is left alone. In training this is
    done in front of depthwise convolutions: for them alone the copy with zeros takes as long as the sums.
    They add the gradient of a bias four columns at a time, from where a window leaves the image by one column
    at most: behind wider zeros at the sides the order of that sum would be another one.
    """
    if len(layers) < 2 or type(layers[0]) is not ZeroPadding2D:
        return None
    padding, layer = layers[:2]
    assert isinstance(padding, ZeroPadding2D)
    if type(layer) not in (Conv2D, DepthwiseConv2D):
        return None
    assert isinstance(layer, Conv2D | DepthwiseConv2D)
    bare = copy.copy(layer)  # another layer over the same weights
    bare.window = _window_of_both(padding, layer)
    chosen = {choose_forward(*each.convolution.shapes) for each in (bare, layer)}
    if bare.window.output_size != layer.window.output_size or len(chosen) > 1 or not chosen <= {*PADDING}:
        return None
    if training:
        if chosen != {"depthwise"} or (layer.use_bias and max(bare.window.pads[1]) > 1):
            return None
        joined = _join([bare, *layers[2:]])
        return Step(layers[: 3 if joined else 2], first, joined or bare, owner=1)
    rules = [rule for rule in RULES if rule is not _padded]
    rest = [bare, *layers[2:]]
    inner = next(step for rule in rules if (step := rule(rest, first + 1, training)) is not None)
    return PaddedStep(padding, inner, layers[1 : 1 + len(inner.layers)])


def _window_of_both(padding: ZeroPadding2D, layer: Conv2D | DepthwiseConv2D) -> Window:
    """Return the window of a convolution for images without the zeros that stand in front of it."""
    own, around = layer.window, padding._around
    (top, bottom), (left, right) = (
        (before + more, after + further)
        for (before, after), (more, further) in zip(own.pads, around, strict=True)
    )
    height, width = own.input_size
    size = height - sum(around[0]), width - sum(around[1])
    pads = (top, bottom), (left, right)
    return resolve_window(layer.where, size, own.kernel_size, own.strides, pads, own.dilation)


def _activated(layers: Sequence[Layer], first: int, training: bool) -> Step | None:
    """Any affine layer, and an activation behind it that is a separate layer."""
    joined = _join(layers)
    return None if joined is None else Step(layers[:2], first, joined)


def _alone(layers: Sequence[Layer], first: int, training: bool) -> Step:
    """Any layer by itself."""
    return Step(layers[:1], first)


# Each rule sees the layers that are left, the number of the first one, and whether backward will follow. It
# returns the step that computes as many of them as it can, or None. The first rule that returns a step
# wins.
Rule = Callable[[Sequence[Layer], int, bool], Step | None]
RULES: tuple[Rule, ...] = (
    _padded,
    _normalized,
    _normalized_relu,
    _added_relu,
    _pooled,
    _averaged,
    _activated,
    _alone,
)


def steps_of(layers: Sequence[Layer] | Flow, training: bool, fuse: bool = True) -> list[Step]:
    """Return the steps that compute a flow; consecutive uses are fused where a rule can do that."""
    flow, steps = Flow.of(layers), list[Step]()
    layers = flow.layers
    for begin, end in flow.rows():
        for step in _steps_of_row(layers[begin:end], begin, training, fuse):
            step.sources = flow.uses[step.first].inputs
            step.value = flow.value_of(step.first + len(step.layers) - 1)
            steps.append(step)
    return steps


def _steps_of_row(layers: Sequence[Layer], begin: int, training: bool, fuse: bool) -> Iterator[Step]:
    """Yield the steps that compute layers in a row; `begin` is the number of the first one."""
    rules = RULES if fuse else (_alone,)
    number = 0
    while number < len(layers):
        # A layer whose object has its own pass goes through the rule `_alone`.
        own = next((i for i, e in enumerate(layers[number:]) if e.__dict__.keys() & set(HOOKS)), len(layers))
        left = layers[number : number + max(own, 1)]
        known = rules if own else (_alone,)
        step = next(step for rule in known if (step := rule(left, begin + number, training)) is not None)
        yield step
        number += len(step.layers)
