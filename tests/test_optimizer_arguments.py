"""Arguments, state and arrays of the optimizers: names, limits and messages. Steps: test_rule_tables.py."""

import pickle
import re

import numpy as np
import pytest

from cconv import optimizers
from cconv.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Momentum,
    Nadam,
    Nesterov,
    RMSprop,
    schedules,
)
from cconv.regularizers import L1, L1L2, L2

AT_LEAST_ZERO, FRACTION = "a finite number of at least 0", "in [0, 1)"
# Keras' defaults and the limits of every argument; `momentum`, Keras' 0 for SGD, is the classes' own name.
ARGUMENTS = {
    SGD: {"learning_rate": (0.01, AT_LEAST_ZERO), "momentum": (0.0, FRACTION), "nesterov": (False, None)},
    Momentum: {"learning_rate": (0.01, AT_LEAST_ZERO), "momentum": (0.9, FRACTION)},
    Nesterov: {"learning_rate": (0.01, AT_LEAST_ZERO), "momentum": (0.9, FRACTION)},
    Adagrad: {
        "learning_rate": (0.001, AT_LEAST_ZERO),
        "initial_accumulator_value": (0.1, AT_LEAST_ZERO),
        "epsilon": (1e-7, AT_LEAST_ZERO),
    },
    RMSprop: {
        "learning_rate": (0.001, AT_LEAST_ZERO),
        "rho": (0.9, FRACTION),
        "momentum": (0.0, FRACTION),
        "epsilon": (1e-7, AT_LEAST_ZERO),
        "centered": (False, None),
    },
    Adadelta: {
        "learning_rate": (0.001, AT_LEAST_ZERO),
        "rho": (0.95, FRACTION),
        "epsilon": (1e-7, AT_LEAST_ZERO),
    },
    Nadam: {
        "learning_rate": (0.001, AT_LEAST_ZERO),
        "beta_1": (0.9, FRACTION),
        "beta_2": (0.999, FRACTION),
        "epsilon": (1e-7, AT_LEAST_ZERO),
    },
}
ARGUMENTS[Adam] = {**ARGUMENTS[Nadam], "amsgrad": (False, None)}
ARGUMENTS[Adamax] = ARGUMENTS[Nadam]
# What all have besides.
COMMON = {
    "decay": 0.0,
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
}
ARGUMENTS[AdamW] = {
    "learning_rate": (0.001, AT_LEAST_ZERO),
    "weight_decay": (0.004, AT_LEAST_ZERO),
    **{name: limits for name, limits in ARGUMENTS[Adam].items() if name != "learning_rate"},
}
STATES = {
    SGD: [],
    Momentum: ["velocity"],
    Nesterov: ["velocity"],
    Adagrad: ["accumulator"],
    RMSprop: ["velocity"],
    Adadelta: ["accumulated_grad", "accumulated_delta"],
    Adam: ["m", "v"],
    AdamW: ["m", "v"],
    Nadam: ["m", "v"],
    Adamax: ["m", "u"],
}
CLASSES = pytest.mark.parametrize("make", ARGUMENTS, ids=[make.__name__ for make in ARGUMENTS])


def refused(error, message, function, *arguments, **options):
    """The call fails with this error, and its message begins so."""
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        function(*arguments, **options)


@CLASSES
def test_defaults_and_positions(make):
    defaults = {name: default for name, (default, _) in ARGUMENTS[make].items()}
    assert make().get_config() == COMMON | defaults
    given = [
        True if name in ("nesterov", "amsgrad", "centered") else 0.25 + i / 16
        for i, name in enumerate(defaults)
    ]
    wanted = COMMON | dict(zip(defaults, given, strict=True)) | {"decay": 0.5}
    assert make(*given, decay=0.5).get_config() == wanted
    assert make(lr=0.25) == make(0.25) == make(learning_rate=0.25)
    assert make().iterations == 0


