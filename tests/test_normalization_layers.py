"""What the normalisations refuse and remember, and that models of them train alike however they are run."""

import warnings

import numpy as np
import pytest

import cconv
from cconv.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    ElementwiseAffine,
    Flatten,
    GlobalAveragePooling2D,
    GroupNormalization,
    LayerNormalization,
    LayerScale,
    Normalization,
    Rescaling,
    RMSNormalization,
    UnitNormalization,
)
from cconv.models import Sequential, load_model
from cconv.utils import PyDataset


def numbers(*shape, seed=0, dtype="float32"):
    return (np.random.default_rng(seed).normal(size=shape) * 3 + 2).astype(dtype)


# --- refused


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LayerNormalization("1"), TypeError, "LayerNormalization: axis must be an int or a sequence"),
        (lambda: LayerNormalization([]), TypeError, "LayerNormalization: axis must be an int or a sequence"),
        (lambda: LayerNormalization(0).build((3,)), ValueError, "axis must name different axes of 1 to 1"),
        (
            lambda: RMSNormalization([1, -2]).build((3, 4)),
            ValueError,
            "axis must name different axes of 1 to 2",
        ),
        (
            lambda: UnitNormalization(4).build((3, 4, 2)),
            ValueError,
            "axis must name different axes of 1 to 3",
        ),
        (
            lambda: LayerNormalization(epsilon=-1.0),
            ValueError,
            "epsilon must be a finite number of at least 0",
        ),
        (lambda: LayerNormalization(rms_scaling=1), TypeError, "rms_scaling must be True or False"),
        (lambda: GroupNormalization(0), ValueError, "groups must be a positive int, or -1"),
        (lambda: GroupNormalization(2.0), TypeError, "groups must be a positive int, or -1"),
        (lambda: GroupNormalization(4).build((3, 6)), ValueError, "groups must divide the 6 channels"),
        (lambda: GroupNormalization(2, axis=2), ValueError, "GroupNormalization: axis must be -1 or 3"),
        (lambda: GroupNormalization(2, axis=3).build((4,)), ValueError, "axis must be -1 or 1, the last"),
        (lambda: LayerNormalization(gamma_constraint="x"), ValueError, "gamma_constraint must be one of"),
        (lambda: BatchNormalization(synchronized=True), TypeError, "synchronized is not supported"),
        (lambda: Normalization(mean=1.0), ValueError, "mean and variance must both be given or neither"),
        (lambda: Normalization(mean=[1.0], variance=1.0), ValueError, "variance must have the shape of mean"),
        (lambda: Normalization(mean=1.0, variance=-1.0), ValueError, "variance must be at least 0"),
        (lambda: Normalization(mean=np.nan, variance=1.0), ValueError, "mean must be finite numbers"),
        (
            lambda: Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0]).build((3,)),
            ValueError,
            r"mean must fit the axes' shape \(3,\), got the shape \(2,\)",
        ),
        (lambda: Normalization("1"), TypeError, "axis must be None, an int or a sequence of them"),
        (lambda: Normalization(0).build((3,)), ValueError, "axis must name different axes"),
        (
            lambda: Rescaling([1.0, 2.0]).build((3,)),
            ValueError,
            "scale must be a number, or one for each of the 3",
        ),
        (lambda: Rescaling(1.0, [1.0, "2"]), TypeError, r"offset\[1\] must be a finite number"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (3.0, TypeError, "Normalization.adapt: data must be an array or batches, got 3.0"),
        ("text", TypeError, "data must be an array or batches"),
        ([], ValueError, "data must hold at least one sample"),
        (np.zeros((0, 3)), ValueError, "data must hold at least one sample"),
        (np.zeros(3), ValueError, "data must have a batch axis and at least one more"),
        (np.zeros((2, 3), complex), TypeError, "data must hold real numbers"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], ValueError, "data must have one shape after the batch"),
    ],
)
def test_wrong_data(data, error, message):
    with pytest.raises(error, match=message):
        Normalization().adapt(data)


def test_training_without_data_before():
    x = numbers(4, 3)
    layer = Normalization(name="first")
    for training in (False, True):
        assert np.array_equal(layer.forward(x, training=training), x)  # as in Keras: mean 0, variance 1
    models = [Sequential([*before, Dense(1)], seed=0) for before in ([Normalization()], [])]
    for model in models:
        model.build((3,))
    models[0].layers[1].set_weights(models[1].layers[0].get_weights())
    for model in models:
        model.compile("sgd", "mse")
        model.fit(x, x[:, :1], epochs=2, shuffle=False, verbose=0)
    assert np.array_equal(models[0].predict(x, verbose=0), models[1].predict(x, verbose=0))
    with pytest.raises(ValueError, match="mean and variance were given"):
        Normalization(mean=0.0, variance=1.0).adapt(x)
    with pytest.raises(ValueError, match=r"data must have the shape \(3,\) after the batch, got \(4, 5\)"):
        layer.adapt(numbers(4, 5))
    with pytest.raises(ValueError, match="that adapt has seen"):
        Normalization().adapt(numbers(4, 5)).build((3,))


