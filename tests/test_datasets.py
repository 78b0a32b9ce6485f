import gzip
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cconv import datasets
from cconv.datasets import _files, _idx, cifar10, fashion_mnist, mnist, mnist_small

ROOT = Path(__file__).parents[1]
REAL = os.environ.get("CCONV_DATA_DIR")
NAMES = [source.name for source in mnist.FILES]


def idx(array):
    """The bytes of an IDX file of unsigned bytes."""
    head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def small_split(n, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8)


def write_idx_set(folder, n_train=7, n_test=3):
    """Write a whole set of random images; return its four arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = (*small_split(n_train, 1), *small_split(n_test, 2))
    for name, array in zip(NAMES, arrays, strict=True):
        (folder / name).write_bytes(gzip.compress(idx(array)))
    return arrays


@pytest.fixture
def real_folder():
    """The folder of real data that CCONV_DATA_DIR named when the tests began, else None."""
    return Path(REAL) if REAL else None


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test sees the user's cache; those that want real data ask `real_folder`."""
    monkeypatch.delenv("CCONV_DATA_DIR", raising=False)
    monkeypatch.setenv("CCONV_CACHE_DIR", str(tmp_path / "cache"))


def flatten(data):
    (x_train, y_train), (x_test, y_test) = data
    return x_train, y_train, x_test, y_test


# The data that comes with the package, and what is drawn


def test_mnist_small_is_whole_and_balanced():
    x_train, y_train, x_test, y_test = flatten(mnist_small.load_data())
    assert (x_train.shape, x_test.shape) == ((5000, 28, 28), (1000, 28, 28))
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert np.bincount(y_train).tolist() == [500] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert len(np.unique(np.concatenate([x_train, x_test]).reshape(6000, -1), axis=0)) == 6000
    x_train[:] = 0
    assert mnist_small.load_data()[0][0].any()


IMAGE_PARTS = ("bright", "dark", "is_bright", "runs", "shape")


def test_mnist_small_is_small_enough_and_never_unpickles():
    assert mnist_small.FILE.stat().st_size <= 1_300_000
    with np.load(mnist_small.FILE, allow_pickle=False) as arrays:
        parts = [f"{name}_{part}" for name in ("x_test", "x_train") for part in IMAGE_PARTS]
        assert sorted(arrays) == sorted([*parts, "y_test", "y_train"])
        assert {array.dtype.kind for array in map(arrays.__getitem__, arrays)} == set("iu")


def test_mnist_small_is_made_by_its_tool(tmp_path, real_mnist):
    """The first 500 and 100 of each digit, in order, bit for bit, wherever MNIST itself is there."""
    images = real_mnist
    if images is None:  # without MNIST: the tool on a set that mnist_small itself supplies
        images = mnist_small.load_data()
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import make_mnist_small as tool
    finally:
        sys.path.remove(str(ROOT / "tools"))
    for (x, y), (x_small, y_small), count in zip(images, mnist_small.load_data(), (500, 100), strict=True):
        chosen = tool.choose(y, count)
        np.testing.assert_array_equal(x[chosen], x_small)
        np.testing.assert_array_equal(y[chosen], y_small)
    for long in (0, 1, 255, 256, 510, 511, 1000):
        ink = np.arange(long + 2) >= long
        assert (np.repeat(np.arange(len(runs := tool.runs_of(ink))) % 2 == 1, runs) == ink).all()
    tool.write(tmp_path / "a.npz", {"x": images[1][0]})
    tool.write(tmp_path / "b.npz", {"x": images[1][0]})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["x"], images[1][0])


@pytest.fixture
def real_mnist(monkeypatch, real_folder):
    """The whole of MNIST where this machine has it, else None."""
    if real_folder is None or not (real_folder / "mnist").is_dir():
        return None
    monkeypatch.setenv("CCONV_DATA_DIR", str(real_folder))
    return mnist.load_data()


def test_real_or_generated_mnist_has_the_documented_shapes(tmp_path, monkeypatch, real_mnist):
    data, sizes = real_mnist, (60000, 10000)
    if data is None:
        write_idx_set(tmp_path / "mnist")
        monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path))
        data, sizes = mnist.load_data(), (7, 3)
    for (x, y), n in zip(data, sizes, strict=True):
        assert (x.shape, x.dtype, y.shape, y.dtype) == ((n, 28, 28), np.uint8, (n,), np.uint8)
        assert y.max() <= 9
        assert x.flags.writeable
        assert y.flags.writeable