@CLASSES
def test_limits_of_arguments(make):
    where = make.__name__
    for name, (_, limits) in [*ARGUMENTS[make].items(), ("decay", (0.0, AT_LEAST_ZERO))]:
        if limits is None:
            refused(TypeError, f"{where}: {name} must be True or False, got 1", make, **{name: 1})
            continue
        assert getattr(make(**{name: 0.0}), name) == 0.0
        refused(ValueError, f"{where}: {name} must be {limits}, got -0.5", make, **{name: -0.5})
        refused(ValueError, f"{where}: {name} must be a finite number", make, **{name: np.inf})
        refused(TypeError, f"{where}: {name} must be a finite number", make, **{name: "0.5"})
        if limits == FRACTION:
            refused(ValueError, f"{where}: {name} must be in [0, 1), got 1.0", make, **{name: 1.0})
        else:
            assert getattr(make(**{name: 1.5}), name) == 1.5


def test_lion():
    assert Lion().get_config() == COMMON | {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99}
    assert Lion(0.5, 1.0, 0.25).get_config()["beta_1"] == 1.0
    for wrong in (0.0, 1.5):
        refused(ValueError, f"Lion: beta_1 must be in (0, 1], got {wrong}", Lion, beta_1=wrong)


def test_names():
    for name in (
        "SGD",
        "Momentum",
        "Nesterov",
        "Adagrad",
        "RMSprop",
        "Adadelta",
        "Adam",
        "AdamW",
        "Nadam",
        "Adamax",
        "Lion",
        "Adafactor",
        "Ftrl",
        "Lamb",
    ):
        assert type(optimizers.get(name)) is type(optimizers.get(name.lower())) is getattr(optimizers, name)
    assert optimizers.AdaGrad is optimizers.adagrad is Adagrad
    assert optimizers.RMSProp is optimizers.rmsprop is RMSprop
    assert (optimizers.sgd, optimizers.adadelta, optimizers.adam) == (SGD, Adadelta, Adam)
    assert optimizers.schedules.CosineDecay is schedules.CosineDecay
    refused(ValueError, "optimizers.get: value must be one of", optimizers.get, "adafacto")
    refused(TypeError, "compile: optimizer must be a name", optimizers.get, 3, "compile", "optimizer")


@CLASSES
def test_state(make):
    optimizer = make()
    assert optimizer.get_state() == {"iterations": 0}
    w, g = (
        {"a": np.ones((2, 3)), "b/c": np.ones(4, np.float32)},
        {"a": np.ones((2, 3)), "b/c": np.ones(4, np.float32)},
    )
    optimizer.apply(g, w)
    state = optimizer.get_state()
    names = [f"{name}/{slot}" for name in w for slot in STATES[make]]
    assert list(state) == ["iterations", *names]
    assert state["iterations"].dtype == np.int64
    assert state["iterations"] == 1
    for name in names:
        array = w[name.rpartition("/")[0]]
        assert (state[name].shape, state[name].dtype) == (array.shape, array.dtype)
    optimizer.reset()
    assert optimizer.get_state() == {"iterations": 0}
    assert optimizer.iterations == 0


def test_state_of_another():
    where = "Adam: state must hold "
    ones = np.ones(3)
    whole = {"iterations": np.array(3), "w/m": ones, "w/v": ones}
    optimizer = Adam()
    for missing in whole:
        entries = {name: array for name, array in whole.items() if name != missing}
        message = where + "'iterations' and, for every weight, ('m', 'v')"
        refused(ValueError, message, optimizer.set_state, entries)
    for wrong in ("w/velocity", "m", "/m", "w"):
        message = where + f"the entries 'name/slot', got {wrong!r}"
        refused(ValueError, message, optimizer.set_state, whole | {wrong: ones})
    optimizer.set_state({"w/v": ones, "w/m": 2 * ones, "iterations": np.array(3)})
    assert optimizer.iterations == 3
    assert list(optimizer.get_state()) == ["iterations", "w/m", "w/v"]
    ones[...] = 7.0  # what was given is copied
    assert optimizer.get_state()["w/v"].tolist() == [1.0] * 3
    optimizer.set_state({"iterations": np.array(0)})
    assert optimizer.get_state() == {"iterations": 0}


