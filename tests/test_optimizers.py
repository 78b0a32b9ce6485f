"""Optimizers against their rules in NumPy, their state, and schedules."""

import copy
import gc
import json
import pickle

import numpy as np
import pytest

from cconv import optimizers, reference, schedules, set_num_threads
from cconv.optimizers import (
    SGD,
    Adadelta,
    AdaGrad,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Momentum,
    Nadam,
    Nesterov,
    RMSprop,
)
from cconv.regularizers import L1, L1L2, L2

SHAPES = {"conv/kernel": (3, 3, 5, 7), "conv/bias": (7,), "dense/kernel": (41, 23)}
L2_FACTOR = 0.03


def momenta(t):
    """The product of Nadam's momenta of the steps before t."""
    return np.prod([0.9 * (1 - 0.5 * 0.96**step) for step in range(1, t)])


RULES = {
    "sgd": (lambda: SGD(0.1), lambda p, g, s, t: (reference.sgd(p, g, 0.1),), 0.0),
    "sgd_momentum": (
        lambda: SGD(0.1, momentum=0.8),
        lambda p, g, s, t: reference.momentum(p, g, *s, 0.1, 0.8),
        0.0,
    ),
    "momentum": (lambda: Momentum(0.1), lambda p, g, s, t: reference.momentum(p, g, *s, 0.1, 0.9), 0.0),
    "nesterov": (lambda: Nesterov(0.1), lambda p, g, s, t: reference.nesterov(p, g, *s, 0.1, 0.9), 0.0),
    "sgd_nesterov": (
        lambda: SGD(0.1, 0.7, True),
        lambda p, g, s, t: reference.nesterov(p, g, *s, 0.1, 0.7),
        0.0,
    ),
    "adagrad": (lambda: AdaGrad(0.1), lambda p, g, s, t: reference.adagrad(p, g, *s, 0.1), 0.1),
    "rmsprop": (lambda: RMSprop(0.1, rho=0.8), lambda p, g, s, t: reference.rmsprop(p, g, *s, 0.1, 0.8), 0.0),
    "adadelta": (lambda: Adadelta(1.0), lambda p, g, s, t: reference.adadelta(p, g, *s, 1.0), 0.0),
    "adam": (lambda: Adam(0.1), lambda p, g, s, t: reference.adam(p, g, *s, t, 0.1), 0.0),
    "amsgrad": (
        lambda: Adam(0.1, amsgrad=True),
        lambda p, g, s, t: reference.amsgrad(p, g, *s, t, 0.1),
        0.0,
    ),
    "nadam": (lambda: Nadam(0.1), lambda p, g, s, t: reference.nadam(p, g, *s, t, momenta(t), 0.1), 0.0),
    "adamax": (lambda: Adamax(0.1), lambda p, g, s, t: reference.adamax(p, g, *s, t, 0.1), 0.0),
    "lion": (lambda: Lion(0.01), lambda p, g, s, t: reference.lion(p, g, *s, 0.01), 0.0),
    "adamw": (
        lambda: AdamW(0.1, weight_decay=0.2),
        lambda p, g, s, t: reference.adam(p, g, *s, t, 0.1),
        0.0,
    ),
}
NAMES = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"]
NAMES += ["nadam", "adamax", "lion", "adafactor", "ftrl", "lamb"]


