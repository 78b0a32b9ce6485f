"""What errors say: each names what the user gave and can change, in the terms of the call that was made."""

import numpy as np
import pytest

import cconv
from cconv import functional as F
from cconv import losses
from cconv.callbacks import EarlyStopping
from cconv.estimators import figures
from cconv.layers import Activation, Conv2D, Dense, Flatten, GlobalAveragePooling2D, MaxPooling2D, ReLU
from cconv.losses import CategoricalCrossentropy

SPARSE = "sparse_categorical_crossentropy"
X = np.zeros((40, 8, 8, 1), np.float32)
LABELS = np.arange(40) % 3


def model(loss=SPARSE, activation="softmax"):
    made = cconv.Sequential([Flatten(input_shape=(8, 8, 1)), Dense(3, activation)], seed=0)
    made.compile("sgd", loss)
    return made


def with_label(value, at=7):
    labels = LABELS.astype(float)
    labels[at] = value
    return labels


def says(error, text, call):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


WRONG_TARGETS = [
    ("mse", np.zeros(40), ValueError, "mean_squared_error: y_true must have shape (40, 3), got (40,)"),
    (
        "mae",
        np.zeros((40, 2)),
        ValueError,
        "mean_absolute_error: y_true must have shape (40, 3), got (40, 2)",
    ),
    (
        SPARSE,
        np.eye(3)[LABELS],
        ValueError,
        "y_true must be class numbers of shape (40,), got (40, 3); one-hot targets are for categorical_",
    ),
    (SPARSE, with_label(np.nan), ValueError, "y_true must be class numbers, got nan for sample 7"),
    (SPARSE, with_label(np.inf), ValueError, "y_true must be class numbers, got inf for sample 7"),
    (SPARSE, with_label(1e30), ValueError, "y_true must be class numbers, got 1e+30 for sample 7"),
    (
        SPARSE,
        with_label(0.5),
        TypeError,
        "y_true must be ints when they are class numbers, got 0.5 for sample 7",
    ),
    (SPARSE, with_label(9), ValueError, "y_true must be class numbers from 0 to 2, got 9 for sample 7"),
    (
        SPARSE,
        with_label(-1, 39),
        ValueError,
        "y_true must be class numbers from 0 to 2, got -1 for sample 39",
    ),
    (
        "categorical_crossentropy",
        LABELS,
        ValueError,
        "have the shape of y_pred (40, 3), got (40,); class num",
    ),
]


@pytest.mark.parametrize(("loss", "y", "error", "text"), WRONG_TARGETS)
def test_targets_that_do_not_fit_the_loss(loss, y, error, text):
    made = model(loss, None if loss[0] == "m" else "softmax")
    good = {SPARSE: LABELS, "categorical_crossentropy": np.eye(3)[LABELS]}.get(loss, np.zeros((40, 3)))
    calls = {
        "Sequential.fit": lambda: made.fit(X, y, verbose=0),
        "Sequential.fit: validation_data": lambda: made.fit(X, good, validation_data=(X, y), verbose=0),
        "Sequential.evaluate": lambda: made.evaluate(X, y, verbose=0),
        "Sequential.train_on_batch": lambda: made.train_on_batch(X, y),
    }
    for where, call in calls.items():
        for _ in range(3):  # batches of a shape that was seen before take another way
            says(error, f"{where}: y does not fit the loss: ", call)
            says(error, text, call)
        made.train_on_batch(X, good)
    says(error, text, lambda: losses.get(loss)(y, np.full((40, 3), 1 / 3)))


def test_samples_are_counted_over_the_whole_data_set():
    y, images = np.zeros(9000), np.zeros((9000, 8, 8, 1), np.uint8)
    y[8500] = 3
    says(ValueError, "got 3 for sample 8500", lambda: model().fit(images, y, verbose=0))
    says(
        ValueError,
        "of shape (9000,), got (9000, 3)",
        lambda: model().fit(images, np.eye(3)[LABELS[:1].repeat(9000)]),
    )
    rows = np.full((9000, 3), 1 / 3)
    rows[8999, 0] = np.nan
    says(ValueError, "for sample 8999", lambda: model("categorical_crossentropy").fit(images, rows))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((X, LABELS[:3]), "validation_data: y must have one row for each of the 40 samples, got 3"),
        (
            (X, LABELS, np.full(40, -np.inf)),
            "validation_data: sample_weight must be finite, got -inf for sample 0",
        ),
        ((X[:, 1:], LABELS), "validation_data: layer 0 (flatten, Flatten) expects x of shape (n, 8, 8, 1)"),
        ((X, None), "validation_data: y must be given"),
        ((X, LABELS > 5, np.full(40, np.nan)), "validation_data: sample_weight must be finite"),
    ],
)
def test_validation_data_are_named(given, text):
    says(
        ValueError,
        f"Sequential.fit: {text}",
        lambda: model().fit(X, LABELS, verbose=0, validation_data=given),
    )


# --- layers ---------------------------------------------------------------------------------------

NCHW = np.zeros((4, 3, 28, 28), np.float32)
NHWC = np.zeros((4, 28, 28, 3), np.float32)
FIRST = "; x looks like (n, channels, height, width): that is data_format='channels_first'"
LAST = "; x looks like (n, height, width, channels): that is data_format='channels_last'"


