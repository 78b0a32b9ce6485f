"""CNNClassifier and CNNRegressor: scikit-learn's own checks, data, weights, parameters, early stopping."""

import inspect

import numpy as np
import pandas as pd
import polars
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import check_estimator

import cconv
from cconv import CNNClassifier, CNNRegressor
from cconv.callbacks import LambdaCallback
from cconv.estimators.networks import lenet
from cconv.layers import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    RandomTranslation,
    Rescaling,
)

RNG = np.random.default_rng(5)
N = 90
Y = np.arange(N) % 3
X = RNG.random((N, 8, 8))
X[Y == 1, :4] += 1
X[Y == 2, :, :4] += 1
NAMES = np.array(["cat", "dog", "eel"])[Y]


def small(**options):
    return CNNClassifier(**{"batch_size": 16, "max_epochs": 4, "random_state": 0, **options})


def same(a, b):
    """Whether two estimators predict the same bits."""
    return np.array_equal(a.predict_proba(X), b.predict_proba(X))


# --- scikit-learn's checks ------------------------------------------------------------------------


@pytest.mark.parametrize(("estimator", "least"), [(CNNClassifier, 62), (CNNRegressor, 60)])
@pytest.mark.filterwarnings("ignore")  # the checks provoke scikit-learn's own
def test_every_check_of_scikit_learn_passes_with_the_defaults(estimator, least):
    results = check_estimator(estimator(), on_skip=None, on_fail=None)
    status = {result["check_name"]: result["status"] for result in results}
    failed = {name: how for name, how in status.items() if how not in ("passed", "skipped")}
    assert not failed
    # The one check that asks for an environment variable; everything else runs.
    assert {name for name, how in status.items() if how == "skipped"} <= {"check_array_api_input"}
    assert sum(result["status"] == "passed" for result in results) >= least


def test_the_signatures_are_those_promised():
    expected = {
        "layers": "lenet",
        "input_shape": None,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "max_epochs": 20,
        "batch_size": 128,
        "alpha": 0.0,
        "early_stopping": False,
        "validation_fraction": 0.1,
        "n_iter_no_change": 5,
        "tol": 1e-4,
        "class_weight": None,
        "augment": None,
        "dtype": "float32",
        "n_threads": None,
        "random_state": None,
        "warm_start": False,
        "verbose": 0,
        "callbacks": None,
        "data_format": None,
    }
    found = {name: p.default for name, p in inspect.signature(CNNClassifier).parameters.items()}
    assert list(found.items()) == list(expected.items())
    del expected["class_weight"]
    found = {name: p.default for name, p in inspect.signature(CNNRegressor).parameters.items()}
    assert list(found.items()) == list(expected.items())
    assert is_classifier(CNNClassifier())
    assert is_regressor(CNNRegressor())
    assert cconv.CNNClassifier is cconv.estimators.CNNClassifier


# --- the default network --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (1, 2, 1), (1, 30, 1), (2, 1, 3), (3, 3, 1), (4, 5, 2), (8, 8, 1), (11, 40, 1), (12, 12, 1)],
)
def test_lenet_fits_any_image(shape):
    x = RNG.random((20, *shape), np.float32)
    cnn = CNNClassifier(max_epochs=1, random_state=0).fit(x, np.arange(20) % 10)
    assert cnn.input_shape_ == shape
    assert cnn.predict_proba(x).shape == (20, 10)
    assert cnn.model_.count_params() < 100_000


@pytest.mark.parametrize(
    "shape", [(28, 28, 1), (32, 32, 3), (64, 64, 3), (1, 784, 1), (160, 120, 1), (5, 300, 1)]
)
def test_lenet_is_small_for_larger_images_too(shape):
    model = cconv.Sequential([*lenet(shape, 10), Dense(10)]).build(shape)
    assert model.count_params() < 130_000
    if max(shape) <= 64:
        assert model.count_params() < 100_000


# --- data -----------------------------------------------------------------------------------------