def test_a_state_is_taken_up_between_steps():
    first, second, w, own, g = Momentum(1.0), Momentum(1.0), np.zeros(3), np.zeros(3), np.ones(3)
    first.apply([g], [w])
    second.apply([g], [own])
    second.apply([g], [own])
    second.set_state(first.get_state())
    own[...] = w
    second.apply([g], [own])
    first.apply([g], [w])
    assert own.tolist() == w.tolist() == [-2.9] * 3
    assert second.iterations == 2


def test_weights_of_another_shape_than_at_earlier_steps():
    optimizer = Adam()
    optimizer.apply({"w": np.ones(3)}, {"w": np.ones(3)})
    message = "Adam: 'w' must be float64 of shape (3,), as its m from earlier steps, got {}"
    for w, got in ((np.ones(4), "float64 of (4,)"), (np.ones(3, np.float32), "float32 of (3,)")):
        refused(ValueError, message.format(got), optimizer.apply, {"w": np.ones_like(w)}, {"w": w})
    assert optimizer.iterations == 1


def test_the_base_has_no_rule():
    class Nothing(optimizers.Optimizer):
        def __init__(self):
            super().__init__(1.0, 0.0, None)

    assert (Nothing().learning_rate, Nothing.slots, Nothing.slot_start) == (1.0, (), 0.0)
    with pytest.raises(NotImplementedError):
        Nothing().apply([np.ones(2)], [np.ones(2)])


def test_rates_by_step():
    optimizer, w, g = SGD(0.5, decay=0.25), np.zeros(1), np.ones(1)
    assert optimizer.current_rate() == 0.5
    optimizer.apply([g], [w])
    assert optimizer.current_rate() == 0.5 / 1.25
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([1], [1.0, 3.0])
    assert optimizer.current_rate() == 1.0 / 1.25
    optimizer.apply([g], [w])
    assert optimizer.current_rate() == 3.0 / 1.5
    refused(ValueError, "SGD: learning_rate must be a finite number", setattr, optimizer, "lr", -1)


# --- arrays ----------------------------------------------------------------------------------------


def test_arrays_that_cannot_be_stepped():
    good, read_only = np.ones((3, 4)), np.ones((3, 4))
    read_only.setflags(write=False)
    message = (
        "Optimizer: trainable_variables['a'] must be a writeable, C-contiguous array of float32 or float64"
    )
    for w in (
        [[1.0] * 4] * 3,
        np.ones((3, 4), int),
        np.ones((3, 4), np.float16),
        good.T,
        read_only,
        good[:, ::2],
    ):
        refused(TypeError, message, SGD().apply, {"a": np.ones(np.shape(w))}, {"a": w})
    message = "Optimizer: grads['a'] must be float64 of shape (3, 4), got {}"
    for g, got in (
        (np.ones((4, 3)), "float64 of (4, 3)"),
        (np.ones((3, 4), np.float32), "float32 of (3, 4)"),
    ):
        refused(ValueError, message.format(got), SGD().apply, {"a": g}, {"a": good})
    message = "Optimizer: grads['a'] must be an array, got list"
    refused(TypeError, message, SGD().apply, {"a": [[1.0] * 4] * 3}, {"a": good})
    assert np.array_equal(good, np.ones((3, 4)))


def test_weights_that_share_memory():
    w, g = np.zeros(8), np.ones(4)
    for first, second in ((slice(0, 4), slice(3, 7)), (slice(3, 7), slice(0, 4))):
        message = r"^Optimizer: trainable_variables\['.'\] and trainable_variables\['.'\] share memory$"
        with pytest.raises(ValueError, match=message):
            SGD().apply({"a": g, "b": g}, {"a": w[first], "b": w[second]})
    SGD(1.0).apply({"a": g, "b": g}, {"a": w[4:], "b": w[:4]})
    assert w.tolist() == [-1.0] * 8


