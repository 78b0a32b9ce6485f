"""Model files that lie: refused by name with one kind of error, before anything large is made."""

import copy
import json
import time
import tracemalloc

import mutations
import numpy as np
import pytest

from cconv import activations, constraints, initializers, layers, losses, optimizers, regularizers, schedules
from cconv.arguments.configured import config_of
from cconv.files import safetensors
from cconv.models import Sequential, load_model

ENTRIES = ("class_name", "config", "name")


def document(entries, input_shape, training=None, **model):
    described = {"name": "m", "seed": 1, "dtype": "float32", "data_format": None, "input_shape": input_shape}
    return {
        "format": 1,
        "cconv": "0",
        "training": training,
        "model": {**described, "layers": entries, **model},
    }


def described(layer, name):
    return config_of(layer) | {"name": name}


def write_lie(path, arrays, content):
    """Write a file without a digest, as one who lies would."""
    safetensors.write(path, arrays, content)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    del header["__metadata__"]["cconv.sha256"]
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + size :])


def refused(path, match=None):
    """Load a file that must be refused, at no cost; return the message."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            load_model(path)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < 100e6
    assert time.process_time() - begin < 60  # a hang, and no measurement
    assert type(caught.value) is ValueError
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    return str(caught.value)


LARGE = {
    "Dense(10**9)": ([described(layers.Dense(10**9), "a")], [784]),
    "Dense of 2**62": ([described(layers.Dense(2**62), "a")], [2**62]),
    "a kernel of 10**5": ([described(layers.Conv2D(1, 10**5), "a")], [10**5, 10**5, 1]),
    "many filters": ([described(layers.Conv2D(10**9, 3), "a")], [8, 8, 512]),
    "many multipliers": ([described(layers.DepthwiseConv2D(3, depth_multiplier=2**40), "a")], [8, 8, 2**20]),
    "padding of 2**60": ([described(layers.ZeroPadding2D(2**60), "a")], [8, 8, 1]),
    "padding of 10**9": ([described(layers.ZeroPadding2D(10**9), "a")] * 1, [8, 8, 3]),
    "padding before Dense": (
        [
            described(layers.ZeroPadding2D(10**4), "p"),
            described(layers.Flatten(), "f"),
            described(layers.Dense(9), "d"),
        ],
        [8, 8, 3],
    ),
    "shapes of thousands of axes": (
        [described(layers.Reshape((2**62,) * 9000), f"r{n}") for n in range(3)],
        [2**62] * 9000,
    ),
    "one target of thousands of axes": ([described(layers.Reshape((2**62,) * 9000), "r")], [2**62]),
    "normalisation of 10**12": ([described(layers.BatchNormalization(), "a")], [10**12]),
    "an initializer with its own seed": (
        [described(layers.Dense(10**9, kernel_initializer="he_normal"), "a")],
        [9],
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_tiny_file_costs_little(name, tmp_path):
    entries, shape = LARGE[name]
    write_lie(tmp_path / "m", {}, document(entries, shape))
    assert (tmp_path / "m").stat().st_size < 10_000 or "axes" in name
    refused(tmp_path / "m", "does not describe a model that can be made")


def test_shapes_are_compared_before_an_array_is_read(tmp_path, monkeypatch):
    entries = [described(layers.Dense(4), "a"), described(layers.Dense(3), "b")]
    right = {
        "weights/a/kernel": (5, 4),
        "weights/a/bias": (4,),
        "weights/b/kernel": (4, 3),
        "weights/b/bias": (3,),
    }
    monkeypatch.setattr(safetensors.Reader, "array", lambda *_: pytest.fail("an array was read"))
    for wrong in right:
        arrays = {name: np.ones(shape, np.float32) for name, shape in right.items()}
        for bad in (
            arrays[wrong].astype(np.float64),
            arrays[wrong].astype(np.int32),
            arrays[wrong][..., None],
        ):
            write_lie(tmp_path / "m", arrays | {wrong: bad}, document(entries, [5]))
            refused(tmp_path / "m", "must be float32 of shape")
        write_lie(tmp_path / "m", {n: a for n, a in arrays.items() if n != wrong}, document(entries, [5]))
        refused(tmp_path / "m", "the file has no")
    write_lie(tmp_path / "m", arrays | {"weights/c/kernel": np.ones(3)}, document(entries, [5]))
    refused(tmp_path / "m", "belongs to no layer")


def test_initial_weights_are_never_drawn_in_a_load(tmp_path, monkeypatch):
    model = Sequential([layers.Conv2D(2, 3, input_shape=(8, 8, 1)), layers.BatchNormalization()], seed=1)
    model.save(tmp_path / "m")
    monkeypatch.setattr(
        initializers.Initializer, "__call__", lambda *_, **__: pytest.fail("weights were drawn")
    )
    twin = load_model(tmp_path / "m")
    monkeypatch.undo()
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))
    twin.layers[0].build((8, 8, 1), seed=1)  # and what was read does not stay for the next build
    assert np.array_equal(twin.layers[0].params["kernel"], model.layers[0].params["kernel"])


def many(count, config):
    """The bytes of a model of so many layers, and of no weights."""
    entries = ",".join(f'{{"class_name":"ReLU","config":{config},"name":"{n}"}}' for n in range(count))
    content = json.dumps(document([], [4])).replace('"layers": []', f'"layers": [{entries}]')
    head = json.dumps({"__metadata__": {"cconv": content}}).encode()
    return len(head).to_bytes(8, "little") + head


@pytest.mark.parametrize("config", ["{}", json.dumps(layers.ReLU().get_config())], ids=["short", "whole"])
def test_the_number_of_layers_is_bounded(config, tmp_path):
    (tmp_path / "m").write_bytes(many(100_000, config))
    refused(tmp_path / "m")
    (tmp_path / "m").write_bytes(many(3_000, config))
    assert len(load_model(tmp_path / "m").layers) == 3_000


def trained():
    model = Sequential([layers.Dense(3, input_shape=(2,)), layers.Dense(1)], seed=1)
    model.compile("adam", "mse", ["mae"])
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    return model


def changed(tmp_path, change):
    """Save a trained model, and write it once more with other arrays or another document."""
    trained().save(tmp_path / "m")
    arrays, content = safetensors.read(tmp_path / "m")
    change(arrays, content)
    write_lie(tmp_path / "m", arrays, content)
    return tmp_path / "m"


COUNTS = (-5, "7", 1.7, None, True, [], {}, 2**63, 2.0, "x")


@pytest.mark.parametrize("key", ["steps", "epochs"])
@pytest.mark.parametrize("value", COUNTS, ids=repr)
def test_counts_are_counts(key, value, tmp_path):
    refused(changed(tmp_path, lambda _, content: content["training"].update({key: value})), key)


STATES = {
    "iterations below 0": {"optimizer/iterations": np.array(-5)},
    "iterations of floats": {"optimizer/iterations": np.array(5.0)},
    "iterations of int32": {"optimizer/iterations": np.array(5, np.int32)},
    "two iterations": {"optimizer/iterations": np.array([5, 6])},
    "too many iterations": {"optimizer/iterations": np.array(2**63 - 1)},
    "another shape": {"optimizer/dense/kernel/m": np.ones((2, 4), np.float32)},
    "larger than the weight": {"optimizer/dense/kernel/m": np.ones((2, 3, 100), np.float32)},
    "another dtype": {"optimizer/dense/kernel/m": np.ones((2, 3))},
    "integers": {"optimizer/dense/kernel/v": np.ones((2, 3), np.int32)},
    "another slot": {"optimizer/dense/kernel/w": np.ones((2, 3), np.float32)},
    "no slot": {"optimizer/dense": np.ones((2, 3), np.float32)},
    "of no kind": {"other": np.ones(3)},
    "int32 weights": {"weights/dense/kernel": np.ones((2, 3), np.int32)},
    "float64 weights": {"weights/dense/kernel": np.ones((2, 3))},
    "float16 weights": {"weights/dense/kernel": np.ones((2, 3), np.float16)},
}


@pytest.mark.parametrize("name", STATES)
def test_arrays_that_do_not_fit(name, tmp_path):
    refused(changed(tmp_path, lambda arrays, _: arrays.update(STATES[name])), "model that can be made")


@pytest.mark.parametrize("name", ["optimizer/iterations", "optimizer/dense/kernel/m", "weights/dense/kernel"])
def test_arrays_that_are_missing(name, tmp_path):
    refused(changed(tmp_path, lambda arrays, _: arrays.pop(name)), "model that can be made")


def test_what_an_optimizer_keeps_of_layers_that_are_gone(tmp_path):
    """It is not saved any more; older files that have it are read, and files with a digest cannot have it."""
    model = trained()
    model.pop()
    model.save(tmp_path / "m")
    arrays, content = safetensors.read(tmp_path / "m")
    assert not [name for name in arrays if "dense_1" in name]
    stale = arrays | {f"optimizer/dense_1/bias/{slot}": np.ones(1, np.float32) for slot in "mv"}
    safetensors.write(tmp_path / "m", stale, content)
    refused(tmp_path / "m", "about no weight")
    write_lie(tmp_path / "m", stale, content)
    assert np.array_equal(load_model(tmp_path / "m").get_weights()[0], model.get_weights()[0])


ALL_LAYERS = [
    *(
        layers.Dense(3),
        layers.Conv2D(2, 3),
        layers.DepthwiseConv2D(3),
        layers.ZeroPadding2D(1),
        layers.Flatten(),
    ),
    *(
        layers.MaxPooling2D(2),
        layers.AveragePooling2D(2),
        layers.GlobalAveragePooling2D(),
        layers.Rescaling(2.0),
    ),
    *(
        layers.BatchNormalization(),
        layers.Reshape((-1,)),
        layers.Dropout(0.5),
        layers.RandomFlip(),
        layers.ReLU(6),
    ),
    *(
        layers.RandomRotation(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.Activation("relu"),
        layers.ReLU(),
    ),
    *(layers.LeakyReLU(0.1), layers.Softmax(), layers.InputLayer((8, 8, 1))),
    *(layers.ELU(0.5), layers.PReLU(shared_axes=[1, 2])),
    *(layers.AlphaDropout(0.5), layers.GaussianDropout(0.5), layers.GaussianNoise(0.5)),
    *(layers.SpatialDropout1D(0.5), layers.SpatialDropout2D(0.5)),
    *(layers.LayerNormalization(), layers.RMSNormalization(), layers.UnitNormalization()),
    *(layers.GroupNormalization(2), layers.LayerScale(0.5), layers.Normalization(mean=0.5, variance=2.0)),
    *(layers.Conv2DTranspose(2, 3), layers.SeparableConv2D(2, 3), layers.GlobalMaxPooling2D()),
    *(layers.UpSampling2D(2), layers.Resizing(3, 5), layers.CenterCrop(3, 3), layers.Cropping2D(1)),
    *(layers.Permute((2, 1, 3)), layers.RepeatVector(2)),
    *(layers.Conv1D(2, 3), layers.Conv1DTranspose(2, 3), layers.DepthwiseConv1D(3)),
    *(layers.SeparableConv1D(2, 3), layers.MaxPooling1D(2), layers.AveragePooling1D(2)),
    *(layers.GlobalMaxPooling1D(), layers.GlobalAveragePooling1D(), layers.UpSampling1D(2)),
    *(layers.Cropping1D(1), layers.ZeroPadding1D(1)),
    *(layers.RandomZoom(0.1), layers.RandomCrop(3, 3), layers.RandomBrightness(0.1)),
    *(layers.RandomContrast(0.1), layers.RandomErasing()),
    *(layers.ArgMax(1), layers.Clip(0.1, 0.9), layers.DepthToSpace(1), layers.SpaceToDepth(2)),
    *(layers.ElementwiseAffine(shared_axes=[1, 2]), layers.LocalResponseNormalization(3)),
    *(layers.Pad([(1, 0), (0, 1), (0, 0)], "edge"), layers.Resampling(3, 5, coordinates="align_corners")),
    *(layers.Slice([1, 0, None], [None, -1, None]), layers.Tile([1, 2, 1])),
]
# What takes several inputs stands in no row, and what changes labels in no model.
NOT_IN_A_ROW = {entry for entry in layers._CLASSES.values() if entry._merges} | {layers.MixUp, layers.CutMix}


def test_every_layer_is_here():
    assert {type(layer) for layer in ALL_LAYERS} == set(layers._CLASSES.values()) - NOT_IN_A_ROW


@pytest.mark.parametrize("layer", ALL_LAYERS, ids=lambda layer: type(layer).__name__)
def test_wrong_values_for_every_entry_of_every_layer(layer, tmp_path):
    """Each is refused with ValueError, or makes a layer that says the same of itself."""
    path, base = tmp_path / "m", described(layer, "a")
    refusals = []
    for key in [*base["config"], *ENTRIES]:
        for value in [*mutations.VALUES, "gone"]:
            entry = copy.deepcopy(base)
            place = entry if key in ENTRIES else entry["config"]
            if value == "gone":
                del place[key]
            else:
                place[key] = copy.deepcopy(value)
            write_lie(path, {}, document([entry], [8, 8, 1]))
            try:
                model = load_model(path)
            except ValueError as error:
                refusals.append(error)
            else:
                # What it was told it says again: nothing was taken for something else.
                again = json.loads(json.dumps(model.get_config()))
                twin = Sequential.from_config(again)
                assert json.loads(json.dumps(twin.get_config())) == again
    assert len(refusals) > len(mutations.VALUES)
    assert all(type(error) is ValueError and str(path) in str(error) for error in refusals)


OBJECTS = [
    *(kind() for kind in dict.fromkeys(optimizers._CLASSES.values())),
    *(kind() for kind in dict.fromkeys(losses._CLASSES.values())),
    *(kind() for kind in dict.fromkeys(initializers._CLASSES.values())),
    *(kind() for kind in dict.fromkeys(regularizers._CLASSES.values())),
    *(kind() for kind in dict.fromkeys(activations._CLASSES.values())),
    *(kind() for kind in dict.fromkeys(constraints._CLASSES.values())),
    schedules.CosineDecay(0.1, 5),
    schedules.ExponentialDecay(0.1, 5, 0.5),
    schedules.InverseTimeDecay(0.1, 5, 0.5),
    schedules.PiecewiseConstantDecay([1], [0.1, 0.2]),
]


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: type(thing).__name__)
def test_wrong_values_for_every_entry_of_every_object(thing):
    base = json.loads(json.dumps(thing.get_config()))
    for key, right in base.items():
        for value in [*mutations.VALUES, 10**400, -(10**400)]:
            try:
                made = type(thing).from_config(base | {key: copy.deepcopy(value)})
            except (TypeError, ValueError):
                continue
            kept = json.loads(json.dumps(made.get_config()))[key]
            assert isinstance(value, bool) == isinstance(kept, bool), (key, value, kept)
            same_kind = isinstance(right, bool) == isinstance(value, bool)
            assert same_kind or right is None or value is None, (key, value, kept)


CODE = [
    "os.system",
    "__import__",
    "eval",
    "Layer",
    "Sequential",
    "builtins.exec",
    "cconv.cli.main",
    "type",
    "Metric",
]


@pytest.mark.parametrize("name", CODE)
def test_no_class_name_runs_code(name, tmp_path, monkeypatch):
    """Only classes of the library's own tables are made; names are looked up in nothing else."""
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("code was run"))
    custom = {"class_name": name, "config": {"command": "true", "name": "a", "module": "os"}}
    for change in (
        lambda _, content: content["model"]["layers"][0].update(custom),
        lambda _, content: content["model"]["layers"][0]["config"].update(kernel_initializer=custom),
        lambda _, content: content["model"]["layers"][0]["config"].update(activation=custom),
        lambda _, content: content["model"]["layers"][0]["config"].update(kernel_regularizer=custom),
        lambda _, content: content["training"].update(optimizer=custom),
        lambda _, content: content["training"].update(loss=custom),
        lambda _, content: content["training"].update(metrics=[custom]),
        lambda _, content: content["training"]["optimizer"]["config"].update(learning_rate=custom),
    ):
        refused(changed(tmp_path, change), "model that can be made")


