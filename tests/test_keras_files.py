"""Files of Keras: what Keras saved is read, and what is written comes back as it was.

The files of Keras are in data/keras_files.npz, made by tools/tables/keras_files.py where Keras is installed.
"""

import itertools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from random_graphs import image_layer, nested_ends, random_graph

from cconv import activations, layers
from cconv.activations import rectifier
from cconv.io import keras
from cconv.io.keras.compile_out import optimizer_arrays
from cconv.io.keras.graph_in import TRAINING_UNLESS_SAID
from cconv.io.keras.layers_out import NOT_THERE
from cconv.io.keras.operators import TABLE, Tensor, steps_of
from cconv.layers import Input
from cconv.models import Model, Sequential, load_model, model_from_json
from cconv.optimizers import Nadam

DATA = np.load(Path(__file__).parent / "data" / "keras_files.npz")
TRAINED = sorted(name.removesuffix("/losses") for name in DATA.files if name.endswith("/losses"))
BEFORE = 3  # steps that the files have seen
GIVEN = Path(os.environ.get("CCONV_DATA_DIR", "/nowhere")) / "models"


RECTIFIERS = [
    {"max_value": most, "negative_slope": slope, "threshold": least}
    for most, slope, least in itertools.product((None, 0.5, 6.0), (0.0, 0.1), (0.0, 0.2))
]


def unpacked(folder, name):
    """Write a file of Keras into a folder; return its path."""
    path = folder / name
    path.write_bytes(DATA[name].tobytes())
    return path


def outputs(model, x):
    found = model.predict(x, verbose=0)
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]


def close(found, name):
    wanted = [DATA[f"{name}/y{number}"] for number in range(len(found))]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", ["graph", "mixed", *TRAINED])
def test_a_model_of_keras_predicts_the_same(name, ending, tmp_path):
    model = keras.load(unpacked(tmp_path, f"{name}.{ending}"))
    close(outputs(model, DATA[f"{name}/x"]), name)
    assert (model.optimizer is not None) == (name in TRAINED)


@pytest.mark.parametrize("name", ["graph", "mixed", *TRAINED])
def test_a_model_of_keras_from_its_json(name, tmp_path):
    """What Keras' `to_json` returns is what a .keras file describes the model by."""
    path = unpacked(tmp_path, f"{name}.keras")
    with zipfile.ZipFile(path) as file:
        model = model_from_json(file.read("config.json").decode())
    model.load_weights(path)
    close(outputs(model, DATA[f"{name}/x"]), name)
    assert model.optimizer is None


def test_json_of_keras_with_what_cconv_has_not():
    lstm = {"module": "keras.layers", "class_name": "LSTM", "config": {"name": "l", "units": 3}}
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [lstm]}}
    with pytest.raises(ValueError, match=r"model_from_json: json_string needs what cconv has not: .*LSTM"):
        model_from_json(json.dumps(model))


@pytest.mark.parametrize("name", ["graph", "mixed", "sgd"])
def test_weights_alone_go_into_a_model_that_is_built(name, tmp_path):
    model = load_model(unpacked(tmp_path, f"{name}.keras"))
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    for ending in ("weights.h5", "keras", "h5"):
        model.load_weights(unpacked(tmp_path, f"{name}.{ending}"))
        close(outputs(model, DATA[f"{name}/x"]), name)
        model.set_weights([np.zeros_like(array) for array in model.get_weights()])


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", TRAINED)
def test_training_goes_on_with_the_losses_of_keras(name, ending, tmp_path):
    model = load_model(unpacked(tmp_path, f"{name}.{ending}"))
    assert model.optimizer._calls == BEFORE
    x, targets, losses = (DATA[f"{name}/{entry}"] for entry in ("x", "targets", "losses"))
    found = [float(np.atleast_1d(model.train_on_batch(x, targets))[0]) for _ in losses]
    np.testing.assert_allclose(found, losses, rtol=0, atol=1e-5 * max(losses))


# --- there and back -----------------------------------------------------------------------------------


def described(model):
    """The configuration of a model; a data format that no layer was told is one that all are told then."""
    text = json.dumps(model.get_config())
    return text.replace('"data_format": null', '"data_format": "channels_last"')


def same(model, twin, x):
    assert described(twin) == described(model)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    agree(model, twin, x)


