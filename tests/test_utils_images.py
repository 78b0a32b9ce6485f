"""Images as files, arrays and folders, with the order, split and values that Keras gives."""

import copy
import io
import sys

import numpy as np
import pytest
from PIL import Image

import cconv
from cconv import layers
from cconv.utils import array_to_img, image_dataset_from_directory, img_to_array, load_img, save_img
from cconv.utils.resizing import INTERPOLATIONS, cropped, padded, resize, taps

RNG = np.random.default_rng(8)
BYTES = RNG.integers(0, 256, (7, 5, 3), dtype=np.uint8)


# --- single images --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
@pytest.mark.parametrize("data_format", [None, "channels_last", "channels_first"])
def test_arrays_and_images_are_each_others(mode, channels, data_format):
    x = RNG.integers(0, 256, (7, 5, channels), dtype=np.uint8)
    given = np.moveaxis(x, 2, 0) if data_format == "channels_first" else x
    kept = given.copy()
    picture = array_to_img(given, data_format, scale=False)
    assert (picture.mode, picture.size) == (mode, (5, 7))
    back = img_to_array(picture, data_format)
    assert back.dtype == np.float32
    assert back.flags.c_contiguous
    assert np.array_equal(back, given)
    assert np.array_equal(given, kept)
    assert img_to_array(picture, data_format, "float64").dtype == np.float64


def test_scaling_is_that_of_keras():
    x = np.array([[[-1.0], [0.0], [3.0]]])
    # x - min, over max, times 255, cut: 0, 63.75, 255
    assert np.asarray(array_to_img(x)).tolist() == [[0, 63, 255]]
    assert np.asarray(array_to_img(np.full((1, 2, 1), 7))).tolist() == [[0, 0]]
    wide = array_to_img(np.array([[[70000.0]]]), scale=False)
    assert (wide.mode, wide.getpixel((0, 0))) == ("I", 70000)


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "gif", "jpg", "jpeg"])
def test_saved_images_are_read_again(tmp_path, ending):
    path = tmp_path / f"image.{ending}"
    flat = np.full((7, 5, 3), 120, np.uint8)
    save_img(path, flat, scale=False, **({"lossless": True} if ending == "webp" else {}))
    for source in (path, str(path), io.BytesIO(path.read_bytes()), str(path).encode()):
        picture = load_img(source)
        assert (picture.mode, picture.size) == ("RGB", (5, 7))
        assert np.abs(img_to_array(picture) - flat).max() <= 2
    assert load_img(path, "grayscale").mode == "L"
    assert load_img(path, "rgba").mode == "RGBA"


def test_formats_of_files_and_transparency(tmp_path):
    file = io.BytesIO()
    save_img(file, BYTES, file_format="jpg")
    assert Image.open(file).format == "JPEG"
    with pytest.warns(UserWarning, match="JPEG has no RGBA"):
        save_img(tmp_path / "a.jpg", RNG.integers(0, 256, (4, 4, 4)), scale=False)
    deep = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(deep)
    assert img_to_array(load_img(deep, "grayscale")).ravel().tolist() == [0, 256, 65535]


def test_target_sizes():
    file = io.BytesIO()
    save_img(file, np.arange(12).reshape(3, 4, 1) * 10, file_format="png", scale=False)
    picture = load_img(file, "grayscale", target_size=(3, 2))
    assert np.asarray(picture).tolist() == [[10, 30], [50, 70], [90, 110]]
    square = load_img(file, "grayscale", target_size=(3, 3), keep_aspect_ratio=True)
    assert np.asarray(square).tolist() == [[0, 10, 20], [40, 50, 60], [80, 90, 100]]
    assert load_img(file, target_size=(3, 4)).size == (4, 3)


