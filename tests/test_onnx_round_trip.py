"""Models written as ONNX and read again: the same bits."""

import numpy as np
import pytest

from cconv import applications
from cconv import layers as L
from cconv.io import onnx
from cconv.models import Model, Sequential
from tests.onnx_cases import CHAINS, IMAGE, MERGES, STEPS, model_of
from tests.random_graphs import random_graph
from tests.test_onnx_saving import given, of_state

RNG = np.random.default_rng(5)


def numbers(*shape):
    return RNG.uniform(0.3, 1.5, shape).tolist()


# Layers that are written as the same operators as others, or could be a part of the layer in front.
ALIKE = {
    "preprocessing": ([L.Rescaling(1 / 127.5, -1.0), L.Conv2D(3, 1), L.Rescaling(1 / 3, 0.7)], IMAGE),
    "channels": ([L.Rescaling(numbers(4), numbers(4)), L.Rescaling(0.3, numbers(4))], IMAGE),
    "offsets": ([L.Conv2D(4, 1), L.Rescaling(1.0, numbers(4)), L.Rescaling(numbers(4), 0.1)], IMAGE),
    "flat": ([L.Conv2D(3, 1), L.Flatten(), L.Rescaling(0.3, 0.1), L.Dense(3)], IMAGE),
    "affine": (
        [
            L.BatchNormalization(),
            *(L.ElementwiseAffine(True, False, shared_axes=[1, 2]), L.ElementwiseAffine(False, True)),
            *(L.GroupNormalization(2), L.ElementwiseAffine(True, True, [1, 2])),
        ],
        IMAGE,
    ),
    "no bias": ([L.Dense(5, use_bias=False), L.ElementwiseAffine(False, True)], IMAGE),
    "no bias of rows": ([L.Dense(5, use_bias=False), L.ElementwiseAffine(), L.Dense(3)], (4,)),
    "scaled": ([L.Conv2D(5, 1), L.LayerScale(1 / 3), L.GlobalAveragePooling2D(), L.LayerScale(0.3)], IMAGE),
    "data behind": ([L.Conv2D(4, 1), L.Normalization(-1, numbers(4), numbers(4))], IMAGE),
    "data, one": ([L.Normalization(None, 0.3, 0.7), L.Normalization(None, 0.1, 0.9, True)], IMAGE),
    "data, all": ([L.Normalization([1, 2, 3], numbers(7, 6, 4), numbers(7, 6, 4))], IMAGE),
    "data, other axes": ([L.Normalization([1, 3], numbers(7, 4), numbers(7, 4), True)], IMAGE),
    "data, steps": ([L.Normalization(-1, numbers(4), numbers(4)), L.RMSNormalization(1)], STEPS),
    "data, rows": ([L.Normalization(-1, numbers(9), numbers(9)), L.RMSNormalization()], (9,)),
    "layer norms": ([L.LayerNormalization([1, 2]), L.LayerNormalization([1, 3], scale=False)], IMAGE),
    "root mean squares": ([L.RMSNormalization([1, 3]), L.LayerNormalization(2, rms_scaling=True)], IMAGE),
    "lengths": ([L.UnitNormalization(2), L.UnitNormalization([1, 2, 3]), L.Softmax([1, 3])], IMAGE),
    "ends": ([L.ReLU(None, 0.3, 0.7), L.ReLU(2.2, 0.3), L.LeakyReLU(0.3), L.ReLU(0.9, 0.0, 0.3)], IMAGE),
    "curves": ([L.Conv2D(4, 1, activation=a) for a in ("gelu", "mish", "silu", "hard_silu", "relu6")], IMAGE),
    "middles": ([L.CenterCrop(5, 11), L.RandomCrop(3, 7), L.Resizing(9, 4, "nearest", True)], IMAGE),
    "one channel": ([L.Normalization(-1, [0.3], [0.7]), L.Rescaling([0.3], [0.1])], (7, 6, 1)),
}
FIRST = (
    *("preprocessing", "channels", "offsets", "scaled", "data behind", "data, one", "layer norms"),
    *("root mean squares", "lengths", "middles"),
)


def back(model, tmp_path):
    model.export(tmp_path / "m.onnx")
    return onnx.load(tmp_path / "m.onnx")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*CHAINS, *MERGES])
def test_layers(name, dtype, tmp_path):
    model = of_state(model_of(name, dtype=dtype))
    twin, (x,) = back(model, tmp_path), given(model, 3)
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("name", "dtype", "data_format"),
    [*((name, "float64", None) for name in ALIKE), *((name, "float32", "channels_first") for name in FIRST)],
)
def test_layers_that_are_written_alike(name, dtype, data_format, tmp_path):
    chain, (*sides, channels) = ALIKE[name]
    model = Sequential([layer.clone() for layer in chain], seed=1, dtype=dtype, data_format=data_format)
    model.build((channels, *sides) if data_format == "channels_first" else (*sides, channels))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        for weight in layer.params.values():
            weight[...] = rng.uniform(0.3, 1.5, weight.shape)
    twin, (x,) = back(of_state(model), tmp_path), given(model, 3)
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))


CURVES = ("gelu", "mish", "silu", "hard_silu", "hard_sigmoid", "elu", "softsign", "tanh")


@pytest.mark.parametrize("activation", CURVES)
@pytest.mark.parametrize("product", ["a number", "numbers", "a layer"])
def test_a_curve_behind_a_product(product, activation, tmp_path):
    """What the curve takes is a product itself, and factors of both must not be mixed up."""
    x = L.Input((3, 4, 2))
    scaled = {
        "a number": lambda: L.Rescaling(0.5)(x),
        "numbers": lambda: L.Rescaling(numbers(2))(x),
        "a layer": lambda: L.Multiply()([x, L.Conv2D(2, 1)(x)]),
    }[product]()
    model = of_state(Model(x, L.Flatten()(L.Activation(activation)(scaled))))
    twin, (data,) = back(model, tmp_path), given(model, 3)
    np.testing.assert_array_equal(twin.predict(data, verbose=0), model.predict(data, verbose=0))


def test_three_of_a_kind(tmp_path):
    x = L.Input(IMAGE)
    small = L.GlobalMaxPooling2D(keepdims=True)(x)
    for kind in (L.Average, L.Add, L.Multiply, L.Maximum):
        model = Model(x, kind()([small, x, x]))
        twin, (array,) = back(model, tmp_path), given(model, 3)
        assert [type(layer) for layer in twin.layers][-1] is kind
        np.testing.assert_array_equal(twin.predict(array, verbose=0), model.predict(array, verbose=0))


@pytest.mark.parametrize("data_format", [None, "channels_first"])
@pytest.mark.parametrize("seed", range(8))
def test_random_graphs(seed, data_format, tmp_path):
    model = of_state(random_graph(np.random.default_rng(seed), data_format=data_format, dtype="float32"))
    twin, (x,) = back(model, tmp_path), given(model, 3)
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
    again = back(twin, tmp_path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("name", ["LeNet5", "ResNet20", "SqueezeNet", "MobileNetV3Small"])
def test_named_networks(name, tmp_path):
    model = of_state(getattr(applications, name)())
    twin, (x,) = back(model, tmp_path), given(model, 2)
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
    assert twin.count_params() == model.count_params()


def test_what_is_read_goes_on_learning(tmp_path):
    model = of_state(applications.ResNet20())
    twin, (x,) = back(model, tmp_path), given(model, 4)
    losses = []
    for each in (model, twin):
        each.compile("sgd", "sparse_categorical_crossentropy")
        losses.append([each.train_on_batch(x, np.arange(4)) for _ in range(3)])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert losses[0][2] < losses[0][0]