def test_weights_without_gradients_and_in_lists():
    a, b, c = np.zeros(2), np.zeros(3), np.zeros(4)
    SGD(1.0).apply({"b": np.ones(3), "d": np.ones(1)}, {"a": a, "b": b, "c": c})
    assert (a.tolist(), b.tolist(), c.tolist()) == ([0.0] * 2, [-1.0] * 3, [0.0] * 4)
    optimizer = Momentum(1.0)
    optimizer.apply([np.ones(2), np.ones(3)], [a, b])
    assert list(optimizer.get_state()) == ["iterations", "0/velocity", "1/velocity"]


@pytest.mark.parametrize("penalty", [None, L1(0.5), L2(0.25), L1L2(0.5, 0.25)])
def test_gradients_of_penalties(penalty):
    """That of l1 Σ|w| is l1 sign(w), that of l2 Σw² is 2 l2 w; other dtypes have steps of their own."""
    regularizers = {"w": penalty} if penalty else None
    for dtype in ("float32", "float64"):
        w, g = np.array([2.0, -4.0, 0.0], dtype), np.array([1.0, 1.0, 1.0], dtype)
        other = np.ones(2, "float64" if dtype == "float32" else "float32")
        optimizer = SGD(0.5)
        for _ in range(2):
            l1, l2 = (penalty.l1, penalty.l2) if penalty else (0.0, 0.0)
            wanted = w - 0.5 * (g + l1 * np.sign(w) + 2 * l2 * w)
            before = other.copy()
            optimizer.apply({"w": g, "o": np.ones_like(other)}, {"w": w, "o": other}, regularizers)
            assert w.tolist() == wanted.tolist()
            assert other.tolist() == (before - 0.5).tolist()
        assert g.tolist() == [1.0] * 3


def test_gradients_that_kernels_can_read_are_not_copied():
    w, g = np.zeros((2, 3)), np.ones((2, 3))
    optimizer = SGD(1.0)
    for penalty, copied in ((None, False), (L2(0.5), False), (L1(0.5), True)):
        optimizer.apply([g], [w], {"0": penalty})
        assert (optimizer._arrays.groups[0].entries[0][1] is not g) == copied
    optimizer.apply([np.ones((3, 2)).T], [w])
    assert optimizer._arrays.groups[0].entries[0][1].flags.c_contiguous


def steps_with(change):
    """One step, a change of the arguments, and two more steps: weights after each."""
    optimizer = SGD(1.0)
    arguments = {
        "grads": {"w": np.ones((2, 2))},
        "trainable_variables": {"w": np.zeros((2, 2))},
        "regularizers": {},
    }
    optimizer.apply(**arguments)
    change(arguments)
    found = []
    for _ in range(2):
        before = arguments["trainable_variables"]["w"].copy()
        optimizer.apply(**arguments)
        found.append((arguments["trainable_variables"]["w"] - before).ravel().tolist())
    return found


@pytest.mark.parametrize(
    ("change", "first", "second"),
    [
        (lambda a: None, [-1.0] * 4, [-1.0] * 4),
        (lambda a: a["grads"]["w"].fill(2.0), [-2.0] * 4, [-2.0] * 4),
        (lambda a: a["grads"].update(w=np.full((2, 2), 3.0)), [-3.0] * 4, [-3.0] * 4),
        (
            lambda a: a["grads"].update(w=np.array([[1.0, 2], [3, 4]]).T),
            [-1.0, -3, -2, -4],
            [-1.0, -3, -2, -4],
        ),
        (lambda a: a["trainable_variables"].update(w=np.full((2, 2), 5.0)), [-1.0] * 4, [-1.0] * 4),
        (lambda a: a["regularizers"].update(w=L2(0.5)), [0.0] * 4, [-1.0] * 4),
        (lambda a: a["regularizers"].update(w=L1(0.5)), [-0.5] * 4, [-0.5] * 4),
        (lambda a: a["trainable_variables"].update(v=np.ones(1)), [-1.0] * 4, [-1.0] * 4),
        (lambda a: a["grads"].update(w=a["grads"]["w"][:]), [-1.0] * 4, [-1.0] * 4),
    ],
)
def test_arrays_and_penalties_that_change_between_steps(change, first, second):
    found = steps_with(change)
    if first == [0.0] * 4:  # w is -1, and g + 2 l2 w = 0; it stays there
        second = [0.0] * 4
    assert found == [first, second]


