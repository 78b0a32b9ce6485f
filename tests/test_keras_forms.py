"""What scripts written for Keras give and ask for in another form than the usual one."""

import json
import zipfile

import numpy as np
import pytest

import cconv as keras
from cconv import layers

RNG = np.random.default_rng(0)
X, Y = RNG.random((8, 4)).astype(np.float32), RNG.random((8, 1)).astype(np.float32)


def graph():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(1)(inputs), seed=0)


def row():
    return keras.Sequential([keras.Input((4,)), layers.Dense(1)], seed=0)


@pytest.mark.parametrize("make", [graph, row])
def test_data_of_the_only_input_and_output_may_be_in_a_list(make):
    weight = np.arange(1, 9) / 8
    models = [make(), make()]
    for model in models:
        model.compile("sgd", "mse", metrics=["mae"])
    one, other = models
    one.fit(X, Y, sample_weight=weight, validation_data=(X, Y), verbose=0)
    other.fit([X], [Y], sample_weight=[weight], validation_data=([X], [Y]), verbose=0)
    assert other.history.history == one.history.history
    assert other.train_on_batch([X], (Y,)) == one.train_on_batch(X, Y)
    for ask in ("predict", "predict_on_batch", "__call__"):
        np.testing.assert_array_equal(getattr(other, ask)([X]), getattr(one, ask)(X))
    assert other.evaluate([X], [Y], verbose=0) == one.evaluate(X, Y, verbose=0)
    assert other.test_on_batch([X], [Y]) == one.test_on_batch(X, Y)


def test_the_first_call_of_a_model_that_is_not_built_takes_a_list_too():
    for ask in ("fit", "predict"):
        one, other = (keras.Sequential([layers.Dense(1)], seed=0) for _ in range(2))
        for model, x, y in ((one, X, Y), (other, [X], [Y])):
            model.compile("sgd", "mse")
            model.fit(x, y, verbose=0) if ask == "fit" else model.predict(x, verbose=0)
            more = np.repeat(X, 3, axis=0)
            model.fit(more if x is X else [more], np.repeat(Y, 3, axis=0), verbose=0)
        np.testing.assert_array_equal(other.predict([X[::2]]), one.predict(X[::2]))


def test_batches_of_a_generator_may_be_lists_of_one_array():
    def batches(wrap):
        for x, y in ((X, Y), (X[:3], Y[:3])):
            yield wrap(x), wrap(y)

    models = [graph(), graph()]
    for model, wrap in zip(models, (lambda array: array, lambda array: [array]), strict=True):
        model.compile("sgd", "mse")
        model.fit(batches(wrap), verbose=0)
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))


def test_models_in_a_row_that_nobody_named():
    members = [keras.Sequential([layers.Dense(4, input_shape=(4,))], seed=seed) for seed in range(3)]
    model = keras.Sequential(members)
    assert len({layer.name for layer in model.layers}) == 3
    wanted = X
    for member in members:
        wanted = member.predict(wanted, verbose=0)
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-5)


def test_a_list_of_one_sample_is_one_sample():
    model = graph()
    np.testing.assert_array_equal(model.predict([X[0]], verbose=0), model.predict(X[:1], verbose=0))
    np.testing.assert_array_equal(model.predict([X[:1]], verbose=0), model.predict(X[:1], verbose=0))
    with pytest.raises(ValueError, match=r"expects x of shape \(n, 4\), got \(2, 8, 4\)"):
        model.predict([X, X], verbose=0)


def test_a_model_of_the_inputs_of_another_is_a_layer():
    base = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="features")], seed=0)
    features = keras.Model(base.inputs, base.get_layer("features").output)
    assert features(keras.Input((4,))).shape == (None, 3)
    model = keras.Sequential([keras.Input((4,)), features, layers.Dense(2)])
    assert model.predict(X, verbose=0).shape == (8, 2)
    np.testing.assert_array_equal(features.predict(X, verbose=0), base.predict(X, verbose=0))


@pytest.mark.parametrize("make", [graph, row])
def test_an_ensemble_of_models_that_nobody_named(make, tmp_path):
    members = [make() for _ in range(3)]
    inputs = keras.Input((4,))
    pair = keras.Model(inputs, layers.average([members[1](inputs), members[2](inputs)]))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.average([member(inputs) for member in members]))
    for whole in (pair, model):  # a member is in both
        names = [layer.name for layer in whole.layers]
        assert len(set(names)) == len(names)
        whole.save(tmp_path / "m.keras")
        again = keras.models.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(again.predict(X, verbose=0), whole.predict(X, verbose=0))
    wanted = np.mean([member.predict(X, verbose=0) for member in members], axis=0)
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-5)


def test_layers_and_models_that_share_a_given_name_are_refused():
    inputs = keras.Input((4,))
    both = [keras.Sequential([layers.Dense(1, input_shape=(4,))], name="same") for _ in range(2)]
    with pytest.raises(ValueError, match="every layer needs a name of its own, got 'same' twice"):
        keras.Model(inputs, layers.average([each(inputs) for each in both]))


def test_base_classes_stand_at_the_top():
    for room in ("layers", "losses", "metrics", "optimizers", "initializers", "regularizers", "constraints"):
        name = {"losses": "Loss", "metrics": "Metric"}.get(room, room[:-1].title())
        assert getattr(keras, name) is getattr(getattr(keras, room), name)


def test_a_layer_may_ask_for_float32():
    model = keras.Sequential([layers.Dense(2, dtype="float32", input_shape=(4,))], seed=0)
    assert model.predict(X, verbose=0).dtype == np.float32
    with pytest.raises(TypeError, match="dtype is not supported"):
        layers.Dense(2, dtype="float16")


def test_lambda_callback_in_keras_order():
    heard = []
    names = ("epoch_begin", "epoch_end", "train_begin", "train_end", "train_batch_begin", "train_batch_end")
    functions = [lambda *_, name=name: heard.append(name) for name in names]
    model = graph()
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, callbacks=[keras.callbacks.LambdaCallback(*functions)])
    wanted = ["train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "epoch_end", "train_end"]
    assert heard == wanted


def test_a_registered_metric_in_a_file_as_keras_writes_it(tmp_path):
    @keras.utils.register_keras_serializable(package="forms")
    class Far(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(np.abs(y_true - y_pred), sample_weight)

    model = graph()
    model.compile("sgd", "mse", metrics=[Far(name="far")])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        (entry,) = json.loads(file.read("config.json"))["compile_config"]["metrics"]
    assert (entry["module"], entry["class_name"], entry["registered_name"]) == (None, "Far", "forms>Far")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
