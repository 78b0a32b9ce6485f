"""Compiled operations of layers of several inputs against their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    assert_gradient,
    assert_near,
    dtypes,
    many,
    normal,
    on_all_threads,
    same_bits,
    seeds,
    widened,
    widths,
)

from cconv import ops, reference
from cconv.kernels import merging as kernels
from cconv.ops import merging

PAIRS = ("add", "add_relu", "subtract", "multiply", "divide", "maximum", "minimum", "larger_share")
SINGLES = {"negative": (), "divide_by": (3.0,)}
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.0])
LARGE = 16 << 20  # bytes: outputs from here on are stored past the caches
lengths = st.one_of(widths, st.integers(60, 300))


def numbers(seed, dtype, special, *shapes):
    """Normal numbers; with `special` many of them NaN, infinite, zero, or equal to their neighbours."""
    arrays = normal(seed, dtype, *shapes)
    if special:
        rng = np.random.default_rng(seed + 1)
        for array in arrays:
            array[...] = np.where(rng.random(array.shape) < 0.6, rng.choice(SPECIAL, array.shape), array)
    return arrays


@given(st.sampled_from(PAIRS), lengths, dtypes, st.booleans(), seeds)
@many
def test_pairs(name, n, dtype, special, seed):
    a, b = numbers(seed, dtype, special, (n,), (n,))
    y = on_all_threads(lambda: getattr(merging, name)(a, b))
    with np.errstate(all="ignore"):
        wanted = getattr(reference, name)(a, b)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, wanted)
    for out in (a.copy(), b.copy()):  # over one of its inputs
        given_ = (out, b) if np.array_equal(out, a, equal_nan=True) else (a, out)
        assert getattr(merging, name)(*given_, out) is out
        assert out.tobytes() == y.tobytes()


@given(st.sampled_from(sorted(SINGLES)), lengths, dtypes, st.booleans(), seeds)
@many
def test_singles(name, n, dtype, special, seed):
    (x,) = numbers(seed, dtype, special, (n,))
    options = SINGLES[name]
    y = on_all_threads(lambda: getattr(merging, name)(x, *options))
    np.testing.assert_array_equal(y, getattr(reference, name)(x, *options))
    np.testing.assert_array_equal(np.signbit(y[x == 0]), name == "negative")
    getattr(merging, name)(x, *options, x)
    assert x.tobytes() == y.tobytes()


@given(
    st.integers(1, 4), st.one_of(st.integers(1, 9), st.sampled_from([63, 64, 65, 200])), widths, dtypes, seeds
)
@many
def test_channels_scaled(n, p, c, dtype, seed):
    x, scale, dy = normal(seed, dtype, (n, p, c), (n, c), (n, p, c))
    y = on_all_threads(lambda: merging.scale_channels(x, scale))
    np.testing.assert_array_equal(y, reference.scale_channels(x, scale))
    sums = on_all_threads(lambda: merging.product_sums(dy, x))
    wide, magnitudes = widened(dtype, dy, x)
    assert_near(sums, reference.product_sums(*wide), reference.product_sums(*magnitudes), dtype)
    assert merging.scale_channels(x, scale, x) is x
    assert x.tobytes() == y.tobytes()


def test_the_sum_of_products_is_the_gradient_of_the_scale():
    x, scale, dy = normal(1, float, (2, 7, 3), (2, 3), (2, 7, 3))
    assert_gradient(merging.product_sums(dy, x), lambda v: np.sum(dy * reference.scale_channels(x, v)), scale)


def test_long_sums_keep_their_digits():
    """100,000 products of one sign: a chain in float32 would lose three digits."""
    x = np.random.default_rng(0).random((1, 100_000, 5)).astype("float32") + 0.5
    for channels in (1, 5):
        part = np.ascontiguousarray(x[:, :, :channels])
        found = merging.product_sums(part, part)
        np.testing.assert_allclose(found, reference.product_sums(*[part.astype(float)] * 2), rtol=3e-7)


@given(st.integers(1, 70), widths, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), dtypes, seeds)
@many
def test_columns_copied(m, columns, first, to, more, dtype, seed):
    x, y = normal(seed, dtype, (m, first + columns + more), (m, to + columns + 5 - more))
    before = x.copy()

    def copied():
        out = y.copy()
        merging.copy_columns(x, first, out, to, columns)
        return out

    found = on_all_threads(copied)
    reference.copy_columns(x, first, y, to, columns)
    assert found.tobytes() == y.tobytes()
    assert x.tobytes() == before.tobytes()


def test_copies_keep_the_bits_of_nan():
    bits = np.array([0x7FC12345, 0x7F812345, 0xFFC00001, 0x80000000], np.uint32)
    x, y = np.tile(bits, 9)[np.newaxis].view(np.float32), np.zeros((1, 40), np.float32)
    merging.copy_columns(x, 1, y, 2, 35)
    assert y[:, 2:37].tobytes() == x[:, 1:].tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_outputs_are_those_of_small_ones(dtype):
    size = LARGE // np.dtype(dtype).itemsize + 77
    a, b = np.resize(normal(3, dtype, (1009,))[0], size), np.resize(normal(4, dtype, (1013,))[0], size)
    for name in (*PAIRS, *SINGLES):
        kernel, options = getattr(kernels, name), SINGLES.get(name, ())
        given_ = (a,) if name in SINGLES else (a, b)
        wanted, y = np.empty_like(a), np.empty_like(a)
        for start in range(0, size, size // 4):
            part = slice(start, start + size // 4)
            kernel(*(array[part] for array in given_), wanted[part], *options, 1)
        for threads in (1, 3):
            y[...] = np.nan
            kernel(*given_, y, *options, threads)
            assert same_bits(y, wanted), (name, threads)
        y[...] = a
        kernel(y, *given_[1:], y, *options, 2)
        assert same_bits(y, wanted), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [1, 3, 64, 2_000])
def test_large_images_are_scaled_as_small_ones(c, dtype):
    p = LARGE // np.dtype(dtype).itemsize // 2 // c + 1
    x, scale = np.resize(normal(3, dtype, (1009,))[0], (2, p, c)), normal(4, dtype, (2, c))[0]
    wanted = reference.scale_channels(x, scale)
    for threads in (1, 3):
        y = np.full_like(x, np.nan)
        kernels.scale_channels(x, scale, y, threads)
        assert same_bits(y, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("columns", "more"), [(3, 0), (64, 5), (1_000, 24), (20_001, 3), (3_000_000, 1)])
def test_large_copies_are_those_of_small_ones(columns, more, dtype):
    m = LARGE // np.dtype(dtype).itemsize // columns + 1
    x = np.resize(normal(3, dtype, (1009,))[0], (m, columns + more))
    wanted = np.zeros((m, columns + 7), dtype)
    reference.copy_columns(x, more, wanted, 2, columns)
    for threads in (1, 3):
        y = np.zeros_like(wanted)
        kernels.copy_columns(x, more, y, 2, columns, threads)
        assert same_bits(y, wanted)


def test_arrays_of_several_axes_and_their_own_memory():
    a, b = normal(5, np.float32, (2, 3, 4), (2, 3, 4))
    y = merging.add(a, b)
    assert y.shape == a.shape
    assert not np.may_share_memory(y, a)
    assert merging.add_relu(a, b, y) is y
    assert y.tobytes() == ops.relu(merging.add(a, b)).tobytes()
