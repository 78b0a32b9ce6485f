"""Files that are mapped and larger than memory: what the system is told of the rows that come next."""

import mmap

import numpy as np
import pytest
from sources import same
from test_sources import ROWS, X, Y, model

from cconv.inputs import mapped
from cconv.inputs.columns import Column
from cconv.inputs.mapped import Announcer, map_of


class Notes:
    """A map that keeps what it is told."""

    def __init__(self, map_):
        self._map, self.told = map_, []

    def __len__(self):
        return len(self._map)

    def madvise(self, *advice):
        self.told.append(advice)
        self._map.madvise(*advice)


@pytest.fixture
def file(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (50, 3000), np.uint8)
    (tmp_path / "x").write_bytes(b"head" + values.tobytes())
    return np.memmap(tmp_path / "x", np.uint8, "r", 4, values.shape), values


def views(array):
    yield array
    yield array[7:31]
    yield array[::3]
    yield array[::-2]
    yield array[5:, :]
    yield array.reshape(150, 1000)[3:]


@pytest.mark.parametrize("number", range(6))
def test_pages_of_every_row_are_announced(file, monkeypatch, number):
    monkeypatch.setattr(mapped, "_memory", lambda: 0)
    given, plain = (list(views(array))[number] for array in file)
    column = Column(given, 8, np.dtype("f4"))
    announcer = column._announcer
    notes = announcer._map = Notes(announcer._map)
    order = np.random.default_rng(1).permutation(len(plain))[:8]
    column.begin(order)
    assert np.array_equal(column.gather(order), plain[order])
    assert notes.told[0] == (mmap.MADV_RANDOM,)
    whole = np.frombuffer(map_of(given), np.uint8)
    assert len(notes.told) == 1 + len(order)
    for (advice, start, length), row in zip(notes.told[1:], order, strict=True):
        assert advice == mmap.MADV_WILLNEED
        assert start % mmap.PAGESIZE == 0
        assert plain[row].tobytes() in whole[start : start + length].tobytes()
        assert length <= plain[row].nbytes + mmap.PAGESIZE
    column.ahead(False)
    assert notes.told[-1] == (mmap.MADV_NORMAL,)
    column.begin(None)
    column.slice(0, 3)
    assert notes.told[-1] == (mmap.MADV_NORMAL,)


def test_files_that_memory_holds_are_left_to_the_system(file, monkeypatch):
    assert Column(file[0], 8, np.dtype("f4"))._announcer is None
    monkeypatch.setattr(mapped, "_memory", lambda: 2 * file[0].nbytes)
    assert Announcer.of(file[0]) is None
    monkeypatch.setattr(mapped, "_memory", lambda: 0)
    assert Announcer.of(file[0][:, ::2]) is None
    assert Announcer.of(file[0][:0]) is None
    assert Announcer.of(file[1]) is None
    monkeypatch.setattr(mapped, "WILLNEED", -1)
    assert Announcer.of(file[0]) is None


@pytest.mark.parametrize("shuffle", [True, "blocks", False])
def test_a_training_is_the_same(tmp_path, monkeypatch, shuffle):
    monkeypatch.setattr(mapped, "_memory", lambda: 0)
    np.save(tmp_path / "x.npy", X)
    one, other = model(), model()
    one.fit(X, Y, ROWS, 2, 0, shuffle=shuffle, validation_split=0.25)
    other.fit(
        np.load(tmp_path / "x.npy", mmap_mode="r"), Y, ROWS, 2, 0, shuffle=shuffle, validation_split=0.25
    )
    assert same(one, other)