def weights(dtype, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("l2", [0.0, L2_FACTOR])
@pytest.mark.parametrize("name", RULES)
def test_twenty_steps_follow_the_rule(name, l2, dtype):
    make, rule, start = RULES[name]
    optimizer, params = make(), weights(dtype)
    expected = {key: array.astype("float64") for key, array in params.items()}
    count = len(optimizer.slots)
    states = {key: [np.full(array.shape, start)] * count for key, array in expected.items()}
    regularizers = {key: L2(l2) for key in SHAPES} if l2 else None
    for t in range(1, 21):
        grads = weights(dtype, seed=t)
        optimizer.apply(grads, params, regularizers)
        for key, grad in grads.items():
            w = expected[key] * (1 - 0.1 * 0.2) if name == "adamw" else expected[key]
            expected[key], *states[key] = rule(w, grad + 2 * l2 * expected[key], states[key], t)
    tolerance = 1e-12 if dtype == "float64" else 3e-5
    for key, array in params.items():
        assert array.dtype == dtype
        np.testing.assert_allclose(array, expected[key], rtol=tolerance, atol=tolerance)


def test_l1_and_both_penalties():
    params, expected = weights("float64"), weights("float64")
    grads = weights("float64", seed=1)
    before = {name: grad.copy() for name, grad in grads.items()}
    SGD(0.1).apply(grads, params, {"conv/bias": L1(0.5), "dense/kernel": L1L2(0.5, 0.25)})
    for name, w in expected.items():
        l1 = 0.5 * np.sign(w) if name != "conv/kernel" else 0
        l2 = 0.5 * w if name == "dense/kernel" else 0
        np.testing.assert_allclose(params[name], w - 0.1 * (grads[name] + l1 + l2), atol=1e-14)
        np.testing.assert_array_equal(grads[name], before[name])


@pytest.mark.parametrize("name", NAMES)
def test_names_and_configurations(name):
    optimizer = optimizers.get(name)
    assert type(optimizer) is type(optimizers.get(name.upper())) is type(optimizers.get(type(optimizer)))
    config = json.loads(
        json.dumps({"class_name": type(optimizer).__name__, "config": optimizer.get_config()})
    )
    assert optimizers.get(config) == optimizer
    assert optimizers.get(optimizer) is optimizer
    assert type(optimizer)(lr=0.125).learning_rate == 0.125
    assert type(optimizer)(lr=0.125) == type(optimizer)(0.125)


def test_default_numbers_are_those_of_keras():
    rates = {name: optimizers.get(name).learning_rate for name in NAMES}
    assert rates == dict.fromkeys(NAMES, 0.001) | {"sgd": 0.01, "momentum": 0.01, "nesterov": 0.01}
    assert Adagrad().initial_accumulator_value == 0.1
    assert (Adam().beta_1, Adam().beta_2, Adam().epsilon) == (0.9, 0.999, 1e-7)
    assert (RMSprop().rho, Adadelta().rho) == (0.9, 0.95)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_interrupted_and_resumed_gives_the_same_bits(name, dtype):
    whole, params = optimizers.get(name), weights(dtype)
    whole.decay = 0.1
    first, parts = optimizers.get(name), weights(dtype)
    first.decay = 0.1
    for t in range(6):
        whole.apply(weights(dtype, seed=t), params)
        if t == 3:
            state = first.get_state()
            first.apply(weights(dtype, seed=9), weights(dtype))  # the state is a copy
            first = optimizers.get({"class_name": type(whole).__name__, "config": whole.get_config()})
            first.set_state(state)
        first.apply(weights(dtype, seed=t), parts)
    assert first.iterations == whole.iterations == 6
    for key, array in params.items():
        assert array.tobytes() == parts[key].tobytes()
    again = pickle.loads(pickle.dumps(whole))
    again.apply(weights(dtype), params)
    whole.apply(weights(dtype), parts)
    assert all(params[key].tobytes() == parts[key].tobytes() for key in params)


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_on_any_number_of_threads(name):
    results = []
    try:
        for threads in (1, 2, 3, 8):
            set_num_threads(threads)
            params = {"w": np.random.default_rng(0).normal(size=100_003).astype("float32")}
            optimizer = optimizers.get(name)
            for t in range(3):
                optimizer.apply(
                    {"w": np.random.default_rng(t).normal(size=100_003).astype("float32")}, params
                )
            results.append(params["w"].tobytes())
    finally:
        set_num_threads(None)
    assert len(set(results)) == 1


def test_lists_and_weights_without_gradient():
    one, two = np.ones(3), np.ones((2, 2))
    Adam(0.5).apply([np.ones(3)], [one, two])
    np.testing.assert_allclose(one, 0.5, atol=1e-5)
    np.testing.assert_array_equal(two, 1)


def test_decay_and_changing_rates():
    optimizer = SGD(1.0, decay=1.0)
    w = np.zeros(1)
    for expected in (-1, -1 - 1 / 2, -1 - 1 / 2 - 1 / 3):
        optimizer.apply([np.ones(1)], [w])
        assert w[0] == pytest.approx(expected)
    optimizer.learning_rate = 4.0
    optimizer.apply([np.ones(1)], [w])
    assert w[0] == pytest.approx(-1 - 1 / 2 - 1 / 3 - 1)
    assert optimizer.lr == 4.0
    scheduled = SGD(schedules.PiecewiseConstantDecay([0], [1.0, 0.5]))
    for _ in range(2):
        scheduled.apply([np.ones(1)], [w])
    assert w[0] == pytest.approx(-1 - 1 / 2 - 1 / 3 - 1 - 1.5)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.ExponentialDecay(0.5, 10, 0.5),
        schedules.ExponentialDecay(0.5, 10, 0.5, staircase=True),
        schedules.InverseTimeDecay(0.5, 10, 2.0),
        schedules.PiecewiseConstantDecay([3, 5], [1.0, 0.5, 0.1]),
        schedules.CosineDecay(0.1, 20, alpha=0.1, warmup_target=1.0, warmup_steps=5),
    ],
)
def test_schedules_in_configurations(schedule):
    config = json.loads(json.dumps(Adam(schedule).get_config()))
    restored = Adam.from_config(config)
    assert restored == Adam(schedule)
    w, rates = np.zeros(1), []
    for _ in range(40):
        rates.append(restored.learning_rate)
        restored.apply([np.ones(1)], [w])
    assert rates == [schedule(step) for step in range(40)]
    assert [schedule(np.int64(3)), schedule(3.0)] == [schedule(3)] * 2
    assert min(schedule(2), schedule(3)) <= schedule(2.5) <= max(schedule(2), schedule(3))
    restored.learning_rate = 1e-3
    assert (restored.learning_rate, restored.current_rate()) == (1e-3, 1e-3)


