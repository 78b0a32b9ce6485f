"""Layers of other sizes and of sequences give what Keras gives, and PyTorch where Keras has none.

The answers are in data/spatial.npz; tools/tables/spatial.py says how they were asked for.
"""

import functools
import json

import numpy as np
import pytest
from tables import DATA, whole

from cconv import layers
from cconv.models import Sequential

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
IN_FLOAT32 = ("GlobalAveragePooling1D",)  # whose mean Keras computes so, whatever the dtype


@functools.cache
def cases():
    """(case, answers) pairs: the output, the gradient for x, and those for the weights."""
    with np.load(DATA / "spatial.npz") as table:
        made, flat = json.loads(str(table["cases"])), table["answers"]
    pairs, at = [], 0
    for case in made:
        answers = []
        for shape in case["shapes"]:
            count = int(np.prod(shape, dtype=int))
            answers.append(flat[at : at + count].reshape(shape))
            at += count
        pairs.append((case, answers))
    assert at == len(flat)
    return pairs


def inputs_of(case):
    """x as it was given to Keras: where a maximum is looked for, of numbers that are there once."""
    x = whole(case["input"], 4, 1).astype(float)
    if "Max" in case["layer"]:
        x = x + np.arange(x.size).reshape(x.shape) * 7 % x.size / 1024
    return x


def close(found, wanted, dtype, case):
    assert found.shape == wanted.shape, case
    assert found.dtype == dtype
    tolerance = TOLERANCE["float32" if case["layer"] in IN_FLOAT32 else dtype]
    assert np.abs(found - wanted).max() <= tolerance * max(1.0, np.abs(wanted).max()), case


def made(case, dtype):
    layer = layers.deserialize({"class_name": case["layer"], "config": case["config"]})
    layer.build(case["input"][1:], dtype=dtype, seed=1)
    layer.set_weights([whole(w.shape, 3, 5 + number) for number, w in enumerate(layer.get_weights())])
    return layer


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted({case["layer"] for case, _ in cases()}))
def test_what_keras_gives(name, dtype):
    tried = [pair for pair in cases() if pair[0]["layer"] == name]
    assert len(tried) >= 10
    for case, (y, dx, *grads) in tried:
        layer, x = made(case, dtype), inputs_of(case).astype(dtype)
        close(layer.forward(x), y, dtype, case)
        close(layer.forward(x, training=True), y, dtype, case)
        close(layer.backward(whole(y.shape, 3, 3).astype(dtype)), dx, dtype, case)
        for key, grad in zip(layer.params, grads, strict=True):
            close(layer.grads[key], grad, dtype, case)
        assert len(case["weights"]) == len(layer.params)


@pytest.mark.parametrize("name", sorted({case["layer"] for case, _ in cases()}))
def test_a_model_of_one_layer_gives_the_same(name):
    for case, (y, *_) in (pair for pair in cases() if pair[0]["layer"] == name):
        layer = made(case, "float64")
        model = Sequential([layer.clone()], seed=0, dtype="float64")
        model.build(case["input"][1:])
        model.set_weights(layer.get_weights())
        for _ in range(3):  # the last one is repeated from a record
            close(model.predict(inputs_of(case)), y, "float64", case)


def test_names_of_weights_are_those_of_keras():
    """Where Keras has one name for each kernel; its depthwise layers' is cconv's "kernel"."""
    for case, _ in cases():
        own = list(made(case, "float32").params)
        if "Depthwise" not in case["layer"]:
            assert own == case["weights"]