def agree(model, twin, x):
    for one, other in zip(outputs(model, x), outputs(twin, x), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("ending", ["keras", "h5", "hdf5"])
@pytest.mark.parametrize("name", ["graph", "mixed", *TRAINED])
def test_what_was_read_is_written_and_read_with_the_same_bits(name, ending, tmp_path):
    model = load_model(unpacked(tmp_path, f"{name}.keras"))
    path = tmp_path / f"again.{ending}"
    model.save(path)
    twin = load_model(path)
    same(model, twin, DATA[f"{name}/x"])
    assert twin._training_config() == model._training_config()
    if name in TRAINED:
        state, other = model.optimizer.get_state(), twin.optimizer.get_state()
        assert state.keys() == other.keys()
        for entry, array in state.items():
            np.testing.assert_array_equal(array, other[entry])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_come_back(seed, data_format, tmp_path):
    rng = np.random.default_rng(seed)
    model = random_graph(rng, data_format=data_format, dtype="float32" if seed % 2 else "float64")
    x = rng.normal(size=(3, *model.input_shape[1:])).astype(model.dtype)
    twins = []
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"m.{ending}")
        twins.append(load_model(tmp_path / f"m.{ending}"))
        for one, other in zip(model.get_weights(), twins[-1].get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(outputs(model, x)[0], outputs(twins[-1], x)[0])
    losses = []
    for one in (model, *twins):  # also with dropout and frozen statistics
        one.compile("adam", "categorical_crossentropy")
        losses.append([one.train_on_batch(x, np.eye(3)) for _ in range(2)])
    assert losses[0] == losses[1] == losses[2]
    for ending in ("weights.h5", "hdf5"):
        model.save_weights(tmp_path / f"m.{ending}")
        before = model.get_weights()
        model.set_weights([np.zeros_like(array) for array in before])
        model.load_weights(tmp_path / f"m.{ending}")
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("seed", range(12))
def test_outputs_of_nested_models_come_back(seed, ending, tmp_path):
    rng = np.random.default_rng(seed)
    model = nested_ends(rng)
    model.save(tmp_path / f"m.{ending}")
    agree(model, load_model(tmp_path / f"m.{ending}"), rng.normal(size=(2, 3)).astype("float32"))


@pytest.mark.parametrize("before", [False, True], ids=["as Keras", "as cconv once did"])
@pytest.mark.parametrize("seed", range(12))
def test_outputs_count_the_uses_of_a_nested_model_from_one(seed, before, tmp_path):
    rng = np.random.default_rng(seed)
    model, path = nested_ends(rng), tmp_path / "m.keras"
    model.save(path)
    numbers = []

    def from_zero(described):
        ends = described["config"]["output_layers"]
        for end in ends if isinstance(ends[0], list) else [ends]:
            numbers.append(end[1])
            end[1] -= 1

    def without(described):
        del described["cconv"]["first_use"]
        return None if before else {"keras_version": "3.15.1"}

    rewrite(path, without, "metadata.json")
    if before:
        rewrite(path, from_zero)
        assert min(numbers) > 0
    agree(model, load_model(path), rng.normal(size=(2, 3)).astype("float32"))


@pytest.mark.parametrize("kind", ["Functional", "Sequential"])
@pytest.mark.parametrize("seed", range(6))
def test_keras_2_counts_the_uses_of_nested_models_from_one_everywhere(seed, kind, tmp_path):
    rng = np.random.default_rng(seed)
    if kind == "Functional":
        model = nested_ends(rng)
    else:
        inner, x = Sequential([layers.Dense(3)], name="inner"), Input((3,))
        model = Model(x, [y := inner(x), layers.Add()([inner(y), y])], seed=seed)
    model.save(tmp_path / "m.keras")

    def tensor(entry):
        name, use, output = entry["config"]["keras_history"]
        return [name, use + (name == "inner"), output, {}]

    def as_keras_2(described):
        for entry in described["config"]["layers"]:
            nodes = [node["args"][0] for node in entry["inbound_nodes"]]
            entry["inbound_nodes"] = [list(map(tensor, n if isinstance(n, list) else [n])) for n in nodes]
        if kind == "Sequential":
            described["config"]["output_layers"][0][1] += 1

    rewrite(tmp_path / "m.keras", as_keras_2)
    agree(model, load_model(tmp_path / "m.keras"), rng.normal(size=(2, 3)).astype("float32"))


def test_a_use_of_a_nested_model_before_the_first_is_refused(tmp_path):
    model, path = nested_ends(np.random.default_rng(0)), tmp_path / "m.keras"
    model.save(path)
    rewrite(path, lambda described: described["config"].update(output_layers=[["inner", 0, 0]]))
    with pytest.raises(ValueError, match="uses of 'inner' in output_layers must count from 1, got 0"):
        load_model(path)


def call_in_training(described):
    """Make all layers of a graph but the inputs be called with training=True."""
    for entry in described["config"]["layers"]:
        for node in entry["inbound_nodes"]:
            node["kwargs"]["training"] = True


@pytest.mark.parametrize("name", sorted({*TRAINING_UNLESS_SAID} - {"CutMix", "MixUp"}))
def test_layers_that_keras_calls_in_training_by_itself_act_as_cconv_says(name, tmp_path):
    x = Input((8, 8, 3))
    model, path = Model(x, image_layer(name)(x), seed=1), tmp_path / "m.keras"
    model.save(path)
    rewrite(path, call_in_training)
    twin = load_model(path)
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
    same(model, twin, images)
    still, moved = (twin.layers[-1].forward(images, training=training) for training in (False, True))
    assert np.array_equal(still, moved) == ("Random" not in name)


@pytest.mark.parametrize(
    "layer", [layers.Dropout(0.5), layers.BatchNormalization()], ids=lambda layer: layer.name
)
def test_layers_that_a_user_calls_in_training_are_refused(layer, tmp_path):
    x = Input((3,))
    Model(x, layer(x)).save(tmp_path / "m.keras")
    rewrite(tmp_path / "m.keras", call_in_training)
    with pytest.raises(ValueError, match="a layer that is called with training=True"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    "activation",
    [
        *(rectifier(**options) for options in RECTIFIERS),
        *(activations.ELU(0.5), activations.ELU(), activations.Softmax()),
        *(activations.SoftmaxOver(axes) for axes in ([1], [2], [1, 2], [1, 2, 3])),
    ],
    ids=repr,
)
def test_activations_with_arguments_come_back(activation, ending, tmp_path):
    model = Sequential([Input((5, 4, 3)), layers.Conv2D(4, 2, activation=activation)])
    model.save(tmp_path / f"m.{ending}")
    same(model, load_model(tmp_path / f"m.{ending}"), np.ones((2, 5, 4, 3)))


def with_operator(path, name, **config):
    """Write a file of a graph whose only layer is one of Keras' operators."""
    x = Input((4, 5, 3))
    Model(x, layers.ReLU(name="only")(x)).save(path)

    def change(described):
        entry = described["config"]["layers"][1]
        entry |= {"module": "keras.src.ops.nn", "class_name": name, "config": {"name": "only", **config}}

    rewrite(path, change)
    return path


OPERATORS = {
    "Elu": (activations.elu, [{"alpha": alpha} for alpha in (0.5, 1.0, 2.0)]),
    "Gelu": (activations.gelu, [{"approximate": flag} for flag in (True, False)]),
    "LeakyRelu": (activations.leaky_relu, [{"negative_slope": slope} for slope in (0.0, 0.2, 0.7)]),
    "LogSoftmax": (activations.log_softmax, [{"axis": axis} for axis in (-3, -2, -1, 1, 2, 3)]),
    "ReLU": (activations.relu, RECTIFIERS),
    "Softmax": (activations.softmax, [{"axis": axis} for axis in (-3, -2, -1, 1, 2, 3)]),
}


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name, (_, rows) in OPERATORS.items() for options in rows],
    ids=str,
)
def test_operators_do_as_they_are_told(name, options, tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    found = load_model(with_operator(tmp_path / "m.keras", name, **options)).predict(x, verbose=0)
    np.testing.assert_array_equal(found, OPERATORS[name][0](x, **options))


NEEDED = {
    "clip": {"x_min": 0, "x_max": 1},
    "concatenate": {"axis": 1},
    "max": {"axis": [1, 2]},
    "mean": {"axis": [1, 2]},
    "reshape": {"newshape": [None, 60]},
    "transpose": {"axes": [0, 2, 1, 3]},
}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_parameter_that_an_operator_does_not_know_is_refused(name):
    given = [Tensor(tensor, 0, 0, [None, 4, 5, 3]) for tensor in "xy"]
    config = {"name": "operator", "initial": None, **NEEDED.get(name, {})}
    assert steps_of({"class_name": name, "config": config}, given)
    assert steps_of({"class_name": name, "config": {**config, "initial": 0.5}}, given) is None


def test_training_goes_on_with_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 32)
    model = Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(6, 6, 1)),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        seed=4,
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"m.{ending}")
    histories = [
        one.fit(x, y, batch_size=8, epochs=2, verbose=0).history
        for one in (load_model(tmp_path / "m.keras"), load_model(tmp_path / "m.h5"), model)
    ]
    assert histories[0] == histories[1] == histories[2]


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = Sequential([layers.Dense(3, input_shape=(4,))], seed=1)
    for name in ("a.keras", "b.keras", "a.h5", "b.h5"):
        model.save(tmp_path / name)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_lines_of_the_course(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def made():
        row = [
            layers.Conv2D(4, (3, 3), padding="same", activation="relu", input_shape=(8, 8, 3)),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
        return Sequential(row)

    model, other = made(), made()
    model.save_weights("param_cifar10.hdf5")
    other.load_weights("param_cifar10.hdf5")
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_axis_minus_one_of_channels_first_is_refused(tmp_path):
    def change(config):
        entries = config["config"]["layers"]
        entries[2]["config"]["data_format"] = "channels_first"

    with pytest.raises(
        ValueError, match=r"BatchNormalization\(axis=-1\) of images whose channels come first"
    ):
        load_model(changed(tmp_path, change, "sgd"))


OVER_CHANNELS = [
    *(layers.Activation(name) for name in ("softmax", "log_softmax")),
    *(layers.Conv2D(4, 1, activation=over) for over in ("softmax", activations.SoftmaxOver([1]))),
    *(layers.Rescaling([1.0, 2.0, 3.0, 4.0]), layers.Rescaling(1.0, [1.0, 2.0, 3.0, 4.0])),
    *(layers.Softmax(), layers.LayerNormalization()),
]
ANYWHERE = [layers.Activation("relu"), layers.Rescaling(2.0), layers.Softmax([3]), layers.Conv2D(4, 1)]


@pytest.mark.parametrize("layer", [*OVER_CHANNELS, *ANYWHERE], ids=repr)
def test_what_means_channels_here_and_the_last_axis_in_keras_is_refused_if_channels_come_first(
    layer, tmp_path
):
    x = Input((4, 4, 4))
    Model(x, layer.clone()(layers.Conv2D(4, 1, name="first")(x))).save(tmp_path / "m.keras")

    def first(described):
        for entry in described["config"]["layers"]:
            if "data_format" in entry["config"]:
                entry["config"]["data_format"] = "channels_first"

    rewrite(tmp_path / "m.keras", first)
    if layer in ANYWHERE:
        load_model(tmp_path / "m.keras")
    else:
        with pytest.raises(ValueError, match="of images whose channels come first"):
            load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    "layer",
    [
        *(layers.Conv2D(4, 1, activation=over) for over in ("softmax", "log_softmax")),
        *(layers.Conv2D(4, 1, activation=activations.SoftmaxOver([1])), layers.Activation("softmax")),
        *(layers.Dense(4), layers.RMSNormalization(), layers.Rescaling([1.0, 2.0, 3.0, 4.0])),
    ],
    ids=repr,
)
def test_what_means_channels_that_come_first_is_not_written(layer, ending, tmp_path):
    model = Sequential([Input((4, 4, 4)), layer.clone()], data_format="channels_first")
    with pytest.raises(ValueError, match="over channels that come first"):
        model.save(tmp_path / f"m.{ending}")


@pytest.mark.parametrize("layer", [*OVER_CHANNELS, layers.Dense(4), layers.UnitNormalization()], ids=repr)
def test_shapes_that_a_file_does_not_tell_are_those_of_the_model(layer, tmp_path):
    """Keras writes no shape for layers without weights."""
    row = [Input((4, 4, 4)), layers.ZeroPadding2D(1), layer.clone(), layers.Flatten(), layers.Dense(2)]
    Sequential([*row, layers.Activation("softmax")]).save(tmp_path / "m.keras")

    def first(described):
        for entry in described["config"]["layers"]:
            entry.pop("build_config", None)
            if "data_format" in entry["config"]:
                entry["config"]["data_format"] = "channels_first"

    rewrite(tmp_path / "m.keras", first)
    with pytest.raises(ValueError, match="of images whose channels come first"):
        load_model(tmp_path / "m.keras")


def test_a_metric_that_has_no_name_in_keras_is_written_by_its_class(tmp_path):
    model = Sequential([Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["logcosh"])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        (metric,) = json.loads(file.read("config.json"))["compile_config"]["metrics"]
    assert (metric["module"], metric["class_name"]) == ("keras.metrics", "LogCoshError")
    assert [one.name for one in load_model(tmp_path / "m.keras").metrics] == ["logcosh"]


@pytest.mark.parametrize("ignored", [None, 1])
def test_an_argument_of_a_metric_that_cconv_lacks_must_change_nothing(ignored, tmp_path):
    """Keras writes it into every file of a model that has this metric."""
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "mse", metrics=["sparse_categorical_crossentropy"], weighted_metrics=["mae"])
    model.save(tmp_path / "m.keras")
    config = {"name": "cross", "dtype": "float32", "from_logits": False, "ignore_class": ignored, "axis": -1}
    metric = {"module": "keras.metrics", "class_name": "SparseCategoricalCrossentropy", "config": config}
    rewrite(tmp_path / "m.keras", lambda told: told["compile_config"].update(metrics=[metric]))
    if ignored is None:
        found = load_model(tmp_path / "m.keras").metrics[0]
        assert (type(found).__name__, found.name) == (metric["class_name"], "cross")
    else:
        with pytest.raises(ValueError, match="unknown entries 'ignore_class'"):
            load_model(tmp_path / "m.keras")


def test_many_layers_need_more_than_one_list_of_names(tmp_path):
    model = Sequential([layers.Dense(1, input_shape=(1,), name="d" * 200 + "0")])
    for number in range(1, 400):
        model.add(layers.ReLU(name=f"{'d' * 200}{number}"))
    model.save(tmp_path / "m.h5")
    assert [layer.name for layer in load_model(tmp_path / "m.h5").layers] == [
        layer.name for layer in model.layers
    ]


# --- the files that are given -------------------------------------------------------------------------


@pytest.mark.skipif(not GIVEN.is_dir(), reason="needs the shared files of models")
def test_files_of_several_versions_of_keras():
    known = np.load(GIVEN / "fer_mini_xception.npz")
    for ending in ("hdf5", "keras"):
        model = keras.load(GIVEN / f"fer_mini_xception.{ending}")
        np.testing.assert_allclose(model.predict(known["x"], verbose=0), known["out0"], rtol=0, atol=1e-5)
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    model.load_weights(GIVEN / "fer_mini_xception.weights.h5")
    np.testing.assert_allclose(model.predict(known["x"], verbose=0), known["out0"], rtol=0, atol=1e-5)
    model = keras.load(GIVEN / "fer_mini_xception.hdf5")
    assert (type(model.optimizer).__name__, model.steps_done) == ("Adam", 92494)


# --- what is refused ----------------------------------------------------------------------------------


def changed(folder, change, name="graph"):
    """Write a file of Keras whose configuration is changed; return its path."""
    path = unpacked(folder, f"{name}.keras")
    rewrite(path, change)
    return path


def rewrite(path, change, member="config.json"):
    """Change one of the descriptions in a file."""
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    described = json.loads(members[member])
    members[member] = json.dumps(change(described) or described).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in members.items():
            archive.writestr(entry, data)


def test_all_that_is_missing_is_said_at_once(tmp_path):
    def change(config):
        entries = config["config"]["layers"]
        entries[1] |= {
            "class_name": "Lambda",
            "config": {"name": "l", "function": {"class_name": "__lambda__"}},
        }
        for entry in entries:
            if entry["class_name"] == "Conv2DTranspose":
                entry["class_name"] = "LSTM"
            if entry["class_name"] == "Multiply" and "ops" in entry["module"]:
                entry["class_name"] = "Einsum"
            if entry["class_name"] == "Dense":
                entry["config"]["lora_rank"] = 4

    with pytest.raises(ValueError, match="needs what cconv has not") as caught:
        load_model(changed(tmp_path, change))
    for word in ("Lambda", "code and is not run", "LSTM", "Einsum", "times", "lora_rank=4", "graph.keras"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickled_function_is_refused_and_not_run(tmp_path):
    value = {"class_name": "__lambda__", "config": {"value": ["gASVKA==", None, None]}}

    def change(config):
        config["config"]["layers"][2]["config"]["activation"] = value

    with pytest.raises(ValueError, match="a lambda, which is code and is not run"):
        load_model(changed(tmp_path, change, "sgd"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config: config["config"].pop("layers"), "layers must be a list"),
        (lambda config: config["config"].update(output_layers=[["nobody", 0, 0]]), "there is no output 0"),
        (lambda config: config["config"].update(input_layers=["shared", 0, 0]), "must name InputLayers"),
        (lambda config: config.update(class_name="Subclassed"), "must be a Sequential or a Functional"),
        (lambda config: config["config"].update(layers=[{}]), "must have a class"),
        (lambda config: [1], "it holds weights but no model"),
    ],
)
def test_configurations_that_describe_no_model(change, words, tmp_path):
    def only(config):
        found = change(config)
        return found if isinstance(found, list) and found == [1] else None

    with pytest.raises(ValueError, match=words):
        load_model(changed(tmp_path, only))


def test_a_circle_in_the_graph_ends(tmp_path):
    def change(config):
        entries = {entry["name"]: entry for entry in config["config"]["layers"]}
        first = entries["shared"]["inbound_nodes"][0]["args"][0]
        first["config"]["keras_history"] = ["shared", 1, 0]

    with pytest.raises(ValueError, match="a circle"):
        load_model(changed(tmp_path, change))


def test_what_keras_has_not_is_not_written(tmp_path):
    x = Input((8, 8, 2))
    y = layers.MaxPooling2D(3, ceil_mode=True)(layers.Conv2DTranspose(2, 3, groups=2)(x))
    model = Model(x, layers.Flatten()(y))
    with pytest.raises(ValueError, match="what Keras has not") as caught:
        model.save(tmp_path / "m.keras")
    for word in ("groups=2", "ceil_mode=True", "m.keras"):
        assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_names_that_say_something_else_are_refused(tmp_path):
    model = Sequential([layers.Dense(1, input_shape=(1,))])
    with pytest.raises(ValueError, match="files of weights alone"):
        model.save(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="files of whole models"):
        model.save_weights(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.hdf5")
    with pytest.raises(ValueError, match="holds weights but no model"):
        load_model(tmp_path / "m.hdf5")


def test_weights_of_another_model_change_nothing(tmp_path):
    model = Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(1)])
    other = Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(4)])
    third = Sequential([layers.Dense(2, input_shape=(3,))])
    before = model.get_weights()
    for ending in ("weights.h5", "hdf5"):
        for wrong in (other, third):
            wrong.save_weights(tmp_path / f"m.{ending}")
            with pytest.raises(ValueError, match=r"must have shape|does not fit this model"):
                model.load_weights(tmp_path / f"m.{ending}")
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_open_shape_is_given(tmp_path):
    def change(config):
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, None, None, 2]
        config["config"]["build_input_shape"] = None

    path = changed(tmp_path, change, "sgd")
    with pytest.raises(ValueError, match="give input_shape="):
        keras.load(path)
    close(outputs(keras.load(path, input_shape=(6, 6, 2)), DATA["sgd/x"]), "sgd")


