"""Gathered, flipped and sampled images: the same bits as their NumPy twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, many, normal, on_all_threads, seeds

from cconv import reference
from cconv.ops import images
from cconv.ops.run import Run

EDGES = (0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
ROWS = {
    "whole": lambda a: a,
    "reversed": lambda a: a[::-1],
    "every other": lambda a: np.repeat(a, 2, axis=0)[::2],
    "all the same": lambda a: np.broadcast_to(a[:1], a.shape),
}
kinds = st.sampled_from(["?", *images.KINDS])
rescales = st.one_of(
    st.none(), st.tuples(st.floats(-300, 300), st.sampled_from([0.0, -0.0, 0.1, -7.5])), st.just((1e38, 1.0))
)


def numbers(kind, shape, seed):
    """Numbers of that kind from its whole range."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return (rng.standard_normal(shape) * 10.0 ** rng.integers(-9, 9, shape)).astype(dtype)
    return rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0] if kind != "?" else (
        rng.integers(0, 2, shape).astype(bool)
    )  # fmt: skip


def gathered(source, order, dtype, rescale, turn=False):
    memory = images.rows_of(source)
    shape = source.shape[1:]
    channels = shape[0] if turn else 1
    shape = (*shape[1:], shape[0]) if turn else shape
    out = np.empty((len(source) if order is None else len(order), *shape), dtype)
    return images.gather_rows(memory, source.dtype, order, out, rescale, channels)


def assert_same(actual, wanted):
    """The same bits, but that one NaN is as good as another."""
    assert actual.dtype == wanted.dtype
    assert actual.shape == wanted.shape
    numbers = ~np.isnan(wanted)
    assert np.array_equal(np.isnan(actual), ~numbers)
    assert actual[numbers].tobytes() == wanted[numbers].tobytes()


@many
@given(
    n=st.integers(1, 9),
    shape=st.one_of(
        st.tuples(),
        st.tuples(st.integers(1, 1100)),
        st.tuples(st.integers(1, 5), st.integers(1, 30), st.integers(1, 9)),
    ),
    kind=kinds,
    dtype=dtypes,
    layout=st.sampled_from(sorted(ROWS)),
    rescale=rescales,
    ordered=st.booleans(),
    channels_first=st.booleans(),
    seed=seeds,
)
def test_gather_rows(n, shape, kind, dtype, layout, rescale, ordered, channels_first, seed):
    source = ROWS[layout](numbers(kind, (n, *shape), seed))
    order = np.random.default_rng(seed).integers(0, n, 7) if ordered else None
    turn = channels_first and len(shape) == 3
    before = source.copy()
    found = gathered(source, order, dtype, rescale, turn)
    every = np.arange(n) if order is None else order
    assert_same(found, reference.gather_rows(source, every, dtype, rescale, turn))
    assert source.tobytes() == before.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", images.KINDS[:8])
def test_whole_numbers_are_rounded_once(kind, dtype):
    info = np.iinfo(kind)
    values = {v + d for v in EDGES for d in (-1, 0, 1)} | {-v for v in EDGES} | {2**53 + 1, 2**62 + 2**38 + 1}
    source = np.array(sorted(v for v in values if info.min <= v <= info.max), kind)[np.newaxis]
    assert_same(gathered(source, None, dtype, None), source.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_half_is_converted(dtype):
    source = np.arange(2**16, dtype=np.uint16).view(np.float16)[np.newaxis]
    assert_same(gathered(source, None, dtype, None), source.astype(dtype))


@pytest.mark.parametrize(
    "source",
    [
        np.asfortranarray(np.ones((3, 4, 5))),
        np.ones((3, 4, 6))[:, :, ::2],
        np.ones((3, 4), ">f4"),
        np.ones((3, 4), np.longdouble),
        np.frombuffer(bytearray(33), np.uint8)[1:].view(np.float64).reshape(2, 2),
    ],
)
def test_memory_that_is_not_rows_of_native_items(source):
    assert images.rows_of(source) is None


@many
@given(
    n=st.integers(1, 4),
    size=st.tuples(st.integers(1, 8), st.integers(1, 70)),
    channels=st.sampled_from([1, 2, 3, 5]),
    dtype=dtypes,
    seed=seeds,
)
def test_flip(n, size, channels, dtype, seed):
    (x,) = normal(seed, dtype, (n, *size, channels))
    flips = np.random.default_rng(seed).integers(0, 2, (n, 2)).astype(np.uint8)
    found = on_all_threads(lambda: images.flip(x, flips, "y", Run()))
    assert_same(found, reference.flip(x, flips))


@st.composite
def samplings(draw):
    """Images, places in and around them, and how they are sampled."""
    n, channels = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 5]))
    height, width = (
        draw(st.integers(1, 8)),
        draw(st.one_of(st.integers(1, 8), st.sampled_from([64, 65, 130]))),
    )
    rng = np.random.default_rng(draw(seeds))
    at = rng.uniform(-1, 1, (n, 2, width + height)) * draw(st.sampled_from([0.7, 3.0, 20.0, 1e12]))
    if draw(st.booleans()):
        at = np.round(at)
    x = rng.standard_normal((n, height, width, channels)).astype(draw(dtypes))
    how = images.Sampling(
        (draw(st.floats(-3, 9)), draw(st.floats(-3, 9))),
        draw(st.sampled_from(images.FILLS)),
        draw(st.sampled_from(images.INTERPOLATIONS)),
        draw(st.sampled_from([0.0, -2.5])),
    )
    return x, at, how


