"""Compiled pooling against its twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    Geometry,
    assert_gradient,
    assert_near,
    data_formats,
    dtypes,
    geometries,
    images_shape,
    many,
    normal,
    on_all_threads,
    seeds,
    widened,
    widths,
)

from cconv import functional, reference


def options_of(geometry, **more):
    return {
        "strides": geometry.strides,
        "padding": geometry.padding,
        "ceil_mode": geometry.ceil_mode,
        **more,
    }


def with_ties(seed, dtype, shape, special):
    """Few distinct values, so that many are equal; with special, some NaN and infinities."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(dtype)
    if special:
        kinds = rng.random(shape)
        x[kinds < 0.3] = -np.inf
        x[(kinds > 0.3) & (kinds < 0.35)] = np.inf
        x[kinds > 0.9] = np.nan
    return x


def check_max_pool2d(x, geometry, data_format):
    options = options_of(geometry, dilation=geometry.dilation, data_format=data_format)
    y, argmax = on_all_threads(lambda: functional.max_pool2d(x, geometry.kernel_size, **options))
    wanted, wanted_argmax = reference.max_pool2d(x, geometry.kernel_size, **options)
    assert y.dtype == x.dtype
    assert argmax.dtype == wanted_argmax.dtype
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(argmax, wanted_argmax)

    (dy,) = normal(1, x.dtype, y.shape)
    back = (argmax, x.shape, geometry.kernel_size)
    dx = on_all_threads(lambda: functional.max_pool2d_backward(dy, *back, **options))
    (wide,), (magnitude,) = widened(x.dtype, dy)
    wanted = reference.max_pool2d_backward(wide, *back, **options)
    assert_near(dx, wanted, reference.max_pool2d_backward(magnitude, *back, **options), x.dtype)


@given(geometries(may_ceil=True), st.integers(1, 3), widths, dtypes, data_formats, st.booleans(), seeds)
@many
def test_max_pool2d(geometry, n, channels, dtype, data_format, special, seed):
    x = with_ties(seed, dtype, images_shape(n, geometry.size, channels, data_format), special)
    check_max_pool2d(x, geometry, data_format)


LARGER = [
    Geometry((26, 26), (2, 2), 2, "valid"),
    Geometry((27, 25), (2, 2), 2, "valid", 1, True),
    Geometry((15, 17), (15, 17), 1, "valid"),  # 255 positions: still a byte
    Geometry((18, 17), (16, 16), 1, "valid"),  # 256: an int
    Geometry((20, 24), (17, 19), (2, 3), 8),
    Geometry((5, 5), (2, 2), 3, 4),  # windows that see nothing but padding
    Geometry((3, 3), (16, 16), 7, 14),
    Geometry((40, 40), (3, 3), 1, "same", 7),
    Geometry((9, 28), (2, 2), 1, "valid"),  # windows that overlap by a column
    Geometry((2, 2), (2, 2), 1, "valid"),
    Geometry((7, 29), (2, 2), 1, "same"),
    Geometry((6, 1), (2, 2), 1, 1),
    Geometry((3, 3), (2, 2), 2, "valid"),  # a single window, which does not see the last pixels
    Geometry((9, 3), (2, 2), (1, 2), "valid"),
    Geometry((3, 9), (2, 2), (2, 1), "valid"),
    Geometry((3, 8), (2, 2), 1, 3),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 32, 67])
@pytest.mark.parametrize("geometry", LARGER)
def test_larger_windows(geometry, channels, dtype):
    for special in (False, True):
        check_max_pool2d(
            with_ties(2, dtype, (3, *geometry.size, channels), special), geometry, "channels_last"
        )


def test_first_of_equal_values_and_first_nan_win():
    x = np.array([[1.0, 1, 3, np.nan], [1, 1, np.nan, 3]], np.float32).reshape(1, 2, 4, 1)
    y, argmax = functional.max_pool2d(x)
    np.testing.assert_array_equal(y.ravel(), [1, np.nan])
    assert argmax.ravel().tolist() == [0, 1]


