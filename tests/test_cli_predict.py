"""`python -m cconv predict` for every kind of model and file: an answer, or one sentence and exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cconv
from cconv import cli
from cconv.layers import (
    Activation,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Reshape,
    Softmax,
)
from cconv.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from cconv.models import Sequential, load_model

SHAPE = (6, 6, 1)
IMAGES = np.random.default_rng(0).random((5, *SHAPE), np.float32)


@pytest.fixture
def run(capsys):
    """Run the command line as a shell would; return exit code, output and errors."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = cli.main([str(a) for a in arguments])
        except SystemExit as end:  # as argparse ends
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def saved(folder, layers, loss=None, shape=SHAPE, **options):
    model = Sequential(layers, seed=1, **options)
    model.build(shape)
    if loss is not None:
        model.compile("sgd", loss)
    model.save(folder / "m.st")
    return folder / "m.st", model


def answered(run, folder, layers, loss=None, images=IMAGES, **options):
    """Save a model, ask it, and return what it gave and what the command line said."""
    path, model = saved(folder, layers, loss, images.shape[1:], **options)
    np.save(folder / "x.npy", images)
    code, out, err = run("predict", path, folder / "x.npy")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{folder / 'x.npy'}[{i}]" for i in range(len(images))]
    return model.predict(images, verbose=0), [line.split(": ", 1)[1] for line in lines]


def hidden(units=4):
    return [Conv2D(3, 3, activation="relu"), Flatten(), Dense(units)]


def softmax(y):
    return np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)


def best(y):
    return [f"{row.argmax()} {row.max():.4f}" for row in y]


@pytest.mark.parametrize(
    "ending",
    [
        [Dense(1, activation="sigmoid")],
        [Dense(1), Activation("sigmoid")],
        [Dense(1, activation="sigmoid"), Dropout(0.5)],
        [Dense(1, activation="sigmoid"), Reshape((1, 1, 1))],
        [Dense(1, activation="sigmoid"), Reshape((1, 1, 1)), Flatten()],
    ],
)
@pytest.mark.parametrize("loss", [None, "binary_crossentropy", "mse"])
def test_one_sigmoid_is_a_class_by_its_threshold(ending, loss, run, tmp_path):
    scale = 200.0 * np.linspace(-1, 1, 5, dtype=np.float32)[:, None, None, None]
    y, said = answered(run, tmp_path, [Flatten(), *ending], loss, IMAGES * scale)
    p = y.reshape(-1)
    assert p.min() < 0.5 < p.max()
    assert said == [f"1 {v:.4f}" if v > 0.5 else f"0 {1 - v:.4f}" for v in p.astype(float)]


def test_one_half_is_class_0(run, tmp_path):
    layers = [Flatten(), Dense(1, activation="sigmoid", kernel_initializer="zeros")]
    assert answered(run, tmp_path, layers)[1] == ["0 0.5000"] * 5


@pytest.mark.parametrize("loss", [None, "mse", "categorical_crossentropy"])
def test_softmax_is_a_class(loss, run, tmp_path):
    for ending in ([Softmax()], [Softmax(), Dropout(0.5)], [Softmax(), Reshape((1, 1, 4))]):
        y, said = answered(run, tmp_path, [*hidden(), *ending], loss if len(ending) == 1 else None)
        assert said == best(y.reshape(5, 4))


def test_log_softmax_is_a_class_with_its_probability(run, tmp_path):
    y, said = answered(run, tmp_path, [*hidden(), Activation("log_softmax")])
    assert said == best(np.exp(y))


@pytest.mark.parametrize("loss", [CategoricalCrossentropy(True), SparseCategoricalCrossentropy(True)])
def test_logits_are_a_class(loss, run, tmp_path):
    y, said = answered(run, tmp_path, hidden(), loss)
    assert said == best(softmax(y.astype(float)))


def test_one_logit_is_a_class(run, tmp_path):
    scale = np.linspace(-1, 1, 5, dtype=np.float32)[:, None, None, None]
    y, said = answered(run, tmp_path, [Flatten(), Dense(1)], BinaryCrossentropy(True), IMAGES * scale)
    p = 1 / (1 + np.exp(-y.astype(float)))
    assert said == [f"1 {v:.4f}" if v > 0.5 else f"0 {1 - v:.4f}" for (v,) in p]
    assert {line[0] for line in said} == {"0", "1"}


