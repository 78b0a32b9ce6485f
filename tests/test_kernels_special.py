"""Activations of infinities, NaN and negative zero: the limits of the formulas and of their derivatives."""

import numpy as np
import pytest
from strategies import on_all_threads, rows_tiled

from cconv import activations, ops
from cconv import functional as F
from cconv import layers as L
from cconv.geometry.shapes import resolve_window
from cconv.models import Sequential
from cconv.ops.run import Run

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SPECIAL = [np.inf, -np.inf, np.nan, -0.0]
BOTH = [np.inf, -np.inf]

# What the function is at inf and -inf, and its derivative there.
LIMITS = {
    "linear": (activations.Linear(), BOTH, (1, 1)),
    "relu": (activations.ReLU(), (np.inf, 0), (1, 0)),
    "leaky": (activations.LeakyReLU(0.25), BOTH, (1, 0.25)),
    "leaky, no slope": (activations.LeakyReLU(0.0), (np.inf, 0), (1, 0)),
    "steep": (activations.LeakyReLU(3.0), BOTH, (1, 3)),
    "relu6": (activations.get("relu6"), (6, 0), (0, 0)),
    "clipped at 0": (activations.ClippedReLU(0.0), (0, 0), (0, 0)),
    "clipped, leaky": (activations.ClippedReLU(2.5, 0.25), (2.5, -np.inf), (0, 0.25)),
    "sigmoid": (activations.Sigmoid(), (1, 0), (0, 0)),
    "tanh": (activations.Tanh(), (1, -1), (0, 0)),
}
EACH = pytest.mark.parametrize("name", LIMITS)


def with_special(value, width, at, dtype):
    x = np.linspace(-2, 2, width).astype(dtype)
    x[at] = value
    return x


@EACH
@DTYPES
def test_value_and_gradient_at_the_ends(name, dtype):
    """At every place of vectors and of what is left behind them."""
    function, ends, slopes = LIMITS[name]
    for width in (1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 47):
        for at in range(width):
            for value, end, slope in zip(BOTH, ends, slopes, strict=True):
                x = with_special(value, width, at, dtype)
                usual = with_special(0.5, width, at, dtype)
                dy = np.full(width, 1.5, dtype)
                y, near = function(x, Run()), function(usual, Run())
                dx, by = function.backward(dy, y, Run()), function.backward(dy, near, Run())
                assert y[at] == end
                assert dx[at] == dtype(1.5 * slope)
                others = np.arange(width) != at
                assert np.array_equal(y[others], near[others])
                assert np.array_equal(dx[others], by[others])


@EACH
@DTYPES
def test_nan_and_zeros(name, dtype):
    function = LIMITS[name][0]
    for width in (1, 5, 16, 19):
        for at in range(width):
            y = function(with_special(np.nan, width, at, dtype), Run())
            assert np.array_equal(np.isnan(y), np.arange(width) == at)
            signs = function(np.array([0.0, -0.0] * width, dtype), Run())
            assert len(set(signs.tolist())) == 1
            assert signs[0] == (0.5 if name == "sigmoid" else 0)
            assert np.isfinite(function.backward(np.ones_like(signs), signs, Run())).all()


