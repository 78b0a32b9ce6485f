"""`cconv.report` of graphs: several inputs and outputs, shared layers, models in models, drawn at random."""

import json
import math
import re

import numpy as np
import pytest
from report_graphs import IMAGE, SAMPLES, graph

import cconv
from cconv.layers import Add, Conv2D, Dense, Dropout, Flatten, GlobalAveragePooling2D, Input, MaxPooling2D
from cconv.models import Model, Sequential
from cconv.models.answers import meaning
from cconv.reporting import seeing, writing
from cconv.reporting.packing import unpacked

RNG = np.random.default_rng(3)
LEFT, RIGHT = RNG.random((2, 12, 8, 8, 1), np.float32)
SHAPES, SHIFTS = np.arange(12) % 3, RNG.normal(size=(12, 2))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Times are measured in one round: none is looked at here."""
    monkeypatch.setattr("cconv.models.explaining.ROUNDS", 1)


def data_of(tmp_path, *args, **kwargs):
    text = cconv.report(*args, path=tmp_path / "page.html", **kwargs).read_text(encoding="utf-8")
    assert len(text.encode()) <= writing.MOST
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(block)


def twins(form=list, compiled=False):
    """Two images through the same layers: a class of both, and where the second is."""
    left, right = Input((8, 8, 1), name="left"), Input((8, 8, 1), name="right")
    inside = Input((8, 8, 1))
    shared = Model(inside, MaxPooling2D(2)(Conv2D(3, 3, activation="relu", name="conv")(inside)), name="eye")
    second = shared(right)
    joined = Flatten()(Add(name="both")([shared(left), second]))
    shape = Dense(3, activation="softmax", name="shape")(joined)
    shift = Dense(2, name="shift")(Flatten()(second))
    ends = ([left, right], [shape, shift])
    if form is dict:
        ends = ({"a": left, "b": right}, {"p": shape, "q": shift})
    model = Model(*ends, seed=4)
    if compiled:
        model.compile("adam", ["sparse_categorical_crossentropy", "mse"], loss_weights=[1.0, 0.25])
    return model


def all_values(model, xs):
    """Each value of the model's flow for samples, by one model with all of them as outputs."""
    eye = seeing.Eye(model)
    one = [eye.values(tuple(np.asarray(x[n : n + 1], model.dtype) for x in xs)) for n in range(len(xs[0]))]
    return [np.stack(parts) for parts in zip(*one, strict=True)]


@pytest.mark.parametrize("seed", range(24))
def test_graphs_drawn_at_random(tmp_path, seed):
    drawn = graph(seed)
    model, kinds = drawn.model, drawn.kinds
    data = data_of(tmp_path, model, drawn.x, drawn.y, images=3)
    found = model.predict(drawn.x, verbose=0)
    found = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]
    assert [output["kind"] for output in data["outputs"]] == [
        "classes" if kind in ("classes", "yes or no") else "numbers" for kind in kinds
    ]
    assert [name for _, name in data["ends"]] == model.output_names
    rows = data["layers"]
    assert sum(row["params"] for row in rows) == model.count_params()
    for output, kind, y, p in zip(data["outputs"], kinds, drawn.ys, found, strict=True):
        shown = output["results"]
        if output["kind"] == "classes":
            labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
            guess = (p[:, 0] > 0.5).astype(int) if kind == "yes or no" else p.argmax(axis=1)
            assert shown["figures"][0][2] == f"{np.sum(guess == labels)} of {SAMPLES}"
            assert {entry["number"] for entry in output["mistakes"]} <= set(np.flatnonzero(guess != labels))
        else:
            assert shown["figures"][0][1] == f"{np.abs(p - y.reshape(p.shape)).mean():.4g}"
            assert len(shown["points"]) == min(4, p.shape[-1])
            assert output["image"] == (list(p.shape[1:]) if kind == "image" else None)
        for sample in data["samples"]:  # what the page says of a layer is what the output is
            view, n = sample["maps"][output["value"]], sample["number"]
            if "units" in view:
                np.testing.assert_allclose(view["units"], p[n].reshape(-1), rtol=6e-4, atol=1e-6)
            elif "range" in view:
                assert view["range"] == pytest.approx(
                    [p[n][..., : view["count"]].min(), p[n][..., : view["count"]].max()], rel=1e-3
                )
    for sample in data["samples"]:
        assert len(sample["pictures"]) == data["inputs"] == len(model.inputs)
        for x, picture, view in zip(drawn.xs, sample["pictures"], sample["maps"], strict=False):
            assert picture["size"] == list(x.shape[1:3] if x.ndim == 1 + IMAGE else (1, x.shape[1]))
            if "units" in view:
                np.testing.assert_allclose(view["units"], x[sample["number"]].reshape(-1), rtol=6e-4)


