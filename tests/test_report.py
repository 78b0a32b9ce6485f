"""`cconv.report`: what is in the page, how large it is, and that its numbers are the network's."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import cconv
from cconv import cli
from cconv import layers as L
from cconv.datasets import mnist_small
from cconv.estimators import CNNClassifier, CNNRegressor, Scratch2dCNNClassifier
from cconv.layers import (
    Add,
    AveragePooling2D,
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Input,
    MaxPooling2D,
    Rescaling,
)
from cconv.models import Model, Sequential
from cconv.models.fields import fields_of
from cconv.reporting import graph, results, seeing, settings, writing
from cconv.reporting.packing import unpacked

RNG = np.random.default_rng(0)
IMAGES = RNG.random((30, 12, 12, 1), np.float32)
LABELS = np.arange(30) % 3


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Times are measured in one round: none is looked at here."""
    monkeypatch.setattr("cconv.models.explaining.ROUNDS", 1)


class Page(HTMLParser):
    """The elements of a page, and the texts of its title and scripts."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, None
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.data = json.loads(self.texts["script"][0])

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open = tag

    def handle_data(self, data):
        self.texts.setdefault(self._open, []).append(data)


def page_of(tmp_path, *args, **kwargs):
    return Page(cconv.report(*args, path=tmp_path / "page.html", **kwargs))


def convolutional(**more):
    layers = [
        Conv2D(4, 3, padding="same", activation="relu", input_shape=(12, 12, 1)),
        MaxPooling2D(2),
        Conv2D(6, 3, strides=2, groups=2, bias_initializer="random_normal"),
        Flatten(),
        Dense(3, activation="softmax"),
    ]
    return Sequential(layers, seed=1, **more)


def test_the_page_is_one_file_that_loads_nothing(tmp_path):
    page = page_of(tmp_path, convolutional(), IMAGES, LABELS)
    assert page.source.startswith("<!doctype html>")
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed"} == set()
    links = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")
    ]
    assert all(link.startswith("#") for link in links)
    assert not re.search(
        r"(src=|url\(|@import|fetch\(|import\()", re.sub(r'"data":.*?</script>', "", page.source)
    )
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page.source)
    (policy,) = [entry["content"] for tag, entry in page.tags if tag == "meta" and "http-equiv" in entry]
    assert "default-src 'none'" in policy
    assert set(page.data) >= {
        *(
            "layers",
            "inputs",
            "ends",
            "outputs",
            "samples",
            "pictures",
            "history",
            "settings",
            "kernels",
            "sums",
        ),
    }


NAMES = ["</script><script>alert(1)</script>", "<!--<script>", "漢字 & \u2028 \ud800 \"'"]


def test_names_of_any_kind_stay_texts(tmp_path):
    page = page_of(
        tmp_path, convolutional(), IMAGES, LABELS, classes=NAMES, title="</title><b>é", command=NAMES[0]
    )
    assert sum(tag == "script" for tag, _ in page.tags) == 2
    assert not any(tag == "b" for tag, _ in page.tags)
    names = page.data["outputs"][0]["names"]
    assert names[:2] == NAMES[:2]
    assert names[2].startswith("漢字 & \\u2028")
    assert page.texts["title"][0] == "</title><b>é"
    block = page.source.split('id="data">')[1].split("</script>")[0]
    assert not set(block) & set("<>&")
    assert block.isascii()


def shown_sum(data, sample, number, map_, row, column):
    """The sum of a window as the page computes it, with the values and weights that it has."""
    entry = data["sums"][str(number)]
    x = unpacked(sample["values"][str(entry["from"])]).astype(np.float64)
    cells = {}
    for i, j in np.ndindex(*entry["size"]):
        y, z = (
            at * step - pad + tap * apart
            for at, step, pad, tap, apart in zip(
                (row, column), entry["strides"], entry["pads"], (i, j), entry["dilation"], strict=True
            )
        )
        inside = 0 <= y < x.shape[0] and 0 <= z < x.shape[1]
        cells[i, j] = x[y, z] if inside else None
    if entry["kind"] != "conv":
        known = [
            cell[map_] if cell is not None else 0.0
            for cell in cells.values()
            if cell is not None or entry.get("padded")
        ]
        return max(known) if entry["kind"] == "max" else sum(known) / len(known)
    kernel = unpacked(entry["kernel"]).astype(np.float64)
    own, maps = kernel.shape[2:]
    first = map_ // (maps // entry["groups"]) * own
    total = sum(
        float(cell[first : first + own] @ kernel[i, j, :, map_])
        for (i, j), cell in cells.items()
        if cell is not None
    )
    total += float(unpacked(entry["bias"])[map_]) if entry["bias"] else 0.0
    return max(total, 0.0) if entry["activation"] == "relu" else total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_are_the_outputs_of_the_layers(tmp_path, dtype):
    first = "channels_first"
    layers = [
        Conv2D(4, 3, padding="same", activation="relu", input_shape=(2, 12, 12), data_format=first),
        AveragePooling2D(3, strides=2, padding="same", data_format=first),
        DepthwiseConv2D(3, depth_multiplier=2, dilation_rate=2, bias_initializer="ones", data_format=first),
        MaxPooling2D(2, strides=1, padding="same", data_format=first),
        Flatten(),
        Dense(5, activation="softmax"),
    ]
    model = Sequential(layers, seed=2, dtype=dtype)
    x = RNG.normal(size=(4, 2, 12, 12))
    data = page_of(tmp_path, model, x, [0, 1, 2, 4]).data
    assert [entry["kind"] for entry in data["sums"].values()] == ["conv", "mean", "conv", "max", "dense"]
    part = Model(model.inputs, [layer.output for layer in model.layers[:4]], dtype=dtype)
    for sample in data["samples"]:
        outputs = part.predict(x[sample["number"]][np.newaxis].astype(dtype), verbose=0)
        for number, y in enumerate(outputs, 1):
            _, maps, height, width = y.shape
            for map_, row, column in [(0, 0, 0), (maps - 1, height - 1, width - 1), (1, height // 2, 1)]:
                shown = shown_sum(data, sample, number, map_, row, column)
                # Four digits are shown.
                assert float(f"{shown:.4g}") == pytest.approx(y[0, map_, row, column], rel=5.1e-4, abs=2e-6)


def test_sums_of_dense_layers(tmp_path):
    model = Sequential(
        [Dense(6, activation="tanh", input_shape=(9,)), Dense(3, activation="softmax")], seed=0
    )
    x = RNG.normal(size=(5, 9))
    data = page_of(tmp_path, model, x, [0, 1, 2, 0, 1]).data
    entry, sample = data["sums"]["1"], data["samples"][0]
    z = unpacked(sample["values"]["0"]) @ unpacked(entry["kernel"]) + unpacked(entry["bias"])
    np.testing.assert_allclose(np.tanh(z), sample["maps"][1]["units"], rtol=6e-4, atol=1e-6)
    probabilities = model.predict(x[sample["number"]][np.newaxis], verbose=0)[0]
    np.testing.assert_allclose(sample["maps"][2]["units"], probabilities, rtol=6e-4)
    assert sample["pictures"][0]["size"] == [1, 9]


def test_maps_are_the_outputs_of_the_layers(tmp_path):
    model = convolutional()
    data = page_of(tmp_path, model, IMAGES, LABELS).data
    sample = data["samples"][0]
    assert [view.get("same") for view in sample["maps"]] == [None] * 6
    conv = sample["maps"][1]
    y = model.layers[0].forward(IMAGES[sample["number"]][np.newaxis])[0]
    assert (conv["count"], conv["size"], conv["signed"]) == (4, [12, 12], False)
    assert conv["reach"] == pytest.approx(y.max(), rel=1e-3)
    assert conv["best"] == y.max(axis=(0, 1)).argmax()
    pixels = png_pixels(conv["png"])
    tile = pixels[:12, 12:24] if conv["columns"] > 1 else pixels[12:24, :12]
    np.testing.assert_allclose((tile - 1.0) / 254 * conv["reach"], y[:, :, 1], atol=conv["reach"] / 250)


def png_pixels(address):
    import base64
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))).astype(np.float64)


def test_bytes_of_maps():
    maps = np.array([[[-1.0], [0.5]], [[0.0], [math.nan]]])
    assert png_pixels(seeing.sprite(maps, 4, 8)["png"]).tolist() == [[1, 192], [128, 0]]
    shown = seeing.sprite(np.arange(25.0).reshape(5, 5, 1), 4, 3)
    assert (shown["step"], shown["size"], shown["range"]) == (2, [3, 3], [3, 24])


def test_the_order_of_layers_and_what_they_cost(tmp_path):
    image = Input((8, 8, 3))
    x = Conv2D(4, 3, padding="same", name="conv")(image)
    y = Conv2D(4, 1, name="side")(image)
    model = Model(image, Dense(2, activation="softmax", name="end")(Flatten()(Add(name="add")([x, y]))))
    data = page_of(tmp_path, model, RNG.random((6, 8, 8, 3)), np.eye(2)[[0, 1, 0, 1, 0, 1]]).data
    rows = data["layers"]
    assert [(row["name"], row["inputs"]) for row in rows[:4]] == [
        ("input", []),
        ("conv", [0]),
        ("side", [0]),
        ("add", [1, 2]),
    ]
    assert sum(row["params"] for row in rows) == model.count_params()
    assert sum(row["madds"] for row in rows) == 64 * (27 * 4 + 12) + 256 * 2
    assert all(("ms" in row) != ("within" in row) for row in rows[1:])
    assert rows[3]["sees"]["0"][0] == [3, 3]


@pytest.mark.parametrize(
    "layers",
    [
        [Conv2D(2, 3, padding="same"), MaxPooling2D(2), Conv2D(2, 3, strides=2, padding=2)],
        [Conv2D(2, (2, 4), dilation_rate=(2, 1)), AveragePooling2D(3, strides=1)],
        [cconv.ZeroPadding2D(((2, 1), (0, 3))), Conv2D(1, 3), cconv.layers.Cropping2D(1)],
    ],
)
def test_receptive_fields_are_where_a_pixel_changes_something(layers):
    model = Sequential(layers, seed=0).build((14, 14, 1))
    field = fields_of(model.layers)[-1]
    base = np.zeros((1, 14, 14, 1), np.float32)
    changed = np.repeat(base, 14 * 14, axis=0)
    changed.reshape(14 * 14, -1)[np.arange(14 * 14), np.arange(14 * 14)] = 1
    # Random weights, no activation; a maximum may hide a change downwards, not one upwards of all ones.
    for layer in model.layers:
        layer.set_weights([np.abs(weight) + 0.1 for weight in layer.get_weights()])
    moved = (model.predict(changed, verbose=0) != model.predict(base, verbose=0)).any(axis=3)
    for row, column in [(0, 0), (moved.shape[1] - 1, moved.shape[2] - 1), (1, 2)]:
        seen = moved[:, row, column].reshape(14, 14)
        for axis, at in enumerate((row, column)):
            begin = field.first[axis] + at * field.jump[axis]
            places = np.flatnonzero(seen.any(axis=1 - axis))
            assert (places[0], places[-1] + 1) == (max(begin, 0), min(begin + field.size[axis], 14))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    "layers",
    [
        lambda f: [L.Conv1D(2, 3, padding="same", data_format=f), L.MaxPooling1D(2, data_format=f)],
        lambda f: [L.Conv1D(2, 3, 2, data_format=f), L.ReLU(), L.Conv1D(1, 2, data_format=f)],
        lambda f: [L.ZeroPadding1D((2, 1), data_format=f), L.Conv1D(1, 3, data_format=f)],
        lambda f: [L.AveragePooling1D(3, 1, data_format=f), L.Dropout(0.5)],
    ],
)
def test_receptive_fields_of_sequences(layers, data_format):
    first = data_format == "channels_first"
    model = Sequential(layers(data_format), seed=0).build((1, 15) if first else (15, 1))
    field = fields_of(model.layers)[-1]
    for layer in model.layers:
        layer.set_weights([np.abs(weight) + 0.1 for weight in layer.get_weights()])
    changed = np.eye(15, dtype=np.float32).reshape((15, 1, 15) if first else (15, 15, 1))
    moved = model.predict(changed, verbose=0) != model.predict(np.zeros_like(changed), verbose=0)
    moved = moved.any(axis=1 if first else 2)
    assert field.size[0] == 1
    for at in range(moved.shape[1]):
        begin, places = field.first[1] + at * field.jump[1], np.flatnonzero(moved[:, at])
        low = math.floor(begin)
        assert (places[0], places[-1] + 1) == (max(low, 0), min(low + field.size[1], 15))


def test_receptive_fields_of_sequences_of_other_lengths():
    """Each step of the input twice, and then a convolution that sees the past alone."""
    model = Sequential([L.UpSampling1D(2), L.Conv1D(2, 4, padding="causal")]).build((15, 1))
    assert [field.size for field in fields_of(model.layers)] == [(1, 1), (1, 2.5)]
    model = Sequential([L.Cropping1D((3, 1)), L.Conv1D(2, 4)]).build((15, 1))
    assert fields_of(model.layers)[-1] == ((1, 4), (1, 1), (0, 3))


def test_what_puts_all_pixels_in_relation_sees_the_whole_image():
    sees = [
        cconv.layers.GroupNormalization(2),
        cconv.layers.LayerNormalization([1, 2]),
        cconv.layers.Softmax(1),
        cconv.layers.UnitNormalization(2),
    ]
    alone = [cconv.layers.LayerNormalization(), cconv.layers.Softmax(), cconv.layers.BatchNormalization()]
    for layer, wanted in [*((layer, None) for layer in sees), *((layer, (3, 3)) for layer in alone)]:
        model = Sequential([Conv2D(4, 3), layer]).build((8, 8, 1))
        assert [field and field.size for field in fields_of(model.layers)] == [(3, 3), wanted]


def test_labels_in_every_form_give_the_same_results(tmp_path):
    model = convolutional()
    forms = [
        LABELS,
        LABELS[:, np.newaxis],
        np.eye(3)[LABELS],
        LABELS.astype(np.float32),
        list(map(int, LABELS)),
    ]
    first, *others = [page_of(tmp_path, model, IMAGES, form).data["outputs"][0]["results"] for form in forms]
    assert all(other == first for other in others)
    guess = model.predict(IMAGES, verbose=0).argmax(axis=1)
    assert sum(often for _, _, often in first["pairs"]) == 30
    assert first["figures"][0][2] == f"{np.sum(guess == LABELS)} of 30"
    right = sum(often for truth, answer, often in first["pairs"] if truth == answer)
    assert right == np.sum(guess == LABELS)


def test_samples_are_of_all_classes_and_the_surest_mistakes(tmp_path):
    model = convolutional()
    data = page_of(tmp_path, model, IMAGES, LABELS).data
    p = model.predict(IMAGES, verbose=0)
    wrong = [n for n in np.argsort(-p.max(axis=1), kind="stable") if p[n].argmax() != LABELS[n]]
    (output,) = data["outputs"]
    assert [entry["number"] for entry in output["mistakes"]] == wrong[:24]
    assert set(data["pictures"]) == set(map(str, wrong[:24]))
    assert {entry["number"] for entry in data["samples"]} >= set(wrong[:6])
    mistaken = [entry["answers"][0]["guess"] != entry["answers"][0]["truth"] for entry in data["samples"]]
    assert mistaken == sorted(mistaken)


@pytest.mark.parametrize("history", ["fitted", "dict", "given", "none"])
def test_history_in_every_form(tmp_path, history):
    model = convolutional()
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    figures = {"loss": [1.0, math.nan], "val_loss": [0.5, 0.25]}
    given = None
    if history in ("fitted", "given"):
        made = model.fit(IMAGES, LABELS, epochs=2, verbose=0)
        figures, given = made.history, made if history == "given" else None
    data = page_of(tmp_path, model, IMAGES, LABELS, history=figures if history == "dict" else given).data
    if history == "none":
        assert data["history"] == {}
    else:
        assert set(data["history"]) == set(figures)
        shown = np.array(data["history"]["loss"], float)
        np.testing.assert_allclose(shown, np.array(figures["loss"], float), rtol=1e-5)


def test_estimators(tmp_path):
    y = np.array(["a", "b<", "c"])[LABELS]
    x = IMAGES[..., 0]
    classifier = CNNClassifier([Conv2D(2, 3)], max_epochs=1, tol=None, random_state=0).fit(x, y)
    data = page_of(tmp_path, classifier, x, y).data
    assert data["outputs"][0]["names"] == ["a", "b<", "c"]
    assert data["history"] == {
        "loss": pytest.approx(classifier.history_["loss"], rel=1e-5),
        "accuracy": pytest.approx(classifier.history_["accuracy"], rel=1e-5),
    }
    assert data["outputs"][0]["results"]["figures"][0][2] == f"{round(30 * classifier.score(x, y))} of 30"
    regressor = CNNRegressor([Conv2D(2, 3)], max_epochs=1, tol=None, random_state=0).fit(
        x, 5 + 100 * x.mean(axis=(1, 2))
    )
    data = page_of(tmp_path, regressor, x, 5 + 100 * x.mean(axis=(1, 2))).data
    answers = regressor.predict(x)
    assert data["outputs"][0]["results"]["points"][0][3][1] == pytest.approx(answers[3], rel=1e-3)
    scratch = Scratch2dCNNClassifier(
        {"n_filters": 2, "filter_size": 3, "stride": 1},
        layer_nodes={"hidden": 4, "output": 3},
        n_epochs=1,
        verbose=False,
    ).fit(IMAGES.transpose(0, 3, 1, 2), LABELS)
    data = page_of(tmp_path, scratch, IMAGES.transpose(0, 3, 1, 2), np.eye(3)[LABELS]).data
    assert data["layers"][1]["shape"] == [10, 10, 2]


def test_models_that_give_numbers(tmp_path):
    model = Sequential([Conv2D(2, 3, input_shape=(12, 12, 1)), Flatten(), Dense(2)], seed=0)
    y = RNG.normal(size=(30, 2))
    data = page_of(tmp_path, model, IMAGES, y, classes=["left", "right"]).data
    apart = model.predict(IMAGES, verbose=0) - y
    (output,) = data["outputs"]
    assert output["kind"] == "numbers"
    assert output["results"]["figures"][0][1] == f"{np.abs(apart).mean():.4g}"
    worst = int(np.argmax((np.abs(apart) / y.std(axis=0)).mean(axis=1)))
    assert output["mistakes"][0]["number"] == worst
    assert len(output["results"]["points"]) == 2
    images = Sequential([Conv2D(1, 3, padding="same", input_shape=(12, 12, 1))], seed=0)
    data = page_of(tmp_path, images, IMAGES, IMAGES).data
    (output,) = data["outputs"]
    assert (output["image"], output["names"]) == ([12, 12, 1], ["output 0"])
    assert len(output["results"]["points"][0]) == 1_000
    p, worst = images.predict(IMAGES, verbose=0), output["mistakes"][0]
    assert worst["error"] == pytest.approx(np.abs(p - IMAGES)[worst["number"]].mean(), rel=1e-3)
    truth = png_pixels(worst["pictures"][0]["png"])
    np.testing.assert_allclose(truth, 255 * IMAGES[worst["number"], :, :, 0], atol=0.51)


def test_weights_that_are_no_numbers(tmp_path):
    model = convolutional()
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] = math.nan
    model.set_weights(weights)
    data = page_of(tmp_path, model, IMAGES, LABELS).data
    assert data["outputs"][0]["results"]["unknown"] == 30
    assert data["samples"][0]["answers"][0]["guess"] == -1
    assert data["samples"][0]["maps"][-1]["units"] == [None] * 3


def test_sequences_uint8_and_one_sigmoid(tmp_path):
    model = Sequential([Conv1D(2, 3, input_shape=(10, 2)), Flatten(), Dense(1, activation="sigmoid")], seed=0)
    data = page_of(tmp_path, model, RNG.random((4, 10, 2)), [0, 0, 0, 0]).data
    assert data["outputs"][0]["names"] == ["0", "1"]
    assert data["samples"][0]["maps"][1]["size"] == [8, 2]
    images = RNG.integers(0, 256, (4, 6, 6, 3), np.uint8)
    model = Sequential(
        [Rescaling(1 / 255, input_shape=(6, 6, 3)), Flatten(), Dense(3, activation="softmax")], seed=0
    )
    sample = page_of(tmp_path, model, images, [0, 1, 2, 0]).data["samples"][0]
    np.testing.assert_array_equal(png_pixels(sample["pictures"][0]["png"]), images[sample["number"]])


def test_a_large_network_keeps_within_the_budget(tmp_path, monkeypatch):
    """A budget of a tenth: what is left out is told."""
    monkeypatch.setattr(writing, "MOST", 180_000)
    monkeypatch.setattr(writing, "NUMBERS", 40_000)
    monkeypatch.setattr(writing, "FOLLOWED", (128, 20_000))
    monkeypatch.setattr(writing, "SMALL", (64, 10_000))
    monkeypatch.setattr(seeing, "BYTES", 8_000)
    layers = [
        Conv2D(40, 3, padding="same", input_shape=(48, 48, 3)),
        *(Conv2D(8, 3, padding="same") for _ in range(2)),
        cconv.GlobalAveragePooling2D(),
        Dense(100, activation="softmax"),
    ]
    x = RNG.random((14, 48, 48, 3), np.float32)
    path = cconv.report(Sequential(layers, seed=0), x, np.arange(14), tmp_path / "page.html")
    assert path.stat().st_size <= 180_000
    data = Page(path).data
    assert 1 <= len(data["samples"]) < 12
    told = " ".join(data["left"])
    for part in ("of 12 samples are shown", "with more than", "each way are shown smaller", "conv2d"):
        assert part in told
    assert len(data["outputs"][0]["names"]) == 100


def test_the_real_page_is_small_enough(tmp_path):
    (x, y), _ = mnist_small.load_data()
    model = cconv.applications.LeNet5((28, 28, 1), 10, rescale=1 / 255, seed=0)
    path = cconv.report(model, x[:60], y[:60], tmp_path / "page.html")
    assert path.stat().st_size < 1_000_000 < writing.MOST == 3_000_000


def test_settings_say_how_to_make_it_again(tmp_path):
    model = convolutional()
    model.compile(cconv.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    groups = {
        title: dict(lines) for title, lines in page_of(tmp_path, model, IMAGES, LABELS).data["settings"]
    }
    assert groups["Model"]["seed"] == "1"
    assert groups["Model"]["SHA-256 of the weights"] == settings.digest(model)
    assert groups["Training"]["learning_rate"] == "0.01"
    assert groups["Environment"]["cconv"] == cconv.__version__
    assert json.loads(groups["Configuration"][""]) == json.loads(json.dumps(model.get_config()))
    same, other = convolutional(), convolutional()
    other.layers[0].kernel[0, 0, 0, 0] += 1
    assert settings.digest(same) == settings.digest(model) != settings.digest(other)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"model": 3}, TypeError, "model must be a Sequential, a Model or a fitted estimator, got 3"),
        ({"model": CNNClassifier()}, TypeError, "fitted estimator, got CNNClassifier"),
        ({"model": Sequential([Dense(2)])}, ValueError, "the model is not built"),
        (
            {"y_test": LABELS[:4]},
            ValueError,
            r"as many samples, at least one, got the shapes \(30, 12, 12, 1\) and \(4,\)",
        ),
        ({"x_test": IMAGES[:0], "y_test": []}, ValueError, "no empty axis"),
        ({"y_test": LABELS + 1}, ValueError, "class numbers from 0 to 2, got int64 from 1 to 3"),
        ({"y_test": np.zeros((30, 2))}, ValueError, r"one-hot rows \(n, 3\), got the shape \(30, 2\)"),
        ({"model": None}, TypeError, "fitted estimator, got None"),
        ({"classes": 3}, TypeError, "classes must be 3 names, one for each output, got 3"),
        ({"classes": "abc"}, TypeError, "classes must be 3 names, .* got 'abc'"),
        ({"classes": ["a"]}, ValueError, r"classes must be 3 names, one for each output, got \['a'\]"),
        ({"history": 3}, TypeError, "history must be what fit returns"),
        ({"history": {"loss": [[1]]}}, ValueError, r"got the shape \(1, 1\) for 'loss'"),
        ({"history": {"loss": ["x"]}}, TypeError, "for 'loss'"),
        ({"images": 0}, ValueError, "images must be a positive int"),
    ],
)
def test_errors_say_what_was_expected(tmp_path, change, error, text):
    given = {"model": convolutional(), "x_test": IMAGES, "y_test": LABELS, **change}
    with pytest.raises(error, match=text):
        cconv.report(**given, path=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        cconv.report(convolutional(), IMAGES, LABELS, tmp_path / "none" / "page.html")


def test_the_model_is_as_it_was(tmp_path):
    model = convolutional()
    before = model.get_weights()
    page_of(tmp_path, model, IMAGES, LABELS)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_interval_of_none_and_all():
    assert results.interval(0, 10)[0] == pytest.approx(0, abs=1e-12)
    assert results.interval(10, 10)[1] == pytest.approx(1)


def test_shared_layers_count_once():
    shared = Dense(4, name="shared")
    image = Input((4,))
    rows = graph.layers_of(Model(image, shared(shared(image))))
    assert [row["params"] for row in rows] == [0, 20, 0]


def test_the_command_line_writes_one(tmp_path, capsys):
    np.savez(
        tmp_path / "d.npz", x_train=(255 * IMAGES).astype(np.uint8).repeat(2, 1).repeat(2, 2), y_train=LABELS
    )
    out, page = tmp_path / "m.safetensors", tmp_path / "r.html"
    arguments = ["train", "--data", str(tmp_path / "d.npz"), "--epochs", "1", "--out", str(out), "--report"]
    assert cli.main([*arguments, str(page), "--shards", "2"]) == 0
    assert capsys.readouterr().out.endswith(f"wrote {page}\n")
    data = Page(page).data
    (command,) = [lines[0][1] for title, lines in data["settings"] if title == "Command"]
    assert command.startswith(
        f"cconv train --data {tmp_path / 'd.npz'} --epochs 1 --batch-size 32 --seed 0 --shards 2 --out"
    )
    assert len(data["history"]["loss"]) == 1
    assert cli.main([*arguments, str(tmp_path)]) == 2
    assert "it is a folder" in capsys.readouterr().err
    assert cli.main([*arguments, str(tmp_path / "r.pdf")]) == 2
    assert "--report must be a file that ends in .html, got " in capsys.readouterr().err
    cconv.set_num_threads(None)


def test_the_example_of_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guide = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
    names = {}
    for example in re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL):
        exec(compile(example, "report.md", "exec"), names)
    data = Page(tmp_path / "report.html").data
    assert data["title"] == "Digits of MNIST"
    assert float(data["outputs"][0]["results"]["figures"][0][1].split()[0]) > 90
    assert len(data["history"]["val_accuracy"]) == 2
    pairs = Page(tmp_path / "pairs.html").data
    assert [output["names"] for output in pairs["outputs"]] == [["right", "left"], ["sum"]]
    assert (tmp_path / "pairs.html").stat().st_size < 1_500_000
    arguments = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", guide, re.MULTILINE))
    assert {name for row in arguments for name in re.findall(r"\w+", row)} == {
        *("model", "x_test", "y_test", "history", "classes", "title", "command"),
    }
