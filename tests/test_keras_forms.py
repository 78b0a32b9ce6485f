"""What scripts written for Keras give and ask for in another form than the usual one."""

import json
import zipfile

import numpy as np
import pytest

import cconv as keras
from cconv import layers, metrics
from cconv.callbacks import Callback, CallbackList, LambdaCallback
from cconv.layers import (
    Add,
    AveragePooling1D,
    Conv2D,
    Dense,
    Dropout,
    Input,
    InputLayer,
    MaxPooling2D,
)
from cconv.models import Model, Sequential, clone_model

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


def test_clones_of_which_a_function_makes_the_layers():
    model = Sequential([Dense(4, input_shape=(3,)), Dropout(0.5), Dense(2)], seed=0)
    less = clone_model(model, None, lambda item: Dropout(0.1) if isinstance(item, Dropout) else item.clone())
    assert [item.name for item in less.layers] == [item.name for item in model.layers]
    assert (less.layers[1].rate, model.layers[1].rate) == (0.1, 0.5)
    assert not np.array_equal(less.layers[0].kernel, model.layers[0].kernel)
    shared = clone_model(model, clone_function=lambda item: item)
    assert shared.layers[0] is model.layers[0]
    x = Input((3,))
    graph = Model(x, Dense(2)(Add()([Dense(3, name="first")(x), x])))
    twin = clone_model(graph, clone_function=lambda item: type(item).from_config(item.get_config()))
    assert [type(item) for item in twin.layers] == [type(item) for item in graph.layers]
    assert twin.get_layer("first") is not graph.get_layer("first")
    assert twin.output_shape == (None, 2)
    for wrong, message in (
        (3, "must be callable, got 3"),
        (lambda item: 3, "must return a layer, got 3 for"),
    ):
        with pytest.raises(TypeError, match=f"clone_model: clone_function {message}"):
            clone_model(graph, clone_function=wrong)
    with pytest.raises(TypeError, match="clone_model: input_tensors must be None"):
        clone_model(graph, x)


def test_a_list_of_callbacks_for_a_loop_of_ones_own():
    heard = []
    show = LambdaCallback(
        on_epoch_end=lambda epoch, logs: heard.append((epoch, logs)),
        on_train_batch_begin=lambda batch, logs: heard.append((batch, logs)),
        on_train_end=lambda logs: heard.append(logs),
    )
    model = Sequential([Dense(1, input_shape=(2,))])
    calls = CallbackList([show], add_history=True, model=model, epochs=1, steps=2)
    calls.on_train_begin()
    calls.on_epoch_begin(0)
    calls.on_batch_begin(1)
    calls.on_epoch_end(0, logs={"loss": 0.5})
    calls.on_train_end()
    assert heard == [(1, {}), (0, {"loss": 0.5}), {}]
    assert model.history.history == {"loss": [0.5]}
    assert show.params["steps"] == 2
    with pytest.raises(TypeError, match="CallbackList: add_history must be True or False, got <Sequential"):
        CallbackList([show], model)
    with pytest.raises(AttributeError, match="CallbackList has no attribute 'on_nothing'"):
        calls.on_nothing()
    with pytest.raises(TypeError, match="epoch"):
        calls.on_epoch_end()
    with pytest.raises(TypeError, match=r"CallbackList\.append: callbacks must be .* got 3"):
        calls.append(3)
    heard.clear()
    calls.append(LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append("appended")))
    calls.on_epoch_end(epoch=1, logs=None)
    assert heard == [(1, {}), "appended"]
    assert calls.callbacks[-1].model is None


def test_a_list_tells_each_callback_its_model_once():
    told = []

    class Told(Callback):
        def set_model(self, model):
            told.append(model)

    model = Sequential([Dense(1, input_shape=(2,))])
    calls = CallbackList(Told(), model=model)
    assert told == [model]
    calls.set_model(None)
    assert told == [model, None]


def test_places_of_arguments():
    assert MaxPooling2D(2, None, "valid", None, "pool").name == "pool"
    assert AveragePooling1D(2, None, "valid", None, "pool").name == "pool"
    assert InputLayer(input_shape=(4,)).shape == (4,)
    assert metrics.BinaryAccuracy("b", None, 0.75).threshold == 0.75
    assert metrics.IoU(3, [0], "i", None, 1).ignore_class == 1
    assert metrics.SparseCategoricalCrossentropy("s", None, True, None, -1).from_logits
    with pytest.raises(TypeError, match="Accuracy: dtype is not supported"):
        metrics.Accuracy("a", "float16")
    with pytest.raises(TypeError, match=r"takes from 1 to 2 positional arguments but 4 .*were given"):
        metrics.BinaryAccuracy("b", None, 0.5, threshold=0.5)