WRONG = {
    "layers": [None, {}, "Dense", [], [None], [[]]],
    "input_shape": [None, [], [0], [2.0], "2", [2**63], [1] * 9999, [True], {"a": 2}],
    "dtype": [None, "int32", "float16", ["f4"], ">f4", "f4,f4"],
    "seed": [-1, 1.5, "1", True, []],
    "name": [3, [], {}],
    "data_format": ["x", [], 1],
}
MODELS = [(key, value) for key, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("key", "value"), MODELS)
def test_wrong_values_for_every_entry_of_a_model(key, value, tmp_path):
    trained().save(tmp_path / "m")
    arrays, content = safetensors.read(tmp_path / "m")
    content["model"][key] = value
    write_lie(tmp_path / "m", arrays, content)
    refused(tmp_path / "m")


@pytest.mark.parametrize("value", [2, 0, True, 1.0, "1", None, [1]], ids=repr)
def test_other_formats_are_refused(value, tmp_path):
    refused(changed(tmp_path, lambda _, content: content.update(format=value)), "this cconv reads format 1")
    with pytest.raises(ValueError, match="this cconv reads format 1"):
        trained().load_weights(tmp_path / "m")


@pytest.mark.parametrize("names", [("a", "a"), ("", "b"), (1, "b"), (None, "b"), (["a"], "b")], ids=repr)
def test_names_of_layers_are_names(names, tmp_path):
    entries = [described(layers.ReLU(), name) for name in names]
    write_lie(tmp_path / "m", {}, document(entries, [4]))
    refused(tmp_path / "m", "name")


