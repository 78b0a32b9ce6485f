"""Images in tar, Parquet and folders: the rows, order and training of an array in memory; damage by name."""

import json
import pickle
import tarfile
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import folders, parquets, png, samples, sorted_rows, tars, write_tar
from PIL import Image
from sources import OnDisk, same
from test_resuming import Deadly, Dies, Stop

from cconv.callbacks import BackupAndRestore
from cconv.inputs import orders, windows
from cconv.layers import Dense, Flatten, RandomFlip
from cconv.models import Sequential
from cconv.utils import FolderImages, ParquetImages, TarImages

DRAW = np.random.default_rng(5)
X = DRAW.integers(0, 256, (60, 6, 5, 3), np.uint8)
Y = DRAW.integers(0, 3, 60)
try:
    import pyarrow
except ImportError:
    pyarrow = None
KINDS = ["tar", "folder", "parquet"] if pyarrow else ["tar", "folder"]
needs_pyarrow = pytest.mark.skipif(pyarrow is None, reason="without pyarrow")


def network(seed=3, shape=X.shape[1:]):
    model = Sequential([RandomFlip(input_shape=shape), Flatten(), Dense(3, activation="softmax")], seed=seed)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def stored(kind, folder, x, y, sizes, **options):
    """Images as files, and their rows in memory."""
    if kind == "folder":
        return folders(folder, x, y, **options), *sorted_rows(x, y)
    return {"tar": tars, "parquet": parquets}[kind](folder, x, y, sizes, **options), x, y


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rows_and_training_are_those_of_memory(tmp_path_factory, data):
    kind, n = data.draw(st.sampled_from(KINDS)), data.draw(st.integers(2, len(X)))
    sizes = data.draw(st.lists(st.integers(1, 25), min_size=1, max_size=4))
    options = {"workers": data.draw(st.integers(1, 4))}
    if kind == "parquet":
        options |= {"nested": data.draw(st.booleans()), "files": data.draw(st.integers(1, 3))}
    elif kind == "tar":
        options |= {"label": data.draw(st.sampled_from(["cls", "json.at"]))}
    images, x, y = stored(kind, tmp_path_factory.mktemp("images"), X[:n], Y[:n], sizes, **options)
    images = pickle.loads(pickle.dumps(images))
    labels = y if kind != "folder" else np.unique(y, return_inverse=True)[1]
    assert images.shape == x.shape
    assert np.array_equal(images.labels, labels)
    assert images.labels.dtype == np.int64
    rows = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=30)), np.intp)
    assert np.array_equal(images[rows], x[rows])
    step = data.draw(st.sampled_from([1, 2, -1, -3]))
    assert np.array_equal(images[::step], x[::step])
    assert np.array_equal(images[n - 1], x[-1])
    assert np.array_equal(np.asarray(images), x)
    how = data.draw(st.sampled_from(["exact", "blocks", True, False]))
    fit = {"shuffle": how, "batch_size": data.draw(st.integers(1, 20)), "epochs": 2, "verbose": 0}
    fit["validation_split"] = data.draw(st.sampled_from([0.0, 0.25])) if n > 4 else 0.0
    sample = X[0].nbytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "BLOCK_BYTES", data.draw(st.integers(1, 30)) * sample)
        patch.setattr(orders, "RUN_BYTES", 3 * sample)
        patch.setattr(windows, "PIECE_BYTES", data.draw(st.integers(1, 12)) * sample)
        one, other = network(), network()
        # By blocks whole chunks change their places: those of an array on disk that has the same.
        memory = OnDisk(x, images.chunks) if how in (True, "blocks") else x
        expected = one.fit(memory, labels, **fit)
        got = other.fit(images, images.labels, prefetch_bytes=data.draw(st.integers(1, 40 * sample)), **fit)
    assert got.history == expected.history
    assert same(one, other)
    assert np.array_equal(other.predict(images, batch_size=7, verbose=0), one.predict(x, verbose=0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", ["exact", "blocks", False])
def test_a_training_is_taken_up_with_the_same_bits(tmp_path, monkeypatch, kind, shuffle):
    for name, count in (("BLOCK_BYTES", 25), ("RUN_BYTES", 4)):
        monkeypatch.setattr(orders, name, count * X[0].nbytes)
    monkeypatch.setattr(windows, "PIECE_BYTES", 5 * X[0].nbytes)
    (tmp_path / "images").mkdir()
    images, x, y = stored(kind, tmp_path / "images", X, Y, [13, 7, 20])

    def trained(data, dies=None, ahead=1, **options):
        backup = Deadly(tmp_path / "b", dies, save_freq=1) if dies else BackupAndRestore(tmp_path / "b")
        model = network()
        fit = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": shuffle, "prefetch_bytes": ahead}
        model.fit(data, y, callbacks=backup, **fit | options)
        return [array.tobytes() for array in model.get_weights()]

    expected = trained(images)
    if shuffle != "blocks":
        assert trained(x) == expected
    for at in (1, 6, 12):
        with pytest.raises(Stop):
            trained(images, Dies(at))
        images.workers = 1 + at % 4
        assert trained(images, ahead=at * X[0].nbytes) == expected
    if shuffle == "blocks":
        with pytest.raises(Stop):
            trained(images, Dies(3))
        with pytest.raises(
            ValueError, match=r"the data must be those of the checkpoint, .* shuffle 'blocks of 24"
        ):
            trained(images, shuffle="exact")


def test_images_of_all_kinds(tmp_path):
    grey = X[..., :1]
    images = tars(tmp_path, grey, Y, [9], color_mode="grayscale", data_format="channels_first", workers=2)
    assert np.array_equal(images[:], np.moveaxis(grey, 3, 1))
    assert repr(images) == "TarImages of 60 images, shape (1, 6, 5)"
    assert images.keys[:2] == ["./part.s/000", "./part.s/001"]
    assert images.chunks == ((9,) * 6 + (6,), (1,), (6,), (5,))
    wide = TarImages(images.file_paths, color_mode="rgba", image_size=(3, 4), label=None)
    assert (wide.shape, wide.labels) == ((60, 3, 4, 4), None)
    small = Image.fromarray(grey[7, ..., 0]).resize((4, 3), Image.Resampling.BILINEAR)
    assert np.array_equal(np.abs(wide[7][..., 0].astype(int) - np.asarray(small)) <= 1, np.ones((3, 4), bool))
    several = write_tar(tmp_path / "seg.tar", [("a.seg.png", png(X[0])), ("a.png", png(X[1]))])
    assert np.array_equal(TarImages(several, label=None, image=".seg.png")[0], X[0])
    assert np.array_equal(TarImages(str(several), label=None, image="PNG")[0], X[1])


def broken(data):
    return data[: len(data) // 2]


P, Q = png(X[0]), png(X[1])
TARS = {
    "image": (
        [("a.png", P), ("a.cls", b"1"), ("b.png", broken(Q)), ("b.cls", b"1")],
        "b': not a readable",
    ),
    "size": (
        [("a.png", P), ("a.cls", b"1"), ("b.png", png(X[1, 1:])), ("b.cls", b"1")],
        "'b': it has 5x5",
    ),
    "no label": ([("a.png", P), ("a.txt", b"1")], "the key 'a' has no label 'cls', got png, txt"),
    "no image": (
        [("a.png", P), ("a.cls", b"0"), ("c/b.cls", b"1")],
        "'c/b' must have one image of jpg, .* cls",
    ),
    "two images": (
        [("a.png", P), ("a.jpg", P), ("a.cls", b"1")],
        "one image .* got png, jpg, cls",
    ),
    "twice": ([("a.png", P), ("a.png", Q), ("a.cls", b"1")], "the key 'a' has two files 'png'"),
    "duplicate": (
        [("a.png", P), ("a.cls", b"1"), ("b.png", P), ("b.cls", b"1"), ("a.png", P)],
        "'a' .* two places",
    ),
    "unsorted": (
        [("a.png", P), ("b.png", P), ("a.cls", b"1"), ("b.cls", b"1")],
        "'a' has no label 'cls'",
    ),
    "no samples": ([("README", b"!"), (".a.png", P)], "there is no sample in it"),
    "empty": ([], "there is no sample in it"),
    "nan": ([("a.png", P), ("a.cls", b"nan")], "label of the key 'a' must be a whole number, got b'nan'"),
    "float": ([("a.png", P), ("a.cls", b"1.0")], "label of the key 'a' must be a whole number, got b'1.0'"),
    "large": ([("a.png", P), ("a.cls", b"9" * 40)], "label of the key 'a' must be a whole number"),
    "long": ([("a.png", P), ("a.cls", b" " * (1 << 21))], "label 'cls' of the key 'a' has 2097152 bytes"),
}


@pytest.mark.parametrize("fault", TARS)
def test_what_is_wrong_in_a_shard_is_named(tmp_path, fault):
    files, words = TARS[fault]
    good = write_tar(tmp_path / "good.tar", samples(X[:20], Y[:20]))
    path = write_tar(tmp_path / "wrong.tar", files)
    with pytest.raises(ValueError, match=rf"wrong\.tar: .*{words}"):
        network().fit(images := TarImages([good, path]), images.labels, verbose=0)


@pytest.mark.parametrize("value", ["NaN", "1.0", "true", '"1"', "null", "[1]", "1e400", "9" * 30])
def test_labels_in_json_are_whole_numbers(tmp_path, value):
    path = write_tar(tmp_path / "a.tar", [("k.json", b'{"id": %s}' % value.encode()), ("k.png", P)])
    with pytest.raises(ValueError, match=r"a\.tar: .*the label of the key 'k' must be a whole number, got"):
        TarImages(path, label="json.id")
    with pytest.raises(ValueError, match=r"a\.tar: .*the JSON of the key 'k' has no entry 'x'"):
        TarImages(path, label="json.x")


def read(path):
    """The shape of the images of a shard, or what is wrong with it."""
    try:
        return str(TarImages(path)[:].shape[1:])
    except ValueError as error:
        return str(error)


def test_a_shard_that_is_cut_off_or_changed_at_any_byte(tmp_path):
    """Cut anywhere, a shard is refused; a changed byte is an error by name, or of no harm."""
    path = write_tar(tmp_path / "s.tar", samples(X[:4], Y[:4]))
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for size in [*range(0, end, 97), end]:
        path.write_bytes(whole[:size])
        with pytest.raises((ValueError, OSError), match=r"s\.tar"):
            TarImages(path)
    draw = np.random.default_rng(1)
    for at in draw.choice(end, 150, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[at] ^= int(draw.integers(1, 256))
        path.write_bytes(damaged)
        outcome = read(path)
        assert "s.tar" in outcome or outcome == "(6, 5, 3)"
    path.write_bytes(whole + b"more")
    with pytest.raises(ValueError, match=r"s\.tar: .*it is damaged at byte"):
        TarImages(path)


def test_shards_that_are_refused(tmp_path):
    for mode, name in (("w:gz", "gzip"), ("w:xz", "xz"), ("w:bz2", "bzip2")):
        with tarfile.open(tmp_path / name, mode) as tar:
            tar.addfile(tarfile.TarInfo("a.png"))
        with pytest.raises(ValueError, match=rf"{name}: .*it is packed by {name}"):
            TarImages(tmp_path / name)
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ValueError, match=r"link\.tar: .*'a\.png' must be a plain file, no link"):
        TarImages(tmp_path / "link.tar")
    with pytest.raises(FileNotFoundError, match=r"there is no file: .*nothing\.tar"):
        TarImages(tmp_path / "nothing.tar")
    (tmp_path / "text.tar").write_text("no tar file " * 100)
    with pytest.raises(ValueError, match=r"text\.tar: not a tar file of whole samples"):
        TarImages(tmp_path / "text.tar")
    path = write_tar(tmp_path / "a.tar", samples(X[:20], Y[:20]))
    images = TarImages(path)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(ValueError, match=r"a\.tar: key '\./part\.s/0.*': not a readable picture"):
        images[:]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"files": []}, ValueError, "TarImages: files must have at least one path, got none"),
        ({"files": 3}, TypeError, "TarImages: files must be a path or a list of paths, got 3"),
        ({"files": ["a", 3]}, TypeError, "files must be a path or a list of paths, got 3 among them"),
        ({"files": ["a", "b", "a"]}, ValueError, "files must name each file once, got 'a' twice"),
        ({"label": "txt"}, ValueError, "label must be 'cls', 'json.' and a name, or None, got 'txt'"),
        ({"label": "json."}, ValueError, "label must be 'cls', 'json.' and a name, or None"),
        ({"image": 3}, TypeError, "image must be a str or None, got 3"),
        (
            {"color_mode": "cmyk"},
            ValueError,
            "TarImages: color_mode must be one of 'grayscale', 'rgb', 'rgba'",
        ),
        ({"image_size": 0}, ValueError, "TarImages: image_size must be"),
        ({"workers": 0}, ValueError, "TarImages: workers must be a positive int, got 0"),
        ({"data_format": "hwc"}, ValueError, "TarImages: data_format must be one of"),
    ],
)
def test_what_is_refused_of_arguments(tmp_path, arguments, error, words):
    path = write_tar(tmp_path / "a.tar", samples(X[:2], Y[:2]))
    with pytest.raises(error, match=words):
        TarImages(**{"files": path} | arguments)


