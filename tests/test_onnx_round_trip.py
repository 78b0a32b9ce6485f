"""Models written as ONNX and read again: the same bits, for all that is read as the layer that it was."""

import numpy as np
import pytest

from cconv import applications
from cconv.io import onnx
from tests.onnx_cases import CHAINS, MERGES, model_of
from tests.random_graphs import random_graph
from tests.test_onnx_saving import given, of_state

# Written out in operators, or folded into the layer in front: they come back as other layers.
ROUNDED = {"softmax, pixels", "data", "mixed", "cropped from little", "centre of little", "affine"}
# Written in operators that no layer of the library is by itself.
NOT_READ = {"rows, scaled", "mean squares", "units", "leaky", "products", "of rows"}


def back(model, tmp_path):
    model.export(tmp_path / "m.onnx")
    return onnx.load(tmp_path / "m.onnx")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*CHAINS, *MERGES])
def test_layers(name, dtype, tmp_path):
    model = of_state(model_of(name, dtype=dtype))
    if name in NOT_READ:
        with pytest.raises(ValueError, match=r"cconv has no layers for (Sqrt|Greater|Einsum) \("):
            back(model, tmp_path)
        return
    twin, (x,) = back(model, tmp_path), given(model, 3)
    found, expected = (each.predict(x, verbose=0) for each in (twin, model))
    if name in ROUNDED:
        np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


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
