"""Sixteen threads that share models, layers and optimizers, and are changed for one another all the time."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from random_graphs import random_graph

import cconv
from cconv import layers as L
from cconv import seeds
from cconv.models import Sequential, load_model

THREADS = 16
RNG = np.random.default_rng(11)
X = RNG.normal(size=(24, 8, 8, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 24)


@pytest.fixture(autouse=True)
def hasty():
    """Let the interpreter go from thread to thread a thousand times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work):
    """Return ``work(number)`` of sixteen threads that begin together."""
    begin = threading.Barrier(THREADS)

    def run(number):
        begin.wait(60)
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(run, range(THREADS)))


def network(layers=None):
    body = layers or [
        L.Conv2D(4, 3, input_shape=(8, 8, 2)),
        L.BatchNormalization(),
        L.ReLU(),
        L.Dropout(0.3),
        L.Flatten(),
    ]
    model = Sequential([*body, L.Dense(3, activation="softmax")], seed=5)
    model.compile(cconv.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def bits(model):
    slots = [array for _, array in sorted(model.optimizer.get_state().items())]
    return [array.tobytes() for array in (*model.get_weights(), *slots)]


def refused(work):
    """Whether a training was refused, since another one is on."""
    try:
        work()
    except RuntimeError as error:
        if "is already training" not in str(error):
            raise
        return True
    return False


@pytest.mark.parametrize("seed", range(3))
def test_all_predict_with_one_model(seed):
    model = random_graph(np.random.default_rng(seed), dtype="float32", data_format=None)
    sizes = [1, 2, 5, 9]
    xs = [RNG.normal(size=(n, *model.input_shape[1:])).astype(np.float32) for n in sizes]
    right, frozen = [model.predict(x).tobytes() for x in xs], model.freeze()
    model._forget_plans()  # the threads make the first ones

    def work(number):
        which = [(number + turn) % len(xs) for turn in range(12)]
        return all(
            each.predict(xs[w], batch_size=3 + number).tobytes() == right[w]
            for w in which
            for each in (model, frozen)
        )

    assert all(at_once(work))


def test_all_use_one_layer():
    layers = [
        L.Conv2D(4, 3),
        L.DepthwiseConv2D(3, activation="gelu"),
        L.Conv2DTranspose(3, 2, strides=2),
        L.MaxPooling2D(2),
        L.LayerNormalization(),
        L.RandomFlip(),
    ]
    for layer in layers:
        layer.build((8, 8, 2), seed=1)
    right = [layer.forward(X).tobytes() for layer in layers]
    assert all(at_once(lambda _: [layer.forward(X).tobytes() for layer in layers] == right))


def test_all_train_one_model():
    """Each training is done as a whole or refused; the model is that of as many trainings one by one."""
    model = network()
    counts = at_once(lambda _: [refused(lambda: model.train_on_batch(X, Y)) for _ in range(15)].count(False))
    assert sum(counts) == model.steps_done == model.optimizer.iterations > 0
    other = network()
    for _ in range(sum(counts)):
        other.train_on_batch(X, Y)
    assert bits(model) == bits(other)

    done = at_once(lambda _: not refused(lambda: model.fit(X, Y, batch_size=8, verbose=0)))
    for _ in range(sum(done)):
        other.fit(X, Y, batch_size=8, verbose=0)
    assert sum(done) > 0
    assert bits(model) == bits(other)


def test_all_train_models_of_one_layer():
    base = [L.Conv2D(4, 3, input_shape=(8, 8, 2)), L.Flatten()]
    models = [network(base) for _ in range(THREADS)]
    before = models[0].predict(X).tobytes()
    counts = at_once(
        lambda number: [refused(lambda: models[number].train_on_batch(X, Y)) for _ in range(10)].count(False)
    )
    assert [model.steps_done for model in models] == counts
    assert sum(counts) > 0
    assert all(np.isfinite(model.predict(X)).all() for model in models)
    assert models[int(np.argmax(counts))].predict(X).tobytes() != before


def test_all_train_models_of_their_own():
    other = network()
    other.fit(X, Y, batch_size=7, epochs=3, verbose=0)

    def work(_):
        model = network()
        model.fit(X, Y, batch_size=7, epochs=3, verbose=0)
        return bits(model)

    assert all(found == bits(other) for found in at_once(work))


def test_some_predict_save_and_evaluate_while_others_train(tmp_path):
    model = network()

    def work(number):
        for _ in range(6):
            if number % 4 == 0:
                refused(lambda: model.fit(X, Y, batch_size=8, verbose=0))
            elif number % 4 == 1:
                assert np.isfinite(model.predict(X[: 1 + number], verbose=0)).all()
            elif number % 4 == 2:
                model.save(tmp_path / f"{number}.safetensors")
                assert load_model(tmp_path / f"{number}.safetensors").steps_done >= 0
            else:
                assert np.isfinite(model.evaluate(X, Y, verbose=0)).all()
        return True

    assert all(at_once(work))
    model.fit(X, Y, verbose=0)  # no claim is left


def test_all_build_one_model():
    for _ in range(5):
        model = Sequential([L.Flatten(), L.Dense(4), L.Dense(3)], seed=1)
        found = {y.tobytes() for y in at_once(lambda _, model=model: model.predict(X))}
        assert found == {model.predict(X).tobytes()}


def test_all_get_seeds_of_their_own(monkeypatch):
    monkeypatch.setattr(seeds, "_global_seed", 3)
    monkeypatch.setattr(seeds, "_given_out", 0)
    found = {seed for each in at_once(lambda _: [seeds.new_seed() for _ in range(50)]) for seed in each}
    monkeypatch.setattr(seeds, "_given_out", 0)
    assert found == {seeds.new_seed() for _ in range(50 * THREADS)}
