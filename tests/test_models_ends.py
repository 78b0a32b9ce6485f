"""Models with several inputs and outputs: Keras' figures, gradients, forms of data, what they refuse."""

import copy
import json
import pickle
from pathlib import Path

import ends_cases
import numpy as np
import pytest
from ends_cases import CASES, CLASSES, arrays, filled, middle, play, set_weights, siamese, two_ends
from hypothesis import given
from hypothesis import strategies as st
from strategies import central_differences, many, on_all_threads

from cconv import callbacks, layers, losses, metrics, optimizers
from cconv.losses.joint import Joint
from cconv.models import Model, NonFiniteLossError, Sequential, clone_model, load_model
from cconv.ops.run import Run
from cconv.utils import PyDataset

TABLE = json.loads((Path(__file__).parent / "data" / "ends.json").read_text(encoding="utf-8"))["cases"]
DATA = arrays()
LISTS = filled(ends_cases.LISTS, DATA)
X, Y = LISTS["x"], LISTS["y"]
W = [DATA["first"], DATA["second"]]


def made(make=two_ends, form="list", told=None, **options):
    """A model with known weights, compiled."""
    built = make(layers, lambda *ends: Model(*ends, **{"seed": 3, **options}), form)
    set_weights(built)
    built.compile(**{"optimizer": "sgd", "loss": ["mse", CLASSES], **(told or {})})
    return built


def trained(model=None, x=X, y=Y, **options):
    """The weights after two epochs, and the history."""
    model = model or made()
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, **options)
    return model.get_weights(), history.history


def assert_same(one, other):
    (weights, history), (others, other_history) = one, other
    assert history == other_history
    assert all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))


# --- Keras' figures -------------------------------------------------------------------------------


def test_every_case_is_in_the_table():
    assert list(TABLE) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_figures_of_keras(name):
    """To six digits: Keras keeps figures in float32, and XLA's exp and tanh have about eight."""
    kept, found = TABLE[name], play(name, layers, Model, optimizers, seed=0, dtype="float64")
    several = len(kept["predict"]) > 1  # of one output the loss comes first, in Keras the names are sorted
    assert list(found["history"]) == list(kept["history"]) or not several
    assert sorted(found["history"]) == list(kept["history"])
    assert len(next(iter(kept["history"].values()))) == ends_cases.EPOCHS
    for key, values in kept["history"].items():
        assert found["history"][key] == pytest.approx(values, rel=1e-6), key
    assert list(found["by_name"]) == list(kept["by_name"]) or not several
    for key in ("evaluate", "by_name", "batch"):
        assert found[key] == pytest.approx(kept[key], rel=1e-6)
    assert found["form"] == kept["form"]
    for y, expected in zip(found["predict"], kept["predict"], strict=True):
        assert y == pytest.approx(expected, rel=1e-6, abs=1e-9)


# --- losses and their gradients -------------------------------------------------------------------


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("make", [two_ends, siamese, middle])
@pytest.mark.parametrize("fuse", [True, False])
def test_gradients_of_the_sum(make, fuse, data_format):
    if make is siamese:
        told, x, y = {"loss": "binary_crossentropy"}, [DATA["one"], DATA["two"]], DATA["same"]
    else:
        told = {"loss": ["mse", CLASSES], "loss_weights": [0.5, 1.75]}
        x, y = (X if make is two_ends else DATA["vector"]), Y
    if make is two_ends and data_format == "channels_first":

        def make_first(layers, model, form):
            image, vector = layers.Input((2, 6, 6)), layers.Input((3,))
            seen = layers.Conv2D(3, 3, activation="relu", data_format="channels_first")(image)
            seen = layers.GlobalAveragePooling2D(data_format="channels_first")(seen)
            both = layers.Concatenate()([seen, layers.Dense(4, activation="tanh")(vector)])
            return model(
                [image, vector], [layers.Dense(1)(both), layers.Dense(3, activation="softmax")(both)]
            )

        model = made(make_first, told=told, dtype="float64", data_format=data_format)
        x = [np.moveaxis(X[0], 3, 1), X[1]]
    else:
        model = made(make, told=told, dtype="float64")
    model.fuse = fuse
    model.optimizer.learning_rate = 1.0
    draw = np.random.default_rng(6)  # of multiples of 1/8 some would meet where ReLU has its kink
    weights = [draw.normal(scale=0.5, size=array.shape) for array in model.get_weights()]
    model.set_weights(weights)
    model.train_on_batch(x, y)
    moved = [old - new for old, new in zip(weights, model.get_weights(), strict=True)]

    for number, array in enumerate(weights):

        def loss(value, number=number):
            model.set_weights([*weights[:number], value, *weights[number + 1 :]])
            return model.evaluate(x, y, verbose=0, return_dict=True)["loss"]

        expected = central_differences(loss, array)
        np.testing.assert_allclose(moved[number], expected, rtol=2e-5, atol=2e-7)


