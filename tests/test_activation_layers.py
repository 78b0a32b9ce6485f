"""Activations that keep their input, PReLU, softmaxes over other axes, thresholds; orthogonal kernels."""

import numpy as np
import pytest

import cconv
from cconv import activations, initializers, layers
from cconv.layers import ELU, Activation, Conv2D, Dense, Flatten, MaxPooling2D, PReLU, ReLU, Softmax
from cconv.models import Sequential
from cconv.ops.run import Run

X = np.random.default_rng(0).standard_normal((33, 8, 7, 3)).astype(np.float32)
Y = np.eye(4, dtype=np.float32)[np.arange(33) % 4]
NAMES = (
    *("silu", "swish", "gelu", "elu", "selu", "softplus", "softsign", "mish", "hard_sigmoid", "hard_silu"),
    *("hard_swish", "exponential"),
)


def trained(make, data_format="channels_last", **options):
    x = X if data_format == "channels_last" else np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    model = Sequential([*make(), Flatten(), Dense(4, "softmax")], seed=1, data_format=data_format)
    for name, value in options.items():
        setattr(model, name, value)
    model.build(x.shape[1:])
    model.compile("adam", "categorical_crossentropy")
    model.fit(x, Y, batch_size=8, epochs=2, verbose=0)  # batches of two sizes, each seen again
    small, large = model.predict(x[:3], verbose=0), model.predict(x, verbose=0)
    np.testing.assert_array_equal(small, large[:3])
    return [*model.get_weights(), large]


def assert_same(one, two):
    for a, b in zip(one, two, strict=True):
        assert a.tobytes() == b.tobytes()


STACKS = {
    **{
        name: (lambda name=name: [Conv2D(5, 3), Activation(name), Conv2D(4, 2, activation=name)])
        for name in NAMES
    },
    "gelu_tanh": lambda: [Conv2D(5, 3, activation=activations.GELU(approximate=True))],
    "pooled": lambda: [Conv2D(16, 3, activation="silu"), MaxPooling2D(2), Conv2D(4, 2, activation="relu")],
    "behind relu": lambda: [Conv2D(4, 3, activation="relu"), Activation("mish"), Conv2D(4, 2)],
    "elu": lambda: [Conv2D(4, 3), ELU(0.4), Conv2D(4, 2)],
    "prelu": lambda: [
        PReLU("ones", shared_axes=[1, 2]),
        Conv2D(4, 3),
        PReLU(),
        PReLU("ones", shared_axes=[3]),
    ],
    "threshold": lambda: [Conv2D(4, 3), ReLU(2.0, 0.1, 0.3), ReLU(threshold=0.4)],
    "softmax": lambda: [Conv2D(4, 3), Softmax(axis=2), Conv2D(4, 1), Softmax(axis=[1, 2])],
}


@pytest.mark.parametrize("name", STACKS)
def test_fused_and_not_and_on_any_number_of_threads(name):
    before = cconv.get_num_threads()
    try:
        cconv.set_num_threads(1)
        wanted = trained(STACKS[name])
        assert all(np.isfinite(array).all() for array in wanted)
        assert_same(trained(STACKS[name], fuse=False), wanted)
        for threads in (2, 3, 8):
            cconv.set_num_threads(threads)
            assert_same(trained(STACKS[name]), wanted)
    finally:
        cconv.set_num_threads(before)


@pytest.mark.parametrize("name", ["silu", "prelu", "softmax", "threshold"])
def test_channels_first_is_the_same_network(name):
    """The axes that layers are told are those of the arrays, so they are others."""
    stacks = {
        "prelu": lambda: [PReLU("ones", shared_axes=[2, 3]), Conv2D(4, 3), PReLU(shared_axes=[1, 2, 3])],
        "softmax": lambda: [Conv2D(4, 3), Softmax(axis=3), Conv2D(4, 1), Softmax(axis=[2, 3])],
    }
    last = {
        "prelu": lambda: [PReLU("ones", shared_axes=[1, 2]), Conv2D(4, 3), PReLU(shared_axes=[1, 2, 3])],
    }
    assert all(
        np.isfinite(array).all() for array in trained(stacks.get(name, STACKS[name]), "channels_first")
    )
    one = Sequential(last.get(name, STACKS[name])(), seed=2)
    two = Sequential(stacks.get(name, STACKS[name])(), seed=2, data_format="channels_first")
    one.build(X.shape[1:])
    two.build((3, 8, 7))
    for ours, theirs in zip(one.layers, two.layers, strict=True):
        alphas = "alpha" in ours.params
        theirs.set_weights([w.transpose(2, 0, 1) if alphas else w for w in ours.get_weights()])
    np.testing.assert_array_equal(
        two.predict(X.transpose(0, 3, 1, 2), verbose=0), one.predict(X, verbose=0).transpose(0, 3, 1, 2)
    )


