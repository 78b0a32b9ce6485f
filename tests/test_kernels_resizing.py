"""Images of another size against their twins, and against what is known of them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import data_formats, dtypes, images_shape, many, normal, on_all_threads, seeds, widths

from cconv import functional as F
from cconv import reference
from cconv.geometry.sampling import resized_axis

sizes = st.one_of(st.integers(1, 9), st.sampled_from([16, 23, 40]))
ways = st.sampled_from(["bilinear", "nearest"])
CLOSE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-15}


@many
@given(
    n=st.integers(1, 3),
    size=st.tuples(sizes, sizes),
    outputs=st.tuples(sizes, sizes),
    channels=widths,
    interpolation=ways,
    dtype=dtypes,
    data_format=data_formats,
    seed=seeds,
)
def test_against_the_twin(n, size, outputs, channels, interpolation, dtype, data_format, seed):
    options = {"interpolation": interpolation, "data_format": data_format}
    shapes = [images_shape(n, s, channels, data_format) for s in (size, outputs)]
    x, dy = normal(seed, dtype, *shapes)
    wide = x.astype(np.float64), dy.astype(np.float64)
    close = CLOSE[np.dtype(dtype)]
    y = on_all_threads(lambda: F.resize(x, outputs, **options))
    assert y.dtype == dtype
    scale = reference.resize(np.abs(wide[0]), outputs, **options)
    assert (np.abs(y - reference.resize(wide[0], outputs, **options)) <= 4 * close * scale).all()
    if interpolation == "nearest":
        assert np.array_equal(y, reference.resize(x, outputs, **options))
    dx = on_all_threads(lambda: F.resize_backward(dy, x.shape, **options))
    assert dx.dtype == dtype
    scale = reference.resize_backward(np.abs(wide[1]), x.shape, **options)
    wanted = reference.resize_backward(wide[1], x.shape, **options)
    assert (np.abs(dx - wanted) <= 8 * close * scale).all()


@many
@given(size=st.integers(1, 60), outputs=st.integers(1, 60), interpolation=ways, data=st.data())
def test_the_table_of_an_axis(size, outputs, interpolation, data):
    """Places are those of exact fractions, and `reach` names all outputs that take of a pixel."""
    first = data.draw(st.integers(0, size - 1))
    extent = data.draw(st.integers(1, size - first))
    axis = resized_axis(size, outputs, interpolation, (first, extent))
    takes = [set() for _ in range(size)]
    for output in range(outputs):
        centre = Fraction(2 * output + 1, 2 * outputs) * extent
        if interpolation == "nearest":
            at, share = centre.__floor__(), Fraction(0)
        else:
            place = min(max(centre - Fraction(1, 2), Fraction(0)), Fraction(extent - 1))
            at, share = place.__floor__(), place - place.__floor__()
        assert axis.at[output] == first + at
        assert axis.share[output] == float(share)
        takes[first + at].add(output)
        if share:
            takes[first + at + 1].add(output)
    for (begin, end), outs in zip(axis.reach, takes, strict=True):
        assert set(range(begin, end)) == outs


@many
@given(size=st.tuples(sizes, sizes), factor=st.tuples(*[st.integers(1, 5)] * 2), dtype=dtypes, seed=seeds)
def test_nearest_by_whole_factors_repeats(size, factor, dtype, seed):
    (x,) = normal(seed, dtype, (2, *size, 3))
    outputs = size[0] * factor[0], size[1] * factor[1]
    y = F.resize(x, outputs, interpolation="nearest")
    assert y.tobytes() == x.repeat(factor[0], axis=1).repeat(factor[1], axis=2).tobytes()


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_the_gradient_by_differences(interpolation):
    (x,) = normal(3, np.float64, (1, 4, 5, 2))
    (dy,) = normal(4, np.float64, (1, 7, 3, 2))
    dx = F.resize_backward(dy, x.shape, interpolation=interpolation)
    for index in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][index] += 1e-5
        moved[1][index] -= 1e-5
        above, below = ((F.resize(m, (7, 3), interpolation=interpolation) * dy).sum() for m in moved)
        assert abs((above - below) / 2e-5 - dx[index]) < 1e-8


def test_long_sums_are_in_double():
    """Two thousand outputs of one pixel."""
    dy = np.full((1, 2000, 1, 1), 0.1, np.float32)
    dx = F.resize_backward(dy, (1, 1, 1, 1), interpolation="nearest")
    assert dx.item() == np.float32(2000 * np.float64(np.float32(0.1)))


def test_only_what_is_looked_at_counts():
    """What is not finite stays where it is; an output that takes nothing of it does not see it."""
    x = np.array([np.nan, 1.0, np.inf, 2.0]).reshape(1, 1, 4, 1)
    assert F.resize(x, (1, 2), interpolation="nearest").ravel().tolist() == [1.0, 2.0]
    assert F.resize(x, (1, 4)).tobytes() == x.tobytes()
    y = F.resize(x, (1, 8)).ravel()
    assert np.isnan(y[:3]).all()
    assert np.isinf(y[4])
    assert y[7] == 2.0


def test_views_and_other_numbers():
    x = np.arange(60, dtype=np.int16).reshape(1, 6, 10, 1)[:, ::2, ::-1]
    y = F.resize(x, 3)
    assert y.dtype == np.float32
    assert np.array_equal(y, F.resize(np.ascontiguousarray(x).astype(np.float32), 3))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"size": (3, 0)}, ValueError, "size must be a positive int or a pair of them, got (3, 0)"),
        ({"size": 2.0}, TypeError, "size must be a positive int or a pair of them, got 2.0"),
        (
            {"interpolation": "bicubic"},
            ValueError,
            "interpolation must be one of 'bilinear', 'nearest', got 'bicubic'",
        ),
        ({"data_format": "NHWC"}, ValueError, "data_format must be one of"),
        ({"x": np.ones((2, 3))}, ValueError, "x must have 4 axes"),
        ({"size": (5, 2**25)}, ValueError, "the output must have at most 16777216 pixels along an axis"),
    ],
)
def test_what_resize_refuses(changes, error, words):
    with pytest.raises(error) as caught:
        F.resize(**{"x": np.ones((1, 2, 3, 4)), "size": 3} | changes)
    assert str(caught.value).startswith("resize: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_no_samples(data_format):
    shape = images_shape(0, (2, 3), 4, data_format)
    y = F.resize(np.empty(shape, np.float32), (5, 6), data_format=data_format)
    assert (y.shape, y.dtype) == (images_shape(0, (5, 6), 4, data_format), np.float32)
    assert F.resize_backward(y, shape, data_format=data_format).shape == shape


def test_what_the_gradient_refuses():
    with pytest.raises(ValueError, match=r"resize_backward: dy must have "):
        F.resize_backward(np.ones((1, 2, 3, 4)), (1, 2, 3, 5))
    with pytest.raises(ValueError, match=r"resize_backward: interpolation must be one of"):
        F.resize_backward(np.ones((1, 2, 3, 4)), (1, 2, 3, 4), interpolation="area")
