"""Layers in several models: each model's random draws, and models inside that get or lose layers."""

import copy
import pickle

import numpy as np
import pytest

from cconv.callbacks import LambdaCallback
from cconv.layers import (
    Add,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    Layer,
    SpatialDropout2D,
    Subtract,
)
from cconv.models import Model, Sequential, load_model
from cconv.optimizers import SGD

X = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
ZEROS = np.zeros_like(X)


def of_model(layer):
    inputs = Input((8,))
    return Model(inputs, layer(inputs))


def of_sequential(layer):
    return Sequential([Input((8,)), layer])


def renamed(item, name):
    item.name = name
    return item


@pytest.mark.parametrize("made", [of_model, of_sequential, lambda layer: layer])
@pytest.mark.parametrize("kind", [Dropout, GaussianNoise])
def test_no_two_layers_draw_the_same(made, kind):
    """Each of the two was the first layer of the model that built it."""
    inputs = Input((8,))
    sides = [renamed(made(kind(0.5)), name)(inputs) for name in ("left", "right")]
    model = Model(inputs, Subtract()(sides), seed=0)
    model.compile("sgd", "mse")
    for _ in range(2):
        assert model.train_on_batch(X, ZEROS) > 0.1
    y = model(X, training=True)
    assert np.mean(y**2) > 0.1


def nested():
    inputs = Input((8,))
    inner = Model(inputs, Dropout(0.5)(Dense(8)(inputs)), name="inner", seed=1)
    outer = Input((8,))
    model = Model(outer, Dense(8)(inner(Dense(8)(outer))), seed=2)
    model.compile("adam", "mse")
    return model, inner


def trained(model, times=1):
    losses = [model.fit(X, ZEROS, batch_size=7, verbose=0).history["loss"][0] for _ in range(times)]
    return losses, [array.tobytes() for array in model.get_weights()]


@pytest.mark.parametrize("way", ["file", "pickle", "deepcopy"])
def test_a_nested_model_that_is_read_goes_on_with_the_same_bits(way, tmp_path):
    model, _ = nested()
    trained(model)
    if way == "file":
        model.save(tmp_path / "model.safetensors")
        again = load_model(tmp_path / "model.safetensors")
    else:
        again = copy.deepcopy(model) if way == "deepcopy" else pickle.loads(pickle.dumps(model))
    assert trained(model, 2) == trained(again, 2)


def test_a_model_draws_the_same_whatever_trains_its_layers_meanwhile():
    (model, inner), (beside, _) = nested(), nested()
    inner.compile(SGD(0.0), "mse")
    for _ in range(3):
        assert trained(model) == trained(beside)
        trained(inner)  # its steps change no weight, but number the layers


@pytest.mark.parametrize("shape", [(8,), (4, 4, 3)])
def test_further_uses_follow_the_rate(shape):
    layer = Dropout(0.9) if len(shape) == 1 else SpatialDropout2D(0.9)
    inputs = Input(shape)
    model = Model(inputs, Flatten()(layer(layer(inputs))), seed=0)
    model.compile("sgd", "mse")
    x = np.ones((4, *shape), np.float32)
    y = x.reshape(4, -1)
    assert model.train_on_batch(x, y) > 0.5
    layer.rate = 0.0
    assert model.train_on_batch(x, y) == 0.0