def test_the_sum_of_weighted_losses():
    joint = Joint([losses.MeanSquaredError(), None, losses.MeanAbsoluteError()], [2.0, 5.0, 0.5])
    draw = np.random.default_rng(4)
    true, pred = [tuple(draw.normal(size=(6, 2)) for _ in range(3)) for _ in range(2)]
    weight = (None, None, np.arange(6.0))
    total, found = joint.of_all(true, pred, weight, [Run(training=True) for _ in range(3)], [False] * 3)
    first, first_dy = losses.MeanSquaredError()(true[0], pred[0])
    last, last_dy = losses.MeanAbsoluteError()(true[2], pred[2], weight[2])
    assert total == 2 * first + 0.5 * last
    assert total.parts == (first, last)
    assert found[1] is None
    assert np.array_equal(found[0], 2 * first_dy)
    assert np.array_equal(found[2], 0.5 * last_dy)


def test_a_weight_of_the_only_loss():
    for weights in (2.0, [2.0], {"size": 2.0}):
        model = Sequential([layers.Dense(1, input_shape=(3,), name="size")], seed=1)
        model.compile("sgd", "mse", loss_weights=weights)
        plain = Sequential([layers.Dense(1, input_shape=(3,), name="size")], seed=1)
        plain.compile("sgd", "mse")
        x, y = DATA["vector"], DATA["size"]
        assert model.evaluate(x, y, verbose=0) == pytest.approx(2 * plain.evaluate(x, y, verbose=0))
        plain.optimizer.learning_rate = 2 * plain.optimizer.learning_rate
        (one, _), (two, _) = trained(model, x, y), trained(plain, x, y)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_what_no_loss_depends_on_has_no_gradient():
    # First both outputs learn, then one alone: what was left of the first training must not be used again.
    model = made(told={"optimizer": "adam"})
    trained(model)
    model.compile("adam", ["mse", None])
    before = model.get_layer("kind").get_weights(), model.get_layer("size").get_weights()
    trained(model)
    after = model.get_layer("kind").get_weights(), model.get_layer("size").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert not np.array_equal(before[1][0], after[1][0])


def test_a_shared_layer_whose_first_use_has_no_loss():
    """It learns by its other use, as if that were the only one."""

    def twice(first):
        a, b = layers.Input((3,)), layers.Input((3,))
        shared = layers.Dense(2, activation="tanh", name="shared")
        made = [shared(a), shared(b)] if first else [shared(b)]
        model = Model([a, b] if first else b, made if first else made[0], seed=5)
        model.compile("sgd", [None, "mse"] if first else "mse")
        return model

    y = DATA["vector"][:, :2]
    both, one = twice(True), twice(False)
    one.set_weights(both.get_weights())
    for _ in range(4):  # the third step and those after it are repeated kernel call by kernel call
        both.train_on_batch([DATA["one"], DATA["two"]], [None, y])
        one.train_on_batch(DATA["two"], y)
    for a, b in zip(both.get_weights(), one.get_weights(), strict=True):
        assert np.array_equal(a, b)


# --- drawn structures -----------------------------------------------------------------------------


LOSSES = {"mse": losses.MeanSquaredError, "mae": losses.MeanAbsoluteError, "huber": losses.Huber}
FORMS = {"list": list, "tuple": tuple, "dict": dict}