# --- remembered


class Batches(PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.x[index * 4 : index * 4 + 4], None


def test_adapt_of_every_kind_of_data():
    x = (numbers(12, 4, 3, 2) * 20).clip(0, 255).astype(np.uint8)
    wide = x.astype(np.float64)
    for data in (x, x[::-1][::-1], Batches(x), [x[:5], x[5:]], ((b, None) for b in (x,))):
        layer = Normalization().adapt(data).build((4, 3, 2), dtype="float64")
        np.testing.assert_allclose(layer.state["mean"], wide.mean(axis=(0, 1, 2)), rtol=1e-14)
        np.testing.assert_allclose(layer.state["variance"], wide.var(axis=(0, 1, 2)), rtol=1e-13)
        assert layer.state["count"] == 12 * 4 * 3
    again = layer.adapt(x[:3])
    assert again is layer
    np.testing.assert_allclose(layer.state["mean"], wide[:3].mean(axis=(0, 1, 2)), rtol=1e-14)
    first = Normalization(axis=1, data_format="channels_first").adapt(np.moveaxis(x, 3, 1))
    y = first.forward(np.moveaxis(wide, 3, 1))
    np.testing.assert_allclose(np.moveaxis(y, 1, 3), Normalization().adapt(x).forward(wide), rtol=1e-13)


def test_an_adapted_model_is_saved_and_loaded(tmp_path):
    x = numbers(30, 5)
    y = (x.sum(axis=1) > 10).astype("int64")
    layer = Normalization().adapt(x)
    model = Sequential([layer, Dense(4, "relu"), LayerNormalization(), Dense(2, "softmax")], seed=1)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_allclose(layer.state["mean"], x.mean(axis=0), rtol=1e-5)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = load_model(path)
    assert loaded.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()
    loaded.fit(x, y, epochs=1, verbose=0)  # which knows its data
    model.fit(x, y, epochs=1, verbose=0)
    assert loaded.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()


# --- in models


def network(along_others=True):
    """Layers for a model; those along other axes than the channels sum in the order of the data format."""
    others = RMSNormalization((1, 2, 3)), LayerNormalization([1, 3], scale=False)
    return [
        Rescaling([0.5, 1.0, 2.0], offset=[0.0, 0.5, -1.0]),
        Normalization(-1, [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]),
        Conv2D(8, 3, padding="same", activation="relu"),
        LayerNormalization(),
        LayerScale(0.5),
        Conv2D(6, 3, activation="relu", padding="same"),
        GroupNormalization(3),
        *(others[:1] if along_others else ()),
        UnitNormalization(),
        *(others[1:] if along_others else ()),
        GlobalAveragePooling2D(),
        Dense(3, activation="softmax"),
    ]


def trained(threads, fuse, dtype="float32", data_format=None, along_others=True):
    cconv.set_num_threads(threads)
    x, labels = numbers(26, 7, 6, 3, dtype=dtype), np.arange(26) % 3
    if data_format == "channels_first":
        x = np.ascontiguousarray(np.moveaxis(x, 3, 1))
    model = Sequential(network(along_others), seed=3, dtype=dtype, data_format=data_format)
    model.fuse = fuse
    model.compile("adam", "sparse_categorical_crossentropy")
    # Batches that shrink at the end of each epoch, and come again.
    model.fit(x, labels, batch_size=10, epochs=3, verbose=0, shuffle=False)
    found = [*model.get_weights(), *(model.predict(x[:n], verbose=0) for n in (3, 26, 1))]
    return b"".join(array.tobytes() for array in found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_does_not_depend_on_threads_fusing_or_format(dtype):
    kept = cconv.get_num_threads()
    try:
        runs = {trained(threads, fuse, dtype) for threads in (1, 2, 3, 8) for fuse in (True, False)}
        assert len(runs) == 1
        assert trained(2, True, dtype, "channels_first", False) == trained(2, True, dtype, None, False)
    finally:
        cconv.set_num_threads(kept)


@pytest.mark.parametrize(
    ("make", "axes"),
    [
        (lambda axis, how: LayerNormalization(axis, data_format=how), ((1,), (3,))),
        (lambda axis, how: LayerNormalization(axis, data_format=how), ((2, 3), (1, 2))),
        (lambda axis, how: RMSNormalization(axis, data_format=how), ((-1, -3), (2, 3))),
        (lambda axis, how: UnitNormalization(axis, data_format=how), ((1, 2, 3), (3, 1, 2))),
    ],
)
def test_axes_of_channels_first_are_those_of_channels_last(make, axes):
    x, dy = numbers(3, 4, 5, 6, dtype="float64"), numbers(3, 4, 5, 6, seed=1, dtype="float64")
    first, last = make(list(axes[0]), "channels_first"), make(list(axes[1]), None)
    y = last.forward(x, training=True)
    turned = first.forward(np.moveaxis(x, 3, 1), training=True)
    np.testing.assert_allclose(np.moveaxis(turned, 1, 3), y, rtol=1e-12)
    np.testing.assert_allclose(
        np.moveaxis(first.backward(np.moveaxis(dy, 3, 1)), 1, 3), last.backward(dy), rtol=1e-9, atol=1e-12
    )


def test_whole_samples_longer_than_a_piece():
    x, dy = numbers(3, 40, 30, 9, dtype="float64"), numbers(3, 40, 30, 9, seed=1, dtype="float64")
    layer = LayerNormalization((1, 2, 3), epsilon=1e-6).build(x.shape[1:], dtype="float64")
    y = layer.forward(x, training=True)
    deviation = x.std(axis=(1, 2, 3), keepdims=True)
    xhat = (x - x.mean(axis=(1, 2, 3), keepdims=True)) / deviation
    np.testing.assert_allclose(y, xhat, rtol=1e-6, atol=1e-6)
    layer.backward(dy)
    np.testing.assert_allclose(layer.grads["gamma"], (dy * xhat).sum(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(layer.grads["beta"], dy.sum(axis=0), rtol=1e-12)


def test_a_frozen_batch_normalization_infers():
    x = numbers(20, 3)
    layer = BatchNormalization(trainable=False).build((3,))
    layer.state["moving_mean"], layer.state["moving_variance"] = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    before = [array.copy() for array in layer.state.values()]
    assert layer.forward(x, training=True).tobytes() == layer.forward(x).tobytes()
    layer.backward(x)
    assert not layer.grads
    for array, kept in zip(layer.state.values(), before, strict=True):
        assert np.array_equal(array, kept)


def test_per_channel_rescaling_of_bytes_is_that_of_floats():
    x = (numbers(12, 4, 4, 3) * 20).clip(0, 255).astype(np.uint8)
    layers = [Rescaling([1 / 255, 0.5, 2.0], offset=[0.0, -1.0, 3.0]), Flatten(), Dense(2)]
    model = Sequential(layers, seed=0)
    model.build((4, 4, 3))
    assert model.predict(x, verbose=0).tobytes() == model.predict(x.astype("float32"), verbose=0).tobytes()
    y = layers[0].forward(x)
    scale, offset = np.float32([1 / 255, 0.5, 2.0]), np.float32([0.0, -1.0, 3.0])
    assert np.array_equal(y, x.astype("float32") * scale + offset)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_pass_without_a_warning(dtype):
    x = np.ones((6, 4, 4, 2), dtype)
    x[0, 0, 0, 0], x[1, 0, 0, 0], x[2, 0, 0, 1] = np.inf, -np.inf, np.finfo("float32").max
    layer = BatchNormalization()
    layer.build((4, 4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(layer.forward(x.astype(layer.dtype), training=True)[..., 0]).all()
        Normalization().adapt(x)


@pytest.mark.parametrize("layer", [Rescaling(2.0, offset=-1.0), Rescaling(0.0), ElementwiseAffine()])
@pytest.mark.parametrize("replayed", [False, True])
def test_layers_that_numpy_computes_let_infinities_pass_without_a_warning(layer, replayed):
    x = np.full((2, 3), np.finfo("float32").max, np.float32)
    x[0] = np.inf, -np.inf, np.nan
    model = Sequential([layer.clone(), Dense(1)], seed=0).build((3,))
    if isinstance(layer, ElementwiseAffine):
        model.layers[0].params["gamma"] = np.full(3, 4.0, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(1 + 3 * replayed):
            assert np.isnan(model.predict_on_batch(x)[0, 0])
        assert model.layers[0].forward(x, training=True).shape == x.shape
        assert np.isnan(model.layers[0].backward(x)[0, 2])
