"""The networks beside those of Keras and torchvision: same weights, same images, same figures, in float64.

The figures are in tests/data/applications.json, which tools/peer_applications.py writes.
"""

import json
import re
from pathlib import Path

import application_cases as cases
import numpy as np
import pytest

from cconv import applications
from cconv.applications.frame import without_weights
from cconv.layers import Dropout
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


def fill(model, by_name=False, gain=1.0):
    old = model.get_weights()
    values = [
        array
        if cases.kind_of(name) in cases.KEPT
        else cases.drawn(name if by_name else number, name, shape, gain)
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
    fill(model, gain=cases.GAINS.get(name, 1.0))
    assert order(model) == peer["order"]
    x = cases.images(name, shape)
    # Keras takes the factors of its preprocessing layers as float32.
    tolerance, of_products = (1e-6, 1e-4) if name in cases.SCALING else (1e-9, 1e-7)
    close(model.predict(x, verbose=0).ravel(), peer["predictions"], tolerance)
    loss, changes = one_step(model, x)
    close(loss, peer["loss"], tolerance)
    close([cases.seen(change, key) for key, change in enumerate(changes)], peer["changes"], of_products)


@pytest.mark.parametrize("name", cases.TORCH)
def test_as_in_torchvision(name):
    peer, shape = PEERS[f"torch {name}"], cases.TORCH[name]
    network = getattr(applications, name)
    model = network(input_shape=shape, classes=cases.CLASSES, dtype="float64", seed=0)
    fill(model, by_name=True)
    x = cases.images(name, shape)
    close(model.predict(x, verbose=0).ravel(), peer["predictions"], 1e-9)
    names = [full for full, _ in named(model)]
    numbers = {full: number for number, full in enumerate(sorted(names))}
    # torchvision's step was made without dropout.
    plain = network(input_shape=shape, classes=cases.CLASSES, dtype="float64", seed=0)
    for layer in plain.layers:
        if isinstance(layer, Dropout):
            layer.rate = 0.0
    plain.set_weights(model.get_weights())
    loss, changes = one_step(plain, x)
    close(loss, peer["loss"], 1e-9)
    made = {full: cases.seen(change, numbers[full]) for full, change in zip(names, changes, strict=True)}
    assert set(peer["changes"]) == {full for full in names if "moving" not in full}
    close([made[full] for full in peer["changes"]], list(peer["changes"].values()), 1e-7)


TRAININGS = {
    "ResNet20": (lambda: applications.ResNet20(dtype="float64", seed=0), (32, 32, 3), cases.classes_of_step),
    "UNet": (
        lambda: applications.UNet((16, 16, 1), depth=2, filters=4, dropout_rate=0.0, dtype="float64", seed=0),
        (16, 16, 1),
        cases.maps_of_step,
    ),
    "MobileNetV2": (
        lambda: applications.MobileNetV2((32, 32, 3), 0.35, classes=cases.CLASSES, dtype="float64", seed=0),
        (32, 32, 3),
        cases.classes_of_step,
    ),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_training_as_in_keras(name):
    make, shape, targets = TRAININGS[name]
    model, peer = make(), PEERS[f"training {name}"]
    fill(model)
    assert order(model) == peer["order"]
    before = model.get_weights()
    model.compile(SGD(cases.RATES[name], momentum=cases.MOMENTUM), "sparse_categorical_crossentropy")
    losses = []
    for step in range(cases.STEPS):
        x = np.random.default_rng([5, step]).random((8, *shape))
        losses.append(model.train_on_batch(x, targets(step)))
    close(losses, peer["losses"], 1e-9)
    changes = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    close([cases.seen(change, key) for key, change in enumerate(changes)], peer["changes"], 1e-7)


@pytest.mark.parametrize("name", [*cases.KERAS, *cases.TORCH])
def test_parameters_of_the_whole_network(name):
    with without_weights():
        model = getattr(applications, name)()
    trained = sum(array.size for layer in model._layers for array in layer.params.values())
    if name in cases.TORCH:
        assert trained == PEERS[f"torch {name}"]["parameters"]
        return
    peer = PEERS[f"keras {name}"]
    assert model.count_params() == peer["parameters"]
    # Layers that Keras names by a number it counts over all models are left out, and its sums written as +.
    given = [layer for layer in peer["names"] if not re.search(r"^([a-z]+_?)+(2d)?(_\d+)?$", layer)]
    mine = [layer.name for layer in model.layers]
    assert [layer for layer in mine if layer in set(given)] == given
