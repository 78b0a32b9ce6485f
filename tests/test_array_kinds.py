"""Every kind of array in every place that takes one: the bits of a plain copy, or both are refused."""

import warnings

import numpy as np
import pytest

import cconv
from cconv import functional as F
from cconv import losses, metrics, plotting
from cconv.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D
from cconv.utils import set_random_seed, to_categorical
from tests.array_kinds import forms
from tests.strategies import EXAMPLES

RNG = np.random.default_rng(5)
N = 6
X = RNG.integers(0, 2, (N, 4, 4, 2))
LABELS = np.array([0, 1, 1, 0, 1, 0])
COLUMN = LABELS[:, np.newaxis]
ONE_HOT = np.eye(2, dtype=int)[LABELS]
WEIGHT = np.array([1, 0, 1, 1, 0, 1])
ROWS = X.reshape(N, -1)
MAPS = RNG.integers(0, 2, (N, 2, 4, 4))
KERNEL = RNG.integers(0, 2, (3, 3, 2, 3))
MATRIX = RNG.integers(0, 2, (32, 3))


def bits(result):
    """What a result is, down to dtype and bits."""
    if isinstance(result, dict):
        return {key: bits(value) for key, value in result.items()}
    if isinstance(result, tuple | list):
        return [bits(value) for value in result]
    if isinstance(result, np.ndarray):
        return result.dtype.str, result.shape, result.tobytes()
    return repr(result)


def outcome(function, given):
    """The bits of a result, or the kind of a refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bits(function(given))
    except (TypeError, ValueError) as error:
        return type(error)


class Unreadable:
    """As a tensor that needs a gradient: it refuses to be an array."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach first")


WRONG = {
    "masked": lambda v: np.ma.masked_array(v, v > 0),
    "complex": lambda v: v + 1j,
    "objects": lambda v: np.full(v.shape, "one", object),
    "times": lambda v: v.astype("M8[s]"),
    "records": lambda v: v.astype([("value", "f4"), ("other", "f4")]),
    "unreadable": lambda v: Unreadable(),
}

# --- models ---------------------------------------------------------------------------------------


def model(loss="sparse_categorical_crossentropy", data_format=None):
    shape = (2, 4, 4) if data_format else (4, 4, 2)
    made = cconv.Sequential(
        [Conv2D(2, 3, input_shape=shape), Flatten(), Dense(2, activation="softmax")],
        seed=0,
        data_format=data_format,
    )
    made.compile("sgd", loss, ["accuracy"])
    return made


def fitted(loss="sparse_categorical_crossentropy", **options):
    made = model(loss)
    options = {"x": X, "y": LABELS, "batch_size": 4, "epochs": 2, "verbose": 0, **options}
    return made.fit(**options).history, made.get_weights()


def pictures(y):
    made = cconv.Sequential([Conv2D(2, 1, input_shape=(2, 4, 4))], seed=0, data_format="channels_first")
    made.compile("sgd", "mse")
    return made.fit(X.transpose(0, 3, 1, 2), y, batch_size=4, verbose=0).history, made.get_weights()


def on_batch(x=X, y=LABELS, **options):
    made = model()
    made.train_on_batch(X, LABELS)
    return made.train_on_batch(x, y, **options), made.get_weights()


def with_weights(kernel):
    made = model()
    weights = made.get_weights()
    made.set_weights([kernel, *weights[1:]])
    return made.get_weights()


