"""Convolutions across images, or rows, against their twins, and bit for bit against those along filters."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    Geometry,
    check_conv2d,
    dtypes,
    geometries,
    many,
    normal,
    on_all_threads,
    options_of,
    seeds,
    widths,
)

from cconv import activations, functional, ops
from cconv.geometry import algorithms
from cconv.geometry.algorithms import average_pool_fits, lanes_across
from cconv.geometry.shapes import resolve_window
from cconv.ops.run import Run

few = st.integers(1, 8)
# Of the larger ones the sums are cut into several chains.
of_any_length = few | st.sampled_from((24, 45, 70, 130))
# Fewer images than a vector has lanes, with and without as many rows; more of them.
batches = st.sampled_from((1, 2, 3, 7)) | st.integers(8, 35)


@given(geometries(), batches, few, widths, st.booleans(), dtypes, st.booleans(), seeds)
@many
def test_few_filters_or_channels(geometry, n, small, other, swap, dtype, with_bias, seed):
    channels, filters = (small, other) if swap else (other, small)
    check_conv2d(geometry, n, channels, filters, 1, dtype, "channels_last", "relu", with_bias, seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_around_leave_no_trace_in_any_lane(dtype):
    """Neither the sign of a zero nor an infinite weight tells which way the sums were taken."""
    tiny = np.finfo(dtype).tiny
    x, kernel = np.full((20, 28, 20, 3), tiny, dtype), np.full((3, 3, 3, 2), -tiny, dtype)
    kernel[2] = tiny  # sums that vanish, with either sign
    for weight in (-tiny, np.inf):
        kernel[0, 0, 0, 0] = weight
        for padding in ("valid", "same", ((0, 0), (1, 1))):
            for options in ({"dilation": 1}, {"strides": (1, 2)}):
                y = functional.conv2d(x, kernel, padding=padding, algorithm="direct", **options)
                for n in (1, 7):
                    some = functional.conv2d(x[:n], kernel, padding=padding, algorithm="direct", **options)
                    assert lanes_used(n, x, kernel, padding, options) == ("" if padding == "same" else "rows")
                    if padding != "same":
                        np.testing.assert_array_equal(np.signbit(some), np.signbit(y[:n]))
                        np.testing.assert_array_equal(some, y[:n])


def lanes_used(n, x, kernel, padding, options):
    window = resolve_window("x", x.shape[1:3], kernel.shape[:2], options.get("strides", 1), padding)
    return lanes_across(window, n, *kernel.shape[2:], 1, x.itemsize)


@given(geometries(), batches, of_any_length, few, dtypes, seeds)
@many
def test_the_bits_are_those_of_the_kernel_along_filters(geometry, n, channels, filters, dtype, seed):
    x, kernel, bias = normal(
        seed, dtype, (n, *geometry.size, channels), (*geometry.kernel_size, channels, filters), (filters,)
    )
    options = options_of(geometry, algorithm="direct")

    def compute():
        y = functional.conv2d(x, kernel, bias, **options)
        return y, functional.conv2d_backward(y, x, kernel, **options)[0]

    across = on_all_threads(compute)
    with mock.patch.object(algorithms, "lanes_across", return_value=""):
        along = compute()
    for ours, theirs in zip(across, along, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Several bands of rows; fewer outputs than registers take; a group that is not full; LeNet-5's.
LARGER = [
    (Geometry((70, 61), (3, 3), 1, "same"), 17, 7, 5),
    (Geometry((40, 30), (3, 3), 2, 1), 16, 33, 8),
    (Geometry((2, 2), (5, 5), 1, 2), 33, 3, 7),
    (Geometry((14, 14), (5, 5), 1, "valid"), 18, 6, 16),
    (Geometry((28, 28), (5, 5), 1, "same"), 16, 1, 6),
    (Geometry((9, 9), (3, 3), 5, ((0, 4), (4, 0))), 20, 2, 3),
    # Rows for lanes: LeNet-5's; groups that are not full; strided; columns that see padding; two images.
    (Geometry((32, 32), (5, 5), 1, "valid"), 1, 1, 6),
    (Geometry((33, 9), (3, 2), 1, ((0, 0), (1, 2))), 3, 4, 5),
    (Geometry((70, 8), (3, 3), (2, 1), ((0, 0), (1, 1))), 1, 3, 3),
    (Geometry((19, 6), (4, 1), 1, "valid"), 2, 2, 2),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LARGER)
def test_larger_sizes(case, dtype):
    check_conv2d(*case, 1, dtype, "channels_last", "relu", True, 7)


# Windows that touch, that leave rows and columns out, of one row or column, that reach no further.
POOLS = [((2, 2), None), ((3, 2), None), ((2, 2), (3, 4)), ((1, 3), None), ((4, 1), (5, 1)), ((1, 1), 2)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("pool", POOLS)
def test_average_pooling_in_the_lanes_gives_the_bits_of_each_by_itself(pool, activation, dtype):
    cases = [
        (Geometry((32, 32), (5, 5), 1, "valid"), 18, 1, 6, True),
        (Geometry((37, 40), (3, 3), 1, "same"), 16, 7, 2, False),  # several bands
        (Geometry((23, 11), (3, 2), (2, 1), ((1, 0), (0, 3)), (1, 2)), 35, 3, 4, True),
    ]
    for seed, (geometry, n, channels, filters, with_bias) in enumerate(cases):
        window = geometry.window()
        windows = resolve_window("x", window.output_size, pool[0], pool[1] or pool[0], "valid")
        item = np.dtype(dtype).itemsize
        assert average_pool_fits(window, windows, channels, filters, item) == (filters * item <= 32)
        filters = min(filters, 32 // item)
        shapes = (n, *geometry.size, channels), (*geometry.kernel_size, channels, filters), (filters,)
        x, kernel, bias = normal(seed, dtype, *shapes)
        arrays = x, kernel, bias if with_bias else None
        before = [array.copy() for array in (x, kernel, bias)]
        for include_pad in (False, True):
            fused = on_all_threads(
                lambda a=arrays, w=(window, activation, windows, include_pad): ops.conv2d_average_pool(
                    *a, *w, Run()
                )
            )
            y = ops.conv2d(*arrays, window, 1, False, Run(), "direct")
            y = activations.get(activation)(y, Run())
            np.testing.assert_array_equal(fused, ops.average_pool2d(y, windows, include_pad))
        for array, was in zip((x, kernel, bias), before, strict=True):
            np.testing.assert_array_equal(array, was)


def test_average_pooling_needs_windows_apart_and_inside():
    window = resolve_window("x", (28, 28), (5, 5), 1, "valid")  # 24 outputs

    def fits(filters=6, channels=1, window=window, **options):
        sizes = {"kernel_size": 2, "strides": 2, "padding": "valid", **options}
        return average_pool_fits(window, resolve_window("x", (24, 24), **sizes), channels, filters, 4)

    assert fits()
    assert fits(kernel_size=5, strides=5)
    assert fits(kernel_size=24)  # all of it: the stride is none
    large = resolve_window("x", (512, 512), 5, 1, "same")
    wide = resolve_window("x", (512, 512), 8, 8, "valid")
    assert not average_pool_fits(large, wide, 1, 6, 4)  # too much for the cache
    assert not fits(kernel_size=5, strides=5, ceil_mode=True)  # the last window hangs over
    assert not fits(kernel_size=3)  # they overlap
    assert not fits(kernel_size=(2, 3))
    assert not fits(padding=1)
    assert not fits(filters=9)
    assert not fits(channels=1000)


def across(images, rows, channels, filters, groups=1, itemsize=4, kernel=5, padding="valid", **options):
    window = resolve_window("x", (rows, 28), kernel, 1, padding)
    return lanes_across(window, images, channels, filters, groups, itemsize, **options)


def test_the_choice_depends_on_shapes():
    assert across(128, 28, 1, 6) == "images"
    assert across(8, 28, 1, 4, itemsize=8) == "images"
    assert across(128, 28, 1, 9) == ""
    assert across(128, 28, 1, 6, groups=2) == ""
    assert across(128, 28, 1000, 6) == ""  # rows too long for the cache
    strided = resolve_window("x", (28, 28), (5, 5), 2, "valid")
    assert lanes_across(strided, 16, 1, 6, 1, 4) == "images"
    assert lanes_across(strided, 16, 6, 1, 1, 4, gradient=True) == ""


def test_rows_are_lanes_where_images_are_few():
    assert across(15, 28, 1, 6) == "rows"  # a group is 16 images of float32
    assert across(7, 12, 1, 3, itemsize=8) == "rows"
    assert across(15, 15, 1, 6) == ""  # or 16 rows of outputs, of which there are 11,
    assert across(15, 24, 1, 6) == ""  # or 20: the second group would be nearly empty
    assert across(15, 28, 1, 7) == ""  # pixels that fill almost half a vector
    assert across(15, 28, 1, 6, padding="same") == ""  # lanes that see padding, others that do not
    assert across(15, 28, 1, 6, padding=((0, 0), (2, 2))) == "rows"
    assert across(15, 28, 1, 6, padding=((0, 1), (0, 0))) == ""
    assert across(15, 28, 1, 6, kernel=1) == ""
    assert across(15, 28, 6, 1, gradient=True) == ""