def test_digits():
    x_train, y_train, x_test, y_test = flatten(datasets.digits.load_data())
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == (
        (1437, 8, 8),
        (1437,),
        (360, 8, 8),
        (360,),
    )
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert x_train.max() == 16
    assert set(y_test) == set(range(10))


def test_circle():
    picture = datasets.circle.load_data()
    assert (picture.shape, picture.dtype) == ((10, 10), np.float32)
    assert set(np.unique(picture)) == {0.0, 1.0}
    for same in (picture[::-1], picture[:, ::-1], picture.T):
        np.testing.assert_array_equal(picture, same)
    assert not picture[0].any()
    assert not picture[4:6, 4:6].any()
    assert datasets.circle.load_data(31).shape == (31, 31)


@pytest.mark.parametrize(
    ("size", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError), ("10", TypeError)]
)
def test_circle_refuses_other_sizes(size, error):
    with pytest.raises(error, match=r"datasets\.circle: size must be a positive int"):
        datasets.circle.load_data(size)


# Files on this machine


@pytest.mark.parametrize("dataset", [mnist, fashion_mnist])
@pytest.mark.parametrize("variable", ["CCONV_DATA_DIR", "CCONV_CACHE_DIR"])
def test_idx_sets_are_read_from_both_folders(dataset, variable, tmp_path, monkeypatch):
    arrays = write_idx_set(tmp_path / "own" / dataset.FILES[0].folder)
    monkeypatch.setenv(variable, str(tmp_path / "own"))
    for found, expected in zip(flatten(dataset.load_data()), arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_own_folder_goes_before_the_cache(tmp_path, monkeypatch):
    write_idx_set(tmp_path / "cache" / "mnist", n_train=5)
    write_idx_set(tmp_path / "own" / "mnist", n_train=9)
    assert len(mnist.load_data()[0][0]) == 5
    monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path / "own"))
    assert len(mnist.load_data()[0][0]) == 9


def test_cache_folder_follows_the_system(monkeypatch, tmp_path):
    monkeypatch.delenv("CCONV_CACHE_DIR")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, appauthor: tmp_path / "system" / name)
    assert _files.cache_folder() == tmp_path / "system" / "cconv"
    for platform, variable, former in [
        ("linux", "XDG_CACHE_HOME", tmp_path / ".cache" / "cconv"),
        ("darwin", "XDG_CACHE_HOME", tmp_path / "Library" / "Caches" / "cconv"),
        ("win32", "LOCALAPPDATA", tmp_path / "AppData" / "Local" / "cconv" / "Cache"),
    ]:
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.delenv(variable, raising=False)
        assert former / "mnist" not in _files.places("mnist")
        former.mkdir(parents=True)
        assert _files.places("mnist") == [tmp_path / "system" / "cconv" / "mnist", former / "mnist"]
    write_idx_set(tmp_path / ".cache" / "cconv" / "mnist", n_train=4)
    monkeypatch.setattr(sys, "platform", "linux")
    assert len(mnist.load_data()[0][0]) == 4
    monkeypatch.undo()
    if sys.platform == "linux":
        monkeypatch.delenv("CCONV_CACHE_DIR", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
        assert _files.cache_folder() == tmp_path / "x" / "cconv"


def test_offline_is_two_sentences_and_no_bar(served, monkeypatch, capsys):
    closed = Mirror()
    closed.server_close()
    sources = tuple(
        replace(source, mirrors=(closed.url + "x/" + source.name, closed.url + "y/" + source.name))
        for source in mnist.FILES
    )
    monkeypatch.setattr(mnist, "FILES", sources)
    with pytest.raises(FileNotFoundError, match="there is no connection to download it") as caught:
        mnist.load_data()
    assert len(str(caught.value)) < 400
    assert str(caught.value).count(". ") == 1
    assert capsys.readouterr() == ("", "")


IMAGES, LABELS = small_split(7, 1)


def gzipped(data):
    """As gzip, without the time: workers of pytest-xdist must make the same names of tests of it."""
    return gzip.compress(data, mtime=0)


PACKED = gzipped(idx(IMAGES))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (0, b"", "got nothing"),
        (0, b"<html>moved</html>", "not a whole gzip file"),
        (0, PACKED[: len(PACKED) // 2], "not a whole gzip file"),
        (0, PACKED[:-8] + bytes(8), "not a whole gzip file"),
        (0, PACKED[:40] + bytes(40) + PACKED[80:], "not a whole gzip file"),
        (0, gzipped(b"\x00\x00"), "expected an IDX file"),
        (0, gzipped(idx(LABELS)), "with 3 axes, which begins with 00000803, got 00000801"),
        (0, gzipped(b"\0\0\x0d\3" + idx(IMAGES)[4:]), "got 00000d03"),
        (0, gzipped(idx(IMAGES)[:-1]), r"expected 5488 bytes for the shape \(7, 28, 28\), got 5487"),
        (0, gzipped(idx(IMAGES) + b"\0"), "expected 5488 bytes .* got more"),
        (0, gzipped(b"\0\0\x08\3" + b"\xff" * 12 + bytes(50)), "impossible shape"),
        (0, gzipped(b"\0\0\x08\3" + bytes(12)), "impossible shape"),
        (0, gzipped(idx(np.zeros((7, 8, 8)))), "expected images of 28x28 pixels, got 8x8"),
        (0, gzipped(idx(IMAGES[:6])), "expected a label for each of the 6 images, got 7"),
        (1, gzipped(idx(LABELS[:6])), "expected a label for each of the 7 images, got 6"),
        (1, gzipped(idx(LABELS + 10)), "expected labels below 10"),
        (1, PACKED, "with 1 axes"),
    ],
)
def test_damaged_or_foreign_idx_files(name, content, message, tmp_path, monkeypatch):
    write_idx_set(tmp_path / "mnist")
    (tmp_path / "mnist" / NAMES[name]).write_bytes(content)
    monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=message) as caught:
        mnist.load_data()
    assert str(tmp_path / "mnist") in str(caught.value)