class Times(Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.factor = 1.0

    def forward(self, x):
        return x * self.factor

    def backward(self, dy):
        return dy * self.factor


@pytest.mark.parametrize("at_inference", [False, True])
def test_further_uses_follow_arguments_of_ones_own(at_inference):
    layer, inputs = Times(), Input((2,))
    model = Model(inputs, layer(layer(inputs), training=False if at_inference else None))
    ones = np.ones((1, 2), np.float32)
    model.predict(ones, verbose=0)
    layer.factor = 3.0
    assert (model.predict(ones, verbose=0) == 9).all()


# --- models inside ----------------------------------------------------------------------------


def around(inner):
    inputs = Input((8,))
    model = Model(inputs, inner(inputs), seed=0)
    model.compile("sgd", "mse")
    return model


def outer_sequential(inner):
    model = Sequential([inner], seed=0)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("outer", [around, outer_sequential])
def test_a_model_inside_gets_and_loses_layers(outer, deep, tmp_path):
    inner = Sequential([Dense(8, input_shape=(8,))], name="inner", seed=1)
    model = outer(Sequential([inner], name="between") if deep else inner)
    model.predict(X, verbose=0)
    trained(model)
    for change in (lambda: inner.add(Dense(8, name="new")), inner.pop):
        change()
        assert model.count_params() == inner.count_params()
        wanted = inner.predict(X, verbose=0)
        for predict in (model.predict, model.freeze().predict, model.predict_on_batch):
            np.testing.assert_array_equal(predict(X), wanted)
        before = inner.get_weights()
        model.train_on_batch(X, ZEROS)
        assert all((a != b).any() for a, b in zip(before, inner.get_weights(), strict=True))
        model.save(tmp_path / "model.safetensors")
        again = load_model(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_model_inside_stays_as_it_is_in_training():
    inner = Sequential([Dense(8, input_shape=(8,))], name="inner")
    model = around(inner)
    for change in (lambda: inner.add(Dense(8)), inner.pop):
        callback = LambdaCallback(on_train_batch_end=lambda batch, logs, change=change: change())
        with pytest.raises(RuntimeError, match=r"Sequential\.(add|pop): dense.*is training"):
            model.fit(X, ZEROS, verbose=0, callbacks=[callback])
        assert len(inner.layers) == 1


# --- one layer at inference and in training ---------------------------------------------------


def test_gradients_where_a_use_at_inference_comes_before_the_batch_moves_the_averages():
    def made():
        inputs = Input((4,))
        hidden, layer = Dense(4)(inputs), BatchNormalization(momentum=0.0)
        uses = [layer(hidden, training=False), layer(hidden)]
        model = Model(inputs, Add()(uses), seed=0, dtype="float64")
        model.compile(SGD(1.0), "mse")
        return model

    x, y = np.random.default_rng(1).normal(size=(2, 8, 4))
    model, other = made(), made()
    before = model.get_weights()
    model.train_on_batch(x, y)
    after = model.get_weights()
    for number in range(4):  # kernel, bias, gamma, beta
        for place in np.ndindex(before[number].shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [array.copy() for array in before]
                moved[number][place] += step
                other.set_weights(moved)
                sides.append(other.train_on_batch(x, y))
            slope = (sides[0] - sides[1]) / 2e-6
            np.testing.assert_allclose(before[number][place] - after[number][place], slope, atol=1e-6)


@pytest.mark.parametrize("first", [0, 1])
def test_a_layers_output_is_that_of_its_first_call_also_in_copies(first, tmp_path):
    """The outputs are named in either order, which decides the order in which they are computed."""
    inputs, shared = Input((8,)), Dense(8, name="shared")
    calls = [shared(inputs), shared(Dense(8, activation="tanh")(inputs))]
    model = Model(inputs, [calls[first], calls[1 - first]], seed=0)
    model.save(tmp_path / "model.safetensors")
    wanted = Model(inputs, calls[0]).predict(X, verbose=0)
    read = load_model(tmp_path / "model.safetensors")
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), read, copy.deepcopy(read)):
        part = Model(other.input, other.get_layer("shared").output)
        np.testing.assert_array_equal(part.predict(X, verbose=0), wanted)
        assert other.get_config() == model.get_config()


def slots(model):
    return {name: array for name, array in model.optimizer.get_state().items() if "/" in name}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("units", [8, 5])
def test_a_layer_that_takes_the_place_of_another_begins_anew(nested, units):
    inner = Sequential([Dense(8, input_shape=(8,), name="one"), Dense(8, name="two")], name="inner", seed=1)
    model = around(inner) if nested else inner
    model.compile("adam", "mse")
    trained(model, 3)
    kept = {name: array for name, array in slots(model).items() if "one/" in name}
    inner.pop()
    inner.add(Dense(units, name="two"))
    model.count_params()  # the model around it notices
    found = slots(model)
    assert found.keys() == kept.keys()
    assert all(np.array_equal(found[name], kept[name]) for name in kept)
    model.train_on_batch(X, np.zeros((len(X), units)))
    assert len(slots(model)) == 2 * len(kept)


def test_a_layer_of_another_model_keeps_its_name(tmp_path):
    """The other model's file and optimizer know it by that."""
    one, two, other = Dense(8), Dense(8), Dense(8, name="dense")
    model = Sequential([Input((8,)), two], seed=0)
    for first in (one, other):
        with pytest.raises(ValueError, match="every layer needs a name of its own, got 'dense' twice"):
            Sequential([Input((8,)), first, two])
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(read.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_layer_that_is_named_before_it_is_built_is_saved_by_that_name(tmp_path):
    layer = Dense(8)
    model = Sequential([Dense(8, name="first"), layer], seed=0)
    Sequential([Input((8,)), Dense(8), layer])
    model.build((8,))
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(read.predict(X, verbose=0), model.predict(X, verbose=0))
