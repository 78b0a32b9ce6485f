"""Layers of other sizes and of sequences in models: fused or not, in files, and what they refuse."""

import numpy as np
import pytest

import cconv
from cconv import functional as F
from cconv import layers as L
from cconv.models import Sequential, load_model

IMAGE, SEQUENCE = (6, 5, 4), (9, 4)
STACKS = {
    "decoder": (
        lambda: [
            L.Conv2DTranspose(8, 3, 2, "same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.UpSampling2D(2, interpolation="bilinear"),
            L.Cropping2D(1),
            L.Conv2DTranspose(6, 2, 2, groups=2),
            L.BatchNormalization(),
            L.GlobalMaxPooling2D(),
        ],
        IMAGE,
    ),
    "separable": (
        lambda: [
            L.SeparableConv2D(8, 3, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.SeparableConv2D(8, 3, 2, activation="relu"),
            L.Activation("relu"),
            L.SeparableConv2D(5, 2, depth_multiplier=2),
            L.Activation("tanh"),
            L.Permute((2, 3, 1)),
            L.Flatten(),
        ],
        IMAGE,
    ),
    "resized": (
        lambda: [
            L.Resizing(7, 8, pad_to_aspect_ratio=True, fill_value=0.5),
            L.Conv2D(6, 3),
            L.ReLU(),
            L.CenterCrop(3, 3),
            L.Resizing(5, 4, "nearest", crop_to_aspect_ratio=True),
            L.Flatten(),
        ],
        IMAGE,
    ),
    "sequence": (
        lambda: [
            L.Conv1D(8, 3, padding="causal"),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling1D(2, padding="same"),
            L.DepthwiseConv1D(3, padding="same", activation="relu"),
            L.SeparableConv1D(6, 3, padding="same"),
            L.BatchNormalization(),
            L.UpSampling1D(2),
            L.Conv1DTranspose(4, 4, 2, "same", activation="relu"),
            L.ZeroPadding1D((1, 2)),
            L.Cropping1D(1),
            L.AveragePooling1D(3),
            L.GlobalAveragePooling1D(),
        ],
        SEQUENCE,
    ),
    "sequence with the channels first": (
        lambda: [
            L.Conv1D(8, 3, data_format="channels_first"),
            L.ReLU(),
            L.Conv1DTranspose(4, 3, 2, data_format="channels_first"),
            L.Activation("relu"),
            L.SeparableConv1D(6, 3, data_format="channels_first"),
            L.MaxPooling1D(2, data_format="channels_first"),
            L.ZeroPadding1D(1, data_format="channels_first"),
            L.GlobalMaxPooling1D("channels_first"),
        ],
        SEQUENCE[::-1],
    ),
    "repeated": (lambda: [L.Dense(5), L.RepeatVector(4), L.Conv1D(3, 2), L.Flatten()], (3,)),
}


def trained(name, fuse, dtype="float32", threads=1):
    """A model after some steps of batches that grow and shrink, and what it then predicts."""
    stack, shape = STACKS[name]
    model = Sequential([*stack(), L.Dense(3, "softmax")], seed=3, dtype=dtype)
    model.build(shape)
    model.fuse = fuse
    model.compile("sgd", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    before = cconv.get_num_threads()
    cconv.set_num_threads(threads)
    try:
        for n in (3, 3, 3, 7, 2, 7):
            model.train_on_batch(rng.normal(size=(n, *shape)).astype(dtype), rng.integers(0, 3, n))
        x = rng.normal(size=(5, *shape)).astype(dtype)
        return model, x, model.predict(x)
    finally:
        cconv.set_num_threads(before)


def bits(model):
    return [w.tobytes() for w in model.get_weights()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STACKS)
def test_fused_or_not_on_any_threads_the_same_bits(name, dtype):
    plain, _, outputs = trained(name, False, dtype)
    for fuse, threads in ((False, 3), (True, 1), (True, 2), (True, 8)):
        other, _, found = trained(name, fuse, dtype, threads)
        assert bits(other) == bits(plain)
        # A normalisation that is folded into weights is the same within rounding.
        assert np.abs(found - outputs).max() < (1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("name", STACKS)
def test_files(name, tmp_path):
    model, x, outputs = trained(name, True)
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert load_model(path).predict(x).tobytes() == outputs.tobytes()


@pytest.mark.parametrize("name", STACKS)
def test_frozen_layers_keep_their_weights_and_pass_gradients(name):
    stack, shape = STACKS[name]
    model = Sequential([L.Dense(shape[-1], input_shape=shape), *stack(), L.Dense(3, "softmax")], seed=3)
    for layer in model.layers[1:-1]:
        layer.trainable = False
    model.build(shape)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = [[w.copy() for w in layer.params.values()] for layer in model.layers]
    x = np.random.default_rng(1).normal(size=(4, *shape)).astype(np.float32)
    for _ in range(3):
        model.train_on_batch(x, np.array([0, 1, 2, 0]))
    moved = [
        any(not np.array_equal(a, b) for a, b in zip(old, layer.params.values(), strict=True))
        for old, layer in zip(before, model.layers, strict=True)
    ]
    assert moved == [True, *[False] * (len(model.layers) - 2), True]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_normalisation_is_folded_into_the_transposed_kernel(groups):
    model = Sequential([L.Conv2DTranspose(4, 3, 2, groups=groups), L.BatchNormalization()], seed=1)
    model.build((5, 4, 6))
    rng = np.random.default_rng(2)
    model.set_weights([rng.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    x = rng.normal(size=(3, 5, 4, 6)).astype(np.float32)
    fused = model.predict(x)
    model.fuse = False
    assert np.abs(fused - model.predict(x)).max() < 1e-5 * np.abs(fused).max()


def test_layers_give_what_the_functions_give():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 5, 6, 4))
    layer = L.Conv2DTranspose(6, (3, 2), (2, 1), "same", output_padding=(1, 0), groups=2, activation="relu")
    y = layer.forward(x)
    kernel, bias = layer.get_weights()
    options = {"strides": (2, 1), "padding": "same", "output_padding": (1, 0), "groups": 2}
    assert np.array_equal(y, F.conv2d_transpose(x, kernel, bias, activation="relu", **options))
    assert np.array_equal(L.Resizing(7, 3).forward(x), F.resize(x, (7, 3)))


def test_a_sequence_is_an_image_one_pixel_high():
    x = np.random.default_rng(6).normal(size=(2, 9, 4))
    layer = L.Conv1D(6, 3, 2, "same", activation="relu")
    y = layer.forward(x)
    kernel, bias = layer.get_weights()
    wanted = F.conv2d(x[:, None], kernel[None], bias, strides=(1, 2), padding="same", activation="relu")
    assert np.array_equal(y, wanted[:, 0])


def test_a_flattened_sequence_has_the_channels_of_a_step_together():
    """Keras' answer, for a format that is given; without one a sequence is taken as it lies."""
    x = np.arange(6.0).reshape(1, 3, 2)
    for data_format, row in (
        ("channels_first", [0, 2, 4, 1, 3, 5]),
        ("channels_last", [0, 1, 2, 3, 4, 5]),
        (None, [0, 1, 2, 3, 4, 5]),
    ):
        layer = L.Flatten(data_format)
        assert layer.forward(x, training=True).tolist() == [row]
        np.testing.assert_array_equal(layer.backward(np.array([row], np.float64)), x)


def test_a_model_of_sequences_gives_its_layers_no_format():
    """Its channels were taken for steps, silently."""
    match = r"layer 0 \(conv1d, Conv1D\) must be given data_format='channels_first'"
    with pytest.raises(ValueError, match=match):
        Sequential([L.Input((30, 50)), L.Conv1D(8, 5)], data_format="channels_first").build()
    first = L.Conv1D(8, 5, data_format="channels_first")
    for data_format in ("channels_first", None):
        model = Sequential([L.Input((30, 50)), first.clone()], data_format=data_format).build()
        assert model.output_shape == (None, 8, 46)


def test_strided_and_foreign_arrays():
    x = np.random.default_rng(7).normal(size=(4, 12, 10, 3))[::2, ::-2, ::2]
    for layer in (L.Conv2DTranspose(3, 3, 2), L.SeparableConv2D(3, 2), L.UpSampling2D(), L.Cropping2D(1)):
        assert layer.forward(x).tobytes() == layer.forward(np.ascontiguousarray(x)).tobytes()


WRONG = [
    (
        lambda: L.Conv2DTranspose(2, 3, 2, output_padding=2),
        ValueError,
        "output_padding must be None or an int",
    ),
    (lambda: L.Conv2DTranspose(2, 3, output_padding=0.5), TypeError, "output_padding must be None or an int"),
    (lambda: L.Conv2DTranspose(3, 3, groups=2), ValueError, "groups must divide filters, got 2 and 3"),
    (lambda: L.Conv2DTranspose(2, 3, padding="full"), ValueError, "padding must be 'valid', 'same'"),
    (lambda: L.Conv1DTranspose(2, 3, padding="causal"), ValueError, "padding must be 'valid', 'same'"),
    (lambda: L.Conv1D(2, (3, 3)), ValueError, "kernel_size must be a positive int or a tuple of one"),
    (lambda: L.Conv1D(2, 3.0), TypeError, "kernel_size must be a positive int or a tuple of one"),
    (lambda: L.Conv1D(2, 3, padding="full"), ValueError, "padding must be 'valid', 'same', 'causal'"),
    (lambda: L.Conv1D(2, 3, padding=(1, -1)), ValueError, "padding must be an int of at least 0 or a pair"),
    (lambda: L.SeparableConv2D(2, 3, depth_multiplier=0), ValueError, "depth_multiplier must be a positive"),
    (lambda: L.UpSampling2D(0), ValueError, "size must be a positive int or a pair of them, got 0"),
    (
        lambda: L.UpSampling2D(interpolation="bicubic"),
        ValueError,
        "interpolation must be 'bilinear' or 'nearest'",
    ),
    (lambda: L.Resizing(2, 2, "area"), ValueError, "interpolation must be 'bilinear' or 'nearest'"),
    (lambda: L.Resizing(2, 2, 1), TypeError, "interpolation must be 'bilinear' or 'nearest'"),
    (lambda: L.Resizing(2, 2, antialias=True), ValueError, "antialias must be False"),
    (lambda: L.Resizing(2, 2, fill_mode="reflect"), ValueError, "fill_mode must be one of 'constant'"),
    (
        lambda: L.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        ValueError,
        "crop_to_aspect_ratio and pad_to_aspect_ratio must not both be True",
    ),
    (lambda: L.Cropping2D(-1), ValueError, "cropping must be an int"),
    (lambda: L.Cropping2D("1"), TypeError, "cropping must be an int"),
    (lambda: L.Cropping1D((1, 2, 3)), ValueError, "cropping must be an int of at least 0 or a pair"),
    (lambda: L.Permute((1, 3)), ValueError, "dims must be the ints from 1 on in some order"),
    (lambda: L.Permute(1), TypeError, "dims must be the ints from 1 on in some order"),
    (lambda: L.RepeatVector(0), ValueError, "n must be a positive int, got 0"),
    (lambda: L.RepeatVector(2**40), ValueError, "the output must have at most 16777216 pixels"),
    (lambda: L.MaxPooling1D("2"), TypeError, "pool_size must be a positive int or a tuple of one"),
]


@pytest.mark.parametrize(("factory", "error", "words"), WRONG)
def test_what_constructors_refuse(factory, error, words):
    with pytest.raises(error) as caught:
        factory()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (L.Cropping2D(2), (4, 9, 1), "cropping must leave something of (4, 9, 1), got ((2, 2), (2, 2))"),
        (L.Cropping1D(2), (4, 1), "cropping must leave something of (4, 1), got (2, 2)"),
        (
            L.Conv2DTranspose(2, 3, padding=4),
            (5, 6, 1),
            "padding must leave an output along height, got 4 for",
        ),
        (L.Conv2DTranspose(2, 3, groups=2), (5, 6, 3), "groups must divide the channels, got 2 for 3"),
        (L.Permute((2, 1)), (5, 6, 3), "dims must name the 3 axes of input_shape (5, 6, 3), got (2, 1)"),
        (L.UpSampling2D(2**40), (5, 6, 3), "the output must have at most 16777216 pixels along an axis"),
        (L.Conv1D(2, 5), (4, 1), "the kernel must fit into the padded input along width"),
    ],
)
def test_what_building_refuses(layer, shape, words):
    with pytest.raises(ValueError, match=f"^{type(layer).__name__}: ") as caught:
        layer.build(shape)
    assert words in str(caught.value)


def test_embedding_is_refused_by_name():
    with pytest.raises(AttributeError, match="Embedding"):
        _ = L.Embedding