@pytest.mark.parametrize("size", [(3, 5, 6), (4, 4, 4), (3, 3, 1), (1, 1, 3), (1, 5, 5)])
@pytest.mark.parametrize("shared", [None, [1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]])
def test_prelu_in_both_formats(shared, size):
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((2, 4, *size))
    last = PReLU(shared_axes=shared).build(size, dtype="float64")
    turned = None if shared is None else [{1: 2, 2: 3, 3: 1}[axis] for axis in shared]
    first = PReLU(shared_axes=turned)
    first.data_format = "channels_first"
    first.build((size[2], *size[:2]), dtype="float64")
    alpha = rng.standard_normal(last.params["alpha"].shape)
    last.params["alpha"], first.params["alpha"] = alpha, alpha.transpose(2, 0, 1)
    wanted = last.forward(x, training=True), last.backward(dy)
    np.testing.assert_array_equal(wanted[0], np.where(x > 0, x, alpha * x))
    axes = (0, *(axis for axis in range(1, 4) if axis in (shared or [])))
    np.testing.assert_allclose(
        last.grads["alpha"], np.where(x > 0, 0, x * dy).sum(axes, keepdims=True)[0], rtol=1e-12, atol=1e-12
    )
    found = first.forward(x.transpose(0, 3, 1, 2), training=True), first.backward(dy.transpose(0, 3, 1, 2))
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(b.transpose(0, 2, 3, 1), a)
    np.testing.assert_allclose(
        first.grads["alpha"].transpose(1, 2, 0), last.grads["alpha"], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_a_layer_keeps_is_the_activations_own_affair(name):
    function = activations.get(name)
    x, y = np.ones(2), np.zeros(2)
    assert function.kept(x, y) is (y if name == "exponential" else x)
    layer = Activation(name)
    strided = np.asfortranarray(X[:4].astype(np.float64))[:, ::2]
    y = layer.forward(strided, training=True)
    dx = layer.backward(np.ones_like(y))
    again = Activation(name)
    assert again.forward(strided.copy(), training=True).tobytes() == y.tobytes()
    assert again.backward(np.ones_like(y)).tobytes() == dx.tobytes()
    assert layers.deserialize(layers.serialize(layer)).activation == function


def test_a_users_own_activation_may_keep_its_input():
    class Square(activations.Activation):
        key = "square"
        keeps = "input"

        def __call__(self, x, run):
            return x * x

        def backward(self, dy, y, run):
            return 2 * y * dy

    layer = Dense(3, Square()).build((4,), dtype="float64", seed=1)
    x = np.random.default_rng(2).standard_normal((5, 4))
    z = x @ layer.params["kernel"]
    np.testing.assert_allclose(layer.forward(x, training=True), z * z, rtol=1e-12)
    np.testing.assert_allclose(layer.backward(np.ones((5, 3))), 2 * z @ layer.params["kernel"].T, rtol=1e-12)


def test_softmax_over_other_axes_is_not_taken_off_a_loss():
    """A loss that takes logits means the softmax over the classes, the last axis."""
    model = Sequential([Conv2D(3, 1, input_shape=(4, 5, 2)), Softmax(axis=1)], seed=0)
    model.compile("sgd", "mse")
    x = X[:5, :4, :5, :2]
    loss = model.train_on_batch(x, np.zeros((5, 4, 5, 3)))
    fresh = Sequential([Conv2D(3, 1, input_shape=(4, 5, 2)), Softmax(axis=1)], seed=0)
    y = fresh.predict(x, verbose=0)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    assert loss == pytest.approx(float(np.mean(y.astype(np.float64) ** 2)), rel=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Softmax("1"), TypeError, "Softmax: axis must be an int or a list of ints, got '1'"),
        (lambda: Softmax(0).build((3, 2)), ValueError, r"Softmax: axis must be from 1 to 2 .*, got 0"),
        (lambda: Softmax([1, -2]).build((3, 2)), ValueError, "named once"),
        (lambda: Softmax([]).build((3, 2)), ValueError, r"got \[\]"),
        (
            lambda: PReLU(shared_axes="1"),
            TypeError,
            "PReLU: shared_axes must be an int, a list of ints or None",
        ),
        (lambda: PReLU(shared_axes=[0]).build((3,)), ValueError, "PReLU: shared_axes must be from 1 to 1"),
        (
            lambda: ReLU(threshold=-1),
            ValueError,
            "ReLU: threshold must be a finite number of at least 0, got -1",
        ),
        (lambda: ELU("x"), TypeError, "ELU: alpha must be a finite number, got 'x'"),
        (
            lambda: activations.gelu([1.0], approximate=1),
            TypeError,
            "GELU: approximate must be True or False",
        ),
        (
            lambda: activations.softmax([1.0], axis=1),
            ValueError,
            "softmax: axis must be one of the 1 of x, got 1",
        ),
        (lambda: activations.log_softmax([1.0], axis=0.5), TypeError, "log_softmax: axis must be an int"),
        (lambda: activations.silu(["a"]), TypeError, "silu: x must hold real numbers"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_nan_and_infinities_pass_through_prelu_and_thresholds():
    x = np.array([[np.nan, np.inf, -np.inf, 0.0]])
    np.testing.assert_array_equal(PReLU("ones").forward(x), x)
    np.testing.assert_array_equal(ReLU(None, 0.5, 1.0).forward(x), [[np.nan, np.inf, -np.inf, -0.5]])
    np.testing.assert_array_equal(ReLU(6.0, 0.0, 1.0).forward(x), [[np.nan, 6.0, 0.0, 0.0]])


# --- initializers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 7), (12, 5), (5, 12), (3, 3, 4, 10), (2, 2, 3, 40), (1, 6), (6, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthogonal(shape, dtype):
    w = initializers.Orthogonal(gain=2.0)(shape, dtype, seed=4)
    assert w.dtype == dtype
    matrix = w.reshape(-1, shape[-1]).astype(np.float64)
    short = matrix if matrix.shape[0] < matrix.shape[1] else matrix.T
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(short @ short.T, 4 * np.eye(len(short)), rtol=0, atol=4 * tolerance)
    assert w.tobytes() == initializers.orthogonal(2.0, seed=4)(shape, dtype).tobytes()
    assert w.tobytes() != initializers.Orthogonal(2.0)(shape, dtype, seed=5).tobytes()
    wide = initializers.Orthogonal(2.0)(shape, "float64", seed=4)
    assert wide.astype(dtype).tobytes() == w.tobytes()


def test_orthogonal_is_uniform():
    """Entries have the mean 0 and the variance 1 / n at every place; half are rotations."""
    found = np.stack([initializers.Orthogonal()((4, 4), "float64", seed=seed) for seed in range(2000)])
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose((found**2).mean(axis=0), 0.25, atol=0.03)
    assert 0.4 < (np.linalg.det(found) > 0).mean() < 0.6


def test_orthogonal_has_these_bits():
    """The same on every machine: elementwise arithmetic in a fixed order."""
    w = initializers.Orthogonal()((3, 2), "float64", seed=1)
    assert [value.hex() for value in w.reshape(-1).tolist()] == ORTHOGONAL


ORTHOGONAL = [
    "-0x1.57961d1a14150p-2",
    "-0x1.d45f2bdfbdb4ep-1",
    "0x1.5872c02565167p-1",
    "-0x1.996715285557ap-2",
    "-0x1.519e6ec361274p-1",
    "0x1.d7baf17dc3e2bp-5",
]


def test_identity_and_second_names():
    np.testing.assert_array_equal(initializers.identity(3.0)((2, 3)), [[3, 0, 0], [0, 3, 0]])
    for name, kind in (
        *(("one", "Ones"), ("zero", "Zeros"), ("normal", "RandomNormal"), ("uniform", "RandomUniform")),
        *(
            ("IdentityInitializer", "Identity"),
            ("OrthogonalInitializer", "Orthogonal"),
            ("he_normal", "HeNormal"),
        ),
    ):
        assert type(initializers.get(name)).__name__ == kind
    assert initializers.he_normal(seed=3) == initializers.HeNormal(seed=3)
    assert initializers.VarianceScaling(distribution="normal").distribution == "truncated_normal"
    found = initializers.deserialize(initializers.serialize(initializers.Orthogonal(0.5, seed=2)))
    assert found == initializers.Orthogonal(0.5, seed=2)
    assert (
        initializers.HeNormal(seed=3)((20, 5)).tobytes()
        == initializers.he_normal()((20, 5), seed=3).tobytes()
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: initializers.Orthogonal()((3,)),
            r"Orthogonal: shape must have at least two axes, got \(3,\)",
        ),
        (lambda: initializers.Identity()((3, 3, 3)), r"Identity: shape must have two axes, got \(3, 3, 3\)"),
    ],
)
def test_shapes_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_relu_takes_the_activations_arguments():
    assert activations.rectifier() == activations.ReLU()
    assert activations.rectifier(None, 0.5) == activations.LeakyReLU(0.5)
    assert activations.rectifier(6) == activations.ClippedReLU()
    assert activations.get({"class_name": "ClippedReLU", "config": {"threshold": 0.5}}).threshold == 0.5
    assert activations.get(activations.get("relu6").plain()) == activations.ClippedReLU()
    assert activations.Linear()(X, Run()) is X
