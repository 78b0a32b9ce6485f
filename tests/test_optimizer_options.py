"""What all optimizers do around their rules: clipping, decay, means of weights, accumulated gradients."""

import json

import numpy as np
import pytest
from tables import rules

from cconv import optimizers, reference, schedules, set_num_threads
from cconv.layers import BatchNormalization, Conv2D, Dense, Flatten
from cconv.models import Sequential, load_model
from cconv.optimizers import SGD, Adam, AdamW, Lion, Nadam
from cconv.regularizers import L1, L1L2, L2

TABLE = rules()
RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(24, 6, 6, 2)).astype(np.float32), np.arange(24) % 3
EVERYTHING = [
    {"clipnorm": 0.05},
    {"clipvalue": 0.01},
    {"global_clipnorm": 0.1, "weight_decay": 0.1},
    {"gradient_accumulation_steps": 3, "weight_decay": 0.1},
    {"use_ema": True, "ema_momentum": 0.5},
    {"use_ema": True, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2, "clipnorm": 0.1},
]
OPTIONS = pytest.mark.parametrize("options", EVERYTHING, ids=str)


def network(optimizer, regularizer=None):
    layers = [
        Conv2D(4, 3, activation="relu", kernel_regularizer=regularizer, input_shape=(6, 6, 2)),
        BatchNormalization(),
        Flatten(),
        Dense(3),
    ]
    model = Sequential(layers, seed=3)
    model.compile(optimizer, "mse")
    return model


def targets(n=24):
    return np.eye(3, dtype=np.float32)[Y[:n]]


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("entry", TABLE["together"], ids=lambda e: f"{e['name']}-{e['options']}")
def test_steps_of_two_weights_go_as_in_keras(entry, dtype):
    rate = schedules.InverseTimeDecay(*entry["schedule"])
    optimizer = getattr(optimizers, entry["name"])(rate, **entry["options"])
    w = [np.array(part, dtype) for part in (TABLE["weights"][:2], TABLE["weights"][2:])]
    tolerance = {"float32": 3e-6, "float64": 1e-11}[dtype]
    for grad, wanted in zip(TABLE["grads"], entry["weights"][:-1], strict=True):
        given = [np.array(part, dtype) for part in (grad[:2], grad[2:])]
        optimizer.apply(given, w)
        np.testing.assert_allclose(np.concatenate(w), wanted, rtol=tolerance, atol=tolerance)
        assert [*given[0], *given[1]] == [dtype_of(dtype, g) for g in grad], "gradients are not changed"
    optimizer.finalize_variable_values(w)
    np.testing.assert_allclose(np.concatenate(w), entry["weights"][-1], rtol=tolerance, atol=tolerance)
    assert optimizer.iterations == len(TABLE["grads"]) // entry["options"].get(
        "gradient_accumulation_steps", 1
    )


def dtype_of(dtype, value):
    return np.dtype(dtype).type(value)


@pytest.mark.parametrize("penalty", [L2(0.25), L1(0.5), L1L2(0.5, 0.25)])
@pytest.mark.parametrize("steps", [None, 2])
def test_penalties_are_part_of_the_gradient_that_is_clipped(penalty, steps):
    """w decays behind the gradient of its penalty, as in Keras, where that is part of the loss."""
    optimizer = SGD(0.5, clipnorm=2.0, weight_decay=0.1, gradient_accumulation_steps=steps)
    w, g = np.array([2.0, -4.0, 0.0]), np.array([1.0, 1.0, 1.0])
    wanted = w.copy()
    for _ in range(2):
        whole = reference.clip_norm(g + penalty.l1 * np.sign(wanted) + 2 * penalty.l2 * wanted, 2.0)
        wanted = wanted * (1 - 0.5 * 0.1) - 0.5 * whole
        for _ in range(steps or 1):
            optimizer.apply([g], [w], {"0": penalty})
        np.testing.assert_allclose(w, wanted, atol=1e-14)
    assert g.tolist() == [1.0] * 3