REFUSED = [
    (lambda: load_img(3), TypeError, "load_img: path must be a path or a file, got int"),
    (
        lambda: load_img("x", "grey"),
        ValueError,
        "load_img: color_mode must be one of 'grayscale', 'rgb', 'rgba'",
    ),
    (lambda: load_img("x", interpolation="area"), ValueError, "load_img: interpolation must be one of"),
    (lambda: load_img("x", target_size=(0, 1)), ValueError, "load_img: target_size must be"),
    (lambda: load_img(io.BytesIO(b"no image")), ValueError, "cannot be read as an image"),
    (
        lambda: img_to_array(np.ones(3)),
        ValueError,
        r"img_to_array: img must have 2 or 3 axes, got shape \(3,\)",
    ),
    (lambda: img_to_array(BYTES, "last"), ValueError, "img_to_array: data_format must be one of"),
    (lambda: array_to_img(np.ones((2, 2))), ValueError, "array_to_img: x must have 3 axes"),
    (lambda: array_to_img(np.ones((2, 2, 2))), ValueError, "array_to_img: x must have 1, 3 or 4 channels"),
    (lambda: array_to_img(np.full((2, 2, 1), np.nan)), ValueError, "array_to_img: x must be finite"),
    (lambda: array_to_img(-BYTES.astype(int), scale=False), ValueError, r"x must lie in \[0, 255\]"),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED)
def test_wrong_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_without_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    calls = [
        lambda: load_img("x"),
        lambda: array_to_img(BYTES),
        lambda: save_img(tmp_path / "x.png", BYTES),
        lambda: image_dataset_from_directory(tmp_path),
    ]
    for call in calls:
        with pytest.raises(ImportError, match=r"needs Pillow: pip install 'cconv\[data\]'"):
            call()


# --- resizing -------------------------------------------------------------------------------------

# Pillow's filters are the same where nothing is made smaller.
ENLARGED = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


@pytest.mark.parametrize("interpolation", ENLARGED)
@pytest.mark.parametrize("size", [(7, 5), (8, 11), (21, 5), (14, 10)])
def test_enlarged_pictures_are_those_of_pillow(interpolation, size):
    x = RNG.normal(size=(7, 5, 1)).astype(np.float32)
    expected = np.asarray(Image.fromarray(x[..., 0]).resize(size[::-1], ENLARGED[interpolation]))
    assert resize(x, size, interpolation)[..., 0] == pytest.approx(expected, abs=2e-6)


