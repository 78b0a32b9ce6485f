"""The transposed convolution against its twin, and as the gradient of a convolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    TOLERANCE,
    WIDER,
    data_formats,
    dtypes,
    images_shape,
    many,
    normal,
    on_all_threads,
    seeds,
    widths,
)

from cconv import functional as F
from cconv import reference
from cconv.geometry.algorithms import Convolution, input_gradient_algorithm
from cconv.geometry.shapes import resolve_transposed
from cconv.ops import transposed
from cconv.ops.run import Run


@st.composite
def spread(draw):
    """Arguments of a transposed convolution that leave an output."""
    kernel_size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    pad = st.integers(0, 2)
    padding = draw(
        st.one_of(
            st.sampled_from(["valid", "same"]), pad, st.tuples(st.tuples(pad, pad), st.tuples(pad, pad))
        )
    )
    more = draw(st.one_of(st.none(), st.tuples(*[st.integers(0, stride - 1) for stride in strides])))
    size = draw(st.tuples(st.integers(5, 10), st.integers(5, 10)))
    options = {"strides": strides, "padding": padding, "output_padding": more, "dilation": dilation}
    return size, kernel_size, options


def close(found, wanted, scale, dtype):
    assert found.shape == wanted.shape
    assert found.dtype == dtype
    assert (np.abs(found - wanted) <= TOLERANCE[np.dtype(dtype)] * scale + np.finfo(dtype).tiny).all()


@many
@given(
    arguments=spread(),
    n=st.integers(1, 3),
    channels=widths,
    filters=widths,
    groups=st.sampled_from([1, 1, 1, 2, 3]),
    dtype=dtypes,
    data_format=data_formats,
    activation=st.sampled_from([None, "relu"]),
    seed=seeds,
)
def test_against_the_twin(arguments, n, channels, filters, groups, dtype, data_format, activation, seed):
    size, kernel_size, options = arguments
    options = options | {"groups": groups, "data_format": data_format}
    shapes = (
        images_shape(n, size, channels * groups, data_format),
        (*kernel_size, filters, channels * groups),
        (filters * groups,),
    )
    x, kernel, bias = normal(seed, dtype, *shapes)
    wider = WIDER[np.dtype(dtype)]
    given = [array.astype(wider) for array in (x, kernel, bias)]
    y = on_all_threads(lambda: F.conv2d_transpose(x, kernel, bias, activation=activation, **options))
    scale = reference.conv2d_transpose(*map(np.abs, given), **options)
    close(y, reference.conv2d_transpose(*given, activation=activation, **options), scale, dtype)
    (dy,) = normal(seed + 1, dtype, y.shape)
    results = on_all_threads(lambda: F.conv2d_transpose_backward(dy, x, kernel, **options))
    back = dy.astype(wider), *given[:2]
    wanted = reference.conv2d_transpose_backward(*back, **options)
    scales = reference.conv2d_transpose_backward(*map(np.abs, back), **options)
    for found, one, rough in zip(results, wanted, scales, strict=True):
        close(found, one, rough, dtype)


@many
@given(arguments=spread(), channels=st.integers(1, 5), filters=st.integers(1, 5), seed=seeds)
def test_it_is_the_transpose_of_the_convolution(arguments, channels, filters, seed):
    """The sums of y * transposed(x) and convolved(y) * x are the same, for the padding that was cut off."""
    size, kernel_size, options = arguments
    shapes = (1, *size, channels), (*kernel_size, filters, channels)
    x, kernel = normal(seed, np.float64, *shapes)
    spread_x = F.conv2d_transpose(x, kernel, **options)
    (y,) = normal(seed + 1, np.float64, spread_x.shape)
    dx, _, _ = F.conv2d_transpose_backward(y, x, kernel, **options)
    assert np.isclose((y * spread_x).sum(), (dx * x).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("kernel_size", "strides", "channels", "filters", "chosen"),
    [
        ((1, 1), 1, 5, 7, "pointwise"),
        ((3, 3), 1, 32, 32, "winograd"),
        ((3, 3), 1, 40, 2, "lanes"),
        ((3, 3), 1, 6, 1, "depthwise"),
        ((3, 3), 2, 7, 6, "direct"),
    ],
)
@pytest.mark.parametrize("relu", [False, True])
def test_every_algorithm_has_its_bias(kernel_size, strides, channels, filters, chosen, relu):
    groups = channels if chosen == "depthwise" else 1
    window = resolve_transposed("test", (9, 8), kernel_size, (strides,) * 2, "same", None, (1, 1))
    shapes = (16, 9, 8, channels), (*kernel_size, filters, channels), (filters * groups,)
    x, kernel, bias = normal(1, np.float32, *shapes)
    what = Convolution(window, groups, filters * groups, channels, 4)
    assert input_gradient_algorithm(what, len(x)) == chosen
    for beta in (bias, None):
        y = on_all_threads(
            lambda beta=beta: transposed.conv2d_transpose(x, kernel, beta, window, groups, relu, Run())
        )
        options = {"strides": strides, "padding": "same", "groups": groups}
        wide = [None if a is None else a.astype(np.float64) for a in (x, kernel, beta)]
        wanted = reference.conv2d_transpose(*wide, activation="relu" if relu else None, **options)
        assert np.abs(y - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_pixels_between_long_strides_are_the_bias():
    x, kernel = np.ones((1, 2, 2, 1)), np.full((1, 1, 2, 1), 3.0)
    y = F.conv2d_transpose(x, kernel, np.array([-1.0, np.nan]), strides=2, activation="relu")
    assert y[0, :, :, 0].tolist() == [[2, 0, 2, 0], [0] * 4, [2, 0, 2, 0], [0] * 4]
    assert np.isnan(y[..., 1]).all()


@many
@given(
    m=st.integers(1, 70),
    c=widths,
    dtype=dtypes,
    relu=st.booleans(),
    biased=st.booleans(),
    seed=seeds,
)
def test_bias(m, c, dtype, relu, biased, seed):
    y, bias = normal(seed, dtype, (m, c), (c,))
    y[0, 0] = np.nan
    beta = bias if biased else None

    def added():
        found = y.copy()
        transposed.add_bias(found, beta, relu, Run())
        return found

    found, wanted = on_all_threads(added), reference.add_bias(y, beta, relu)
    assert np.array_equal(found, wanted, equal_nan=True)


def test_inputs_are_not_written_to():
    arrays = normal(2, np.float32, (2, 5, 5, 4), (3, 3, 6, 4), (6,))
    y = F.conv2d_transpose(*arrays, strides=2)
    # C does not ask whether an array may be written to: what counts is what it holds.
    before = [array.copy() for array in (*arrays, y)]
    for array in (*arrays, y):
        array.setflags(write=False)
    assert np.array_equal(F.conv2d_transpose(*arrays, strides=2), y)
    F.conv2d_transpose_backward(y, *arrays[:2], strides=2)
    for array, was in zip((*arrays, y), before, strict=True):
        assert np.array_equal(array, was)
    assert all(map(np.array_equal, arrays, normal(2, np.float32, (2, 5, 5, 4), (3, 3, 6, 4), (6,))))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output_padding": 2, "strides": 2}, "output_padding must be None, an int or a pair"),
        ({"output_padding": (0, 1, 0)}, "output_padding must be None, an int or a pair"),
        ({"padding": 9}, "padding must leave an output along height, got 9 for 7 pixels"),
        ({"padding": "full"}, "padding must be 'valid', 'same'"),
        ({"strides": 0}, "strides must be a positive int or a pair of them, got 0"),
        ({"groups": 3}, "groups must divide the 4 channels of x, got 3"),
        ({"data_format": "channels_first"}, "x must have kernel.shape"),
    ],
)
def test_what_is_refused(options, words):
    x, kernel = np.ones((1, 5, 6, 4)), np.ones((3, 3, 2, 4))
    for function, arrays in (
        (F.conv2d_transpose, (x, kernel)),
        (F.conv2d_transpose_backward, (np.ones((1, 7, 8, 2)), x, kernel)),
    ):
        with pytest.raises(ValueError, match=f"^{function.__name__}: {words}"):
            function(*arrays, **options)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_no_samples(data_format):
    shape, kernel = images_shape(0, (2, 3), 4, data_format), np.ones((3, 3, 2, 4))
    options = {"strides": 2, "groups": 2, "data_format": data_format}
    y = F.conv2d_transpose(np.empty(shape), kernel, np.ones(4), **options)
    assert y.shape == images_shape(0, (5, 7), 4, data_format)
    dx, dkernel, dbias = F.conv2d_transpose_backward(y, np.empty(shape), kernel, **options)
    assert dx.shape == shape
    assert not dkernel.any()
    assert dbias.tolist() == [0, 0, 0, 0]


def test_wrong_types_are_refused():
    with pytest.raises(TypeError, match="output_padding must be None"):
        F.conv2d_transpose(np.ones((1, 5, 6, 4)), np.ones((3, 3, 2, 4)), output_padding=0.5)