@EACH
@DTYPES
def test_large_arrays_that_are_written_past_the_caches(name, dtype):
    function, ends, slopes = LIMITS[name]
    count = (17 << 20) // np.dtype(dtype).itemsize + 5
    x = np.tile(np.array(BOTH, dtype), -(-count // len(BOTH)))[:count]
    y = on_all_threads(lambda: np.array(function(x, Run())))
    assert (y[::2] == ends[0]).all()
    assert (y[1::2] == ends[1]).all()
    dx = function.backward(np.ones(count, dtype), y, Run())
    assert (dx[::2] == slopes[0]).all()
    assert (dx[1::2] == slopes[1]).all()


@pytest.mark.parametrize("name", ["relu", "leaky, no slope", "relu6", "clipped at 0"])
def test_an_infinite_gradient_does_not_pass_where_the_function_is_flat(name):
    function, _, slopes = LIMITS[name]
    y = function(np.array(BOTH), Run())
    dx = function.backward(np.array([np.inf, np.inf]), y, Run())
    np.testing.assert_array_equal(dx, [np.inf if slope else 0 for slope in slopes])


# ---- rows -------------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("width", [1, 2, 3, 8, 10, 15, 16, 17, 33, 100, 1500])
def test_softmax_of_rows_with_special_numbers(width, dtype):
    rows = 19
    base = np.random.default_rng(width).standard_normal((rows, width)).astype(dtype)
    alone = F.softmax(base), F.log_softmax(base)
    dy = np.random.default_rng(1).standard_normal((rows, width)).astype(dtype)
    for at in {0, width // 2, width - 1}:
        for row in (0, 3, rows - 1):
            others = np.arange(rows) != row
            for value in (np.inf, -np.inf, np.nan):
                x = base.copy()
                x[row, at] = value
                found = on_all_threads(lambda x=x: (F.softmax(x), F.log_softmax(x)))
                for y, usual in zip(found, alone, strict=True):
                    assert np.array_equal(y[others], usual[others])
                p, log_p = found
                if value != -np.inf or width == 1:
                    assert np.isnan(p[row]).all()
                    assert np.isnan(log_p[row]).all()
                    continue
                assert p[row, at] == 0
                assert log_p[row, at] == -np.inf
                rest = np.delete(base[row : row + 1], at, axis=1)
                np.testing.assert_allclose(np.delete(p[row], at), F.softmax(rest)[0], rtol=1e-5)
                assert ops.softmax_backward(dy, p)[row, at] == 0
                assert ops.log_softmax_backward(dy, log_p)[row, at] == dy[row, at]
                assert np.isfinite(ops.softmax_backward(dy, p)).all()
                assert np.isfinite(ops.log_softmax_backward(dy, log_p)).all()


@DTYPES
def test_softmax_of_nothing_but_minus_infinity(dtype):
    for width in (1, 4, 16, 40):
        x = np.full((9, width), -np.inf, dtype)
        assert np.isnan(F.softmax(x)).all()
        assert np.isnan(F.log_softmax(x)).all()


# ---- inside of other kernels ------------------------------------------------------------------------------


def biases(filters, dtype):
    """Numbers in front of an activation, one kind a filter."""
    return np.resize(np.array([np.inf, -np.inf, np.nan, -0.0, 0.5, -0.5], dtype), filters)


def assert_activated(y, name, bias, dtype):
    """Every filter has the value that the function has of its bias."""
    function = LIMITS[name][0]
    wanted = function(bias, Run())
    np.testing.assert_allclose(y, np.broadcast_to(wanted, y.shape), rtol=1e-6, atol=0)


# The images are zeros, so that what is activated is the bias: its layers take every algorithm.
LAYERS = {
    "dense": ((9,), lambda f, **more: L.Dense(f, **more), 37),
    "dense of a long row": ((3000,), lambda f, **more: L.Dense(f, **more), 19),
    "few taps": ((9, 8, 2), lambda f, **more: L.Conv2D(f, 3, **more), 21),
    "few taps, padded": ((9, 8, 1), lambda f, **more: L.Conv2D(f, 5, padding="same", **more), 7),
    "direct": ((9, 8, 12), lambda f, **more: L.Conv2D(f, 4, **more), 35),
    "groups": ((9, 8, 4), lambda f, **more: L.Conv2D(f, 3, groups=2, **more), 14),
    "pointwise": ((5, 4, 7), lambda f, **more: L.Conv2D(f, 1, **more), 35),
    "winograd": ((12, 12, 16), lambda f, **more: L.Conv2D(f, 3, padding="same", **more), 19),
    "depthwise": ((9, 8, 21), lambda f, **more: L.DepthwiseConv2D(3, **more), 21),
    "lanes": ((9, 8, 1), lambda f, **more: L.Conv2D(f, 3, **more), 6),
}


@EACH
@DTYPES
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("batch", [1, 17])
def test_layers_that_activate_themselves(kind, name, dtype, batch):
    shape, make, filters = LAYERS[kind]
    function = LIMITS[name][0]
    x = np.zeros((batch, *shape), dtype)
    bias = biases(filters, dtype)
    separate = [make(filters), L.Activation(function)]
    for layers in ([make(filters, activation=function)], separate):
        model = Sequential([L.Input(shape), *layers], dtype=np.dtype(dtype).name)
        model.layers[0].params["bias"][...] = bias
        with rows_tiled():
            assert_activated(model.predict(x, verbose=0), name, bias, dtype)


@DTYPES
@pytest.mark.parametrize("algorithm", ["direct", "auto", "winograd"])
@pytest.mark.parametrize("sizes", [(1, 12, 12, 3, 9), (3, 13, 10, 16, 20)])
def test_relu_in_front_of_max_pooling(algorithm, sizes, dtype):
    n, h, w, c, f = sizes
    x, kernel, bias = np.zeros((n, h, w, c), dtype), np.zeros((3, 3, c, f), dtype), biases(f, dtype)
    window = resolve_window("special", (h, w), 3)
    pool = resolve_window("special", window.output_size, 2, 2)
    y, argmax = ops.conv2d_max_pool(x, kernel, bias, window, pool, 1, True, Run(), algorithm)
    assert_activated(y, "relu", bias, dtype)
    assert np.array_equal(argmax != 255, np.broadcast_to(bias > 0, y.shape))


@DTYPES
@pytest.mark.parametrize("key", ["linear", "relu", "tanh", "sigmoid"])
def test_average_pooling_in_lanes(key, dtype):
    x, kernel, bias = np.zeros((19, 9, 8, 1), dtype), np.zeros((2, 1, 1, 4), dtype), biases(4, dtype)
    window = resolve_window("special", (9, 8), (2, 1))
    pool = resolve_window("special", window.output_size, 2, 2)
    y = on_all_threads(lambda: ops.conv2d_average_pool(x, kernel, bias, window, key, pool, False, Run()))
    assert_activated(y, key, bias, dtype)