def test_every_cut_of_an_idx_file_is_an_error(tmp_path):
    path = tmp_path / "x.gz"
    packed = gzipped(idx(LABELS))
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(ValueError, match=r"not a whole gzip file|expected an IDX file"):
            _idx.read_idx(path, 1)


def records(n, seed):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (n, cifar10.RECORD), np.uint8)
    data[:, 0] %= 10
    return data


def write_cifar(folder, sizes=(2, 3, 1, 2, 4, 3)):
    folder.mkdir(parents=True)
    data = [records(n, seed) for seed, n in enumerate(sizes)]
    for name, part in zip(cifar10.TRAIN + cifar10.TEST, data, strict=True):
        part.tofile(folder / name)
    return data


@pytest.mark.parametrize("folder", cifar10.FOLDERS)
def test_cifar10_reads_any_whole_number_of_records(folder, tmp_path, monkeypatch):
    data = write_cifar(tmp_path / folder)
    monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path))
    x_train, y_train, x_test, y_test = flatten(cifar10.load_data())
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == (
        (12, 32, 32, 3),
        (12,),
        (3, 32, 32, 3),
        (3,),
    )
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert x_train.flags.c_contiguous
    train = np.concatenate(data[:5])
    np.testing.assert_array_equal(y_train, train[:, 0])
    for row, column, channel in [(0, 0, 0), (0, 1, 0), (1, 0, 1), (31, 31, 2), (7, 9, 2)]:
        place = 1 + channel * 1024 + row * 32 + column
        np.testing.assert_array_equal(x_train[:, row, column, channel], train[:, place])
        np.testing.assert_array_equal(x_test[:, row, column, channel], data[5][:, place])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got 0 bytes"),
        (
            records(2, 0).tobytes()[:-1],
            "whole records of 3073 bytes each, got 6145 bytes: 1 records and 3072 bytes",
        ),
        (records(2, 0).tobytes() + b"\0", "2 records and 1 bytes"),
        (records(1, 0).tobytes() + bytes([10]) + bytes(3072), "expected labels below 10, got 10 in record 1"),
    ],
)
def test_damaged_cifar10_files(content, message, tmp_path, monkeypatch):
    write_cifar(tmp_path / "cifar10-subset")
    (tmp_path / "cifar10-subset" / "data_batch_3.bin").write_bytes(content)
    monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=message) as caught:
        cifar10.load_data()
    assert "data_batch_3.bin" in str(caught.value)