@st.composite
def structures(draw):
    """How many values of each input and output, the losses with their weights, and the forms of the data."""
    outputs = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    chosen = draw(st.lists(st.sampled_from([*LOSSES, None]), min_size=len(outputs), max_size=len(outputs)))
    return {
        "inputs": draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)),
        "outputs": outputs,
        "losses": chosen if any(chosen) else ["mse", *chosen[1:]],
        "weights": [draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])) for _ in outputs],
        "x": draw(st.sampled_from([*FORMS])),
        "y": draw(st.sampled_from([*FORMS])),
        "compiled": draw(st.sampled_from([*FORMS])),
        "weighted": draw(st.lists(st.booleans(), min_size=len(outputs), max_size=len(outputs))),
        "batch": draw(st.integers(1, 9)),
        "named": draw(st.booleans()),
    }


def as_form(form, names, values):
    return dict(zip(names, values, strict=True)) if form == "dict" else FORMS[form](values)


@given(structures(), st.integers(0, 2**16))
@many
def test_any_structure_gives_the_sum_of_its_losses(drawn, seed):
    names = [f"in{number}" for number in range(len(drawn["inputs"]))]
    called = [f"out{number}" for number in range(len(drawn["outputs"]))]
    ins = [layers.Input((size,), name=name) for size, name in zip(drawn["inputs"], names, strict=True)]
    hidden = [layers.Dense(3, activation="tanh")(x) for x in ins]
    both = layers.Add()(hidden) if len(hidden) > 1 else hidden[0]
    outs = [layers.Dense(size, name=name)(both) for size, name in zip(drawn["outputs"], called, strict=True)]
    form = "dict" if drawn["named"] else "list"
    model = Model(as_form(form, names, ins), as_form(form, called, outs), seed=seed, dtype="float64")
    told = as_form(drawn["compiled"], called, drawn["losses"])
    model.compile("sgd", told, loss_weights=as_form(drawn["compiled"], called, drawn["weights"]))

    random = np.random.default_rng(seed)
    n = 9
    xs = [random.normal(size=(n, size)) for size in drawn["inputs"]]
    ys = [random.normal(size=(n, size)) for size in drawn["outputs"]]
    weights = [random.random(n) if weighted else None for weighted in drawn["weighted"]]
    x = xs[0] if len(xs) == 1 and drawn["x"] != "dict" else as_form(drawn["x"], names, xs)
    y, weight = as_form(drawn["y"], called, ys), as_form(drawn["y"], called, weights)

    predicted = model.predict(x, batch_size=drawn["batch"], verbose=0)
    assert type(predicted) is FORMS[form]
    flat = [predicted[name] for name in called] if form == "dict" else predicted
    parts = {
        name: LOSSES[loss]()(true, pred, w)
        for name, loss, true, pred, w in zip(called, drawn["losses"], ys, flat, weights, strict=True)
        if loss is not None
    }
    total = sum(parts[name][0] * f for name, f in zip(called, drawn["weights"], strict=True) if name in parts)
    found = model.evaluate(x, y, drawn["batch"], 0, weight, return_dict=True)
    assert found["loss"] == pytest.approx(total, rel=1e-12)
    shown = {f"{name}_loss": part for name, (part, _) in parts.items()} if len(parts) > 1 else {}
    assert {name: value for name, value in found.items() if name != "loss"} == pytest.approx(shown, rel=1e-12)

    # One step moves the last biases by the gradients alone: they are the sums over the samples.
    before = {name: model.get_layer(name).params["bias"].copy() for name in called}
    model.optimizer.learning_rate = 0.5
    model.train_on_batch(x, y, weight)
    for name, factor in zip(called, drawn["weights"], strict=True):
        moved = (before[name] - model.get_layer(name).params["bias"]) / 0.5
        wanted = factor * parts[name][1].sum(axis=0) if name in parts else np.zeros_like(moved)
        np.testing.assert_allclose(moved, wanted, rtol=1e-9, atol=1e-12)