@pytest.mark.parametrize("seed", range(24))
def test_layers_see_the_inputs_and_pixels_that_change_them(tmp_path, seed):
    drawn = graph(seed)
    rows = data_of(tmp_path, drawn.model, drawn.x, drawn.y, images=1)["layers"]
    for row in rows:  # copies of a pooled pixel are told apart by one pixel, which no field knows
        enlarged = row["type"] in ("UpSampling2D", "Conv2DTranspose")
        row["slack"] = max([enlarged, *(rows[before]["slack"] for before in row["inputs"])])
    rng = np.random.default_rng(seed)
    xs = [x[:1].astype(np.float64) for x in drawn.xs]
    base = all_values(drawn.model, xs)
    for number, x in enumerate(xs):
        seen = [str(number) in row["sees"] for row in rows]
        for _ in range(3):
            place = tuple(rng.integers(0, extent) for extent in x.shape[1:])
            changed = [each.copy() for each in xs]
            changed[number][(0, *place)] += 100 * rng.choice([-1, 1])
            for row, before, after, may in zip(
                rows, base, all_values(drawn.model, changed), seen, strict=True
            ):
                different = np.argwhere((before != after)[0])
                assert may or not len(different), row["name"]
                field = row["sees"].get(str(number))
                for at in different if field and len(row["shape"]) == IMAGE else ():
                    for axis in (0, 1):
                        begin = field[2][axis] + at[axis] * field[1][axis] + 1e-6
                        end = math.floor(begin + field[0][axis])
                        assert math.floor(begin) - row["slack"] <= place[axis] < end, row["name"]


def test_shared_layers_have_their_numbers_once(tmp_path):
    model = twins()
    data = data_of(tmp_path, model, [LEFT, RIGHT], [SHAPES, SHIFTS])
    names = [row["name"] for row in data["layers"]]
    first, second = (n for n, name in enumerate(names) if name == "conv")
    assert data["kernels"][str(second)] == {"like": first}
    assert data["sums"][str(second)] == {"like": first, "from": 1}
    assert data["sums"][str(first)]["from"] == 0
    both = names.index("both")
    assert [set(data["layers"][n]["sees"]) for n in (first, second, both)] == [{"0"}, {"1"}, {"0", "1"}]
    assert data["layers"][both]["sees"]["0"] == data["layers"][both]["sees"]["1"] == [[4, 4], [2, 2], [0, 0]]
    kernel = unpacked(data["sums"][str(first)]["kernel"])
    np.testing.assert_array_equal(kernel, model.get_layer("eye").get_layer("conv").kernel)


@pytest.mark.parametrize("form", [list, dict])
def test_data_in_every_form_give_the_same_page(tmp_path, form):
    model = twins(form)
    names = model.input_names, model.output_names
    listed = ([LEFT, RIGHT], [SHAPES, SHIFTS])
    by_name = [dict(zip(ends, parts, strict=True)) for ends, parts in zip(names, listed, strict=True)]
    pages = [
        data_of(tmp_path, model, *given, classes=classes)
        for given, classes in [
            (listed, [["a", "b", "c"], ["x", "y"]]),
            (by_name, dict(zip(names[1], [["a", "b", "c"], ["x", "y"]], strict=True))),
            (({**by_name[0], "more": SHAPES}, by_name[1]), (["a", "b", "c"], ["x", "y"])),
        ]
    ]
    for page in pages:
        assert page["outputs"] == pages[0]["outputs"]
        assert [output["names"] for output in page["outputs"]] == [["a", "b", "c"], ["x", "y"]]
        assert [output["name"] for output in page["outputs"]] == names[1]