MODELS = {
    "fit x": (X, lambda a: fitted(x=a)),
    "fit y": (LABELS, lambda a: fitted(y=a)),
    "fit y (n, 1)": (COLUMN, lambda a: fitted(y=a)),
    "fit one-hot": (ONE_HOT, lambda a: fitted("categorical_crossentropy", y=a)),
    "fit y of mse": (ONE_HOT, lambda a: fitted("mse", y=a)),
    "fit y of binary": (ONE_HOT, lambda a: fitted("binary_crossentropy", y=a)),
    "fit images": (MAPS, pictures),
    "fit weight": (WEIGHT, lambda a: fitted(sample_weight=a)),
    "fit y, class_weight": (LABELS, lambda a: fitted(y=a, class_weight={0: 0.5, 1: 2})),
    "fit one-hot, class_weight": (
        ONE_HOT,
        lambda a: fitted("categorical_crossentropy", y=a, class_weight={0: 0.5}),
    ),
    "fit x, split": (X, lambda a: fitted(x=a, validation_split=0.4)),
    "fit y, split": (LABELS, lambda a: fitted(y=a, validation_split=0.4, shuffle=False)),
    "fit weight, split": (WEIGHT, lambda a: fitted(sample_weight=a, validation_split=0.4)),
    "validation x": (X, lambda a: fitted(validation_data=(a, LABELS))),
    "validation y": (LABELS, lambda a: fitted(validation_data=(X, a))),
    "validation weight": (WEIGHT, lambda a: fitted(validation_data=(X, LABELS, a))),
    "evaluate x": (X, lambda a: model().evaluate(a, LABELS, 4, 0)),
    "evaluate y": (LABELS, lambda a: model().evaluate(X, a, 4, 0)),
    "evaluate weight": (WEIGHT, lambda a: model().evaluate(X, LABELS, 4, 0, a)),
    "train_on_batch x": (X, lambda a: on_batch(x=a)),
    "train_on_batch y": (LABELS, lambda a: on_batch(y=a)),
    "train_on_batch weight": (WEIGHT, lambda a: on_batch(sample_weight=a)),
    "test_on_batch x": (X, lambda a: model().test_on_batch(a, LABELS)),
    "test_on_batch y": (LABELS, lambda a: model().test_on_batch(X, a)),
    "test_on_batch weight": (WEIGHT, lambda a: model().test_on_batch(X, LABELS, a)),
    "predict": (X, lambda a: model().predict(a, 4)),
    "predict channels first": (MAPS, lambda a: model(data_format="channels_first").predict(a, 4)),
    "predict_on_batch": (X, lambda a: model().predict_on_batch(a)),
    "Sequential.set_weights": (KERNEL[..., :2], with_weights),
}

# --- what has no model ----------------------------------------------------------------------------

Y = np.ones((N, 2, 2, 3))
PAIRS = np.array([[3, 1], [0, 4], [2, 2], [1, 3], [4, 0], [2, 2]])


def pool_backward(**arguments):
    y, argmax = F.max_pool2d(X.astype("f4"))
    return F.max_pool2d_backward(**{"dy": y, "argmax": argmax, "input_shape": X.shape, **arguments})


FUNCTIONS = {
    "conv2d x": (X, lambda a: F.conv2d(a, KERNEL)),
    "conv2d channels first": (MAPS, lambda a: F.conv2d(a, KERNEL, data_format="channels_first")),
    "conv2d kernel": (KERNEL, lambda a: F.conv2d(X, a)),
    "conv2d bias": (KERNEL[0, 0, 0], lambda a: F.conv2d(X, KERNEL, a)),
    "conv2d_backward dy": (Y, lambda a: F.conv2d_backward(a, X, KERNEL)),
    "conv2d_backward x": (X, lambda a: F.conv2d_backward(Y, a, KERNEL)),
    "conv2d_backward kernel": (KERNEL, lambda a: F.conv2d_backward(Y, X, a)),
    "max_pool2d": (X, lambda a: F.max_pool2d(a)),
    "max_pool2d_backward dy": (Y[..., :2], lambda a: pool_backward(dy=a)),
    "max_pool2d_backward argmax": (np.full((N, 2, 2, 2), 3), lambda a: pool_backward(argmax=a)),
    "average_pool2d": (X, lambda a: F.average_pool2d(a)),
    "average_pool2d_backward": (Y[..., :2], lambda a: F.average_pool2d_backward(a, X.shape)),
    "im2col": (X, lambda a: F.im2col(a, 2)),
    "col2im": (np.arange(48).reshape(12, 4), lambda a: F.col2im(a, (6, 2, 3, 1), 2)),
    "dense x": (ROWS, lambda a: F.dense(a, MATRIX)),
    "dense kernel": (MATRIX, lambda a: F.dense(ROWS, a)),
    "dense bias": (MATRIX[0], lambda a: F.dense(ROWS, MATRIX, a)),
    "dense_backward dy": (Y[:, 0, 0], lambda a: F.dense_backward(a, ROWS, MATRIX)),
    "dense_backward x": (ROWS, lambda a: F.dense_backward(Y[:, 0, 0], a, MATRIX)),
    "dense_backward kernel": (MATRIX, lambda a: F.dense_backward(Y[:, 0, 0], ROWS, a)),
    **{
        name: (PAIRS, lambda a, name=name: getattr(F, name)(a))
        for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")
    },
    "relu of a row": (LABELS, lambda a: F.relu(a)),
    "cross-entropy logits": (PAIRS, lambda a: F.softmax_cross_entropy(a, LABELS)),
    "cross-entropy labels": (LABELS, lambda a: F.softmax_cross_entropy(PAIRS, a)),
    "cross-entropy probabilities": (ONE_HOT, lambda a: F.softmax_cross_entropy(PAIRS, a)),
    "cross-entropy weight": (WEIGHT, lambda a: F.softmax_cross_entropy(PAIRS, LABELS, a)),
}
SMOOTH = np.full((N, 2), 0.5)
SHARES = np.array([[1, 0], [0, 1]] * 3)
LOSSES = {
    f"{kind} {role}": (values, lambda a, kind=kind, i=i, true=true: losses.get(kind)(*_put(i, a, true)))
    for kind, true in (
        ("mse", ONE_HOT),
        ("mae", ONE_HOT),
        ("binary_crossentropy", ONE_HOT),
        ("categorical_crossentropy", ONE_HOT),
        ("sparse_categorical_crossentropy", LABELS),
    )
    for i, (role, values) in enumerate((("y_true", true), ("y_pred", SHARES), ("weight", WEIGHT)))
}


