"""Constraints: arguments, own ones, when a model applies them, and files."""

import numpy as np
import pytest

import cconv
from cconv import constraints, layers
from cconv.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from cconv.exactmath import tree_sum
from cconv.layers import BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Flatten, PReLU
from cconv.models import Sequential
from cconv.utils import custom_object_scope, register_serializable

X = np.random.default_rng(0).standard_normal((24, 6, 5, 2)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[np.arange(24) % 3]


def network(**options):
    model = Sequential(
        [
            Conv2D(
                4,
                2,
                kernel_constraint=MaxNorm(0.5, [0, 1, 2]),
                bias_constraint="non_neg",
                input_shape=(6, 5, 2),
            ),
            PReLU("ones", alpha_constraint=MinMaxNorm(0.1, 0.2), shared_axes=[1, 2]),
            DepthwiseConv2D(2, depthwise_constraint="unit_norm", bias_constraint="non_neg"),
            BatchNormalization(beta_constraint="non_neg", gamma_constraint=MaxNorm(1.5)),
            Flatten(),
            Dense(3, "softmax", kernel_constraint=UnitNorm(axis=1), bias_constraint=constraints.non_neg()),
        ],
        seed=3,
    )
    for name, value in options.items():
        setattr(model, name, value)
    return model


def kept(model):
    """Whether all weights are what their constraints allow."""
    for layer in model.layers:
        for name, constraint in layer.constraints.items():
            w = layer.params[name]
            np.testing.assert_allclose(constraint(w), w, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weights_are_kept_after_every_step(optimizer):
    model = network()
    model.compile(optimizer, "categorical_crossentropy")
    for _ in range(5):  # from the third step on the plan repeats its calls
        model.train_on_batch(X, Y)
        kept(model)
    model.fit(X, Y, batch_size=7, epochs=2, verbose=0)
    kept(model)
    assert all(len(layer.constraints) > 0 for layer in model.layers if layer.params)


def test_bits_do_not_depend_on_threads_or_fusing():
    found = []
    before = cconv.get_num_threads()
    try:
        for threads, fuse in ((1, True), (2, True), (3, False), (8, True)):
            cconv.set_num_threads(threads)
            model = network(fuse=fuse)
            model.compile("adam", "categorical_crossentropy")
            model.fit(X, Y, batch_size=7, epochs=2, verbose=0)
            found.append(b"".join(w.tobytes() for w in model.get_weights()))
    finally:
        cconv.set_num_threads(before)
    assert len(set(found)) == 1


def test_frozen_layers_keep_their_weights():
    model = network()
    model.compile("sgd", "categorical_crossentropy")
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    model.fit(X, Y, epochs=2, verbose=0)
    for old, new in zip(before, model.layers[0].get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()
    model.layers[0].constrain()  # by hand
    kept(model)


def test_files_and_clones(tmp_path):
    model = network()
    model.compile("adam", "categorical_crossentropy")
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "model.safetensors")
    loaded = cconv.load_model(tmp_path / "model.safetensors")
    clone = Sequential.from_config(model.get_config())
    for ours, theirs, third in zip(model.layers, loaded.layers, clone.layers, strict=True):
        assert ours.constraints == theirs.constraints
        assert ours.get_config() == theirs.get_config() == third.get_config()
    for twin in (model, loaded):
        twin.fit(X, Y, epochs=1, verbose=0)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


class Centred(Constraint):
    """A constraint of the user's own."""

    def __init__(self, at=0.0):
        self.at = at

    def __call__(self, w):
        return w - w.mean() + self.at


def halves(w):
    return np.clip(w, -0.5, 0.5)


def test_constraints_of_a_users_own(tmp_path):
    model = Sequential([Dense(3, kernel_constraint=Centred(0.25), bias_constraint=halves, input_shape=(2,))])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 2)), 9 * np.ones((8, 3)), epochs=9, verbose=0)
    (dense,) = model.layers
    assert dense.params["kernel"].mean() == pytest.approx(0.25, abs=1e-6)
    assert dense.params["bias"].max() == 0.5
    with pytest.raises(
        TypeError, match=r"halves: a constraint that is a function is saved by its name alone"
    ):
        dense.get_config()
    register_serializable("tests")(halves)
    assert dense.get_config()["bias_constraint"] == "tests>halves"
    assert dense.get_config()["kernel_constraint"] == {"class_name": "Centred", "config": {"at": 0.25}}
    model.save(tmp_path / "model.safetensors")
    with custom_object_scope({"Centred": Centred}):
        loaded = cconv.load_model(tmp_path / "model.safetensors")
    assert loaded.layers[0].kernel_constraint == Centred(0.25)
    assert loaded.layers[0].constraints["bias"](np.array([3.0])) == 0.5