def test_rows_that_are_none(tmp_path):
    images = tars(tmp_path, X, Y, [60])
    for rows, error in (
        (60, IndexError),
        (-61, IndexError),
        ([60], IndexError),
        ([0.5], TypeError),
        ("a", TypeError),
    ):
        with pytest.raises(error):
            images[rows]
    assert images[3:3].shape == (0, 6, 5, 3)
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(images, copy=False)


@pytest.mark.parametrize("workers", [1, 4])
def test_the_first_damaged_image_is_named_and_no_thread_is_left(tmp_path, workers):
    files = dict(samples(X, Y))
    for number in (57, 33, 40):
        files[f"./part.s/{number:03}.png"] = broken(P)
    images = TarImages(write_tar(tmp_path / "a.tar", files.items()), workers=workers)
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(ValueError, match=r"key '\./part\.s/033': not a readable picture"):
            network().fit(images, images.labels, shuffle=False, batch_size=8, epochs=2, verbose=0)
    assert threading.active_count() == before


def test_filters_of_warnings_stay_what_they_were(tmp_path):
    """They belong to the whole process: threads that decode must leave them alone."""
    images = tars(tmp_path, X, Y, [30], workers=4)
    kept, opened = warnings.filters.copy(), []
    threads = [threading.Thread(target=lambda: opened.append(images[:])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert all(np.array_equal(found, X) for found in opened)
    assert warnings.filters == kept


# --- Parquet ------------------------------------------------------------------------------------


def table(folder, **columns):
    path = folder / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    return path


@needs_pyarrow
def test_what_is_wrong_in_a_table_is_named(tmp_path):
    import pyarrow.parquet

    good = [P, Q, P]
    cases = [
        ({"image": [P, Q, broken(P)], "label": [1, 2, 3]}, "row 2: not a readable picture"),
        ({"image": [P, None, P], "label": [1, 2, 3]}, "row 1: there is no image"),
        ({"image": [{"bytes": P}, None], "label": [1, 2]}, "row 1: there is no image"),
        ({"image": [{"bytes": P}, {"bytes": None}], "label": [1, 2]}, "row 1: there is no image"),
        ({"image": good, "label": [1, None, 3]}, "row 1 has no 'label'"),
        ({"image": good, "label": [1, 2, np.nan]}, "row 2 must have a whole number 'label', got nan"),
        ({"image": good, "label": [1, 2, 0.5]}, "row 2 must have a whole number 'label', got 0.5"),
        ({"image": good, "label": [1, 2, np.inf]}, "row 2 must have a whole number 'label', got inf"),
        ({"image": good, "label": pyarrow.array([1, 2, 2**63], pyarrow.uint64())}, "row 2 must have a whole"),
        ({"image": good, "label": ["a", "b", "c"]}, "column 'label' must be of whole numbers, got string"),
        ({"image": ["a", "b", "c"], "label": [1, 2, 3]}, "column 'image' must be of binaries, .* got string"),
        ({"image": [{"path": "a"}], "label": [1]}, "column 'image' must be of binaries, or structs"),
        ({"picture": good, "label": [1, 2, 3]}, "one column 'image', got picture, label"),
        ({"image": good, "kind": [1, 2, 3]}, "one column 'label', got image, kind"),
        (
            {"image": pyarrow.array([], pyarrow.binary()), "label": pyarrow.array([], pyarrow.int8())},
            "no row in it",
        ),
    ]
    for columns, words in cases:
        path = table(tmp_path, **columns)
        with pytest.raises(ValueError, match=rf"t\.parquet: .*{words}"):
            ParquetImages(path)[:]
    path = table(tmp_path, image=good, label=[True, False, True])
    assert ParquetImages(path).labels.tolist() == [1, 0, 1]
    assert ParquetImages(path, label=None).labels is None
    whole = path.read_bytes()
    for size in range(0, len(whole), 41):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"t\.parquet: not a whole Parquet file"):
            ParquetImages(path)
    images = ParquetImages(table(tmp_path, image=good, label=[1, 2, 3]))
    path.write_bytes(whole[:8] + b"?" * (len(whole) - 16) + whole[-8:])
    with pytest.raises(ValueError, match=r"t\.parquet: .*"):
        images[:]
    for name in (3, None):
        with pytest.raises(TypeError, match="ParquetImages: image must be the name of a column, got"):
            ParquetImages(path, image=name)


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"reading Parquet needs pyarrow: pip install 'cconv\[parquet\]'"):
        ParquetImages(tmp_path / "a.parquet")