def test_names_with_control_characters_survive_and_are_shown_harmless(tmp_path):
    model = Sequential([layers.Dense(2, name="a\x1b[2J\n\0/b", input_shape=(3,))], seed=0)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").layers[0].name == "a\x1b[2J\n\0/b"
    arrays, content = safetensors.read(tmp_path / "m")
    arrays["weights/\x1b[2J/kernel"] = np.ones(2)
    write_lie(tmp_path / "m", arrays, content)
    assert "\x1b" not in refused(tmp_path / "m")


def test_a_flipped_bit_is_not_another_model(tmp_path):
    """Of every byte of a model file one bit: it is refused, or what is loaded is the model."""
    model = trained()
    path = tmp_path / "m"
    model.save(path)
    whole, expected = path.read_bytes(), model.get_weights()
    refusals = []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            twin = load_model(path)
        except ValueError as error:
            refusals.append(str(error))
            continue
        assert all(np.array_equal(a, b) for a, b in zip(twin.get_weights(), expected, strict=True))
        assert twin.get_config() == model.get_config()
        assert twin._training_config() == model._training_config()
    assert len(refusals) > 0.95 * len(whole)
    assert all(str(path) in message for message in refusals)
    at = len(whole) - 8  # in the last weights
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(ValueError, match="does not have the digest it was written with"):
        load_model(path)
    with pytest.raises(ValueError, match="does not have the digest it was written with"):
        load_model(path, compile=False)
    other = trained()
    with pytest.raises(ValueError, match="does not have the digest it was written with"):
        other.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(other.get_weights(), expected, strict=True))


