"""Compiled convolutions of one filter a channel against their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    Geometry,
    assert_gradient,
    check_conv2d,
    dtypes,
    geometries,
    many,
    normal,
    seeds,
    widths,
)

from cconv import functional, reference
from cconv.geometry import algorithms


@given(geometries(largest_kernel=6), widths, st.integers(1, 2), dtypes, seeds)
@many
def test_any_kernel(geometry, channels, multiplier, dtype, seed):
    check_conv2d(geometry, 2, 1, multiplier, channels, dtype, "channels_last", None, True, seed)


side = st.integers(0, 3)
paddings = st.one_of(
    st.sampled_from(["valid", "same", 1]), st.tuples(st.tuples(side, side), st.tuples(side, side))
)


@given(
    st.tuples(st.integers(3, 20), st.integers(3, 20)),
    st.integers(1, 3),
    st.one_of(widths, st.sampled_from([128, 130, 260])),
    st.integers(1, 2),
    paddings,
    dtypes,
    st.sampled_from([None, "relu"]),
    st.booleans(),
    seeds,
)
@many
def test_3x3(size, n, channels, stride, padding, dtype, activation, with_bias, seed):
    geometry = Geometry(size, (3, 3), stride, padding)
    check_conv2d(geometry, n, 1, 1, channels, dtype, "channels_last", activation, with_bias, seed)


# Images of one pixel, column or row, with and without padding around them; several parts and shares.
LARGER = [
    (Geometry((1, 1), (3, 3), 1, "same"), 1, 5),
    (Geometry((1, 9), (3, 3), 1, "same"), 2, 17),
    (Geometry((9, 1), (3, 3), 2, 2), 2, 17),
    (Geometry((2, 2), (3, 3), 2, ((3, 4), (4, 3))), 2, 3),
    (Geometry((7, 7), (3, 3), 1, "same"), 2, 1024),
    (Geometry((56, 56), (3, 3), 2, "same"), 1, 33),
    (Geometry((37, 41), (3, 3), 1, 1), 3, 16),
    (Geometry((17, 19), (5, 5), 2, "same"), 2, 40),
    (Geometry((17, 19), (3, 3), 1, "same", 2), 2, 40),
    (Geometry((9, 9), (3, 3), 5, ((0, 4), (4, 0))), 2, 6),
    (Geometry((6, 70), (1, 9), (1, 4), "same"), 2, 5),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("geometry", "n", "channels"), LARGER)
def test_larger_sizes(geometry, n, channels, dtype):
    assert algorithms.choose(geometry.window(), channels, channels, channels, "auto", (1, 1)) == "depthwise"
    check_conv2d(geometry, n, 1, 1, channels, dtype, "channels_last", "relu", True, 7)


@pytest.mark.parametrize("strides", [1, 2])
def test_gradients_are_central_differences(strides):
    x, kernel, bias = normal(5, float, (2, 5, 6, 3), (3, 3, 1, 3), (3,))
    options = {"padding": "same", "groups": 3, "strides": strides}
    y = functional.conv2d(x, kernel, bias, **options)
    (dy,) = normal(6, float, y.shape)
    dx, dkernel, dbias = functional.conv2d_backward(dy, x, kernel, **options)
    assert_gradient(dx, lambda v: np.sum(dy * functional.conv2d(v, kernel, bias, **options)), x)
    assert_gradient(dkernel, lambda v: np.sum(dy * functional.conv2d(x, v, bias, **options)), kernel)
    assert_gradient(dbias, lambda v: np.sum(dy * functional.conv2d(x, kernel, v, **options)), bias)


def test_nan_and_infinity_pass_through():
    x = np.zeros((1, 4, 6, 2))
    x[0, 0, 0, 0], x[0, 3, 5, 1] = np.nan, np.inf
    kernel = np.ones((3, 3, 1, 2))
    options = {"padding": "same", "groups": 2, "activation": "relu"}
    np.testing.assert_array_equal(
        functional.conv2d(x, kernel, **options), reference.conv2d(x, kernel, **options)
    )
