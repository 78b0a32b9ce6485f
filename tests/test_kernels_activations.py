"""Compiled dense layers, activations and loss against their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    assert_gradient,
    assert_near,
    dtypes,
    many,
    normal,
    on_all_threads,
    same_bits,
    seeds,
    widened,
    widths,
)

from cconv import functional, ops, reference
from cconv.kernels import activations
from cconv.ops.run import Run

leading = st.lists(st.integers(1, 4), min_size=0, max_size=3).map(tuple)


def check_dense(lead, inputs, outputs, dtype, activation, with_bias, seed):
    x, kernel, bias, dy = normal(
        seed, dtype, (*lead, inputs), (inputs, outputs), (outputs,), (*lead, outputs)
    )
    bias = bias if with_bias else None
    y = on_all_threads(lambda: functional.dense(x, kernel, bias, activation=activation))
    wide, magnitudes = widened(dtype, x, kernel, bias)
    wanted = reference.dense(*wide, activation=activation)
    assert_near(y, wanted, reference.dense(*magnitudes), dtype)

    gradients = on_all_threads(lambda: functional.dense_backward(dy, x, kernel))
    wide, magnitudes = widened(dtype, dy, x, kernel)
    wanted, scales = reference.dense_backward(*wide), reference.dense_backward(*magnitudes)
    for gradient, truth, scale in zip(gradients, wanted, scales, strict=True):
        assert_near(gradient, truth, scale, dtype)


@given(leading, widths, widths, dtypes, st.sampled_from([None, "relu"]), st.booleans(), seeds)
@many
def test_dense(lead, inputs, outputs, dtype, activation, with_bias, seed):
    check_dense(lead, inputs, outputs, dtype, activation, with_bias, seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "sizes",
    [
        (1, 700, 300),
        (130, 257, 129),
        (1000, 33, 10),
        (100, 4320, 10),
        (15, 16, 600),
        (40, 700, 600),
        (600, 200, 300),
        (300, 210, 98),  # a few last columns, in two pieces; in float64 as well
        (300, 210, 1),
        (300, 100, 258),  # behind the columns that are laid out together
    ],
)
def test_larger_dense(sizes, dtype):
    m, inputs, outputs = sizes
    check_dense((m,), inputs, outputs, dtype, None, True, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 7, 40, 300])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (300, 31), (17, 257), (700, 600)])
def test_scaled_outputs_are_those_of_the_scaled_kernel(m, inputs, outputs, dtype):
    x, kernel, bias, scale = normal(6, dtype, (m, inputs), (inputs, outputs), (outputs,), (outputs,))
    for beta, activation in ((bias, "relu"), (None, None)):
        wanted = functional.dense(x, kernel * scale, beta, activation=activation)
        y = on_all_threads(
            lambda beta=beta, relu=activation == "relu": ops.dense(x, kernel, beta, relu, Run(), scale)
        )
        assert y.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
# The last is a kernel of short rows that comes from far away, so that it is asked for while it is multiplied.
@pytest.mark.parametrize(
    "sizes", [(1, 1), (5, 300), (1024, 31), (1025, 257), (3000, 33), (2049, 515), (2049, 511)]
)
def test_a_single_sample_has_the_bits_that_it_has_in_a_batch(sizes, dtype):
    x, kernel, bias = normal(5, dtype, (3, sizes[0]), sizes, sizes[1:])
    x[1, 0] = np.inf
    for beta, activation in ((bias, "relu"), (None, None)):
        wanted = functional.dense(x, kernel, beta, activation=activation)
        for row, expected in zip(x, wanted, strict=True):
            y = on_all_threads(
                lambda row=row, beta=beta, kind=activation: functional.dense(
                    row[np.newaxis], kernel, beta, activation=kind
                )
            )
            assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softmax", "log_softmax", "linear"])
def test_dense_activation(activation):
    x, kernel, bias = normal(3, np.float64, (4, 5), (5, 7), (7,))
    y = functional.dense(x, kernel, bias, activation=activation)
    np.testing.assert_allclose(y, reference.dense(x, kernel, bias, activation=activation), rtol=0, atol=1e-13)


def test_dense_gradients_are_central_differences():
    x, kernel, bias, dy = normal(4, float, (3, 2, 5), (5, 4), (4,), (3, 2, 4))
    dx, dkernel, dbias = functional.dense_backward(dy, x, kernel)
    assert_gradient(dx, lambda v: np.sum(dy * functional.dense(v, kernel, bias)), x)
    assert_gradient(dkernel, lambda v: np.sum(dy * functional.dense(x, v, bias)), kernel)
    assert_gradient(dbias, lambda v: np.sum(dy * functional.dense(x, kernel, v)), bias)


def spread(seed, dtype, shape, special):
    """Values of every magnitude; with special, zeros, infinities and NaN among them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 3, shape)
    if special:
        kinds = rng.random(shape)
        for bound, value in ((0.02, np.nan), (0.04, np.inf), (0.08, -np.inf), (0.1, -0.0), (0.12, 1e30)):
            x = np.where((kinds < bound) & (kinds >= bound - 0.02), value, x)
    return x.astype(dtype)