def test_reduced_pictures_are_not_smoothed():
    x = np.arange(8, dtype=np.float32).reshape(1, 8, 1) ** 2
    # tf.image.resize of 8 to 2: the middles are at 1.5 and 5.5 (2 and 6 for the nearest)
    by_hand = {"bilinear": [2.5, 30.5], "nearest": [4, 36], "area": [3.5, 31.5], "bicubic": [2.25, 30.25]}
    for interpolation, expected in by_hand.items():
        assert resize(x, (1, 2), interpolation).ravel() == pytest.approx(expected, abs=1e-5)
    # of 5 to 3, each is 5/3 pixels: (0 + 2/3 · 1) / (5/3), …
    area = resize(np.arange(5, dtype=np.float32).reshape(1, 5, 1), (1, 3), "area").ravel()
    assert area == pytest.approx([0.4, 2.0, 3.6], abs=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_weights_are_shares_and_symmetric(interpolation):
    for n, size in ((1, 5), (5, 1), (6, 4), (4, 6), (9, 9)):
        numbers, weights = taps(n, size, interpolation)
        assert weights.sum(axis=1) == pytest.approx(1)
        dense = np.zeros((size, n))
        np.add.at(dense, (np.arange(size)[:, np.newaxis], numbers), weights)
        if interpolation != "nearest":
            assert dense == pytest.approx(dense[::-1, ::-1], abs=1e-12)


@pytest.mark.parametrize(
    ("size", "part", "whole"),
    [((10, 10), (7, 1, 0), (12, 12)), ((12, 3), (7, 0, 5), (48, 12)), ((7, 12), (7, 0, 0), (7, 12))],
)
def test_ratios(size, part, whole):
    x = RNG.random((7, 12, 1)).astype(np.float32)
    cut = cropped(x, size)
    high = min(7, 12 * size[0] // size[1])
    wide = min(12, 7 * size[1] // size[0])
    assert cut.shape == (high, wide, 1)
    assert np.array_equal(cut, x[(7 - high) // 2 :][:high, (12 - wide) // 2 :][:, :wide])
    out = padded(x, size)
    assert out.shape[:2] == whole
    top, left = (whole[0] - 7) // 2, (whole[1] - 12) // 2
    assert np.array_equal(out[top : top + 7, left : left + 12], x)
    assert out.sum() == pytest.approx(x.sum())


# --- folders --------------------------------------------------------------------------------------

FILES = ["b/2.png", "b/10.PNG", "b/sub/1.bmp", "a/z.jpg", "a/y.jpeg", "a/x.webp", "c/one.gif", "c/two.png"]
SORTED = ["a/x.webp", "a/y.jpeg", "a/z.jpg", "b/10.PNG", "b/2.png", "b/sub/1.bmp", "c/one.gif", "c/two.png"]
LABELS = [0, 0, 0, 1, 1, 1, 2, 2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for number, name in enumerate(FILES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        save_img(root / name, np.full((4 + number, 6, 3), 20 * number), scale=False)
    (root / "a" / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    save_img(root / ".hidden" / "n.png", BYTES)
    return root


def made(folder, *arguments, **settings):
    return image_dataset_from_directory(
        folder, *arguments, **{"image_size": (4, 6), "verbose": False, **settings}
    )


def names(data, folder):
    return [path.removeprefix(f"{folder}/") for path in data.file_paths]


def test_files_and_classes_are_in_order(folder, capsys):
    data = made(folder, shuffle=False, batch_size=3, verbose=True)
    assert capsys.readouterr().out == "Found 8 files belonging to 3 classes.\n"
    assert names(data, folder) == SORTED
    assert data.class_names == ["a", "b", "c"]
    assert len(data) == 3
    batches = list(data)
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert (x.shape, x.dtype, y.dtype, y.tolist()) == ((8, 4, 6, 3), np.float32, np.int32, LABELS)
    assert [len(batch[1]) for batch in batches] == [3, 3, 2]
    expected = [20 * FILES.index(name) for name in SORTED]
    assert np.abs(x - np.reshape(expected, (8, 1, 1, 1))).max() <= 3
    with pytest.raises(IndexError):
        data[3]
    other = made(folder, shuffle=False, class_names=["c", "a"], label_mode="categorical")
    assert names(other, folder) == SORTED[6:] + SORTED[:3]
    assert np.array_equal(other[0][1], np.eye(2)[[0, 0, 1, 1, 1]])
    two = made(folder, shuffle=False, class_names=["a", "b"], label_mode="binary")
    assert (two[0][1].dtype, two[0][1].tolist()) == (np.float32, [[0.0]] * 3 + [[1.0]] * 3)


def test_labels_of_ones_own_and_none(folder):
    own = made(folder, [5, 5, 3, 3, 3, 3, 3, 3, 3], shuffle=False)
    # The files of hidden folders are among them, first, as in Keras.
    assert names(own, folder)[0] == ".hidden/n.png"
    assert own.class_names == ["3", "5"]
    assert own[0][1].tolist() == [5, 5, 3, 3, 3, 3, 3, 3, 3]
    for settings in ({"labels": None}, {"label_mode": None}):
        plain = made(folder, shuffle=False, color_mode="grayscale", **settings)
        assert plain.class_names is None
        assert plain[0].shape == (9, 4, 6, 1)


def test_shuffled_as_keras_does(folder):
    data = made(folder, seed=3)
    expected = list(zip(SORTED, LABELS, strict=True))
    np.random.RandomState(3).shuffle(expected)
    assert names(data, folder) == [name for name, _ in expected]
    first = data[0][1].tolist()
    assert first == [label for _, label in expected]
    data.on_epoch_end()
    again, other = data[0][1].tolist(), made(folder, seed=3)
    other.on_epoch_end()
    assert again != first
    assert other[0][1].tolist() == again
    train, validation = made(folder, seed=3, validation_split=0.3, subset="both")
    assert names(train, folder) + names(validation, folder) == names(made(folder, seed=3), folder)
    assert len(validation.file_paths) == 2  # int(0.3 * 8)
    for subset, part in (("training", train), ("validation", validation)):
        single = made(folder, seed=3, validation_split=0.3, subset=subset)
        assert single.file_paths == part.file_paths


def test_a_folder_trains_as_its_arrays_do(folder):
    weights = []
    for arrays in (False, True):
        model = cconv.Sequential(
            [layers.Rescaling(1 / 255, input_shape=(3, 4, 6)), layers.Flatten(), layers.Dense(3, "softmax")],
            seed=2,
            data_format="channels_first",
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        data = made(
            folder, shuffle=False, batch_size=3, data_format="channels_first", crop_to_aspect_ratio=True
        )
        if arrays:
            x, y = (np.concatenate(parts) for parts in zip(*data, strict=True))
            model.fit(x, y, 3, 2, 0, shuffle=False)
        else:
            model.fit(data, epochs=2, verbose=0, shuffle=False, validation_data=data)
            assert model.predict(data).shape == (8, 3)
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_a_damaged_file_is_named(folder, tmp_path):
    (tmp_path / "a").mkdir()
    good = (folder / "b" / "2.png").read_bytes()
    (tmp_path / "a" / "cut.png").write_bytes(good[: len(good) // 2])
    data = made(tmp_path)
    with pytest.raises(
        ValueError, match=r"image_dataset_from_directory: '.*cut.png' cannot be read as an image"
    ):
        data[0]
    deep = tmp_path / "a" / "cut.png"
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(deep)
    assert made(tmp_path, image_size=(1, 3))[0][0][0, :, :, 1].tolist() == [[0, 1, 255]]


WRONG = [
    ({"labels": "some"}, "labels must be 'inferred', a list of ints or None, got 'some'"),
    ({"labels": [1, 2]}, "labels must be one for each of the 9 files, got 2"),
    ({"labels": [1.5]}, "labels must be ints of at least 0"),
    ({"labels": [7] * 9, "label_mode": "categorical"}, "labels must be class numbers below 1"),
    ({"label_mode": "onehot"}, "label_mode must be one of 'int', 'categorical', 'binary'"),
    ({"label_mode": "binary"}, "label_mode must not be 'binary' without 2 classes"),
    ({"class_names": ["a", "q"]}, "class_names must be folders of directory"),
    ({"class_names": ["a"], "labels": None}, "class_names must not be given unless"),
    ({"color_mode": "bgr"}, "color_mode must be one of"),
    ({"interpolation": "box"}, "interpolation must be one of"),
    ({"image_size": (0, 3)}, "image_size must be"),
    ({"batch_size": 0}, "batch_size must be a positive int"),
    ({"validation_split": 0.5}, "validation_split and subset must be given together"),
    ({"subset": "training"}, "validation_split and subset must be given together"),
    ({"validation_split": 1.5, "subset": "both"}, r"validation_split must be in \[0, 1\)"),
    ({"validation_split": 0.5, "subset": "half"}, "subset must be one of"),
    ({"validation_split": 0.5, "subset": "both"}, "seed must be given, or shuffle=False"),
    ({"validation_split": 0.01, "subset": "validation", "seed": 1}, "directory must have files that end in"),
    (
        {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
        "crop_to_aspect_ratio and pad_to_aspect_ratio must not both be True",
    ),
    ({"data_format": "first"}, "data_format must be one of"),
]


@pytest.mark.parametrize(("settings", "text"), WRONG)
def test_wrong_arguments_of_folders(folder, settings, text):
    with pytest.raises(ValueError, match=f"^image_dataset_from_directory: {text}"):
        made(folder, **settings)


def test_what_scripts_ask_of_a_tf_data_dataset(tmp_path):
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            save_img(tmp_path / kind / f"{number}.png", BYTES[..., :1] // (number + 1), scale=False)
    data = image_dataset_from_directory(
        tmp_path, image_size=(4, 4), batch_size=2, shuffle=False, verbose=False
    )
    batches = list(data)
    for count in (0, 1, 2, 3, 9, -1, np.int64(2)):
        taken = list(data.take(count))
        assert len(taken) == (3 if count < 0 else min(count, 3))
        for (x, y), (x_too, y_too) in zip(taken, batches, strict=False):
            assert (x == x_too).all()
            assert (y == y_too).all()
    assert data.cache().prefetch(buffer_size=-1) is data
    with pytest.raises(TypeError, match=r"ImageDataset\.take: count must be an int, got 1\.5"):
        data.take(1.5)
    with pytest.raises(AttributeError, match=r"has no map, it is no tf\.data\.Dataset: put Rescaling"):
        data.map(lambda x, y: (x / 255, y))
    with pytest.raises(AttributeError, match="'ImageDataset' object has no attribute 'nothing'"):
        data.nothing  # noqa: B018
    assert [len(batch[0]) for batch in copy.deepcopy(data)] == [2, 2, 2]


def test_a_state_of_the_first_epoch_is_restored_too(folder):
    data = made(folder, seed=3)
    states, batches = [], []
    for _ in range(3):
        states.append(data.get_state())
        batches.append(data[0][0].tobytes())
        data.on_epoch_end()
    for epoch in (0, 2, 1, 0):
        data.set_state(states[epoch])
        assert (data.get_state(), data[0][0].tobytes()) == (states[epoch], batches[epoch])
