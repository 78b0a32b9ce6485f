"""Graphs in the estimators: networks by name, models, functions that make them, trained models."""

import functools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from cconv import CNNClassifier, CNNRegressor, plotting
from cconv.applications import ResNet20
from cconv.estimators.named import APPLICATIONS
from cconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Normalization,
    Rescaling,
    Softmax,
)
from cconv.models import Model, Sequential

RNG = np.random.default_rng(5)
N = 60
Y = np.arange(N) % 3
X = RNG.random((N, 16, 16, 3))
X[Y == 1, :8] += 1
X[Y == 2, :, :8] += 1
NAMES = np.array(["cat", "dog", "eel"])[Y]
TARGETS = np.stack([X[:, :8].mean((1, 2, 3)), X[:, :, :8].mean((1, 2, 3))], axis=1)


def residual(shape, outputs, width=4):
    """A small graph for images of any size."""
    image = Input(shape)
    x = Conv2D(width, 3, padding="same", activation="relu", name="first")(image)
    x = Add(name="sum")([x, Conv2D(width, 3, padding="same", activation="relu", name="second")(x)])
    return Model(image, GlobalAveragePooling2D(name="means")(x))


def whole(shape, outputs):
    """A graph that ends in its classes."""
    base = residual(shape, outputs)
    return Model(base.input, Dense(outputs, activation="softmax", name="classes")(base.output))


def skipping(shape, outputs):
    """A graph for tables."""
    image = Input(shape)
    x = Dense(64, activation="relu")(Flatten()(image))
    return Model(image, Add()([x, Dense(64, activation="relu")(x)]))


def small(layers=residual, kind=CNNClassifier, **options):
    defaults = {"batch_size": 16, "max_epochs": 4, "random_state": 0, "tol": None}
    return kind(layers, **{**defaults, **options})


def data(kind):
    return X, NAMES if kind is CNNClassifier else TARGETS


KINDS = [CNNClassifier, CNNRegressor]


