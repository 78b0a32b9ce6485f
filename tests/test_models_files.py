"""Saving and loading: the same bits, training that goes on, files that are broken or not ours."""

import json
import os

import numpy as np
import pytest

from cconv.files import safetensors
from cconv.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten
from cconv.losses import CategoricalCrossentropy
from cconv.models import Sequential, load_model
from cconv.optimizers import SGD, Adam

RNG = np.random.default_rng(3)
X = RNG.normal(size=(50, 8, 8, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 50)


def network(optimizer="adam", **options):
    model = Sequential(
        [Conv2D(3, 3, activation="relu"), Dropout(0.3), Flatten(), Dense(3, activation="softmax")],
        **{"seed": 1, **options},
    ).build((8, 8, 2))
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return model


def same_weights(a, b):
    return all(
        np.array_equal(u, v) and u.dtype == v.dtype
        for u, v in zip(a.get_weights(), b.get_weights(), strict=True)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_model_has_the_same_bits(tmp_path, dtype):
    model = network(dtype=dtype)
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.safetensors")
    twin = load_model(tmp_path / "model.safetensors")
    assert same_weights(model, twin)
    assert np.array_equal(model.predict(X, verbose=0), twin.predict(X, verbose=0))
    assert model.evaluate(X, Y, verbose=0) == twin.evaluate(X, Y, verbose=0)
    assert twin.get_config() == model.get_config()


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", SGD(0.01, momentum=0.9, nesterov=True), "rmsprop", "adagrad", "adadelta", Adam(0.01, decay=0.1)],
)
def test_an_interrupted_training_goes_on_with_the_same_bits(tmp_path, optimizer):
    def fresh():
        copied = (
            optimizer if isinstance(optimizer, str) else type(optimizer).from_config(optimizer.get_config())
        )
        return network(copied)

    whole = fresh()
    history = whole.fit(X, Y, batch_size=16, epochs=5, verbose=0).history
    first = fresh()
    first.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    first.save(tmp_path / "model.safetensors")
    second = load_model(tmp_path / "model.safetensors")
    rest = second.fit(X, Y, batch_size=16, epochs=5, initial_epoch=2, verbose=0)
    assert same_weights(whole, second)
    assert rest.epoch == [2, 3, 4]
    assert rest.history["loss"] == history["loss"][2:]


def test_saving_changes_nothing_and_gives_the_same_bytes(tmp_path):
    model = network()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "a")
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    load_model(tmp_path / "a").save(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"], "no temporary file may stay"


def test_models_that_are_not_compiled_can_be_saved(tmp_path):
    model = Sequential([Dense(3, input_shape=(2,), name="out")], name="tiny", seed=9)
    model.save(tmp_path / "model.safetensors")
    twin = load_model(tmp_path / "model.safetensors")
    assert same_weights(model, twin)
    assert (twin.name, twin.seed, twin.optimizer) == ("tiny", 9, None)


def test_load_without_compiling(tmp_path):
    network().save(tmp_path / "m")
    assert load_model(tmp_path / "m", compile=False).loss is None


def test_objects_come_back_as_they_were(tmp_path):
    model = Sequential([Dense(3, input_shape=(2,))], seed=0, data_format="channels_first")
    model.compile(Adam(0.25, beta_1=0.5), CategoricalCrossentropy(from_logits=True), ["accuracy", "mse"])
    model.save(tmp_path / "m")
    twin = load_model(tmp_path / "m")
    assert (twin.optimizer.learning_rate, twin.optimizer.beta_1) == (0.25, 0.5)
    assert twin.loss.from_logits
    assert [metric.name for metric in twin.metrics] == ["accuracy", "mse"]
    assert twin.data_format == "channels_first"


def test_metrics_of_the_user_are_not_saved(tmp_path):
    def worst(y_true, y_pred):
        return float(np.abs(y_true - y_pred).max())

    model = Sequential([Dense(1, input_shape=(2,))], seed=0)
    model.compile("sgd", "mse", [worst, "mae"])
    assert list(model.evaluate(np.ones((2, 2)), np.ones(2), verbose=0, return_dict=True)) == [
        "loss",
        "worst",
        "mae",
    ]
    for ending in ("", ".keras"):
        with pytest.warns(UserWarning, match="lacks metrics of your own: worst: compile again"):
            model.save(tmp_path / f"m{ending}")
        assert [metric.name for metric in load_model(tmp_path / f"m{ending}").metrics] == ["mae"]


def test_weights_alone(tmp_path):
    model, other = network(), network(seed=2)
    model.save_weights(tmp_path / "w")
    other.load_weights(tmp_path / "w")
    assert same_weights(model, other)
    model.save(tmp_path / "m")
    third = network(seed=3)
    third.load_weights(tmp_path / "m")
    assert same_weights(model, third)
    with pytest.raises(ValueError, match="holds weights but no model"):
        load_model(tmp_path / "w")


def test_weights_of_another_model_are_refused_whole(tmp_path):
    network().save_weights(tmp_path / "w")
    other = Sequential([Conv2D(3, 3), Dropout(0.3), Flatten(), Dense(4)], seed=2).build((8, 8, 2))
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"weights/dense/kernel must have shape \(108, 4\), got \(108, 3\)"):
        other.load_weights(tmp_path / "w")
    other.add(Dense(2))
    with pytest.raises(ValueError, match=r"missing \['weights/dense_1/bias', 'weights/dense_1/kernel'\]"):
        other.load_weights(tmp_path / "w")
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=False))