def test_several_sigmoids_are_every_class_above_one_half(run, tmp_path):
    layers = [Flatten(), Dense(3, activation="sigmoid")]
    scale = 10 * np.linspace(-1, 1, 5, dtype=np.float32)[:, None, None, None]
    y, said = answered(run, tmp_path, layers, "binary_crossentropy", IMAGES * scale)
    for row, line in zip(y, said, strict=True):
        expected = ", ".join(f"{i} {v:.4f}" for i, v in enumerate(row) if v > 0.5)
        assert line == (expected or "none of the classes")
    _, said = answered(run, tmp_path, layers, "mse")
    assert said == best(load_model(tmp_path / "m.st").predict(IMAGES, verbose=0))
    _, said = answered(
        run,
        tmp_path,
        [Flatten(), Dense(2, activation="sigmoid", kernel_initializer="zeros")],
        "binary_crossentropy",
    )
    assert said == ["none of the classes"] * 5


@pytest.mark.parametrize("units", [1, 2, 7])
@pytest.mark.parametrize("activation", [None, "relu", "tanh", "leaky_relu"])
@pytest.mark.parametrize("loss", [None, "mae"])
def test_regressions_print_their_numbers(units, activation, loss, run, tmp_path):
    y, said = answered(run, tmp_path, [Flatten(), Dense(units, activation=activation)], loss)
    assert said == [" ".join(f"{v:.6g}" for v in row.astype(float)) for row in y]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "linear"])
def test_an_image_is_told_by_its_size_and_range(data_format, activation, run, tmp_path):
    layers = [Conv2D(2, 3, activation=activation, data_format=data_format)]
    images = IMAGES if data_format == "channels_last" else np.moveaxis(IMAGES, 3, 1)
    y, said = answered(run, tmp_path, layers, images=images)
    size = "x".join(map(str, y.shape[1:]))
    assert said == [f"an image of {size}, from {v.min():.6g} to {v.max():.6g}" for v in y]


def test_a_softmax_of_pixels_averaged_is_a_class_and_flattened_is_not(run, tmp_path):
    y, said = answered(run, tmp_path, [Conv2D(4, 3, activation="softmax"), GlobalAveragePooling2D()])
    assert said == best(y)
    y, said = answered(run, tmp_path, [Conv2D(4, 5, activation="softmax"), Flatten()])
    assert said == [" ".join(f"{v:.6g}" for v in row.astype(float)) for row in y]
    y, said = answered(run, tmp_path, [Conv2D(4, 3, activation="softmax"), MaxPooling2D(4), Flatten()])
    assert said == [" ".join(f"{v:.6g}" for v in row.astype(float)) for row in y]


