"""Arrays that stay on disk are read in slices, block by block, each sample once an epoch."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import Numbered, OnDisk, same
from test_distributed import of
from test_sources import ROWS, W, X, Y, model

import cconv
from cconv import layers
from cconv.inputs import orders, windows
from cconv.inputs.orders import Blocks
from cconv.inputs.stored import Stored
from cconv.inputs.windows import StoredColumn
from cconv.models.sharding import Sharding

SAMPLE = X[0].nbytes


@pytest.fixture(params=[1, 2, 100])
def small_blocks(request, monkeypatch):
    """Blocks of so many batches."""
    monkeypatch.setattr(orders, "BLOCK_BYTES", request.param * ROWS * SAMPLE)
    monkeypatch.setattr(orders, "RUN_BYTES", 3 * SAMPLE)
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
        **{"shuffle": False, "validation_split": 0.25, "class_weight": {0: 3}, "sample_weight": OnDisk(W)},
    )
    assert got.history == expected.history
    assert same(in_memory, on_disk)
    assert np.array_equal(on_disk.predict(OnDisk(x), batch_size=5), in_memory.predict(x))
    assert on_disk.evaluate(OnDisk(x), Y, 5, 0) == in_memory.evaluate(x, OnDisk(Y), 5, 0)
    assert len(on_disk.predict(OnDisk(x), batch_size=5, steps=2)) == 10


@pytest.mark.parametrize("extent", [float("nan"), None, -24])
def test_an_extent_that_nobody_knows_is_refused_by_name(extent):
    for name, rows in (("x", OnDisk(X)), ("y", OnDisk(Y))):
        rows.shape = (extent, *rows.shape[1:])
        x, y = (rows, Y) if name == "x" else (X, rows)
        with pytest.raises(ValueError, match=rf"{name} must have a shape of known .*compute_chunk_sizes"):
            model().fit(x, y, ROWS, 1, 0)


@pytest.mark.parametrize("chunks", [None, (7, 6, 6, 2), ((4, 9, 5, 12, 14), (6,), (6,), (2,))])
def test_a_shuffled_epoch_reads_every_sample_once_in_rising_runs(small_blocks, chunks):
    x, y = OnDisk(X, chunks, most=small_blocks), OnDisk(Y)
    made = model()
    made.fit(x, y, ROWS, 1, 0)
    first = x.reads.copy()
    assert sorted(n for begin, end in first for n in range(begin, end)) == list(range(len(X)))
    assert len(first) <= -(-len(X) // 3) + -(-len(X) // ROWS)
    if chunks is not None:
        starts = [0, 4, 13, 18, 30] if isinstance(chunks[0], tuple) else range(0, 44, 7)
        assert sum(begin in starts for begin, _ in first) >= len(first) // 2
    x.reads.clear()
    made.fit(x, y, ROWS, initial_epoch=1, epochs=2, verbose=0)
    assert x.reads != first or first == [(0, len(X))]
    again = model()
    again.fit(OnDisk(X, chunks), Y, ROWS, 2, 0)
    # Where the targets are kept is no part of the order.
    twin = model()
    twin.fit(OnDisk(X, chunks), OnDisk(Y), ROWS, 2, 0)
    assert same(made, twin)
    made.fit(x, y, ROWS, 4, 0, initial_epoch=2, steps_per_epoch=3)  # one pass in two epochs
    assert sorted(n for begin, end in x.reads for n in range(begin, end)) == sorted([*range(len(X))] * 2)


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 200),
    rows=st.integers(1, 40),
    sample=st.integers(1, orders.BLOCK_BYTES * 2),
    chunk=st.integers(1, 50),
    seed=st.integers(0, 2**64 - 1),
)
def test_the_order_is_a_permutation_whose_blocks_are_few_runs(n, rows, sample, chunk, seed):
    rows = min(rows, n)
    chunks = None if chunk == 1 else np.arange(0, n, chunk)
    blocks = Blocks(n, rows, sample, chunks)
    order = blocks.order(seed, 3)
    assert np.array_equal(np.sort(order), np.arange(n))
    assert np.array_equal(order, Blocks(n, rows, sample, chunks).order(seed, 3))
    assert blocks.size % rows == 0
    assert blocks.size == rows or blocks.size * sample <= orders.BLOCK_BYTES
    assert set(blocks._starts.tolist()) <= set(range(0, n, chunk))
    for start in range(0, n, blocks.size):
        block = np.sort(order[start : start + blocks.size])
        assert np.count_nonzero(np.diff(block) != 1) <= -(-len(block) // blocks.run) + 1


def test_blocks_are_shuffled_inside_too():
    found = [Blocks(1000, 10, orders.BLOCK_BYTES // 100).order(seed, 0) for seed in (1, 2)]
    assert not np.array_equal(*found)
    assert np.count_nonzero(np.abs(np.diff(found[0])) == 1) < 100


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_windows_give_what_is_asked_for_in_any_order(data):
    """The rows of batches, also of the part that a rank has, with and without a thread that reads."""
    n, rows = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 12))
    rows = min(rows, n)
    values = np.arange(n, dtype=np.int32)[:, np.newaxis] * 3
    chunks = data.draw(st.sampled_from([None, 1, 4, 7, "uneven"]))
    if chunks == "uneven":
        cuts = sorted(data.draw(st.sets(st.integers(1, 90))) & set(range(1, n)))
        chunks = (tuple(np.diff([0, *cuts, n]).tolist()), (1,))
    elif chunks is not None:
        chunks = (chunks, 1)
    budget = data.draw(st.integers(0, 5)) * rows
    disk = OnDisk(values, chunks, picks=data.draw(st.booleans()))
    source = Stored("f", "x", disk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "PIECE_BYTES", 4 * data.draw(st.integers(1, 20)))
        patch.setattr(orders, "BLOCK_BYTES", 4 * rows * data.draw(st.integers(1, 4)))
        patch.setattr(orders, "RUN_BYTES", 4 * data.draw(st.integers(1, 9)))
        blocks = Blocks(n, rows, 4, source.chunks)
        column = StoredColumn(source, rows, np.dtype("f4"), False, budget)
    threaded, ranks = data.draw(st.booleans()), data.draw(st.sampled_from([1, 2, 4]))
    rank = data.draw(st.integers(0, ranks - 1))
    part = None if ranks == 1 else lambda m: Sharding(ranks, of(ranks, rank)).part(m)
    column.ahead(threaded)
    for epoch in range(3):
        kind = data.draw(st.sampled_from(["exact", "blocks", None]))
        order = {"exact": orders.epoch_order(7, epoch, n), "blocks": blocks.order(7, epoch)}.get(kind)
        numbers = np.arange(n) if order is None else order
        first = data.draw(st.integers(0, -(-n // rows)))
        last = data.draw(st.integers(first, -(-n // rows)))
        column.begin(order, first, part)
        assert len(column._room) <= max(budget, rows) + column._piece
        disk.reads.clear()
        expected = []
        for number in range(first, last):
            wanted = numbers[number * rows : (number + 1) * rows]
            wanted = wanted[part(len(wanted))] if part else wanted
            expected += wanted.tolist()
            got = (
                column.gather(wanted).copy()
                if order is not None or part
                else column.slice(number * rows, min((number + 1) * rows, n))
            )
            assert np.array_equal(got, values[wanted])
            assert np.array_equal(column.gather(wanted, 1), values[wanted])  # the same once more
            assert np.array_equal(column.apart().gather(wanted), values[wanted])
    column.begin(None)
    column.ahead(False)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 90), rows=st.integers(1, 12), budget=st.integers(0, 40), mixed=st.booleans())
def test_each_sample_is_read_once_and_never_too_far_ahead(n, rows, budget, mixed):
    rows, disk = min(rows, n), OnDisk(np.arange(n)[:, np.newaxis])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "PIECE_BYTES", 8 * 5)
        column = StoredColumn(Stored("f", "x", disk), rows, np.dtype("f4"), False, budget)
    order = orders.epoch_order(7, 0, n) if mixed else None
    column.ahead(True)
    column.begin(order)
    for start in range(0, n, rows):
        column.gather((np.arange(n) if order is None else order)[start : start + rows])
        read = sum(end - begin for begin, end in disk.reads)
        assert min(start + rows, n) <= read <= start + max(budget, rows) + column._piece
    column.ahead(False)
    assert sorted(number for pair in disk.reads for number in range(*pair)) == list(range(n))
    if not mixed:
        assert len(disk.reads) <= -(-n // max(rows, min(5, budget) // rows * rows))


class Slow(OnDisk):
    """Fails at the second read."""

    def __getitem__(self, rows):
        if len(self.reads) == 1:
            raise OSError("the disk is gone")
        return super().__getitem__(rows)


@pytest.mark.parametrize("shuffle", [True, False, "exact"])
def test_what_a_reader_raises_comes_through(monkeypatch, shuffle):
    monkeypatch.setattr(windows, "PIECE_BYTES", SAMPLE)
    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        model().fit(Slow(X, most=ROWS), Y, ROWS, 2, 0, shuffle=shuffle, prefetch_bytes=1)
    assert threading.active_count() == before


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 20),
    ahead=st.integers(1, 30 * SAMPLE),
    block=st.integers(1, 30),
    kind=st.sampled_from(["slices", "chunks", "picks", "mapped"]),
    how=st.sampled_from(["exact", "blocks", False]),
    split=st.sampled_from([0.0, 0.3]),
)
def test_any_way_to_shuffle_is_that_of_memory(tmp_path_factory, rows, ahead, block, kind, how, split):
    options = {"validation_split": split, "shuffle": how, "batch_size": rows, "epochs": 2, "verbose": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "BLOCK_BYTES", block * SAMPLE)
        patch.setattr(orders, "RUN_BYTES", 3 * SAMPLE)
        patch.setattr(windows, "PIECE_BYTES", 5 * SAMPLE)
        if kind == "mapped":
            path = tmp_path_factory.mktemp("x") / "x.npy"
            np.save(path, X)
            x = np.load(path, mmap_mode="r")
        else:
            chunks = (2, 6, 6, 2) if kind == "chunks" and how != "blocks" else None
            x = OnDisk(X, chunks, picks=kind == "picks")
        expected, got = model(), model()
        one = expected.fit(X, Y, **options)
        other = got.fit(x, OnDisk(Y) if rows % 2 else Y, prefetch_bytes=ahead, **options)
    assert one.history == other.history
    assert same(expected, got)


def test_what_is_refused_of_the_ways_to_shuffle():
    made = model()
    for value in ("batch", 1, None, "Exact"):
        with pytest.raises(TypeError, match="shuffle must be True or False, 'exact' or 'blocks', got"):
            made.fit(X, Y, shuffle=value)
    batches = Numbered([(X, Y)])
    with pytest.raises(ValueError, match=r"shuffle must be True or False where x is a Numbered, .* 'blocks'"):
        made.fit(batches, shuffle="blocks")
    with pytest.raises(ValueError, match=r"prefetch_bytes must not be given where x is a Numbered"):
        made.fit(batches, prefetch_bytes=10)
    with pytest.raises(ValueError, match=r"prefetch_bytes must be a positive int, got 0"):
        made.fit(X, Y, prefetch_bytes=0)
    assert made.steps_done == 0


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