# --- the same bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [two_ends, siamese, middle])
def test_the_same_bits_on_any_number_of_threads_and_by_themselves(make):
    def work(fuse=True):
        if make is siamese:
            model = made(make, told={"loss": "mae"})
            x, y = [DATA["one"], DATA["two"]], DATA["same"]
        else:
            model, (x, y) = made(make, told={"metrics": [["mae"], ["acc"]]}), (X, Y)
            x = x if make is two_ends else DATA["vector"]
        model.fuse = fuse
        weights, history = trained(model, x, y, sample_weight=W[0])
        return [*weights, *(np.array(values) for values in history.values())]

    plain = on_all_threads(work)
    assert all(np.array_equal(a, b) for a, b in zip(plain, work(fuse=False), strict=True))


# --- the forms of data ----------------------------------------------------------------------------


class Dataset(PyDataset):
    """Batches by number, of inputs and targets by name."""

    def __init__(self, named):
        super().__init__()
        self.named = named

    def __len__(self):
        return 5

    def __getitem__(self, number):
        rows = slice(8 * number, 8 * number + 8)
        x, y, weight = [X[0][rows], X[1][rows]], [Y[0][rows], Y[1][rows]], [W[0][rows], W[1][rows]]
        if self.named:
            x, y = dict(zip(("image", "vector"), x, strict=True)), dict(zip(("size", "kind"), y, strict=True))
            weight = dict(zip(("size", "kind"), weight, strict=True))
        return x, y, weight


def test_all_forms_of_data_are_the_same():
    expected = trained(sample_weight=W, shuffle=False)
    named = {"image": X[0], "vector": X[1], "more": "not used"}
    assert_same(trained(x=tuple(X), y=tuple(Y), sample_weight=tuple(W), shuffle=False), expected)
    targets, weights = {"kind": Y[1], "size": Y[0]}, {"kind": W[1], "size": W[0]}
    assert_same(trained(x=named, y=targets, sample_weight=weights, shuffle=False), expected)
    for by_name in (False, True):
        model = made()
        history = model.fit(Dataset(by_name), epochs=2, shuffle=False, verbose=0)
        assert_same((model.get_weights(), history.history), expected)
        model = made()
        batches = (Dataset(by_name)[number % 5] for number in range(10))
        history = model.fit(batches, steps_per_epoch=5, epochs=2, verbose=0)
        assert_same((model.get_weights(), history.history), expected)


def test_bytes_lists_and_views():
    image = (X[0] * 8 + 12).astype(np.uint8)
    expected = trained(x=[image.astype(np.float32), X[1]])
    assert_same(trained(x=[image, X[1].tolist()], y=[Y[0].tolist(), Y[1].astype(np.int8)]), expected)
    assert_same(trained(x=[np.asfortranarray(image), X[1][::-1][::-1]]), expected)


def test_a_mapped_file_and_what_is_read_slice_by_slice(tmp_path):
    class Slices:
        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __getitem__(self, rows):
            assert isinstance(rows, slice)
            return self.array[rows]

    np.save(tmp_path / "image.npy", X[0])
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    assert_same(trained(x=[mapped, X[1]]), trained())
    expected = trained(shuffle=False)
    assert_same(trained(x=[Slices(X[0]), X[1]], y=[Slices(Y[0]), Y[1]], shuffle=False), expected)
    assert_same(trained(x=[Slices(X[0]), Slices(X[1])], shuffle=False), expected)


def test_batches_prepared_in_the_background_are_the_same(monkeypatch):
    expected = trained()
    monkeypatch.setattr("cconv.inputs.batches.BACKGROUND_NUMBERS", 0)
    monkeypatch.setattr("cconv.threads.one_to_spare", lambda: True)
    assert_same(trained(), expected)
    monkeypatch.setattr("cconv.threads.one_to_spare", lambda: False)
    assert_same(trained(), expected)