@pytest.mark.parametrize(("kind", "least"), [(CNNClassifier, 62), (CNNRegressor, 60)])
@pytest.mark.filterwarnings("ignore")  # the checks provoke scikit-learn's own
def test_every_check_of_scikit_learn_passes_with_a_graph(kind, least):
    results = check_estimator(kind(skipping), on_skip=None, on_fail=None)
    failed = [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")]
    assert not failed
    assert sum(result["status"] == "passed" for result in results) >= least


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_networks_by_name(kind, name):
    x, y = data(kind)
    made = small(name, kind, max_epochs=8).fit(x, y)
    assert made.score(x, y) > 0.5
    assert made.transform(x).shape == (N, {"lenet5": 84, "resnet20": 64}[name])
    if kind is CNNClassifier:
        np.testing.assert_allclose(made.predict_proba(x).sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.exp(made.predict_log_proba(x)), made.predict_proba(x), rtol=1e-4)
        assert np.array_equal(made.decision_function(x).argmax(1), made.predict_proba(x).argmax(1))


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2", "mobilenet_v3_small", "squeezenet"])
@pytest.mark.parametrize("scale", [1.0, 255])
def test_networks_for_larger_images(name, scale):
    x = np.kron(X[:6], np.ones((1, 2, 2, 1)))
    x = (x / x.max() * scale).astype(np.uint8 if scale == 255 else float)
    made = small(name, max_epochs=1).fit(x, Y[:6])
    assert made.predict_proba(x).shape == (6, 3)
    seen = made.model_.layers[2 if scale == 255 else 1]
    assert isinstance(seen, Rescaling)
    bytes_ = x / 255 if scale == 255 else x
    rms = np.sqrt(np.mean((bytes_ * seen.scale) ** 2))
    assert rms == pytest.approx(APPLICATIONS[name].rms, rel=1e-3)


def test_every_name_is_a_network():
    assert len(APPLICATIONS) >= 19
    with pytest.raises(ValueError, match="ResNet20: input_shape must have at least 8 pixels"):
        small("resnet20").fit(X.reshape(N, -1), Y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "layers", [residual, functools.partial(residual, width=6), residual((16, 16, 3), 3), "resnet20"]
)
def test_round_trips_keep_every_bit_and_training_goes_on(kind, layers):
    x, y = data(kind)
    made = small(layers, kind, max_epochs=1, warm_start=True).fit(x, y)
    again = pickle.loads(pickle.dumps(made))
    assert np.array_equal(again.predict(x), made.predict(x))
    assert np.array_equal(again.transform(x), made.transform(x))
    for each in (made, again):
        each.fit(x, y).partial_fit(x, y)
    assert np.array_equal(again.predict(x), made.predict(x))
    assert made.n_iter_ == 3
    assert len(plotting.history(made).axes) == 2
    twin = clone(made).fit(x, y)
    assert twin.n_iter_ == 1
    assert "Model" in made._repr_html_() or "partial" in repr(made.layers) or "resnet20" in repr(made)


def test_a_model_and_a_function_are_the_same_network():
    model = residual((16, 16, 3), 3)
    before = model.get_weights()
    first, second = small(model).fit(X, Y), small(residual).fit(X, Y)
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    rows = X.reshape(N, -1)
    assert np.array_equal(small(model).fit(rows, Y).predict_proba(rows), first.predict_proba(X))
    with pytest.raises(ValueError, match=r"X must hold images of input_shape \(16, 16, 3\)"):
        small(model).fit(X[:, :15], Y)


def test_heads():
    assert isinstance(small(whole).fit(X, Y).model_.layers[-2], GlobalAveragePooling2D)
    made = small(Sequential([residual((16, 16, 3), 3), Dropout(0.1), Dense(5)]), alpha=1e-3).fit(X, Y)
    assert [layer.units for layer in made.model_.layers if isinstance(layer, Dense)] == [5, 3]
    assert made.transform(X).shape == (N, 5)
    assert all(layer.kernel_regularizer for layer in made.model_.layers if isinstance(layer, Conv2D))
    mlp = Model(image := Input((768,)), Dense(8, activation="relu")(image))
    assert small(mlp).fit(X, Y).transform(X).shape == (N, 8)
    with pytest.raises(ValueError, match="y has 3 classes"):
        small(whole((16, 16, 3), 4)).fit(X, Y)


def test_wrong_graphs():
    a, b = Input((16, 16, 3)), Input((16, 16, 3))
    with pytest.raises(ValueError, match="one input and one output, got 2 and 1"):
        small(Model([a, b], Add()([a, b]))).fit(X, Y)
    with pytest.raises(TypeError, match="layers must return a Sequential or a Model"):
        small(lambda shape, n: [Dense(n)]).fit(X, Y)
    with pytest.raises(ValueError, match="the graph in layers is for channels_last images"):
        small(residual, data_format="channels_first").fit(X.transpose(0, 3, 1, 2), Y)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_first(kind):
    def turned(shape, outputs):
        height, width, channels = shape
        image = Input((channels, height, width))
        x = Conv2D(4, 3, padding="same", activation="relu", data_format="channels_first")(image)
        y = Conv2D(2, 3, padding="same", data_format="channels_first")(x)
        x = GlobalAveragePooling2D(data_format="channels_first")(Concatenate(axis=1)([x, y]))
        return Model(image, x)

    def straight(shape, outputs):
        image = Input(shape)
        x = Conv2D(4, 3, padding="same", activation="relu")(image)
        y = Conv2D(2, 3, padding="same")(x)
        return Model(image, GlobalAveragePooling2D()(Concatenate()([x, y])))

    x, y = data(kind)
    first = small(turned, kind, data_format="channels_first").fit(x.transpose(0, 3, 1, 2), y)
    last = small(straight, kind).fit(x, y)
    assert np.array_equal(first.predict(x.transpose(0, 3, 1, 2)), last.predict(x))
    named = [
        small("resnet20", kind, data_format=f, max_epochs=1) for f in ("channels_first", "channels_last")
    ]
    images = x.transpose(0, 3, 1, 2), x
    results = [each.fit(i, y).predict(i) for each, i in zip(named, images, strict=True)]
    assert np.array_equal(*results)


def test_a_grid_search_over_networks():
    search = GridSearchCV(small(max_epochs=2), {"layers": ["lenet5", "resnet20"]}, cv=2).fit(X, NAMES)
    assert search.best_params_["layers"] in ("lenet5", "resnet20")
    assert search.predict(X).shape == (N,)


def test_parameters_of_the_layers_of_a_model():
    model = whole((16, 16, 3), 3)
    made = small(model)
    found = made.get_params()
    assert found["layers__first__filters"] == 4
    assert found["layers__second"] is model.get_layer("second")
    twin = clone(made).set_params(layers__first__filters=6, layers__second=Conv2D(6, 1, name="second"))
    first, second = (twin.layers.get_layer(name) for name in ("first", "second"))
    assert (first.filters, second.kernel_size) == (6, (1, 1))
    assert model.get_layer("first").filters == 4
    assert twin.fit(X, Y).model_.get_layer("means").output_shape == (6,)
    row = small(Sequential([Conv2D(4, 3, name="c"), Flatten()])).set_params(layers__c__filters=2)
    assert isinstance(row.layers, Sequential)
    assert row.fit(X, Y).model_.get_layer("c").filters == 2
    for name, message in (("layers__third__filters", "layers__third"), ("layers__first__filtres", "filtres")):
        with pytest.raises(ValueError, match=message):
            made.set_params(**{name: 1})


# --- from_model -----------------------------------------------------------------------------------


def trained(model, loss="sparse_categorical_crossentropy", y=Y):
    model.compile("adam", loss)
    model.fit(X, y, epochs=3, verbose=0)
    return model


@pytest.mark.parametrize("ends", ["softmax", "scores", "Softmax", "Activation"])
def test_a_trained_model_predicts_at_once(ends):
    base = residual((16, 16, 3), 3)
    z = Dense(3, activation="softmax" if ends == "softmax" else None, name="scores")(base.output)
    y = {"Softmax": Softmax(), "Activation": Activation("softmax")}.get(ends, lambda z: z)(z)
    model = Model(base.input, y, seed=1)
    p = model.predict(X, verbose=0)
    if ends == "scores":
        p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    made = CNNClassifier.from_model(model)
    np.testing.assert_allclose(made.predict_proba(X), p, rtol=1e-5)
    assert made.classes_.tolist() == [0, 1, 2]
    assert np.array_equal(made.predict(X), p.argmax(axis=1))
    np.testing.assert_allclose(np.exp(made.predict_log_proba(X)), p, rtol=1e-5)
    assert made.transform(X).shape == (N, 4)
    model.set_weights([array * 0 for array in model.get_weights()])
    np.testing.assert_allclose(made.predict_proba(X), p, rtol=1e-5)  # the weights are its own


def test_labels_in_the_order_of_the_outputs():
    model = trained(whole((16, 16, 3), 3))
    p = model.predict(X, verbose=0)
    made = CNNClassifier.from_model(model, classes=["eel", "cat", "dog"])
    assert made.classes_.tolist() == ["cat", "dog", "eel"]
    np.testing.assert_allclose(made.predict_proba(X), p[:, [1, 2, 0]], rtol=1e-5)
    again = pickle.loads(pickle.dumps(made))
    assert np.array_equal(again.predict_proba(X), made.predict_proba(X))
    assert not hasattr(clone(made), "model_")


@pytest.mark.parametrize("activation", ["sigmoid", None])
@pytest.mark.parametrize("classes", [None, [True, False]])
def test_one_output_for_two_classes(activation, classes):
    base = residual((16, 16, 3), 1)
    model = Model(base.input, Dense(1, activation=activation)(base.output), seed=2)
    share = model.predict(X, verbose=0)[:, 0]
    share = share if activation else 1 / (1 + np.exp(-share))
    made = CNNClassifier.from_model(model, classes)
    expected = np.stack([1 - share, share], axis=1)
    np.testing.assert_allclose(
        made.predict_proba(X), expected[:, ::-1] if classes else expected, rtol=1e-5, atol=1e-7
    )


def test_training_goes_on_from_a_model():
    model = trained(Sequential([Rescaling(0.5, input_shape=(16, 16, 3)), Flatten(), Dense(3, "softmax")]))
    made = CNNClassifier.from_model(model, list("abc"), warm_start=True, max_epochs=1, tol=None)
    y = np.array(list("abc"))[Y]
    before = made.score(X, y)
    loss = model.evaluate(X, Y, verbose=0)
    made.fit(X, y).partial_fit(X, y)
    assert made.n_iter_ == 2
    assert made.history_["loss"][0] == pytest.approx(loss, rel=1e-4)
    assert made.score(X, y) >= before - 0.1
    anew = made.set_params(warm_start=False).fit(X, y)
    assert anew.n_iter_ == 1


def test_a_trained_regressor():
    base = residual((16, 16, 3), 2)
    model = Model(base.input, Dense(2)(base.output), seed=3)
    made = CNNRegressor.from_model(model, random_state=0)
    np.testing.assert_allclose(made.predict(X), model.predict(X, verbose=0), rtol=1e-5)
    before = made.score(X, TARGETS)
    for _ in range(20):
        made.partial_fit(X, TARGETS)
    assert made.score(X, TARGETS) > before
    wide = Sequential([Flatten(input_shape=(16, 16, 3)), Dense(2)], dtype="float64")
    assert CNNRegressor.from_model(wide).dtype == "float64"
    assert np.array_equal(CNNRegressor.from_model(wide).predict(X), wide.predict(X, verbose=0))
    one = Model(base.input, Dense(1)(base.output))
    assert CNNRegressor.from_model(one).predict(X).shape == (N,)
    assert CNNRegressor.from_model(ResNet20(input_shape=(16, 16, 3), seed=0)).predict(X).shape == (N, 10)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (3, {}, TypeError, "model must be a Sequential or a Model, got 3"),
        (Sequential([Dense(2)]), {}, ValueError, "model must be a model that is built"),
        (residual((16, 16, 3), 3), {"classes": [1, 2]}, ValueError, "classes must be 4 labels"),
        (residual((16, 16, 3), 3), {"classes": [1, 2, 2, 3]}, ValueError, "classes must be different"),
        (residual((16, 16, 3), 3), {"classes": [1, 3, 2, 4]}, ValueError, "model must end in a dense layer"),
        (residual((16, 16, 3), 3), {"dtype": "float64"}, ValueError, "dtype must be the model's"),
        (residual((16, 16, 3), 3), {"layers": "lenet"}, ValueError, "layers is the model"),
        (residual((16, 16, 3), 3), {"alpha": -1.0}, ValueError, "The 'alpha' parameter"),
        (Sequential([Flatten(input_shape=(4, 4, 1)), Dense(3, "relu")]), {}, ValueError, "end in a softmax"),
        (Sequential([Conv2D(3, 1, input_shape=(4, 4, 1))]), {}, ValueError, "give a row of numbers for each"),
    ],
)
def test_wrong_models(model, options, error, message):
    with pytest.raises(error) as caught:
        CNNClassifier.from_model(model, **options)
    assert message in str(caught.value)


