"""Depthwise convolutions with the 1x1 convolutions around them: the bits of separate passes, their twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_near, dtypes, many, on_all_threads, seeds, widened

from cconv import ops, reference
from cconv.geometry.shapes import resolve_window
from cconv.ops.bands import Part, forward
from cconv.ops.behind import CODES, NOTHING, Behind
from cconv.ops.run import Run

NUMBERS = {"clipped_relu": 0.6, "leaky_relu": 0.3}
side = st.integers(0, 5)
paddings = st.one_of(
    st.sampled_from(["valid", "same"]), st.tuples(st.tuples(side, side), st.tuples(side, side))
)
channels = st.sampled_from([1, 2, 7, 16, 31, 33, 64, 130, 200])


@st.composite
def cases(draw):
    """The shapes of a sweep: images, window, channels; whether there are convolutions in front and behind."""
    taps, dilation = draw(st.tuples(st.integers(1, 5), st.integers(1, 5))), draw(st.integers(1, 2))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    size = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    padding = draw(paddings)
    try:
        window = resolve_window("test", size, taps, strides, padding, (dilation, dilation))
    except ValueError:  # the kernel is larger than the image
        window = resolve_window("test", size, taps, strides, "same", (dilation, dilation))
    around = draw(st.sampled_from([(True, True), (True, False), (False, True), (False, False)]))
    return draw(st.integers(1, 4)), window, (draw(channels), draw(channels), draw(channels)), around


def behind(draw, added=None):
    name = draw(st.sampled_from(CODES))
    return Behind(name, NUMBERS.get(name, 0.0), added)


class Numbers:
    """Random arrays of a dtype."""

    def __init__(self, dtype, seed):
        self.dtype, self.rng = dtype, np.random.default_rng(seed)

    def __call__(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def maybe(self, *shape):
        return self(*shape) if self.rng.random() < 0.5 else None


def parts_of(case, data, numbers):
    """x and the three parts of a case; what is added behind the last one too."""
    n, window, (inputs, inner, outputs), (expands, projects) = case
    x = numbers(n, *window.input_size, inputs if expands else inner)
    expand = Part(numbers(1, 1, inputs, inner), numbers.maybe(inner), numbers.maybe(inner), behind(data.draw))
    kernel = numbers(*window.kernel_size, 1, inner)
    middle = Part(kernel, None, numbers.maybe(inner), behind(data.draw))
    added = numbers.maybe(n, *window.output_size, outputs)
    last = behind(data.draw, added)
    project = Part(numbers(1, 1, inner, outputs), numbers.maybe(outputs), numbers.maybe(outputs), last)
    return x, expand if expands else None, middle, project if projects else None


def one_by_one(x, parts, window):
    """The same by three passes."""
    pixels = [resolve_window("test", size, (1, 1)) for size in (window.input_size, window.output_size)]
    for part, geometry in zip(parts, (pixels[0], window, pixels[1]), strict=True):
        if part is not None:
            relu = part.last.activation == "relu" and part.last.added is None
            groups = part.kernel.shape[3] if part.kernel.shape[2] == 1 and geometry is window else 1
            how = geometry, groups, relu, Run(), "auto", part.scale
            x = ops.conv2d(x, part.kernel, part.bias, *how, last=NOTHING if relu else part.last)
    return x


@given(cases(), dtypes, seeds, st.data())
@many
def test_the_bits_of_separate_passes(case, dtype, seed, data):
    x, *parts = parts_of(case, data, Numbers(dtype, seed))
    copies = [array.copy() for part in parts if part for array in part[:3] if array is not None]
    y = on_all_threads(lambda: forward(x, *parts, case[1], Run()))
    wanted = one_by_one(x, parts, case[1])
    assert (y.dtype, y.shape) == (wanted.dtype, wanted.shape)
    assert y.tobytes() == wanted.tobytes()
    given_now = [array for part in parts if part for array in part[:3] if array is not None]
    assert all(map(np.array_equal, copies, given_now))


@given(cases(), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 4), dtypes, seeds)
@many
def test_the_twin(case, strides, rows, dtype, seed):
    n, window, (inputs, inner, outputs), (expands, projects) = case
    window = resolve_window("test", window.input_size, window.kernel_size, strides, "same", (1, 1))
    numbers = Numbers(dtype, seed)
    x = numbers(n, *window.input_size, inputs if expands else inner)
    arrays = (
        numbers(1, 1, inputs, inner) if expands else None,
        numbers(*window.kernel_size, 1, inner),
        numbers(1, 1, inner, outputs) if projects else None,
    )
    lasts = Behind("relu"), Behind("relu"), NOTHING
    parts = [
        None if array is None else Part(array, None, None, last)
        for array, last in zip(arrays, lasts, strict=True)
    ]
    y = forward(x, *parts, window, Run())
    wide, rough = widened(dtype, x, *arrays)
    options = {"strides": strides, "padding": "same", "rows": rows}
    wanted = reference.mobile_block(*wide, **options)
    assert_near(y, wanted, reference.mobile_block(*rough, **options), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("strides", "padding"), [((1, 1), "same"), ((2, 2), ((0, 1), (0, 1)))])
def test_several_bands_of_an_image(dtype, strides, padding):
    """Rows between that take more than a cache, so that a task makes them in several rounds."""
    window = resolve_window("test", (57, 60), (3, 3), strides, padding)
    numbers = Numbers(dtype, 5)
    x, added = numbers(2, 57, 60, 24), numbers(2, *window.output_size, 40)
    parts = (
        Part(numbers(1, 1, 24, 144), numbers(144), numbers(144), Behind("clipped_relu", 6.0)),
        Part(numbers(3, 3, 1, 144), None, numbers(144), Behind("silu")),
        Part(numbers(1, 1, 144, 40), numbers(40), None, Behind("relu", 0.0, added)),
    )
    y = on_all_threads(lambda: forward(x, *parts, window, Run()))
    assert y.tobytes() == one_by_one(x, parts, window).tobytes()


def test_long_sums_are_cut_as_in_a_dense_layer():
    numbers = Numbers(np.float32, 6)
    window = resolve_window("test", (9, 9), (3, 3), (1, 1), "same")
    x = numbers(1, 9, 9, 500)
    parts = (
        Part(numbers(1, 1, 500, 450), None, None),
        Part(numbers(3, 3, 1, 450), None, None),
        Part(numbers(1, 1, 450, 70), numbers(70), numbers(70)),
    )
    assert forward(x, *parts, window, Run()).tobytes() == one_by_one(x, parts, window).tobytes()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_where_it_goes_in_separate_passes(odd):
    numbers = Numbers(np.float32, 7)
    window = resolve_window("test", (8, 8), (3, 3), (1, 1), "same")
    x = numbers(1, 8, 8, 4)
    x[0, 3, 3, 1] = odd
    parts = (
        Part(numbers(1, 1, 4, 12), None, None, Behind("relu")),
        Part(numbers(3, 3, 1, 12), None, None, Behind("relu")),
        Part(numbers(1, 1, 12, 5), None, None),
    )
    y = forward(x, *parts, window, Run())
    assert y.tobytes() == one_by_one(x, parts, window).tobytes()
    assert np.isfinite(y[0, 0, 0]).all()