def test_images_rows_lists_frames_and_files_are_the_same_data(tmp_path):
    rows = X.reshape(N, 64)
    expected = small().fit(X, Y)
    file = tmp_path / "x.npy"
    np.save(file, X)
    readonly = X.copy()
    readonly.flags.writeable = False
    for given in (X[..., None], X.tolist(), readonly, np.load(file, mmap_mode="r"), np.asfortranarray(X)):
        assert same(small().fit(given, Y), expected)
    flat = small(input_shape=(8, 8)).fit(rows, Y)
    assert np.array_equal(flat.predict_proba(rows), expected.predict_proba(X))
    assert np.array_equal(flat.predict_proba(X), expected.predict_proba(X))
    frame = pd.DataFrame(rows, columns=[f"p{i}" for i in range(64)])
    framed = small(input_shape=(8, 8, 1)).fit(frame, Y)
    assert np.array_equal(framed.predict_proba(frame), expected.predict_proba(X))
    assert list(framed.feature_names_in_) == list(frame.columns)
    assert not hasattr(expected, "feature_names_in_")
    assert expected.n_features_in_ == flat.n_features_in_ == 64


def test_polars_frames_are_accepted():
    frame = polars.DataFrame(X.reshape(N, 64), schema=[f"p{i}" for i in range(64)])
    cnn = small(input_shape=(8, 8)).fit(frame, NAMES)
    assert list(cnn.feature_names_in_) == frame.columns
    assert set(cnn.predict(frame)) <= set(NAMES)


def test_without_input_shape_a_row_is_one_pixel_high():
    cnn = small().fit(X.reshape(N, 64), Y)
    assert cnn.input_shape_ == (1, 64, 1)
    assert cnn.predict(X.reshape(N, 64)).shape == (N,)
    with pytest.raises(
        ValueError, match=r"X must hold images of input_shape \(1, 64, 1\), got images \(8, 8, 1\)"
    ):
        cnn.predict(X)


def test_bytes_are_scaled_and_their_scale_is_kept():
    bytes_ = (X * 127).astype(np.uint8)
    cnn = small(layers=[Conv2D(4, 3, activation="relu")]).fit(bytes_, Y)
    assert isinstance(cnn.model_.layers[0], Rescaling)
    assert cnn.model_.layers[0].scale == 1 / 255
    assert np.array_equal(cnn.predict_proba(bytes_), cnn.predict_proba(bytes_.astype(np.float64)))
    floats = small(layers=[Conv2D(4, 3, activation="relu")]).fit(bytes_ / np.float32(255), Y)
    assert not isinstance(floats.model_.layers[0], Rescaling)


@pytest.mark.parametrize(
    "labels", [NAMES, Y, Y.astype(np.uint8), Y - 7, NAMES.astype(object), NAMES.tolist()]
)
def test_labels_of_every_kind(labels):
    cnn = small().fit(X, labels)
    assert list(cnn.classes_) == sorted(set(labels))
    assert np.mean(cnn.predict(X) == np.asarray(labels)) > 0.8


def test_two_classes_and_bools():
    cnn = small().fit(X, Y == 1)
    scores = cnn.decision_function(X)
    assert scores.shape == (N,)
    assert cnn.predict(X).dtype == bool
    assert np.array_equal(scores > 0, cnn.predict(X))
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), cnn.predict_proba(X)[:, 1], rtol=1e-4)


def test_scores_and_probabilities_belong_together():
    cnn = small().fit(X, Y)
    p, scores = cnn.predict_proba(X), cnn.decision_function(X).astype(np.float64)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, expected, rtol=1e-5)
    np.testing.assert_allclose(np.exp(cnn.predict_log_proba(X)), p, rtol=1e-5)
    assert np.array_equal(scores.argmax(axis=1), cnn.predict(X))
    assert cnn.score(X, Y) == np.mean(cnn.predict(X) == Y)