def test_a_view_of_the_same_gradient_is_the_same_only_if_it_reads_the_same():
    memory = np.arange(8.0)
    views = [
        memory[:4].reshape(2, 2),
        memory[:4].reshape(2, 2).T,
        memory[4:].reshape(2, 2),
        memory[:4].reshape(2, 2),
        memory[::2].reshape(2, 2),
    ]
    optimizer, w = SGD(1.0), np.zeros((2, 2))
    wanted = np.zeros((2, 2))
    for view in views:
        optimizer.apply([view], [w])
        wanted -= view
        assert w.tolist() == wanted.tolist()


def test_a_view_of_another_shape_or_dtype_is_another_gradient():
    optimizer, w, memory = SGD(1.0), np.zeros(4), np.ones(8)
    optimizer.apply([memory[:4]], [w])
    for other in (memory[:3], memory[:5], memory[:4].view(np.int64)):
        refused(
            ValueError,
            "Optimizer: grads['0'] must be float64 of shape (4,), got",
            optimizer.apply,
            [other],
            [w],
        )
    assert (w.tolist(), optimizer.iterations) == ([-1.0] * 4, 1)


def test_another_name_for_the_same_array_is_another_weight():
    optimizer, w, g = Momentum(1.0), np.zeros(2), np.ones(2)
    optimizer.apply({"a": g}, {"a": w})
    optimizer.apply({"b": g}, {"b": w})
    assert w.tolist() == [-2.0, -2.0]
    assert list(optimizer.get_state()) == ["iterations", "a/velocity", "b/velocity"]
    optimizer.apply({"a": g}, {"a": w})
    assert w.tolist() == [-3.9, -3.9]


def test_steps_that_are_repeated_for_a_token():
    """As a model's plan does it: it knows the arrays of the last `apply` by an object of its own."""
    optimizer, w, g, token = SGD(1.0), np.zeros(2), np.ones(2), object()
    optimizer._remember(token)
    assert optimizer._repeat(token) is False
    optimizer.apply([g], [w])
    assert optimizer._repeat(token) is False
    assert optimizer._repeat(None) is False
    optimizer._remember(token)
    assert optimizer._repeat(token) is True
    assert (w.tolist(), optimizer.iterations) == ([-2.0, -2.0], 2)
    assert optimizer._repeat(object()) is False
    assert optimizer._repeat(None) is False
    w.setflags(write=False)
    assert optimizer._repeat(token) is False
    w.setflags(write=True)
    assert optimizer._repeat(token) is True
    optimizer.momentum = 0.5  # other arrays are needed now
    assert optimizer._repeat(token) is False
    assert (w.tolist(), optimizer.iterations) == ([-3.0, -3.0], 3)


def test_the_weights_are_no_part_of_what_is_pickled():
    optimizer, w = SGD(1.0), np.zeros(10_000)
    optimizer.apply([np.ones(10_000)], [w])
    assert len(pickle.dumps(optimizer)) < 2_000
    restored = pickle.loads(pickle.dumps(optimizer))
    assert restored._arrays is None
    restored.apply([np.ones(10_000)], [w])
    assert (w[0], restored.iterations, optimizer.iterations) == (-2.0, 2, 1)


def test_momentum_keeps_a_velocity_only_where_there_is_one():
    for momentum, slots in ((0.0, ()), (0.5, ("velocity",))):
        assert SGD(0.1, momentum).slots == slots
    assert Momentum().nesterov is False
    assert Nesterov().nesterov is True
    assert (SGD(0.1, 0.5).momentum, Nesterov(0.1, 0.25).momentum) == (0.5, 0.25)
