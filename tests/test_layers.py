"""One contract for every layer: gradients, shapes, dtypes, configuration, pickling, threads."""

import copy
import json
import pickle
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cconv import activations, layers
from cconv.layers import (
    ELU,
    Activation,
    AlphaDropout,
    ArgMax,
    AveragePool2D,
    AveragePooling1D,
    BatchNormalization,
    CenterCrop,
    Clip,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Cropping1D,
    Cropping2D,
    Dense,
    DepthToSpace,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    ElementwiseAffine,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GroupNormalization,
    InputLayer,
    LayerNormalization,
    LayerScale,
    LeakyReLU,
    LocalResponseNormalization,
    MaxPooling,
    MaxPooling1D,
    Normalization,
    Pad,
    Permute,
    PReLU,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    ReLU,
    RepeatVector,
    Resampling,
    Rescaling,
    Reshape,
    Resizing,
    RMSNormalization,
    SeparableConv1D,
    SeparableConv2D,
    Slice,
    Softmax,
    SpaceToDepth,
    SpatialDropout1D,
    SpatialDropout2D,
    Tile,
    UnitNormalization,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from cconv.ops.run import Run

CASES = {
    "conv": (lambda: Conv2D(4, 3), (6, 5, 3)),
    "conv_relu": (lambda: Conv2D(4, (2, 3), padding="same", activation="relu"), (5, 6, 3)),
    "conv_softmax": (lambda: Conv2D(4, 1, activation="softmax"), (3, 4, 2)),
    "conv_strides": (lambda: Conv2D(3, 3, strides=(2, 1), padding=((1, 0), (2, 1))), (7, 6, 2)),
    "conv_dilation": (lambda: Conv2D(2, 3, dilation_rate=2, padding=2, use_bias=False), (6, 6, 2)),
    "conv_groups": (lambda: Conv2D(6, 3, groups=2, activation="tanh"), (5, 5, 4)),
    "conv_first": (lambda: Conv2D(4, 3, data_format="channels_first", activation="relu"), (3, 6, 5)),
    "depthwise": (lambda: DepthwiseConv2D(3, padding="same"), (5, 4, 3)),
    "depthwise_multiplier": (
        lambda: DepthwiseConv2D(2, strides=2, depth_multiplier=2, activation="sigmoid"),
        (6, 5, 3),
    ),
    "max": (lambda: MaxPooling(2), (6, 5, 3)),
    "max_overlap": (lambda: MaxPooling(3, strides=1, padding="same", ceil_mode=True), (5, 4, 2)),
    "max_first": (lambda: MaxPooling(2, data_format="channels_first"), (3, 6, 4)),
    "average": (lambda: AveragePool2D(2), (6, 5, 3)),
    "average_pad": (lambda: AveragePool2D(3, 2, padding="same", count_include_pad=True), (6, 5, 3)),
    "average_ceil": (lambda: AveragePool2D(2, ceil_mode=True), (5, 5, 3)),
    "global": (lambda: GlobalAveragePooling2D(), (5, 4, 3)),
    "global_keep": (lambda: GlobalAveragePooling2D("channels_first", keepdims=True), (3, 5, 4)),
    "flatten": (lambda: Flatten(), (3, 4, 2)),
    "flatten_first": (lambda: Flatten("channels_first"), (2, 3, 4)),
    "flatten_first_steps": (lambda: Flatten("channels_first"), (2, 3)),
    "reshape": (lambda: Reshape((4, -1)), (3, 4, 2)),
    "dense": (lambda: Dense(5), (7,)),
    "dense_relu": (lambda: Dense(5, "relu", use_bias=False), (7,)),
    "dense_leaky": (lambda: Dense(5, "leaky_relu"), (7,)),
    "dense_log_softmax": (lambda: Dense(5, "log_softmax"), (7,)),
    "dense_axis": (lambda: Dense(5, "sigmoid"), (3, 2, 4)),
    "activation": (lambda: Activation("tanh"), (3, 4, 2)),
    "linear": (lambda: Activation("linear"), (6,)),
    "relu": (lambda: ReLU(), (3, 4, 2)),
    "relu_cut": (lambda: ReLU(0.7), (3, 4, 2)),
    "relu_cut_slope": (lambda: ReLU(max_value=0.7, negative_slope=0.1), (6,)),
    "conv_relu6": (lambda: Conv2D(3, 1, activation="relu6"), (3, 3, 2)),
    "relu_slope": (lambda: ReLU(negative_slope=0.1), (6,)),
    "relu_threshold": (lambda: ReLU(negative_slope=0.1, threshold=0.45), (3, 4, 2)),
    "relu_cut_threshold": (lambda: ReLU(max_value=0.9, threshold=0.45), (7,)),
    "leaky": (lambda: LeakyReLU(), (3, 4, 2)),
    "elu": (lambda: ELU(0.7), (3, 4, 2)),
    "conv_silu": (lambda: Conv2D(3, 2, activation="silu"), (4, 3, 2)),
    "conv_gelu": (lambda: Conv2D(3, 2, activation="gelu", data_format="channels_first"), (2, 4, 3)),
    "depthwise_hard_silu": (lambda: DepthwiseConv2D(2, activation="hard_silu"), (4, 3, 2)),
    "dense_gelu_tanh": (lambda: Dense(4, activation=activations.GELU(approximate=True)), (6,)),
    "dense_mish": (lambda: Dense(4, "mish", kernel_constraint="unit_norm"), (6,)),
    "dense_softplus": (lambda: Dense(4, "softplus", bias_constraint="non_neg"), (6,)),
    "selu": (lambda: Activation("selu"), (3, 4, 2)),
    "exponential": (lambda: Activation("exponential"), (6,)),
    "softsign": (lambda: Activation("softsign"), (6,)),
    "hard_sigmoid": (lambda: Activation("hard_sigmoid"), (6,)),
    "prelu": (lambda: PReLU(), (3, 4, 2)),
    "prelu_channels": (lambda: PReLU("ones", shared_axes=[1, 2]), (3, 4, 2)),
    "prelu_rows": (lambda: PReLU("he_normal", shared_axes=[2], alpha_constraint="max_norm"), (3, 4, 2)),
    "prelu_images": (lambda: PReLU(shared_axes=[1, 3]), (3, 4, 2)),
    "prelu_one": (lambda: PReLU(shared_axes=[1, 2, 3]), (3, 4, 2)),
    "prelu_frozen": (lambda: PReLU(trainable=False), (5,)),
    "softmax": (lambda: Softmax(), (6,)),
    "softmax_axis": (lambda: Softmax(axis=1), (3, 4, 2)),
    "softmax_axes": (lambda: Softmax(axis=[1, -2]), (3, 4, 2)),
    "dropout": (lambda: Dropout(0.4), (3, 4, 2)),
    "dropout_none": (lambda: Dropout(0.0, seed=3), (6,)),
    "dropout_rows": (lambda: Dropout(0.4, (None, 3, 1, 2)), (3, 4, 2)),
    "dropout_samples": (lambda: Dropout(0.4, (None, 1, 1, 1)), (3, 4, 2)),
    "dropout_apart": (lambda: Dropout(0.4, (None, 1, None, 1), data_format="channels_first"), (2, 3, 4)),
    "spatial": (lambda: SpatialDropout2D(0.4), (3, 4, 5)),
    "spatial_first": (lambda: SpatialDropout2D(0.4, "channels_first"), (5, 3, 4)),
    "spatial_1d": (lambda: SpatialDropout1D(0.4), (3, 4)),
    "alpha": (lambda: AlphaDropout(0.4), (3, 4, 2)),
    "alpha_maps": (lambda: AlphaDropout(0.4, (None, 1, 1, None), seed=2), (3, 4, 2)),
    "noise": (lambda: GaussianNoise(0.4), (3, 4, 2)),
    "noise_none": (lambda: GaussianNoise(0.0), (6,)),
    "gaussian": (lambda: GaussianDropout(0.3, seed=5), (3, 4, 2)),
    "gaussian_none": (lambda: GaussianDropout(0.0), (6,)),
    "layer_norm": (lambda: LayerNormalization(gamma_constraint="max_norm"), (3, 4, 5)),
    "layer_norm_row": (lambda: LayerNormalization(scale=False, gamma_regularizer="l2"), (7,)),
    "layer_norm_plain": (lambda: LayerNormalization(epsilon=0.1, center=False, scale=False), (5, 3)),
    "layer_norm_sample": (lambda: LayerNormalization([1, 2, 3]), (3, 4, 2)),
    "layer_norm_first": (lambda: LayerNormalization((1, 3), data_format="channels_first"), (3, 4, 2)),
    "layer_norm_frozen": (lambda: LayerNormalization(1, center=False, trainable=False), (3, 4, 2)),
    "layer_norm_scaling": (lambda: LayerNormalization(rms_scaling=True), (3, 4, 3)),
    "rms_norm": (lambda: RMSNormalization(), (3, 4, 3)),
    "rms_norm_axes": (lambda: RMSNormalization((-1, 1), 0.01), (3, 4, 2)),
    "unit_norm": (lambda: UnitNormalization(), (3, 4, 3)),
    "unit_norm_axis": (lambda: UnitNormalization(axis=2), (3, 4, 2)),
    "group_norm": (lambda: GroupNormalization(2, beta_constraint="non_neg"), (3, 4, 6)),
    "group_norm_instance": (lambda: GroupNormalization(-1, axis=1, scale=False), (2, 3, 4)),
    "group_norm_frozen": (lambda: GroupNormalization(1, center=False, trainable=False), (3, 4)),
    "group_norm_row": (lambda: GroupNormalization(3, center=False, scale=False), (9,)),
    "layer_scale": (lambda: LayerScale(0.5, 3), (4, 2, 3)),
    "layer_scale_first": (lambda: LayerScale(0.5, data_format="channels_first"), (3, 4, 2)),
    "normalization": (lambda: Normalization(), (3, 4, 2)),
    "normalization_given": (lambda: Normalization(-1, [1.0, 2.0], [3.0, 4.0]), (3, 4, 2)),
    "normalization_invert": (lambda: Normalization(None, 1.5, 4.0, invert=True), (3, 4)),
    "normalization_axes": (lambda: Normalization((3, 1), data_format="channels_first"), (2, 3, 4)),
    "batch_norm": (lambda: BatchNormalization(), (3, 4, 2)),
    "batch_norm_plain": (lambda: BatchNormalization(center=False, scale=False), (5,)),
    "batch_norm_first": (lambda: BatchNormalization(axis=1, momentum=0.5), (3, 4, 2)),
    "batch_norm_frozen": (lambda: BatchNormalization(trainable=False), (3, 4, 2)),
    "zero_padding": (lambda: ZeroPadding2D(((1, 0), (2, 3))), (3, 4, 2)),
    "zero_padding_first": (lambda: ZeroPadding2D(1, "channels_first"), (2, 3, 4)),
    "zero_padding_steps": (lambda: ZeroPadding1D((1, 2), "channels_first"), (2, 4)),
    "cropping": (lambda: Cropping2D(((1, 0), (1, 2))), (3, 5, 2)),
    "cropping_first": (lambda: Cropping2D(1, "channels_first"), (2, 4, 3)),
    "cropping_steps": (lambda: Cropping1D((1, 2)), (5, 2)),
    "transpose": (lambda: Conv2DTranspose(4, 3, 2, "same", activation="relu"), (3, 4, 3)),
    "transpose_unet": (lambda: Conv2DTranspose(3, 2, 2, kernel_constraint="unit_norm"), (3, 4, 4)),
    "transpose_more": (
        lambda: Conv2DTranspose(4, (3, 2), (2, 3), output_padding=(1, 0), groups=2, activation="softmax"),
        (3, 4, 6),
    ),
    "transpose_first": (
        lambda: Conv2DTranspose(2, 3, 1, 1, data_format="channels_first", dilation_rate=2, use_bias=False),
        (3, 4, 3),
    ),
    "transpose_steps": (lambda: Conv1DTranspose(3, 4, 2, "same", activation="tanh"), (5, 2)),
    "transpose_steps_first": (lambda: Conv1DTranspose(3, 4, 3, data_format="channels_first"), (2, 4)),
    "separable": (lambda: SeparableConv2D(4, 3, padding="same", activation="relu"), (4, 5, 3)),
    "separable_deep": (
        lambda: SeparableConv2D(3, 2, 2, data_format="channels_first", depth_multiplier=2, use_bias=False),
        (2, 5, 4),
    ),
    "separable_steps": (lambda: SeparableConv1D(4, 3, padding="causal", activation="sigmoid"), (6, 3)),
    "conv_steps": (lambda: Conv1D(4, 3, strides=2, activation="relu"), (9, 3)),
    "conv_causal": (lambda: Conv1D(4, 3, padding="causal", dilation_rate=2, groups=2), (6, 4)),
    "conv_steps_first": (lambda: Conv1D(4, 3, data_format="channels_first", activation="softmax"), (3, 7)),
    "depthwise_steps": (lambda: DepthwiseConv1D(3, padding=(2, 1), depth_multiplier=2), (6, 3)),
    "up": (lambda: UpSampling2D((2, 3)), (3, 4, 2)),
    "up_bilinear": (lambda: UpSampling2D(3, "channels_first", "bilinear"), (2, 3, 4)),
    "up_steps": (lambda: UpSampling1D(3), (4, 2)),
    "resizing": (lambda: Resizing(5, 3), (4, 7, 2)),
    "resizing_crop": (lambda: Resizing(4, 4, "nearest", crop_to_aspect_ratio=True), (4, 7, 2)),
    "resizing_pad": (
        lambda: Resizing(4, 4, pad_to_aspect_ratio=True, fill_value=1.5, data_format="channels_first"),
        (2, 7, 3),
    ),
    "center": (lambda: CenterCrop(3, 2), (5, 4, 2)),
    "center_small": (lambda: CenterCrop(3, 6, "channels_first"), (2, 5, 4)),
    "permute": (lambda: Permute((3, 1, 2)), (3, 4, 2)),
    "repeat": (lambda: RepeatVector(3), (4,)),
    "global_max": (lambda: GlobalMaxPooling2D("channels_first", keepdims=True), (3, 5, 4)),
    "global_max_flat": (lambda: GlobalMaxPooling2D(), (5, 4, 3)),
    "global_max_steps": (lambda: GlobalMaxPooling1D(), (6, 3)),
    "global_steps": (lambda: GlobalAveragePooling1D("channels_first", keepdims=True), (3, 6)),
    "max_steps": (lambda: MaxPooling1D(3, 2, "same"), (7, 3)),
    "average_steps": (lambda: AveragePooling1D(2, data_format="channels_first"), (3, 7)),
    "rescaling": (lambda: Rescaling(0.25, offset=-1.0), (3, 4, 2)),
    "rescaling_channels": (lambda: Rescaling([0.25, 2.0], offset=[-1.0, 3.0]), (3, 4, 2)),
    "rescaling_first": (lambda: Rescaling(2.0, [-1.0, 3.0], data_format="channels_first"), (2, 3, 4)),
    "argmax": (lambda: ArgMax(), (3, 4, 2)),
    "argmax_rows": (lambda: ArgMax(1, keepdims=True, select_last_index=True), (4, 3)),
    "argmax_all": (lambda: ArgMax(), (5,)),
    "clip": (lambda: Clip(-0.5, 0.7), (3, 4, 2)),
    "clip_below": (lambda: Clip(min_value=0.2), (6,)),
    "affine": (lambda: ElementwiseAffine(), (3, 4, 2)),
    "affine_channels": (
        lambda: ElementwiseAffine(shared_axes=[1, 2], gamma_initializer="he_normal"),
        (3, 4, 2),
    ),
    "affine_shift": (lambda: ElementwiseAffine(scale=False, shared_axes=3), (3, 4, 2)),
    "affine_frozen": (lambda: ElementwiseAffine(center=False, trainable=False), (5,)),
    "affine_nothing": (lambda: ElementwiseAffine(False, False), (5,)),
    "response": (lambda: LocalResponseNormalization(3, 0.5, 0.75), (3, 4, 5)),
    "response_power": (lambda: LocalResponseNormalization(4, 0.5, 0.6, 2.0), (3, 2, 7)),
    "response_inverse": (lambda: LocalResponseNormalization(9, 0.5, 1.0, 0.5, "channels_first"), (4, 3, 2)),
    "response_quarter": (lambda: LocalResponseNormalization(2, 0.5, 0.25), (4,)),
    "pad": (lambda: Pad([(1, 0), (2, 1), (0, 1)], constant_values=0.5), (3, 4, 2)),
    "pad_edge": (lambda: Pad([(1, 2), (2, 0), (0, 0)], "edge"), (3, 4, 2)),
    "pad_reflect": (lambda: Pad([(2, 5), (1, 1), (0, 0)], "reflect"), (3, 4, 2)),
    "pad_wrap": (lambda: Pad([(3, 1), (0, 5)], "wrap"), (2, 4)),
    "resampling": (lambda: Resampling(5, 3, coordinates="align_corners"), (4, 7, 2)),
    "resampling_corner": (lambda: Resampling(7, 8, coordinates="asymmetric", scales=(1.8, 2.0)), (4, 4, 2)),
    "resampling_nearest": (
        lambda: Resampling(5, 7, "nearest", "asymmetric", "ceil", data_format="channels_first"),
        (2, 4, 3),
    ),
    "slice": (lambda: Slice([1, None, -1], [None, -1, None], [1, 2, -1]), (3, 4, 2)),
    "slice_row": (lambda: Slice([2], [5]), (6,)),
    "space_to_depth": (lambda: SpaceToDepth(2), (4, 6, 3)),
    "depth_to_space": (lambda: DepthToSpace(2), (2, 3, 8)),
    "depth_to_space_first": (lambda: DepthToSpace(3, "CRD", "channels_first"), (18, 2, 3)),
    "tile": (lambda: Tile([2, 1, 3]), (3, 4, 2)),
    "tile_once": (lambda: Tile([1]), (4,)),
    "input": (lambda: InputLayer((3, 4, 2)), (3, 4, 2)),
    "flip": (lambda: RandomFlip(), (3, 4, 2)),
    "translation": (lambda: RandomTranslation(0.4, (-0.2, 0.6)), (5, 4, 2)),
    "translation_wrap": (lambda: RandomTranslation(0.4, 0.3, "wrap", seed=4), (5, 4, 2)),
    "translation_constant": (lambda: RandomTranslation(0.9, 0.9, "constant", fill_value=0.5), (5, 4, 2)),
    "rotation": (lambda: RandomRotation(0.5), (5, 4, 2)),
    "rotation_nearest": (
        lambda: RandomRotation(0.1, "nearest", "nearest", data_format="channels_first"),
        (2, 5, 4),
    ),
    "zoom": (lambda: RandomZoom(0.4, (-0.3, 0.9)), (5, 4, 2)),
    "zoom_wrap": (lambda: RandomZoom(0.4, fill_mode="wrap", data_format="channels_first"), (2, 5, 4)),
    "brightness": (lambda: RandomBrightness(0.2, (-1.5, 1.6)), (5, 4, 2)),
    "contrast": (lambda: RandomContrast(0.7, (-1.7, 1.8)), (5, 4, 2)),
    "contrast_first": (lambda: RandomContrast((0.1, 0.9), (-3, 3), data_format="channels_first"), (2, 5, 4)),
    "crop": (lambda: RandomCrop(3, 2), (5, 4, 2)),
    "crop_first": (lambda: RandomCrop(3, 2, data_format="channels_first"), (2, 5, 4)),
    "crop_middle": (lambda: RandomCrop(3, 3), (3, 5, 2)),
    "crop_larger": (lambda: RandomCrop(6, 7), (3, 4, 2)),
    "erasing": (lambda: RandomErasing(value_range=(-1, 1)), (5, 4, 2)),
    "erasing_value": (lambda: RandomErasing(1.0, (0.3, 0.6), fill_value=(0.1, 0.2)), (5, 4, 2)),
}
BATCH = 3


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def distinct(shape, seed=0):
    """Numbers of both signs, no two of which are closer than the steps of a gradient check."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size / 2 + 0.3) / size * 4).reshape(shape)


def built(case, dtype="float64", seed=11):
    factory, shape = case
    layer = factory().build(shape, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    for store in (layer.params, layer.state):
        for name, array in store.items():
            store[name] = array + rng.uniform(0.1, 0.5, array.shape)  # biases too must matter
    return layer


def again(layer, x):
    """Run a training pass with the same random draws every time."""
    layer._calls = 0
    return layer.forward(x, training=True)


def same(a, b):
    """Whether two values are equal through containers, objects and arrays, bit for bit."""
    if isinstance(a, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


class PoisonedRun(Run):
    """Memory as a plan hands it out: full of what an earlier step left there."""

    def empty(self, tag, shape, dtype):
        array = super().empty(tag, shape, dtype)
        array.reshape(-1).view(np.uint8)[...] = 0xFF  # NaN as a float
        return array

    def scratch(self, nbytes):
        array = super().scratch(nbytes)
        array[...] = 0xFF
        return array


def test_every_public_layer_has_a_case():
    tested = {type(factory()) for factory, _ in CASES.values()}
    public = {getattr(layers, name) for name in layers.__all__}
    classes = {entry for entry in public if isinstance(entry, type)} - {layers.Layer}
    classes -= {layers.MixUp, layers.CutMix}  # of labels too: see test_mixing.py
    # What takes several inputs is tested in test_merging.py.
    classes -= {entry for entry in classes if entry is layers.KerasTensor or entry._merges}
    assert classes == tested


def test_gradients(case):
    layer = built(case)
    x = distinct((BATCH, *case[1]))
    y = again(layer, x)
    weight = np.random.default_rng(1).normal(size=y.shape)
    dx = layer.backward(weight)
    grads = {name: grad.copy() for name, grad in layer.grads.items()}
    assert set(grads) == (set(layer.params) if layer.trainable else set())
    for array, gradient in [(x, dx), *((layer.params[name], grad) for name, grad in grads.items())]:
        assert gradient.shape == array.shape
        for index in np.ndindex(array.shape):
            kept, step = array[index], 1e-5
            array[index] = kept + step
            above = (again(layer, x) * weight).sum()
            array[index] = kept - step
            below = (again(layer, x) * weight).sum()
            array[index] = kept
            numeric = (above - below) / (2 * step)
            assert abs(numeric - gradient[index]) <= 1e-6 * max(1, abs(numeric)), index


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_dtypes_and_counts(case, dtype):
    layer = built(case, dtype)
    x = distinct((BATCH, *case[1])).astype(dtype)
    for training in (False, True):
        y = layer.forward(x, training=training)
        assert y.shape == (BATCH, *layer.output_shape)
        assert y.dtype == dtype
        assert y.flags.c_contiguous
    assert layer.output_shape == layer.compute_output_shape(case[1])
    assert (None, *layer.output_shape) == layer.compute_output_shape((None, *case[1]))
    dx = layer.backward(y)
    assert dx.shape == x.shape
    assert dx.dtype == dtype
    arrays = [*layer.params.values(), *layer.state.values()]
    assert layer.count_params() == sum(array.size for array in arrays)
    assert all(array.dtype == dtype for array in [*arrays, *layer.grads.values()])


def test_arguments_are_not_modified_and_results_are_the_callers(case):
    layer = built(case)
    x = distinct((BATCH, *case[1]))
    before = x.copy()
    x.flags.writeable = False
    inference, y = layer.forward(x), layer.forward(x, training=True)
    dy = distinct(y.shape, seed=2)
    dy_before = dy.copy()
    dy.flags.writeable = False
    dx = layer.backward(dy)
    assert same(x, before)
    assert same(dy, dy_before)
    for result, given in ((inference, x), (y, x), (dx, dy)):
        assert not np.may_share_memory(result, given)
        assert result.flags.writeable
    kept = inference.copy(), dx.copy()
    layer.forward(x + 1)
    again(layer, x + 1)
    layer.backward(dy + 1)
    assert same(kept, (inference, dx))


def test_inference_changes_no_state(case):
    layer = built(case)
    x = distinct((BATCH, *case[1]))
    again(layer, x)
    before = copy.deepcopy(layer.__dict__)
    layer.forward(x[:1] + 1)
    assert same(before, layer.__dict__)


def test_threads_share_a_layer(case):
    factory, shape = case
    layer = built(case, "float32")
    inputs = [distinct((BATCH, *shape), seed).astype("float32") for seed in range(8)]
    expected = [layer.forward(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert same(list(pool.map(layer.forward, inputs)), expected)
        unbuilt = factory()
        assert len({y.shape for y in pool.map(unbuilt.forward, inputs)}) == 1
        assert same(unbuilt.forward(inputs[0]), pool.submit(unbuilt.forward, inputs[0]).result())


def test_reused_memory_gives_the_same_results(case):
    layer = built(case)
    x = layer._to_inner(distinct((BATCH, *case[1])))
    for training in (False, True):
        key = {"training": training, "seed": 5, "step": 3}
        y = layer._forward(x, Run(**key)).copy()
        state = {name: array.copy() for name, array in layer.state.items()}
        if training:
            dx, grads = layer._backward(y, Run(**key)), dict(layer.grads)
            layer.set_weights([*layer.params.values(), *state.values()])
        assert same(y, layer._forward(x, PoisonedRun(**key)))
    assert same(dx, layer._backward(y, PoisonedRun(**key)))
    assert same(grads, layer.grads)
    layer.grads.clear()
    assert layer._backward(y, PoisonedRun(**key), need_dx=False) is None
    assert same(grads, layer.grads)


def test_configuration_round_trip(case):
    layer = built(case)
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert not twin.built
    assert json.loads(json.dumps(twin.get_config())) == config
    assert layer.clone().get_config() == layer.get_config()
    restored = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    restored.build(case[1], dtype="float64", seed=11)
    restored.set_weights(layer.get_weights())
    x = distinct((BATCH, *case[1]))
    assert same(again(restored, x), again(layer, x))


def test_pickle_round_trip(case):
    layer = built(case)
    x = distinct((BATCH, *case[1]))
    y = again(layer, x)
    loaded = pickle.loads(pickle.dumps(layer))
    assert same(loaded.forward(x), layer.forward(x))
    assert same(again(loaded, x), y)
    with pytest.raises(RuntimeError, match="backward needs forward"):
        pickle.loads(pickle.dumps(layer)).backward(y)
    unbuilt = pickle.loads(pickle.dumps(case[0]()))
    assert unbuilt.forward(x).shape == y.shape


def test_same_seed_same_weights(case):
    factory, shape = case
    one = factory().build(shape, seed=3)
    two = factory().build(shape, seed=3)
    assert same(one.get_weights(), two.get_weights())
    double = factory().build(shape, seed=3, dtype="float64")
    for narrow, wide in zip(one.get_weights(), double.get_weights(), strict=True):
        assert same(narrow, wide.astype("float32"))


def test_batches_do_not_matter_to_inference(case):
    layer = built(case, "float32")
    x = distinct((5, *case[1])).astype("float32")
    parts = [layer.forward(x[:2]), layer.forward(x[2:])]
    assert same(np.concatenate(parts), layer.forward(x))


def test_wrong_inputs(case):
    layer = built(case, "float32")
    name, shape = type(layer).__name__, case[1]
    good = np.zeros((2, *shape), "float32")
    with pytest.raises(RuntimeError, match=f"{name}: backward needs forward"):
        layer.backward(good)
    with pytest.raises(ValueError, match=f"{name}: x must have .* axes, got shape"):
        layer.forward(good[0])
    wrong = (2, *shape[:-1], shape[-1] + 1)
    with pytest.raises(ValueError, match=rf"{name}: x must have the shape \({shape[0]},.*got \(2, "):
        layer.forward(np.zeros(wrong, "float32"))
    with pytest.raises(TypeError, match=f"{name}: x must be float32 as the layer is, got float64"):
        layer.forward(good.astype("float64"))
    with pytest.raises(TypeError, match=f"{name}: x must hold real numbers"):
        layer.forward(good.astype("complex64"))
    with pytest.raises(TypeError, match=f"{name}: training must be"):
        layer.forward(good, training=1)
    y = layer.forward(good, training=True)
    with pytest.raises(ValueError, match=f"{name}: dy must have the output's shape"):
        layer.backward(y[:1])
    with pytest.raises(TypeError, match=f"{name}: dy must be float32"):
        layer.backward(y.astype("float64"))
    with pytest.raises(ValueError, match=f"{name}: weights must have the shapes"):
        layer.set_weights([*layer.get_weights(), good])


def test_odd_memory_is_accepted(case):
    layer = built(case, "float32")
    x = distinct((BATCH, *case[1])).astype("float32")
    expected = layer.forward(x)
    wide = np.zeros((2 * BATCH, *case[1]), "float32")
    wide[::2] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = raw[1:].view("float32").reshape(x.shape)
    unaligned[...] = x
    for form in (wide[::2], x[::-1].copy()[::-1], x.astype(">f4"), np.asfortranarray(x), unaligned):
        assert same(layer.forward(form), expected)
    integers = np.arange(x.size, dtype=np.uint8).reshape(x.shape)
    assert same(layer.forward(integers), layer.forward(integers.astype("float32")))
