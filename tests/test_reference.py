"""The NumPy twins against loops that do what the definitions say, one number at a time."""

import inspect
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_gradient, geometries, many, normal, seeds

from cconv import functional, reference


def pixels(window, i, j):
    """(tap, input row, input column) of every tap of output (i, j); row None outside the image."""
    (top, _), (left, _) = window.pads
    for u, v in itertools.product(*map(range, window.kernel_size)):
        row = i * window.strides[0] + u * window.dilation[0] - top
        column = j * window.strides[1] + v * window.dilation[1] - left
        inside = 0 <= row < window.input_size[0] and 0 <= column < window.input_size[1]
        yield (u, v), (row, column), inside


def outputs(window):
    return itertools.product(*map(range, window.output_size))


def conv2d_loops(x, kernel, window, groups):
    n, _, _, channels = x.shape
    filters = kernel.shape[3]
    y = np.zeros((n, *window.output_size, filters))
    for s, (i, j), f in itertools.product(range(n), outputs(window), range(filters)):
        group = f // (filters // groups)
        for (u, v), (row, column), inside in pixels(window, i, j):
            for c in range(channels // groups if inside else 0):
                y[s, i, j, f] += x[s, row, column, group * (channels // groups) + c] * kernel[u, v, c, f]
    return y


@given(geometries(largest_kernel=3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), seeds)
@many
def test_conv2d(geometry, groups, in_channels, out_channels, seed):
    shape, kernel_shape = (2, *geometry.size, groups * in_channels), (in_channels, groups * out_channels)
    x, kernel, bias = normal(seed, float, shape, geometry.kernel_size + kernel_shape, kernel_shape[1:])
    wanted = conv2d_loops(x, kernel, geometry.window(), groups) + bias
    options = {"strides": geometry.strides, "padding": geometry.padding, "dilation": geometry.dilation}
    y = reference.conv2d(x, kernel, bias, groups=groups, **options)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-12)
    first = reference.conv2d(
        x.transpose(0, 3, 1, 2), kernel, bias, groups=groups, data_format="channels_first", **options
    )
    np.testing.assert_array_equal(first, y.transpose(0, 3, 1, 2))
    if groups == 1:
        col = reference.im2col(x, geometry.kernel_size, **options)
        product = col @ kernel.reshape(-1, out_channels) + bias
        np.testing.assert_allclose(product.reshape(y.shape), wanted, rtol=0, atol=1e-12)


@given(geometries(largest_kernel=3), seeds)
@many
def test_col2im_is_the_transpose_of_im2col(geometry, seed):
    options = {"strides": geometry.strides, "padding": geometry.padding, "dilation": geometry.dilation}
    (x,) = normal(seed, float, (2, *geometry.size, 3))
    col = reference.im2col(x, geometry.kernel_size, **options)
    (other,) = normal(seed, float, col.shape)
    back = reference.col2im(other, x.shape, geometry.kernel_size, **options)
    np.testing.assert_allclose(np.sum(back * x), np.sum(other * col), rtol=1e-10, atol=1e-10)


CONVOLUTIONS = [
    {},
    {"strides": 2, "padding": "same"},
    {"strides": (1, 2), "padding": ((2, 0), (1, 3)), "dilation": (2, 1)},
    {"groups": 2, "padding": 1, "data_format": "channels_first"},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_conv2d_backward(options):
    groups = options.get("groups", 1)
    shape = (2, 4, 5, 4) if options.get("data_format") == "channels_first" else (2, 5, 4, 4)
    x, kernel, bias = normal(1, float, shape, (3, 2, 4 // groups, 2), (2,))
    y = reference.conv2d(x, kernel, bias, **options)
    (dy,) = normal(2, float, y.shape)
    dx, dkernel, dbias = reference.conv2d_backward(dy, x, kernel, **options)
    assert_gradient(dx, lambda v: np.sum(dy * reference.conv2d(v, kernel, bias, **options)), x)
    assert_gradient(dkernel, lambda v: np.sum(dy * reference.conv2d(x, v, bias, **options)), kernel)
    assert_gradient(dbias, lambda v: np.sum(dy * reference.conv2d(x, kernel, v, **options)), bias)


def options_of(geometry):
    return {"strides": geometry.strides, "padding": geometry.padding, "ceil_mode": geometry.ceil_mode}


@given(geometries(may_ceil=True), seeds, st.booleans())
@many
def test_max_pool2d(geometry, seed, special):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (2, *geometry.size, 2)).astype(float)
    if special:
        x[rng.random(x.shape) < 0.3] = -np.inf
        x[rng.random(x.shape) < 0.1] = np.nan
    y, argmax = reference.max_pool2d(
        x, geometry.kernel_size, dilation=geometry.dilation, **options_of(geometry)
    )
    dx = reference.max_pool2d_backward(
        y, argmax, x.shape, geometry.kernel_size, dilation=geometry.dilation, **options_of(geometry)
    )
    wanted_dx = np.zeros_like(x)
    window = geometry.window()
    for s, (i, j), c in itertools.product(range(2), outputs(window), range(2)):
        best, winner, where = -np.inf, 255, None
        for (u, v), (row, column), inside in pixels(window, i, j):
            value = x[s, row, column, c] if inside else None
            if inside and (where is None or value > best or (np.isnan(value) and not np.isnan(best))):
                best, winner, where = value, u * window.kernel_size[1] + v, (s, row, column, c)
        np.testing.assert_equal(y[s, i, j, c], best)
        assert argmax[s, i, j, c] == winner
        if where is not None:
            wanted_dx[where] += best
    np.testing.assert_array_equal(dx, wanted_dx)


@pytest.mark.parametrize(
    ("pool_size", "dtype", "none"), [((15, 17), np.uint8, 255), ((16, 16), np.int32, -1)]
)
def test_argmax_of_large_windows(pool_size, dtype, none):
    x = np.zeros((1, *pool_size, 1))
    x[0, -1, -1] = 1
    for strides, wanted in ((1, [pool_size[0] * pool_size[1] - 1]), (None, [none])):
        y, argmax = reference.max_pool2d(
            x,
            pool_size,
            strides=strides,
            padding=((0, 0), (0, 0)) if strides else ((pool_size[0], 0), (0, 0)),
        )
        assert argmax.dtype == dtype
        assert argmax.ravel()[:1].tolist() == wanted
    assert y.ravel().tolist() == [-np.inf, 1.0]


@given(geometries(dilated=False, may_ceil=True), seeds, st.booleans())
@many
def test_average_pool2d(geometry, seed, count_include_pad):
    (x,) = normal(seed, float, (2, *geometry.size, 2))
    window = geometry.window()
    y = reference.average_pool2d(
        x, geometry.kernel_size, count_include_pad=count_include_pad, **options_of(geometry)
    )
    dy = np.ones_like(y)
    dx = reference.average_pool2d_backward(
        dy, x.shape, geometry.kernel_size, count_include_pad=count_include_pad, **options_of(geometry)
    )
    wanted_dx = np.zeros_like(x)
    for i, j in outputs(window):
        seen = [at for _, at, inside in pixels(window, i, j) if inside]
        ends = [size + after for size, (_, after) in zip(window.input_size, window.pads, strict=True)]
        in_padded = sum(row < ends[0] and column < ends[1] for _, (row, column), _ in pixels(window, i, j))
        divisor = max(in_padded if count_include_pad else len(seen), 1)
        wanted = sum((x[:, row, column] for row, column in seen), np.zeros((2, 2))) / divisor
        np.testing.assert_allclose(y[:, i, j], wanted, rtol=0, atol=1e-12)
        for row, column in seen:
            wanted_dx[:, row, column] += 1 / divisor
    np.testing.assert_allclose(dx, wanted_dx, rtol=0, atol=1e-12)


def test_pooling_channels_first():
    (x,) = normal(3, float, (2, 3, 5, 6))
    last = x.transpose(0, 2, 3, 1)
    for pool, back in (
        (reference.max_pool2d, reference.max_pool2d_backward),
        (reference.average_pool2d, reference.average_pool2d_backward),
    ):
        first, wanted = pool(x, 3, data_format="channels_first", padding=1), pool(last, 3, padding=1)
        if pool is reference.average_pool2d:
            first, wanted = (first,), (wanted,)
        for one, two in zip(first, wanted, strict=True):
            np.testing.assert_array_equal(one.transpose(0, 2, 3, 1), two)
        dx = back(*first, x.shape, 3, data_format="channels_first", padding=1)
        np.testing.assert_array_equal(dx.transpose(0, 2, 3, 1), back(*wanted, last.shape, 3, padding=1))


def test_dense():
    x, kernel, bias, dy = normal(4, float, (2, 3, 5), (5, 4), (4,), (2, 3, 4))
    y = reference.dense(x, kernel, bias)
    for i, j, o in np.ndindex(y.shape):
        assert y[i, j, o] == pytest.approx(
            bias[o] + sum(x[i, j, c] * kernel[c, o] for c in range(5)), abs=1e-12
        )
    dx, dkernel, dbias = reference.dense_backward(dy, x, kernel)
    assert_gradient(dx, lambda v: np.sum(dy * reference.dense(v, kernel, bias)), x)
    assert_gradient(dkernel, lambda v: np.sum(dy * reference.dense(x, v, bias)), kernel)
    assert_gradient(dbias, lambda v: np.sum(dy * reference.dense(x, kernel, v)), bias)


def test_activations():
    x = np.linspace(-30, 30, 243).reshape(3, -1)
    np.testing.assert_allclose(reference.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-14)
    np.testing.assert_allclose(reference.tanh(x), 1 - 2 / (np.exp(2 * x) + 1), rtol=0, atol=1e-15)
    wanted = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(reference.softmax(x), wanted, rtol=1e-13)
    np.testing.assert_allclose(reference.log_softmax(x), np.log(wanted), rtol=1e-13)
    np.testing.assert_array_equal(reference.relu(np.array([-1, np.nan, 2])), [0, np.nan, 2])
    for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax"):
        y = getattr(reference, name)(x)
        np.testing.assert_array_equal(reference.dense(x, np.eye(x.shape[1]), activation=name), y)
        pixels_ = x.reshape(1, 3, 1, -1)
        kernel = np.eye(x.shape[1])[np.newaxis, np.newaxis]
        np.testing.assert_array_equal(reference.conv2d(pixels_, kernel, activation=name)[0, :, 0], y)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"])
def test_derivatives(name):
    more = (0.3,) if name == "leaky_relu" else ()
    x, dy = normal(9, float, (3, 7), (3, 7))
    forward = getattr(reference, name)
    dx = getattr(reference, f"{name}_backward")(dy, forward(x, *more), *more)
    assert_gradient(dx, lambda v: np.sum(dy * forward(v, *more)), x)


@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_cross_entropy(weighted):
    z, p = normal(5, float, (2, 3, 4), (2, 3, 4))
    p = reference.softmax(p)
    weight = np.arange(6.0).reshape(2, 3) if weighted else None
    labels = np.array([[0, 3, 1], [2, 2, 0]])
    for truth in (p, labels):
        loss, dlogits = reference.softmax_cross_entropy(z, truth, weight)
        total = 0.0
        for i, j in np.ndindex(2, 3):
            q = np.exp(z[i, j]) / np.exp(z[i, j]).sum()
            terms = np.log(q) * p[i, j] if truth is p else np.log(q[labels[i, j]])
            total -= (1 if weight is None else weight[i, j]) * np.sum(terms)
        assert loss == pytest.approx(total / 6, rel=1e-12)

        def loss_of(v, truth=truth):
            return reference.softmax_cross_entropy(v, truth, weight)[0]

        assert_gradient(dlogits, loss_of, z)
    one_hot = reference.softmax_cross_entropy(z, np.eye(4)[labels], weight)
    np.testing.assert_array_equal(one_hot[1], reference.softmax_cross_entropy(z, labels, weight)[1])


def test_the_twins_have_the_signatures_of_the_interface():
    for name in functional.__all__:
        ours = inspect.signature(getattr(reference, name)).parameters.values()
        public = inspect.signature(getattr(functional, name)).parameters.values()
        assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in public]


def test_twins_keep_float32():
    x, kernel, bias = normal(6, np.float32, (1, 4, 4, 2), (2, 2, 2, 3), (3,))
    y = reference.conv2d(x, kernel, bias)
    y2, argmax = reference.max_pool2d(x)
    flat = x.reshape(1, -1)
    results = [
        y,
        *reference.conv2d_backward(y, x, kernel),
        y2,
        reference.max_pool2d_backward(y2, argmax, x.shape),
        reference.average_pool2d(x),
        reference.average_pool2d_backward(y2, x.shape),
        reference.col2im(reference.im2col(x, 2), x.shape, 2),
        *[getattr(reference, name)(x) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")],
        reference.softmax_cross_entropy(flat, np.array([3]), np.array([0.5]))[1],
        *reference.adam(flat, flat, flat, flat**2, 1),
        *reference.adadelta(flat, flat, flat**2, flat**2),
        *reference.rmsprop(flat, flat, flat**2),
        *reference.adagrad(flat, flat, flat**2),
        *reference.nesterov(flat, flat, flat),
        *reference.momentum(flat, flat, flat),
        reference.sgd(flat, flat),
    ]
    assert [result.dtype for result in results] == [np.float32] * len(results)


# Random123's known answers (kat_vectors: philox4x32, 10 rounds): counter, key, result.
PHILOX = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "wanted"), PHILOX)
def test_philox(counter, key, wanted):
    words = [[int(word, 16) for word in text.split()] for text in (counter, key, wanted)]
    assert reference.philox4x32(words[0], tuple(words[1])).tolist() == words[2]


def test_dropout_mask():
    mask = reference.dropout_mask((3, 2, 3), 0.4, seed=(7 << 32) + 5, step=9, first_sample=4, layer=2)
    for sample, element in itertools.product(range(3), range(6)):
        word = reference.philox4x32((element // 4, 4 + sample, 9, 2), (5, 7))[element % 4]
        assert mask[sample].ravel()[element] == (word >= int(0.4 * 2**32))
    wide = reference.dropout_mask((100, 1000), 0.25, seed=1, step=1)
    assert abs(wide.mean() - 0.75) < 0.01
    assert reference.dropout_mask((2, 3), 0.0, seed=1, step=1).all()


def test_rules_descend():
    """Each rule goes down a quadratic bowl; their numbers are in their examples."""
    states = {"sgd": 0, "momentum": 1, "nesterov": 1, "adagrad": 1, "rmsprop": 1, "adadelta": 2, "adam": 2}
    states |= {"amsgrad": 3, "nadam": 2, "adamax": 2, "lion": 1, "lamb": 2}
    states |= {"rmsprop_momentum": 2, "rmsprop_centered": 2, "rmsprop_centered_momentum": 3}
    for name, count in states.items():
        rule = getattr(reference, name)
        p, state = np.array([1.0, -2.0]), [np.zeros(2)] * count
        for t in range(1, 40):
            clock = (t,) if name in ("adam", "amsgrad", "nadam", "adamax", "lamb") else ()
            result = rule(p, 2 * p, *state, *clock, learning_rate=0.02)
            p, *state = result if count else (result,)
        assert (np.abs(p) < [1, 2]).all(), name
