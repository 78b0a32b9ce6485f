"""Activations, their layers, constraints and penalties against what Keras 3 computed with the same numbers.

tests/data/keras_activations.json was written by tools/keras_activations.py, in float64.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from cconv import activations, constraints, layers, optimizers, regularizers
from cconv.models import Sequential
from cconv.ops.run import Run

DATA = json.loads((Path(__file__).parent / "data/keras_activations.json").read_text(encoding="utf-8"))


def cases(kind):
    return pytest.mark.parametrize(
        "case", DATA[kind], ids=[f"{i}-{case.get('name', '')}" for i, case in enumerate(DATA[kind])]
    )


def near(actual, wanted, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(actual, np.array(wanted), rtol=rtol, atol=atol)


def arrays(case, *names):
    return [np.array(case[name], np.float64) for name in names]


@cases("activations")
def test_activations(case):
    function, options = getattr(activations, case["name"]), case["arguments"]
    x, dy = arrays(case, "x", "dy")
    before = x.copy()
    # Keras' tanh computes in float32 whatever it is given.
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if case["name"] == "tanh" else {}
    near(function(x, **options), case["y"], **tolerance)
    assert x.tobytes() == before.tobytes()
    if options:
        return
    for layer in (layers.Activation(case["name"]), layers.Activation(function)):
        near(layer.forward(x, training=True), case["y"], **tolerance)
        near(layer.backward(dy), case["dx"], **tolerance)


@cases("layers")
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_layers(case, data_format):
    layer = getattr(layers, case["name"])(**case["arguments"])
    x, dy = arrays(case, "x", "dy")
    # The axes are those of the arrays as they are given, whatever format they are said to have.
    layer.data_format = data_format
    layer.build(x.shape[1:], dtype="float64")
    layer.set_weights(case["weights"])
    near(layer.forward(x, training=True), case["y"])
    near(layer.backward(dy), case["dx"])
    for name, grad in zip(layer.params, case["grads"], strict=True):
        near(layer.grads[name], grad)


@cases("constraints")
def test_constraints(case):
    constraint = getattr(constraints, case["name"])(**case["arguments"])
    (w,) = arrays(case, "x")
    before = w.copy()
    near(constraint(w), case["y"])
    assert w.tobytes() == before.tobytes()
    narrow = constraint(w.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, case["y"], rtol=1e-6, atol=1e-7)
    assert constraints.deserialize(constraints.serialize(constraint)) == constraint


@cases("regularizers")
def test_regularizers(case):
    penalty = getattr(regularizers, case["name"])(**case["arguments"])
    (w,) = arrays(case, "x")
    near(penalty(w), case["y"])
    # The gradient is what a step of gradient descent of rate 1 takes off, where there is no other.
    stepped = w.copy()
    optimizers.SGD(1.0).apply({"w": np.zeros_like(w)}, {"w": stepped}, {"w": penalty})
    np.testing.assert_allclose(w - stepped, case["dx"], rtol=1e-11, atol=1e-13)
    assert regularizers.deserialize(regularizers.serialize(penalty)) == penalty


@cases("training")
@pytest.mark.parametrize("fuse", [True, False])
def test_training(case, fuse):
    model = Sequential(
        [
            layers.Conv2D(
                3, 2, activation="silu", kernel_constraint=constraints.MaxNorm(0.8, axis=[0, 1, 2])
            ),
            layers.PReLU("ones", alpha_constraint="non_neg", shared_axes=[1, 2]),
            layers.BatchNormalization(gamma_constraint="unit_norm", beta_constraint="non_neg"),
            layers.Flatten(),
            layers.Dense(4, "gelu", kernel_constraint="unit_norm", bias_constraint="non_neg"),
            layers.Dense(
                2,
                kernel_regularizer=regularizers.OrthogonalRegularizer(0.3, "columns"),
                kernel_constraint=constraints.MinMaxNorm(0.5, 0.9, 0.5),
            ),
        ],
        dtype="float64",
    )
    model.fuse = fuse
    model.build((5, 4, 2))
    model.set_weights([np.array(w) for w in case["first"]])
    optimizer = optimizers.get({"class_name": case["optimizer"], "config": {"learning_rate": 0.05}})
    model.compile(optimizer, "mse")
    x, target = arrays(case, "x", "target")
    losses = [model.train_on_batch(x, target) for _ in case["losses"]]
    # Keras has its batches in float32 on the way into a step.
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-6)
    for ours, theirs in zip(model.get_weights(), case["last"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_activations_in_functions_of_a_layer():
    """A function stands for its activation with the defaults of its arguments."""
    x = np.linspace(-3, 3, 14).reshape(2, 7)
    for name in {case["name"] for case in DATA["activations"]}:
        function = getattr(activations, name)
        assert activations.get(function) == activations.get(name)
        assert activations.get(name)(x, Run()).tobytes() == function(x).tobytes()