def test_importing_costs_nothing():
    code = "import cconv, cconv.io, sys; assert not any(m in sys.modules for m in ('h5py', 'cconv.io.keras'))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_layers_that_keras_has_not_are_refused(tmp_path):
    there = json.loads((Path(__file__).parent / "keras_api.json").read_text(encoding="utf-8"))["layers"]
    ours = {kind.__name__ for kind in layers._CLASSES.values()}
    # Keras has these under other roofs: an operator, and a layer of its ConvNeXt.
    assert set(NOT_THERE) == ours - set(there) - {"Divide", "LayerScale", "Layer"}
    model = Sequential([layers.Tile([1, 2, 1], input_shape=(4, 4, 2)), layers.Clip(0.0, 1.0)])
    with pytest.raises(ValueError, match=r"the layer Tile .*the layer Clip") as caught:
        model.save(tmp_path / "m.keras")
    assert "custom" not in str(caught.value)
    assert not (tmp_path / "m.keras").exists()


def test_the_product_of_nadam_is_that_of_its_updates():
    """Keras' is in its files: steps that only accumulate do not change it."""
    model = Sequential([Input((3,)), layers.Dense(2)], seed=0)
    model.compile(Nadam(0.01, gradient_accumulation_steps=2), "mse")
    factors = [0.9 * (1 - 0.5 * 0.96**step) for step in (1, 2, 3)]
    for calls in range(1, 7):
        model.train_on_batch(np.ones((4, 3)), np.zeros((4, 2)))
        found = optimizer_arrays(model)[-1]
        np.testing.assert_allclose(found, np.prod(factors[: calls // 2]), rtol=1e-6)