def test_cifar10_with_a_file_missing(tmp_path, monkeypatch):
    write_cifar(tmp_path / "cifar10-subset")
    (tmp_path / "cifar10-subset" / "data_batch_2.bin").unlink()
    monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"has no data_batch_2\.bin; put all six files there"):
        cifar10.load_data()


def test_real_cifar10_where_it_is(monkeypatch, tmp_path, real_folder):
    """Real records where this machine has them, generated ones elsewhere: no label is read as a pixel."""
    if real_folder is not None and (real_folder / "cifar10-subset").is_dir():
        monkeypatch.setenv("CCONV_DATA_DIR", str(real_folder))
        x_train, y_train, x_test, y_test = flatten(cifar10.load_data())
        # Neighbouring pixels of photographs are alike; a shift by one byte per record would show
        # as a jump between the last column and the first.
        steps = np.abs(np.diff(x_train.astype(np.int16), axis=2)).mean()
        assert steps < 20
        assert np.abs(np.diff(x_train.astype(np.int16), axis=1)).mean() < 20
    else:
        write_cifar(tmp_path / "cifar10-subset", (40, 40, 40, 40, 40, 40))
        monkeypatch.setenv("CCONV_DATA_DIR", str(tmp_path))
        x_train, y_train, x_test, y_test = flatten(cifar10.load_data())
    assert len(x_train) == len(y_train)
    assert len(x_test) == len(y_test)
    assert set(y_train) == set(y_test) == set(range(10))


# Downloads, from a server of our own