def refused(run, *arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def test_a_softmax_of_one_is_refused(run, tmp_path):
    path, _ = saved(tmp_path, [Flatten(), Dense(1, activation="softmax")])
    np.save(tmp_path / "x.npy", IMAGES)
    assert "softmax over a single output" in refused(run, "predict", path, tmp_path / "x.npy")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_images_that_are_not_finite(value, dtype, run, tmp_path):
    path, _ = saved(tmp_path, [*hidden(), Softmax()])
    images = IMAGES.astype(dtype)
    images[3, 2, 1, 0] = value
    np.save(tmp_path / "x.npy", images)
    assert "x.npy[3]: the image is not finite" in refused(run, "predict", path, tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", images[3, :, :, 0])
    assert "x.npy: the image is not finite" in refused(run, "predict", path, tmp_path / "x.npy")


@pytest.mark.filterwarnings("default")
def test_numbers_too_large(run, tmp_path):
    path, _ = saved(tmp_path, [*hidden(), Softmax()])
    np.save(tmp_path / "x.npy", np.full((6, 6), 1e300))
    assert "too large for float32" in refused(run, "predict", path, tmp_path / "x.npy")
    path, _ = saved(tmp_path, [Flatten(), Dense(2, kernel_initializer="ones")])
    np.save(tmp_path / "x.npy", np.full((6, 6), 3e38))
    assert "x.npy: what the model gives for this image is not finite" in refused(
        run, "predict", path, tmp_path / "x.npy"
    )


def test_weights_that_are_not_finite(run, tmp_path):
    _, model = saved(tmp_path, [*hidden(), Softmax()])
    model.layers[0].params["bias"] = [0, np.nan, 0]
    model.save(tmp_path / "m.st")
    np.save(tmp_path / "x.npy", IMAGES[0])
    assert "is not finite" in refused(run, "predict", tmp_path / "m.st", tmp_path / "x.npy")


def test_pictures_of_other_layouts(run, tmp_path):
    pixels = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
    Image.fromarray(pixels).save(tmp_path / "x.png")
    colours = np.stack([pixels, pixels.T, 255 - pixels], axis=2)
    Image.fromarray(colours).save(tmp_path / "c.png")

    def said(layers, shape, image, given):
        path, model = saved(tmp_path, layers, shape=shape)
        code, out, err = run("predict", path, tmp_path / image, "--range", 0, 255)
        assert (code, err) == (0, "")
        y = model.predict(given[None], verbose=0)
        assert out == f"{tmp_path / image}: {' '.join(f'{v:.6g}' for v in y[0].astype(float))}\n"

    said([Flatten(), Dense(2)], (6, 6), "x.png", pixels)
    first = [Conv2D(2, 3, data_format="channels_first"), Flatten(data_format="channels_first"), Dense(2)]
    said(first, (1, 6, 6), "x.png", pixels[None])
    said([layer.clone() for layer in first], (3, 6, 6), "c.png", np.moveaxis(colours, 2, 0))
    path, _ = saved(tmp_path, [Dense(2)], shape=(36,))
    assert "the model takes 36 numbers and no picture; use .npy" in refused(
        run, "predict", path, tmp_path / "x.png"
    )
    path, _ = saved(tmp_path, [Flatten(), Dense(2)], shape=(6, 6, 5))
    assert "5 channels" in refused(run, "predict", path, tmp_path / "x.png")


def trained(run, folder, scale=np.uint8, ground=0):
    """Train on squares of ink on that ground, and return the model's file and one image as bytes."""
    rng = np.random.default_rng(0)
    x = np.full((60, 20, 20), ground, np.uint8)
    ink = 255 - ground
    y = np.arange(60) % 3
    for image, label in zip(x, y, strict=True):
        image[5 + rng.integers(3) : 14, 3 + 4 * label : 7 + 4 * label] = ink
    values = x if scale is np.uint8 else np.float32(scale[0] + x / 255 * (scale[1] - scale[0]))
    np.savez(folder / "d.npz", x_train=values, y_train=y)
    out = folder / "t.st"
    code, _, err = run("train", "--data", folder / "d.npz", "--epochs", "4", "--out", out)
    assert (code, err) == (0, "")
    return out, x[4]


def answer(run, model, image, *options):
    code, out, err = run("predict", model, image, *options)
    assert (code, err) == (0, "")
    return out.split(": ", 1)[1]


def written(folder, image):
    """Write a picture of grey levels in every way that is the same picture, and yield the paths."""
    grey = Image.fromarray(image)
    deep = Image.fromarray(image.astype(np.uint16) * 257)
    rgba = np.zeros((*image.shape, 4), np.uint8)
    rgba[..., 3] = 255 - image  # black of that strength on nothing, which is white
    clear = grey.copy()
    for name, made, options in [
        ("grey.png", grey, {}),
        ("one.png", grey.convert("1", dither=0), {}),
        ("rgb.png", grey.convert("RGB"), {}),
        ("deep.png", deep, {}),
        ("palette.png", grey.convert("RGB").quantize(8), {}),
        ("rgba.png", Image.fromarray(rgba), {}),
        ("la.png", Image.fromarray(rgba[..., 2:]), {}),
        ("clear.png", clear, {"transparency": 255}),
        ("grey.bmp", grey, {}),
        ("grey.webp", grey.convert("RGB"), {"lossless": True}),
        ("jpeg.JPG", grey, {"quality": 100}),
        ("large.png", grey.resize((200, 200), Image.Resampling.NEAREST), {}),
    ]:
        made.save(folder / name, **options)
        yield folder / name


def test_every_kind_of_picture_says_the_same(run, tmp_path):
    model, image = trained(run, tmp_path)
    np.save(tmp_path / "x.npy", image)
    expected = answer(run, model, tmp_path / "x.npy").split()
    assert expected[0] == "1"
    for path in written(tmp_path, image):
        number, probability = answer(run, model, path).split()
        assert number == "1", path
        assert float(probability) == pytest.approx(
            float(expected[1]), abs=0.1 if path.name in ("jpeg.JPG", "large.png") else 1e-9
        )


def test_a_camera_that_was_turned(run, tmp_path):
    model, image = trained(run, tmp_path)
    for orientation, turned in ((6, np.rot90(image)), (3, image[::-1, ::-1])):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / "turned.png", exif=exif)
        assert answer(run, model, tmp_path / "turned.png").split()[0] == "1"


@pytest.mark.parametrize("scale", [(0.0, 1.0), (-1.0, 1.0)])
def test_pictures_become_the_numbers_of_the_training(scale, run, tmp_path):
    model, image = trained(run, tmp_path, scale)
    Image.fromarray(image).save(tmp_path / "x.png")
    np.save(tmp_path / "x.npy", np.float32(scale[0] + image / 255 * (scale[1] - scale[0])))
    expected = answer(run, model, tmp_path / "x.npy")
    assert answer(run, model, tmp_path / "x.png") == expected
    assert answer(run, model, tmp_path / "x.png", "--range", *scale) == expected
    assert answer(run, model, tmp_path / "x.png", "--range", 0, 255) != expected


def test_a_picture_that_looks_inverted_gets_a_hint(run, tmp_path):
    model, image = trained(run, tmp_path)
    Image.fromarray(image).save(tmp_path / "x.png")
    Image.fromarray(255 - image).save(tmp_path / "inverted.png")
    code, out, err = run("predict", model, tmp_path / "inverted.png", tmp_path / "x.png")
    assert (code, out.count("\n"), err.count("\n")) == (0, 2, 1)
    assert "inverted.png is bright at its edges, the images of the training were not: try --invert" in err
    right = answer(run, model, tmp_path / "x.png")
    assert answer(run, model, tmp_path / "inverted.png", "--invert") == right
    np.save(tmp_path / "x.npy", 255 - image)
    assert answer(run, model, tmp_path / "x.npy", "--invert") == right
    np.save(tmp_path / "x.npy", image / 255)
    assert "--invert takes pictures, and arrays of uint8" in refused(
        run, "predict", model, tmp_path / "x.npy", "--invert"
    )
    model, _ = trained(run, tmp_path, ground=255)
    assert "x.png is dark at its edges" in run("predict", model, tmp_path / "x.png")[2]
    assert "leave out --invert" in run("predict", model, tmp_path / "inverted.png", "--invert")[2]


def test_an_array_of_another_range_gets_a_hint(run, tmp_path):
    model, image = trained(run, tmp_path)
    np.save(tmp_path / "x.npy", image / 255)
    code, out, err = run("predict", model, tmp_path / "x.npy")
    assert (code, out.count("\n")) == (0, 1)
    assert err == (
        f"cconv predict: hint: the numbers of {tmp_path / 'x.npy'} look like 0 to 1, those of the training "
        "like 0 to 255: an array is taken as it is\n"
    )
    for same in (image, image.astype(float), np.zeros_like(image, float)):
        np.save(tmp_path / "x.npy", same)
        assert "look like" not in run("predict", model, tmp_path / "x.npy")[2]


def test_a_model_that_says_nothing_of_pictures(run, tmp_path):
    path, _ = saved(tmp_path, [*hidden(), Softmax()])
    Image.new("L", (6, 6)).save(tmp_path / "x.png")
    code, _, err = run("predict", path, tmp_path / "x.png")
    assert code == 0
    assert err == (
        "cconv predict: hint: nothing tells what black and white were in training; "
        "they are taken as --range 0 255\n"
    )
    for black, white in ((1, 1), (0, "nan"), ("inf", 0)):
        assert "--range must be two" in refused(
            run, "predict", path, tmp_path / "x.png", "--range", black, white
        )


def test_top_classes_and_json(run, tmp_path):
    path, model = saved(tmp_path, [*hidden(), Softmax()])
    np.save(tmp_path / "x.npy", IMAGES)
    y = model.predict(IMAGES, verbose=0).astype(float)
    _, out, _ = run("predict", path, tmp_path / "x.npy", "--top", 2)
    for line, p in zip(out.splitlines(), y, strict=True):
        best = np.argsort(-p)[:2]
        assert line.split(": ")[1] == ", ".join(f"{k} {p[k]:.4f}" for k in best)
    assert answer(run, path, tmp_path / "x.npy", "--top", 99).splitlines()[0].count(",") == 3
    _, out, _ = run("predict", path, tmp_path / "x.npy", "--top", 2, "--json")
    for place, (line, p) in enumerate(zip(out.splitlines(), y, strict=True)):
        best = [int(k) for k in np.argsort(-p)[:2]]
        assert json.loads(line) == {
            "image": str(tmp_path / "x.npy"),
            "index": place,
            "class": best[0],
            "probability": p[best[0]],
            "top": [{"class": k, "probability": p[k]} for k in best],
            "outputs": p.tolist(),
        }


@pytest.mark.parametrize(
    ("ending", "loss", "keys"),
    [
        ([Dense(1, activation="sigmoid")], None, {"class", "probability"}),
        ([Dense(3, activation="sigmoid")], "binary_crossentropy", {"classes"}),
        ([Dense(3)], "mse", set()),
        ([Dense(4), Reshape((2, 2, 1))], None, set()),
    ],
)
def test_json_of_other_models(ending, loss, keys, run, tmp_path):
    path, model = saved(tmp_path, [Flatten(), *(layer.clone() for layer in ending)], loss)
    np.save(tmp_path / "日本.npy", IMAGES[0])
    code, out, _ = run("predict", path, tmp_path / "日本.npy", "--json")
    said = json.loads(out)
    assert (code, said.keys(), out.isascii()) == (0, keys | {"image", "outputs"}, True)
    y = model.predict(IMAGES[:1], verbose=0)[0].astype(float)
    assert said["outputs"] == y.tolist()
    assert said["image"] == str(tmp_path / "日本.npy")
    if keys == {"classes"}:
        assert [entry["class"] for entry in said["classes"]] == np.flatnonzero(y > 0.5).tolist()
    elif keys:
        assert said["probability"] == max(y[0], 1 - y[0])
    else:
        assert "--top is for models that give classes" in refused(
            run, "predict", path, tmp_path / "日本.npy", "--top", 1
        )


def bad_images(folder):
    """Make every kind of file that is no image of the model's, and yield its path."""
    rng = np.random.default_rng(0)

    def write(name, content):
        (folder / name).write_bytes(content)
        return folder / name

    def picture(name, mode, size=(6, 6)):
        Image.new(mode, size).save(folder / name, format="PNG")
        return folder / name

    def array(name, value):
        with (folder / name).open("wb") as file:
            np.save(file, value, allow_pickle=True)
        return folder / name

    yield folder / "missing.png"
    yield folder / "missing.npy"
    yield folder / "no\nsuch\x1bfile.png"
    yield folder / "x\udcff.npy"
    yield ""
    yield folder
    for suffix in (".png", ".npy"):
        (folder / f"folder{suffix}").mkdir()
        yield folder / f"folder{suffix}"
        yield write(f"text{suffix}", b"this is text\n" * 50)
        yield write(f"empty{suffix}", b"")
        yield write(f"noise{suffix}", rng.bytes(500))
    yield write("x.txt", b"hello")
    whole = array("x.npy", IMAGES[0]).read_bytes()
    for length in (5, 9, 60, len(whole) - 1):
        yield write(f"cut{length}.npy", whole[:length])
    for place in range(0, 120, 7):
        yield write(f"bits{place}.npy", whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    for number, value in enumerate(
        [
            np.zeros(()),
            np.zeros((0, 6, 6)),
            np.zeros((6, 7)),
            np.zeros((2, 2, 6, 6, 1)),
            np.zeros((6, 6), bool),
            np.zeros((6, 6), complex),
            np.zeros((6, 6), np.longdouble),
            np.full((6, 6), np.nan, np.longdouble),
            np.zeros((6, 6), "U3"),
            np.zeros((6, 6), "datetime64[s]"),
            np.zeros((6, 6), [("a", "f4")]),
            np.array([None]),
        ]
    ):
        yield array(f"array{number}.npy", value)


def test_no_image_is_a_traceback(run, tmp_path):
    path, _ = saved(tmp_path, [*hidden(), Softmax()])
    for image in bad_images(tmp_path):
        if "bits" in str(image):  # a changed bit may leave a whole file
            code, _, err = run("predict", path, image)
            assert (code, err.count("\n")) in ((0, 0), (2, 1)), image
        else:
            refused(run, "predict", path, image)
    assert run("predict", path, tmp_path / "x.npy")[0] == 0


def test_no_model_is_a_traceback(run, tmp_path):
    path, _ = saved(tmp_path, [*hidden(), Softmax()], "mse")
    np.save(tmp_path / "x.npy", IMAGES)
    whole = path.read_bytes()
    bad = tmp_path / "bad.st"
    for length in (0, 1, 7, 8, 9, 100, len(whole) - 1):
        bad.write_bytes(whole[:length])
        refused(run, "predict", bad, tmp_path / "x.npy")
    for place in range(0, 1500, 11):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        code, _, err = run("predict", bad, tmp_path / "x.npy")
        assert (code, err.count("\n")) in ((0, 0), (2, 1)), place
    refused(run, "predict", tmp_path, tmp_path / "x.npy")
    refused(run, "predict", tmp_path / "x.npy", tmp_path / "x.npy")
    model = load_model(path)
    model.save_weights(bad)
    assert "holds weights but no model" in refused(run, "predict", bad, tmp_path / "x.npy")


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "m\n\x1b.st", "x.npy"],
        ["predict", "m.st", "x.npy", "--threads", "x\ny"],
        ["pre\ndict"],
        ["predict", "m.st", "x.npy", "--threads", "9" * 30],
        ["predict", "m.st", "x.npy", "--threads", "9" * 5000],
        ["train", "--epochs", "9" * 30, "--data", "x\n.npz"],
        ["train", "--seed", "9" * 30, "--data", "x.npz"],
        ["train", "--data", "."],
        ["train", "--data", "\ud800.npz"],
        ["train", "--out", "/dev/null/x"],
        ["train", "--out", ""],
    ],
)
def test_no_argument_is_a_traceback(arguments, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(run, *arguments)


def test_an_error_that_nobody_thought_of_is_a_sentence(run, monkeypatch):
    def fails(*_):
        raise KeyError("something")

    monkeypatch.setattr("cconv.utils.config.show_config", fails)
    assert refused(run, "info") == "cconv info: KeyError: 'something'\n"


def process(folder, *arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(Path(cconv.__file__).parents[1])}
    environment |= options.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "cconv", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
        **options,
    )