def test_a_constraint_that_gives_no_weight_is_refused():
    for wrong, got in ((lambda w: w[:1], r"\(1, 3\)"), (lambda w: "no", r"\(\)")):
        layer = Dense(3, kernel_constraint=wrong).build((2,))
        with pytest.raises(ValueError, match=rf"kernel must have shape \(2, 3\), got {got}"):
            layer.constrain()
    layer = Dense(3, kernel_constraint=MaxNorm(axis=2)).build((2,))
    with pytest.raises(
        ValueError, match=r"MaxNorm: axis must name axes of a weight of shape \(2, 3\), got \[2\]"
    ):
        layer.constrain()


def test_layers_of_a_users_own():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.gamma = self.add_weight(input_shape[-1:], "ones", constraint="non_neg", name="gamma")

        def forward(self, x):
            self.x = x
            return self.gamma * x

        def backward(self, dy):
            self.grads["gamma"] = (dy * self.x).sum(axis=0)
            return self.gamma * dy

    model = Sequential([Scale(input_shape=(2,))])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 2)), -9 * np.ones((8, 2)), epochs=30, verbose=0)
    np.testing.assert_array_equal(model.layers[0].params["gamma"], 0)


@pytest.mark.parametrize("name", ["max_norm", "MaxNorm", "non_neg", "NonNeg", "unit_norm", "min_max_norm"])
def test_names(name):
    found = constraints.get(name)
    assert type(found).__name__.lower() == name.replace("_", "").lower()
    assert constraints.get(found) is found
    assert constraints.get(type(found)) == found
    assert constraints.get(None) is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MaxNorm(-1), ValueError, "MaxNorm: max_value must be a finite number of at least 0, got -1"),
        (lambda: MaxNorm(axis="0"), TypeError, "MaxNorm: axis must be an int or a list of ints, got '0'"),
        (lambda: UnitNorm(axis=[0.5]), TypeError, r"UnitNorm: axis must be an int .*, got \[0.5\]"),
        (lambda: MinMaxNorm(rate=1.5), ValueError, "MinMaxNorm: rate must be in"),
        (lambda: constraints.get("max"), ValueError, "constraints.get: value must be one of 'max_norm'"),
        (lambda: Dense(3, kernel_constraint=3), TypeError, "Dense: kernel_constraint must be a name"),
        (lambda: PReLU(alpha_constraint="x"), ValueError, "PReLU: alpha_constraint must be one of"),
        (lambda: Constraint()(np.ones(2)), NotImplementedError, "Constraint: define __call__"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_zeros_infinities_and_nan():
    zeros = np.zeros((3, 2))
    for constraint in (MaxNorm(), UnitNorm(), MinMaxNorm(0.5, 1.0), NonNeg()):
        np.testing.assert_array_equal(constraint(zeros), zeros)
        assert np.isnan(constraint(np.full((3, 2), np.nan))).all()
    np.testing.assert_array_equal(NonNeg()(np.array([-np.inf, np.inf, -0.0])), [0, np.inf, 0])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 100, 1001])
def test_the_tree_adds_everything_once(n):
    terms = np.random.default_rng(n).integers(-1000, 1000, (n, 3)).astype(float)
    before = terms.copy()
    np.testing.assert_array_equal(tree_sum(terms), terms.sum(axis=0))
    np.testing.assert_array_equal(terms, before)