def test_a_layer_may_be_called_optimizer(tmp_path):
    model = Sequential([Dense(2, name="optimizer", input_shape=(2,))], seed=0)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 2)), verbose=0)
    model.save(tmp_path / "m")
    assert same_weights(model, load_model(tmp_path / "m"))


def test_renamed_and_shared_layers_come_back(tmp_path):
    whole = Sequential([Dense(4, input_shape=(3,)), Dense(5), Dense(6)], seed=0)
    tail = Sequential(whole.layers[1:])
    tail.build((4,))
    tail.save(tmp_path / "m")
    assert same_weights(tail, load_model(tmp_path / "m"))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    model = network()
    path = tmp_path / "m"
    model.save(path)
    old = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    model.fit(X, Y, verbose=0)
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["m"]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        network().save(tmp_path / "missing" / "m")
    with pytest.raises(IsADirectoryError, match="folder"):
        network().save(tmp_path)


def test_files_that_are_broken_or_not_ours(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        load_model(tmp_path / "missing")
    path = tmp_path / "m"
    network().save(path)
    whole = path.read_bytes()
    for broken in (b"", b"hello", whole[: len(whole) // 2], whole[:-1], b"\xff" * 64):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="not a whole safetensors file"):
            load_model(path)
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2)}, path)
    with pytest.raises(ValueError, match="not written by cconv"):
        load_model(path)
    save_file({"a": np.ones(2)}, path, metadata={"cconv": "{"})
    with pytest.raises(ValueError, match="not JSON"):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["model"].pop("layers"),
        lambda d: d["model"]["layers"][0].update(class_name="os.system"),
        lambda d: d["model"]["layers"][0]["config"].update(filters=-1),
        lambda d: d["model"]["layers"][0]["config"].update(unheard_of=1),
        lambda d: d["model"].update(layers=7),
        lambda d: d["training"].update(optimizer="nothing"),
        lambda d: d["training"].update(steps=None),
        lambda d: d.update(training=[1]),
        lambda d: d.update(model=3),
    ],
)
def test_descriptions_that_cannot_be_are_one_error(tmp_path, change):
    path = tmp_path / "m"
    network().save(path)
    arrays, document = safetensors.read(path)
    document = json.loads(json.dumps(document))
    change(document)
    safetensors.write(path, arrays, document)
    with pytest.raises(
        ValueError, match=r"does not describe a model that can be made|holds weights but no model"
    ):
        load_model(path)


def test_files_of_a_later_format_are_refused(tmp_path):
    path = tmp_path / "m"
    network().save(path)
    arrays, document = safetensors.read(path)
    safetensors.write(path, arrays, document | {"format": 99})
    with pytest.raises(ValueError, match="has format 99, this cconv reads format 1"):
        load_model(path)


def test_moving_averages_are_saved_and_go_on(tmp_path):
    def normalized():
        layers = [Conv2D(3, 3), BatchNormalization(momentum=0.9), Flatten(), Dense(3, activation="softmax")]
        model = Sequential(layers, seed=1).build((8, 8, 2))
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    whole, part = normalized(), normalized()
    assert len(whole.get_weights()) == 8
    assert whole.count_params() == 57 + 12 + 108 * 3 + 3
    lines = []
    whole.summary(print_fn=lines.append)
    assert "Non-trainable params: 6" in lines
    whole.fit(X, Y, batch_size=16, epochs=4, verbose=0)
    part.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    part.save(tmp_path / "m")
    twin = load_model(tmp_path / "m")
    assert same_weights(part, twin)
    assert np.array_equal(part.predict(X, verbose=0), twin.predict(X, verbose=0))
    twin.fit(X, Y, batch_size=16, epochs=4, initial_epoch=2, verbose=0)
    assert same_weights(whole, twin)


def test_safetensors_readers_can_read_the_weights(tmp_path):
    from safetensors.numpy import load_file

    model = network()
    model.save(tmp_path / "m")
    arrays = load_file(tmp_path / "m")
    assert np.array_equal(arrays["weights/conv2d/kernel"], model.layers[0].params["kernel"])


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3).T, np.arange(3, dtype=">i4"), np.float32(3), np.ones((0, 2))]
)
def test_arrays_of_any_layout_survive(tmp_path, array):
    safetensors.write(tmp_path / "m", {"a": np.asarray(array)}, None)
    (back,), document = safetensors.read(tmp_path / "m")[0].values(), safetensors.read(tmp_path / "m")[1]
    assert document is None
    assert np.array_equal(back, array)
    assert back.shape == np.shape(array)
