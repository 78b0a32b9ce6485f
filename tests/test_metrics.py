"""Metrics of a model: over all samples, with and without weights, by name, of the user's own, and saved."""

import numpy as np
import pytest

import cconv
from cconv import losses, metrics
from cconv.callbacks import EarlyStopping, LambdaCallback
from cconv.callbacks.monitors import Monitor
from cconv.layers import Conv2D, Dense

RNG = np.random.default_rng(2)
X = RNG.normal(size=(50, 4)).astype("float32")
LABELS = RNG.integers(0, 3, 50)
BITS = (RNG.random((50, 1)) < 0.4).astype("float32")
WEIGHT = RNG.uniform(0, 2, 50)


def network(loss="sparse_categorical_crossentropy", units=3, **options):
    activation = "softmax" if units > 1 else "sigmoid"
    model = cconv.Sequential([Dense(units, activation, input_shape=(4,))], seed=1)
    model.compile("sgd", loss, **options)
    return model


class Largest(metrics.Metric):
    """Keeps what it was given, which must not change later."""

    def __init__(self, name="largest"):
        super().__init__(name=name, dtype=None)
        self.reset_state()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.append(y_pred)

    def result(self):
        return float(np.concatenate(self.seen).max()) if self.seen else 0.0

    def reset_state(self):
        self.seen = []


# --- in a model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [50, 7, 16])
def test_figures_are_over_all_samples(size):
    kinds = [metrics.AUC(), metrics.Precision(name="p"), metrics.Recall(), "mse", "acc", "hinge"]
    model = network("binary_crossentropy", 1, metrics=kinds, weighted_metrics=["acc", metrics.AUC(20)])
    names = ["loss", "auc", "p", "recall", "mse", "acc", "hinge", "weighted_acc", "weighted_auc"]
    for data in ({}, {"sample_weight": WEIGHT}, {}):
        found = model.evaluate(X, BITS, size, 0, return_dict=True, **data)
        assert list(found) == names
        pred = model.predict(X, verbose=0)
        for name, kind in zip(names[1:], [*kinds, "acc", metrics.AUC(20)], strict=True):
            metric = metrics.get(kind)
            metric.reset_state()
            weights = data if name.startswith("weighted") else {}
            assert found[name] == pytest.approx(metric(BITS, pred, **weights), rel=1e-6)


def test_the_figures_of_a_training():
    model = network(metrics=["accuracy", Largest()], weighted_metrics=["sparse_categorical_accuracy"])
    seen = []
    model.fit(X, LABELS, 16, 1, 0, LambdaCallback(on_train_batch_end=lambda n, logs: seen.append(logs)))
    assert [sorted(logs) for logs in seen] == [
        ["accuracy", "largest", "loss", "sparse_categorical_accuracy"]
    ] * 4
    largest = model.metrics[1]
    assert [len(batch) for batch in largest.seen] == [16, 16, 16, 2]
    assert largest.result() == seen[-1]["largest"]
    assert model.metrics[0].result() == seen[-1]["accuracy"]
    history = model.fit(X, LABELS, 16, 2, 0, validation_data=(X, LABELS, WEIGHT), sample_weight=WEIGHT)
    right = model.predict(X, verbose=0).argmax(axis=1) == LABELS
    assert history.history["val_accuracy"][-1] == pytest.approx(right.mean())
    weighted = history.history["val_sparse_categorical_accuracy"][-1]
    assert weighted == pytest.approx((right * WEIGHT).sum() / WEIGHT.sum(), rel=1e-6)


def test_an_evaluation_in_a_training_disturbs_no_figure():
    one, other = network(metrics=["acc", metrics.MeanIoU(3, sparse_y_pred=False)]), network(metrics=["acc"])
    look = LambdaCallback(on_train_batch_begin=lambda n, logs: one.evaluate(X[:3], LABELS[:3], verbose=0))
    found = one.fit(X, LABELS, 8, 2, 0, look).history["acc"]
    assert found == other.fit(X, LABELS, 8, 2, 0).history["acc"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [metrics.TruePositives, metrics.Precision, metrics.Recall])
def test_a_prediction_at_a_threshold_is_not_above_it(kind, dtype):
    """Whatever the threshold's digits become in the predictions' dtype."""
    for tenth in range(1, 10):
        found = kind(thresholds=tenth / 10)
        found.update_state([1, 1, 0], np.full(3, tenth / 10, dtype))
        assert found.result() == 0