def test_as_a_process(tmp_path):
    path, _ = saved(tmp_path, [*hidden(), Softmax()])
    image = tmp_path / "é畳\n.npy"
    np.save(image, IMAGES[0])
    done = process(
        tmp_path, "predict", path, image, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1
    assert rb"\xe9\u7573\n.npy: " in done.stdout
    done = process(tmp_path, "predict", path, tmp_path / "absent.npy", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1


def test_japanese_names_where_there_is_only_ascii(tmp_path):
    folder = tmp_path / "数字"
    folder.mkdir()
    x = np.zeros((20, 16, 16), np.uint8)
    np.savez(folder / "手書き.npz", x_train=x, y_train=np.arange(20) % 2)
    Image.fromarray(x[0]).save(folder / "絵.png")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    out = folder / "模型.safetensors"
    command = ("train", "--data", folder / "手書き.npz", "--epochs", "1", "--out", out)
    for arguments in (command, ("predict", out, folder / "絵.png"), ("predict", out, folder / "無.png")):
        done = process(tmp_path, *arguments, stdout=subprocess.PIPE, env=ascii_only)
        assert b"Traceback" not in done.stderr
        assert (done.stdout + done.stderr).isascii()
        assert done.returncode == (2 if "無" in str(arguments[-1]) else 0), done.stderr
    assert load_model(out).input_shape == (None, 16, 16, 1)


def test_a_reader_that_goes_away_and_a_full_disk(tmp_path):
    path, _ = saved(tmp_path, [*hidden(), Softmax()])
    np.save(tmp_path / "x.npy", np.repeat(IMAGES, 400, axis=0))
    reading, writing = os.pipe()
    os.close(reading)
    done = process(tmp_path, "predict", path, tmp_path / "x.npy", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            done = process(tmp_path, "predict", path, tmp_path / "x.npy", stdout=full)
        assert done.returncode != 0
        assert b"Traceback" not in done.stderr