def _put(place, given, true):
    arguments = [true, SMOOTH, WEIGHT]
    arguments[place] = given
    return arguments


METRICS = {
    f"{name} {role}": (values, call)
    for name in ("accuracy", "binary_accuracy", "top_k_accuracy", "mse", "mae")
    for role, values, call in (
        ("y_true", ONE_HOT, lambda a, name=name: metrics.get(name)(a, SMOOTH)),
        ("y_pred", SHARES, lambda a, name=name: metrics.get(name)(ONE_HOT, a)),
    )
} | {
    "accuracy of labels": (LABELS, lambda a: metrics.accuracy(a, SHARES)),
    "accuracy of one output": (LABELS, lambda a: metrics.accuracy(LABELS, a)),
    "confusion_matrix": (LABELS, lambda a: metrics.confusion_matrix(a, SHARES)),
    "confusion_matrix of labels": (LABELS, lambda a: metrics.confusion_matrix(LABELS, a)),
    "to_categorical": (LABELS, to_categorical),
}


def figure(made):
    """What a picture shows: its images and its words."""
    return [
        ([image.get_array().filled(0) for image in axes.images], [text.get_text() for text in axes.texts])
        for axes in made.axes
    ]


GREY = X[..., :1]
PICTURES = {
    "images": (GREY[:2], lambda a: figure(plotting.images(a))),
    "predictions x": (GREY[:2], lambda a: figure(plotting.predictions(a, LABELS[:2], SMOOTH[:2]))),
    "predictions y": (LABELS[:2], lambda a: figure(plotting.predictions(GREY[:2], a, SMOOTH[:2]))),
    "predictions p": (SHARES[:2], lambda a: figure(plotting.predictions(GREY[:2], LABELS[:2], a))),
    "feature_maps": (X[0], lambda a: figure(plotting.feature_maps(model(), a))),
    "padding": (X[0, ..., 0], lambda a: figure(plotting.padding(a, 3))),
}

# --- layers ---------------------------------------------------------------------------------------


def layer_pass(kind, x, dy=None, dtype="float32"):
    layer = kind().build(X.shape[1:], dtype=dtype, seed=0)
    y = layer.forward(x, training=True)
    dy = np.ones(y.shape, dtype) if dy is None else dy
    return y, layer.backward(dy), dict(layer.grads), layer.get_weights()


def fresh(x):
    set_random_seed(1)
    return Dense(3).forward(x)


def kernel_set(kernel):
    layer = Conv2D(3, 3).build(X.shape[1:], seed=0)
    layer.set_weights([kernel, np.zeros(3)])
    one = layer.get_weights()
    layer.params["kernel"] = kernel
    return one, layer.get_weights()


def both_dtypes(call):
    def passes(given):
        found = [outcome(lambda x, d=d: call(x, d), given) for d in ("float32", "float64")]
        if all(isinstance(entry, type) for entry in found):
            raise found[0]
        return found

    return passes


LAYER_KINDS = {
    "Conv2D": lambda: Conv2D(3, 3),
    "Dense": lambda: Dense(3),
    "MaxPooling2D": MaxPooling2D,
    "BatchNormalization": BatchNormalization,
    "Flatten": Flatten,
}
LAYERS = {
    **{
        f"{name}.forward": (X, both_dtypes(lambda a, dtype, kind=kind: layer_pass(kind, a, None, dtype)))
        for name, kind in LAYER_KINDS.items()
    },
    "Conv2D.backward": (
        Y,
        both_dtypes(lambda a, d: layer_pass(LAYER_KINDS["Conv2D"], X.astype(d), a, d)),
    ),
    "a layer that is not built": (ROWS, fresh),
    "weights": (KERNEL, kernel_set),
}

# --- estimators -----------------------------------------------------------------------------------


def classifier(x=X, y=LABELS, weight=None, **options):
    made = cconv.CNNClassifier([Flatten()], max_epochs=2, batch_size=4, random_state=0, **options)
    made.fit(x, y, weight)
    return made.loss_curve_, made.model_.get_weights()