@given(st.sampled_from(["relu", "sigmoid", "tanh"]), leading, widths, dtypes, st.booleans(), seeds)
@many
def test_elementwise(name, lead, width, dtype, special, seed):
    x = spread(seed, dtype, (*lead, width), special)
    y = on_all_threads(lambda: getattr(functional, name)(x))
    wanted = getattr(reference, name)(x.astype(np.longdouble))
    assert_near(y, wanted, np.zeros_like(wanted) if name == "relu" else np.abs(wanted), dtype)


LARGE = 16 << 20  # bytes: outputs from here on are stored past the caches


def offset(shape, dtype, items):
    """An array that begins so many items behind a cache line."""
    memory = np.empty(np.prod(shape) + 64 + items, dtype)
    start = -memory.ctypes.data % 64 // memory.itemsize + items
    return memory[start : start + np.prod(shape)].reshape(shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("items", [0, 1, 5])
def test_large_outputs_are_those_of_small_ones(dtype, items):
    size = LARGE // np.dtype(dtype).itemsize
    for columns in (0, 7, 33, 4_000):  # 0: no rows; the last ones are larger than a stage
        shape = (size // columns + 1, columns) if columns else (size + 77,)
        x, y = offset(shape, dtype, items), offset(shape, dtype, items)
        x[...] = np.resize(normal(3, dtype, (1009,))[0], shape)
        untouched, dy = x.copy(), x[::-1].copy()
        names = ("softmax", "log_softmax") if columns else ("relu", "sigmoid", "tanh")
        for name in (*names, *(f"{name}_backward" for name in names)):
            kernel = getattr(activations, name)
            given = (dy, x) if name.endswith("backward") else (x,)
            wanted = np.empty_like(y)
            for start in range(0, len(x), len(x) // 4):
                part = slice(start, start + len(x) // 4)
                kernel(*(array[part] for array in given), wanted[part], 1)
            for threads in (1, 2, 3):
                y[...] = np.nan
                kernel(*given, y, threads)
                assert same_bits(y, wanted), (name, shape, threads)
        assert same_bits(x, untouched)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_outputs_may_be_the_input(dtype):
    (x,) = normal(4, dtype, (LARGE // np.dtype(dtype).itemsize + 3,))
    wanted = functional.relu(x)
    activations.relu(x, x, 2)
    assert x.tobytes() == wanted.tobytes()
    assert (x >= 0).all()


def log_softmax_terms(z):
    """What log_softmax adds up: each |z - max|, and a logarithm that errs like one."""
    return 1 + np.abs(z - z.max(axis=-1, keepdims=True))


@given(leading, widths, dtypes, st.sampled_from([0.1, 3.0, 40.0]), seeds)
@many
def test_softmax(lead, width, dtype, scale, seed):
    (x,) = normal(seed, dtype, (*lead, width))
    x *= dtype(scale)
    (wide,), _ = widened(dtype, x)
    terms = log_softmax_terms(wide)
    y = on_all_threads(lambda: functional.softmax(x))
    wanted = reference.softmax(wide)
    assert_near(y, wanted, terms * wanted, dtype)
    y = on_all_threads(lambda: functional.log_softmax(x))
    assert_near(y, reference.log_softmax(wide), terms, dtype)


def test_softmax_of_extremes():
    for dtype in (np.float32, np.float64):
        x = np.array([[3e38, -3e38, 0], [-np.inf, 0, 0], [np.nan, 0, 1]], dtype)
        wanted = [[1, 0, 0], [0, 0.5, 0.5], [np.nan] * 3]
        np.testing.assert_allclose(functional.softmax(x), wanted, rtol=1e-6)
        np.testing.assert_allclose(functional.log_softmax(x)[1], [-np.inf, *[-np.log(2)] * 2], rtol=1e-6)
        assert np.isnan(functional.log_softmax(x)[2]).all()


@given(
    leading.filter(bool),
    widths,
    dtypes,
    st.sampled_from(["numbers", "one-hot", "probabilities"]),
    st.booleans(),
    st.sampled_from([0.1, 3.0, 40.0]),
    seeds,
)
@many
def test_softmax_cross_entropy(lead, classes, dtype, kind, weighted, scale, seed):
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((*lead, classes)) * scale).astype(dtype)
    numbers = rng.integers(0, classes, lead)
    if kind == "probabilities":
        truth = reference.softmax(rng.standard_normal(logits.shape)).astype(dtype)
    else:
        truth = numbers if kind == "numbers" else np.eye(classes, dtype=np.uint8)[numbers]
    weight = rng.random(lead).astype(dtype) if weighted else None
    loss, dlogits = on_all_threads(lambda: functional.softmax_cross_entropy(logits, truth, weight))

    (wide, wide_weight), _ = widened(dtype, logits, weight)
    wanted_loss, wanted = reference.softmax_cross_entropy(wide, truth, wide_weight)
    terms = log_softmax_terms(wide)
    p = truth if kind == "probabilities" else np.eye(classes)[numbers]
    w = np.ones(lead) if weight is None else weight
    share = (w / w.size)[..., np.newaxis]
    assert isinstance(loss, float)
    assert abs(loss - wanted_loss) <= {np.float32: 2e-6, np.float64: 1e-14}[dtype] * np.sum(share * p * terms)
    assert_near(dlogits, wanted, share * (reference.softmax(wide) * terms + p), dtype)


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_gradient_is_a_central_difference(weighted):
    (z,) = normal(5, float, (3, 2, 4))
    weight = np.arange(6.0).reshape(3, 2) if weighted else None
    for truth in (np.array([[0, 3], [1, 2], [2, 0]]), reference.softmax(z[::-1])):
        dlogits = functional.softmax_cross_entropy(z, truth, weight)[1]
        assert_gradient(
            dlogits, lambda v, truth=truth: functional.softmax_cross_entropy(v, truth, weight)[0], z
        )


@given(leading, widths, dtypes, st.sampled_from([0.25, 1.0, 6.0]), seeds)
@many
def test_a_clipped_relu_and_its_gradient(shape, width, dtype, cap, seed):
    x, dy = normal(seed, dtype, (*shape, width), (*shape, width))
    x *= 3
    x.reshape(-1)[:3] = [0, cap, np.nan][: x.size]
    y = on_all_threads(lambda: ops.clipped_relu(x, cap))
    assert y.tobytes() == reference.clipped_relu(x, cap).tobytes()
    dx = on_all_threads(lambda: ops.clipped_relu_backward(dy, y, cap))
    assert dx.tobytes() == reference.clipped_relu_backward(dy, y, cap).tobytes()
