"""Batches: what is gathered, converted and viewed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cconv.inputs.batches import Batches
from cconv.inputs.columns import Column
from cconv.inputs.orders import split_tail

LAYOUTS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "every other": lambda a: np.repeat(a, 2, axis=0)[::2],
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
}


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 30),
    rows=st.integers(1, 40),
    source=st.sampled_from(["u1", "i2", "i8", "f2", "f4", "f8", "?"]),
    target=st.sampled_from(["f4", "f8"]),
    layout=st.sampled_from(sorted(LAYOUTS)),
    channels=st.integers(1, 3),
    channels_first=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_batches_are_the_samples_in_order(
    n, rows, source, target, layout, channels, channels_first, shuffle, seed
):
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 100, (n, channels, 3, 4) if channels_first else (n, 3, 4, channels)).astype(
        source
    )
    x = LAYOUTS[layout](values)
    y = np.arange(n)
    order = draw.permutation(n) if shuffle else None
    batches = Batches(
        Column(x, rows, np.dtype(target), channels_first),
        Column(y, rows, np.dtype(np.int64)),
        batch_size=rows,
    )
    expected = np.moveaxis(values, 1, 3) if channels_first else values
    seen = []
    for batch in batches.epoch(order):
        assert batch.x.dtype == target
        assert batch.x.flags.c_contiguous
        assert batch.x.flags.aligned
        assert batch.start == sum(map(len, seen))
        assert len(batch.x) <= rows
        assert batch.weight is None
        assert np.array_equal(batch.x, expected[batch.y].astype(target))
        seen.append(batch.y.copy())
    assert len(seen) == len(batches)
    assert np.array_equal(np.concatenate(seen), np.arange(n) if order is None else order)


def test_what_needs_no_conversion_is_a_view():
    x = np.ones((10, 4), np.float32)
    assert np.shares_memory(Column(x, 5, x.dtype).slice(2, 7), x)
    one_channel = np.ones((10, 1, 4, 4), np.float32)
    view = Column(one_channel, 5, x.dtype, channels_first=True).slice(0, 5)
    assert view.shape == (5, 4, 4, 1)
    assert np.shares_memory(view, one_channel)


def test_the_buffers_serve_every_batch():
    column = Column(np.ones((10, 4), np.uint8), 5, np.dtype(np.float32))
    places = {column.gather(np.arange(k)).ctypes.data for k in (5, 2, 5)}
    assert len(places) == 1


def test_too_large_numbers_become_infinite_quietly():
    assert np.isinf(Column(np.full((2, 1), 1e300), 2, np.dtype(np.float32)).slice(0, 2)).all()


@pytest.mark.parametrize(("fraction", "n", "kept"), [(0.0, 5, 5), (0.2, 45, 36), (0.25, 10, 7), (0.1, 10, 9)])
def test_split_tail_rounds_as_keras(fraction, n, kept):
    assert split_tail("f", fraction, n) == kept