class Mirror(http.server.ThreadingHTTPServer):
    """Serves `files` (path: bytes); a path in `broken` announces everything and sends half."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.broken, self.asked = {}, set(), []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path in server.broken else body)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Mirror()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def served(mirror, monkeypatch):
    """A small MNIST of which this test's mirrors `a/` and `b/` each hold a good copy."""
    arrays = (*small_split(6, 3), *small_split(4, 4))
    files = []
    for source, array in zip(mnist.FILES, arrays, strict=True):
        content = idx(array)
        mirror.files[f"/a/{source.name}"] = gzipped(content)
        mirror.files[f"/b/{source.name}"] = gzip.compress(content, compresslevel=1)
        mirrors = (f"{mirror.url}a/{source.name}", f"{mirror.url}b/{source.name}")
        files.append(replace(source, mirrors=mirrors, sha256=hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(mnist, "FILES", tuple(files))
    return arrays


def cached(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*"))


def test_download_once(served, mirror, tmp_path, capfd):
    for _ in range(2):
        for found, expected in zip(flatten(mnist.load_data()), served, strict=True):
            np.testing.assert_array_equal(found, expected)
    assert mirror.asked == [f"/a/{name}" for name in NAMES]
    assert cached(tmp_path) == sorted(["mnist", *NAMES])
    assert NAMES[0] in capfd.readouterr().err  # the progress bar


def corrupt(mirror, path):
    mirror.files[path] = gzipped(idx(small_split(6, 9)[0]))


def html(mirror, path):
    mirror.files[path] = b"<html>not here</html>"


def absent(mirror, path):
    del mirror.files[path]


def interrupted(mirror, path):
    mirror.broken.add(path)


def damaged(mirror, path):
    body = bytearray(mirror.files[path])
    body[-8] ^= 1  # in the checksum of the content
    mirror.files[path] = bytes(body)


FAULTS = [corrupt, html, absent, interrupted, damaged]


@pytest.mark.parametrize("fault", FAULTS)
def test_second_mirror_helps(fault, served, mirror, tmp_path):
    fault(mirror, f"/a/{NAMES[0]}")
    for found, expected in zip(flatten(mnist.load_data()), served, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert mirror.asked[:2] == [f"/a/{NAMES[0]}", f"/b/{NAMES[0]}"]
    assert (tmp_path / "cache" / "mnist" / NAMES[0]).read_bytes() == mirror.files[f"/b/{NAMES[0]}"]


def test_first_mirror_down(served, mirror, tmp_path, monkeypatch):
    closed = Mirror()  # its port, closed again, refuses connections
    closed.server_close()
    files = tuple(
        replace(source, mirrors=(closed.url + source.name, source.mirrors[1])) for source in mnist.FILES
    )
    monkeypatch.setattr(mnist, "FILES", files)
    np.testing.assert_array_equal(mnist.load_data()[0][0], served[0])


@pytest.mark.parametrize("fault", FAULTS)
def test_no_mirror_helps(fault, served, mirror, tmp_path):
    for name in "ab":
        fault(mirror, f"/{name}/{NAMES[1]}")
    with pytest.raises(FileNotFoundError) as caught:
        mnist.load_data()
    message = str(caught.value)
    for part in (
        NAMES[1],
        str(tmp_path / "cache" / "mnist"),
        "/a/",
        "/b/",
        "no mirror gave it",
        "CCONV_DATA_DIR",
    ):
        assert part in message
    assert "\n" not in message
    assert cached(tmp_path) == ["mnist", NAMES[0]]  # nothing half-written stays


def test_interrupt_leaves_nothing_behind(served, tmp_path, monkeypatch):
    def stop(source, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(_files, "check", stop)
    with pytest.raises(KeyboardInterrupt):
        mnist.load_data()
    assert cached(tmp_path) == ["mnist"]


def test_without_pooch(served, monkeypatch, mirror):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'cconv\[data\]'"):
        mnist.load_data()
    assert mirror.asked == []


def archive(data):
    """A CIFAR-10 archive with these six parts, and one member that must not be unpacked."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        names = [f"cifar-10-batches-bin/{name}" for name in cifar10.TRAIN + cifar10.TEST]
        for name, content in [*zip(names, data, strict=True), ("../outside.bin", b"x")]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def test_cifar10_download(mirror, tmp_path, monkeypatch):
    data = [records(n, seed) for seed, n in enumerate((2, 1, 1, 2, 1, 3))]
    packed = archive([part.tobytes() for part in data])
    mirror.files |= {"/a": packed[:-9], "/b": packed}
    urls = (mirror.url + "a", mirror.url + "b")
    source = replace(cifar10.ARCHIVE, mirrors=urls, sha256=hashlib.sha256(packed).hexdigest())
    monkeypatch.setattr(cifar10, "ARCHIVE", source)
    for _ in range(2):
        x_train, y_train, _, y_test = flatten(cifar10.load_data())
        np.testing.assert_array_equal(y_train, np.concatenate(data[:5])[:, 0])
        np.testing.assert_array_equal(y_test, data[5][:, 0])
        assert x_train.shape == (7, 32, 32, 3)
    assert mirror.asked == ["/a", "/b"]
    assert cached(tmp_path) == sorted(["cifar-10-batches-bin", *cifar10.TRAIN, *cifar10.TEST])


def test_cifar10_nowhere(mirror, monkeypatch):
    source = replace(cifar10.ARCHIVE, mirrors=(mirror.url + "a", mirror.url + "b"))
    monkeypatch.setattr(cifar10, "ARCHIVE", source)
    with pytest.raises(FileNotFoundError, match=r"404.*put the \.bin files of it there"):
        cifar10.load_data()


def test_real_sources_have_two_mirrors_and_a_checksum():
    for source in (*mnist.FILES, *fashion_mnist.FILES, cifar10.ARCHIVE):
        assert len(set(source.mirrors)) == 2
        assert len(bytes.fromhex(source.sha256)) == 32
        assert all(url.endswith(source.name) for url in source.mirrors)


def test_checksums_are_those_of_the_real_files(real_folder, tmp_path):
    """With MNIST on this machine its own bytes pass; a changed byte never does."""
    sources = mnist.FILES
    folder = None if real_folder is None else real_folder / "mnist"
    if folder is None or not folder.is_dir():
        folder = tmp_path / "made"
        arrays = write_idx_set(folder)
        sources = tuple(
            replace(source, sha256=hashlib.sha256(idx(array)).hexdigest())
            for source, array in zip(sources, arrays, strict=True)
        )
    for source in sources:
        _files.check(source, folder / source.name)
    labels = gzip.decompress((folder / NAMES[3]).read_bytes())
    changed = tmp_path / NAMES[3]
    changed.write_bytes(gzipped(labels[:-1] + bytes([labels[-1] ^ 1])))
    with pytest.raises(ValueError, match="sha256"):
        _files.check(sources[3], changed)


def test_importing_data_sets_loads_neither_sklearn_nor_pooch():
    code = "import sys, cconv.datasets; print(*{'sklearn', 'pooch', 'tqdm', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""