def test_an_output_without_targets_has_no_results(tmp_path):
    model = twins()
    for y in ([None, SHIFTS], {"shift": SHIFTS}):
        data = data_of(tmp_path, model, [LEFT, RIGHT], y, classes={"shift": ["x", "y"]})
        assert [output["name"] for output in data["outputs"]] == ["shift"]
        assert [name for _, name in data["ends"]] == ["shape", "shift"]
        assert "There were no targets for shape: no results are shown." in data["left"]


def test_followed_samples_are_of_every_output_in_turn(tmp_path):
    model = twins()
    data = data_of(tmp_path, model, [LEFT, RIGHT], [SHAPES, SHIFTS], images=4)
    p, q = model.predict([LEFT, RIGHT], verbose=0)
    wrong = np.where(p.argmax(axis=1) != SHAPES, p.max(axis=1), -1)
    apart = (np.abs(q - SHIFTS) / SHIFTS.std(axis=0)).mean(axis=1)
    shown = {sample["number"] for sample in data["samples"]}
    assert len(shown) == 4
    assert {int(wrong.argmax()), int(apart.argmax())} <= shown
    assert [entry["number"] for entry in data["outputs"][1]["mistakes"]] == np.argsort(-apart)[:12].tolist()


def test_settings_have_the_loss_of_each_output(tmp_path):
    data = data_of(tmp_path, twins(compiled=True), [LEFT, RIGHT], [SHAPES, SHIFTS])
    (training,) = [dict(lines) for title, lines in data["settings"] if title == "Training"]
    assert training["loss of shape"] == "sparse_categorical_crossentropy"
    assert training["loss of shift"] == "0.25 × mean_squared_error"


def test_channels_first(tmp_path):
    left, right = Input((1, 8, 6), name="left"), Input((2, 5, 5), name="right")
    maps = Conv2D(2, 3, data_format="channels_first")(left)
    more = Conv2D(2, 3, data_format="channels_first")(right)
    flat = [GlobalAveragePooling2D(data_format="channels_first")(each) for each in (maps, more)]
    model = Model([left, right], [Dense(3, activation="softmax", name="c")(Add()(flat)), maps], seed=0)
    x = [RNG.random((4, 1, 8, 6)), RNG.random((4, 2, 5, 5))]
    y = [np.arange(4) % 3, RNG.random((4, 2, 6, 4))]
    data = data_of(tmp_path, model, x, y)
    assert [row["shape"] for row in data["layers"][:3]] == [[8, 6, 1], [5, 5, 2], [6, 4, 2]]
    mean = np.abs(model.predict(x, verbose=0)[1] - y[1]).mean()
    output = data["outputs"][1]
    assert output["results"]["figures"][0][1] == f"{mean:.4g}"
    assert output["image"] == [6, 4, 2]
    assert len(output["mistakes"][0]["pictures"]) == 2


def test_ends_without_layers_between(tmp_path):
    a, b = Input((4,), name="a"), Input((4,), name="b")
    x = [RNG.random((5, 4)), RNG.random((5, 4))]
    data = data_of(tmp_path, Model([a, b], [Dense(2, name="d")(a), b], seed=0), x, [RNG.random((5, 2)), x[1]])
    assert [value for value, _ in data["ends"]] == [2, 1]
    assert float(data["outputs"][1]["results"]["figures"][0][1]) < 1e-7  # float32's rounding
    same = Model(a, [Dense(2, name="d")(a)] * 2, seed=0)
    data = data_of(tmp_path, same, x[0], [np.ones((5, 2)), np.ones((5, 2))])
    assert [output["value"] for output in data["outputs"]] == [1, 1]