def test_output_shapes_with_the_batch_and_without():
    conv = Conv2D(4, 3)
    assert conv.compute_output_shape((None, 8, 8, 3)) == (None, 6, 6, 4)
    assert conv.compute_output_shape((5, 8, 8, 3)) == (5, 6, 6, 4)
    assert conv.compute_output_shape((8, 8, 3)) == (6, 6, 4)
    assert Dense(3).compute_output_shape((None, 4)) == (None, 3)
    assert Add().compute_output_shape([(None, 3), (None, 3)]) == (None, 3)
    with pytest.raises(ValueError, match="Conv2D: input_shape must be a tuple of 3 positive ints"):
        conv.compute_output_shape((8, 3))


def test_what_adapt_has_found_is_in_attributes():
    layer = layers.Normalization()
    assert layer.mean is layer.variance is layers.Normalization(input_shape=(3,)).mean is None
    layer.adapt(np.arange(12.0).reshape(4, 3))
    for _ in range(2):
        assert layer.mean.tolist() == [[4.5, 5.5, 6.5]]
        assert layer.variance.tolist() == [[11.25] * 3]
        assert layer.get_config()["mean"] is None
        layer.build((3,))
    first = layers.Normalization(1, data_format="channels_first")
    first.adapt(np.ones((2, 3, 4, 5)))
    assert first.mean.shape == (1, 3, 1, 1)
    assert layers.Normalization(mean=[1, 2], variance=[3, 4]).variance == [3, 4]


class Plain(metrics.Metric):
    """Counts in a plain attribute."""

    def __init__(self):
        super().__init__(name="far")
        self.sum = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.sum += float(np.abs(y_true - y_pred).sum())

    def result(self):
        return self.sum

    def reset_state(self):
        self.sum = 0.0


class InVariable(Plain):
    """Counts in a variable."""

    def __init__(self):
        super().__init__()
        self.total = self.add_weight(name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(np.abs(y_true - y_pred).sum())

    def result(self):
        return self.total

    def reset_state(self):
        self.total.assign(0)


class Unknown(Plain):
    """Has what nobody can copy."""

    def __init__(self):
        super().__init__()
        self.file = object()


@pytest.mark.parametrize("metric", [Plain, InVariable])
def test_an_evaluation_in_the_middle_of_an_epoch_leaves_metrics_of_ones_own_alone(metric):
    histories = []
    for looks in (False, True):
        model = row()
        model.compile("sgd", "mse", metrics=[metric()])
        look = LambdaCallback(
            on_train_batch_end=lambda batch, logs, model=model: model.evaluate(X[:3], Y[:3], verbose=0)
        )
        calls = [look] if looks else []
        histories.append(model.fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=calls).history)
    assert histories[0] == histories[1]
    model.compile("sgd", "mse", metrics=[Unknown()])
    with pytest.raises(
        TypeError, match=r"far: what the metric keeps in file cannot be kept in the middle of an"
    ):
        model.fit(X, Y, batch_size=2, verbose=0, callbacks=calls)
    between = LambdaCallback(on_epoch_end=lambda epoch, logs: model.evaluate(X, Y, verbose=0))
    model.fit(X, Y, batch_size=2, verbose=0, validation_data=(X, Y), callbacks=[between])


def test_what_a_model_says_of_its_training():
    model = keras.Sequential(
        [Dense(1, kernel_regularizer="l2", bias_regularizer="l1", input_shape=(4,))], seed=0
    )
    assert not model.compiled
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.compiled
    (dense,) = model.layers
    assert model.losses == pytest.approx([0.01 * (dense.kernel**2).sum(), 0])
    with pytest.raises(
        RuntimeError, match=r"Sequential\.get_metrics_result: call fit, evaluate or train_on_batch"
    ):
        model.get_metrics_result()
    so_far = []
    tell = LambdaCallback(on_train_batch_end=lambda *_: so_far.append(model.get_metrics_result()))
    seen = model.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[tell]).history
    assert so_far[1] == model.get_metrics_result() == {name: values[0] for name, values in seen.items()}
    assert so_far[0] != so_far[1]
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == model.get_metrics_result()
    assert model.train_on_batch(X, Y, return_dict=True) == model.get_metrics_result()
    model.reset_metrics()
    assert model.get_metrics_result() == {"loss": 0, "mae": 0}
    model.trainable = False
    assert model.losses == []
    with pytest.raises(TypeError, match="get_metrics_result would never be called"):
        type("Own", (Model,), {"get_metrics_result": lambda self: {}})