@needs_pyarrow
def test_a_row_group_is_read_once_for_a_run(tmp_path, monkeypatch):
    from cconv.files import parquet

    images, read = pickle.loads(pickle.dumps(parquets(tmp_path, X, Y, [10]))), []
    read_group = parquet.read_group

    def noting(table, group):
        read.append(group)
        return read_group(table, group)

    monkeypatch.setattr(parquet, "read_group", noting)
    network().fit(images, images.labels, batch_size=4, verbose=0)
    assert sorted(read) == [*range(6)]
    read.clear()
    network().fit(images, images.labels, batch_size=4, shuffle=False, verbose=0, prefetch_bytes=1)
    assert read == [*range(6)]


# --- folders ------------------------------------------------------------------------------------


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match="directory must have a folder for each class, got none in"):
        FolderImages(tmp_path)
    with pytest.raises(TypeError, match=r"FolderImages: directory must be text or a pathlib\.Path, got 3"):
        FolderImages(3)
    images = folders(tmp_path, X, Y)
    assert images.class_names == ["class 0", "class 1", "class 2"]
    path = images.file_paths[20]
    with open(path, "wb") as file:
        file.write(broken(P))
    with pytest.raises(ValueError, match=r"class .*more.*png: not a readable picture"):
        images[:]
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none: there must be files of \.png"):
        FolderImages(tmp_path)


def test_a_label_is_json_of_any_file(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("k.json", b"{" * 100000), ("k.png", P)])
    with pytest.raises(ValueError, match=r"a\.tar: .*the JSON of the key 'k' is damaged"):
        TarImages(path, label="json.id")
    path = write_tar(tmp_path / "a.tar", [("k.json", json.dumps({"a.b": 7}).encode()), ("k.png", P)])
    assert TarImages(path, label="json.a.b").labels.tolist() == [7]