def test_transform_is_what_the_last_dense_layer_sees():
    cnn = small().fit(X, Y)
    seen = cnn.transform(X)
    kernel, bias = cnn.model_.layers[-1].params["kernel"], cnn.model_.layers[-1].params["bias"]
    np.testing.assert_allclose(seen @ kernel + bias, cnn.decision_function(X), rtol=1e-4, atol=1e-4)
    names = cnn.get_feature_names_out()
    assert len(names) == seen.shape[1]
    assert names[0] == "cnnclassifier0"
    framed = clone(cnn).set_output(transform="pandas").fit(X, Y).transform(X)
    assert list(framed.columns) == list(names)


def test_transform_of_networks_without_a_hidden_layer():
    linear = small(layers=[Flatten()]).fit(X, Y)
    np.testing.assert_allclose(linear.transform(X), X.reshape(N, 64), rtol=1e-6)
    convolutional = small(layers=[Conv2D(5, 3, activation="relu"), GlobalAveragePooling2D()]).fit(X, Y)
    assert convolutional.transform(X).shape == (N, 5)
    assert len(convolutional.get_feature_names_out()) == 5


def test_inputs_are_not_modified():
    x, y, weight = X.copy(), Y.copy(), np.linspace(0, 2, N)
    kept = weight.copy()
    small(class_weight="balanced").fit(x, y, weight).predict(x)
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)
    assert np.array_equal(weight, kept)


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_full_batches_cannot_tell_a_weight_from_a_repetition(estimator):
    weight = RNG.integers(0, 4, N)
    y = Y if estimator is CNNClassifier else X.mean(axis=(1, 2))
    order = RNG.permutation(N)
    cnn = estimator(batch_size=1000, max_epochs=5, random_state=3)
    weighted = clone(cnn).fit(X[order], y[order], weight[order])
    repeated = clone(cnn).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert np.array_equal(weighted.predict(X), repeated.predict(X))
    assert np.array_equal(weighted.transform(X), repeated.transform(X))
    assert not np.array_equal(weighted.transform(X), clone(cnn).fit(X, y).transform(X))


def test_in_batches_too_weight_zero_is_absence_and_only_proportions_count():
    kept = np.arange(N) % 5 > 0
    assert same(small().fit(X, Y, kept), small().fit(X[kept], Y[kept]))
    weight = RNG.integers(1, 5, N)
    assert same(small().fit(X, Y, weight), small().fit(X, Y, 4.0 * weight))
    assert not same(small().fit(X, Y, weight), small().fit(X, Y))


def test_class_weight_balanced_is_weights_that_give_classes_the_same_sum():
    few = np.flatnonzero((Y > 0) | (np.arange(N) < 30))
    x, y = X[few], Y[few]
    balanced = len(y) / (3 * np.bincount(y))
    one = small(class_weight="balanced").fit(x, y)
    assert same(one, small(class_weight=dict(enumerate(balanced))).fit(x, y))
    assert same(one, small().fit(x, y, balanced[y]))
    assert not same(one, small().fit(x, y))
    heavy = small(class_weight={0: 1e4, 1: 1e-4, 2: 1e-4}).fit(x, y)
    assert np.mean(heavy.predict(X) == 0) > 0.9


@pytest.mark.parametrize(
    ("weight", "message"),
    [(-np.ones(N), "Negative values"), (np.zeros(N), "non-zero"), (np.ones(3), "sample_weight")],
)
def test_wrong_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, Y, weight)


# --- layers ---------------------------------------------------------------------------------------


def test_a_list_of_layers_is_copied_and_gets_a_head():
    layers = [Conv2D(4, 3, activation="relu", name="seen"), MaxPooling2D(2)]
    cnn = small(layers=layers).fit(X, Y)
    assert not any(layer.built for layer in layers)
    assert cnn.get_params()["layers"] is layers
    assert [type(layer).__name__ for layer in cnn.model_.layers] == [
        "Conv2D",
        "MaxPooling2D",
        "Flatten",
        "Dense",
    ]
    assert cnn.model_.get_layer("seen").output_shape == (6, 6, 4)
    assert same(cnn, clone(cnn).fit(X, Y))