def test_files_of_older_versions_have_no_digest_and_load(tmp_path):
    """As the package wrote them: one entry of metadata."""
    from safetensors.numpy import save_file

    model = trained()
    model.save(tmp_path / "new")
    arrays, content = safetensors.read(tmp_path / "new")
    save_file(arrays, tmp_path / "old", metadata={"cconv": json.dumps(content)})
    twin, other = load_model(tmp_path / "old"), trained()
    other.load_weights(tmp_path / "old")
    for loaded in (twin, other):
        assert all(
            np.array_equal(a, b) for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True)
        )
    x, y = np.ones((4, 2)), np.ones((4, 1))
    model.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    twin.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(twin.get_weights(), model.get_weights(), strict=True))


@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8", "int64"])
def test_weights_that_are_no_floats_are_refused(dtype, tmp_path):
    model = trained()
    model.save_weights(tmp_path / "w")
    arrays, content = safetensors.read(tmp_path / "w")
    safetensors.write(tmp_path / "w", {name: array.astype(dtype) for name, array in arrays.items()}, content)
    before = model.get_weights()
    with pytest.raises(ValueError, match="must hold floats"):
        model.load_weights(tmp_path / "w")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    safetensors.write(tmp_path / "w", {name: array.astype("f8") for name, array in arrays.items()}, content)
    model.load_weights(tmp_path / "w")
