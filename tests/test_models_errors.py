"""fit, compile: what they refuse, what is said of a loss that is not finite, what an interrupt leaves."""

import math

import numpy as np
import pytest

from cconv.callbacks import Callback, LambdaCallback
from cconv.layers import Dense, Flatten
from cconv.models import Sequential
from cconv.models.training import NonFiniteLossError
from cconv.optimizers import SGD
from cconv.utils import to_categorical
from tests.test_models_training import X, Y, network


def poisoned(layer):
    model = network(optimizer=SGD(0.1))
    weights = model.layers[layer].get_weights()
    weights[0][...] = np.nan
    model.layers[layer].set_weights(weights)
    return model


def test_a_loss_that_is_not_finite_names_epoch_step_and_layer():
    model = poisoned(3)
    before = model.get_weights()
    with pytest.raises(
        NonFiniteLossError,
        match=r"nan in epoch 1, step 1 of 3: layer 3 \(dense, Dense\) is the first.*nor are its w",
    ):
        model.fit(X, Y, batch_size=16, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b, equal_nan=True), "the step that failed must change nothing"
    with pytest.raises(NonFiniteLossError, match=r"layer 0 \(conv2d, Conv2D\)"):
        poisoned(0).fit(X, Y, verbose=0)


def test_an_input_that_is_not_finite_is_named():
    bad = X.copy()
    bad[-1, 0, 0, 0] = np.inf
    with pytest.raises(
        NonFiniteLossError, match="epoch 1, step 3 of 3: the input of this batch is not finite"
    ):
        network().fit(bad, Y, batch_size=16, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (
            1e30,
            r"epoch 2, step 1 of 1: layer 2 \(dense_1, Dense\) is the first whose output is not finite; a",
        ),
        (100.0, r"epoch 3, step 1 of 1: the output of every layer is finite, but too large for the loss"),
    ],
)
def test_too_large_a_learning_rate_is_found_in_later_epochs(rate, text):
    model = Sequential([Flatten(input_shape=(8, 8, 2)), Dense(8), Dense(1)], seed=0)
    model.compile(SGD(rate), "mse")
    with pytest.raises(FloatingPointError, match=text):
        model.fit(X, Y, batch_size=45, epochs=50, verbose=0)


def test_targets_that_are_not_finite_are_named():
    model = Sequential([Flatten(input_shape=(8, 8, 2)), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    targets = Y.astype(np.float64)
    targets[3] = np.nan
    with pytest.raises(NonFiniteLossError, match="the targets or weights of this batch are not finite"):
        model.fit(X, targets, verbose=0, batch_size=45)


def test_an_interrupt_leaves_a_usable_model():
    def interrupt(batch, logs):
        if batch == 1:
            raise KeyboardInterrupt

    class Closed(Callback):
        closed = 0

        def close(self):
            self.closed += 1

    model, closed = network(), Closed()
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            X, Y, batch_size=16, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=interrupt), closed]
        )
    assert closed.closed == 1
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(X, Y, verbose=0)
    assert math.isfinite(model.evaluate(X, Y, verbose=0)[0])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be a positive int, got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be a positive int, got 2.5"),
        ({"epochs": 0}, ValueError, "epochs must be a positive int"),
        ({"epochs": None}, TypeError, "epochs must be a positive int"),
        ({"initial_epoch": -1}, ValueError, "initial_epoch must be an int of at least 0"),
        ({"initial_epoch": 1.0}, TypeError, "initial_epoch must be an int of at least 0"),
        ({"verbose": 3}, ValueError, "verbose must be 'auto', 0, 1 or 2, got 3"),
        ({"verbose": "loud"}, ValueError, "verbose must be 'auto', 0, 1 or 2, got 'loud'"),
        ({"shuffle": "batch"}, TypeError, "shuffle must be True or False"),
        ({"validation_split": 1.0}, ValueError, r"validation_split must be a number in \[0, 1\), got 1.0"),
        ({"validation_split": "a"}, TypeError, "validation_split must be a number"),
        ({"validation_split": 0.999}, ValueError, "must leave samples on both sides"),
        ({"validation_data": X}, ValueError, r"validation_data must be \(x, y\)"),
        (
            {"validation_data": (X[:, :4], Y)},
            ValueError,
            r"validation_data: layer 0 .*\(n, 8, 8, 2\), got \(45, 4",
        ),
        ({"class_weight": [1, 2]}, TypeError, "class_weight must be a dict"),
        ({"class_weight": {0: math.nan}}, ValueError, "class_weight must be a dict .* got 0: nan"),
        ({"class_weight": {"0": 1}}, ValueError, "class_weight must be a dict .* got '0': 1"),
        (
            {"sample_weight": np.ones(3)},
            ValueError,
            "sample_weight must have one row for each of the 45 samples, got 3",
        ),
        ({"sample_weight": -np.full(45, np.inf)}, ValueError, "sample_weight must be finite, got -inf"),
        ({"callbacks": [print]}, TypeError, "callbacks must be cconv.callbacks.Callback objects"),
        ({"y": Y[:5]}, ValueError, "y must have one row for each of the 45 samples, got 5"),
        ({"y": None}, ValueError, "y must be given"),
        ({"y": np.full(45, 2)}, ValueError, r"y_true"),
        ({"y": np.full(45, -1)}, ValueError, r"y_true"),
        ({"y": to_categorical(Y)}, ValueError, "one-hot targets are for categorical_crossentropy"),
        (
            {"x": X[0]},
            ValueError,
            r"layer 0 \(conv2d, Conv2D\) expects x of shape \(n, 8, 8, 2\), got \(8, 8, 2\)",
        ),
        ({"x": X.astype(object)}, TypeError, "x must hold real numbers"),
    ],
)
def test_fit_refuses(options, error, text):
    model = network()
    before = model.get_weights()
    with pytest.raises(error, match=text):
        model.fit(**{"x": X, "y": Y, "verbose": 0, **options})
    assert all(np.array_equal(u, v) for u, v in zip(before, model.get_weights(), strict=True))


def test_labels_are_all_looked_at_before_the_first_step():
    labels = np.zeros(9000, np.int64)
    labels[-1] = 2
    model = network()
    before = model.get_weights()
    with pytest.raises(ValueError, match="y_true"):
        model.fit(np.zeros((9000, 8, 8, 2), np.uint8), labels, shuffle=False, verbose=0)
    assert all(np.array_equal(u, v) for u, v in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("sgd",), ValueError, "loss must be given"),
        (("sgdd", "mse"), ValueError, "optimizer must be one of .*'adam'.*got 'sgdd'"),
        (("sgd", "msee"), ValueError, "loss must be one of .*got 'msee'"),
        (("sgd", "mse", ["akkuracy"]), ValueError, "metrics must be one of .*got 'akkuracy'"),
        (("sgd", "mse", "accuracy"), TypeError, "metrics must be a list"),
        ((3, "mse"), TypeError, "optimizer must be"),
    ],
)
def test_compile_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        network().compile(*arguments)


def test_nothing_runs_before_compile():
    model = Sequential([Dense(2, input_shape=(3,))])
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(RuntimeError, match="call compile first"):
            call(np.ones((2, 3)), np.ones((2, 2)))


def test_an_optimizer_serves_one_model():
    optimizer = SGD(0.1, momentum=0.9)
    first = network(optimizer=optimizer)
    first.fit(X, Y, verbose=0)
    first.compile(optimizer, "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="another model"):
        network(optimizer=optimizer)