def test_one_global_norm_for_all_dtypes_and_none_without_gradients():
    a, b, c = np.zeros(2), np.zeros(2, np.float32), np.ones(1)
    SGD(1.0, global_clipnorm=2.5).apply(
        {"a": np.array([3.0, 0]), "b": np.float32([4, 0])}, {"a": a, "b": b, "c": c}
    )
    assert (a.tolist(), b.tolist(), c.tolist()) == ([-1.5, 0.0], [-2.0, 0.0], [1.0])
    SGD(1.0, global_clipnorm=2.5).apply([np.array([np.inf, 1.0])], [a])
    assert np.isnan(a).all()
    SGD(1.0, clipnorm=1.0).apply([np.zeros(1)], [c])
    assert c.tolist() == [1.0]


@OPTIONS
def test_same_bits_on_any_number_of_threads(options):
    found = set()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            w = np.random.default_rng(0).normal(size=40_003).astype(np.float32)
            optimizer = Adam(0.1, **options)
            for t in range(4):
                optimizer.apply([np.random.default_rng(t).normal(size=w.shape).astype(np.float32)], [w])
            found.add(w.tobytes())
    finally:
        set_num_threads(None)
    assert len(found) == 1


@OPTIONS
def test_a_model_saved_in_the_middle_goes_on_with_the_same_bits(options, tmp_path):
    whole, part = network(Adam(0.01, **options), L2(0.01)), network(Adam(0.01, **options), L2(0.01))
    for count in (1, 3):
        for model in (whole, part):
            for _ in range(count):
                model.train_on_batch(X, targets())
        assert bits(whole) == bits(part)
        part.save(tmp_path / "m")
        part = load_model(tmp_path / "m")
        assert part.optimizer == whole.optimizer
        assert part.optimizer.iterations == whole.optimizer.iterations
    for model in (whole, part):
        for _ in range(2):
            model.train_on_batch(X, targets())
    assert bits(whole) == bits(part)
    state, again = whole.optimizer.get_state(), part.optimizer.get_state()
    assert set(state) == set(again)
    assert all(state[name].tobytes() == again[name].tobytes() for name in state)
    whole.optimizer.reset()
    assert whole.optimizer.get_state() == {"iterations": 0}


@OPTIONS
def test_repeated_steps_have_the_bits_of_those_that_are_not(options):
    """Also with layers that are frozen and thawed between, and batches of other sizes."""
    one, two = network(Nadam(0.01, **options)), network(Nadam(0.01, **options))
    two._training_plan().replays = False
    for n, trains in ((24, True), (24, True), (24, True), (9, True), (24, False), (24, False), (24, True)):
        for model in (one, two):
            model.layers[0].trainable = trains
            before = model.layers[0].params["kernel"].copy()
            model.train_on_batch(X[:n], targets(n))
            if not trains:
                assert np.array_equal(before, model.layers[0].params["kernel"])
        assert bits(one) == bits(two)


def test_a_weight_that_begins_to_learn_later_has_a_mean_of_its_own():
    optimizer, a, b = SGD(1.0, use_ema=True, ema_momentum=0.5), np.zeros(1), np.full(1, 4.0)
    optimizer.apply({"a": np.ones(1)}, {"a": a})
    optimizer.apply({"a": np.ones(1), "b": np.ones(1)}, {"a": a, "b": b})
    optimizer.finalize_variable_values({"a": a, "b": b, "c": np.ones(1)})
    assert (a[0], b[0]) == (-1.5, 3.5)


