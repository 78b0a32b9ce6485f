"""Steps of the optimizers, schedules, losses and distributions of weights, against what Keras answered."""

import math

import numpy as np
import pytest
from tables import rules

from cconv import initializers, losses, optimizers, reference, schedules
from cconv.optimizers import SGD

RULES = rules()
# The rules in NumPy that stand for Keras' classes, with the state that they begin with.
TWINS = {
    "Adagrad": (reference.adagrad, 1),
    "RMSprop": (reference.rmsprop, 1),
    "Adadelta": (reference.adadelta, 2),
}


def each(section):
    """One test for each entry of a section."""
    return pytest.mark.parametrize(
        "entry", [pytest.param(entry, id=f"{entry['name']}-{i}") for i, entry in enumerate(RULES[section])]
    )


def optimizer_of(entry):
    options = dict(entry["options"])
    if "schedule" in entry:
        options["learning_rate"] = schedules.CosineDecay(*entry["schedule"])
    return getattr(optimizers, entry["name"])(**options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each("optimizers")
def test_steps_of_optimizers(entry, dtype):
    optimizer, w = optimizer_of(entry), np.array(RULES["weights"], dtype)
    tolerance = {"float32": 2e-6, "float64": 1e-11}[dtype]
    for step, (grad, wanted) in enumerate(zip(RULES["grads"], entry["weights"], strict=True)):
        optimizer.apply({"w": np.array(grad, dtype)}, {"w": w})
        np.testing.assert_allclose(w, wanted, rtol=tolerance, atol=tolerance, err_msg=f"step {step}")
    assert optimizer.iterations == len(RULES["grads"])


@each("optimizers")
def test_the_learning_rate_has_a_second_name(entry):
    optimizer = optimizer_of(entry)
    assert optimizer.lr == optimizer.learning_rate
    assert type(optimizer)(lr=0.75).learning_rate == 0.75


@pytest.mark.parametrize("name", TWINS)
def test_steps_of_the_rules_in_numpy(name):
    rule, states = TWINS[name]
    for entry in (entry for entry in RULES["optimizers"] if entry["name"] == name):
        options = dict(entry["options"])
        if "schedule" in entry or "decay" in options:
            continue
        start = options.pop("initial_accumulator_value", 0.1) if name == "Adagrad" else 0.0
        options.setdefault("learning_rate", 0.001)
        w = np.array(RULES["weights"])
        state = [np.full_like(w, start) for _ in range(states)]
        for grad, wanted in zip(RULES["grads"], entry["weights"], strict=True):
            w, *state = rule(w, np.array(grad), *state, **options)
            np.testing.assert_allclose(w, wanted, rtol=1e-11, atol=1e-11)


@each("schedules")
def test_rates_of_schedules(entry):
    schedule = getattr(schedules, entry["name"])(*entry["arguments"], **entry["options"])
    np.testing.assert_allclose(
        [schedule(step) for step in range(len(entry["rates"]))], entry["rates"], rtol=1e-11, atol=1e-15
    )
    rates = []
    optimizer, w = SGD(schedule), np.zeros(1)
    for _ in entry["rates"]:
        before = w.copy()
        optimizer.apply([np.ones(1)], [w])
        rates.append((before - w)[0])
    np.testing.assert_allclose(rates, entry["rates"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each("losses")
def test_losses_and_their_gradients(entry, dtype):
    true, pred = np.array(entry["y_true"]), np.array(entry["y_pred"], dtype)
    loss, dy = getattr(losses, entry["name"])(**entry["options"])(true, pred, entry["weight"])
    # Keras itself takes means in float32.
    tolerance = {"float32": 2e-6, "float64": 2e-7}[dtype]
    assert loss == pytest.approx(entry["loss"], rel=tolerance)
    np.testing.assert_allclose(dy, entry["gradient"], rtol=5 * tolerance, atol=tolerance / 10)


@each("initializers")
def test_distributions_of_initializers(entry):
    asked = entry["asked"]
    initializer = getattr(initializers, entry["name"])(**entry["options"])
    shape = tuple(entry["shape"])
    # The shapes are small: many draws of them, each with a seed of its own.
    seeds = range(1500 // math.prod(shape))
    draws = np.array([initializer(shape, "float64", seed=seed).ravel() for seed in seeds])
    if asked["distribution"] == "uniform":
        low, high = asked["minval"], asked["maxval"]
        assert low <= draws.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < draws.max() <= high
        return
    mean, stddev = asked["mean"], asked["stddev"]
    if asked["distribution"] == "truncated_normal":
        assert np.abs(draws - mean).max() <= 2 * stddev
        assert np.abs(draws - mean).max() > 1.95 * stddev
        stddev *= initializers.draws.CUT_STDDEV
    assert draws.std() == pytest.approx(stddev, rel=4 / math.sqrt(draws.size))
    assert draws.mean() == pytest.approx(mean, abs=5 * stddev / math.sqrt(draws.size))
