"""Images whose channels come first: `data_format` of the estimators, and the warning without it."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from cconv import CNNClassifier, CNNRegressor, RandomFlip, Sequential
from cconv.layers import Conv2D, Flatten, MaxPooling2D

RNG = np.random.default_rng(0)
LAST = RNG.random((60, 8, 7, 3), np.float32)
FIRST = np.ascontiguousarray(np.moveaxis(LAST, 3, 1))
LABELS = RNG.integers(0, 3, 60)
NUMBERS = LAST.mean(axis=(1, 2, 3))
# Batches smaller than the data are drawn by number: the same in both layouts.
OPTIONS = {"max_epochs": 2, "batch_size": 16, "tol": None, "random_state": 0}


PAIRS = [(CNNClassifier, LABELS), (CNNRegressor, NUMBERS)]


def list_of_layers(data_format=None):
    return [
        Conv2D(4, 3, activation="relu", data_format=data_format),
        MaxPooling2D(2, data_format=data_format),
    ]


def function(input_shape, outputs):
    assert input_shape == (8, 7, 3)  # as the layers see it
    return Sequential([Conv2D(4, 3, activation="relu", input_shape=input_shape), Flatten()])


def outputs(estimator, x):
    name = "predict_proba" if isinstance(estimator, CNNClassifier) else "predict"
    return getattr(estimator, name)(x)


@pytest.mark.parametrize(("kind", "y"), PAIRS)
@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": list_of_layers()},
        {"layers": function},
        {"augment": RandomFlip()},
        {"early_stopping": True},
    ],
    ids=["lenet", "list", "function", "augment", "early_stopping"],
)
def test_both_layouts_are_the_same_network(kind, y, scale, options, recwarn):
    last, first = (x if scale == 1 else np.uint8(x * 255) for x in (LAST, FIRST))
    a = kind(**OPTIONS, **options, data_format="channels_last").fit(last, y)
    b = kind(**OPTIONS, **options, data_format="channels_first").fit(first, y)
    assert (a.input_shape_, b.input_shape_) == ((8, 7, 3), (3, 8, 7))
    for x, z in zip(a.model_.get_weights(), b.model_.get_weights(), strict=True):
        assert np.array_equal(x, z)
    assert np.array_equal(outputs(a, last), outputs(b, first))
    assert np.array_equal(a.predict(last), b.predict(first))
    assert a.score(last, y) == b.score(first, y)
    assert np.array_equal(np.sort(a.transform(last)), np.sort(b.transform(first)))
    if kind is CNNClassifier:
        assert np.array_equal(a.decision_function(last), b.decision_function(first))
        assert np.array_equal(a.predict_log_proba(last), b.predict_log_proba(first))
    # In pieces, and as rows with the shape beside them.
    more = {"classes": [0, 1, 2]} if kind is CNNClassifier else {}
    if not options.get("early_stopping"):
        a.partial_fit(last, y)
        b.partial_fit(first, y)
        assert np.array_equal(outputs(a, last), outputs(b, first))
        c = kind(**OPTIONS, **options, data_format="channels_first").partial_fit(first[:20], y[:20], **more)
        d = kind(**OPTIONS, **options).partial_fit(last[:20], y[:20], **more)
        assert np.array_equal(outputs(c, first), outputs(d, last))
    rows = first.reshape(60, -1)
    flat = kind(**OPTIONS, **options, data_format="channels_first", input_shape=(3, 8, 7)).fit(rows, y)
    again = kind(**OPTIONS, **options, data_format="channels_last").fit(last, y)
    assert np.array_equal(outputs(flat, rows), outputs(again, last))
    assert np.array_equal(outputs(flat, first), outputs(again, last))
    assert not recwarn.list


@pytest.mark.parametrize(("kind", "y"), PAIRS)
def test_layers_that_name_the_format_need_no_parameter(kind, y, recwarn):
    a = kind(list_of_layers("channels_first"), **OPTIONS).fit(FIRST, y)
    b = kind(list_of_layers(), **OPTIONS).fit(LAST, y)
    c = kind(list_of_layers("channels_first"), **OPTIONS, data_format="channels_first").fit(FIRST, y)
    assert np.array_equal(outputs(a, FIRST), outputs(b, LAST))
    assert np.array_equal(outputs(c, FIRST), outputs(b, LAST))
    with pytest.raises(ValueError, match="but the model was given channels_last"):
        kind(list_of_layers("channels_first"), **OPTIONS, data_format="channels_last").fit(LAST, y)
    assert not recwarn.list


def test_a_function_of_the_other_format_is_refused():
    def made(input_shape, outputs):
        return Sequential(
            [Conv2D(4, 3, data_format="channels_first"), Flatten()], data_format="channels_first"
        )

    with pytest.raises(ValueError, match="pass data_format='channels_first' too"):
        CNNClassifier(made, **OPTIONS).fit(LAST, LABELS)
    CNNClassifier(made, **OPTIONS, data_format="channels_first").fit(FIRST, LABELS)


@pytest.mark.parametrize(("kind", "y"), PAIRS)
@pytest.mark.parametrize("shape", [(60, 1, 8, 8), (60, 3, 8, 8), (60, 4, 5, 9), (60, 3, 32, 32)])
def test_what_looks_like_channels_first_is_warned_of_once(kind, y, shape):
    x = RNG.random(shape, np.float32)
    estimator = kind(**OPTIONS | {"max_epochs": 1})
    pattern = rf"{kind.__name__}: X of shape \(n, {shape[1]}, .* pass data_format='channels_first'"
    with pytest.warns(UserWarning, match=pattern) as caught:
        estimator.fit(x, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.predict(x)
        estimator.score(x, y)
        estimator.partial_fit(x, y)
        for named in ("channels_last", "channels_first"):
            clone(estimator).set_params(data_format=named).fit(x, y)
    more = {"classes": [0, 1, 2]} if kind is CNNClassifier else {}
    with pytest.warns(UserWarning, match=pattern) as caught:
        clone(estimator).partial_fit(x, y, **more)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "shape", [(60, 8, 8, 3), (60, 8, 8, 1), (60, 8, 8), (60, 1, 9, 3), (60, 28), (60, 3, 3, 3)]
)
def test_what_does_not_look_so_is_not_warned_of(shape, recwarn):
    CNNClassifier(**OPTIONS | {"max_epochs": 1}).fit(RNG.random(shape, np.float32), LABELS)
    assert not recwarn.list


@pytest.mark.parametrize("value", ["channels", "", 1, True, ("channels_first",)])
def test_other_formats_are_refused(value):
    with pytest.raises(ValueError, match="'data_format' parameter of CNNClassifier must be"):
        CNNClassifier(data_format=value).fit(LAST, LABELS)


def test_other_shapes_are_refused():
    estimator = CNNClassifier(**OPTIONS, data_format="channels_first").fit(FIRST, LABELS)
    with pytest.raises(ValueError, match=r"images of input_shape \(3, 8, 7\), got images \(8, 7, 3\)"):
        estimator.predict(LAST)
    with pytest.raises(ValueError, match=r"\(h, w\) or \(c, h, w\), got \(3,\)"):
        CNNClassifier(data_format="channels_first", input_shape=(3,)).fit(FIRST, LABELS)
    with pytest.raises(ValueError, match=r"must have shape \(n, c, h, w\)"):
        CNNClassifier(data_format="channels_first").fit(FIRST[:, None], LABELS)


def test_images_without_channels_and_tables(recwarn):
    grey = LAST[..., 0]
    options = OPTIONS | {"layers": [Conv2D(4, (1, 3)), Flatten()]}
    for x, shape in ((grey, (8, 7)), (grey.reshape(60, -1), (1, 56)), (pd.DataFrame(grey[:, 0]), (1, 7))):
        a = CNNClassifier(**options, data_format="channels_first").fit(x, LABELS)
        b = CNNClassifier(**options).fit(x, LABELS)
        assert (a.input_shape_, b.input_shape_) == ((1, *shape), (*shape, 1))
        assert np.array_equal(a.predict_proba(x), b.predict_proba(x))
    assert not recwarn.list


def test_the_tools_of_scikit_learn():
    estimator = CNNClassifier(**OPTIONS, data_format="channels_first")
    assert estimator.get_params()["data_format"] == "channels_first"
    assert clone(estimator).data_format == "channels_first"
    fitted = clone(estimator).fit(FIRST, LABELS)
    twin = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(twin.predict_proba(FIRST), fitted.predict_proba(FIRST))
    assert np.array_equal(
        twin.partial_fit(FIRST, LABELS).predict_proba(FIRST),
        fitted.partial_fit(FIRST, LABELS).predict_proba(FIRST),
    )
    assert len(cross_val_score(estimator, FIRST, LABELS, cv=2)) == 2
    search = GridSearchCV(estimator, {"data_format": ["channels_last", "channels_first"]}, cv=2)
    assert search.fit(FIRST, LABELS).best_params_["data_format"] in ("channels_last", "channels_first")
    turned = make_pipeline(FunctionTransformer(lambda x: np.moveaxis(x, 3, 1)), estimator)
    assert np.array_equal(turned.fit(LAST, LABELS).predict(LAST), estimator.fit(FIRST, LABELS).predict(FIRST))


def test_inputs_are_not_changed_nor_copied_whole(tmp_path):
    np.save(tmp_path / "x.npy", FIRST)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    fitted = CNNClassifier(**OPTIONS, data_format="channels_first").fit(mapped, LABELS)
    assert np.array_equal(mapped, FIRST)
    assert np.array_equal(fitted.predict_proba(mapped), fitted.predict_proba(FIRST))
    assert np.shares_memory(fitted._images(mapped), mapped)


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
@pytest.mark.filterwarnings("ignore")  # the checks provoke scikit-learn's own
def test_every_check_of_scikit_learn_passes(kind):
    results = check_estimator(kind(data_format="channels_first"), on_skip=None, on_fail=None)
    assert len(results) > 60
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}
    assert not [result for result in results if result["status"] not in ("passed", "skipped")]