def stack(**options):
    made = cconv.Sequential([Conv2D(6, 5, **options), Flatten(), Dense(3)], seed=0)
    made.compile("sgd", "mse")
    return made


KERNEL = np.zeros((5, 5, 3, 6))
TURNED = {
    "layer": (lambda: Conv2D(6, 5)(NCHW), FIRST),
    "built layer": (lambda: Conv2D(6, 5).build((28, 28, 3))(NCHW), FIRST),
    "channels_first layer": (lambda: Conv2D(6, 5, data_format="channels_first")(NHWC), LAST),
    "built channels_first": (
        lambda: Conv2D(6, 5, data_format="channels_first").build((3, 28, 28)).forward(NHWC),
        LAST,
    ),
    "pooling": (lambda: MaxPooling2D(5)(NCHW), FIRST),
    "fit": (lambda: stack().fit(NCHW, np.zeros((4, 3)), verbose=0), FIRST),
    "fit, built": (lambda: stack(input_shape=(28, 28, 3)).fit(NCHW, np.zeros((4, 3)), verbose=0), FIRST),
    "predict": (lambda: stack(input_shape=(28, 28, 3)).predict(NCHW), FIRST),
    "predict, first": (
        lambda: stack(input_shape=(3, 28, 28), data_format="channels_first").predict(NHWC),
        LAST,
    ),
    "conv2d": (lambda: F.conv2d(NCHW, KERNEL), FIRST),
    "conv2d, first": (lambda: F.conv2d(NHWC, KERNEL, data_format="channels_first"), LAST),
    "conv2d_backward": (lambda: F.conv2d_backward(NCHW, NCHW, KERNEL), FIRST),
    "max_pool2d": (lambda: F.max_pool2d(NCHW, 5), FIRST),
    "average_pool2d": (lambda: F.average_pool2d(NCHW, 5), FIRST),
    "im2col": (lambda: F.im2col(NCHW, 5), FIRST),
}


@pytest.mark.parametrize("name", TURNED)
def test_images_in_the_other_layout(name):
    call, hint = TURNED[name]
    says(ValueError, hint, call)


def test_other_wrong_shapes_hint_at_nothing():
    for call in (
        lambda: Conv2D(6, 5)(np.zeros((4, 3, 3, 3), np.float32)),
        lambda: stack(input_shape=(28, 28, 3)).predict(np.zeros((4, 3, 28, 27))),
        lambda: F.conv2d(np.zeros((4, 28, 28, 5)), KERNEL),
    ):
        with pytest.raises(ValueError, match="got") as caught:
            call()
        assert "looks like" not in str(caught.value)


@pytest.mark.parametrize("kind", [lambda: Conv2D(6, 5), MaxPooling2D, GlobalAveragePooling2D])
@pytest.mark.parametrize("shape", [(28, 28, 3), (28, 28), (28,), (1, 28, 28, 3, 1)])
def test_an_array_of_a_wrong_rank_is_spoken_of_as_x(kind, shape):
    x = np.zeros(shape, np.float32)
    says(ValueError, f"x must have 4 axes, the first for the samples, got shape {shape}", lambda: kind()(x))
    says(ValueError, "x must have 4 axes, got shape", lambda: kind().build((28, 28, 3)).forward(x))


def test_a_row_alone_is_no_batch():
    says(
        ValueError,
        "Dense: x must have a batch axis and at least one more, got shape (3,)",
        lambda: Dense(3)(np.zeros(3)),
    )


# --- activations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [lambda: Dense(3, "relu"), lambda: Conv2D(3, 1, activation="relu")])
def test_an_activation_is_set_by_name_or_none(kind):
    x = np.random.default_rng(0).normal(size=(4, 5, 5, 2)).astype(np.float32)
    layer = kind().build((5, 5, 2), seed=0)
    made = cconv.Sequential([layer])
    rectified = made.predict(x)
    layer.activation = None
    linear = made.predict(x)
    assert (linear < 0).any()
    assert np.array_equal(np.maximum(linear, 0), rectified)
    assert np.array_equal(linear, layer.forward(x))
    assert layer.get_config()["activation"] == "linear"
    layer.activation = "relu"
    assert np.array_equal(made.predict(x), rectified)
    for wrong, error in ((3, TypeError), ("nope", ValueError), (np.tanh, TypeError)):
        with pytest.raises(error, match=r"activation must be .*, got"):
            layer.activation = wrong
    assert np.array_equal(made.predict(x), rectified)


def test_the_activation_of_a_layer_of_its_own():
    for layer in (Activation("relu"), ReLU()):
        layer.activation = None
        assert layer.forward([[-1.0, 2.0]]).tolist() == [[-1.0, 2.0]]


def test_a_model_trains_on_with_another_activation():
    made = model(CategoricalCrossentropy(from_logits=True))
    made.fit(X, np.eye(3)[LABELS], verbose=0)
    made.layers[1].activation = None
    assert np.isfinite(made.fit(X, np.eye(3)[LABELS], verbose=0).history["loss"]).all()