def test_the_meaning_of_an_output_is_that_of_the_layers_before_it():
    image = Input((6, 6, 1))
    inside = Input((4,))
    head = Model(inside, Dense(3, activation="softmax")(inside))
    maps = Conv2D(4, 3)(image)
    outputs = [head(GlobalAveragePooling2D()(maps)), Dense(2)(Flatten()(maps)), maps]
    outputs.append(Dropout(0.5)(Dense(1, activation="sigmoid")(Flatten()(maps))))
    model = Model(image, outputs)
    kinds = [meaning(model, n).kind for n in range(4)]
    assert kinds == ["class", "numbers", "image", "yes or no"]
    losses = cconv.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("sgd", [None, losses, None, None])
    assert [meaning(model, n).kind for n in range(4)] == ["class", "class", "image", "yes or no"]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"x_test": LEFT}, TypeError, "x_test must be a list of 2, or a dict of left, right, got ndarray"),
        ({"x_test": [LEFT]}, ValueError, "got a list of 1"),
        ({"x_test": {"left": LEFT}}, ValueError, "x_test must be .*, got a dict of left"),
        ({"x_test": [LEFT, RIGHT[:4]]}, ValueError, r"got the shapes \(12, 8, 8, 1\) and \(4, 8, 8, 1\) and"),
        ({"x_test": [LEFT, RIGHT.astype(str)]}, TypeError, r"x_test\['right'\] must hold real numbers"),
        ({"y_test": SHAPES}, TypeError, "y_test must be a list of 2, or a dict of shape, shift, got ndarray"),
        ({"y_test": {"sharp": SHAPES}}, ValueError, "got a dict of sharp"),
        ({"y_test": [None, None]}, ValueError, "targets for at least one output, got None"),
        ({"y_test": None}, ValueError, "targets for at least one output, got None"),
        (
            {"y_test": [SHAPES + 1, SHIFTS]},
            ValueError,
            r"y_test\['shape'\] must hold class numbers from 0 to 2",
        ),
        ({"y_test": [SHAPES, SHIFTS[:, :1]]}, ValueError, r"y_test\['shift'\] must hold 2 numbers"),
        ({"classes": ["a", "b", "c"]}, ValueError, "classes must be a list of 2, .* got a list of 3"),
        ({"y_test": [SHAPES.astype(str), SHIFTS]}, TypeError, r"y_test\['shape'\] must hold real numbers"),
        ({"classes": ["abc", None]}, TypeError, r"classes\['shape'\] must be 3 names"),
    ],
)
def test_errors_say_which_end(tmp_path, change, error, text):
    given = {"model": twins(), "x_test": [LEFT, RIGHT], "y_test": [SHAPES, SHIFTS], **change}
    with pytest.raises(error, match=text):
        cconv.report(**given, path=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_sequentials_in_lists_and_one_output_by_name(tmp_path):
    image = Input((8, 8, 1), name="i")
    model = Model([image], {"k": Dense(3, activation="softmax")(Flatten()(image))}, seed=0)
    data = data_of(tmp_path, model, {"i": LEFT}, {"k": SHAPES}, classes={"k": ["xyz"] * 3})
    assert data["outputs"][0]["names"] == ["xyz"] * 3
    small = Sequential([Flatten(input_shape=(8, 8, 1)), Dense(3, activation="softmax")], seed=0)
    assert data_of(tmp_path, small, list(LEFT), list(SHAPES))["inputs"] == 1


def test_nothing_but_nan_in_an_input_and_no_layers_at_all(tmp_path):
    nothing = np.full_like(LEFT, np.nan)
    data = data_of(tmp_path, twins(), [nothing, RIGHT], [SHAPES, SHIFTS])
    assert [len(sample["pictures"]) for sample in data["samples"]] == [2] * 12
    image = Input((8, 8, 1))
    data = data_of(tmp_path, Model(image, image), LEFT, LEFT)
    assert (len(data["layers"]), data["outputs"][0]["results"]["figures"][0][1]) == (1, "0")
