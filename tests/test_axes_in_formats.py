"""Layers with axes in models whose channels come first: they are those that the user sees, as in Keras."""

import numpy as np
import pytest

from cconv import set_num_threads
from cconv.layers import (
    Conv2D,
    Dense,
    Flatten,
    Input,
    LayerNormalization,
    Normalization,
    Permute,
    Reshape,
    RMSNormalization,
    UnitNormalization,
)
from cconv.models import Model, Sequential, load_model

RNG = np.random.default_rng(3)
X = RNG.normal(size=(5, 2, 3, 4)).astype(np.float32)  # (n, c, h, w)
FIRST = "channels_first"
CHANGES = [
    (lambda: Reshape((3, 2, 4)), lambda y: y.reshape(5, 3, 2, 4)),
    (lambda: Reshape((-1, 4)), lambda y: y.reshape(5, 6, 4)),
    (lambda: Reshape((24,)), lambda y: y.reshape(5, 24)),
    *((lambda dims=dims: Permute(dims), lambda y, dims=dims: y.transpose(0, *dims)) for dims in [
        (1, 2, 3), (2, 1, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1), (1, 3, 2),
    ]),
]  # fmt: skip
EACH = pytest.mark.parametrize(("make", "wanted"), CHANGES)


def unchanged():
    """A convolution that gives its input, so that the model has a data format."""
    layer = Conv2D(2, 1, use_bias=False, data_format=FIRST)
    layer.build((2, 3, 4))
    layer.set_weights([np.eye(2).reshape(1, 1, 2, 2)])
    return layer


@EACH
def test_arrays_are_those_that_the_user_sees(make, wanted):
    model = Sequential([unchanged(), make()], seed=0)
    model.build((2, 3, 4))
    assert model.output_shape[1:] == wanted(X).shape[1:]
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(X, verbose=0), wanted(X))
    inputs = Input((2, 3, 4))
    y = make()(unchanged()(inputs))
    graph = Model(inputs, y)
    np.testing.assert_array_equal(graph.predict(X, verbose=0), wanted(X))


@EACH
def test_gradients_come_back_to_where_they_belong(make, wanted, tmp_path):
    """A step of a model is that of one over the arrays that are changed before it."""
    shape = wanted(X).shape[1:]
    y = RNG.normal(size=(5, 3)).astype(np.float32)
    kernel = RNG.normal(size=(int(np.prod(shape)), 3))
    ends = [[Conv2D(2, 1, data_format=FIRST), make(), Reshape((-1,)), Dense(3)]]
    for fuse in (True, False):
        found = set()
        for threads in (1, 2):
            set_num_threads(threads)
            model = Sequential([type(layer).from_config(layer.get_config()) for layer in ends[0]], seed=1)
            model.fuse = fuse
            model.build((2, 3, 4))
            model.layers[-1].set_weights([kernel, np.zeros(3)])
            model.compile("sgd", "mse")
            before = model.layers[0].get_weights()
            for _ in range(3):
                model.train_on_batch(X, y)
            found.add(b"".join(w.tobytes() for w in model.get_weights()))
        set_num_threads(None)
        assert len(found) == 1
    # The first step by hand.
    model.layers[0].set_weights(before)
    k, b = (w.astype(np.float64) for w in before)
    z = np.einsum("nchw,cf->nfhw", X, k[0, 0]) + b[:, None, None]
    flat = wanted(z).reshape(5, -1)
    dflat = 2 / y.size * (flat @ kernel - y) @ kernel.T
    places = wanted(np.arange(24.0).reshape(1, 2, 3, 4).repeat(5, axis=0)).reshape(5, -1)[0].astype(int)
    dz = np.empty((5, 24))
    dz[:, places] = dflat
    dk = np.einsum("nchw,nfhw->cf", X, dz.reshape(5, 2, 3, 4))
    model.layers[-1].set_weights([kernel, np.zeros(3)])
    model.train_on_batch(X, y)
    np.testing.assert_allclose(
        model.layers[0].get_weights()[0][0, 0], k[0, 0] - 0.01 * dk, rtol=1e-4, atol=1e-5
    )
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_rows_become_maps():
    layers = [Dense(24, use_bias=False, input_shape=(24,)), Reshape((2, 3, 4)), Conv2D(2, 1, use_bias=False)]
    model = Sequential([*layers, Flatten()], seed=0, data_format=FIRST)
    model.build((24,))
    model.layers[0].set_weights([np.eye(24)])
    model.layers[2].set_weights([np.eye(2).reshape(1, 1, 2, 2)])
    # Flatten's rows are in the order (h, w, c), as Keras'.
    wanted = X.transpose(0, 2, 3, 1).reshape(5, -1)
    np.testing.assert_array_equal(model.predict(X.reshape(5, -1), verbose=0), wanted)


def root(x, axes):
    return np.sqrt((x * x).mean(axis=axes, keepdims=True))


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: LayerNormalization([2, 3], 0.0), lambda x: centred(x) / root(centred(x), (2, 3))),
        (lambda: RMSNormalization([1, 3], 0.0), lambda x: x / root(x, (1, 3))),
        (lambda: UnitNormalization(2), lambda x: x / np.linalg.norm(x, axis=2, keepdims=True)),
        (lambda: Normalization(1, [0.5, 2.0], [4.0, 1.0]), lambda x: (x - SHIFT) / np.sqrt(SQUARE)),
    ],
)  # fmt: skip
def test_normalisations_count_as_the_user_sees(make, wanted, tmp_path):
    model = Sequential([unchanged(), make()], seed=0)
    model.build((2, 3, 4))
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted(X), rtol=1e-5, atol=1e-5)
    model.save(tmp_path / "m.safetensors")
    twin = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(twin.predict(X, verbose=0), model.predict(X, verbose=0))


def centred(x):
    return x - x.mean(axis=(2, 3), keepdims=True)


SHIFT, SQUARE = np.array([0.5, 2.0]).reshape(1, 2, 1, 1), np.array([4.0, 1.0]).reshape(1, 2, 1, 1)