def test_fit_ends_with_the_means():
    plain, model = network(SGD(0.1)), network(SGD(0.1, use_ema=True, ema_momentum=0.5))
    weights, mean = [], None
    for _ in range(3):
        plain.fit(X, targets(), batch_size=24, verbose=0)
        weights.append([w.copy() for w in plain.layers[3].params.values()])
    for step in weights:
        mean = step if mean is None else [0.5 * a + 0.5 * w for a, w in zip(mean, step, strict=True)]
    model.fit(X, targets(), batch_size=24, epochs=3, verbose=0)
    for found, wanted in zip(model.layers[3].params.values(), mean, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_weights_that_do_not_decay():
    model = network(AdamW(0.0, weight_decay=0.5))
    optimizer = model.optimizer
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([1], [0.25, 0.0])
    optimizer.beta_1 = 0.0
    before = {f"{layer.name}/{name}": w.copy() for layer in model.layers for name, w in layer.params.items()}
    optimizer.apply(
        {name: np.zeros_like(w) for name, w in before.items()},
        {f"{layer.name}/{name}": w for layer in model.layers for name, w in layer.params.items()},
    )
    for layer in model.layers:
        for name, w in layer.params.items():
            factor = 1.0 if name in ("bias", "gamma", "beta") else 1 - 0.25 * 0.5
            assert np.array_equal(w, before[f"{layer.name}/{name}"] * np.float32(factor)), name
    for wrong in ("bias", [3]):
        with pytest.raises(
            TypeError, match=r"AdamW.exclude_from_weight_decay: var_names must be a list of str"
        ):
            optimizer.exclude_from_weight_decay(var_names=wrong)
    with pytest.raises(TypeError, match="var_list is not supported, use var_names"):
        optimizer.exclude_from_weight_decay([np.ones(1)])


def test_options_that_are_changed_between_steps():
    optimizer, w, g = SGD(1.0), np.zeros(2), np.array([3.0, 4.0])
    optimizer.apply([g], [w])
    optimizer.clipnorm = 2.5
    optimizer.apply([g], [w])
    assert w.tolist() == [-4.5, -6.0]
    optimizer.clipnorm = None
    optimizer.gradient_accumulation_steps = 2
    for _ in range(2):
        optimizer.apply([g], [w])
    assert w.tolist() == [-7.5, -10.0]
    with pytest.raises(ValueError, match="SGD: clipvalue must be a finite number of at least 0, got -1"):
        optimizer.clipvalue = -1


def test_the_largest_v_is_kept_only_where_it_is_asked_for():
    optimizer, w = Adam(0.1), np.zeros(2)
    optimizer.apply([np.ones(2)], [w])
    assert "0/v_hat" not in optimizer.get_state()
    optimizer.amsgrad = True
    optimizer.apply([np.ones(2)], [w])
    assert np.array_equal(optimizer.get_state()["0/v_hat"], optimizer.get_state()["0/v"])


@pytest.mark.parametrize("make", [SGD, Adam, AdamW, Lion, optimizers.Momentum])
@OPTIONS
def test_configurations(make, options):
    optimizer = make(0.25, **options)
    config = json.loads(json.dumps({"class_name": make.__name__, "config": optimizer.get_config()}))
    assert optimizers.get(config) == optimizer
    assert all(optimizer.get_config()[name] == value for name, value in options.items())
    assert all(f"{name}={value!r}" in repr(optimizer) for name, value in options.items())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"clipnorm": -1}, ValueError, "clipnorm must be a finite number of at least 0, got -1"),
        ({"clipvalue": "1"}, TypeError, "clipvalue must be a finite number of at least 0, got '1'"),
        ({"global_clipnorm": np.nan}, ValueError, "global_clipnorm must be a finite number"),
        (
            {"clipnorm": 1, "clipvalue": 1},
            ValueError,
            "only one of .* can be set, got clipnorm and clipvalue",
        ),
        ({"weight_decay": -0.1}, ValueError, "weight_decay must be a finite number of at least 0, got -0.1"),
        ({"use_ema": 1}, TypeError, "use_ema must be True or False, got 1"),
        ({"ema_momentum": 1.5}, ValueError, r"ema_momentum must be in \[0, 1\], got 1.5"),
        ({"ema_overwrite_frequency": 0}, ValueError, "ema_overwrite_frequency must be a positive int, got 0"),
        ({"gradient_accumulation_steps": 1}, ValueError, "must be None or an int of at least 2, got 1"),
        ({"gradient_accumulation_steps": 2.0}, TypeError, "must be None or an int of at least 2, got 2.0"),
        ({"amsgrad": 1}, TypeError, "amsgrad must be True or False, got 1"),
        ({"loss_scale_factor": 2.0}, TypeError, "loss_scale_factor is not supported: see docs/coming"),
        ({"no_such": 2.0}, TypeError, "unexpected keyword argument 'no_such'"),
    ],
)
def test_refusals(options, error, text):
    with pytest.raises(error, match=text):
        Adam(**options)


def test_gradients_and_weights_in_pairs():
    """As in Keras: the gradient first; weights without one are left alone."""
    a, b = np.ones(2), np.ones(3)
    one, other = SGD(0.5), SGD(0.5)
    one.apply_gradients(zip([np.ones(2), None], [a, b], strict=True))
    assert a.tolist() == [0.5, 0.5]
    assert b.tolist() == [1, 1, 1]
    twin = np.ones(2)
    other.apply([np.ones(2), None], [twin, np.ones(3)])
    assert twin.tolist() == a.tolist()
