"""Keras files that lie: refused with one clear error, before anything large is made, and nothing is run."""

import io
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from cconv.files.hdf5 import MAGIC, Reader
from cconv.io import keras
from cconv.layers import Dense
from cconv.models import Sequential, load_model

CASES, SEED = 600, 1


def test_hundreds_of_damaged_files(tmp_path):
    script = Path(__file__).parent / "keras_attacks.py"
    command = [sys.executable, str(script), str(tmp_path), str(CASES), str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-200:]
    refused, loaded = map(int, done.stdout.split()[-2:])
    assert refused + loaded == CASES
    assert refused > CASES // 4


def hdf5(fill):
    """Return a file that h5py wrote."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def read(data):
    return Reader(io.BytesIO(data), len(data))


def test_files_of_h5py_are_read_as_they_are():
    rng = np.random.default_rng(0)
    known = {
        "plain": rng.normal(size=(3, 4)),
        "single": np.float32(3.5),
        "half": rng.normal(size=5).astype("float16"),
        "swapped": np.arange(6, dtype=">i2").reshape(2, 3),
        "empty": np.zeros((0, 3)),
        "deep/er/array": np.arange(9, dtype="uint8"),
        **{f"many/{number}": np.full(2, number) for number in range(200)},
    }

    def fill(file):
        for name, array in known.items():
            file[name] = array
        options = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("packed", data=np.arange(1000.0).reshape(20, 50), chunks=(7, 8), **options)
        file.create_dataset("pieces", data=np.arange(10_000).reshape(100, 100), chunks=(3, 8))
        file.attrs["text"], file.attrs["texts"] = "größer", ["one", "two"]
        file["deep"].attrs["bytes"] = np.array([b"a", b"bcd"])
        file["deep"].attrs["number"] = 3

    reader = read(hdf5(fill))
    known |= {"packed": np.arange(1000.0).reshape(20, 50), "pieces": np.arange(10_000).reshape(100, 100)}
    assert set(reader.arrays) == set(known)
    for name, array in known.items():
        found = reader.array(name)
        np.testing.assert_array_equal(found, array)
        assert found.dtype == np.asarray(array).dtype.newbyteorder("=")
    assert reader.attribute("", "text") == "größer"
    assert reader.attribute("", "texts") == ["one", "two"]
    assert reader.attribute("deep", "bytes") == ["a", "bcd"]
    assert reader.attribute("deep", "number") is reader.attribute("deep", "nothing") is None


def _soft(file):
    file["a"] = np.zeros(2)
    file["b"] = h5py.SoftLink("/a")


def _external(file):
    file["b"] = h5py.ExternalLink("other.h5", "/a")


def _elsewhere(file):
    file.create_dataset("a", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def _virtual(file):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", shape=(4,))
    file.create_virtual_dataset("a", layout)


def _hollow(file):
    file.create_dataset("a", (2**36,), "f4")  # 256 GB of which nothing is stored


def _hollow_chunks(file):
    file.create_dataset("a", (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")


def _twice(file):
    file["a"] = np.zeros(2)
    file["b"] = file["a"]


def _circle(file):
    file.create_group("a")["b"] = file["/"]


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (_soft, "a link to elsewhere"),
        (_external, "newer layout"),
        (_elsewhere, "lie in another file"),
        (_virtual, "as one piece or in chunks|shares"),
        (_hollow, "are said to unpack to"),
        (_hollow_chunks, "are said to unpack to"),
        (_twice, "the same object as another"),
        (_circle, "the same object as another"),
    ],
)
def test_what_leaves_the_file_or_is_larger_than_it(fill, words):
    data = hdf5(fill)
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(ValueError, match=words):
            read(data)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < 20e6
    assert time.process_time() - begin < 5


def test_other_filters_and_newer_layouts_are_named():
    data = hdf5(lambda file: file.create_dataset("a", data=np.zeros(100), chunks=(10,), compression="lzf"))
    with pytest.raises(ValueError, match="deflate, shuffle or fletcher32, got number 32000"):
        read(data)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(ValueError, match="newer layout"):
        read(buffer.getvalue())
    with pytest.raises(ValueError, match="it must begin with"):
        read(b"PK" + MAGIC)


def test_a_deflated_bomb_stops_at_its_size():
    def fill(file):
        file.create_dataset("a", data=np.zeros(4096, "f4"), chunks=(4096,), compression="gzip")

    data = bytearray(hdf5(fill))
    packed = zlib.compress(bytes(4 * 4096), 4)
    place = data.find(packed)
    assert place > 0
    bomb = zlib.compress(bytes(1 << 24), 9)[: len(packed)]
    data[place : place + len(bomb)] = bomb
    reader = read(bytes(data))
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(reader.array("a"), np.zeros(4096, "f4"))
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < 1e6


def rezipped(path, change):
    """Write an archive again, its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.keras"
    Sequential([Dense(2, input_shape=(3,))], seed=1).save(path)
    return path


def test_members_that_unpack_to_a_thousand_times_are_refused(saved):
    data = bytearray(saved.read_bytes())
    place = data.rfind(b"PK\x01\x02")  # of the last member, the arrays
    data[place + 24 : place + 28] = struct.pack("<I", 1 << 30)
    saved.write_bytes(data)
    with pytest.raises(ValueError, match="are said to unpack to"):
        load_model(saved)


def test_members_that_are_missing_or_elsewhere(saved):
    rezipped(saved, lambda members: members.update({"../../evil": b"x", "assets/a": b"y"}))
    assert load_model(saved).count_params() == 8
    assert not saved.parent.parent.parent.joinpath("evil").exists()
    rezipped(saved, lambda members: members.pop("model.weights.h5"))
    with pytest.raises(ValueError, match=r"there is no model.weights.h5 in it"):
        load_model(saved)


def test_a_large_layer_is_refused_by_the_size_of_its_array(saved):
    def change(members):
        members["config.json"] = members["config.json"].replace(b'"units":2', b'"units":2000000000')

    rezipped(saved, change)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"kernel must be float32 of shape \(3, 2000000000\)"):
            load_model(saved)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < 20e6


def test_arrays_that_nobody_asks_for_are_refused(saved):
    def change(members):
        buffer = io.BytesIO(members["model.weights.h5"])
        with h5py.File(buffer, "a") as file:
            file["layers/dense/vars/2"] = np.zeros(3, "f4")
        members["model.weights.h5"] = buffer.getvalue()

    rezipped(saved, change)
    with pytest.raises(ValueError, match="belongs to no layer"):
        keras.load(saved)


def test_a_text_of_deep_lists_is_refused(saved):
    rezipped(saved, lambda members: members.update({"config.json": b"[" * 100_000}))
    with pytest.raises(ValueError, match=r"nested at most"):
        load_model(saved)


def test_an_address_outside_of_the_file_is_refused(tmp_path):
    data = bytearray(hdf5(lambda file: file.create_dataset("a", data=np.arange(100.0))))
    place = data.find(struct.pack("<Q", 800))  # the bytes of the array, behind its address
    assert place > 0
    data[place - 8 : place] = struct.pack("<Q", 2**62)
    with pytest.raises(ValueError, match="must have the 800 bytes"):
        read(bytes(data)).array("a")
