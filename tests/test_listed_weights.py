"""The arrays of layers and models under Keras' names: `weights` and its kin, `kernel`, `bias`, `gamma`."""

import copy
import pickle

import numpy as np
import pytest

from cconv import optimizers
from cconv.layers import BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Flatten
from cconv.models import Sequential, load_model

X = np.random.default_rng(0).normal(size=(6, 5, 5, 2)).astype(np.float32)
Y = np.arange(6) % 3


def network():
    layers = [
        Conv2D(4, 3, use_bias=False, input_shape=(5, 5, 2)),
        BatchNormalization(scale=False),
        DepthwiseConv2D(2),
        Flatten(),
        Dense(3, activation="softmax"),
    ]
    model = Sequential(layers, seed=1)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def places(arrays):
    return [array.ctypes.data for array in arrays]


def test_names_are_the_arrays_themselves():
    conv, norm, depthwise, _, dense = network().layers
    for layer in (conv, depthwise, dense):
        assert layer.kernel is layer.params["kernel"]
    assert conv.bias is None
    assert norm.gamma is None
    assert dense.bias is dense.params["bias"]
    assert norm.beta is norm.params["beta"]
    assert norm.moving_mean is norm.state["moving_mean"]
    assert (norm.moving_variance == 1).all()
    for layer, name in ((Dense(2), "kernel"), (BatchNormalization(), "gamma")):
        with pytest.raises(AttributeError, match=f"has no {name} before it is built"):
            getattr(layer, name)


@pytest.mark.parametrize("make", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_lists_are_in_the_order_of_get_weights(make):
    model = make(network())
    assert [array.tobytes() for array in model.weights] == [a.tobytes() for a in model.get_weights()]
    assert places(model.weights) == [p for layer in model.layers for p in places(layer.weights)]
    for thing in (model, *model.layers):
        both = [*thing.trainable_weights, *thing.non_trainable_weights]
        assert sorted(places(both)) == sorted(places(thing.weights))
        assert places(thing.variables) == places(thing.weights)
        assert places(thing.trainable_variables) == places(thing.trainable_weights)
        assert places(thing.non_trainable_variables) == places(thing.non_trainable_weights)
    norm = model.layers[1]
    assert places(model.non_trainable_weights) == places([norm.moving_mean, norm.moving_variance])


def test_frozen_weights_are_not_trainable():
    model = network()
    model.layers[0].trainable = False
    assert model.layers[0].trainable_weights == []
    assert model.layers[0].kernel is model.layers[0].non_trainable_weights[0]
    assert len(model.trainable_weights) == 5
    model.trainable = False
    assert model.trainable_weights == []
    assert len(model.non_trainable_weights) == len(model.weights) == 8


def test_what_is_written_to_them_is_what_the_model_computes_with(tmp_path):
    model = network()
    model.predict(X, verbose=0)
    model.layers[-1].kernel[...] = 0
    model.weights[-1][...] = [1, 0, 0]
    odds = model.predict(X, verbose=0)
    np.testing.assert_allclose(odds, np.tile(np.exp([1, 0, 0]) / (np.e + 2), (6, 1)), rtol=1e-5)
    model.save(tmp_path / "m.st")
    assert (load_model(tmp_path / "m.st").layers[-1].kernel == 0).all()
    before = places(model.weights)
    model.fit(X, Y, verbose=0)
    assert places(model.weights) == before
    assert (model.layers[-1].bias != [1, 0, 0]).any()


def test_a_model_without_weights_yet_has_no_lists():
    model = Sequential([Dense(2)])
    with pytest.raises((RuntimeError, ValueError), match="weights"):
        model.weights  # noqa: B018
    assert not hasattr(Dense(2), "kernel")
    assert Dense(2).weights == []


def test_a_model_class_of_ones_own_cannot_say_what_learns():
    with pytest.raises(TypeError, match="trainable_weights would never be called"):
        type("Own", (Sequential,), {"trainable_weights": property(lambda self: [])})


def test_optimizers_have_keras_names():
    assert [getattr(optimizers, kind)().name for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Lion")] == [
        *("SGD", "adam", "adamw", "rmsprop", "lion"),
    ]


@pytest.mark.parametrize("wrong", [None, 3, "weights"])
def test_weights_that_are_no_list(wrong):
    model = Sequential([Dense(2, input_shape=(3,))], seed=0)
    for holder in (model, model.layers[0]):
        with pytest.raises(
            TypeError, match=r"set_weights: weights must be a list of arrays|Dense.*: weights must"
        ):
            holder.set_weights(wrong)
