"""Data and pictures that lie: refused from their headers, by name, with one kind of error."""

import gzip
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cconv
from cconv import cli
from cconv.cli import data
from cconv.cli.images import Form, read_images
from cconv.datasets import _files, _idx, cifar10
from cconv.files import numpyfiles, pictures, png, reading
from cconv.layers import Dense, Flatten
from cconv.models import Sequential

GIGABYTE = 1 << 30
X = np.zeros((20, 28, 28), np.uint8)


def refused(path, read, match=None, most=64e6):
    """Read a file that must be refused, within so many bytes; return the message."""
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, OSError), match=match) as caught:
            read(path)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < most
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load_npz(path):
    return data.load(str(path))


READERS = {
    ".npz": load_npz,
    ".npy": lambda path: read_images(path, Form((28, 28, 1))),
    ".png": lambda path: read_images(path, Form((28, 28, 1))),
    ".gz": lambda path: _idx.read_idx(path, 3),
    ".bin": cifar10.read_records,
}


@pytest.mark.parametrize("suffix", READERS)
def test_pipes_folders_and_devices_are_not_waited_for(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    os.mkfifo(path)
    refused(path, READERS[suffix], "no regular file")
    path.unlink()
    path.mkdir()
    refused(path, READERS[suffix], "it is a folder")
    path.rmdir()
    for target, match in (
        ("/dev/zero", "no regular file"),
        ("/dev/null", "no regular file"),
        (path, "symbolic"),
    ):
        path.symlink_to(target)
        refused(path, READERS[suffix], match)
        path.unlink()
    assert refused(path, READERS[suffix], "there is no file").count(str(path)) == 1


def npy_header(descr="|u1", order=False, shape=(20, 28, 28), text=None, version=1):
    text = text or f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    head = text.encode("latin-1") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes((version, 0)) + size + head


def npz(path, method=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            if isinstance(content, np.ndarray):
                file = io.BytesIO()
                np.save(file, content)
                content = file.getvalue()
            archive.writestr(f"{name}.npy", content)


def bomb(path, size, name="x_train"):
    """Write an archive of a member that unpacks to so many zeros."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy_header(shape=(size // 784, 28, 28)))
        piece = bytes(1 << 24)
        for _ in range(size // len(piece)):
            member.write(piece)


def test_archives_that_unpack_to_gigabytes(tmp_path):
    bomb(tmp_path / "a.npz", GIGABYTE // 2)
    assert (tmp_path / "a.npz").stat().st_size < 3e6
    refused(tmp_path / "a.npz", load_npz, "are said to unpack to")


def test_only_named_members_are_read(tmp_path):
    bomb(tmp_path / "a.npz", GIGABYTE // 8, "other")
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        for name, array in (("x_train", X), ("y_train", np.zeros(20, int)), ("bad", np.array([None]))):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)
        archive.writestr("notes.txt", "hello")
    tracemalloc.start()
    x, _ = load_npz(tmp_path / "a.npz").train
    assert tracemalloc.get_traced_memory()[1] < 64e6
    tracemalloc.stop()
    assert x.shape == (18, 28, 28, 1)


def test_gz_that_unpacks_to_gigabytes(tmp_path):
    """By its header; and by what follows a header that says little."""
    packed = zlib.compressobj(1, zlib.DEFLATED, 31)
    with (tmp_path / "a.gz").open("wb") as file:
        file.write(packed.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 2_000_000, 28, 28)))
        for _ in range(20):
            file.write(packed.compress(bytes(1 << 24)))
        file.write(packed.flush())
    assert (tmp_path / "a.gz").stat().st_size < 3e6
    refused(tmp_path / "a.gz", READERS[".gz"], "are said to unpack to")
    source = _files.Source("a", "a", "a.gz", (), "0" * 64, unpacked=True)
    with pytest.raises(ValueError, match="are said to unpack to"):
        _files.check(source, tmp_path / "a.gz")
    (tmp_path / "b.gz").write_bytes(
        gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 1, 28, 28) + bytes(1 << 28))
    )
    refused(tmp_path / "b.gz", READERS[".gz"], "expected 784 bytes .* got more")


def test_what_is_packed_as_pictures_are_is_taken():
    """A hundred times its size, or a quarter of a gigabyte, whichever is more."""
    assert reading.MOST_UNPACKED == 1 << 28
    reading.check_unpacked(1 << 28, 1)
    reading.check_unpacked(100 << 24, 1 << 24)
    with pytest.raises(ValueError, match="are said to unpack to"):
        reading.check_unpacked((1 << 28) + 1, 1 << 20)


NPY = {
    "empty": b"",
    "no magic": b"hello, world",
    "cut in the header": npy_header()[:20],
    "version 9": npy_header(version=9),
    "a header of 4 GB": b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"{}",
    "no dict": npy_header(text="[1, 2]"),
    "code": npy_header(text="__import__('os').system('true')"),
    "an unclosed string": npy_header(text="{'descr': '<f4, 'fortran_order': False, 'shape': (3,), }"),
    "an unclosed bracket": npy_header(text="{'descr': '<f4', 'fortran_order': False, 'shape': (3, "),
    "brackets": npy_header(text="{'descr': " + "[" * 4000 + "}"),
    "minus signs": npy_header(
        text="{'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 4000 + "3,), }"
    ),
    "a tab too many": npy_header(text="{'descr': '<f4',\n\t'fortran_order': False,\n 'shape': (3,), \\}"),
    "a null": npy_header(text="{'descr': '<f4', 'fortran_order': False, 'shape': (3,\0), }"),
    "a key twice": npy_header(
        text="{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"
    ),
    "a key too few": npy_header(text="{'descr': '<f4', 'shape': (3,), }"),
    "a key too many": npy_header(text="{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1, }"),
    "an order of None": npy_header(order=None),
    "a size of None": npy_header(shape=(None,)),
    "a size below 0": npy_header(shape=(-1, 784)),
    "a size of floats": npy_header(shape=(2.0, 784)),
    "a size of 10**30": npy_header(shape=(10**30, 28, 28)),
    "sizes whose product overflows": npy_header(shape=(2**62, 2**62)),
    "a hundred axes": npy_header(shape=(1,) * 100),
    "more than there is": npy_header(shape=(10**9, 28, 28)),
    "a structure": npy_header(descr=[("a", "<f4")]),
    "a structure as text": npy_header(descr="f4,f4"),
    "items of a gigabyte": npy_header(descr="(1000000000,)f4", shape=(1,)),
    "long text": npy_header(descr="<U99999", shape=(1,)),
    "objects": npy_header(descr="|O", shape=(2,)) + b"cos\nsystem\n(S'true'\ntR.",
    "text": npy_header(descr="<U1", shape=(2,)) + bytes(8),
    "dates": npy_header(descr="<M8[ns]", shape=(2,)) + bytes(16),
    "complex": npy_header(descr="<c16", shape=(28, 28)) + bytes(16 * 784),
    "long doubles": npy_header(descr="<f16", shape=(28, 28)) + bytes(16 * 784),
    "a dtype that is none": npy_header(descr="<f5", shape=(28, 28)) + bytes(8000),
    "no axes": npy_header(shape=()) + b"1",
}


@pytest.mark.parametrize("name", NPY)
def test_arrays_that_lie(name, tmp_path):
    (tmp_path / "a.npy").write_bytes(NPY[name])
    refused(tmp_path / "a.npy", READERS[".npy"])
    npz(tmp_path / "a.npz", x_train=NPY[name], y_train=np.zeros(20, int))
    refused(tmp_path / "a.npz", load_npz)


def test_headers_as_others_write_them(tmp_path):
    array = np.arange(784, dtype=">i2").reshape(28, 28)
    for text in (
        "{'descr': '>i2', 'fortran_order': False, 'shape': (28, 28), }",
        '{"shape": (28L, 28L), "descr": ">i2", "fortran_order": False}',
        "{ 'fortran_order' :False,'shape':( 28,28 , ),'descr':'>i2' }   ",
    ):
        for version in (1, 2, 3):
            (tmp_path / "a.npy").write_bytes(npy_header(text=text, version=version) + array.tobytes())
            assert np.array_equal(READERS[".npy"](tmp_path / "a.npy")[0, ..., 0], array)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i4", "<u8", ">f2", "<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes_is_read(dtype, order, tmp_path):
    array = np.asarray(np.random.default_rng(0).integers(0, 99, (3, 28, 28)), dtype, order)
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(READERS[".npy"](tmp_path / "a.npy")[..., 0], array)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", a=array, b=array[0, 0], c=array[:0])
        found, names = numpyfiles.read_npz(tmp_path / "a.npz", ["c", "b", "a", "nothing"])
        assert names == ["a", "b", "c"]
        assert np.array_equal(found["a"], array)
        assert found["a"].dtype == np.dtype(dtype)
        assert found["c"].shape == (0, 28, 28)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_methods_that_numpy_does_not_use(method, tmp_path):
    npz(tmp_path / "a.npz", method, x_train=X, y_train=np.zeros(20, int))
    refused(tmp_path / "a.npz", load_npz, "must be stored or deflated")


def test_archives_of_many_members(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for number in range(30_000):
            archive.writestr(f"member{number}.npy", b"")
    refused(tmp_path / "a.npz", load_npz, "its directory must have at most")


def test_members_that_come_twice(tmp_path):
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", b"1")
        archive.writestr("x_train.npy", b"2")
    refused(tmp_path / "a.npz", load_npz, "comes twice")


def test_long_lists_of_names_do_not_fill_the_screen(tmp_path):
    npz(tmp_path / "a.npz", **{f"array\x1b{number}": X for number in range(900)})
    message = refused(tmp_path / "a.npz", load_npz, "expected an array x_train")
    assert len(message) < 800
    assert "\x1b" not in message


def test_labels_that_would_make_a_huge_network(tmp_path):
    npz(tmp_path / "a.npz", x_train=X, y_train=np.arange(20) * 10**8)
    refused(tmp_path / "a.npz", load_npz, "class numbers below 100000")


# Pictures


def chunk(kind, data=b"", length=None):
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height, *chunks, depth=8, colour=0):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return png.SIGNATURE + chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IEND")


ROWS = zlib.compress(bytes(29 * 28))
PNGS = {
    "empty": b"",
    "a signature": png.SIGNATURE,
    "30,000 by 30,000": png_of(30_000, 30_000, chunk(b"IDAT", zlib.compress(bytes(10**6)))),
    "the largest": png_of(2**31 - 1, 2**31 - 1, chunk(b"IDAT", ROWS)),
    "no pixels": png_of(0, 28, chunk(b"IDAT", ROWS)),
    "a part of a gigabyte": png_of(28, 28, chunk(b"IDAT", ROWS, GIGABYTE)),
    "a part of four gigabytes": png_of(28, 28, chunk(b"tEXt", ROWS, 2**32 - 1), chunk(b"IDAT", ROWS)),
    "no picture": png_of(28, 28),
    "too few rows": png_of(28, 28, chunk(b"IDAT", zlib.compress(bytes(29 * 5)))),
    "no zlib": png_of(28, 28, chunk(b"IDAT", b"hello")),
    "an unknown depth": png_of(28, 28, chunk(b"IDAT", ROWS), depth=5),
    "an unknown colour": png_of(28, 28, chunk(b"IDAT", ROWS), colour=9),
    "text that unpacks to much": png_of(
        28, 28, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))), chunk(b"IDAT", ROWS)
    ),
    "no palette": png_of(28, 28, chunk(b"IDAT", ROWS), colour=3),
    "a palette that is none": png_of(28, 28, chunk(b"PLTE", b"12"), chunk(b"IDAT", ROWS), colour=3),
}


@pytest.mark.parametrize("name", PNGS)
def test_pictures_that_lie(name, tmp_path):
    (tmp_path / "a.png").write_bytes(PNGS[name])
    refused(tmp_path / "a.png", READERS[".png"])


def test_the_size_of_a_picture_is_compared_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_pixels", lambda *_: pytest.fail("pixels were unpacked"))
    (tmp_path / "a.png").write_bytes(png_of(30_000, 30_000, chunk(b"IDAT", ROWS)))
    refused(tmp_path / "a.png", READERS[".png"], "it has 30000x30000 pixels; at most 67108864 are taken")


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB"])
def test_every_kind_of_picture_is_read(mode, tmp_path):
    """Of all kinds that Pillow writes, and interlaced ones of every size, which it only reads."""
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "a.png", optimize=True)
    found = READERS[".png"](tmp_path / "a.png")[0, ..., 0]
    assert np.array_equal(found, np.asarray(image.convert("L")))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (8, 8), (9, 17), (28, 28)])
def test_interlaced_pictures(size, tmp_path):
    height, width = size
    pixels = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    rows = b"".join(
        b"\0" + row.tobytes()
        for left, top, right, down in png.ADAM7
        for row in pixels[top::down, left::right]
        if row.size
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    for cut, missing in ((rows, False), (rows[:-1], True)):
        parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(cut)) + chunk(b"IEND")
        (tmp_path / "a.png").write_bytes(png.SIGNATURE + parts)
        read = lambda path: pictures.read_picture(path, 1)  # noqa: E731
        if missing:
            refused(tmp_path / "a.png", read, "its pixels must have")
        else:
            assert np.array_equal(read(tmp_path / "a.png")[..., 0], pixels)


def test_every_cut_of_a_picture_names_the_file(tmp_path):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    whole = file.getvalue()
    for size in range(len(whole) - 12):  # what ends it is not needed
        (tmp_path / "a.png").write_bytes(whole[:size])
        refused(tmp_path / "a.png", READERS[".png"])
    (tmp_path / "a.png").write_bytes(whole + b"more")
    assert np.array_equal(READERS[".png"](tmp_path / "a.png")[0, ..., 0], pixels)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "PNG"])
def test_damaged_pictures_are_read_or_refused_by_name(kind, tmp_path):
    rng = np.random.default_rng(0)
    file, path, refusals = io.BytesIO(), tmp_path / "a.png", []
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(rng.integers(0, 256, (24, 30, 3), np.uint8))
    image.save(file, kind, **({} if kind == "BMP" else {"exif": exif}))
    whole = file.getvalue()
    for number in range(120):
        damaged = bytearray(whole)
        for place in rng.integers(min(len(whole), 200 if number % 2 else 10**6), size=1 + number % 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(damaged))] if number % 5 == 0 else damaged)
        for read in (lambda: pictures.read_picture(path, 1, (8, 8)), lambda: pictures.look(path)):
            try:
                read()
            except (ValueError, OSError) as error:
                refusals.append(str(error))
    assert len(refusals) > 20
    assert all(str(path) in said and "\n" not in said for said in refusals)


def test_predict_names_the_file_in_every_error(tmp_path, capsys):
    model = tmp_path / "m.safetensors"
    Sequential([Flatten(input_shape=(28, 28, 1)), Dense(3)], seed=0).save(model)
    path = tmp_path / "a.png"
    for content in PNGS.values():
        path.write_bytes(content)
        assert cli.main(["predict", str(model), str(path)]) == 2
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1
        assert str(path) in printed


def test_a_gigabyte_is_not_needed(tmp_path):
    """The attacks once more, in a process that may not take a gigabyte."""
    bomb(tmp_path / "a.npz", GIGABYTE // 2)
    (tmp_path / "a.png").write_bytes(PNGS["a part of a gigabyte"])
    (tmp_path / "a.npy").write_bytes(NPY["more than there is"])
    code = """
import os, resource, sys
from pathlib import Path
from cconv import cli
from cconv.cli.images import Form, read_images
size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (size, size))
folder = Path(sys.argv[1])
for name in ("a.png", "a.npy"):
    try:
        read_images(folder / name, Form((28, 28, 1)))
    except ValueError as error:
        assert name in str(error)
assert cli.main(["train", "--data", str(folder / "a.npz"), "--out", str(folder / "m")]) == 2
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(cconv.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "are said to unpack to" in done.stderr