def test_schedules_by_hand():
    exponential = schedules.ExponentialDecay(0.5, 10, 0.25)
    assert exponential(5) == pytest.approx(0.25)
    assert schedules.ExponentialDecay(0.5, 10, 0.25, staircase=True)(9) == 0.5
    assert schedules.InverseTimeDecay(0.6, 10, 2.0)(5) == pytest.approx(0.3)
    assert schedules.InverseTimeDecay(0.6, 10, 2.0, staircase=True)(19) == pytest.approx(0.2)
    cosine = schedules.CosineDecay(0.0, 10, alpha=0.5, warmup_target=1.0, warmup_steps=4)
    assert [cosine(step) for step in (0, 2, 4)] == pytest.approx([0.0, 0.5, 1.0])
    assert [cosine(step) for step in (9, 14, 50)] == pytest.approx([0.75, 0.5, 0.5])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: optimizers.get("adamant"),
            ValueError,
            "optimizers.get: value must be one of .*'adam'.* 'adamant'",
        ),
        (lambda: optimizers.get(3), TypeError, "value must be a name, an Optimizer or its config, got 3"),
        (lambda: SGD(-1), ValueError, "SGD: learning_rate must be a finite number of at least 0, got -1"),
        (lambda: SGD("fast"), TypeError, "SGD: learning_rate must be"),
        (lambda: SGD(np.nan), ValueError, "SGD: learning_rate must be"),
        (lambda: SGD(momentum=1), ValueError, r"SGD: momentum must be in \[0, 1\)"),
        (lambda: Adam(beta_1=1.0), ValueError, r"Adam: beta_1 must be in \[0, 1\)"),
        (lambda: Adam(epsilon=-1), ValueError, "Adam: epsilon must be"),
        (lambda: Adam(decay=-1), ValueError, "Adam: decay must be"),
        (
            lambda: schedules.CosineDecay(0.1, 0),
            ValueError,
            "CosineDecay: decay_steps must be a positive int",
        ),
        (lambda: schedules.ExponentialDecay(0.1, 1, 0), ValueError, "decay_rate must be above 0"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 1, 1]), ValueError, "boundaries must rise"),
        (lambda: schedules.PiecewiseConstantDecay([1], [1]), ValueError, "values must be one more than"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_arrays_that_cannot_be_updated():
    optimizer = Adam()
    good = np.ones((3, 4))
    frozen = good.copy()
    frozen.flags.writeable = False
    for w in (good.T, frozen, np.ones((3, 4), int), good.astype(">f8"), [1.0]):
        with pytest.raises(TypeError, match=r"trainable_variables\['0'\] must be a writeable"):
            optimizer.apply([np.ones(np.shape(w))], [w])
    with pytest.raises(
        ValueError, match=r"grads\['0'\] must be float64 of shape \(3, 4\), got float64 of \(4, 3\)"
    ):
        optimizer.apply([good.T], [good])
    with pytest.raises(ValueError, match=r"grads\['0'\] must be float64 .* got float32"):
        optimizer.apply([good.astype("float32")], [good])
    assert optimizer.iterations == 0
    optimizer.apply([np.asfortranarray(good)], [good])
    with pytest.raises(
        ValueError, match=r"Adam: '0' must be float64 of shape \(3, 4\), as its m from earlier"
    ):
        optimizer.apply([np.ones(3)], [np.ones(3)])
    with pytest.raises(ValueError, match="Adam: state must hold"):
        optimizer.set_state({"iterations": np.array(1), "w/velocity": np.ones(3)})
    with pytest.raises(ValueError, match="Adam: state must hold 'iterations'"):
        optimizer.set_state({"w/m": np.ones(3), "w/v": np.ones(3)})
    optimizer.reset()
    assert list(optimizer.get_state()) == ["iterations"]


# --- all arrays in one pass ------------------------------------------------------------------------


def stepwise(optimizer, weights, grads, regularizers=None):
    """Two steps by an optimizer of its own for each array: what one for all must give."""
    results = []
    for place, (w, g) in enumerate(zip(weights, grads, strict=True)):
        alone, own = copy.deepcopy(optimizer), w.copy()
        for _ in range(2):
            alone.apply([g], [own], {"0": regularizers[str(place)]} if regularizers else None)
        results.append(own)
    return results


@pytest.mark.parametrize("name", NAMES)
def test_many_arrays_in_one_pass_have_the_bits_of_one_by_one(name):
    sizes, kinds = (1, 8191, 3, 8192, 20_000, 7, 1), ("f4", "f4", "f8", "f4", "f8", "f4", "f8")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=n).astype(kind) for n, kind in zip(sizes, kinds, strict=True)]
    grads = [rng.normal(size=n).astype(kind) for n, kind in zip(sizes, kinds, strict=True)]
    penalties = [None, L1(0.1), L2(0.2), L1L2(0.1, 0.3), None, L2(0.1), L1(0.2)]
    regularizers = {str(i): p for i, p in enumerate(penalties)}
    wanted = stepwise(optimizers.get(name), weights, grads, regularizers)
    before = [g.copy() for g in grads]
    optimizer = optimizers.get(name)
    for _ in range(2):
        optimizer.apply(grads, weights, regularizers)
    assert [w.tobytes() for w in weights] == [w.tobytes() for w in wanted]
    assert all(np.array_equal(g, b) for g, b in zip(grads, before, strict=True))


