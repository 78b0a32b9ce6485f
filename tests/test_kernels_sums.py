"""Sums of any number of float32 terms are right to 1e-6, as large as they are, on any number of threads.

Pixels, rows of a batch, windows, classes: every sum that grows with the data. The terms are positive, so that
nothing cancels; equal ones are the worst, as all roundings then go the same way.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import many, on_all_threads, rows_tiled, seeds

from cconv import functional as F
from cconv import losses, metrics, ops, regularizers
from cconv.geometry.shapes import resolve_window
from cconv.layers import AveragePooling2D, GlobalAveragePooling2D
from cconv.ops import normalization
from cconv.ops.run import Run

BOUND = 1e-6
# A chain of products is 128 to 256 long; of equal ones all roundings go the same way.
CHAIN_BOUND = 4e-6

KINDS = {
    "tenths": lambda rng, shape: np.full(shape, 0.1),
    "thirds": lambda rng, shape: np.full(shape, 1 / 3),
    "uniform": lambda rng, shape: rng.random(shape),
    "around five": lambda rng, shape: rng.normal(5, 1, shape),
}
kinds = st.sampled_from(sorted(KINDS))
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def draw(kind, *shapes, seed=0):
    """Arrays of positive float32."""
    rng = np.random.default_rng(seed)
    return [np.abs(KINDS[kind](rng, shape)).astype(np.float32) for shape in shapes]


def assert_right(actual, wanted, bound=BOUND):
    """The relative errors are within the bound."""
    assert np.shape(actual) == np.shape(wanted)
    error = np.max(np.abs(np.asarray(actual, np.float64) / wanted - 1))
    assert error <= bound, f"{error:.3g}"


# ---- pooling ----------------------------------------------------------------------------------------------


@EVERY_KIND
@pytest.mark.parametrize(
    "shape", [(1, 8, 8, 3), (2, 65, 1, 40), (1, 1, 5003, 9), (1, 300, 200, 5), (1, 1200, 1000, 1)]
)
def test_global_average_pooling(kind, shape):
    (x,) = draw(kind, shape)
    y = on_all_threads(lambda: GlobalAveragePooling2D().forward(x))
    assert_right(y, x.mean((1, 2), dtype=np.float64))


@given(kinds, st.integers(1, 70), st.integers(1, 70), st.integers(1, 35), st.booleans(), seeds)
@many
def test_average_pooling(kind, high, wide, channels, padded, seed):
    (x,) = draw(kind, (1, high + 3, wide + 2, channels), seed=seed)
    options = {"strides": 1, "padding": "same" if padded else "valid"}
    y = on_all_threads(lambda: F.average_pool2d(x, (high, wide), **options))
    assert_right(y, F.average_pool2d(x.astype(np.float64), (high, wide), **options))
    gradient = on_all_threads(lambda: F.average_pool2d_backward(y, x.shape, (high, wide), **options))
    assert_right(gradient, F.average_pool2d_backward(y.astype(np.float64), x.shape, (high, wide), **options))


@EVERY_KIND
def test_gradient_of_windows_that_overlap_a_hundredfold(kind):
    size, shape = 60, (1, 121, 120, 3)
    (dy,) = draw(kind, (1, 62, 61, 3))
    dx = on_all_threads(lambda: F.average_pool2d_backward(dy, shape, size, strides=1))
    assert_right(dx, F.average_pool2d_backward(dy.astype(np.float64), shape, size, strides=1))
    # Every window has the same maximum, so its pixel gets all of dy.
    x = np.zeros(shape, np.float32)
    x[0, 60, 59] = 1
    _, argmax = F.max_pool2d(x, size, strides=1)
    dx = on_all_threads(lambda: F.max_pool2d_backward(dy, argmax, shape, size, strides=1))
    assert_right(dx[0, 60, 59], dy[0, 1:61, :60].sum((0, 1), dtype=np.float64))
    (col,) = draw(kind, (31 * 21, 40 * 40 * 2))
    image = on_all_threads(lambda: F.col2im(col, (1, 70, 60, 2), 40))
    assert_right(image, F.col2im(col.astype(np.float64), (1, 70, 60, 2), 40))


@EVERY_KIND
def test_average_pooling_in_the_lanes_of_images(kind):
    x, kernel = draw(kind, (17, 40, 44, 1), (1, 1, 1, 3))
    window = resolve_window("sums", (40, 44), 1)
    pool = resolve_window("sums", (40, 44), (20, 22), (20, 22))
    y = on_all_threads(lambda: ops.conv2d_average_pool(x, kernel, None, window, "linear", pool, False, Run()))
    wanted = F.average_pool2d(F.conv2d(x, kernel), (20, 22))
    assert np.array_equal(y, wanted)
    assert_right(y, F.average_pool2d((x * kernel[0, 0, 0]).astype(np.float64), (20, 22)))


def test_a_sum_of_few_terms_is_one_chain():
    """So that the bits of small networks stay: 8x8 pixels, in order."""
    (x,) = draw("uniform", (1, 8, 8, 5))
    total = np.zeros(5, np.float32)
    for pixel in x.reshape(64, 5):
        total += pixel
    assert np.array_equal(GlobalAveragePooling2D().forward(x)[0], total / np.float32(64))
    rows = x.reshape(64, 5)
    assert np.array_equal(F.dense_backward(rows, rows, np.eye(5, dtype="f"))[2], total)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_infinity_among_many_terms_is_no_nan(value):
    x = np.ones((1, 100, 90, 3), np.float32)
    x[0, 57, 31, 1] = value
    y = F.average_pool2d(x, (100, 90))[0, 0, 0]
    np.testing.assert_array_equal(y, [1, value, 1])
    dbias = F.dense_backward(x.reshape(-1, 3), np.ones((9000, 1), np.float32), np.ones((1, 3), np.float32))[2]
    np.testing.assert_array_equal(dbias, [9000, value, 9000])
    dbias = F.conv2d_backward(x, np.ones((1, 102, 92, 1), np.float32), np.ones((3, 3, 1, 3), np.float32))[2]
    np.testing.assert_array_equal(dbias, [9000, value, 9000])
    huge = np.full((1, 100, 100, 1), 3e38, np.float32)
    assert np.isposinf(F.average_pool2d(huge, 100))


# ---- gradients of weights ---------------------------------------------------------------------------------


@EVERY_KIND
@pytest.mark.parametrize(
    "sizes", [(65, 3, 4), (257, 9, 300), (4097, 2, 33), (10000, 150, 5), (200000, 3, 17)]
)
def test_dense(kind, sizes):
    m, inputs, outputs = sizes
    x, dy = draw(kind, (m, inputs), (m, outputs))
    kernel = np.ones((inputs, outputs), np.float32)
    _, dkernel, dbias = on_all_threads(lambda: F.dense_backward(dy, x, kernel))
    assert_right(dbias, dy.sum(0, dtype=np.float64))
    wanted = x.T.astype(np.float64) @ dy.astype(np.float64)
    assert_right(dkernel, wanted, CHAIN_BOUND if KINDS[kind] in EQUAL else BOUND)


EQUAL = [KINDS["tenths"], KINDS["thirds"]]

# images, height, width, channels, filters, kernel, options
CONVOLUTIONS = {
    "few taps": (1, 301, 300, 1, 5, 3, {}),
    "few taps, pairs of vectors": (2, 151, 153, 3, 35, 3, {}),
    "few taps, images": (300, 12, 11, 2, 6, 3, {}),
    "few taps of a long row": (1, 3, 20001, 1, 17, 3, {}),
    "few taps of a line": (1, 1, 9000, 1, 3, (1, 3), {}),
    "few taps, padded": (1, 202, 203, 1, 9, 5, {"padding": "same"}),
    "few taps, strides": (1, 402, 403, 1, 9, 3, {"strides": 2}),
    "direct": (1, 250, 249, 4, 5, 5, {}),
    "direct, images": (160, 21, 22, 5, 6, 4, {}),
    "direct, long rows": (1, 9, 9001, 2, 4, 7, {}),
    "direct, small images": (3000, 6, 5, 20, 7, 5, {"padding": "same"}),
    "direct, groups": (2, 200, 201, 4, 6, 3, {"groups": 2}),
    "direct, dilated": (1, 200, 201, 3, 6, 5, {"dilation": 3}),
    "pointwise": (2, 200, 201, 5, 6, 1, {}),
    "pointwise, strides": (2, 200, 201, 40, 6, 1, {"strides": 2}),
    "winograd": (1, 300, 301, 16, 17, 3, {"padding": "same"}),
    "winograd, images": (900, 8, 8, 17, 16, 3, {"padding": "same"}),
    "winograd, 2x2": (1, 250, 251, 16, 16, 2, {}),
    "depthwise": (1, 250, 251, 5, 5, 3, {"groups": 5}),
    "depthwise, long rows": (1, 5, 9001, 9, 9, 3, {"groups": 9}),
    "depthwise 5x5": (40, 50, 51, 5, 5, 5, {"groups": 5, "padding": "same"}),
    "depthwise, strides": (1, 250, 251, 5, 5, 3, {"groups": 5, "strides": 2}),
}


def sum_of_products(x, dy, window, groups):
    """The gradient of the kernel in float64, tap by tap, and that of the bias."""
    (top, bottom), (left, right) = window.pads
    x = np.pad(x.astype(np.float64), ((0, 0), (top, bottom), (left, right), (0, 0)))
    dy = dy.astype(np.float64)
    (oh, ow, f), (kh, kw), c = dy.shape[1:], window.kernel_size, x.shape[3]
    dkernel = np.empty((kh, kw, c // groups, f))
    (dh, dw), (sh, sw), of, by = window.dilation, window.strides, f // groups, c // groups
    for u, v in np.ndindex(kh, kw):
        seen = x[:, u * dh : u * dh + sh * oh : sh, v * dw : v * dw + sw * ow : sw][:, :oh, :ow]
        for g in range(groups):
            to = slice(g * of, (g + 1) * of)
            part = seen[..., g * by : (g + 1) * by].reshape(-1, by)
            dkernel[u, v, :, to] = part.T @ dy[..., to].reshape(-1, of)
    return dkernel, dy.sum((0, 1, 2))


def positive(rng, *shapes):
    """Arrays of positive float32: equal numbers, or any."""
    if rng.integers(2):
        return [np.full(shape, rng.uniform(0.1, 3), np.float32) for shape in shapes]
    return [rng.uniform(0.1, 3, shape).astype(np.float32) for shape in shapes]


@given(
    st.sampled_from([(1, 1), (3, 3), (5, 5), (1, 7), (7, 7), (4, 2)]),
    st.sampled_from([1, 3, 8, 13, 24, 64, 200, 513, 1024]),
    st.sampled_from([1, 5, 6, 8, 17, 40]),
    st.integers(1, 20),
    st.integers(1, 2),
    st.integers(1, 2),
    seeds,
)
@many
def test_channels_and_taps_of_a_convolution(kernel_size, channels, filters, n, stride, dilation, seed):
    """Sums of up to 25,000 products, forward and in input gradients, direct and in the lanes."""
    rng = np.random.default_rng(seed)
    x, kernel = positive(rng, (n, 6, 5, channels), (*kernel_size, channels, filters))
    options = {"strides": stride, "dilation": dilation, "padding": "same", "algorithm": "direct"}
    y = on_all_threads(lambda: F.conv2d(x, kernel, **options))
    wide = x.astype(np.float64), kernel.astype(np.float64)
    assert_right(y, F.conv2d(*wide, **options), CHAIN_BOUND)
    (dy,) = positive(rng, y.shape)
    dx = on_all_threads(lambda: F.conv2d_backward(dy, x, kernel, **options)[0])
    wanted = F.conv2d_backward(dy.astype(np.float64), *wide, **options)[0]
    seen = wanted > 0  # a pixel that no window sees has no gradient
    np.testing.assert_array_equal(dx[~seen], 0)
    assert_right(dx[seen], wanted[seen], CHAIN_BOUND)


@given(st.integers(1, 40), st.integers(1, 5000), st.integers(1, 70), seeds)
@many
def test_inputs_and_outputs_of_a_dense_layer(n, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    x, kernel, dy = positive(rng, (n, inputs), (inputs, outputs), (n, outputs))
    wide = [array.astype(np.float64) for array in (x, kernel, dy)]
    y = on_all_threads(lambda: F.dense(x, kernel))
    assert_right(y, wide[0] @ wide[1], CHAIN_BOUND)
    dx = on_all_threads(lambda: F.dense_backward(dy, x, kernel)[0])
    assert_right(dx, wide[2] @ wide[1].T, CHAIN_BOUND)


@EVERY_KIND
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(kind, name):
    n, h, w, c, f, kernel_size, options = CONVOLUTIONS[name]
    options = dict(options)
    groups = options.pop("groups", 1)
    window = resolve_window("sums", (h, w), kernel_size, **options)
    x, dy = draw(kind, (n, h, w, c), (n, *window.output_size, f))
    dkernel, dbias = on_all_threads(lambda: ops.conv2d_weight_gradient(dy, x, window, groups, Run(), "auto"))
    wanted, of_bias = sum_of_products(x, dy, window, groups)
    assert_right(dbias, of_bias)
    assert_right(dkernel, wanted, CHAIN_BOUND if KINDS[kind] in EQUAL else BOUND)


@EVERY_KIND
@pytest.mark.parametrize("algorithm", ["direct", "auto"])
@pytest.mark.parametrize(
    "sizes", [(1, 301, 302, 1, 9), (300, 20, 21, 1, 20), (1, 4, 9003, 1, 5), (2, 101, 140, 16, 16)]
)
def test_convolution_behind_max_pooling(kind, algorithm, sizes):
    """As right as before pooling, and of few taps with its bits."""
    n, h, w, c, f = sizes
    x, kernel = draw(kind, (n, h, w, c), (3, 3, c, f))
    window = resolve_window("sums", (h, w), 3)
    pool = resolve_window("sums", window.output_size, 2, 2)
    y, argmax = ops.conv2d_max_pool(x, kernel, None, window, pool, 1, True, Run(), algorithm)
    (dy,) = draw(kind, y.shape)
    dkernel, dbias = on_all_threads(
        lambda: ops.conv2d_max_pool_weight_gradient(dy, argmax, x, window, pool, 1, Run(), algorithm)
    )
    spread = ops.max_pool2d_backward(dy, argmax, pool)
    if algorithm == "auto" and c == 1:  # of few taps
        alone = ops.conv2d_weight_gradient(spread, x, window, 1, Run(), algorithm)
        assert dkernel.tobytes() == alone[0].tobytes()
        assert dbias.tobytes() == alone[1].tobytes()
    wanted, of_bias = sum_of_products(x, spread, window, 1)
    assert_right(dbias, of_bias)
    assert_right(dkernel, wanted, CHAIN_BOUND if KINDS[kind] in EQUAL else BOUND)


# ---- normalisation, rows, losses, metrics -----------------------------------------------------------------


@EVERY_KIND
@pytest.mark.parametrize("shape", [(300, 3), (1000000, 2)])
def test_batch_normalization(kind, shape):
    x, dy = draw(kind, shape, shape)
    wide, mean = x.astype(np.float64), np.zeros(shape[1], np.float32)
    what = normalization.Normalized(mean, mean, mean)
    found, variance = on_all_threads(lambda: normalization.statistics(x, Run()))
    assert_right(found, wide.mean(0))
    if KINDS[kind] not in EQUAL:
        assert_right(variance, wide.var(0))
    sums, products = on_all_threads(lambda: normalization.gradient_sums(dy, x, what, Run()).sum(axis=0))
    assert_right(sums, dy.sum(0, dtype=np.float64))
    assert_right(products, (dy * wide).sum(0))


@EVERY_KIND
@pytest.mark.parametrize("width", [1025, 40001, 1000000])
def test_long_rows(kind, width):
    x, dy = draw(kind, (2, width), (2, width))
    wide = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    wanted = wide / wide.sum(1, keepdims=True)
    p = on_all_threads(lambda: F.softmax(x))
    assert_right(p, wanted, 2 * BOUND)  # exp has errors of its own
    assert_right(p.sum(1, dtype=np.float64), np.ones(2))
    y = on_all_threads(lambda: F.log_softmax(x))
    np.testing.assert_allclose(y, np.log(wanted), rtol=BOUND)
    dx = on_all_threads(lambda: ops.log_softmax_backward(dy, y, Run()))
    total = dy.sum(1, dtype=np.float64, keepdims=True)
    wanted_dx = dy - np.exp(y.astype(np.float64)) * total
    np.testing.assert_allclose(dx, wanted_dx, rtol=BOUND, atol=BOUND * dy.max())
    loss, _ = F.softmax_cross_entropy(x, p / p.sum(1, dtype=np.float64, keepdims=True).astype("f"))
    assert_right(loss, -(wanted * np.log(wanted)).sum(1).mean(), 3 * BOUND)


@EVERY_KIND
@pytest.mark.parametrize("m", [600, 1000003])
def test_losses_metrics_and_penalties(kind, m):
    pred, true, weight = draw(kind, (m, 1), (m, 1), (m,), seed=1)
    true = true + pred
    wide, apart = weight.astype(np.float64), (true - pred).astype(np.float64)[:, 0]
    for key, each in (("mse", apart**2), ("mae", np.abs(apart))):
        loss = losses.get(key)
        assert_right(loss(true, pred)[0], each.mean())
        assert_right(loss(true, pred, weight)[0], (wide * each).mean())
        assert_right(metrics.get(key)(true, pred), each.mean())
    p = np.clip(pred, 0.05, 0.9)
    wanted = -np.log(p.astype(np.float64)).mean()
    assert_right(losses.get("binary_crossentropy")(np.ones_like(p), p)[0], wanted)
    both = np.concatenate([p, 1 - p], axis=1)
    labels = np.zeros(m, int)
    entropy = -np.log(p.astype(np.float64))[:, 0]
    loss = losses.get("sparse_categorical_crossentropy")
    assert_right(loss(labels, both)[0], entropy.mean(), 2 * BOUND)
    assert_right(loss(labels, np.log(both), from_logits=True)[0], entropy.mean(), 4 * BOUND)
    assert_right(regularizers.L1(0.5)(pred), 0.5 * pred.sum(dtype=np.float64))
    assert_right(regularizers.L2(0.5)(pred), 0.5 * (pred.astype(np.float64) ** 2).sum())
    mean = metrics.Mean()
    for start in range(0, m, 999):
        mean.update_state(pred[start : start + 999])
    assert_right(mean.result(), pred.mean(dtype=np.float64))


@EVERY_KIND
@pytest.mark.parametrize("m", [63, 70001])
def test_column_sums(kind, m):
    (x,) = draw(kind, (m, 37))
    assert_right(on_all_threads(lambda: ops.column_sums(x)), x.sum(0, dtype=np.float64))


def test_layers_share_the_kernels():
    (x,) = draw("tenths", (1, 128, 128, 2))
    layer = AveragePooling2D(128)
    assert_right(layer.forward(x), x.mean((1, 2), keepdims=True, dtype=np.float64))
    with rows_tiled():
        assert_right(F.average_pool2d(x, 128), x.mean((1, 2), keepdims=True, dtype=np.float64))
