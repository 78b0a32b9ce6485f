"""The networks beside those of Keras and torchvision: same weights, same images, same figures, in float64.

The figures are in tests/data/applications.json, which tools/peer_applications.py writes.
"""

import json
from pathlib import Path

import application_cases as cases
import numpy as np
import pytest

from cconv import applications
from cconv.models.files import stores
from cconv.optimizers import SGD

PEERS = json.loads((Path(__file__).parent / "data" / "applications.json").read_text(encoding="utf-8"))


def named(model):
    """(full name, shape) of every array, in the order of `get_weights`."""
    return [
        (f"{layer.name}/{name}", array.shape)
        for layer in model._layers
        for name, array in stores(layer).items()
    ]


def fill(model, by_name=False):
    old = model.get_weights()
    values = [
        array if name.endswith("/count") else cases.drawn(name if by_name else number, name, shape)
        for number, ((name, shape), array) in enumerate(zip(named(model), old, strict=True))
    ]
    model.set_weights(values)


def order(model):
    return cases.order(*zip(*named(model), strict=True))


def one_step(model, x):
    """The loss of a step of learning rate 1, and what it changed."""
    before = model.get_weights()
    model.compile(SGD(1.0), "sparse_categorical_crossentropy")
    loss = model.train_on_batch(x, cases.labels())
    return loss, [new - old for new, old in zip(model.get_weights(), before, strict=True)]


def close(made, expected, tolerance):
    """Equal beside the larger of the two, and of the rounding of what was recorded."""
    made, expected = np.asarray(made), np.asarray(expected)
    scale = np.maximum(np.abs(expected), 1e-3 * np.abs(expected).max())
    worst = np.max(np.abs(made - expected) / scale)
    assert worst <= tolerance, worst


@pytest.mark.parametrize("name", cases.KERAS)
def test_as_in_keras(name):
    peer, shape = PEERS[f"keras {name}"], cases.KERAS[name]["input_shape"]
    options = {**cases.KERAS[name], "classes": cases.CLASSES, "seed": 0}
    model = getattr(applications, name)(**options, dtype="float64")
    fill(model)
    assert order(model) == peer["order"]
    x = cases.images(name, shape)
    close(model.predict(x, verbose=0).ravel(), peer["predictions"], 1e-9)
    loss, changes = one_step(model, x)
    close(loss, peer["loss"], 1e-9)
    close([cases.seen(change, key) for key, change in enumerate(changes)], peer["changes"], 1e-7)
