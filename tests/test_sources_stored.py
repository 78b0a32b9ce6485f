"""Arrays that stay on disk are read in slices, block by block, each sample once an epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import OnDisk, same
from test_sources import ROWS, W, X, Y, model

import cconv
from cconv import layers
from cconv.inputs import stored
from cconv.inputs.stored import Blocks, StoredColumn

SAMPLE = X[0].nbytes


@pytest.fixture(params=[1, 2, 100])
def small_blocks(request, monkeypatch):
    """Blocks of so many batches."""
    monkeypatch.setattr(stored, "BLOCK_BYTES", request.param * ROWS * (SAMPLE + 8))
    monkeypatch.setattr(stored, "RUN_BYTES", 3 * (SAMPLE + 8))
    return request.param * ROWS


@pytest.mark.parametrize("kind", [np.uint8, np.float32, ">f8"])
def test_what_is_on_disk_trains_as_what_is_in_memory(small_blocks, kind):
    x = X.astype(kind)
    in_memory, on_disk = model(), model()
    expected = in_memory.fit(
        x, Y, ROWS, 2, 0, shuffle=False, validation_split=0.25, class_weight={0: 3}, sample_weight=W
    )
    got = on_disk.fit(
        *(OnDisk(x, most=small_blocks), OnDisk(Y), ROWS, 2, 0),
        **{"shuffle": False, "validation_split": 0.25, "class_weight": {0: 3}, "sample_weight": W},
    )
    assert got.history == expected.history
    assert same(in_memory, on_disk)
    assert np.array_equal(on_disk.predict(OnDisk(x), batch_size=5), in_memory.predict(x))
    assert on_disk.evaluate(OnDisk(x), Y, 5, 0) == in_memory.evaluate(x, OnDisk(Y), 5, 0)
    assert len(on_disk.predict(OnDisk(x), batch_size=5, steps=2)) == 10


@pytest.mark.parametrize("chunks", [None, (7, 6, 6, 2), ((4, 40), (6,), (6,), (2,))])
def test_a_shuffled_epoch_reads_every_sample_once_in_rising_runs(small_blocks, chunks):
    x, y = OnDisk(X, chunks, most=small_blocks), OnDisk(Y)
    made = model()
    made.fit(x, y, ROWS, 1, 0)
    first = x.reads.copy()
    assert sorted(n for begin, end in first for n in range(begin, end)) == list(range(len(X)))
    assert len(first) <= -(-len(X) // 3) + -(-len(X) // ROWS)
    if chunks is not None:
        assert sum(begin % 4 == 0 or begin % 7 == 0 for begin, _ in first) >= len(first) // 2
    x.reads.clear()
    made.fit(x, y, ROWS, initial_epoch=1, epochs=2, verbose=0)
    assert x.reads != first or first == [(0, len(X))]
    again = model()
    again.fit(OnDisk(X, chunks), Y, ROWS, 2, 0)
    # Where the targets are kept is no part of the order, but how much is read with the samples is.
    twin = model()
    twin.fit(OnDisk(X, chunks), OnDisk(Y), ROWS, 2, 0)
    assert same(made, twin)
    made.fit(x, y, ROWS, 4, 0, initial_epoch=2, steps_per_epoch=3)  # one pass in two epochs
    assert sorted(n for begin, end in x.reads for n in range(begin, end)) == sorted([*range(len(X))] * 2)


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 200),
    rows=st.integers(1, 40),
    sample=st.integers(1, stored.BLOCK_BYTES * 2),
    chunk=st.integers(1, 50),
    seed=st.integers(0, 2**64 - 1),
)
def test_the_order_is_a_permutation_whose_blocks_are_few_runs(n, rows, sample, chunk, seed):
    rows = min(rows, n)
    blocks = Blocks(n, rows, sample, chunk)
    order = blocks.order(seed, 3)
    assert np.array_equal(np.sort(order), np.arange(n))
    assert np.array_equal(order, Blocks(n, rows, sample, chunk).order(seed, 3))
    assert blocks.size % rows == 0
    assert blocks.size == rows or blocks.size * sample <= stored.BLOCK_BYTES
    assert blocks.run % chunk == 0
    for start in range(0, n, blocks.size):
        block = np.sort(order[start : start + blocks.size])
        assert np.count_nonzero(np.diff(block) != 1) <= -(-len(block) // blocks.run) + 1


def test_blocks_are_shuffled_inside_too():
    orders = [Blocks(1000, 10, stored.BLOCK_BYTES // 100, 1).order(seed, 0) for seed in (1, 2)]
    assert not np.array_equal(*orders)
    assert np.count_nonzero(np.abs(np.diff(orders[0])) == 1) < 100


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 90),
    rows=st.integers(1, 12),
    batches=st.integers(1, 4),
    run=st.integers(1, 9),
    piece=st.integers(1, 20),
    chunk=st.integers(1, 7),
    shuffled=st.booleans(),
    stop=st.integers(0, 90),
)
def test_a_block_is_read_while_the_one_before_is_used_up(n, rows, batches, run, piece, chunk, shuffled, stop):
    rows = min(rows, n)
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("BLOCK", batches * rows), ("RUN", run), ("PIECE", piece)):
            patch.setattr(stored, f"{name}_BYTES", count * 4)
        blocks = Blocks(n, rows, 4, chunk)
    values = np.arange(n, dtype=np.int32)[:, np.newaxis] * 3
    disk = OnDisk(values, most=blocks.size)
    column = StoredColumn(stored.Stored("f", "x", disk), rows, np.dtype("f4"), False, blocks)
    for epoch in range(3):
        order = blocks.order(7, epoch) if shuffled else np.arange(n)
        column.begin(order if shuffled else None)
        disk.reads.clear()
        for start in range(0, n, rows):
            if epoch == 1 and start >= stop:
                break  # and the next epoch begins anew
            wanted = order[start : start + rows]
            got = column.gather(wanted) if shuffled else column.slice(start, min(start + rows, n))
            assert np.array_equal(got, values[wanted])
            begun = len(disk.reads)
            assert np.array_equal(column.gather(wanted, 1), got)  # the same once more
            assert len(disk.reads) == begun
            read = sum(end - begin for begin, end in disk.reads)
            ahead = blocks.size if shuffled else 2 * rows
            assert read <= start + ahead + blocks.piece  # what is in memory
            assert read == n or read >= start + ahead - (0 if shuffled else rows)
            assert np.array_equal(column.apart().gather(wanted), got)
            del disk.reads[begun:]
        else:
            assert sorted(number for pair in disk.reads for number in range(*pair)) == list(range(n))


def test_targets_and_images_of_any_layout():
    x, y = np.moveaxis(X, 3, 1).astype(np.float32) / 255, X.astype(np.float32)[..., 0, None] / 255
    for channels_first in (False, True):
        data_format = "channels_first" if channels_first else "channels_last"
        weights = []
        for wrap in (np.asarray, OnDisk):
            made = cconv.Sequential([layers.Conv2D(1, 3, padding="same")], seed=1, data_format=data_format)
            made.compile("sgd", "mse")
            given_x = x if channels_first else np.ascontiguousarray(np.moveaxis(x, 1, 3))
            given_y = np.ascontiguousarray(np.moveaxis(y, 3, 1)) if channels_first else y
            made.fit(wrap(given_x), wrap(given_y), ROWS, 2, 0, shuffle=False)
            weights.append(made)
        assert same(*weights)


def test_what_is_refused_of_stored_arrays():
    made = model()
    cases = [
        (
            lambda: made.fit(OnDisk(X[:, 1:]), Y),
            r"^Sequential.fit: layer 0 .* expects x of shape \(n, 6, 6, 2\)",
        ),
        (lambda: made.fit(OnDisk(X), Y[1:]), "y must have one row for each of the 44 samples, got 43"),
        (lambda: made.fit(OnDisk(X), OnDisk(Y + 9)), "y does not fit the loss: .* got 9|1[01] for sample"),
        (lambda: made.predict(OnDisk(X[:0])[:]), None),
        (lambda: made.fit(OnDisk(X.astype(complex)), Y), "x must hold real numbers"),
        (
            lambda: made.fit(Cut(X), Y),
            r"samples 0 to 44 of x must have shape \(44, 6, 6, 2\) and dtype uint8, as x",
        ),
    ]
    for call, text in cases:
        if text is not None:
            with pytest.raises((ValueError, TypeError), match=text):
                call()
    assert made.steps_done == 0
    assert made.predict(OnDisk(X[:0], most=1)).shape == (0, 3)


class Cut(OnDisk):
    """A damaged file."""

    def __getitem__(self, rows):
        return super().__getitem__(rows)[1:]
