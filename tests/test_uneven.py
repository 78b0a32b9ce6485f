"""Values much larger than those around them, or not finite, in convolutions by Winograd's algorithm.

What never sees them is as near to the truth as if they were not there, and other images keep every bit.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, many, normal, on_all_threads, rows_tiled, seeds

from cconv import Conv2D, MaxPooling2D, Sequential, functional, ops, reference
from cconv.geometry.shapes import resolve_window
from cconv.ops.run import Run
from cconv.reference.uneven import RANGE

EPS = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
# Largest error of an output: so many times eps * RANGE * max|x| that it sees * sum|kernel|.
BOUND = 4.0
# Without outliers errors are far below that, which allows values to differ by RANGE.
EVEN_BOUND = 24.0

paddings = st.sampled_from(["valid", "same", 1, ((0, 2), (1, 0)), ((2, 1), (2, 2))])
sizes = st.tuples(st.integers(3, 13), st.integers(3, 13))
outliers = st.sampled_from([1e2, -9999.0, 1e6, -1e12, 1e19, 1e30, np.inf, -np.inf, np.nan])


def truth(x, kernel, bias, padding):
    """The convolution in longer numbers, where what is not finite stays with what sees it."""
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    return reference.conv2d(x.astype(wide), kernel.astype(wide), bias.astype(wide), padding=padding)


def seen(mask, side, padding):
    """Which outputs see a marked pixel of mask (n, h, w)."""
    return (
        reference.conv2d(mask[..., None].astype(float), np.ones((side, side, 1, 1)), padding=padding)[..., 0]
        > 0
    )


def largest_seen(x, side, padding):
    """The largest absolute value that each output sees."""
    sizes = np.max(np.abs(x), axis=-1, keepdims=True)
    window = resolve_window("test", x.shape[1:3], side, padding=padding)
    padded = np.pad(sizes, ((0, 0), *window.pads, (0, 0)))
    height, width = window.output_size
    parts = [padded[:, u : u + height, v : v + width, 0] for u in range(side) for v in range(side)]
    return np.max(parts, axis=0)


def spoiled(x, value, count, seed):
    """A copy of x with the value at `count` places of the first image; where they are."""
    rng, mask = np.random.default_rng(seed), np.zeros(x.shape[:3], bool)
    x = x.copy()
    for _ in range(count):
        i, j, k = (rng.integers(extent) for extent in x.shape[1:])
        x[0, i, j, k] = value
        mask[0, i, j] = True
    return x, mask


def check_output(y, plain, x, kernel, bias, side, padding, mask):
    """y, of a spoiled x, and `plain`, of what it was before."""
    aside = ~seen(mask, side, padding)
    np.testing.assert_array_equal(y[1:], plain[1:])
    wanted = truth(np.where(mask[..., None], 0, x), kernel, bias, padding)
    assert np.isfinite(y[aside]).all()
    scale = EPS[x.dtype] * (np.abs(kernel).sum((0, 1, 2)) + np.abs(bias))
    error = np.abs(y[aside] - wanted[aside])
    limit = largest_seen(np.where(mask[..., None], 0, x), side, padding)[aside][:, None] * scale
    assert (error <= BOUND * RANGE * limit + np.abs(bias) * EPS[x.dtype]).all()
    return wanted, aside


def check_conv(size, side, channels, filters, padding, dtype, value, count, seed, algorithm):
    window = resolve_window("test", size, side, padding=padding)
    x, kernel, bias = normal(seed, dtype, (2, *size, channels), (side, side, channels, filters), (filters,))
    bad, mask = spoiled(x, value, count, seed)

    def forward(a):
        return ops.conv2d(a, kernel, bias, window, 1, False, Run(), algorithm)

    plain, y = forward(x), on_all_threads(lambda: forward(bad))
    wanted, aside = check_output(y, plain, bad, kernel, bias, side, padding, mask)
    if not np.isfinite(value):
        direct = ops.conv2d(bad, kernel, bias, window, 1, False, Run(), "direct")
        np.testing.assert_array_equal(np.isfinite(y), np.isfinite(direct))
        np.testing.assert_array_equal(y[~np.isfinite(direct)], direct[~np.isfinite(direct)])
    elif abs(value) > 1e4:
        # As near as without outliers, where the tile is uneven beyond doubt.
        scale = EPS[x.dtype] * (np.abs(kernel).sum((0, 1, 2)) * np.abs(x).max() + np.abs(bias))
        assert (np.abs(y[aside] - wanted[aside]) <= EVEN_BOUND * np.broadcast_to(scale, y.shape)[aside]).all()


@given(
    sizes, st.sampled_from([2, 3]), st.integers(1, 35), st.integers(1, 35),
    paddings, dtypes, outliers, st.integers(1, 3), seeds,
)  # fmt: skip
@many
def test_forward(size, side, channels, filters, padding, dtype, value, count, seed):
    check_conv(size, side, channels, filters, padding, dtype, value, count, seed, "winograd")


@given(
    st.tuples(st.integers(5, 13), st.integers(5, 19)), st.sampled_from([3, 5]), st.integers(1, 9),
    st.integers(16, 35), paddings, dtypes, outliers, st.integers(1, 3), seeds,
)  # fmt: skip
@many
def test_forward_along_rows(size, side, channels, filters, padding, dtype, value, count, seed):
    with rows_tiled():
        check_conv(size, side, channels, filters, padding, dtype, value, count, seed, "auto")


def check_input_gradient(size, side, channels, filters, padding, dtype, value, count, seed):
    window = resolve_window("test", size, side, padding=padding)
    shape = (2, *window.output_size, filters)
    dy, kernel, x = normal(seed, dtype, shape, (side, side, channels, filters), (2, *size, channels))
    bad, mask = spoiled(dy, value, count, seed)

    def backward(a):
        return ops.conv2d_input_gradient(a, kernel, window, 1, channels, Run(), "winograd")

    plain, dx = backward(dy), on_all_threads(lambda: backward(bad))
    np.testing.assert_array_equal(dx[1:], plain[1:])
    wide = np.longdouble if dtype == np.float64 else np.float64
    wanted = reference.conv2d_backward(dy.astype(wide), x.astype(wide), kernel.astype(wide), padding=padding)[
        0
    ]
    marks = reference.conv2d_backward(
        mask[..., None].astype(float), np.ones((2, *size, 1)), np.ones((side, side, 1, 1)), padding=padding
    )[0][..., 0]
    aside = marks == 0
    assert np.isfinite(dx[aside]).all()
    scale = EPS[np.dtype(dtype)] * np.abs(kernel).sum((0, 1, 3)) * np.abs(dy).max()
    limit = EVEN_BOUND if not abs(value) <= 1e4 else BOUND * RANGE
    assert (np.abs(dx[aside] - wanted[aside]) <= limit * scale).all()
    if not np.isfinite(value):
        direct = ops.conv2d_input_gradient(bad, kernel, window, 1, channels, Run(), "direct")
        np.testing.assert_array_equal(np.isfinite(dx), np.isfinite(direct))


@given(
    sizes, st.sampled_from([2, 3]), st.integers(1, 35), st.integers(1, 35),
    paddings, dtypes, outliers, st.integers(1, 3), seeds,
)  # fmt: skip
@many
def test_input_gradient(size, side, channels, filters, padding, dtype, value, count, seed):
    check_input_gradient(size, side, channels, filters, padding, dtype, value, count, seed)


@given(
    sizes, st.sampled_from([2, 3]), st.integers(1, 20), st.integers(1, 20),
    paddings, dtypes, outliers, st.booleans(), seeds,
)  # fmt: skip
@many
def test_weight_gradient(size, side, channels, filters, padding, dtype, value, of_x, seed):
    """What no tap multiplies with the outlier: other channels and filters, taps that do not reach it."""
    window = resolve_window("test", size, side, padding=padding)
    shapes = (2, *size, channels), (2, *window.output_size, filters)
    x, dy = normal(seed, dtype, *shapes)
    bad, _ = spoiled(x if of_x else dy, value, 1, seed)
    x_bad, dy_bad = (bad, dy) if of_x else (x, bad)
    dkernel, _ = on_all_threads(
        lambda: ops.conv2d_weight_gradient(dy_bad, x_bad, window, 1, Run(), "winograd")
    )
    kernel = np.zeros((side, side, channels, filters))
    wide = np.longdouble if dtype == np.float64 else np.float64
    wanted = reference.conv2d_backward(dy.astype(wide), x.astype(wide), kernel, padding=padding)[1]
    large = (np.abs(bad) > np.abs(x if of_x else dy)) | ~np.isfinite(bad)
    ones = np.ones(shapes[1]) if of_x else np.ones(shapes[0])
    pair = (ones, large.astype(float)) if of_x else (large.astype(float), ones)
    aside = reference.conv2d_backward(*pair, kernel, padding=padding)[1] == 0
    assert np.isfinite(dkernel[aside]).all()
    sums = reference.conv2d_backward(
        np.abs(dy).astype(float), np.abs(x).astype(float), kernel, padding=padding
    )[1]
    scale = EPS[np.dtype(dtype)] * max(sums.max(), np.abs(x).max() * np.abs(dy).max())
    limit = EVEN_BOUND if not abs(value) <= 1e5 else BOUND * RANGE
    assert (np.abs(dkernel[aside] - wanted[aside]) <= limit * scale).all()


@given(
    st.tuples(st.integers(4, 18), st.integers(4, 18)), st.sampled_from([2, 3]), st.integers(1, 4),
    st.sampled_from(["valid", "same", ((1, 0), (0, 2))]), dtypes, st.sampled_from([-9999.0, 1e10, 1e25]),
    st.integers(0, 3), st.integers(1, 3), st.booleans(), seeds,
)  # fmt: skip
@many
def test_weight_gradient_of_a_band(size, side, n, padding, dtype, value, kind, width, masked, seed):
    """Rows or columns without data, at an edge or not, and no loss there: taps that never see them."""
    window = resolve_window("test", size, side, padding=padding)
    x, dy = normal(seed, dtype, (n, *size, 17), (n, *window.output_size, 18))
    axis, extent = 1 + kind % 2, size[kind % 2]
    start = extent - width if kind < 2 else seed % (extent - width + 1)
    band = (slice(None),) * axis + (slice(start, start + width),)
    x[band] = value
    if masked:
        dy[(slice(None),) * axis + (slice(max(start - 1, 0), start + width + 1),)] = 0
    dkernel, _ = on_all_threads(lambda: ops.conv2d_weight_gradient(dy, x, window, 1, Run(), "winograd"))
    wide = [array.astype(np.longdouble if dtype == np.float64 else np.float64) for array in (dy, x)]
    kernel = np.zeros((side, side, 17, 18))
    wanted = reference.conv2d_backward(*wide, kernel, padding=padding)[1]
    sums = reference.conv2d_backward(*map(np.abs, wide), kernel, padding=padding)[1]
    scale = EPS[np.dtype(dtype)] * np.max(sums, axis=(2, 3), keepdims=True)
    assert (np.abs(dkernel - wanted) <= BOUND * RANGE * scale).all()


@pytest.mark.parametrize("value", [-9999.0, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("side", [2, 3])
def test_an_outlier_of_the_kernel(side, dtype, value):
    """Outputs that padding keeps from its tap, and other blocks of filters, do not see it."""
    window = resolve_window("test", (9, 10), side, padding="same" if side == 3 else 1)
    x, kernel, bias = normal(3, dtype, (2, 9, 10, 18), (side, side, 18, 40), (40,))
    spoilt = kernel.copy()
    spoilt[0, 0, 5, 35] = value
    padding = "same" if side == 3 else 1
    y = on_all_threads(lambda: ops.conv2d(x, spoilt, bias, window, 1, False, Run(), "winograd"))
    plain = ops.conv2d(x, kernel, bias, window, 1, False, Run(), "winograd")
    width = 128 // x.itemsize
    np.testing.assert_array_equal(y[..., : 35 // width * width], plain[..., : 35 // width * width])
    wanted = truth(x, kernel, bias, padding)[..., 35]
    scale = EVEN_BOUND * EPS[x.dtype] * np.abs(kernel[..., 35]).sum() * np.abs(x).max()
    assert (np.abs(y[:, 0, :, 35] - wanted[:, 0]) <= scale).all()
    assert (np.abs(y[:, :, 0, 35] - wanted[:, :, 0]) <= scale).all()
    dy = normal(4, dtype, y.shape)[0]
    dx = on_all_threads(lambda: ops.conv2d_input_gradient(dy, spoilt, window, 1, 18, Run(), "winograd"))
    direct = ops.conv2d_input_gradient(dy, spoilt, window, 1, 18, Run(), "direct")
    np.testing.assert_array_equal(np.isfinite(dx), np.isfinite(direct))


@given(st.tuples(st.integers(4, 13), st.integers(4, 13)), dtypes, outliers, st.booleans(), seeds)
@many
def test_with_max_pooling_in_one_sweep(size, dtype, value, relu, seed):
    """The bits are those of the convolution and the pooling one by one, and of their gradients."""
    window = resolve_window("test", size, 3, padding="same")
    pool = resolve_window("test", size, 2, 2)
    x, kernel, bias = normal(seed, dtype, (2, *size, 17), (3, 3, 17, 33), (33,))
    (dy,) = normal(seed + 1, dtype, (2, *pool.output_size, 33))
    x, dy = spoiled(x, value, 2, seed)[0], spoiled(dy, value, 1, seed + 1)[0]
    run = Run()
    y, argmax = on_all_threads(
        lambda: ops.conv2d_max_pool(x, kernel, bias, window, pool, 1, relu, run, "winograd")
    )
    between = ops.conv2d(x, kernel, bias, window, 1, relu, run, "winograd")
    wanted, places = ops.max_pool2d(between, pool, run)
    np.testing.assert_array_equal(y, wanted)
    if not np.isfinite(value):
        return
    dx = on_all_threads(lambda: ops.conv2d_max_pool_input_gradient(dy, argmax, kernel, window, 17, run))
    dbetween = ops.max_pool2d_backward(dy, places, pool, run)
    if relu:
        dbetween = ops.relu_backward(dbetween, between, run)
    alone = ops.conv2d_input_gradient(dbetween, kernel, window, 1, 17, run, "winograd")
    np.testing.assert_array_equal(dx, alone)
    found = ops.conv2d_max_pool_weight_gradient(dy, argmax, x, window, pool, 1, run, "winograd")
    alone = ops.conv2d_weight_gradient(dbetween, x, window, 1, run, "winograd")
    np.testing.assert_array_equal(found[0], alone[0])


@pytest.mark.parametrize("value", [-9999.0, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("first", [Conv2D(20, 5), Conv2D(16, 3, padding="same")])
def test_a_model_decides_anew_for_every_batch(first, value):
    """Kept kernels and recorded programs do not remember what an earlier batch was like."""
    layers = [first, Conv2D(32, 3, activation="relu"), MaxPooling2D(2), Conv2D(16, 3)]
    model = Sequential([layer.__class__.from_config(layer.get_config()) for layer in layers], seed=0)
    (x,) = normal(8, np.float32, (4, 28, 28, 1))
    model.build((28, 28, 1))
    plain = [model.predict(x) for _ in range(4)][-1]
    bad = x.copy()
    bad[1, 2, 3] = value
    for _ in range(3):
        y = model.predict(bad)
        np.testing.assert_array_equal(y[[0, 2, 3]], plain[[0, 2, 3]])
        np.testing.assert_array_equal(model.predict(x), plain)
    far = np.abs(y[1] - plain[1])[7:, 7:]
    assert (far <= 1e-5).all()


@pytest.mark.parametrize("side", [3, 5])
def test_zeros_beside_large_values_stay_zeros(side):
    """An image of zeros with one value answers with the kernel, and with nothing elsewhere."""
    x, kernel = np.zeros((1, 14, 15, 2), np.float32), normal(2, np.float32, (side, side, 2, 16))[0]
    x[0, 6, 7, 1] = 1e6
    algorithm = "winograd" if side == 3 else "auto"
    y = functional.conv2d(x, kernel, padding="same", algorithm=algorithm)
    reach = side // 2
    wanted = np.zeros_like(y)
    wanted[0, 6 - reach : 7 + reach, 7 - reach : 8 + reach] = 1e6 * kernel[::-1, ::-1, 1]
    np.testing.assert_array_equal(y != 0, wanted != 0)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=4.0)


def test_the_twins_take_direct_sums_as_well():
    x, kernel = normal(4, float, (1, 9, 9, 3), (3, 3, 3, 4))
    x[0, 4, 4, 1] = np.nan
    y = reference.conv2d(x, kernel, padding="same", algorithm="winograd")
    plain = reference.conv2d(x, kernel, padding="same")
    np.testing.assert_array_equal(np.isnan(y), np.isnan(plain))
    np.testing.assert_allclose(y, plain, rtol=0, atol=1e-12)
    (dy,) = normal(5, float, y.shape)
    for ours, wanted in zip(
        reference.conv2d_backward(dy, x, kernel, padding="same", algorithm="winograd"),
        reference.conv2d_backward(dy, x, kernel, padding="same"),
        strict=True,
    ):
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-12)


@given(st.integers(2, 7), st.integers(2, 7), dtypes, st.integers(0, 3), seeds)
@many
def test_windows_whose_gradient_relu_stops(rows, columns, dtype, edge, seed):
    """Only pixels at an edge have a gradient: taps that meet padding there see nothing, as unpooled."""
    window = resolve_window("test", (2 * rows, 2 * columns), 3, padding="same")
    pool = resolve_window("test", (2 * rows, 2 * columns), 2, 2)
    x, dy = normal(seed, dtype, (2, 2 * rows, 2 * columns, 17), (2, rows, columns, 33))
    argmax = np.full(dy.shape, 255, np.uint8)
    first, place = [((0,), 0), ((-1,), 2), ((slice(None), 0), 0), ((slice(None), -1), 1)][edge]
    argmax[(slice(None), *first)] = place
    pooled = on_all_threads(
        lambda: ops.conv2d_max_pool_weight_gradient(dy, argmax, x, window, pool, 1, Run(), "winograd")
    )
    spread = np.zeros((2, 2 * rows, 2 * columns, 33), dtype)
    for k in range(4):
        spread[:, k // 2 :: 2, k % 2 :: 2] = np.where(argmax == k, dy, 0)
    plain = ops.conv2d_weight_gradient(spread, x, window, 1, Run(), "winograd")
    for got, wanted in zip(pooled, plain, strict=True):
        np.testing.assert_array_equal(got, wanted)
    unseen = [(0,), (2,), (slice(None), 0), (slice(None), 2)][edge]
    assert (pooled[0][unseen] == 0).all()


@given(st.integers(2, 6), st.integers(2, 6), dtypes, seeds)
@many
def test_images_of_which_some_count_as_zero(rows, columns, dtype, seed):
    """What the tiles before it were like decides nothing about a tile: bits are those of each image alone."""
    size = (2 * rows + 1, 2 * columns + 1)  # a row and a column that pooling drops
    window = resolve_window("test", size, 3, padding="same")
    dy, kernel = normal(seed, dtype, (6, rows, columns, 33), (3, 3, 17, 33))
    exponents = np.random.default_rng(seed).integers(-8, 2, 6) - (60 if dtype == np.float32 else 500)
    dy = np.ldexp(np.sign(dy) * (1 + np.abs(dy) / 8), exponents[:, None, None, None]).astype(dtype)
    argmax = np.random.default_rng(seed).integers(0, 4, dy.shape).astype(np.uint8)
    dx = on_all_threads(lambda: ops.conv2d_max_pool_input_gradient(dy, argmax, kernel, window, 17, Run()))
    for i in range(len(dy)):
        one = slice(i, i + 1)
        alone = ops.conv2d_max_pool_input_gradient(dy[one], argmax[one], kernel, window, 17, Run())
        np.testing.assert_array_equal(dx[one], alone)