def test_what_models_keep_beside_weights():
    """Averages of batch normalisation, what `adapt` has found, and channels that come first."""
    scaling = Normalization()
    scaling.adapt(X)
    image = Input((16, 16, 3))
    model = Model(image, Dense(3, "softmax")(Flatten()(BatchNormalization()(scaling(image)))))
    expected = trained(model).predict(X, verbose=0)
    np.testing.assert_allclose(CNNClassifier.from_model(model).predict_proba(X), expected, rtol=1e-5)
    first = ResNet20(input_shape=(3, 16, 16), data_format="channels_first", seed=1)
    x = X.transpose(0, 3, 1, 2)
    made = CNNClassifier.from_model(first)
    assert (made.data_format, made.input_shape_) == ("channels_first", (3, 16, 16))
    np.testing.assert_allclose(made.predict_proba(x), first.predict(x, verbose=0), rtol=1e-5)


def test_skops_and_threads_of_python(tmp_path):
    made = small("resnet20", max_epochs=1).fit(X, Y)
    skops.io.dump(made, tmp_path / "made.skops")
    unknown = skops.io.get_untrusted_types(file=tmp_path / "made.skops")
    assert unknown == ["cconv.estimators.CNNClassifier"]
    twin = skops.io.load(tmp_path / "made.skops", trusted=unknown)
    assert np.array_equal(twin.predict_proba(X), made.predict_proba(X))
    for method in (made.predict_proba, made.predict_log_proba, made.transform):
        expected = method(X)
        with ThreadPoolExecutor(4) as pool:
            assert all(np.array_equal(got, expected) for got in pool.map(method, [X] * 8))