def test_a_whole_network_gets_no_second_head():
    whole = small(layers=[Flatten(), Dense(8, "relu"), Dense(3, "softmax")]).fit(X, Y)
    assert len(whole.model_.layers) == 3
    same_bits = small(
        layers=lambda shape, n: cconv.Sequential([Flatten(), Dense(8, "relu"), Dense(n, "softmax")])
    )
    assert same(whole, same_bits.fit(X, Y))
    with pytest.raises(ValueError, match="softmax"):
        small(layers=[Flatten(), Dense(4, "softmax")]).fit(X, Y)
    regressor = CNNRegressor([Flatten(), Dense(2)], max_epochs=1).fit(X, np.c_[Y, Y])
    assert len(regressor.model_.layers) == 2


def test_a_function_of_the_wrong_kind_is_named():
    with pytest.raises(TypeError, match="layers must return a Sequential or a Model"):
        small(layers=lambda shape, n: [Flatten()]).fit(X, Y)


def test_augmentation_is_for_training_alone():
    cnn = small(augment=RandomTranslation(0.2, 0.2)).fit(X, Y)
    assert same(cnn, small(augment=[RandomTranslation(0.2, 0.2)]).fit(X, Y))
    assert not same(cnn, small().fit(X, Y))
    assert np.array_equal(cnn.predict_proba(X), cnn.predict_proba(X))


def test_alpha_shrinks_the_kernels():
    plain, shrunk = small().fit(X, Y), small(alpha=1.0).fit(X, Y)

    def size(cnn):
        return sum(
            float(np.square(layer.params["kernel"]).sum()) for layer in cnn.model_.layers if layer.params
        )

    assert size(shrunk) < 0.8 * size(plain)


# --- random_state, training -----------------------------------------------------------------------


def test_random_state_as_scikit_learn_has_it():
    assert same(small().fit(X, Y), small().fit(X, Y))
    assert not same(small().fit(X, Y), small(random_state=1).fit(X, Y))
    for make in (np.random.RandomState, np.random.default_rng):
        assert same(small(random_state=make(4)).fit(X, Y), small(random_state=make(4)).fit(X, Y))
        shared = make(4)
        assert not same(small(random_state=shared).fit(X, Y), small(random_state=shared).fit(X, Y))
    assert not same(small(random_state=None).fit(X, Y), small(random_state=None).fit(X, Y))
    np.random.seed(3)  # noqa: NPY002  (what None follows)
    first = small(random_state=None).fit(X, Y)
    np.random.seed(3)  # noqa: NPY002
    assert same(first, small(random_state=None).fit(X, Y))


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float64])
def test_dtype_is_the_network_s(dtype):
    cnn = small(dtype=dtype).fit(X, Y)
    assert cnn.predict_proba(X).dtype == cnn.transform(X).dtype == np.dtype(dtype)


def test_attributes_of_a_fit():
    cnn = small().fit(X, Y)
    assert cnn.n_iter_ == len(cnn.loss_curve_) == 4
    assert cnn.loss_curve_ == cnn.history_["loss"]
    assert cnn.loss_curve_[-1] < cnn.loss_curve_[0]
    assert cnn.validation_scores_ is None
    assert cnn.best_validation_score_ is None


def test_training_stops_when_the_loss_does():
    cnn = small(max_epochs=50, tol=10.0, n_iter_no_change=3).fit(X, Y)
    assert cnn.n_iter_ == 4  # the first sets the mark, three do not better it


@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_early_stopping_restores_the_best_weights(estimator):
    # A learning rate at which the scores jump.
    cnn = estimator(
        early_stopping=True, validation_fraction=0.3, max_epochs=30, learning_rate=0.02, batch_size=16,
        n_iter_no_change=4, random_state=0,
    )  # fmt: skip
    seen = []
    weights = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(cnn.model_.get_weights()))
    y = Y if estimator is CNNClassifier else RNG.permutation(X.mean(axis=(1, 2)))
    cnn.set_params(callbacks=[weights]).fit(X, y)
    scores = cnn.validation_scores_
    assert len(scores) == len(seen) == cnn.n_iter_ < 30
    assert cnn.best_validation_score_ == max(scores)
    best = seen[int(np.argmax(scores))]
    assert all(np.array_equal(a, b) for a, b in zip(best, cnn.model_.get_weights(), strict=True))
    assert int(np.argmax(scores)) < len(scores) - 1


