"""What lies in the lanes of a direct pass' vectors, images or rows of one: both sides of every threshold."""

import pytest

from cconv.geometry import algorithms
from cconv.geometry.shapes import resolve_window


def window_of(size, kernel, strides=1, padding="valid", dilation=1):
    return resolve_window("test", size, kernel, strides, padding, dilation)


def pool_of(window, kernel=2, strides=None, padding="valid", ceil_mode=False):
    return resolve_window("test", window.output_size, kernel, strides, padding, 1, ceil_mode)


def lanes(
    size=(28, 28), kernel=5, images=16, given=1, made=4, groups=1, itemsize=4, gradient=False, **options
):
    return algorithms.lanes_across(
        window_of(size, kernel, **options), images, given, made, groups, itemsize, gradient
    )


def test_a_cache_line_of_images():
    assert (algorithms.lanes_of(4), algorithms.lanes_of(8)) == (16, 8)


@pytest.mark.parametrize(
    ("case", "across"),
    [
        ({}, "images"),
        ({"images": 15}, "rows"),
        ({"images": 15, "kernel": 1}, ""),  # laying the input out would take longer than the sums
        ({"images": 15, "kernel": (1, 2)}, "rows"),
        ({"images": 8, "itemsize": 8}, "images"),
        ({"images": 7, "itemsize": 8}, ""),
        ({"images": 7, "itemsize": 8, "made": 3}, "rows"),
        # 32 bytes of outputs a pixel, of rows 24
        ({"made": 8}, "images"),
        ({"made": 9}, ""),
        ({"made": 4, "itemsize": 8}, "images"),
        ({"made": 5, "itemsize": 8}, ""),
        ({"images": 1, "made": 6}, "rows"),
        ({"images": 1, "made": 7}, ""),
        ({"groups": 2}, ""),
        # The rows under one row of outputs: 1 MiB of 64 bytes a value
        ({"size": (8, 64), "given": 64, "kernel": (4, 1)}, "images"),
        ({"size": (8, 65), "given": 64, "kernel": (4, 1)}, ""),
        ({"size": (8, 64), "given": 65, "kernel": (4, 1)}, ""),
        ({"size": (8, 64), "given": 64, "kernel": (5, 1)}, ""),
        ({"size": (8, 64), "given": 64, "kernel": (2, 1), "dilation": (3, 1)}, "images"),
        ({"size": (8, 64), "given": 64, "kernel": (2, 1), "dilation": (4, 1)}, ""),
        # The gradient reads dy, whose rows are shorter, and takes strides of 1 alone
        ({"size": (8, 66), "given": 64, "kernel": (4, 3), "gradient": True}, "images"),
        ({"size": (8, 66), "given": 64, "kernel": (4, 3)}, ""),
        ({"size": (8, 67), "given": 64, "kernel": (4, 3), "gradient": True}, ""),
        ({"strides": 2}, "images"),
        ({"strides": 2, "gradient": True}, ""),
        ({"strides": (1, 2), "gradient": True}, ""),
        ({"images": 15, "gradient": True}, ""),
    ],
)
def test_what_lies_in_the_lanes(case, across):
    assert lanes(**case) == across


def test_forward_passes_are_asked_for_by_default():
    assert algorithms.lanes_across(window_of((28, 28), 5, 2), 16, 1, 4, 1, 4) == "images"
    assert algorithms.lanes_across(window_of((28, 28), 5), 1, 1, 4, 1, 4) == "rows"


@pytest.mark.parametrize(
    ("itemsize", "rows"),
    [
        (4, {12, 13, 14, 15, 16, *range(24, 33), *range(36, 41)}),
        (8, {6, 7, 8, *range(12, 17), *range(18, 41)}),
    ],
)
def test_rows_that_fill_three_quarters_of_the_lanes(itemsize, rows):
    for count in range(1, 41):
        across = lanes((count + 4, 28), images=1, made=3, itemsize=itemsize)
        assert across == ("rows" if count in rows else ""), count


@pytest.mark.parametrize(
    ("options", "inside"),
    [
        ({}, True),
        ({"padding": ((0, 0), (2, 2))}, True),
        ({"padding": ((1, 0), (0, 0))}, False),
        ({"padding": ((0, 1), (0, 0))}, False),
        ({"padding": ((0, 1), (0, 0)), "strides": (2, 1)}, False),
        ({"padding": ((1, 0), (0, 0)), "strides": (2, 1), "size": (29, 28)}, False),
        ({"padding": ((0, 2), (0, 0)), "strides": (3, 1), "size": (50, 28)}, True),  # no window reaches it
        ({"padding": ((0, 2), (0, 0)), "strides": (3, 1), "size": (49, 28)}, False),
        ({"dilation": (2, 1)}, False),  # 20 rows of 32 lanes
        ({"dilation": (3, 1)}, True),
    ],
)
def test_rows_that_see_no_padding(options, inside):
    assert lanes(**{"size": (28, 28), "images": 1} | options) == ("rows" if inside else "")


@pytest.mark.parametrize(
    ("case", "options", "fits"),
    [
        ({}, {}, True),
        ({}, {"kernel": 3, "strides": 2}, False),  # they overlap
        ({}, {"kernel": (2, 3), "strides": (2, 2)}, False),
        ({}, {"kernel": 2, "strides": 3}, True),
        ({}, {"padding": ((1, 0), (0, 0))}, False),
        ({}, {"padding": ((0, 0), (0, 1))}, False),
        ({"size": (29, 28)}, {"ceil_mode": True}, False),  # 25 rows: the last window reaches past them
        ({"size": (29, 28)}, {}, True),
        ({}, {"kernel": (24, 2), "strides": (1, 2)}, True),  # one row of windows overlaps with none
        ({}, {"kernel": (2, 24), "strides": (2, 1)}, True),
        ({"made": 8}, {}, True),
        ({"made": 9}, {}, False),
        ({"made": 5, "itemsize": 8}, {}, False),
        ({"made": 4, "itemsize": 8}, {}, True),
        # The rows under a window: 16,384 values
        ({"size": (132, 132), "made": 8}, {"kernel": 16}, True),
        ({"size": (132, 133), "made": 8}, {"kernel": 16}, False),
        ({"size": (132, 132), "made": 8}, {"kernel": (17, 16)}, False),
        ({"size": (28, 665), "given": 5}, {}, False),  # the convolution's own rows do not fit
    ],
)
def test_average_pooling_in_the_lanes(case, options, fits):
    case = {"size": (28, 28), "given": 1, "made": 4, "itemsize": 4} | case
    window = window_of(case["size"], 5)
    pool = pool_of(window, **options)
    assert algorithms.average_pool_fits(window, pool, case["given"], case["made"], case["itemsize"]) == fits