@many
@given(case=samplings())
def test_sample(case):
    x, at, how = case
    assert_same(on_all_threads(lambda: images.sample(x, at, how, Run())), reference.sample(x, at, *how))


@many
@given(case=samplings())
def test_sample_backward(case):
    dy, at, how = case
    found = on_all_threads(lambda: images.sample_backward(dy, at, how, Run()))
    assert_same(found, reference.sample_backward(dy, at, *how[:3]))


@many
@given(case=samplings(), seed=seeds)
def test_sample_backward_is_the_transpose(case, seed):
    x, at, how = case
    x, how = x.astype(np.float64), how._replace(fill_value=0.0)
    (dy,) = normal(seed, np.float64, x.shape)
    y = images.sample(x, at, how, Run())
    dx = images.sample_backward(dy, at, how, Run())
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, dx), rel=1e-9, abs=1e-9)


@many
@given(case=samplings(), size=st.tuples(st.integers(1, 9), st.sampled_from([1, 5, 63, 64, 66])), seed=seeds)
def test_sample_of_another_size(case, size, seed):
    x, at, how = case
    at = np.random.default_rng(seed).uniform(-1, 1, (len(x), 2, sum(size))) * 6
    (dy,) = normal(seed, x.dtype, (len(x), *size, x.shape[-1]))
    found = on_all_threads(lambda: images.sample(x, at, how, Run(), size))
    assert_same(found, reference.sample(x, at, *how, size))
    back = on_all_threads(lambda: images.sample_backward(dy, at, how, Run(), x.shape[1:3]))
    assert_same(back, reference.sample_backward(dy, at, *how[:3], x.shape[1:3]))


pictures = st.tuples(
    st.integers(1, 4),
    st.tuples(st.integers(1, 40), st.integers(1, 70)),
    st.sampled_from([1, 2, 3, 5, 16, 17, 35]),
    dtypes,
    seeds,
)
ranges = st.sampled_from([(-0.5, 0.75), (-1e9, 1e9), (0.0, 255.0)])


def drawn(case):
    """Images, some of whose values are NaN or infinite, and a source of draws."""
    n, size, channels, dtype, seed = case
    (x,) = normal(seed, dtype, (n, *size, channels))
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        x.flat[rng.integers(0, x.size, 3)] = [np.nan, np.inf, -np.inf]
    return x, rng


@many
@given(case=pictures, limits=ranges)
def test_brighten(case, limits):
    x, rng = drawn(case)
    delta = rng.uniform(-1, 1, len(x))
    y = on_all_threads(lambda: images.brighten(x, delta, limits, Run()))
    assert_same(y, reference.brighten(x, delta, *limits))
    dy = rng.standard_normal(x.shape).astype(x.dtype)
    dx = on_all_threads(lambda: images.brighten_backward(dy, y, limits, Run()))
    assert_same(dx, reference.brighten_backward(dy, y, *limits))


@many
@given(case=pictures, limits=ranges)
def test_contrast(case, limits):
    x, rng = drawn(case)
    factor = rng.uniform(0, 2, len(x))
    y = on_all_threads(lambda: images.contrast(x, factor, limits, "y", Run()))
    assert_same(y, reference.contrast(x, factor, *limits))


@pytest.mark.parametrize("size", [(64, 64), (300, 257), (363, 362)])  # several chains, and chains of chains
def test_contrast_of_large_images(size):
    x = np.random.default_rng(0).uniform(0, 255, (1, *size, 1)).astype(np.float32)
    factor = np.array([0.3])
    y = images.contrast(x, factor, (0.0, 255.0), "y", Run())
    assert_same(y, reference.contrast(x, factor, 0.0, 255.0))
    mean = x.mean(dtype=np.float64)
    np.testing.assert_allclose(y, (x - mean) * 0.3 + mean, atol=1e-4)


@many
@given(case=pictures)
def test_mix(case):
    x, rng = drawn(case)
    partner, weight = rng.integers(0, len(x), len(x)), rng.uniform(0, 1, len(x))
    found = on_all_threads(lambda: images.mix(x, partner, weight, Run()))
    with np.errstate(invalid="ignore"):
        assert_same(found, reference.mix(x, partner, weight))


@many
@given(case=pictures)
def test_paste(case):
    x, rng = drawn(case)
    source = rng.standard_normal((2, *x.shape[1:])).astype(x.dtype)
    partner = rng.integers(0, 2, len(x))
    box = np.stack(
        [*np.sort(rng.integers(0, x.shape[1] + 1, (2, len(x))), 0),
         *np.sort(rng.integers(0, x.shape[2] + 1, (2, len(x))), 0)], axis=1,
    )  # fmt: skip
    found = on_all_threads(lambda: images.paste(x, source, partner, box, "y", Run()))
    assert_same(found, reference.paste(x, source, partner, box))


@many
@given(case=pictures)
def test_crop(case):
    x, rng = drawn(case)
    size = int(rng.integers(1, x.shape[1] + 1)), int(rng.integers(1, x.shape[2] + 1))
    corner = rng.integers(0, [x.shape[1] - size[0] + 1, x.shape[2] - size[1] + 1], (len(x), 2))
    found = on_all_threads(lambda: images.crop(x, corner, size, Run()))
    assert_same(found, reference.crop(x, corner, size))
    dx = on_all_threads(lambda: images.crop_backward(found, corner, x.shape[1:3], Run()))
    assert_same(dx, reference.crop_backward(found, corner, x.shape[1:3]))