def test_warm_start_goes_on():
    cnn = small(warm_start=True).fit(X, Y)
    begun = cnn.model_
    first = cnn.loss_curve_[-1]
    cnn.fit(X, Y)
    assert cnn.model_ is begun
    assert cnn.n_iter_ == 8
    assert cnn.loss_curve_[4] < cnn.loss_curve_[0]
    assert cnn.loss_curve_[-1] < first
    with pytest.raises(ValueError, match="classes_"):
        cnn.fit(X, Y + 1)
    with pytest.raises(ValueError, match="features"):
        cnn.fit(X[:, :4], Y)
    cold = small().fit(X, Y)
    assert cold.fit(X, Y).n_iter_ == 4


def test_partial_fit_learns_from_pieces():
    cnn = small()
    for _ in range(8):
        for start in range(0, N, 30):
            cnn.partial_fit(X[start : start + 30], NAMES[start : start + 30], classes=["dog", "eel", "cat"])
    assert list(cnn.classes_) == ["cat", "dog", "eel"]
    assert cnn.n_iter_ == 24
    assert cnn.score(X, NAMES) > 0.9
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small().partial_fit(X, Y)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        cnn.partial_fit(X, NAMES, classes=["cat", "dog"])
    with pytest.raises(ValueError, match="labels of classes_"):
        cnn.partial_fit(X, np.full(N, "fox"))
    with pytest.raises(ValueError, match="balanced"):
        small(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="early_stopping"):
        small(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])


def test_partial_fit_goes_on_from_fit_and_with_a_piece_of_one_class():
    cnn = small().fit(X, Y)
    before = cnn.model_.get_weights()
    cnn.partial_fit(X[Y == 2], Y[Y == 2], sample_weight=np.ones(30))
    assert cnn.n_iter_ == 5
    assert not all(np.array_equal(a, b) for a, b in zip(before, cnn.model_.get_weights(), strict=True))


# --- the regressor --------------------------------------------------------------------------------


def test_regression_of_one_and_of_several_numbers():
    y = X.mean(axis=(1, 2)) * 1000 + 5000
    one = CNNRegressor(batch_size=16, random_state=0).fit(X, y)
    assert one.predict(X).shape == (N,)
    assert one.score(X, y) == r2_score(y, one.predict(X)) > 0.9
    both = CNNRegressor(batch_size=16, random_state=0).fit(X, np.c_[y, -y / 1000])
    assert both.predict(X).shape == (N, 2)
    assert both.score(X, np.c_[y, -y / 1000]) > 0.9
    np.testing.assert_allclose(both.target_mean_, [y.mean(), -y.mean() / 1000])
    column = CNNRegressor(batch_size=16, random_state=0).fit(X, y[:, None])
    assert np.array_equal(column.predict(X)[:, 0], one.predict(X))


def test_constant_targets_and_pieces():
    constant = CNNRegressor(max_epochs=2).fit(X, np.full(N, 7.0))
    assert np.isfinite(constant.predict(X)).all()
    assert constant.target_scale_ == 1
    pieces = CNNRegressor(batch_size=16, random_state=0)
    y = X.mean(axis=(1, 2))
    for _ in range(20):
        pieces.partial_fit(X, y)
    assert pieces.score(X, y) > 0.8
    with pytest.raises(ValueError, match=r"shape \(n\)"):
        pieces.partial_fit(X, np.c_[y, y])


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"layers": "resnet1000"},
        {"layers": 3},
        {"layers": [Dense(3), "relu"]},
        {"input_shape": 64},
        {"optimizer": "newton"},
        {"learning_rate": 0},
        {"learning_rate": "adaptive"},
        {"max_epochs": 0},
        {"max_epochs": 2.5},
        {"batch_size": 0},
        {"alpha": -1},
        {"early_stopping": "yes"},
        {"validation_fraction": 1.0},
        {"n_iter_no_change": 0},
        {"tol": -1e-3},
        {"class_weight": "heavy"},
        {"augment": "flip"},
        {"augment": [1]},
        {"dtype": "float16"},
        {"dtype": np.int64},
        {"n_threads": 0},
        {"random_state": "seed"},
        {"warm_start": 3},
        {"verbose": -1},
        {"callbacks": print},
        {"callbacks": [print]},
    ],
)
def test_wrong_parameters_are_refused_at_fit(wrong):
    cnn = small(**wrong)  # the constructor says nothing
    (name,) = wrong
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of CNNClassifier"):
        cnn.fit(X, Y)
    assert not hasattr(cnn, "model_")