def test_arrays_that_are_replaced_between_steps_are_noticed():
    optimizer = optimizers.SGD(1.0)
    w, g = np.zeros(3), np.ones(3)
    optimizer.apply([g], [w])
    other = np.full(3, 5.0)
    optimizer.apply([g], [other])
    optimizer.apply([np.full(3, 2.0)], [w])
    g[...] = 3.0
    optimizer.apply([g], [w])
    optimizer.apply([g[::-1]], [w], {"0": L2(0.5)})
    assert w.tolist() == [-3.0] * 3
    assert other.tolist() == [4.0] * 3


def test_gradients_in_another_layout_are_read_again_at_every_step():
    optimizer = optimizers.SGD(1.0)
    w, g = np.zeros((2, 3)), np.asfortranarray(np.ones((2, 3)))
    optimizer.apply([g], [w])
    g[0, 1] = 4.0
    optimizer.apply([g], [w])
    assert w.tolist() == [[-2.0, -5.0, -2.0], [-2.0, -2.0, -2.0]]


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_leave_the_arrays_of_the_first_alone(clone):
    optimizer = optimizers.Momentum(1.0)
    w, g = np.zeros(3), np.ones(3)
    optimizer.apply([g], [w])
    before = optimizer.get_state()
    twin, own = clone(optimizer), np.zeros(3)
    twin.apply([g], [own])
    assert w.tolist() == [-1.0] * 3
    assert own.tolist() == [-1.9] * 3  # it goes on from the velocity of the first
    after = optimizer.get_state()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_momentum_that_is_changed_between_steps():
    optimizer, w, g = optimizers.SGD(1.0), np.zeros(3), np.ones(3)
    optimizer.apply([g], [w])
    optimizer.momentum = 0.5
    optimizer.apply([g], [w])
    optimizer.apply([g], [w])
    assert w.tolist() == [-3.5] * 3
    optimizer.momentum = 0.0
    optimizer.apply([g], [w])
    assert w.tolist() == [-4.5] * 3
    assert set(optimizer.get_state()) == {"iterations"}
    with pytest.raises(ValueError, match="momentum"):
        optimizer.momentum = 1.5


