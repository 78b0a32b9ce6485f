"""RMSprop, Adafactor, Ftrl and Lamb against Keras' steps over weights of many shapes, and what they keep."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, many, normal, on_all_threads, seeds, widened
from tables import DATA

from cconv import optimizers, reference, schedules
from cconv.layers import Conv2D, Dense, Flatten
from cconv.models import Sequential, load_model
from cconv.ops import adafactor
from cconv.ops import optimizers as steps
from cconv.optimizers import Adafactor, Ftrl, Lamb, RMSprop
from cconv.regularizers import L2

TABLE = json.loads((DATA / "optimizers.json").read_text())
MAKERS = [Adafactor, Ftrl, Lamb, lambda rate: RMSprop(rate, momentum=0.5, centered=True)]
EACH = pytest.mark.parametrize("make", MAKERS, ids=["Adafactor", "Ftrl", "Lamb", "RMSprop"])
# One element, rows, columns, a tile of 128 x 1024 and its edges, stacks.
SHAPES = st.one_of(
    st.lists(st.integers(1, 5), max_size=4).map(tuple),
    st.sampled_from([(1025,), (127, 3), (129, 2), (2, 1023), (1, 1025), (257, 5), (2, 130, 3)]),
)


def numbers(shape, seed, divisor):
    """The whole numbers over a power of two that Keras was given (tools/keras_optimizers.py)."""
    places = np.arange(int(np.prod(shape, dtype=int))) + 1
    return ((((places * (37 + 2 * seed) + 11 * seed) % 41) - 20.0) / divisor).reshape(shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("entry", TABLE["cases"], ids=lambda e: f"{e['name']}-{e['options']}")
def test_steps_go_as_in_keras(entry, dtype):
    options = dict(entry["options"])
    if "schedule" in entry:
        options["learning_rate"] = schedules.InverseTimeDecay(*entry["schedule"])
    optimizer = getattr(optimizers, entry["name"])(**options)
    w = [numbers(shape, i, 16.0).astype(dtype) for i, shape in enumerate(TABLE["shapes"])]
    # A variance of few gradients that are alike cancels.
    tolerance = {"float32": 1e-3 if options.get("centered") else 2e-5, "float64": 1e-9}[dtype]
    for step, sums in enumerate(entry["sums"]):
        divisor = 2.0 ** (1 + 3 * (step % 4))
        grads = [numbers(shape, 3 * step + i, divisor) for i, shape in enumerate(TABLE["shapes"])]
        optimizer.apply([g.astype(dtype) for g in grads], w)
        found = [np.abs(v).sum(dtype=float) for v in w]
        np.testing.assert_allclose(found, sums, rtol=tolerance, err_msg=f"step {step}")
    optimizer.finalize_variable_values(w)
    for found, wanted in zip(w, entry["last"], strict=True):
        np.testing.assert_allclose(found.ravel(), wanted, rtol=tolerance, atol=tolerance)


@given(SHAPES, dtypes, st.integers(1, 1000), seeds)
@many
def test_adafactor_is_its_twin(shape, dtype, t, seed):
    moments = [shape] if len(shape) < 2 else [shape[:-1], (*shape[:-2], shape[-1])]
    param, grad, *kept = normal(seed, dtype, shape, shape, *moments)
    kept = [np.square(array).astype(dtype).reshape(array.shape) for array in kept]

    def stepped():
        made = [np.array(array) for array in (param, *kept)]
        group = adafactor.TiledGroup([(made[0], grad, *made[1:])])
        adafactor.adafactor_update(group, 0.1, -0.8, 1e-30, 1e-3, 1.0, t)
        return tuple(made)

    found = on_all_threads(stepped)
    wide, _ = widened(dtype, param, grad, *kept)
    wanted = reference.adafactor(*wide, t=t, learning_rate=0.1)
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for result, truth in zip(found, wanted, strict=True):
        np.testing.assert_allclose(result, truth.astype(float), rtol=tolerance, atol=tolerance)


@given(SHAPES, dtypes, st.integers(1, 1000), seeds)
@many
def test_lamb_is_its_twin(shape, dtype, t, seed):
    param, grad, m, v = normal(seed, dtype, shape, shape, shape, shape)
    v = np.square(v).astype(dtype).reshape(shape)

    def stepped():
        made = [np.array(array) for array in (param, m, v)]
        steps.lamb_update(steps.Group([(made[0], grad, *made[1:])]), 0.1, 0.9, 0.999, 1e-7, t)
        return tuple(made)

    found = on_all_threads(stepped)
    wide, _ = widened(dtype, param, grad, m, v)
    wanted = reference.lamb(*wide, t, 0.1)
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for result, truth in zip(found, wanted, strict=True):
        np.testing.assert_allclose(result, truth.astype(float), rtol=tolerance, atol=tolerance)


def network(optimizer):
    layers = [
        Conv2D(4, 3, activation="relu", kernel_regularizer=L2(0.01), input_shape=(6, 6, 2)),
        Flatten(),
        Dense(3),
    ]
    model = Sequential(layers, seed=3)
    model.compile(optimizer, "mse")
    return model


X = np.random.default_rng(5).normal(size=(24, 6, 6, 2)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[np.arange(24) % 3]


@EACH
def test_a_model_saved_in_the_middle_goes_on_with_the_same_bits(make, tmp_path):
    whole, part = network(make(0.01)), network(make(0.01))
    for model in (whole, part):
        for _ in range(3):
            model.train_on_batch(X, Y)
    part.save(tmp_path / "m")
    part = load_model(tmp_path / "m")
    assert part.optimizer == whole.optimizer
    for model in (whole, part):
        for size in (24, 9, 24):
            model.train_on_batch(X[:size], Y[:size])
    assert [w.tobytes() for w in whole.get_weights()] == [w.tobytes() for w in part.get_weights()]
    state, again = whole.optimizer.get_state(), part.optimizer.get_state()
    assert set(state) == set(again)
    assert all(state[name].tobytes() == again[name].tobytes() for name in state)


@EACH
def test_penalties_are_part_of_the_gradient(make):
    w, g = (
        [numbers((3, 4), 1, 16.0), numbers((4,), 2, 16.0)],
        [numbers((3, 4), 3, 4.0), numbers((4,), 4, 4.0)],
    )
    one, two = [a.copy() for a in w], [a.copy() for a in w]
    ours, theirs = make(0.1), make(0.1)
    for _ in range(3):
        ours.apply(g, one, {"0": L2(0.25), "1": L2(0.5)})
        theirs.apply([g[0] + 2 * 0.25 * two[0], g[1] + 2 * 0.5 * two[1]], two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_what_adafactor_keeps():
    optimizer = Adafactor(0.1, use_ema=True)
    optimizer.apply({"k": np.ones((2, 3, 4)), "b": np.ones(4)}, {"k": np.ones((2, 3, 4)), "b": np.ones(4)})
    state = optimizer.get_state()
    shapes = {name: array.shape for name, array in state.items() if name != "iterations"}
    assert shapes == {
        "k/r": (2, 3),
        "k/c": (2, 4),
        "k/average": (2, 3, 4),
        "b/v": (4,),
        "b/average": (4,),
    }
    del state["k/c"]
    with pytest.raises(ValueError, match="Adafactor: state must hold 'iterations' and, for every weight"):
        Adafactor(use_ema=True).set_state(state)
    with pytest.raises(ValueError, match=r"'k' must be float64 of shape \(2, 3\), as its r from earlier"):
        optimizer.apply({"k": np.ones((5, 4))}, {"k": np.ones((5, 4))})


def test_the_states_of_rmsprop_follow_what_is_asked_for():
    optimizer, w = RMSprop(0.1), np.zeros(2)
    assert optimizer.slots == ("velocity",)
    optimizer.apply([np.ones(2)], [w])
    optimizer.momentum = 0.5
    optimizer.centered = True
    optimizer.apply([np.ones(2)], [w])
    assert optimizer.slots == ("velocity", "momentum", "average_gradient")
    assert optimizer.get_state()["0/average_gradient"] == pytest.approx([0.1, 0.1])


def test_nothing_and_what_is_not_finite():
    for optimizer in (Adafactor(), Lamb(), Ftrl(), RMSprop(momentum=0.5, centered=True)):
        empty, w, zeros = np.zeros((0, 3)), np.ones((2, 3)), np.zeros((2, 3))
        optimizer.apply([np.zeros((0, 3)), zeros], [empty, w])
        assert np.isfinite(w).all()
        optimizer.apply([np.zeros((0, 3)), np.full((2, 3), np.nan)], [empty, w])
        assert np.isnan(w).all()


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (Ftrl, {"learning_rate_power": 0.5}, "Ftrl: learning_rate_power must be at most 0, got 0.5"),
        (
            Ftrl,
            {"initial_accumulator_value": -1},
            "Ftrl: initial_accumulator_value must be a finite number of",
        ),
        (Ftrl, {"l1_regularization_strength": -1}, "Ftrl: l1_regularization_strength must be a finite"),
        (Ftrl, {"beta": np.nan}, "Ftrl: beta must be a finite number"),
        (Adafactor, {"clip_threshold": 0.0}, "Adafactor: clip_threshold must be above 0, got 0.0"),
        (Adafactor, {"epsilon_1": -1}, "Adafactor: epsilon_1 must be a finite number of at least 0"),
        (Lamb, {"beta_1": 1.0}, r"Lamb: beta_1 must be in \[0, 1\)"),
        (RMSprop, {"momentum": -0.5}, r"RMSprop: momentum must be in \[0, 1\)"),
    ],
)
def test_refusals(make, options, text):
    with pytest.raises(ValueError, match=text):
        make(**options)
    with pytest.raises(TypeError, match=r"centered must be True or False, got 1"):
        RMSprop(centered=1)