def test_padding_never_wins_and_takes_no_gradient():
    x = np.full((1, 1, 1, 3), -np.inf)
    y, argmax = functional.max_pool2d(x, 2, strides=3, padding=((3, 1), (0, 1)))
    assert y.shape == (1, 2, 1, 3)
    assert (y == -np.inf).all()
    assert argmax[0, :, 0].tolist() == [[255] * 3, [0] * 3]
    options = {"strides": 3, "padding": ((3, 1), (0, 1))}
    dx = functional.max_pool2d_backward(
        np.array([2.0, 3.0]).repeat(3).reshape(y.shape), argmax, x.shape, 2, **options
    )
    assert dx.ravel().tolist() == [3.0] * 3


@given(
    geometries(dilated=False, may_ceil=True),
    st.integers(1, 3),
    widths,
    dtypes,
    data_formats,
    st.booleans(),
    seeds,
)
@many
def test_average_pool2d(geometry, n, channels, dtype, data_format, count_include_pad, seed):
    (x,) = normal(seed, dtype, images_shape(n, geometry.size, channels, data_format))
    options = options_of(geometry, data_format=data_format, count_include_pad=count_include_pad)
    y = on_all_threads(lambda: functional.average_pool2d(x, geometry.kernel_size, **options))
    (wide,), (magnitude,) = widened(dtype, x)
    wanted = reference.average_pool2d(wide, geometry.kernel_size, **options)
    assert_near(y, wanted, reference.average_pool2d(magnitude, geometry.kernel_size, **options), dtype)

    (dy,) = normal(seed, dtype, y.shape)
    back = (x.shape, geometry.kernel_size)
    dx = on_all_threads(lambda: functional.average_pool2d_backward(dy, *back, **options))
    (wide,), (magnitude,) = widened(dtype, dy)
    wanted = reference.average_pool2d_backward(wide, *back, **options)
    assert_near(dx, wanted, reference.average_pool2d_backward(magnitude, *back, **options), dtype)


def test_average_of_nothing_is_zero_and_passes_nothing_back():
    options = {"strides": 3, "padding": ((3, 1), (0, 1))}
    y = functional.average_pool2d(np.full((1, 1, 1, 3), 5.0), 2, **options)
    assert y.ravel().tolist() == [0.0] * 3 + [5.0] * 3
    assert functional.average_pool2d_backward(y, (1, 1, 1, 3), 2, **options).ravel().tolist() == [5.0] * 3


def test_ceil_mode_counts_nothing_past_the_padded_input():
    """PyTorch: AvgPool2d(3, 2, 1, ceil_mode=True) of ones (1, 1, 4, 4) ends with 2 * 2 / 4, not / 9."""
    y = functional.average_pool2d(
        np.ones((1, 4, 4, 1)), 3, strides=2, padding=1, ceil_mode=True, count_include_pad=True
    )
    wanted = np.outer([2 / 3, 1, 0.5], [2 / 3, 1, 0.5])
    np.testing.assert_allclose(y[0, :, :, 0], wanted, rtol=1e-15)


GRADIENTS = [
    Geometry((4, 6), (2, 2), 2, "valid"),
    Geometry((5, 4), (3, 2), (1, 2), ((1, 2), (0, 1)), 1, True),
    Geometry((5, 5), (3, 3), 2, "same"),
]


@pytest.mark.parametrize("geometry", GRADIENTS)
def test_gradients_are_central_differences(geometry):
    # Distinct values a step apart: no window's winner changes within the difference.
    shape = (2, *geometry.size, 3)
    x = np.random.default_rng(4).permutation(np.arange(np.prod(shape)) * 0.1).reshape(shape)
    size, options = geometry.kernel_size, options_of(geometry)
    y, argmax = functional.max_pool2d(x, size, **options)
    (dy,) = normal(5, float, y.shape)
    dx = functional.max_pool2d_backward(dy, argmax, x.shape, size, **options)
    assert_gradient(dx, lambda v: np.sum(dy * functional.max_pool2d(v, size, **options)[0]), x)
    for count_include_pad in (False, True):
        more = {**options, "count_include_pad": count_include_pad}
        dx = functional.average_pool2d_backward(dy, x.shape, size, **more)
        assert_gradient(dx, lambda v, more=more: np.sum(dy * functional.average_pool2d(v, size, **more)), x)
