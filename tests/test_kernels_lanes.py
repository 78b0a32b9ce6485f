"""Convolutions across images against their twins, and bit for bit against the kernels along filters."""

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

from cconv import functional, ops
from cconv.algorithms import crosses_images

few = st.integers(1, 8)


@given(geometries(), st.integers(8, 35), few, widths, st.booleans(), dtypes, st.booleans(), seeds)
@many
def test_few_filters_or_channels(geometry, n, small, other, swap, dtype, with_bias, seed):
    channels, filters = (small, other) if swap else (other, small)
    check_conv2d(geometry, n, channels, filters, 1, dtype, "channels_last", "relu", with_bias, seed)


@given(geometries(), st.integers(8, 35), few, few, dtypes, seeds)
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
    with mock.patch.object(ops, "crosses_images", return_value=False):
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
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LARGER)
def test_larger_sizes(case, dtype):
    check_conv2d(*case, 1, dtype, "channels_last", "relu", True, 7)


def test_the_choice_depends_on_shapes():
    assert crosses_images(128, 28, 5, 6, 1, 4)
    assert not crosses_images(15, 28, 5, 6, 1, 4)  # a group is 16 images of float32
    assert crosses_images(8, 28, 5, 4, 1, 8)
    assert not crosses_images(128, 28, 5, 9, 1, 4)
    assert not crosses_images(128, 28, 5, 6, 2, 4)
    assert not crosses_images(128, 1000 * 64, 5, 6, 1, 4)  # rows too long for the cache
