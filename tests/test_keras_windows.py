"""Windows that Keras has no word for: zeros in a layer of their own in front, or refused."""

import json
import zipfile

import numpy as np
import pytest

from cconv import layers as L
from cconv.models import Model, Sequential, load_model

IMAGE, STEPS = (8, 11, 4), (9, 4)
# Layers, the shape of the input, and the paddings that the file has, of zeros in front too.
WRITTEN = {
    "strides": ([L.Conv2D(3, 3, 2, padding=1)], IMAGE, [[[1, 1], [1, 1]], "valid"]),
    "same by number": ([L.Conv2D(3, (3, 5), padding=(1, 2))], IMAGE, ["same"]),
    "none by number": ([L.DepthwiseConv2D(3, padding=0)], IMAGE, ["valid"]),
    "uneven": ([L.SeparableConv2D(3, 3, padding=((0, 2), (1, 0)))], IMAGE, [[[0, 2], [1, 0]], "valid"]),
    "steps": ([L.Conv1D(3, 3, padding=(2, 1))], STEPS, [[2, 1], "valid"]),
    "one window": ([L.Conv2D(3, (9, 4), 5, padding=1)], IMAGE, [[[1, 1], [1, 1]], "valid"]),
    "twice": ([L.Conv2D(3, 3, 2, 1), L.Conv2D(3, 3, 3, 2)], IMAGE, None),
    "pooled": (
        [L.ReLU(), L.Dropout(0.2), L.MaxPooling2D(3, 2, padding=1)],
        IMAGE,
        [[[1, 0], [1, 1]], "valid"],
    ),
    "rounded up": ([L.MaxPooling2D(3, 2, ceil_mode=True)], (8, 10, 4), ["same"]),
    "rounded up, whole": ([L.MaxPooling2D(3, 2, ceil_mode=True)], (9, 11, 4), ["valid"]),
    "rounded up, mean": ([L.AveragePooling2D(2, ceil_mode=True)], (9, 7, 4), ["same"]),
    "rounded up, above 0": (
        [L.Conv2D(3, 1, activation="sigmoid"), L.MaxPooling2D(3, 2, ceil_mode=True)],
        IMAGE,
        ["valid", [[0, 1], [0, 0]], "valid"],
    ),
    "counted": (
        [L.AveragePooling2D(3, 1, padding="same", count_include_pad=True)],
        IMAGE,
        [[[1, 1], [1, 1]], "valid"],
    ),
    "transposed by number": ([L.Conv2DTranspose(3, 3, 2, padding=0)], IMAGE, ["valid"]),
}
REFUSED = [
    (L.MaxPooling2D(3, 2, padding=1), r"MaxPooling2D\(padding=1\)"),
    (L.MaxPooling2D(3, 2, ceil_mode=True), r"MaxPooling2D\(padding='valid', ceil_mode=True\)"),
    (L.AveragePooling2D(3, 2, padding=1), r"AveragePooling2D\(padding=1\)"),
    (L.Conv2DTranspose(3, 3, 2, padding=1), r"Conv2DTranspose\(padding=1\)"),
]


def paddings(path):
    """The paddings of a file's layers, in order; whether there is an argument that Keras has not."""
    with zipfile.ZipFile(path) as archive:
        entries = json.loads(archive.read("config.json"))["config"]["layers"]
    configs = [entry["config"] for entry in entries]
    assert not {"ceil_mode", "count_include_pad"} & {name for config in configs for name in config}
    return [config["padding"] for config in configs if "padding" in config]


def as_graph(row, shape):
    """The layers of a row as a graph, the first used twice."""
    x = L.Input(shape)
    first, *others = (layer.clone() for layer in row)
    y = L.Add()([first(x), first(L.Activation("tanh")(x))])
    for layer in others:
        y = layer(y)
    return Model(x, y, seed=1)


@pytest.mark.parametrize("name", WRITTEN)
def test_files_hold_words_and_zeros(name, tmp_path):
    row, shape, wanted = WRITTEN[name]
    models = [Sequential([layer.clone() for layer in row], seed=1)]
    models[0].build(shape)
    if name not in ("pooled", "rounded up, above 0"):
        models.append(as_graph(row, shape))
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    for model in models:
        for ending in ("keras", "h5"):
            model.save(tmp_path / f"m.{ending}")
            twin = load_model(tmp_path / f"m.{ending}")
            np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
        found = paddings(tmp_path / "m.keras")
        assert found == wanted or (wanted is None and found.count("valid") == 2 == len(found) / 2)
        before = twin.get_weights()
        twin.set_weights([np.zeros_like(array) for array in before])
        model.save_weights(tmp_path / "m.weights.h5")
        twin.load_weights(tmp_path / "m.weights.h5")
        for one, other in zip(before, twin.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_images_with_the_channels_first(tmp_path):
    model = Sequential([L.Conv2D(3, 3, 2, padding=((1, 0), (2, 1)))], seed=1, data_format="channels_first")
    model.build((4, 8, 11))
    model.save(tmp_path / "m.keras")
    assert paddings(tmp_path / "m.keras") == [[[1, 0], [2, 1]], "valid"]
    x = np.random.default_rng(0).normal(size=(3, 4, 8, 11)).astype("float32")
    twin = load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_layer_of_zeros_has_a_name_of_its_own(tmp_path):
    row = [L.Conv2D(3, 3, 2, padding=1, name="a"), L.ReLU(name="a_pad"), L.Conv2D(3, 3, 2, 1, name="a_pad_")]
    model = Sequential(row, seed=1)
    model.build(IMAGE)
    model.save(tmp_path / "m.keras")
    names = [layer.name for layer in load_model(tmp_path / "m.keras").layers]
    assert names == ["a_pad__", "a", "a_pad", "a_pad__pad", "a_pad_"]


@pytest.mark.parametrize(("layer", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_no_zeros_can_do_is_refused(layer, words, tmp_path):
    model = Sequential([L.Conv2D(3, 1), layer.clone()])
    model.build(IMAGE)
    with pytest.raises(ValueError, match=f"what Keras has not: {words}"):
        model.save(tmp_path / "m.keras")