def regressor(x=X, y=LABELS, weight=None):
    made = cconv.CNNRegressor([Flatten()], max_epochs=2, batch_size=4, random_state=0)
    made.fit(x, y, weight)
    return made.loss_curve_, made.model_.get_weights()


def by_parts(x=X, y=LABELS, weight=None):
    made = cconv.CNNClassifier([Flatten()], batch_size=4, random_state=0)
    made.partial_fit(x, y, [0, 1], weight).partial_fit(x, y, sample_weight=weight)
    return made.model_.get_weights()


TRAINED = cconv.CNNClassifier([Flatten()], max_epochs=1, random_state=0).fit(X, LABELS)
# A row of flat numbers is an image one pixel high.
ESTIMATORS = {
    "fit X": (X, lambda a: classifier(x=a)),
    "fit rows": (ROWS, lambda a: classifier(x=a)),
    "fit y": (LABELS, lambda a: classifier(y=a)),
    "fit weight": (WEIGHT, lambda a: classifier(weight=a)),
    "fit y, class_weight": (LABELS, lambda a: classifier(y=a, class_weight="balanced")),
    "regressor X": (X, lambda a: regressor(x=a)),
    "regressor y": (LABELS, lambda a: regressor(y=a)),
    "regressor outputs": (ONE_HOT, lambda a: regressor(y=a)),
    "regressor weight": (WEIGHT, lambda a: regressor(weight=a)),
    "partial_fit X": (X, lambda a: by_parts(x=a)),
    "partial_fit y": (LABELS, lambda a: by_parts(y=a)),
    "partial_fit weight": (WEIGHT, lambda a: by_parts(weight=a)),
    "predict": (X, lambda a: (TRAINED.predict(a), TRAINED.predict_proba(a), TRAINED.transform(a))),
    "score X": (X, lambda a: TRAINED.score(a, LABELS)),
    "score y": (LABELS, lambda a: TRAINED.score(X, a)),
    "score weight": (WEIGHT, lambda a: TRAINED.score(X, LABELS, a)),
}

FAMILIES = {
    "model": MODELS,
    "functional": FUNCTIONS,
    "loss": LOSSES,
    "metric": METRICS,
    "layer": LAYERS,
    "estimator": ESTIMATORS,
    "picture": PICTURES,
}
PLACES = [(family, place) for family, places in FAMILIES.items() for place in places]
# Cases of one place that are left out in a usual run; each place begins with another one.
STEPS = {"model": 13, "functional": 3, "loss": 5, "metric": 3, "layer": 5, "estimator": 21, "picture": 67}


def expected(family, form):
    """What must give the same result; a list given to a layer has no dtype, and takes the layer's."""
    if family == "layer" and isinstance(form.given, list | tuple):
        return form.plain.tolist()
    return form.plain


def part_of(family, place):
    """Which of a place's forms are tried; all with CCONV_TEST_EXAMPLES above 1,000."""
    every = 1 if EXAMPLES > 1000 else STEPS[family]
    return PLACES.index((family, place)) % every, every


def test_thousands_of_cases_are_tried(tmp_path):
    tried = [
        sum(1 for _ in forms(FAMILIES[family][place][0], tmp_path, part_of(family, place)))
        for family, place in PLACES
    ]
    assert sum(tried) > 8000
    whole = [sum(1 for _ in forms(values, tmp_path)) for values in (X, LABELS, ONE_HOT)]
    assert min(whole) > 400


@pytest.mark.parametrize(("family", "place"), PLACES)
def test_every_kind_gives_what_its_copy_gives(family, place, tmp_path):
    values, call = FAMILIES[family][place]
    count = refusals = 0
    for form in forms(values, tmp_path, part_of(family, place)):
        wanted = outcome(call, expected(family, form))
        found = outcome(call, form.given)
        # scikit-learn's own scores ask for arrays or lists, and say so.
        refused = place.startswith("score ") and isinstance(found, type)
        assert refused or found == wanted, f"{place}: {form.name} gives other bits than its copy"
        count, refusals = count + 1, refusals + isinstance(wanted, type)
    assert count >= 4
    assert refusals < count, "nothing was compared"


@pytest.mark.parametrize("wrong", sorted(WRONG))
@pytest.mark.parametrize(("family", "place"), [place for place in PLACES if "score " not in place[1]])
def test_what_is_no_array_of_real_numbers_is_refused_everywhere(family, place, wrong):
    values, call = FAMILIES[family][place]
    if family == "estimator" and wrong in ("objects", "times", "records"):
        wrong = "masked"  # labels may be anything that can be sorted, and scikit-learn reads times as numbers
    found = outcome(call, WRONG[wrong](values))
    assert isinstance(found, type)
    assert issubclass(found, TypeError | ValueError)