def test_weights_of_pixels_in_metrics():
    x, y = RNG.normal(size=(6, 3, 4, 2)).astype("float32"), RNG.integers(0, 3, (6, 3, 4))
    weight = RNG.uniform(0, 2, (6, 3, 4))
    model = cconv.Sequential([Conv2D(3, 1, activation="softmax", input_shape=(3, 4, 2))], seed=1)
    model.compile("sgd", "sparse_categorical_crossentropy", ["acc"], weighted_metrics=["acc"])
    right = model.predict(x, verbose=0).argmax(axis=-1) == y
    for size in (6, 4):
        _, plain, weighted = model.evaluate(x, y, size, 0, weight)
        assert plain == pytest.approx(right.mean())
        assert weighted == pytest.approx((right * weight).sum() / weight.sum(), rel=1e-6)
    assert model.train_on_batch(x, y, weight)[2] == pytest.approx(weighted)


def test_functions_as_metrics():
    def far(true, pred):
        return np.abs(pred - true)

    def mean_far(true, pred):
        return float(np.abs(pred - true).mean())

    model = network("mse", 1, metrics=[far, mean_far, metrics.mean_absolute_error], weighted_metrics=[far])
    wanted = np.abs(model.predict(X, verbose=0) - BITS)
    found = model.evaluate(X, BITS, 8, 0, WEIGHT, return_dict=True)
    assert list(found)[1:] == ["far", "mean_far", "mean_absolute_error", "weighted_far"]
    for name in ("far", "mean_absolute_error"):
        assert found[name] == pytest.approx(wanted.mean(), rel=1e-5)
    batches = [wanted[start : start + 8].mean() for start in range(0, len(wanted), 8)]
    assert found["mean_far"] == pytest.approx(np.mean(batches), rel=1e-5)
    weighted = (wanted[:, 0] * WEIGHT).sum() / WEIGHT.sum()
    assert found["weighted_far"] == pytest.approx(weighted, rel=1e-5)
    with pytest.raises(ValueError, match="sample_weight needs a function that returns one value a sample"):
        network("mse", 1, weighted_metrics=[mean_far]).evaluate(X, BITS, 8, 0, WEIGHT)


def test_categorical_accuracy_does_not_guess():
    pred = np.eye(3)[[0, 1, 2]]
    assert metrics.CategoricalAccuracy()(np.eye(3)[[0, 1, 1]], pred) == pytest.approx(2 / 3)
    assert metrics.get("categorical_accuracy")(np.array([[0], [1], [2]]), pred) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="class numbers are for sparse_categorical_accuracy"):
        metrics.get("categorical_accuracy")([0, 1, 2], pred)
    with pytest.raises(ValueError, match="must be class numbers"):
        metrics.get("sparse_categorical_accuracy")(np.eye(3), pred)


def test_what_is_compiled_is_saved(tmp_path):
    given = ["acc", "huber", metrics.AUC(10, name="area"), metrics.F1Score("micro"), Largest()]
    model = network("mse", 1, metrics=given, weighted_metrics=["mse"])
    model.evaluate(X, BITS, verbose=0)
    with pytest.warns(UserWarning, match="lacks metrics of your own: largest: compile again"):
        model.save(tmp_path / "m.safetensors")
    twin = cconv.load_model(tmp_path / "m.safetensors")
    assert twin.metrics == model.metrics[:4]
    assert twin.weighted_metrics == model.weighted_metrics
    assert [metric.name for metric in twin.metrics] == ["acc", "huber", "area", "f1_score"]


