"""Convolutions of few taps: against the twins, with max pooling behind them, and who takes them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    Geometry,
    assert_near,
    dtypes,
    geometries,
    many,
    normal,
    on_all_threads,
    rows_tiled,
    seeds,
    widened,
    widths,
)

from cconv import _kernels, ops, reference
from cconv.geometry import algorithms
from cconv.geometry.shapes import resolve_window
from cconv.ops.run import Run
from cconv.reference.winograd import winograd_rows_conv2d


def check_first(geometry, n, channels, filters, dtype, relu, with_bias, seed):
    """Forward, and the gradient of the weights, of one case.

    Tiles mix the products of outputs side by side: then the scale of an error is the largest sum of all.
    """
    window, run = geometry.window(), Run()
    shapes = ((n, *geometry.size, channels), (*geometry.kernel_size, channels, filters), (filters,))
    x, kernel, bias = normal(seed, dtype, *shapes)
    (dy,) = normal(seed + 1, dtype, (n, *window.output_size, filters))
    bias = bias if with_bias else None
    options = {
        "strides": geometry.strides,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
    }
    y, dkernel, dbias = on_all_threads(
        lambda: (
            ops.conv2d(x, kernel, bias, window, 1, relu, run),
            *ops.conv2d_weight_gradient(dy, x, window, 1, run),
        )
    )
    wide, magnitudes = widened(dtype, x, kernel, bias)
    wanted = reference.conv2d(*wide, activation="relu" if relu else None, **options)
    scale = reference.conv2d(*magnitudes, **options)
    tiled = algorithms.choose_forward(window, 1, channels, filters, "auto") == "along_rows"
    assert_near(y, wanted, scale.max() if tiled else scale, dtype)
    wide, magnitudes = widened(dtype, dy, x, kernel)
    wanted = reference.conv2d_backward(*wide, **options)[1:]
    scales = reference.conv2d_backward(*magnitudes, **options)[1:]
    for gradient, truth, scale in zip((dkernel, dbias), wanted, scales, strict=True):
        assert_near(gradient, truth, scale, dtype)


@given(
    geometries(5), st.integers(1, 3), st.integers(1, 3), widths, dtypes, st.booleans(), st.booleans(), seeds
)
@many
def test_few_taps(geometry, n, channels, filters, dtype, relu, with_bias, seed):
    check_first(geometry, n, channels, filters, dtype, relu, with_bias, seed)


# What small random cases do not reach: many images, several bands of an image, 75 taps in chunks,
# bands that reach past the image at one side only.
LARGER = [
    (Geometry((28, 28), (5, 5), 1, "valid"), 40, 1, 30),
    (Geometry((67, 61), (3, 3), 1, "same"), 3, 3, 67),
    (Geometry((41, 203), (5, 5), 1, ((0, 4), (3, 0))), 2, 3, 33),
    (Geometry((90, 70), (7, 7), 2, 3), 2, 1, 64),
    (Geometry((3, 400), (2, 3), (1, 2), "same", (1, 3)), 2, 12, 5),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LARGER)
def test_larger_sizes(case, dtype):
    assert algorithms.has_few_taps(case[0].window(), 1, case[2])
    check_first(*case, dtype, True, True, 7)


def check_pooled(geometry, pool_size, strides, n, channels, filters, dtype, relu, seed, spoil=None):
    """The sweep has the bits of convolution, ReLU and pooling one by one."""
    window, run = geometry.window(), Run()
    pool = resolve_window("test", window.output_size, pool_size, strides)
    shapes = ((n, *geometry.size, channels), (*geometry.kernel_size, channels, filters), (filters,))
    x, kernel, bias = normal(seed, dtype, *shapes)
    (dy,) = normal(seed + 1, dtype, (n, *pool.output_size, filters))
    if spoil is not None:
        x[..., 0][np.random.default_rng(seed).random(x.shape[:3]) < 0.05] = spoil
    y, argmax = on_all_threads(lambda: ops.conv2d_max_pool(x, kernel, bias, window, pool, 1, relu, run))
    between = ops.conv2d(x, kernel, bias, window, 1, relu, run)
    wanted, places = ops.max_pool2d(between, pool, run)
    np.testing.assert_array_equal(y, wanted)
    number = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(y)[number], np.signbit(wanted)[number])  # of zeros too
    np.testing.assert_array_equal(argmax, np.where((wanted > 0) | (not relu), places, 255))
    if spoil is not None:
        return
    gradients = on_all_threads(
        lambda: ops.conv2d_max_pool_weight_gradient(dy, argmax, x, window, pool, 1, run)
    )
    dbetween = ops.max_pool2d_backward(dy, places, pool, run)
    if relu:
        dbetween = ops.relu_backward(dbetween, between, run)
    for found, alone in zip(gradients, ops.conv2d_weight_gradient(dbetween, x, window, 1, run), strict=True):
        assert found.tobytes() == alone.tobytes()


@given(
    geometries(5),
    st.sampled_from([((2, 2), 2), ((2, 2), 2), ((2, 2), 1), ((3, 2), (2, 3))]),
    st.integers(1, 3),
    st.integers(1, 3),
    widths,
    dtypes,
    st.booleans(),
    seeds,
)
@many
def test_with_max_pooling(geometry, pool, n, channels, filters, dtype, relu, seed):
    height, width = geometry.window().output_size
    pool_size = (min(pool[0][0], height), min(pool[0][1], width))
    check_pooled(geometry, pool_size, pool[1], n, channels, filters, dtype, relu, seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LARGER)
def test_larger_sizes_with_max_pooling(case, dtype):
    geometry, n, channels, filters = case
    for pool in (((2, 2), 2), ((2, 2), 1)):
        check_pooled(geometry, *pool, n, channels, filters, dtype, True, 9)


@st.composite
def tiles(draw):
    """A convolution of strides 1 by its outputs, so that rows have tiles of every width."""
    side, rows, columns = draw(st.sampled_from([3, 5])), draw(st.integers(1, 9)), draw(st.integers(1, 13))
    pads = draw(st.tuples(*[st.tuples(*[st.integers(0, side - 1)] * 2)] * 2))
    size = rows + side - 1 - sum(pads[0]), columns + side - 1 - sum(pads[1])
    assume(size[0] >= max(1, *pads[0]) and size[1] >= max(1, *pads[1]))
    return Geometry(size, (side, side), 1, pads)


@given(
    tiles(), st.integers(1, 3), st.integers(1, 9), st.integers(16, 70), dtypes, st.booleans(), st.booleans(),
    seeds,
)  # fmt: skip
@many
def test_tiles_along_rows(geometry, n, channels, filters, dtype, relu, with_bias, seed):
    with rows_tiled():
        check_first(geometry, n, channels, filters, dtype, relu, with_bias, seed)
        if min(geometry.window().output_size) > 1:
            for strides in (2, 1):
                check_pooled(geometry, (2, 2), strides, n, channels, filters, dtype, relu, seed)


@pytest.mark.parametrize("padding", ["valid", "same", ((0, 2), (1, 0))])
@pytest.mark.parametrize("side", [3, 5])
def test_the_twin_of_the_tiles_is_the_plain_sum(side, padding):
    window = resolve_window("test", (7, 10), side, padding=padding)
    x, kernel = normal(1, float, (2, 7, 10, 3), (side, side, 3, 5))
    y = reference.conv2d(x, kernel, padding=padding)
    np.testing.assert_allclose(winograd_rows_conv2d(x, kernel, window), y, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("side", "channels", "error"),
    [(5, 1, 3e-6), (5, 3, 3e-6), (3, 2, 3e-6), (3, 8, 3e-6), (5, 6, 3e-6), (3, 15, 3e-6), (5, 64, 4e-6)],
)
def test_rounding_of_the_tiles(side, channels, error):
    x, kernel, bias = normal(2, np.float32, (3, 60, 60, channels), (side, side, channels, 32), (32,))
    window = resolve_window("test", (60, 60), side)
    assert algorithms.tiles_rows(window, channels, 32, "auto")
    y = ops.conv2d(x, kernel, bias, window, 1, False, Run())
    exact = ops.conv2d(*(a.astype(float) for a in (x, kernel, bias)), window, 1, False, Run(), "direct")
    assert np.abs(y - exact).max() < error * np.abs(exact).max()
    assert (ops.conv2d(0 * x, kernel, bias, window, 1, False, Run()) == bias).all()


def test_an_image_has_the_same_bits_whatever_follows_it():
    """Also where the last tile of a row is not full."""
    x, kernel = normal(3, np.float32, (3, 30, 31, 1), (5, 5, 1, 20))
    window = resolve_window("test", (30, 31), 5)
    assert algorithms.tiles_rows(window, 1, 20, "auto")
    assert window.output_size == (26, 27)
    alone = ops.conv2d(x[:1], kernel, None, window, 1, False, Run())
    x[1:] = np.nan
    np.testing.assert_array_equal(ops.conv2d(x, kernel, None, window, 1, False, Run())[:1], alone)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("filters", [5, 30])
def test_the_gradient_of_windows_that_pass_none_is_not_looked_at(filters, dtype):
    window, run = Geometry((17, 14), (5, 5), 1, "valid").window(), Run()
    pool = resolve_window("test", window.output_size, 2)
    x, kernel, bias = normal(5, dtype, (2, 17, 14, 1), (5, 5, 1, filters), (filters,))
    y, argmax = ops.conv2d_max_pool(x, kernel, bias, window, pool, 1, True, run)
    nothing = argmax == 255
    assert nothing.any()
    options = argmax, x, window, pool, 1, run
    wanted = ops.conv2d_max_pool_weight_gradient(np.where(nothing, dtype(0), y), *options)
    for spoil in (np.nan, np.inf):
        dy = np.where(nothing, dtype(spoil), y)
        found = on_all_threads(lambda dy=dy: ops.conv2d_max_pool_weight_gradient(dy, *options))
        for gradient, truth in zip(found, wanted, strict=True):
            assert gradient.tobytes() == truth.tobytes()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("spoil", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("filters", [3, 30])
def test_values_that_are_not_finite(spoil, relu, filters):
    for dtype in (np.float32, np.float64):
        check_pooled(Geometry((17, 14), (3, 3), 1, "valid"), (2, 2), 2, 2, 1, filters, dtype, relu, 4, spoil)
        with rows_tiled():
            check_pooled(Geometry((17, 14), (5, 5), 1, 1), (2, 2), 2, 2, 1, filters, dtype, relu, 4, spoil)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_of_both_signs_keep_their_sign(dtype, relu):
    """Products too small for the dtype are zeros with a sign; beside negative values the first one counts."""
    window = resolve_window("test", (7, 7), (1, 2))
    pool = resolve_window("test", (7, 6), (2, 2), 2)
    rng = np.random.default_rng(0)
    tiny = np.finfo(dtype).tiny
    x = rng.choice(np.array([-1, -tiny, tiny, 1], dtype), (20, 7, 7, 1))
    kernel = rng.choice(np.array([-tiny, tiny], dtype), (1, 2, 1, 19))
    run = Run()
    y, _ = ops.conv2d_max_pool(x, kernel, None, window, pool, 1, relu, run, "direct")
    wanted, _ = ops.max_pool2d(ops.conv2d(x, kernel, None, window, 1, relu, run, "direct"), pool, run)
    assert relu or len(set(np.signbit(wanted).ravel())) == 2
    assert y.tobytes() == wanted.tobytes()


def test_equal_values_name_the_first():
    window = resolve_window("test", (8, 8), 3)
    pool = resolve_window("test", window.output_size, 2)
    x, kernel = np.ones((1, 8, 8, 1), np.float32), np.ones((3, 3, 1, 20), np.float32)
    y, argmax = ops.conv2d_max_pool(x, kernel, None, window, pool, 1, True, Run())
    assert (y == 9).all()
    assert not argmax.any()


@pytest.mark.parametrize(
    ("kernel_size", "channels", "groups", "options", "chosen"),
    [
        (5, 3, 1, {}, "few_taps"),
        (5, 4, 1, {}, "direct"),
        (3, 1, 1, {"strides": 2, "dilation": 3}, "few_taps"),
        (3, 4, 2, {}, "direct"),
        (1, 3, 1, {}, "pointwise"),
        (1, 3, 1, {"strides": 2}, "few_taps"),
        (11, 3, 1, {"strides": 4}, "direct"),
    ],
)
def test_the_choice_depends_on_shapes(kernel_size, channels, groups, options, chosen):
    window = resolve_window("test", (64, 64), kernel_size, **options)
    for algorithm in ("auto", "direct"):
        assert algorithms.choose(window, groups, channels, 8, algorithm, window.output_size) == chosen


@pytest.mark.parametrize(
    ("size", "side", "channels", "filters", "options", "chosen"),
    [
        ((28, 28), 5, 1, 30, {}, True),
        ((28, 28), 5, 1, 15, {}, False),
        ((28, 28), 5, 3, 16, {"padding": "same"}, True),
        ((28, 28), 3, 1, 32, {}, False),  # the way back costs what the sums save
        ((32, 32), 3, 3, 64, {}, True),
        ((6, 6), 5, 1, 32, {}, False),  # two outputs of a tile
        ((28, 9), 5, 1, 32, {}, False),  # five of two tiles
        ((28, 28), 5, 1, 30, {"strides": 2}, False),
        ((28, 28), 5, 1, 30, {"dilation": (1, 2)}, False),
        ((28, 28), (5, 3), 1, 30, {}, False),
        ((28, 28), 7, 1, 30, {}, False),
    ],
)
def test_the_choice_of_tiles_depends_on_shapes(size, side, channels, filters, options, chosen):
    window = resolve_window("test", size, side, **options)
    assert algorithms.choose(window, 1, channels, filters, "auto", window.output_size) == "few_taps"
    assert algorithms.tiles_rows(window, channels, filters, "auto") == chosen
    assert not algorithms.tiles_rows(window, channels, filters, "direct")


@pytest.mark.parametrize(
    ("size", "side", "channels", "filters", "options", "chosen"),
    [
        ((14, 14), 5, 6, 16, {}, "along_rows"),
        ((14, 14), 5, 6, 15, {}, "direct"),
        ((27, 27), 5, 96, 64, {"padding": "same"}, "along_rows"),
        ((27, 27), 5, 96, 64, {"padding": 5}, "direct"),
        ((27, 27), 5, 96, 256, {"padding": "same"}, "direct"),
        ((14, 14), 5, 6, 16, {"groups": 2}, "direct"),
        ((14, 14), 5, 6, 16, {"algorithm": "direct"}, "direct"),
        ((32, 32), 3, 12, 16, {}, "along_rows"),
        ((32, 32), 3, 16, 16, {}, "winograd"),
        ((28, 28), 5, 1, 30, {}, "along_rows"),
        ((28, 28), 5, 1, 30, {"algorithm": "direct"}, "few_taps"),
        ((28, 28), 1, 16, 30, {}, "pointwise"),
    ],
)
def test_the_choice_of_the_forward_pass(size, side, channels, filters, options, chosen):
    padding = {"padding": options["padding"]} if "padding" in options else {}
    window = resolve_window("test", size, side, **padding)
    groups, algorithm = options.get("groups", 1), options.get("algorithm", "auto")
    assert algorithms.choose_forward(window, groups, channels, filters, algorithm) == chosen
    assert algorithms.choose(window, groups, channels, filters, algorithm, window.output_size) != "along_rows"


def test_python_and_c_agree_on_how_many_taps_are_few():
    header = Path(_kernels.__file__).parent / "simd" / "few_taps" / "table.h"
    (number,) = re.findall(r"#define CCONV_MOST_TAPS (\d+)", header.read_text())
    assert int(number) == algorithms.MOST_TAPS
