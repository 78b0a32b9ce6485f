"""Losses against their formulas and central differences; metrics."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cconv import activations, arguments, losses, metrics, reference
from cconv.ops.run import Run
from tests.strategies import many

N, CLASSES = 5, 4


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def targets(kind, rng):
    labels = rng.integers(0, CLASSES, N)
    return {
        "sparse_categorical_crossentropy": labels,
        "categorical_crossentropy": softmax(rng.normal(size=(N, CLASSES))),
        "binary_crossentropy": rng.integers(0, 2, (N, CLASSES)),
        "mse": rng.normal(size=(N, CLASSES)),
        "mae": rng.normal(size=(N, CLASSES)),
    }[kind]


def formula(kind, t, p):
    """Return the loss of every sample."""
    return {
        "sparse_categorical_crossentropy": lambda: -np.log(p[np.arange(N), t] / p.sum(axis=1)),
        "categorical_crossentropy": lambda: -(t * np.log(p / p.sum(axis=1, keepdims=True))).sum(axis=1),
        "binary_crossentropy": lambda: -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=1),
        "mse": lambda: ((p - t) ** 2).mean(axis=1),
        "mae": lambda: np.abs(p - t).mean(axis=1),
    }[kind]()


KINDS = ["sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy", "mse", "mae"]
WITH_LOGITS = [kind for kind in KINDS if "crossentropy" in kind]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients(kind, weighted):
    rng = np.random.default_rng(3)
    t, p = targets(kind, rng), softmax(rng.normal(size=(N, CLASSES)))
    w = rng.uniform(0, 2, N) if weighted else np.ones(N)
    loss = losses.get(kind)

    def value(pred):
        return loss(t, pred, w if weighted else None)[0]

    total, dy = loss(t, p, w if weighted else None)
    assert total == pytest.approx((formula(kind, t, p) * w).sum() / N, rel=1e-12)
    check_gradient(value, p, dy)


# Keras 3.15, JAX and PyTorch alike: predictions, class, loss, gradient.
OF_KERAS = [
    ([1.0, 1.0], 1, 0.6931472, [0.5, -0.5]),
    ([2.0, 2.0, 4.0], 0, 1.3862944, [-0.375, 0.125, 0.125]),
    ([0.0, 1.0, 1.0], 0, 16.118095, [0, 0, 0]),
    ([0.0, 1.0, 1.0], 1, 0.6931472, [0.5, -0.5, 0.5]),
    ([-1.0, 2.0, 3.0], 0, 16.118095, [0, 0, 0]),
    ([-1.0, 2.0, 3.0], 2, 0.2876821, [0.25, 0.25, -1 / 12]),
    ([-1.0, -1.0, -2.0], 0, 1.3862944, [0.75, -0.25, -0.25]),
    ([0.9999999, 1e-8, 0.0], 0, 1.1920929e-07, [0, 0, 0]),
    ([0.9999999, 1e-8, 0.0], 1, 16.118095, [0, 0, 0]),
    ([1e-9, 1.0, 1.0], 0, 16.118095, [0, 0, 0]),
]
CATEGORICAL = ["categorical_crossentropy", "sparse_categorical_crossentropy"]


@pytest.mark.parametrize("kind", CATEGORICAL)
@pytest.mark.parametrize(("p", "label", "wanted", "gradient"), OF_KERAS)
def test_predictions_are_divided_by_their_sum_as_keras_does(kind, p, label, wanted, gradient):
    p = np.array([p], "float32")
    true = np.array([label]) if kind.startswith("sparse") else np.eye(p.shape[1])[[label]]
    loss, dy = losses.get(kind)(true, p)
    assert loss == pytest.approx(wanted, rel=2e-6)
    np.testing.assert_allclose(dy[0], gradient, rtol=2e-6)


@pytest.mark.parametrize("kind", CATEGORICAL)
def test_predictions_of_nothing_but_zeros_give_nan(kind):
    total, dy = losses.get(kind)([0] if kind.startswith("sparse") else [[1, 0]], [[0.0, 0.0]])
    assert np.isnan(total)
    assert np.isnan(dy).all()


@many
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 40),
    lead=st.sampled_from([(1,), (7,), (3, 2), (2, 3, 4)]),
    size=st.sampled_from([1e-6, 0.5, 1.0, 30.0, 1e6]),
    zeros=st.booleans(),
    weighted=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_the_twin_of_predictions_that_do_not_sum_to_one(seed, classes, lead, size, zeros, weighted, dtype):
    rng = np.random.default_rng(seed)
    p = (rng.uniform(0.01, 1, (*lead, classes)) * size).astype(dtype)
    if zeros:
        p[..., 1:][rng.random((*lead, classes - 1)) < 0.3] = 0
    labels = rng.integers(0, classes, lead)
    true = rng.dirichlet(np.ones(classes), lead)
    w = rng.uniform(0, 2, lead[0]).astype(dtype) if weighted else None
    each = None if w is None else np.broadcast_to(w.reshape(-1, *[1] * (len(lead) - 1)), lead)
    for kind, t in zip(CATEGORICAL, (true, labels), strict=True):
        wanted, gradient = reference.categorical_crossentropy(p.astype("float64"), t, each)
        loss, dy = losses.get(kind)(t, p, w)
        tolerance = 1e-12 if dtype == "float64" else 2e-5
        assert loss == pytest.approx(wanted, rel=tolerance, abs=tolerance)
        scale = np.abs(gradient).max() + np.finfo(dtype).tiny
        np.testing.assert_allclose(dy / scale, gradient / scale, atol=tolerance * 10)


@pytest.mark.parametrize("kind", [*CATEGORICAL, "binary_crossentropy"])
def test_gradients_are_those_of_the_values_also_where_predictions_are_cut_off(kind):
    rng = np.random.default_rng(8)
    p = rng.uniform(0.1, 0.9, (N, CLASSES))
    p[0, 0], p[1, 1], p[2, 2] = -0.1, 1.5, -3e-3
    t = targets(kind, rng)
    check_gradient(lambda pred: losses.get(kind)(t, pred)[0], p, losses.get(kind)(t, p)[1])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", WITH_LOGITS)
def test_from_logits(kind, weighted):
    rng = np.random.default_rng(4)
    t, z = targets(kind, rng), rng.normal(size=(N, CLASSES)) * 3
    w = rng.uniform(0, 2, N) if weighted else None
    loss = losses.get(kind)
    activation = activations.get(loss.activation)
    assert loss.from_logits_of(activation.key)
    assert not loss.from_logits_of("relu")
    assert not loss.from_logits_of("")
    expected, dp = loss(t, activation(z, Run()), w)
    total, dz = loss(t, z, w, from_logits=True)
    assert total == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(dz, activation.backward(dp, activation(z, Run()), Run()), atol=1e-14)
    check_gradient(lambda logits: loss(t, logits, w, from_logits=True)[0], z, dz)
    # The argument of the constructor says the same of a model without that activation.
    own = type(loss)(from_logits=True)
    assert own(t, z, w)[0] == total
    assert not own.from_logits_of(loss.activation)


def check_gradient(value, at, gradient):
    assert gradient.shape == at.shape
    assert gradient.dtype == at.dtype
    step = 1e-6
    for index in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[index] += step
        below[index] -= step
        numeric = (value(above) - value(below)) / (2 * step)
        assert abs(numeric - gradient[index]) <= 1e-6 * max(1, abs(numeric))


@pytest.mark.parametrize("kind", WITH_LOGITS)
@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
def test_large_logits(kind, size):
    t = {"sparse_categorical_crossentropy": [0], "categorical_crossentropy": [[1, 0]]}.get(kind, [[1, 0]])
    loss = losses.get(kind)
    right, _ = loss(t, np.array([[size, -size]], "float32"), from_logits=True)
    wrong, dz = loss(t, np.array([[-size, size]], "float32"), from_logits=True)
    assert right == 0
    assert wrong == pytest.approx(size if kind == "binary_crossentropy" else 2 * size)
    assert np.isfinite(dz).all()


@pytest.mark.parametrize("kind", WITH_LOGITS)
def test_probabilities_of_zero_and_one(kind):
    t = {"sparse_categorical_crossentropy": [0], "categorical_crossentropy": [[1, 0]]}.get(kind, [[1, 0]])
    total, dy = losses.get(kind)(t, np.array([[0.0, 1.0]], "float32"))
    assert total == pytest.approx(-np.log(1e-7), rel=0.02)
    assert np.isfinite(dy).all()


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_nan_gives_nan_without_a_warning(kind, from_logits):
    t = targets(kind, np.random.default_rng(0))
    p = np.full((N, CLASSES), 0.5, "float32")
    p[1, 2] = np.nan
    p[1] = np.nan if kind.startswith("sparse") else p[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        total, _ = losses.get(kind)(t, p, from_logits=from_logits and kind in WITH_LOGITS)
    assert np.isnan(total)


@pytest.mark.parametrize("kind", KINDS)
def test_float32(kind):
    rng = np.random.default_rng(5)
    t, p = targets(kind, rng), softmax(rng.normal(size=(N, CLASSES))).astype("float32")
    before = p.copy()
    p.flags.writeable = False
    total, dy = losses.get(kind)(t, p)
    assert dy.dtype == "float32"
    assert total == pytest.approx(formula(kind, t, p.astype("float64")).mean(), rel=1e-5)
    np.testing.assert_array_equal(p, before)


def test_pixels_and_single_outputs():
    rng = np.random.default_rng(6)
    z, labels = rng.normal(size=(2, 3, 3, 4)), rng.integers(0, 4, (2, 3, 3))
    loss = losses.get("sparse_categorical_crossentropy")
    total, dz = loss(labels, z, from_logits=True)
    flat, dflat = loss(labels.ravel(), z.reshape(-1, 4), from_logits=True)
    assert total == flat
    np.testing.assert_array_equal(dz.reshape(-1, 4), dflat)
    weighted, _ = loss(labels, z, np.array([0.0, 1.0]), from_logits=True)
    assert weighted == pytest.approx(loss(labels[1:], z[1:], from_logits=True)[0] / 2)
    for kind in ("mse", "binary_crossentropy"):
        column, row = np.array([[0.2], [0.7]]), np.array([0.2, 0.7])
        assert losses.get(kind)([0, 1], column)[0] == losses.get(kind)([0, 1], row)[0]
        assert losses.get(kind)([0, 1], column, [1, 0])[1][1, 0] == 0


def test_labels_of_other_types():
    p = softmax(np.random.default_rng(0).normal(size=(3, 4)))
    loss = losses.get("sparse_categorical_crossentropy")
    expected = loss([2, 0, 3], p)[0]
    for labels in ([[2], [0], [3]], np.array([2, 0, 3], np.uint8), np.array([2.0, 0.0, 3.0], "float32")):
        assert loss(labels, p)[0] == expected
    assert losses.get("categorical_crossentropy")(np.eye(4, dtype=bool)[[2, 0, 3]], p)[0] == expected


@pytest.mark.parametrize(
    ("kind", "true", "error", "message"),
    [
        (
            "sparse_categorical_crossentropy",
            [0, 4, 1],
            ValueError,
            "y_true must be class numbers from 0 to 3, got 4",
        ),
        ("sparse_categorical_crossentropy", [0, -1, 1], ValueError, "y_true must be class numbers .* got -1"),
        ("sparse_categorical_crossentropy", [0.5, 1, 1], TypeError, "y_true must be ints"),
        ("sparse_categorical_crossentropy", [0, 1], ValueError, r"class numbers of shape \(3,\), got \(2,\)"),
        (
            "sparse_categorical_crossentropy",
            np.eye(4)[:3],
            ValueError,
            "one-hot targets are for categorical_",
        ),
        ("categorical_crossentropy", [0, 1, 2], ValueError, "class numbers are for sparse_categorical_"),
        (
            "categorical_crossentropy",
            np.full((3, 4), np.inf),
            ValueError,
            "y_true must be finite, got .* sample 0",
        ),
        ("categorical_crossentropy", [["a"] * 4] * 3, TypeError, "y_true must hold real numbers"),
        ("binary_crossentropy", np.full((3, 4), 1.5), ValueError, r"y_true must lie in \[0, 1\], got 1.5"),
        ("binary_crossentropy", np.full((3, 4), np.nan), ValueError, r"y_true must lie in \[0, 1\], got nan"),
        ("mse", np.ones((3, 5)), ValueError, r"y_true must have shape \(3, 4\), got \(3, 5\)"),
    ],
)
def test_wrong_targets(kind, true, error, message):
    with pytest.raises(error, match=message):
        losses.get(kind)(true, np.full((3, 4), 0.25))


def test_wrong_weights_and_names():
    p = np.full((3, 4), 0.25)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(3,\), got \(2,\)"):
        losses.get("mse")(p, p, [1, 2])
    with pytest.raises(ValueError, match="sample_weight must be finite, got nan for sample 2"):
        losses.get("mse")(p, p, [1, 2, np.nan])
    with pytest.raises(ValueError, match=r"losses.get: value must be one of .* got 'hinges'"):
        losses.get("hinges")
    for kind in KINDS:
        loss = losses.get(kind)
        assert losses.get(json.loads(json.dumps(arguments.config_of(loss)))) == loss
        assert losses.get(loss) is loss


# --- metrics --------------------------------------------------------------------------------------


def test_accuracy_in_all_shapes():
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    labels = np.array([0, 1, 0, 0])
    for true in (labels, labels[:, np.newaxis], np.eye(3)[labels], labels.astype("float32")):
        assert metrics.accuracy(true, p) == 0.75
    for pred in (np.array([0.9, 0.2, 0.5]), np.array([[0.9], [0.2], [0.5]])):
        assert metrics.accuracy([1, 1, 0], pred) == pytest.approx(2 / 3)
        assert metrics.accuracy([[1], [1], [0]], pred) == pytest.approx(2 / 3)
    assert metrics.binary_accuracy([[1, 0], [0, 0]], [[0.9, 0.8], [0.1, 0.2]]).tolist() == [[1, 0], [1, 1]]


def test_top_k():
    p = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    assert metrics.top_k_accuracy([1, 1, 3], p, k=1) == pytest.approx(1 / 3)
    assert metrics.top_k_accuracy([1, 1, 3], p, k=2) == pytest.approx(2 / 3)
    assert metrics.top_k_accuracy(np.eye(4)[[1, 1, 3]], p, k=3) == 1
    assert metrics.top_k_accuracy([0], [[np.nan, 1.0]], k=2) == 0
    with pytest.raises(ValueError, match=r"class numbers in \[0, 4\)"):
        metrics.top_k_accuracy([4], p[:1])


def test_confusion_matrix():
    expected = [[1, 0, 1], [0, 2, 0], [0, 0, 0]]
    assert metrics.confusion_matrix([0, 1, 1, 0], [0, 1, 1, 2]).tolist() == expected
    assert metrics.confusion_matrix(np.eye(3)[[0, 1, 1, 0]], np.eye(3)[[0, 1, 1, 2]]).tolist() == expected
    assert metrics.confusion_matrix([0], [1], num_classes=4).shape == (4, 4)
    with pytest.raises(ValueError, match=r"class numbers in \[0, 2\)"):
        metrics.confusion_matrix([0, 2], [0, 1], num_classes=2)


def test_mean_over_batches():
    mean = metrics.Mean()
    assert mean.result() == 0
    for value, count in ((1.0, 3), (0.5, 2), (0.0, 5)):
        mean.update_state(value, count)
    assert mean.result() == pytest.approx(0.4)
    mean.reset_state()
    assert mean.count == 0


def test_metrics_by_name():
    assert metrics.get("acc").name == "acc"
    assert metrics.get("mse")([1.0], [3.0]) == 4
    assert metrics.get("mae")([1.0], [[3.0]]) == 2

    def ones(y_true, y_pred):
        return float(np.sum(y_pred == 1))

    assert metrics.get(ones).name == "ones"
    assert metrics.get(ones)([0, 0], [1, 1]) == 2
    with pytest.raises(ValueError, match=r"metrics.get: value must be one of .* got 'r3_score'"):
        metrics.get("r3_score")
    for wrong in ([0, 1, 2], [[[0]], [[1]]]):
        with pytest.raises(ValueError, match="accuracy: y_true must"):
            metrics.accuracy(wrong, np.ones((2, 3)))


def test_binary_accuracy_takes_targets_as_they_are():
    """As Keras: a soft target, or one of -1 and 1, is not what a prediction above the threshold says."""
    assert metrics.binary_accuracy([[0.9], [0.1], [1.0]], [[0.7], [0.2], [0.6]]).tolist() == [[0], [0], [1]]
    assert metrics.get("accuracy")([[-1.0], [1.0]], [[0.2], [0.6]]) == 0.5
