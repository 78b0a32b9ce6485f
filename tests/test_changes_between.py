"""Weights, settings and buffers that change between two batches, by callbacks, generators and users."""

import copy

import numpy as np
import pytest

from cconv import layers as L
from cconv.callbacks import Callback
from cconv.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.random((8, 6, 6, 3), np.float32)
Y = RNG.random((8, 2), np.float32)


def model_of(seed):
    chain = [L.Conv2D(8, 3), L.BatchNormalization(), L.Flatten(), L.Dense(2)]
    model = Sequential(chain, seed=seed).build((6, 6, 3))
    model.compile("sgd", "mse")
    return model


def halves(model, weights):
    """Two batches; between them the generator sets other weights."""
    yield X[:4], Y[:4]
    model.set_weights(weights)
    yield X[4:], Y[4:]


class Sets(Callback):
    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def on_predict_batch_end(self, batch, logs=None):
        self.model.set_weights(self.weights)

    on_test_batch_end = on_predict_batch_end


@pytest.mark.parametrize("who", ["a generator", "a callback"])
def test_weights_that_change_between_two_batches(who):
    """Each batch has the outputs of one set of weights, also where a normalisation is folded into them."""
    other = model_of(2)
    model, weights = model_of(1), other.get_weights()
    wanted = np.concatenate([model.predict(X[:4], verbose=0), other.predict(X[4:], verbose=0)])
    if who == "a generator":
        given = (x for x, _ in halves(model, weights))
        np.testing.assert_array_equal(model.predict(given, verbose=0), wanted)
        model = model_of(1)
        loss = model.evaluate(halves(model, weights), verbose=0)
    else:
        options = {"batch_size": 4, "callbacks": [Sets(weights)], "verbose": 0}
        np.testing.assert_array_equal(model.predict(X, **options), wanted)
        loss = model_of(1).evaluate(X, Y, **options)
    assert loss == pytest.approx(np.mean((wanted - Y) ** 2), rel=1e-5)


def test_training_and_validation_may_fill_one_buffer():
    x, y = np.empty((4, 2), np.float32), np.empty((4, 1), np.float32)

    def filled(value, own):
        while True:
            x[...] = y[...] = value
            yield (x.copy(), y.copy()) if own else (x, y)

    losses = []
    for own in (True, False):
        model = Sequential([L.Dense(1, input_shape=(2,))], seed=0)
        model.compile("sgd", "mse")
        given = {"validation_data": filled(9.0, own), "validation_steps": 1, "steps_per_epoch": 1}
        losses.append(model.fit(filled(1.0, own), epochs=2, verbose=0, **given).history)
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("layer", "changes"),
    [
        (lambda: L.Clip(-1.0, 1.0), {"min_value": 0.1, "max_value": 0.25}),
        (lambda: L.LocalResponseNormalization(3), {"size": 5, "alpha": 0.3, "beta": 0.5, "bias": 2.0}),
    ],
)
def test_settings_that_change_after_several_batches(layer, changes):
    model = Sequential([L.Input((4, 4, 8)), layer()])
    model.compile("sgd", "mse")
    x = RNG.random((2, 4, 4, 8), np.float32)
    for name, value in changes.items():
        for _ in range(3):
            model.predict(x, verbose=0)
            model.train_on_batch(x, x)
        setattr(model.layers[0], name, value)
        twin = copy.deepcopy(model)
        np.testing.assert_array_equal(model.predict(x, verbose=0), twin.predict(x, verbose=0))
        assert model.train_on_batch(x, x) == twin.train_on_batch(x, x)
