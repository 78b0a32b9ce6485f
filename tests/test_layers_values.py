"""What single layers compute, what they draw, and what they refuse."""

import copy

import numpy as np
import pytest

from cconv import layers, reference
from cconv.initializers import RandomNormal
from cconv.layers import (
    Activation,
    AveragePool2D,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Input,
    InputLayer,
    LeakyReLU,
    MaxPooling,
    MaxPooling2D,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from cconv.ops.run import Run
from cconv.regularizers import L1, L2


def pictures(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def test_a_lesson():
    conv = Conv2D(30, 5)
    x = pictures(4, 28, 28, 1)
    y = conv.forward(x, training=True)
    dy = pictures(*y.shape, seed=1)
    dx = conv.backward(dy)
    kernel, bias = conv.params["kernel"], conv.params["bias"]
    np.testing.assert_allclose(y, reference.conv2d(x, kernel, bias), atol=1e-12)
    expected = reference.conv2d_backward(dy, x, kernel)
    for value, wanted in zip((dx, conv.grads["kernel"], conv.grads["bias"]), expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-11)


@pytest.mark.parametrize(
    ("layer", "shape", "output", "count"),
    [
        (Conv2D(6, 3), (144, 144, 3), (142, 142, 6), 168),
        (Conv2D(48, 3), (60, 60, 24), (58, 58, 48), 10_416),
        (Conv2D(20, 3, strides=2), (20, 20, 10), (9, 9, 20), 1_820),
        (Conv2D(32, 2, padding="same"), (28, 28, 1), (28, 28, 32), 160),
        (Dense(256), (26 * 26 * 32,), (256,), 5_538_048),
        (MaxPooling2D(2, strides=1), (28, 28, 32), (27, 27, 32), 0),
        (BatchNormalization(), (8, 8, 64), (8, 8, 64), 256),
    ],
)
def test_worked_sizes(layer, shape, output, count):
    assert layer.compute_output_shape(shape) == output
    assert not layer.built
    layer.build((None, *shape))
    assert layer.output_shape == output
    assert layer.count_params() == count


def test_second_names_are_the_same_classes():
    assert MaxPooling is MaxPooling2D
    assert AveragePool2D is AveragePooling2D
    assert layers.Input((3,)).node.layer.__class__ is InputLayer
    assert type(layers.deserialize(layers.serialize(MaxPooling()))) is MaxPooling2D


def test_names_as_in_keras():
    expected = {
        Conv2D(1, 1): "conv2d",
        MaxPooling(): "max_pooling2d",
        DepthwiseConv2D(1): "depthwise_conv2d",
        BatchNormalization(): "batch_normalization",
        Flatten(): "flatten",
        ReLU(): "re_lu",
        LeakyReLU(): "leaky_re_lu",
    }
    assert [layer.name for layer in expected] == list(expected.values())
    assert Conv2D(1, 1, name="first").where == "Conv2D 'first'"


@pytest.mark.parametrize("channels_last", [Conv2D(4, 3), MaxPooling(2)])
def test_channels_first_is_channels_last_transposed(channels_last):
    x = pictures(2, 6, 5, 3)
    config = channels_last.get_config() | {"data_format": "channels_first"}
    first = type(channels_last).from_config(config)
    channels_last.build((6, 5, 3), dtype="float64", seed=1)
    first.build((3, 6, 5), dtype="float64", seed=1)
    turned = np.moveaxis(x, 3, 1)
    y, y_first = channels_last.forward(x, training=True), first.forward(turned, training=True)
    assert first.output_shape == y_first.shape[1:]
    np.testing.assert_array_equal(np.moveaxis(y, 3, 1), y_first)
    dx, dx_first = channels_last.backward(y), first.backward(y_first)
    np.testing.assert_array_equal(np.moveaxis(dx, 3, 1), dx_first)
    for name, grad in channels_last.grads.items():
        np.testing.assert_array_equal(grad, first.grads[name])


def test_weights_can_be_set_and_keep_their_memory():
    conv = Conv2D(1, 3, use_bias=False).build((5, 5, 1))
    memory = conv.params["kernel"]
    conv.params["kernel"] = [[[[i * 3 + j]] for j in range(3)] for i in range(3)]
    assert conv.params["kernel"] is memory
    assert memory[2, 1, 0, 0] == 7
    with pytest.raises(ValueError, match=r"kernel must have shape \(3, 3, 1, 1\), got \(3, 3\)"):
        conv.params["kernel"] = np.zeros((3, 3))
    with pytest.raises(TypeError, match="kernel must hold real numbers"):
        conv.params["kernel"] = np.zeros((3, 3, 1, 1), complex)
    with pytest.raises(KeyError, match="there is no 'bias' here, only kernel"):
        conv.params["bias"] = np.zeros(1)
    with pytest.raises(TypeError, match="'kernel' cannot be deleted"):
        conv.params.clear()
    conv.params.update(kernel=np.ones((3, 3, 1, 1)))
    assert conv.params["kernel"] is memory
    assert memory.sum() == 9


def test_a_copy_shares_weights_and_gradients():
    dense = Dense(2).build((3,))
    twin = copy.copy(dense)
    twin.params["bias"][...] = 5
    twin.forward(np.ones((1, 3), "float32"), training=True)
    twin.backward(np.ones((1, 2), "float32"))
    assert dense.params["bias"][0] == 5
    assert dense.grads["bias"] is twin.grads["bias"]


def test_frozen_layers_make_no_gradients():
    dense = Dense(2, trainable=False)
    y = dense.forward(pictures(3, 4), training=True)
    assert dense.backward(y).shape == (3, 4)
    assert dense.grads == {}


def test_keys_give_layers_weights_of_their_own():
    one, two = Dense(4), Dense(4)
    two.key = 1
    one.build((4,), seed=1)
    two.build((4,), seed=1)
    assert not np.array_equal(one.params["kernel"], two.params["kernel"])


def test_regularizers():
    dense = Dense(2, kernel_regularizer=L2(0.5), bias_regularizer="l1", bias_initializer="ones").build((3,))
    expected = 0.5 * np.square(dense.params["kernel"].astype(float)).sum() + 0.01 * 2
    assert dense.penalty() == pytest.approx(expected, rel=1e-6)
    assert dense.regularizers == {"kernel": L2(0.5), "bias": L1(0.01)}
    assert Dense(2).build((3,)).penalty() == 0


# --- batch normalisation --------------------------------------------------------------------------


def test_batch_normalization_follows_its_formula():
    layer = BatchNormalization(momentum=0.8, epsilon=0.01).build((3, 4, 2), dtype="float64")
    layer.params["gamma"], layer.params["beta"] = [2.0, 3.0], [-1.0, 1.0]
    x = pictures(5, 3, 4, 2) * 3 + 7
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    expected = (x - mean) / np.sqrt(variance + 0.01) * [2.0, 3.0] + [-1.0, 1.0]
    np.testing.assert_allclose(layer.forward(x, training=True), expected, atol=1e-12)
    np.testing.assert_allclose(layer.state["moving_mean"], 0.2 * mean, atol=1e-14)
    np.testing.assert_allclose(layer.state["moving_variance"], 0.8 + 0.2 * variance, atol=1e-14)
    moving = layer.state["moving_mean"], layer.state["moving_variance"]
    expected = (x - moving[0]) / np.sqrt(moving[1] + 0.01) * [2.0, 3.0] + [-1.0, 1.0]
    np.testing.assert_allclose(layer.forward(x), expected, atol=1e-12)


def test_batch_normalization_does_not_cancel():
    x = (pictures(64, 4, 4, 2) + 1e4).astype("float32")
    y = BatchNormalization(epsilon=1e-12).forward(x, training=True)
    exact = x.astype("float64")
    expected = (exact - exact.mean(axis=(0, 1, 2))) / exact.std(axis=(0, 1, 2))
    np.testing.assert_allclose(y, expected, atol=5e-3)


@pytest.mark.parametrize(
    "layer",
    [Conv2D(4, 3), Conv2D(4, 3, groups=2, use_bias=False), DepthwiseConv2D(3, depth_multiplier=2), Dense(3)],
)
def test_batch_normalization_folds_into_the_layer_before(layer):
    x = pictures(3, 6, 5, 2)
    y = layer.forward(x)
    norm = BatchNormalization()
    for seed in range(3):
        norm.forward(y * (seed + 1) + 2, training=True)
    norm.params["gamma"] = pictures(y.shape[-1], seed=5)
    norm.params["beta"] = pictures(y.shape[-1], seed=6)
    expected = norm.forward(y)
    kernel, bias = norm.folded_into(layer.params["kernel"], layer.params.get("bias"))
    folded = (
        type(layer).from_config(layer.get_config() | {"use_bias": True}).build(x.shape[1:], dtype="float64")
    )
    folded.params["kernel"], folded.params["bias"] = kernel, bias
    np.testing.assert_allclose(folded.forward(x), expected, atol=1e-12)


def test_batch_normalization_refuses_a_kernel_of_other_channels():
    norm = BatchNormalization().build((4,))
    with pytest.raises(ValueError, match="kernel must have 4 output channels, got the shape"):
        norm.folded_into(np.ones((3, 5)), None)


# --- random layers --------------------------------------------------------------------------------


def test_dropout_is_its_twin():
    layer = Dropout(0.3)
    layer.key = 2
    layer.build((4, 5, 3), dtype="float64", seed=9)
    x = pictures(6, 4, 5, 3)
    for step in range(2):
        mask = reference.dropout_mask(x.shape, 0.3, seed=9, step=step, layer=2)
        np.testing.assert_allclose(layer.forward(x, training=True), np.where(mask, x / 0.7, 0), rtol=1e-15)
        np.testing.assert_allclose(layer.backward(x), np.where(mask, x / 0.7, 0), rtol=1e-15)


RANDOM = [
    Dropout(0.5),
    Dropout(0.5, seed=4),
    RandomFlip(),
    RandomTranslation(0.3, 0.3),
    RandomRotation(0.2, seed=4),
    RandomZoom(0.4),
    RandomBrightness(0.3, (-4, 4)),
    RandomContrast(0.6, (-9, 9), seed=4),
    RandomErasing(value_range=(-1, 1)),
    RandomErasing(fill_value=0.5, seed=4),
    RandomCrop(3, 4),
]


@pytest.mark.parametrize("layer", RANDOM)
def test_draws_do_not_depend_on_the_batch(layer):
    x = pictures(10, 6, 5, 2)
    layer.build(x.shape[1:], dtype="float64", seed=1)
    whole = layer._forward(x, Run(training=True, seed=1, step=7)).copy()
    parts = [
        layer._forward(x[start:stop], Run(training=True, seed=1, step=7, first_sample=start)).copy()
        for start, stop in ((0, 3), (3, 4), (4, 10))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("layer", RANDOM)
def test_draws_differ_by_step_sample_layer_and_seed(layer):
    x = np.tile(pictures(1, 6, 5, 2), (8, 1, 1, 1))
    layer.build(x.shape[1:], dtype="float64", seed=1)

    def drawn(**changes):
        layer.key = changes.pop("key", 0)
        return layer._forward(x, Run(**{"training": True, "seed": 1, "step": 7} | changes)).copy()

    base = drawn()
    assert not np.array_equal(base, drawn(step=8))
    assert not np.array_equal(base, drawn(key=1))
    assert len({image.tobytes() for image in base}) > 1
    # A seed of the layer's own rules out that of the run.
    assert np.array_equal(base, drawn(seed=2)) == (layer.seed is not None)


@pytest.mark.parametrize("layer", RANDOM[2:-1])
def test_augmentation_passes_images_outside_training(layer):
    x = pictures(3, 6, 5, 2)
    np.testing.assert_array_equal(layer.forward(x), x)


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_flips(mode):
    x = np.tile(pictures(1, 4, 3, 2), (400, 1, 1, 1))
    y = RandomFlip(mode, seed=5).forward(x, training=True)
    forms = {
        x[0].tobytes(): 0,
        x[0, :, ::-1].tobytes(): 0,
        x[0, ::-1].tobytes(): 0,
        x[0, ::-1, ::-1].tobytes(): 0,
    }
    for image in y:
        forms[image.tobytes()] += 1
    same, mirrored, upside_down, both = forms.values()
    if mode == "horizontal_and_vertical":
        assert min(same, mirrored, upside_down, both) > 60
    else:
        assert 150 < same < 250
        assert both == 0
        assert (mirrored if mode == "horizontal" else upside_down) == 400 - same


@pytest.mark.parametrize("quarter", range(4))
def test_quarter_turns(quarter):
    x = pictures(2, 6, 6, 3)
    y = RandomRotation((quarter / 4, quarter / 4)).forward(x, training=True)
    np.testing.assert_allclose(y, np.rot90(x, quarter, axes=(1, 2)), atol=1e-12)


def shifted(fill_mode, rows, columns, **more):
    x = np.arange(1.0, 13.0).reshape(1, 3, 4, 1)
    layer = RandomTranslation((rows / 3,) * 2, (columns / 4,) * 2, fill_mode, **more)
    return layer.forward(x, training=True)[0, :, :, 0].tolist()


def test_shifts():
    assert shifted("constant", 1, 0) == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert shifted("constant", 0, -1, fill_value=-1.0) == [[2, 3, 4, -1], [6, 7, 8, -1], [10, 11, 12, -1]]
    assert shifted("nearest", 0, 2) == [[1, 1, 1, 2], [5, 5, 5, 6], [9, 9, 9, 10]]
    assert shifted("reflect", 0, 2) == [[2, 1, 1, 2], [6, 5, 5, 6], [10, 9, 9, 10]]
    assert shifted("wrap", 0, 1) == [[4, 1, 2, 3], [8, 5, 6, 7], [12, 9, 10, 11]]
    assert shifted("nearest", 0, 0.5) == [[1, 1.5, 2.5, 3.5], [5, 5.5, 6.5, 7.5], [9, 9.5, 10.5, 11.5]]
    assert shifted("wrap", 0, 0.75, interpolation="nearest") == shifted("wrap", 0, 1)


def test_large_images_are_resampled_in_blocks():
    x = pictures(5, 200, 200, 1)
    layer = RandomRotation(0.1, seed=1)
    whole = layer.forward(x, training=True)
    for sample in range(5):
        run = Run(training=True, first_sample=sample)
        np.testing.assert_array_equal(layer._forward(x[sample : sample + 1], run)[0], whole[sample])


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2D(0, 3), ValueError, "Conv2D: filters must be a positive int, got 0"),
        (lambda: Conv2D(4, (3, 0)), ValueError, r"Conv2D: kernel_size must be .* got \(3, 0\)"),
        (lambda: Conv2D(4, 3.0), TypeError, "Conv2D: kernel_size must be .* got 3.0"),
        (lambda: Conv2D(4, 3, padding="half"), ValueError, "Conv2D: padding must be .* got 'half'"),
        (lambda: Conv2D(4, 3, strides=0), ValueError, "Conv2D: strides must be"),
        (lambda: Conv2D(4, 3, groups=3), ValueError, "Conv2D: groups must divide filters, got 3 and 4"),
        (
            lambda: Conv2D(4, 3, activation="swash"),
            ValueError,
            "Conv2D: activation must be one of .* 'swash'",
        ),
        (lambda: Conv2D(4, 3, activation=3), TypeError, "Conv2D: activation must be a name"),
        (lambda: Conv2D(4, 3, data_format="nchw"), ValueError, "Conv2D: data_format must be"),
        (
            lambda: Conv2D(4, 3, kernel_initializer="big"),
            ValueError,
            "Conv2D: kernel_initializer must be one of",
        ),
        (
            lambda: Conv2D(4, 3, kernel_regularizer="l3"),
            ValueError,
            "Conv2D: kernel_regularizer must be one of",
        ),
        (lambda: Conv2D(4, 3, use_bias=1), TypeError, "Conv2D: use_bias must be"),
        (lambda: Conv2D(4, 3, name=3), TypeError, "Conv2D: name must be a string"),
        (lambda: Conv2D(4, 3, name="a").build((2, 9, 3)), ValueError, "Conv2D 'a': the kernel must fit"),
        (
            lambda: Conv2D(4, 3).build((9, 9)),
            ValueError,
            r"Conv2D: input_shape must be a tuple of 3 positive ints, without the batch, got \(9, 9\)",
        ),
        (
            lambda: Conv2D(4, 3).build((9, 0, 1)),
            ValueError,
            "Conv2D: input_shape entry must be a positive int",
        ),
        (lambda: Conv2D(4, 3).build("9,9,1"), TypeError, "Conv2D: input_shape must be a tuple"),
        (lambda: Conv2D(4, 3).build((9, 9, 1), dtype="int8"), TypeError, "Conv2D: dtype must be float32 or"),
        (lambda: Conv2D(4, 3).build((9, 9, 1), seed=-1), ValueError, "Conv2D: seed must be"),
        (
            lambda: Conv2D(4, 3, groups=2).build((9, 9, 3)),
            ValueError,
            "groups must divide the channels, got 2 for 3",
        ),
        (lambda: DepthwiseConv2D(3, depth_multiplier=0), ValueError, "DepthwiseConv2D: depth_multiplier"),
        (lambda: Dense(-1), ValueError, "Dense: units must be a positive int, got -1"),
        (lambda: Dense("10"), TypeError, "Dense: units must be a positive int, got '10'"),
        (lambda: MaxPooling(0), ValueError, "MaxPooling2D: pool_size must be"),
        (lambda: MaxPooling(3).build((2, 2, 1)), ValueError, "MaxPooling2D: the kernel must fit"),
        (lambda: MaxPooling(2, ceil_mode=1), TypeError, "MaxPooling2D: ceil_mode must be"),
        (lambda: AveragePool2D(2, count_include_pad=None), TypeError, "count_include_pad must be"),
        (lambda: Dropout(1.0), ValueError, r"Dropout: rate must be in \[0, 1\), got 1.0"),
        (lambda: Dropout("half"), TypeError, "Dropout: rate must be a finite number, got 'half'"),
        (lambda: Activation("swash"), ValueError, "Activation: activation must be one of"),
        (
            lambda: LeakyReLU(-1),
            ValueError,
            "LeakyReLU: negative_slope must be a finite number of at least 0",
        ),
        (lambda: BatchNormalization(axis=2), ValueError, "BatchNormalization: axis must be"),
        (lambda: BatchNormalization(momentum=1), ValueError, "BatchNormalization: momentum must be in"),
        (lambda: ZeroPadding2D("same"), TypeError, "ZeroPadding2D: padding must be ints, got 'same'"),
        (lambda: ZeroPadding2D(-1), ValueError, "ZeroPadding2D: padding must be"),
        (
            lambda: Reshape((-1, -1)),
            ValueError,
            "Reshape: target_shape must hold positive ints and at most one",
        ),
        (lambda: Reshape((5,)).build((2, 3)), ValueError, r"Reshape: target_shape must hold the 6 elements"),
        (lambda: InputLayer((3, 3, 1)).build((3, 3, 2)), ValueError, "InputLayer: input_shape must be"),
        (
            lambda: Input((None, 3)),
            ValueError,
            r"a size for each axis, .* got \(None, 3\); images and seq",
        ),
        (lambda: Dense(2, input_shape=(None, 3)), ValueError, "Dense: input_shape must have a size for each"),
        (lambda: Input((28, None, 3)), ValueError, "a size for each axis"),
        (lambda: RandomFlip("diagonal"), ValueError, "RandomFlip: mode must be one of"),
        (lambda: RandomRotation((0.2, 0.1)), ValueError, "RandomRotation: factor must be"),
        (
            lambda: RandomRotation(-0.1),
            ValueError,
            "RandomRotation: factor must be a finite number of at least 0",
        ),
        (lambda: RandomTranslation(0.1, (0.1,)), ValueError, "RandomTranslation: width_factor must be"),
        (
            lambda: RandomTranslation(0.1, 0.1, "mirror"),
            ValueError,
            "RandomTranslation: fill_mode must be one of",
        ),
        (lambda: Dense(2).forward(np.float32(3)), ValueError, "Dense: x must have a batch axis"),
        (
            lambda: layers.deserialize({"class_name": "Warp", "config": {}}),
            ValueError,
            "class_name must be that of a layer",
        ),
        (
            lambda: Dense.from_config({"units": 3, "wide": 1}),
            ValueError,
            "Dense: config has unknown entries 'wide'",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_layer_too_large_to_allocate():
    with pytest.raises(MemoryError):
        Dense(2**40, kernel_initializer=RandomNormal(stddev=0.01)).build((2**20,))


def test_weights_are_attributes_by_their_names():
    x = np.ones((2, 4, 5, 6), np.float32)
    for layer in (
        layers.PReLU(),
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        layers.RMSNormalization(),
        layers.SeparableConv2D(3, 2),
        layers.DepthwiseConv2D(2),
        layers.LayerScale(0.1, 6),
        layers.BatchNormalization(),
        layers.Conv2DTranspose(3, 2),
    ):
        layer.forward(x)
        assert layer.params
        for name, array in layer.params.items():
            assert getattr(layer, name) is array
    with pytest.raises(AttributeError, match="PReLU has no alpha before it is built"):
        _ = layers.PReLU().alpha
    plain = layers.LayerNormalization(center=False)
    plain.forward(x)
    assert plain.beta is None