def test_validation_and_steps():
    _, split = trained(validation_split=0.2, shuffle=False)
    held = [x[32:] for x in X], [y[32:] for y in Y]
    _, given = trained(x=[x[:32] for x in X], y=[y[:32] for y in Y], validation_data=held, shuffle=False)
    assert split == given
    named = {"image": held[0][0], "vector": held[0][1]}, {"size": held[1][0], "kind": held[1][1]}
    _, given = trained(x=[x[:32] for x in X], y=[y[:32] for y in Y], validation_data=named, shuffle=False)
    assert split == given
    assert list(given) == ["kind_loss", "loss", "size_loss", "val_kind_loss", "val_loss", "val_size_loss"]
    model = made()
    assert model.evaluate(X, Y, 8, 0, steps=2) == model.evaluate(
        [x[:16] for x in X], [y[:16] for y in Y], 8, 0
    )


@pytest.mark.parametrize("form", ["list", "dict"])
def test_predict_gives_what_the_outputs_were_given_as(form):
    told = {"loss": {"size": "mse", "kind": CLASSES}}
    model = made(form=form, told=told)
    named = {"image": X[0], "vector": X[1]}
    seen = []

    class Watch(callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            seen.append(logs["outputs"])

    whole = model.predict(X, verbose=0)
    for found in (
        model.predict(named, batch_size=7, verbose=0, callbacks=Watch()),
        model.predict_on_batch(X),
        model(X),
        model.predict(iter([(X,)]), verbose=0),
        model.predict(iter([(named, Y)]), verbose=0),
        model.predict(iter([named]), verbose=0),
    ):
        assert type(found) is type(whole) is (list if form == "list" else dict)
        pairs = (
            zip(found, whole, strict=True)
            if form == "list"
            else ((found[k], whole[k]) for k in ("size", "kind"))
        )
        for y, expected in pairs:
            np.testing.assert_array_equal(y, expected)
    assert len(seen) == 6
    assert type(seen[0]) is type(whole)
    empty = model.predict([x[:0] for x in X], verbose=0)
    shapes = [y.shape for y in (empty if form == "list" else empty.values())]
    assert shapes == [(0, 1), (0, 3)]
    several = model(X, training=True)
    assert type(several) is type(whole)


def test_one_input_by_its_name():
    vector = layers.Input((3,), name="vector")
    model = Model(vector, layers.Dense(1, name="size")(vector), seed=2)
    model.compile("sgd", {"size": "mse"}, metrics={"size": ["mae"]})
    x, y = DATA["vector"], DATA["size"]
    expected = model.evaluate(x, y, verbose=0)
    assert model.evaluate({"vector": x}, {"size": y}, verbose=0) == expected
    assert model.evaluate(x.tolist(), y.tolist(), verbose=0) == expected
    assert model.metrics_names == ["loss", "mae"]
    assert np.array_equal(model.predict({"vector": x}, verbose=0), model.predict(x, verbose=0))
    listed = Model([vector], [model(vector)])
    assert np.array_equal(listed.predict([x], verbose=0), model.predict(x, verbose=0))
    assert np.array_equal(listed.predict(x, verbose=0), model.predict(x, verbose=0))
    assert np.array_equal(listed.predict(x.tolist(), verbose=0), model.predict(x, verbose=0))
    named = Model({"v": vector}, {"z": model(vector)})
    assert list(named.predict({"v": x}, verbose=0)) == ["z"]
    assert list(named.predict(x[:1], verbose=0)) == ["z"]
    for _ in range(3):  # also once plans are there
        assert list(named.predict_on_batch(x.astype(np.float32))) == ["z"]


def test_an_output_without_a_loss_needs_no_targets():
    for y in ([Y[0], None], {"size": Y[0]}, Y):
        _, history = trained(made(told={"loss": ["mse", None]}), y=y)
        assert list(history) == ["loss"]
    with pytest.raises(ValueError, match=r"y\['kind'\] must be given"):
        trained(made(told={"loss": ["mse", None], "metrics": [[], ["accuracy"]]}), y=[Y[0], None])


def test_the_metrics_of_an_output_see_its_targets_alone():
    model = made(told={"metrics": {"kind": [metrics.SparseCategoricalAccuracy("hits")], "size": "mae"}})
    model.fit(X, Y, verbose=0)
    size, kind = model.predict(X, verbose=0)
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["kind_hits"] == pytest.approx(float((kind.argmax(axis=1) == Y[1]).mean()))
    assert found["size_mae"] == pytest.approx(float(np.abs(size - Y[0]).mean()), rel=1e-6)
    listed = model.evaluate(X, Y, verbose=0)
    assert dict(zip(model.metrics_names, listed, strict=True)) == found


def test_two_metrics_of_one_name():
    told = {"metrics": {"size": ["mae", "mae"]}, "weighted_metrics": {"size": ["mae"], "kind": ["accuracy"]}}
    names = ["loss", "size_loss", "kind_loss", "kind_accuracy", "size_mae", "size_mae_1", "size_weighted_mae"]
    assert made(told=told).metrics_names == names


# --- what is kept ---------------------------------------------------------------------------------


TOLD = {
    "optimizer": "adam",
    "loss_weights": {"size": 0.5, "kind": 2.0},
    "metrics": {"size": ["mae"], "kind": ["accuracy"]},
    "weighted_metrics": {"kind": ["accuracy"]},
}


@pytest.mark.parametrize("form", ["list", "dict"])
@pytest.mark.parametrize("way", ["file", "pickle", "copy"])
def test_training_goes_on_with_the_same_bits(way, form, tmp_path):
    model = made(form=form, told={**TOLD, "loss": {"size": "mse", "kind": CLASSES}})
    trained(model, sample_weight=W)
    if way == "file":
        model.save(tmp_path / "model.safetensors")
        twin = load_model(tmp_path / "model.safetensors")
    else:
        twin = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    assert twin.metrics_names == model.metrics_names
    assert twin._training_config() == model._training_config()
    assert_same(trained(twin, sample_weight=W), trained(model, sample_weight=W))
    assert twin.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_files_keep_a_missing_loss_and_the_weight_of_one(tmp_path):
    for model in (
        made(told={"loss": ["mse", None], "metrics": [None, ["accuracy"]]}),
        made(siamese, told={"loss": "mae", "loss_weights": 0.25}),
    ):
        model.save(tmp_path / "model.safetensors")
        twin = load_model(tmp_path / "model.safetensors")
        assert twin._training_config() == model._training_config()
        assert repr(twin.loss) == repr(model.loss)
        assert twin.loss.weights == model.loss.weights


def test_a_clone_and_a_model_of_a_configuration():
    model = made(form="dict", told={"loss": {"size": "mse", "kind": CLASSES}})
    for twin in (clone_model(model), Model.from_config(json.loads(json.dumps(model.get_config())))):
        assert twin.output_names == model.output_names
        twin.set_weights(model.get_weights())
        for name, y in twin.predict(X, verbose=0).items():
            assert np.array_equal(y, model.predict(X, verbose=0)[name])


# --- what is refused ------------------------------------------------------------------------------


def compiled(**told):
    return lambda: made(told=told)


def fitted(**given):
    return lambda: made().fit(**{"x": X, "y": Y, "verbose": 0, **given})


NAMED = {"image": X[0], "vector": X[1]}


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (compiled(loss=None), ValueError, "loss must be given, for example"),
        (compiled(loss=[None, None]), ValueError, "loss must be given for at least one output"),
        (
            compiled(loss=["mse"]),
            ValueError,
            "loss must be a list of 2, or a dict of size, kind, got a list of 1",
        ),
        (compiled(loss={"size": "mse"}), ValueError, "loss must be .* got a dict of size$"),
        (compiled(loss={"size": "mse", "sort": "mse"}), ValueError, "got a dict of size, sort"),
        (compiled(loss=["mse", "nonsense"]), ValueError, "loss must be one of"),
        (compiled(loss_weights=2.0), TypeError, r"loss_weights must be a list of 2, .* got 2\.0"),
        (compiled(loss_weights=[1.0]), ValueError, "loss_weights must be a list of 2, .* got a list of 1"),
        (compiled(loss_weights={"size": 1.0}), ValueError, "loss_weights must be given for each loss"),
        (compiled(loss_weights={"s": 1.0}), ValueError, "loss_weights must be .* got a dict of s"),
        (compiled(loss_weights=[1.0, float("nan")]), ValueError, "loss_weights must be a finite number"),
        (compiled(loss_weights=[1.0, "2"]), TypeError, "loss_weights must be a finite number"),
        (compiled(metrics="mae"), TypeError, "metrics must be a list, or a dict by output, got 'mae'"),
        (compiled(metrics=["mae"]), ValueError, "metrics must be a list of 2, .* got a list of 1"),
        (compiled(metrics={"sort": "mae"}), ValueError, "metrics must be .* got a dict of sort"),
        (compiled(weighted_metrics=["mae", "nothing"]), ValueError, "weighted_metrics must be one of"),
        (fitted(x=X[0]), TypeError, "x must be a list of 2, or a dict of image, vector, got ndarray"),
        (fitted(x=[X[0]]), ValueError, "x must be a list of 2, .* got a list of 1"),
        (fitted(x={"image": X[0]}), ValueError, "x must be .* got a dict of image$"),
        (
            fitted(x=[X[0], X[1][:5]]),
            ValueError,
            "as many samples for each input, got 40 for 'image', 5 for 'vector'",
        ),
        (
            fitted(x=[X[1], X[0]]),
            ValueError,
            r"input 'image' expects x of shape \(n, 6, 6, 2\), got \(40, 3\)",
        ),
        (fitted(x=[X[0], np.array(["a"] * 40)]), TypeError, r"x\['vector'\]"),
        (fitted(y=None), ValueError, "y must be given"),
        (fitted(y=Y[0]), TypeError, "y must be a list of 2, or a dict of size, kind, got ndarray"),
        (fitted(y=[Y[0]]), ValueError, "y must be a list of 2, .* got a list of 1"),
        (fitted(y={"size": Y[0], "kind": Y[1], "more": Y[1]}), ValueError, "y must be .* size, kind, more"),
        (fitted(y=[Y[0], None]), ValueError, r"y\['kind'\] must be given"),
        (
            fitted(y=[Y[0], Y[1][:5]]),
            ValueError,
            r"y\['kind'\] must have one row for each of the 40 samples, got 5",
        ),
        (fitted(y=[Y[0], Y[1] + 3]), ValueError, r"y\['kind'\] does not fit the loss"),
        (fitted(class_weight={0: 1.0}), ValueError, "class_weight is only for models with one output"),
        (fitted(sample_weight=[W[0], W[1][:3]]), ValueError, r"sample_weight\['kind'\] must have one row"),
        (fitted(sample_weight={"sort": W[0]}), ValueError, "sample_weight must be .* got a dict of sort"),
        (fitted(sample_weight=[W[0], np.full(40, np.nan)]), ValueError, r"sample_weight\['kind'\] must"),
        (fitted(x=iter([(X, [Y[0]])]), y=None), ValueError, "y must be a list of 2"),
        (fitted(x=iter([(NAMED, Y), ({"image": X[0]}, Y)]), y=None), ValueError, "batch 1: x must be"),
        (fitted(x=iter([NAMED]), y=None), TypeError, r"batch 0 must be \(x, y\)"),
    ],
)
def test_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_refusals_change_nothing():
    model = made()
    before = model.get_weights()
    for x, y in (([X[0], X[1][:5]], Y), (X, [Y[0], Y[1] + 3])):
        with pytest.raises(ValueError, match=r"must|fit"):
            model.fit(x, y, verbose=0)
        with pytest.raises(ValueError, match=r"must|fit"):
            model.train_on_batch(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_loss_that_is_not_finite_is_explained():
    bad = X[1].copy()
    bad[3] = np.nan
    with pytest.raises(NonFiniteLossError, match="the input of this batch is not finite"):
        made().fit([X[0], bad], Y, verbose=0)
    with pytest.raises(NonFiniteLossError, match="the targets or weights of this batch are not finite"):
        made().fit(X, [Y[0] * np.inf, Y[1]], verbose=0)
    model = made()
    model.get_layer("wide").params["kernel"][...] = np.nan
    with pytest.raises(NonFiniteLossError, match=r"\(wide, Dense\) is the first"):
        model.fit(X, Y, verbose=0)