@pytest.mark.parametrize("shape", [(0, 8), (8,), (8, 8, 1, 1), (8.0, 8), ("8", "8")])
def test_wrong_input_shapes(shape):
    with pytest.raises(ValueError, match=r"input_shape must be \(h, w\) or \(h, w, c\)"):
        small(input_shape=shape).fit(X, Y)


def test_wrong_images():
    with pytest.raises(ValueError, match=r"images of input_shape \(4, 4, 1\), got images \(8, 8, 1\)"):
        small(input_shape=(4, 4)).fit(X, Y)
    with pytest.raises(ValueError, match=r"images of input_shape \(4, 4, 1\), got 64 features"):
        small(input_shape=(4, 4)).fit(X.reshape(N, 64), Y)
    with pytest.raises(ValueError, match=r"\(n, h, w, c\)"):
        small().fit(X[..., None, None], Y)
    with pytest.raises(NotFittedError):
        small().predict(X)
    with pytest.raises(NotFittedError):
        small().get_feature_names_out()
    cnn = small().fit(X, Y)
    with pytest.raises(ValueError, match=r"images of input_shape \(8, 8, 1\), got images \(4, 8, 1\)"):
        cnn.predict(X[:, :4])
    with pytest.raises(ValueError, match="X has 32 features, but CNNClassifier is expecting 64"):
        cnn.predict(X[:, :4].reshape(N, 32))
    with pytest.raises(ValueError, match="NaN"):
        cnn.predict(np.full((1, 8, 8), np.nan))
    with pytest.raises(ValueError, match="not finite"):
        cnn.predict(np.full((1, 8, 8), 1e300))


def test_a_training_that_diverges_says_so():
    with pytest.raises(ValueError, match="the loss became"):
        small(optimizer="sgd", learning_rate=1e30, layers=[Flatten(), Dropout(0.1), Dense(8)]).fit(X, Y)


@pytest.mark.parametrize("labels", [["x"] * 30 + ["y"] * 29 + ["z"], ["u", "v"] * 29 + ["w", "x"]])
def test_a_fit_that_refuses_its_data_leaves_the_estimator_as_it_was(labels):
    x, y = X[:60], np.array(list("abc"))[np.arange(60) % 3]
    model = CNNClassifier([Dense(8)], max_epochs=2, tol=None, early_stopping=True, random_state=0)
    for images in (x, x[:, :6, :7]):
        before = model.fit(x, y).predict(x)
        known = dict(vars(model))
        with pytest.raises(ValueError, match="least populated class"):
            model.fit(images, np.array(labels))
        assert vars(model).keys() == known.keys()
        assert np.array_equal(model.predict(x), before)
        assert model.classes_.tolist() == ["a", "b", "c"]
    fresh = clone(model)
    with pytest.raises(ValueError, match="least populated class"):
        fresh.fit(x, np.array(labels))
    with pytest.raises(NotFittedError):
        fresh.predict(x)


def test_a_callback_may_end_a_training_before_its_first_epoch():
    class Stops(cconv.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.stop_training = True

    X, y = np.random.default_rng(0).random((20, 8, 8, 1)), np.arange(20) % 2
    for estimator in (CNNClassifier, CNNRegressor):
        stopped = estimator(callbacks=Stops(), tol=None).fit(X, y)
        assert (stopped.n_iter_, stopped.loss_curve_) == (0, [])
        assert np.isnan([stopped.loss_, stopped.best_loss_]).all()
        assert stopped.predict(X).shape == (20,)