def test_a_penalty_that_is_changed_between_steps():
    optimizer, w, g = optimizers.SGD(1.0), np.ones(3), np.zeros(3)
    penalty = L2(0.0)
    optimizer.apply([g], [w], {"0": penalty})
    optimizer.apply([g], [w], {"0": penalty})
    assert w.tolist() == [1.0] * 3
    penalty.l2 = 0.25
    optimizer.apply([g], [w], {"0": penalty})
    assert w.tolist() == [0.5] * 3


def test_weights_that_have_become_read_only():
    optimizer, w, g = optimizers.SGD(1.0), np.ones(3), np.ones(3)
    optimizer.apply([g], [w])
    w.setflags(write=False)
    with pytest.raises(TypeError, match="writeable"):
        optimizer.apply([g], [w])
    assert w.tolist() == [0.0] * 3


def test_weights_that_share_memory_are_refused():
    w, g = np.zeros(6), np.ones(4)
    for first, second in ((w[:4], w[:4]), (w[:4], w[2:])):
        with pytest.raises(ValueError, match=r"\['.'\] and trainable_variables\['.'\] share memory"):
            optimizers.SGD(1.0).apply([g, g], [first, second])
    assert not w.any()
    optimizers.SGD(1.0).apply([g, g[:2]], [w[:4], w[4:]])
    assert w.tolist() == [-1.0] * 6


def test_new_views_of_the_same_gradients_are_the_same():
    optimizer, w, g = optimizers.SGD(1.0), np.zeros((2, 3)), np.ones((3, 2))
    optimizer.apply([g.reshape(2, 3)], [w])
    arrays = optimizer._arrays
    optimizer.apply([g.reshape(2, 3)], [w])
    assert optimizer._arrays is arrays
    optimizer.apply([g.copy().reshape(2, 3)], [w])
    assert optimizer._arrays is not arrays


@pytest.mark.parametrize("t_mul", [1.5, 2.0, 3.0, 5.0, 6.0, 7.0, 10.0])
def test_restarts_begin_at_the_top(t_mul):
    schedule = schedules.CosineDecayRestarts(0.1, 10, t_mul=t_mul)
    lengths = [10 * t_mul**number for number in range(8)]
    for number in range(1, 8):
        step = sum(lengths[:number])
        if step == int(step):
            assert schedule(int(step)) == pytest.approx(0.1)
            assert schedule(int(step) - 1) < 0.06


def test_a_rate_is_a_number_that_can_be_assigned():
    sgd = SGD(0.5)
    rate = sgd.learning_rate
    rate.assign(rate * 0.5)
    assert (rate, sgd.learning_rate, sgd.get_config()["learning_rate"]) == (0.5, 0.25, 0.25)
    with pytest.raises(ValueError, match="SGD: learning_rate must be a finite number of at least 0, got -1"):
        rate.assign(-1)
    assert (repr(rate), f"{rate:g}", json.dumps(rate), rate.numpy()) == ("0.5", "0.5", "0.5", 0.5)
    assert type(pickle.loads(pickle.dumps(rate))) is type(copy.deepcopy(rate)) is type(rate * 2) is float
    # As a plain float it takes the dtype of what stands beside it.
    for array in (np.ones(2, np.float32), np.float32(1)):
        assert (array * rate).dtype == (rate - array).dtype == np.float32
    del sgd
    gc.collect()
    rate.assign(1)  # nobody's
    assert rate._of() is None
