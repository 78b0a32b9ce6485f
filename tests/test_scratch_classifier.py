"""The classifier of the course: its arguments, what it prints, scikit-learn's conventions, its accuracy."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import cconv
from cconv.datasets import mnist_small
from cconv.estimators import Scratch2dCNNClassifier
from cconv.layers import Rescaling
from cconv.utils import to_categorical

RNG = np.random.default_rng(1)
X = RNG.integers(0, 200, (120, 1, 12, 12), dtype=np.uint8)
Y = np.arange(120) % 3
X[Y == 1, :, :6] += 55
X[Y == 2, :, 6:] += 55


def small(**options):
    return Scratch2dCNNClassifier(
        **{
            "conv_param": {"n_filters": 4, "filter_size": 3, "stride": 1, "pad": 0},
            "layer_nodes": {"hidden": 16, "output": 3},
            "optimizer_param": {"lr": 0.01},
            "weight_init_std": 0.1,
            "n_epochs": 3,
            "batch_size": 20,
            "verbose": False,
            "random_state": 0,
            **options,
        }
    )


def test_the_constructor_is_the_course_s():
    defaults = {name: p.default for name, p in inspect.signature(Scratch2dCNNClassifier).parameters.items()}
    assert defaults == {
        "conv_param": {"n_filters": 30, "filter_size": 5, "stride": 1, "pad": 0},
        "pool_param": {"pool_size": 2},
        "n_epochs": 5,
        "batch_size": 100,
        "optimizer": "Adam",
        "optimizer_param": {"lr": 0.001},
        "layer_nodes": {"hidden": 100, "output": 10},
        "weight_init_std": 0.01,
        "verbose": True,
        "random_state": None,
    }
    assert cconv.Scratch2dCNNClassifier is Scratch2dCNNClassifier


def test_the_network_is_the_course_s():
    images = np.zeros((10, 1, 28, 28))
    cnn = Scratch2dCNNClassifier(n_epochs=1, verbose=False, random_state=3).fit(images, np.arange(10))
    names = [type(layer).__name__ for layer in cnn.model_.layers]
    assert names == ["Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense"]
    assert [layer.activation.key for layer in cnn.model_.layers if layer.params] == [
        "relu",
        "relu",
        "softmax",
    ]
    assert [w.shape for w in cnn.model_.get_weights()] == [
        (5, 5, 1, 30),
        (30,),
        (4320, 100),
        (100,),
        (100, 10),
        (10,),
    ]


def test_initial_weights_are_normal_and_biases_zero():
    cnn = small()
    kernels = cnn._network((1, 40, 40), scaled=False).get_weights()
    assert all((bias == 0).all() for bias in kernels[1::2])
    assert kernels[2].std() == pytest.approx(0.1, rel=0.03)
    assert abs(kernels[2].mean()) < 0.003


def test_padding_and_stride_reach_the_convolution():
    cnn = small(conv_param={"n_filters": 4, "filter_size": 3, "stride": 2, "pad": 2}, n_epochs=1).fit(X, Y)
    assert cnn.model_.layers[1].output_shape == (7, 7, 4)


def test_it_prints_accuracy_and_loss_after_every_epoch(capsys):
    cnn = small(verbose=True).fit(X[:90], Y[:90], X[90:], Y[90:])
    lines = capsys.readouterr().out.splitlines()
    h = cnn.history_
    expected = []
    for i in range(3):
        expected += [
            f"epoch: {i}",
            f"train_acc: {h['accuracy'][i]:.6f}, val_acc: {h['val_accuracy'][i]:.6f}",
            f"train_loss: {h['loss'][i]:.6f}, val_loss: {h['val_loss'][i]:.6f}",
        ]
    assert lines == expected
    small(verbose=True, n_epochs=1).fit(X, Y)
    assert capsys.readouterr().out.startswith("epoch: 0\ntrain_acc: 0.")
    small().fit(X, Y)
    assert capsys.readouterr().out == ""


def test_the_validation_loss_is_the_validation_loss():
    cnn = small().fit(X[:90], Y[:90], X[90:], Y[90:])
    p = cnn.predict_proba(X[90:])
    assert cnn.history_["val_loss"][-1] == pytest.approx(-np.log(p[np.arange(30), Y[90:]]).mean(), rel=1e-5)
    assert cnn.history_["val_accuracy"][-1] == pytest.approx(cnn.score(X[90:], Y[90:]))
    assert cnn.history_["val_loss"][-1] != cnn.history_["loss"][-1]


def test_it_learns_and_predicts_class_numbers():
    cnn = small(n_epochs=15).fit(X, Y)
    assert cnn.score(X, Y) > 0.95
    predicted = cnn.predict(X)
    assert predicted.shape == (120,)
    assert predicted.dtype.kind == "i"
    assert set(predicted) <= {0, 1, 2}
    p = cnn.predict_proba(X)
    assert p.shape == (120, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(p.argmax(axis=1), predicted)


def weights(cnn):
    return [w.tobytes() for w in cnn.model_.get_weights()]


def test_labels_of_every_kind_train_the_same():
    expected = weights(small().fit(X, Y))
    for labels in (
        to_categorical(Y),
        to_categorical(Y, dtype=int),
        Y.astype(float),
        Y[:, np.newaxis],
        Y.tolist(),
    ):
        assert weights(small().fit(X, labels)) == expected
    assert small().fit(X, Y).score(X, to_categorical(Y)) == small().fit(X, Y).score(X, Y)


def test_bytes_are_scaled_and_numbers_are_not():
    scaled = X.astype(np.float32) * np.float32(1 / 255)
    on_bytes, on_floats = small().fit(X, Y), small().fit(scaled, Y)
    assert weights(on_bytes) == weights(on_floats)
    assert isinstance(on_bytes.model_.layers[0], Rescaling)
    expected = on_bytes.predict_proba(X)
    for cnn in (on_bytes, on_floats):
        assert np.array_equal(cnn.predict_proba(X), expected)
        assert np.array_equal(cnn.predict_proba(scaled), expected)
    assert on_floats.fit(scaled, Y) is on_floats


def test_the_random_state_fixes_everything():
    assert weights(small().fit(X, Y)) == weights(small().fit(X, Y))
    assert weights(small(random_state=1).fit(X, Y)) != weights(small().fit(X, Y))
    generator = np.random.RandomState(5)
    first, second = small(random_state=generator).fit(X, Y), small(random_state=generator).fit(X, Y)
    assert weights(first) != weights(second)
    cnn = small()
    assert weights(cnn.fit(X, Y)) == weights(cnn.fit(X, Y)), "fit begins anew"


@pytest.mark.parametrize("name", ["sgd", "momentum", "Nesterov", "AdaGrad", "RMSprop", "ADAM"])
def test_optimizers_by_name(name):
    cnn = small(optimizer=name, n_epochs=6).fit(X, Y)
    assert type(cnn.model_.optimizer).__name__.lower() == name.lower()
    assert cnn.model_.optimizer.learning_rate == 0.01
    assert cnn.history_["loss"][-1] < cnn.history_["loss"][0]


# --- scikit-learn's conventions ----------------------------------------------------------------


def test_parameters_can_be_read_set_and_cloned():
    cnn = small()
    assert is_classifier(cnn)
    twin = clone(cnn)
    assert twin.get_params() == cnn.get_params()
    assert twin.set_params(n_epochs=1).n_epochs == 1
    assert "n_epochs=3" in repr(cnn)
    with pytest.raises(NotFittedError):
        cnn.predict(X)
    with pytest.raises(NotFittedError):
        cnn.score(X, Y)


def test_parameters_are_never_changed():
    given = small().get_params()
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in given.items()}
    cnn = Scratch2dCNNClassifier(**given)
    cnn.fit(X, Y, X, Y)
    cnn.predict(X)
    assert cnn.get_params() == kept
    assert cnn.conv_param is given["conv_param"]
    Scratch2dCNNClassifier(verbose=False, n_epochs=1).fit(np.zeros((10, 1, 28, 28)), np.arange(10))
    test_the_constructor_is_the_course_s()


def test_attributes_after_fit():
    cnn = small().fit(X, Y)
    assert cnn.classes_.tolist() == [0, 1, 2]
    assert cnn.n_features_in_ == 144
    assert list(cnn.history_) == ["loss", "accuracy"]
    assert len(cnn.history_["loss"]) == 3


def test_selection_and_pipelines():
    scores = cross_val_score(small(n_epochs=10), X, Y, cv=3)
    assert scores.mean() > 0.6
    search = GridSearchCV(small(), {"optimizer_param": [{"lr": 1e-9}, {"lr": 0.01}], "n_epochs": [6]}, cv=2)
    assert search.fit(X, Y).best_params_["optimizer_param"] == {"lr": 0.01}
    flat = make_pipeline(FunctionTransformer(lambda x: x.reshape(-1, 1, 12, 12)), small(n_epochs=10))
    assert flat.fit(X.reshape(120, -1), Y).score(X.reshape(120, -1), Y) > 0.6


def test_it_can_be_pickled():
    cnn = small().fit(X, Y)
    assert np.array_equal(pickle.loads(pickle.dumps(cnn)).predict_proba(X), cnn.predict_proba(X))


@pytest.mark.parametrize(
    ("options", "data", "error", "text"),
    [
        (
            {"optimizer": "adamax"},
            (X, Y),
            ValueError,
            "optimizer must be one of sgd, momentum, .*got 'adamax'",
        ),
        ({"optimizer": None}, (X, Y), ValueError, "optimizer must be one of"),
        ({"optimizer_param": {"rate": 1}}, (X, Y), TypeError, "rate"),
        (
            {"conv_param": {"n_filters": 4}},
            (X, Y),
            ValueError,
            "conv_param must be a dict of n_filters, filter_size",
        ),
        (
            {"conv_param": {"n_filters": 0, "filter_size": 3, "stride": 1}},
            (X, Y),
            ValueError,
            r"conv_param\['n_filters'\]",
        ),
        ({"pool_param": 2}, (X, Y), ValueError, "pool_param must be a dict of pool_size, got 2"),
        (
            {"layer_nodes": {"hidden": 3, "output": 3, "x": 1}},
            (X, Y),
            ValueError,
            "layer_nodes must be a dict of hidden",
        ),
        ({"n_epochs": 0}, (X, Y), ValueError, "epochs must be a positive int, got 0"),
        ({"batch_size": 0}, (X, Y), ValueError, "batch_size must be a positive int, got 0"),
        ({"weight_init_std": -1}, (X, Y), ValueError, "stddev must be"),
        ({}, (X[:, 0], Y), ValueError, r"x_train must have 4 axes, got shape \(120, 12, 12\)"),
        ({}, (X, Y[:7]), ValueError, "y must have one row for each of the 120 samples, got 7"),
        ({}, (X, Y + 1), ValueError, r"y_train must be classes in \[0, 3\), got 1 … 3"),
        ({}, (X, Y - 1), ValueError, r"y_train must be classes in \[0, 3\), got -1 … 1"),
        ({}, (X, Y + 0.5), ValueError, r"y_train must be classes in \[0, 3\)"),
        ({}, (X, Y.astype(str)), TypeError, "y_train must hold real numbers"),
        ({}, (X, np.ones((120, 3))), ValueError, "y_train must be class numbers or one-hot rows"),
        (
            {},
            (X, np.ones((120, 4))),
            ValueError,
            r"y_train must have shape \(n,\) or \(n, 3\), got \(120, 4\)",
        ),
        ({}, (X, Y, X), ValueError, "x_val and y_val must be given together"),
        ({}, (X, Y, X / 255, Y), TypeError, "x_val must be uint8 as x_train is, got float64"),
        (
            {},
            (X, Y, X[:, :, :4], Y),
            ValueError,
            r"expects x of shape \(n, 1, 12, 12\), got \(120, 1, 4, 12\)",
        ),
        ({}, (X[:, :, :2], Y), ValueError, "kernel"),
    ],
)
def test_refusals(options, data, error, text):
    with pytest.raises(error, match=text):
        small(**options).fit(*data)


# --- real digits -------------------------------------------------------------------------------


def test_real_digits_in_the_form_of_the_course():
    (x_train, y_train), (x_test, y_test) = mnist_small.load_data()
    x_train = x_train.reshape(-1, 1, 28, 28) / 255
    x_test = x_test.reshape(-1, 1, 28, 28) / 255
    eye = np.eye(10)
    cnn = Scratch2dCNNClassifier(n_epochs=3, batch_size=50, verbose=False, random_state=0)
    cnn.fit(x_train, eye[y_train], x_test, eye[y_test])
    accuracy = np.mean(cnn.predict(x_test) == y_test)
    assert accuracy >= 0.90
    assert cnn.history_["val_accuracy"][-1] == pytest.approx(accuracy)