def test_more_is_better_or_less():
    model = network("mse", 1, metrics=["auc", "huber", Largest()], weighted_metrics=["auc"])
    for name, rising in (("auc", True), ("val_huber", False), ("weighted_auc", True)):
        monitor = Monitor("here", name, "auto", 0.0)
        monitor.prepare(model)
        assert monitor._rising is rising
    with pytest.raises(ValueError, match="mode must be 'min' or 'max'"):
        model.fit(X, BITS, verbose=0, callbacks=EarlyStopping("largest"))


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: network(metrics=[metrics.ConfusionMatrix(3)]), ValueError, "must each give one number"),
        (lambda: network(metrics=[metrics.F1Score()]), ValueError, "must each give one number, got F1Score"),
        (lambda: network(metrics=["mean_iou"]), TypeError, "'mean_iou' needs arguments, give an instance"),
        (lambda: network(weighted_metrics="acc"), TypeError, "weighted_metrics must be a list, got 'acc'"),
        (
            lambda: network(loss_weights=[0.5, 1]),
            ValueError,
            "loss_weights must be a list of 1, or a dict of",
        ),
        (lambda: metrics.AUC(curve="XY"), ValueError, "AUC: curve must be"),
        (lambda: metrics.AUC(1), ValueError, "num_thresholds must be at least 2"),
        (lambda: metrics.Precision(1.5), ValueError, r"Precision: thresholds must be in \[0, 1\], got 1.5"),
        (lambda: metrics.Recall(class_id=3)(np.eye(3), np.eye(3)), ValueError, "must have a class 3 along"),
        (lambda: metrics.F1Score("mean"), ValueError, "average must be None, 'micro'"),
        (lambda: metrics.F1Score()([1, 0], [1, 0]), ValueError, r"y_pred must have shape \(n, classes\)"),
        (lambda: metrics.IoU(3, [3]), ValueError, r"target_class_ids must be ints in \[0, 3\), got \[3\]"),
        (
            lambda: metrics.Mean()([1, 2], [1, 2, 3]),
            ValueError,
            r"mean: sample_weight must have shape \(2,\)",
        ),
        (lambda: metrics.Mean()(["a"]), TypeError, "mean: values must hold real numbers"),
        (lambda: metrics.Metric().result(), NotImplementedError, "Metric must define result"),
        (lambda: metrics.MeanMetricWrapper(3), TypeError, "fn must be callable, got 3"),
        (lambda: metrics.MeanMetricWrapper(losses.Huber(0.5)), TypeError, "fn must .*got the loss Huber"),
        (lambda: metrics.get(losses.Huber()), TypeError, "a value and a gradient: give the metric"),
    ],
)
def test_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_names_of_keras_before_the_weights_change():
    network(loss_weights=None).fit(X, LABELS, verbose=0)
    model = network(metrics=["categorical_accuracy"])
    before = model.get_weights()
    for _ in range(3):
        with pytest.raises(ValueError, match="class numbers are for sparse_categorical_accuracy"):
            model.train_on_batch(X, LABELS)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("value", [np.nan, 0.0, 1.0])
def test_predictions_that_are_no_numbers_or_all_alike(value):
    true = np.array([1.0, 0.0, 1.0])
    pred = np.full(3, value)
    positive = 0 if np.isnan(value) else value
    assert metrics.Recall()(true, pred) == positive
    assert metrics.Precision()(true, pred) == pytest.approx(positive * 2 / 3)
    assert metrics.AUC()(true, pred) == (0.0 if np.isnan(value) else 0.5)


def test_a_function_as_a_metric_is_shown_and_described():
    found = metrics.get("huber")
    assert repr(found) == f"MeanMetricWrapper(fn={losses.huber!r}, name='huber')"
    assert found.get_config() == {"fn": losses.huber, "name": "huber"}
    assert found == metrics.MeanMetricWrapper(losses.huber)
    assert metrics.MeanMetricWrapper(losses.huber, delta=2.0).get_config()["delta"] == 2.0


def test_one_column_of_probabilities_in_a_confusion_matrix():
    pred = np.array([[0.2], [0.7], [0.4], [0.5]])
    wanted = [[2, 0], [1, 1]]
    for true in ([0, 1, 1, 0], [[0], [1], [1], [0]]):
        assert metrics.confusion_matrix(true, pred).tolist() == wanted
    assert metrics.confusion_matrix([0, 1, 1], [[0], [1], [0]]).tolist() == [[1, 0], [1, 1]]  # class numbers


def test_a_matrix_refuses_scores_that_are_no_numbers():
    matrix = metrics.ConfusionMatrix(2)
    with pytest.raises(ValueError, match="y_pred must hold scores that are numbers, got NaN"):
        matrix.update_state([0, 1], [[np.nan, 1.0], [0.25, 0.75]])
    assert not matrix.result().any()
