"""Arguments of the size arithmetic: every form, limit and message. Sizes are in test_geometry_tables.py."""

import dataclasses
import re

import numpy as np
import pytest

from cconv.arguments.numbers import LARGEST, is_int, pair, positive_int
from cconv.geometry.shapes import Window, output_size, resolve_padding, resolve_window

NO_INTS = [True, False, np.True_, 1.0, np.float32(1), "1", None, (1,), 1j]


def refused(error, message, function, *arguments, **options):
    """The call fails with this error and this whole message."""
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        function(*arguments, **options)


def test_the_largest_extent_is_what_an_index_can_hold():
    assert np.iinfo(np.intp).max == LARGEST


def test_ints():
    assert all(map(is_int, (0, -1, 2**100, np.int8(3), np.uint64(3))))
    assert not any(map(is_int, NO_INTS))


def test_positive_ints():
    for value in (1, 2, LARGEST, np.int16(7)):
        assert positive_int("f", "n", value) == value
        assert type(positive_int("f", "n", value)) is int
    for value in NO_INTS:
        refused(TypeError, f"f: n must be a positive int, got {value!r}", positive_int, "f", "n", value)
    for value in (0, -1):
        refused(ValueError, f"f: n must be a positive int, got {value!r}", positive_int, "f", "n", value)
    message = f"f: n must be a positive int below 2**63, got {LARGEST + 1}"
    refused(ValueError, message, positive_int, "f", "n", LARGEST + 1)


def test_pairs():
    assert pair("f", "size", 3) == pair("f", "size", np.int8(3)) == (3, 3)
    assert pair("f", "size", (3, 4)) == pair("f", "size", [np.int64(3), 4]) == (3, 4)
    assert pair("f", "size", (1, LARGEST)) == (1, LARGEST)
    assert [type(side) for side in pair("f", "size", (np.int8(3), np.int8(4)))] == [int, int]
    message = "f: size must be a positive int or a pair of them, got {!r}"
    for value in (3.0, None, True, "", "34", "3", (3, "4"), (3, 4.0), (True, 3), {3, 4}, {3: 3, 4: 4}):
        refused(TypeError, message.format(value), pair, "f", "size", value)
    for value in (0, -3, (), (3,), (3, 4, 5), (0, 3), (3, 0), (LARGEST + 1, 3), (3, LARGEST + 1)):
        # An int is shown as the pair that it means, or as itself.
        with pytest.raises(ValueError, match=r"^f: size must be a positive int or a pair of them, got "):
            pair("f", "size", value)


# --- output sizes ----------------------------------------------------------------------------------


def test_examples_of_dumoulin_and_visin():
    """The figures of "A guide to convolution arithmetic for deep learning", 2.1 to 2.7 and 5.1."""
    assert output_size(4, 3) == 2
    assert output_size(5, 4, padding=2) == 6
    assert output_size(5, 3, padding=1) == 5
    assert output_size(5, 3, padding=2) == 7
    assert output_size(5, 3, stride=2) == 2
    assert output_size(5, 3, stride=2, padding=1) == output_size(6, 3, stride=2, padding=1) == 3
    assert output_size(7, 3, dilation=2) == 3


def test_arguments_of_output_size():
    assert output_size(5, 2, 2, 1, 3, True) == output_size(
        5, 2, stride=2, padding=1, dilation=3, ceil_mode=True
    )
    assert output_size(5, 2, 2) == 2  # rows that do not fit are not seen
    assert output_size(5, 2, 2, ceil_mode=True) == 3
    for name in ("n", "kernel_size", "stride", "dilation"):
        options = {"n": 9, "kernel_size": 3} | {name: 0}
        refused(ValueError, f"output_size: {name} must be a positive int, got 0", output_size, **options)
        options[name] = 1.0
        refused(TypeError, f"output_size: {name} must be a positive int, got 1.0", output_size, **options)
    message = "output_size: padding must be an int, at least 0, got {!r}"
    for value in (-1, LARGEST + 1):
        refused(ValueError, message.format(value), output_size, 9, 3, padding=value)
    for value in (1.0, (1, 1), "same", True):
        refused(TypeError, message.format(value), output_size, 9, 3, padding=value)
    assert output_size(1, 1, padding=LARGEST, stride=LARGEST) == 3


def test_kernels_that_do_not_fit():
    message = (
        "output_size: the kernel must fit into the padded input along n, got a kernel of {} for {} + 1 + 1"
    )
    assert output_size(3, 5, padding=1) == output_size(3, 3, padding=1, dilation=2) == 1
    refused(ValueError, message.format(6, 3), output_size, 3, 6, padding=1)
    refused(ValueError, message.format(7, 4), output_size, 4, 3, padding=1, dilation=3)
    message = "f: the kernel must fit into the padded input along {}, got a kernel of {} for {} + {} + {}"
    padding = ((1, 0), (2, 3))
    refused(
        ValueError, message.format("height", 5, 3, 1, 0), resolve_window, "f", (3, 4), (5, 9), padding=padding
    )
    refused(
        ValueError,
        message.format("width", 10, 4, 2, 3),
        resolve_window,
        "f",
        (4, 4),
        (5, 10),
        padding=padding,
    )