def test_zeros_for_probabilities_are_explained():
    made = cconv.Sequential([Flatten(input_shape=(8, 8, 1)), Dense(3)], seed=0)
    made.compile("sgd", SPARSE)
    says(ValueError, "or 0 throughout where it takes shares of a sum", lambda: made.fit(X, LABELS, verbose=0))


# --- weights of classes and samples ---------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [{1: 2.0}, {1.0: 2}, {True: 2}, {np.int64(1): np.float32(2)}, {np.float64(1): 2, 7: 5}, {1: 2, -1: 9}],
)
def test_class_weights_with_keys_of_any_kind(same):
    """As in Keras, keys are what equals a class number; those of no class weigh nothing."""
    y = np.eye(3)[LABELS]
    for targets, loss in ((LABELS, SPARSE), (LABELS.astype(float), SPARSE), (y, "categorical_crossentropy")):
        losses_of = [
            model(loss).fit(X, targets, verbose=0, class_weight=weights).history["loss"]
            for weights in (same, {0: 1, 1: 2, 2: 1})
        ]
        assert losses_of[0] == losses_of[1]


def test_targets_between_classes_are_rounded_for_their_weight_as_in_keras():
    made = cconv.Sequential([Flatten(input_shape=(8, 8, 1)), Dense(1, "sigmoid")], seed=0)
    made.compile("sgd", "binary_crossentropy")
    soft = np.where(LABELS == 1, 0.9, 0.1)
    by_class = made.evaluate(X, soft, verbose=0, sample_weight=np.where(LABELS == 1, 3.0, 1.0))
    assert made.train_on_batch(X, soft, class_weight={1: 3}) == by_class


WRONG = [(0, np.nan), (0, "a"), (0, None), (1.5, 1), ("0", 1), (None, 1), (np.nan, 1)]


@pytest.mark.parametrize(("key", "weight"), WRONG)
def test_class_weights_that_are_none(key, weight):
    text = f"class numbers to finite weights, got {key!r}: {weight!r}"
    wrong = {key: weight}
    says(ValueError, text, lambda: model().fit(X, LABELS, verbose=0, class_weight=wrong))


def test_nothing_is_learned_where_nothing_weighs():
    made = model()
    before = made.get_weights()
    zero = dict.fromkeys(range(3), 0)
    assert made.fit(X, LABELS, verbose=0, class_weight=zero).history["loss"] == [0.0]
    assert made.fit(X, LABELS, verbose=0, sample_weight=np.zeros(40)).history["loss"] == [0.0]
    assert made.evaluate(X, LABELS, verbose=0, sample_weight=np.zeros(40)) == 0
    assert all(np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_estimator_needs_a_sample_that_weighs(early_stopping):
    options = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "early_stopping": early_stopping}
    images = np.random.default_rng(0).normal(size=(40, 8, 8))
    for weights in (dict.fromkeys(range(3), 0), dict.fromkeys(range(3), 0.0)):
        classifier = cconv.CNNClassifier(class_weight=weights, **options)
        says(ValueError, "class_weight must leave weight to some", lambda c=classifier: c.fit(images, LABELS))
    # A class without weight might as well not be there, neither in training nor in the validation.
    some = cconv.CNNClassifier(class_weight={0: 0}, **options).fit(images, LABELS)
    assert len(some.loss_curve_) == 2
    assert some.classes_.tolist() == [0, 1, 2]
    says(
        ValueError,
        "class_weight must hold finite weights",
        lambda: cconv.CNNClassifier(class_weight={0: "a"}, **options).fit(images, LABELS),
    )


def test_a_piece_without_weight_teaches_an_estimator_nothing():
    images = np.random.default_rng(0).normal(size=(40, 8, 8))
    made = cconv.CNNClassifier(class_weight={0: 0}, random_state=0)
    made.partial_fit(images[LABELS == 0], LABELS[LABELS == 0], [0, 1, 2])
    assert made.loss_curve_ == []
    before = made.predict_proba(images)
    made.partial_fit(images[LABELS == 0], LABELS[LABELS == 0])
    assert np.array_equal(made.predict_proba(images), before)
    made.partial_fit(images, LABELS)
    assert not np.array_equal(made.predict_proba(images), before)


# --- callbacks ------------------------------------------------------------------------------------


def test_an_estimator_takes_one_callback():
    stopper = EarlyStopping("loss", mode="max", patience=1)
    made = cconv.CNNClassifier(random_state=0, max_epochs=9, callbacks=stopper)
    assert made.fit(X.reshape(40, 64), LABELS).n_iter_ == 2


def test_a_score_of_nan_is_never_the_best(monkeypatch):
    scores = iter([np.nan, 0.25, np.nan, 0.5, np.nan, np.nan, np.nan])
    monkeypatch.setattr(figures, "held_figures", lambda *given: (1.0, next(scores)))
    made = cconv.CNNClassifier(random_state=0, early_stopping=True, n_iter_no_change=3, max_epochs=20)
    made.fit(X.reshape(40, 64), LABELS)
    assert made.best_validation_score_ == 0.5
    assert len(made.validation_scores_) == 7
