"""Losses of functions, kinds of weights, targets with any sum, ignored classes, and empty batches."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cconv
from cconv import losses, reference
from cconv.layers import Conv2D, Dense, Flatten
from tests.strategies import many

RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(20, 4)).astype("float32"), RNG.normal(size=(20, 3)).astype("float32")
# But for those whose values are not of single samples: test_losses_overlap.py.
KINDS = sorted({kind.__name__ for kind in losses._CLASSES.values()} - {"Circle", "Dice", "Tversky"})
OF_LABELS = ("CategoricalGeneralizedCrossEntropy", "SparseCategoricalCrossentropy")


def network(loss, **options):
    model = cconv.Sequential([Dense(3, input_shape=(4,))], seed=3)
    model.compile("sgd", loss, **options)
    return model


def pixels(loss="sparse_categorical_crossentropy", **options):
    model = cconv.Sequential([Conv2D(3, 1, activation="softmax", input_shape=(4, 5, 2))], seed=3)
    model.compile("sgd", loss, **options)
    return model


def squares(true, pred):
    return ((pred - true) ** 2).mean(axis=-1)


def slopes(true, pred):
    return 2 * (pred - true) / pred.shape[-1]


def whole(true, pred):
    return ((pred - true) ** 2).mean(), 2 * (pred - true) / pred.size


def elements(true, pred):
    return (pred - true) ** 2, 2 * (pred - true)


FORMS = [losses.from_function(squares, slopes), lambda t, p: (squares(t, p), slopes(t, p)), whole, elements]


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_central_differences(kind, reduction):
    rng = np.random.default_rng(5)
    shape = (2, 3, 4)
    p = rng.uniform(0.1, 0.9, shape)
    t = rng.integers(0, 4, shape[:-1]) if kind in OF_LABELS else rng.uniform(0.05, 0.95, shape)
    smooth = {"label_smoothing": 0.1} if "label_smoothing" in takes(kind) else {}
    loss = getattr(losses, kind)(**smooth, reduction=reduction)
    weight = np.array([[1.0, -0.5, 2.0], [0.0, 3.0, 0.25]])
    before = p.copy()
    _, dy = loss(t, p, weight)
    for index in np.ndindex(shape):
        above, below = p.copy(), p.copy()
        above[index] += 1e-6
        below[index] -= 1e-6
        numeric = (loss(t, above, weight)[0] - loss(t, below, weight)[0]) / 2e-6
        assert abs(numeric - dy[index]) <= 2e-6 * max(1, abs(numeric))
    np.testing.assert_array_equal(p, before)


def takes(kind):
    return inspect.signature(getattr(losses, kind)).parameters


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_empty_batches(kind):
    sparse = kind in OF_LABELS
    loss, function = getattr(losses, kind)(), getattr(losses, losses._CLASSES[kind_key(kind)].key)
    pred, true = np.full((3, 4), np.nan, "float32"), np.zeros(3, int) if sparse else np.eye(3, 4)
    assert np.isnan(loss(true, pred)[0])
    for size in (0, 2, 0):
        found, dy = loss(true[:size], np.full((size, 4), 0.25), np.ones(size))
        assert found == 0.0 if not size else np.isfinite(found)
        assert dy.shape == (size, 4)
        more = (0.5,) if kind == "CategoricalGeneralizedCrossEntropy" else ()  # whose q has no default
        assert function(true[:size], np.full((size, 4), 0.25), *more).shape == (size,)
    with pytest.raises(ValueError, match="y_true"):
        loss(true[:0], pred[:0, :3] if not sparse else pred[:0, np.newaxis])


def kind_key(kind):
    return next(name for name, known in losses._CLASSES.items() if known.__name__ == kind)


# --- functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_focal_loss_of_logits_goes_on_where_probabilities_end(gamma):
    """Where a sample is most wrong the loss is the cross-entropy, however large the logit."""
    target, logit = np.array([[0.0], [1.0]]), np.array([[60.0], [-90.0]])
    value, slope = losses.BinaryFocalCrossentropy(gamma=gamma, from_logits=True)(target, logit)
    np.testing.assert_allclose(value, 75, rtol=1e-12)
    np.testing.assert_allclose(slope, [[0.5], [-0.5]], rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_a_model_trains_with_a_function(form):
    wanted, model = network("mse"), network(form)
    for _ in range(3):
        found = model.fit(X, Y, batch_size=8, epochs=2, verbose=0).history["loss"]
        np.testing.assert_allclose(found, wanted.fit(X, Y, 8, 2, verbose=0).history["loss"], rtol=1e-5)
    for a, b in zip(model.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    if form is whole:
        with pytest.raises(ValueError, match=r"whole: sample_weight needs a loss that returns one value a"):
            model.fit(X, Y, sample_weight=np.ones(20), verbose=0)
        return
    weight = RNG.uniform(-1, 2, 20)
    assert model.evaluate(X, Y, verbose=0, sample_weight=weight) == pytest.approx(
        wanted.evaluate(X, Y, verbose=0, sample_weight=weight), rel=1e-4
    )


def test_functions_of_keras_by_themselves_stand_for_the_losses():
    assert losses.get(losses.huber) == losses.Huber()
    assert network(losses.mean_squared_error).evaluate(X, Y, verbose=0) == network("mse").evaluate(
        X, Y, verbose=0
    )


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (squares, TypeError, r"squares: a loss function must return \(value, gradient\).*from_function"),
        (lambda t, p: (squares(t, p), 0.0), ValueError, r"gradient must have the shape of y_pred \(20, 3\)"),
        (lambda t, p: (np.ones(3), p), ValueError, r"value must be one number, or .* got shape \(3,\)"),
        (lambda t, p: (np.ones(20) * 1j, p), TypeError, "value must hold real numbers, got dtype complex"),
    ],
)
def test_functions_that_cannot_be_losses(function, error, text):
    with pytest.raises(error, match=text):
        network(function).fit(X, Y, batch_size=20, verbose=0)
    with pytest.raises(TypeError, match="gradient must be callable, got None"):
        losses.from_function(function, None)
    with pytest.raises(TypeError, match="function must be callable, got 3"):
        losses.from_function(3, slopes)


def test_a_model_with_a_function_is_saved_without_how_it_was_compiled(tmp_path):
    model = network(whole)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="loss must be one of"):
        cconv.load_model(tmp_path / "m.safetensors")
    twin = cconv.load_model(tmp_path / "m.safetensors", compile=False)
    np.testing.assert_array_equal(twin.predict(X, verbose=0), model.predict(X, verbose=0))


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["(n, h, w)", "(n, h, w, 1)", "(n, 1)", "(n, 1, 1)", "(n,)"])
def test_weights_of_pixels(form):
    x, y = RNG.normal(size=(7, 4, 5, 2)).astype("float32"), RNG.integers(0, 3, (7, 4, 5))
    each = np.random.default_rng(0).uniform(-0.5, 2, (7, 4, 5))
    given = {"(n, h, w)": each, "(n, h, w, 1)": each[..., None]}.get(form)
    if given is None:
        each = np.broadcast_to(each[:, :1, :1], each.shape)
        given = each[:, 0, 0].reshape(7, *[1] * form.count("1"))
    model = pixels()
    p = model.predict(x, verbose=0)
    wanted = (-np.log(np.take_along_axis(p, y[..., None], -1))[..., 0] * each).mean()
    assert losses.SparseCategoricalCrossentropy()(y, p, given)[0] == pytest.approx(wanted, rel=1e-5)
    for size in (3, 7, 2):
        assert model.evaluate(x, y, size, 0, given) == pytest.approx(wanted, rel=1e-5)
    assert model.train_on_batch(x, y, given) == pytest.approx(wanted, rel=1e-5)
    one, other = pixels(), pixels()
    one.fit(x, y, sample_weight=given, batch_size=3, verbose=0)
    other.fit(x, y, sample_weight=np.array(each), batch_size=3, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    for wrong in (np.ones((7, 4)), np.ones((7, 5, 4)), np.ones((7, 4, 5, 2))):
        with pytest.raises(ValueError, match=r"sample_weight must have shape \(7,\) or \(7, 4, 5\), got"):
            model.fit(x, y, sample_weight=wrong, verbose=0)


def test_class_weights_times_weights_of_columns():
    y = RNG.integers(0, 3, 20)
    model = network(losses.SparseCategoricalCrossentropy(from_logits=True))
    weight, by_class = RNG.uniform(0, 2, 20), np.array([1.0, -2.0, 0.5])
    wanted = model.evaluate(X, y, verbose=0, sample_weight=weight * by_class[y])
    assert model.train_on_batch(X, y, weight[:, None], {1: -2, 2: 0.5}) == pytest.approx(wanted, rel=1e-6)


# --- targets --------------------------------------------------------------------------------------


@many
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 40),
    rows=st.integers(1, 9),
    dtype=st.sampled_from(["float32", "float64"]),
    from_logits=st.booleans(),
)
def test_targets_with_any_sum(seed, classes, rows, dtype, from_logits):
    rng = np.random.default_rng(seed)
    true, weight = rng.normal(size=(rows, classes)) * 3, rng.normal(size=rows)
    pred = rng.uniform(0.1, 1, (rows, classes)).astype(dtype)
    twin = reference.softmax_cross_entropy if from_logits else reference.categorical_crossentropy
    wanted, gradient = twin(pred.astype("float64"), true, weight)
    found, dy = losses.CategoricalCrossentropy(from_logits=from_logits)(true, pred, weight)
    tolerance = {"float32": 2e-4, "float64": 1e-11}[dtype] * classes
    assert found == pytest.approx(wanted, rel=tolerance, abs=tolerance)
    np.testing.assert_allclose(dy, gradient, rtol=tolerance, atol=tolerance)


def test_a_model_takes_targets_with_any_sum():
    true = np.abs(Y) * 2
    model = cconv.Sequential([Flatten(input_shape=(4,)), Dense(3, "softmax")], seed=3)
    model.compile("sgd", "categorical_crossentropy")
    wanted = -(true * np.log(model.predict(X, verbose=0))).sum(axis=1).mean()
    assert model.train_on_batch(X, true) == pytest.approx(wanted, rel=1e-5)


def test_pixels_of_an_ignored_class_may_be_anything():
    y = RNG.integers(0, 3, (7, 4, 5)).astype(float)
    y[1], y[:, 2, 3] = 255, 255
    p = RNG.dirichlet(np.ones(3), (7, 4, 5))
    p[y == 255] = np.nan
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    found, dy = loss(y, p)
    kept = y != 255
    assert found == pytest.approx(-np.log(p[kept][np.arange(kept.sum()), y[kept].astype(int)]).mean())
    assert (dy[~kept] == 0).all()
    assert (loss(np.full((2, 3), 255), np.ones((2, 3, 4)))[0]) == 0
    with pytest.raises(ValueError, match="class numbers from 0 to 2, got 255"):
        losses.SparseCategoricalCrossentropy()(y, p)
    assert np.isfinite(pixels(loss).train_on_batch(RNG.normal(size=(7, 4, 5, 2)), y))


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: losses.Huber(0), ValueError, "Huber: delta must be above 0"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2), ValueError, r"label_smoothing must be in \[0"),
        (lambda: losses.CategoricalCrossentropy(axis=1), ValueError, "axis must be -1, the last one, got 1"),
        (lambda: losses.Poisson(reduction=None), ValueError, "returns one number; the functions of"),
        (lambda: losses.Poisson(reduction="none"), ValueError, "Poisson: reduction must be one of"),
        (lambda: losses.Poisson(reduction="average"), ValueError, "Poisson: reduction must be"),
        (lambda: losses.Poisson(name=3), TypeError, "Poisson: name must be a string, got 3"),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-1), ValueError, "gamma must be"),
        (
            lambda: losses.CategoricalFocalCrossentropy([0.5] * 3)(np.eye(4), np.eye(4)),
            ValueError,
            "alpha must be one number for each of the 4 classes, got 3",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy(ignore_class=0.5),
            TypeError,
            "ignore_class must be an int or None",
        ),
    ],
)
def test_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_names_and_configurations():
    assert losses.Huber().name == "huber_loss"
    assert losses.get("MSLE") == losses.get("mean_squared_logarithmic_error")
    assert losses.get("kld") == losses.KLDivergence()

    class MyOwnLoss(losses.Loss):
        """Without a constructor."""

    assert MyOwnLoss().name == "my_own_loss"
    assert repr(losses.Huber(0.5, "sum")) == "Huber(delta=0.5, reduction='sum')"


def test_a_loss_of_the_user_s_that_is_not_finite():
    """It is not said to be too large for the loss: nobody knows what the function made of it."""

    def broken(true, pred):
        return float("nan"), np.zeros_like(pred)

    class Broken(losses.Loss):
        def __call__(self, y_true, y_pred):
            return float("inf"), np.zeros_like(y_pred)

    for loss, value in ((broken, "nan"), (Broken(), "inf")):
        model = cconv.Sequential([Dense(2)], seed=0)
        model.compile("sgd", loss)
        text = f"the output of every layer is finite, but not what the loss function returned: {value}$"
        with pytest.raises(ValueError, match=text):
            model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 2.5])
def test_a_categorical_focal_loss_of_logits_goes_on_where_probabilities_end(gamma):
    """Its gradient was 0, and its value cut, where a sample was most wrong."""
    target = np.eye(3)[[0, 1, 2]]
    logits = np.array([[-40.0, 40.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, -300.0]])
    focal = losses.CategoricalFocalCrossentropy([0.25, 0.5, 1.0], gamma, from_logits=True)
    value, slope = focal(target, logits)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wrong = 1 - np.exp(logs[np.arange(3), range(3)])
    truth = -(np.array([0.25, 0.5, 1.0]) * wrong**gamma * logs[np.arange(3), range(3)]).mean()
    assert value == pytest.approx(truth, rel=1e-12)
    for place in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[place] = 1e-4
        by_steps = (focal(target, logits + step)[0] - focal(target, logits - step)[0]) / 2e-4
        assert slope[place] == pytest.approx(by_steps, rel=1e-6, abs=1e-9)
    assert slope[0, 0] == pytest.approx(-0.25 / 3)
    with np.errstate(all="raise"):
        infinite = np.array([[2.0, -np.inf]])
        assert losses.CategoricalFocalCrossentropy(from_logits=True)([[1, 0]], infinite)[0] == 0