# --- padding ---------------------------------------------------------------------------------------


def padding_of(padding, size=(6, 7), kernel=(2, 3), strides=(1, 1), dilation=(1, 1)):
    return resolve_padding("f", padding, size, kernel, strides, dilation)


def test_every_form_of_padding():
    for valid in ("valid", "VALID", "Valid"):
        assert padding_of(valid) == ((0, 0), (0, 0))
    for same in ("same", "SAME", "Same"):
        assert padding_of(same) == ((0, 1), (1, 1))
    assert padding_of(2) == padding_of(np.int8(2)) == ((2, 2), (2, 2))
    assert padding_of((1, 2)) == padding_of([1, np.int64(2)]) == ((1, 1), (2, 2))
    assert padding_of(((1, 2), (3, 4))) == padding_of([[1, 2], (3, 4)]) == ((1, 2), (3, 4))
    assert padding_of((1, (3, 4))) == ((1, 1), (3, 4))
    assert padding_of(0) == ((0, 0), (0, 0))
    assert padding_of(LARGEST) == ((LARGEST, LARGEST),) * 2
    sides = padding_of(((np.int8(1), np.int8(2)), np.int8(3)))
    assert {type(side) for axis in sides for side in axis} == {int}


def test_padding_that_is_refused():
    message = (
        "f: padding must be 'valid', 'same', an int, (ph, pw) or ((top, bottom), (left, right)), "
        "all at least 0, got {!r}"
    )
    for value in (
        "full",
        "no",
        "",
        "same ",
        (),
        (1,),
        (1, 2, 3),
        ((1, 2), (3,)),
        ((1, 2, 3), (4, 5)),
        ((1, -1), (1, 1)),
    ):
        refused(ValueError, message.format(value), padding_of, value)
    for value in ((-1, 0), (0, -1), (LARGEST + 1, 0), ((0, 0), (0, LARGEST + 1))):
        refused(ValueError, message.format(value), padding_of, value)
    for value in (-1, LARGEST + 1):
        with pytest.raises(ValueError, match=r"^f: padding must be 'valid', 'same', an int"):
            padding_of(value)
    for value in (
        None,
        1.0,
        True,
        {1, 2},
        ("1", "2"),
        (1.0, 2),
        ((1, 2), "34"),
        ((1, 2), (3, 4.0)),
        (True, 1),
    ):
        refused(TypeError, message.format(value), padding_of, value)
    refused(TypeError, message.format((1, {2, 3})), padding_of, (1, {2, 3}))
    refused(TypeError, message.format((1, "")), padding_of, (1, ""))


# --- windows ---------------------------------------------------------------------------------------


def test_what_a_window_has_by_default():
    window = resolve_window("f", (6, 7), (2, 3))
    assert window == Window((6, 7), (2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), (5, 5))
    assert window.arguments == ((2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
    assert resolve_window("f", (6, 7), (2, 3), None).strides == (2, 3)
    assert resolve_window("f", (5, 7), 2, 2).output_size == (2, 3)
    assert resolve_window("f", (5, 7), 2, 2, ceil_mode=True).output_size == (3, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        window.strides = (2, 2)
    assert hash(window) == hash(resolve_window("f", (6, 7), (2, 3)))


def test_steps_that_are_never_taken_are_one():
    window = resolve_window("f", (6, 7), (6, 1), (5, 4), "valid", (1, 9))
    assert (window.output_size, window.strides, window.dilation) == ((1, 2), (1, 4), (1, 1))
    window = resolve_window("f", (6, 7), (1, 7), (5, 4), "valid", (9, 1))
    assert (window.output_size, window.strides, window.dilation) == ((2, 1), (5, 1), (1, 1))
    window = resolve_window("f", (9, 9), 2, (3, 4), "valid", (2, 3))
    assert (window.output_size, window.strides, window.dilation) == ((3, 2), (3, 4), (2, 3))


def test_arguments_of_a_window_are_named():
    message = "f: {} must be a positive int or a pair of them, got (3, 0)"
    refused(ValueError, message.format("kernel_size"), resolve_window, "f", (9, 9), (3, 0))
    refused(ValueError, message.format("pool"), resolve_window, "f", (9, 9), (3, 0), kernel_name="pool")
    refused(ValueError, message.format("strides"), resolve_window, "f", (9, 9), 3, (3, 0))
    refused(ValueError, message.format("dilation"), resolve_window, "f", (9, 9), 3, 1, 0, (3, 0))
    with pytest.raises(ValueError, match=r"^f: padding must be 'valid'"):
        resolve_window("f", (9, 9), 3, padding="full")
