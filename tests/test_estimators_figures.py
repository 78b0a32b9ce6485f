"""What the estimators tell of a training: figures of epochs, validation, warnings; numbers of any size."""

import pickle
import re
import warnings

import matplotlib
import numpy as np
import pandas as pd
import polars
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from cconv import CNNClassifier, CNNRegressor, Scratch2dCNNClassifier, plotting
from cconv.callbacks import EarlyStopping, LambdaCallback
from cconv.estimators import pages
from cconv.estimators.figures import explained
from cconv.layers import Dense, Flatten
from cconv.optimizers import Adam, RMSprop

matplotlib.use("agg")

RNG = np.random.default_rng(1)
N = 80
Y = np.arange(N) % 2
X = RNG.random((N, 4, 4)) + Y[:, None, None]
X_VAL, Y_VAL = X[::3] + 0.1, Y[::3]
KINDS = pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])


def small(kind=CNNClassifier, **options):
    given = {"layers": [Flatten(), Dense(6, "relu")], "max_epochs": 4, "batch_size": 16, "random_state": 0}
    return kind(**given | {"tol": None} | options)


def score_name(kind):
    return "accuracy" if kind is CNNClassifier else "r2"


# --- figures --------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("weighted", [False, True])
def test_the_last_figures_are_those_of_the_model(kind, weighted):
    weight = RNG.random(len(Y_VAL)) if weighted else None
    est = small(kind, alpha=0.1).fit(X, Y, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=weight)
    name = score_name(kind)
    assert list(est.history_) == ["loss", name, "val_loss", f"val_{name}"]
    assert all(len(values) == 4 for values in est.history_.values())
    assert est.history_[f"val_{name}"] == est.validation_scores_
    assert est.validation_scores_[-1] == pytest.approx(est.score(X_VAL, Y_VAL, weight), abs=1e-9)
    assert est.best_validation_score_ == max(est.validation_scores_)
    y = Y_VAL if kind is CNNClassifier else ((Y_VAL - est.target_mean_) / est.target_scale_)[:, None]
    norm = None if weight is None else weight / weight.mean()
    loss = est.model_.evaluate(X_VAL[..., None], y, verbose=0, sample_weight=norm)
    assert est.history_["val_loss"][-1] == pytest.approx(loss, rel=1e-6)
    assert isinstance(loss, float)  # the model has no metrics that the user did not ask for
    assert est.loss_curve_ == est.history_["loss"]
    assert (est.loss_, est.best_loss_) == (est.loss_curve_[-1], min(est.loss_curve_))
    assert (est.n_iter_, est.t_) == (4, 4 * N)


@KINDS
def test_validation_changes_nothing_of_what_is_learnt(kind):
    plain, seen = small(kind).fit(X, Y), small(kind).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert np.array_equal(plain.predict(X), seen.predict(X))
    assert list(plain.history_) == ["loss", score_name(kind)]
    assert (plain.validation_scores_, plain.best_validation_score_) == (None, None)


def test_scores_of_training_are_means_over_the_epoch():
    # A step so small that the model of the epoch's end is that of its beginning.
    still = {"optimizer": "sgd", "learning_rate": 1e-12, "max_epochs": 1}
    weight = RNG.integers(0, 3, N)
    assert small(**still).fit(X, Y).history_["accuracy"] == [small(**still).fit(X, Y).score(X, Y)]
    whole = small(**still, batch_size=N).fit(X, Y, weight)  # full batches know the weights
    assert whole.history_["accuracy"][0] == pytest.approx(whole.score(X, Y, weight))
    targets = np.c_[X.mean(axis=(1, 2)), Y * 1e3]
    both = small(CNNRegressor, **still).fit(X, targets)
    assert both.history_["r2"][0] == pytest.approx(both.score(X, targets), abs=1e-6)


def test_r2_is_that_of_scikit_learn():
    y, out, weight = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 3)), RNG.random(30)
    for w in (None, weight):
        values = explained(y, w)(y, out)
        assert np.average(values, weights=w) == pytest.approx(r2_score(y, out, sample_weight=w))
    y[:, 1] = 2.0
    out[:, 1] = 2.0
    assert explained(y, None)(y, out).mean() == pytest.approx(r2_score(y, out))


@KINDS
def test_early_stopping_follows_what_is_given(kind):
    weights, y = [], np.where(np.arange(len(Y_VAL)) % 4, Y_VAL, 1 - Y_VAL)
    est = small(kind, early_stopping=True, tol=1e-4, max_epochs=40, n_iter_no_change=3, learning_rate=0.02)
    est.callbacks = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(est.model_.get_weights()))
    est.fit(X, Y, X_val=X_VAL, y_val=y)
    assert est.n_iter_ == len(weights) < 40
    assert est.t_ == est.n_iter_ * N  # nothing is set apart
    assert est.best_loss_ is None
    best = weights[int(np.argmax(est.validation_scores_))]
    assert all(np.array_equal(a, b) for a, b in zip(best, est.model_.get_weights(), strict=True))
    apart = small(kind, early_stopping=True, validation_fraction=0.25).fit(X, Y)
    assert (apart.t_, len(apart.history_["val_loss"])) == (4 * N * 3 // 4, 4)


def test_callbacks_hear_of_validation():
    seen = {}
    more = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=epoch) or seen.update(logs))
    stopper = EarlyStopping("val_loss", min_delta=10.0, patience=2)
    est = small(max_epochs=9, callbacks=[more, stopper]).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert est.n_iter_ == 3
    assert est.history_["mine"] == [0, 1, 2]
    assert seen == {name: values[-1] for name, values in est.history_.items()}
    rising = EarlyStopping("val_r2", patience=9)  # that more is better it knows of the model
    est = small(CNNRegressor, callbacks=rising).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert rising.best == max(est.history_["val_r2"])


def test_figures_are_shown(capsys):
    small(verbose=2, max_epochs=1).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    line = capsys.readouterr().out
    assert re.fullmatch(r"Epoch 1/1 - loss: \S+ - accuracy: \S+ - val_loss: \S+ - val_accuracy: \S+\n", line)


@KINDS
def test_epochs_without_a_figure_have_none(kind):
    est = small(kind, warm_start=True, max_epochs=2).fit(X, Y)
    est.fit(X, Y, X_val=X_VAL, y_val=Y_VAL).fit(X, Y)
    assert np.isnan(est.history_["val_loss"]).tolist() == [True, True, False, False, True, True]
    assert len(est.validation_scores_) == 2
    assert (est.n_iter_, est.t_) == (6, 6 * N)
    est.partial_fit(X[:10], Y[:10])
    assert {len(values) for values in est.history_.values()} == {7}
    assert (est.n_iter_, est.t_, est.loss_) == (7, 6 * N + 10, est.loss_curve_[-1])


@KINDS
def test_histories_are_drawn(kind):
    est = small(kind).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    figure = plotting.history(est)
    assert [axes.get_title() for axes in figure.axes] == ["loss", score_name(kind)]
    drawn = [line.get_ydata().tolist() for line in figure.axes[1].lines]
    assert drawn == [est.history_[score_name(kind)], est.validation_scores_]
    with pytest.raises(TypeError, match="an estimator with a history_, got CNN"):
        plotting.history(clone(est))


def test_figures_of_the_scratch_classifier():
    x = RNG.random((20, 1, 6, 6))
    est = Scratch2dCNNClassifier(
        {"n_filters": 2, "filter_size": 3, "stride": 1}, n_epochs=3, verbose=False, random_state=0,
        layer_nodes={"hidden": 4, "output": 2},
    )  # fmt: skip
    est.fit(x, Y[:20], x, Y[:20])
    assert est.loss_curve_ == est.history_["loss"]
    assert (est.n_iter_, est.loss_, est.best_loss_) == (3, est.loss_curve_[-1], min(est.loss_curve_))
    assert len(plotting.history(est).axes) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X}, "X_val and y_val must be given, both of them or none"),
        ({"y_val": Y}, "X_val and y_val must be given, both of them or none"),
        ({"sample_weight_val": Y}, "X_val and y_val must be given, both of them or none"),
        ({"X_val": X, "y_val": Y + 1}, r"X_val, y_val: y must hold labels of classes_"),
        ({"X_val": X, "y_val": Y[:3]}, r"X_val, y_val: .*inconsistent numbers of samples"),
        ({"X_val": X[:, :2], "y_val": Y}, r"X_val, y_val: .*8 features"),
        ({"X_val": X * np.nan, "y_val": Y}, r"X_val, y_val: .*NaN"),
    ],
)
def test_wrong_validation_data(given, message):
    with pytest.raises(ValueError, match=f"CNNClassifier: {message}"):
        small().fit(X, Y, **given)


def test_one_sample_is_too_few_to_validate_on():
    with pytest.raises(ValueError, match=r"validation_fraction=0.01 of 80 samples must leave 2 or more"):
        small(CNNRegressor, early_stopping=True, validation_fraction=0.01).fit(X, Y)


# --- warnings -------------------------------------------------------------------------------------


def caught(est):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        est.fit(X, Y)
    assert {w.category for w in seen} <= {ConvergenceWarning}
    assert {w.filename for w in seen} <= {__file__}
    return len(seen)


@KINDS
def test_epochs_that_were_too_few_are_warned_of(kind):
    assert caught(small(kind, tol=1e-4)) == 1
    assert caught(small(kind, tol=None)) == 0
    assert caught(small(kind, tol=10.0, n_iter_no_change=2, max_epochs=50)) == 0
    assert caught(small(kind, tol=10.0, n_iter_no_change=3, max_epochs=4)) == 0  # ends with the last epoch
    assert caught(small(kind, tol=10.0, n_iter_no_change=4, max_epochs=4)) == 1
    stopper = EarlyStopping("loss", min_delta=10.0, patience=1)
    assert caught(small(kind, tol=1e-4, callbacks=stopper)) == 0
    assert caught(small(kind, tol=1e-4, early_stopping=True, max_epochs=2)) == 1
    with pytest.warns(ConvergenceWarning, match=r"max_epochs=4 was reached before the training loss had 5"):
        small(kind, tol=1e-4).fit(X, Y)


def test_without_a_tolerance_every_epoch_is_run():
    est = small(layers=[Flatten()], tol=None, learning_rate=1e-9, optimizer="sgd", n_iter_no_change=1)
    assert est.fit(X, Y).n_iter_ == 4
    est.set_params(early_stopping=True)
    assert est.fit(X, Y).n_iter_ == 4


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-1000, -530, 530, 1022])
def test_targets_of_any_size_are_learnt_alike(exponent):
    y = np.c_[X.mean(axis=(1, 2)), Y * 1.0]
    huge = y * [2.0**exponent, 1.0]
    with np.errstate(all="raise"):
        one, two = (small(CNNRegressor).fit(X, t, X_val=X, y_val=t) for t in (y, huge))
        assert one.history_ == two.history_
        assert np.array_equal(one.predict(X) * [2.0**exponent, 1.0], two.predict(X))
        assert one.score(X, y) == two.score(X, huge) == r2_score(y, one.predict(X))
        one.partial_fit(X, y)
        two.partial_fit(X, huge)
        assert np.array_equal(one.predict(X) * [2.0**exponent, 1.0], two.predict(X))


def test_targets_of_1e160():
    y = np.where(Y, 1e160, -3e160)
    est = small(CNNRegressor, max_epochs=60, learning_rate=0.01).fit(X, y)
    assert est.score(X, y) > 0.9
    np.testing.assert_allclose(est.target_scale_, 2e160)


def test_numbers_beyond_a_dtype_are_refused_or_learnt():
    large = r"within ±3.4e\+38 for dtype 'float32', got a size of 2e\+160"
    small_ = "too small for dtype 'float32', their root mean square is 1.*e-160"
    for factor, message in [(1e160, large), (1e-160, small_)]:
        with pytest.raises(ValueError, match=f"CNNClassifier: X .*{message}"):
            small(layers="lenet").fit(X * factor, Y)
        wide = small(layers="lenet", dtype="float64").fit(X * factor, Y)
        plain = small(layers="lenet", dtype="float64").fit(X, Y)
        np.testing.assert_allclose(wide.loss_curve_, plain.loss_curve_, rtol=1e-6)
    for weight in (1e300, 1e-300):
        given = small().fit(X, Y, np.full(N, weight) * (1 + Y)).predict_proba(X)
        assert np.array_equal(given, small().fit(X, Y, 1.0 + Y).predict_proba(X))


# --- scikit-learn's surroundings ------------------------------------------------------------------


@KINDS
def test_frames_may_be_validated_on(kind):
    names = [f"p{i}" for i in range(16)]
    expected = small(kind).fit(X, Y, X_val=X_VAL, y_val=Y_VAL).history_
    for frame in (pd.DataFrame, polars.DataFrame):
        x, seen = (frame(dict(zip(names, a.reshape(-1, 16).T, strict=True))) for a in (X, X_VAL))
        est = small(kind, input_shape=(4, 4)).fit(x, Y, X_val=seen, y_val=Y_VAL)
        assert est.history_ == expected
    given = est.set_output(transform="polars").transform(x)
    assert isinstance(given, polars.DataFrame)
    assert given.columns == list(est.get_feature_names_out())


@KINDS
def test_sparse_data_are_refused(kind):
    rows = sparse.csr_array(X.reshape(N, 16))
    with pytest.raises(TypeError, match=r"[Ss]parse data was passed"):
        small(kind).fit(rows, Y)
    with pytest.raises(TypeError, match=r"X_val, y_val: [Ss]parse data was passed"):
        small(kind).fit(X.reshape(N, 16), Y, X_val=rows, y_val=Y)


def test_validation_data_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        est = small().set_fit_request(X_val=True, y_val=True, sample_weight=True)
        est.set_score_request(sample_weight=True)
        params = {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight": np.ones(N)}
        pipe = make_pipeline(est).fit(X, Y, **params)
        assert len(pipe[-1].validation_scores_) == 4
        seen = cross_validate(est, X, Y, params={"sample_weight": np.ones(N)}, cv=2, return_estimator=True)
        assert len(seen["estimator"]) == 2


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor, Scratch2dCNNClassifier])
def test_names_in_pickles_and_links(kind, monkeypatch):
    assert kind.__module__ == "cconv.estimators"
    assert b"cconv.estimators" in pickle.dumps(kind())
    assert b"cconv.estimators." not in pickle.dumps(kind())
    assert "scikit-learn.org" not in kind()._get_doc_link()
    monkeypatch.setattr(
        kind, "_doc_link_template", "https://docs.example/{estimator_module}.{estimator_name}"
    )
    assert f"https://docs.example/cconv.estimators.{kind.__name__}" in kind()._repr_html_()


def test_the_page_is_that_of_the_package():
    assert pages.documentation("no such package") == ""
    assert pages.documentation("numpy").startswith("https://")


# --- going on -------------------------------------------------------------------------------------


@KINDS
def test_an_interrupted_training_keeps_its_epochs(kind):
    def stop(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    est = small(kind, callbacks=LambdaCallback(on_epoch_end=stop), tol=1e-4, early_stopping=True)
    with pytest.warns(UserWarning, match="training interrupted by the user") as seen:
        est.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert [w.filename for w in seen] == [__file__]
    assert est.n_iter_ == len(est.validation_scores_) == 3
    assert est.score(X_VAL, Y_VAL) == pytest.approx(est.best_validation_score_)
    at_once = LambdaCallback(on_train_begin=lambda logs: stop(2, logs))
    with pytest.raises(KeyboardInterrupt):
        small(kind, callbacks=at_once).fit(X, Y)


@KINDS
@pytest.mark.parametrize(
    "other", [{"layers": [Flatten()]}, {"layers__1__units": 3}, {"alpha": 0.5}, {"dtype": "float64"}]
)
def test_a_network_that_goes_on_is_the_one_of_the_parameters(kind, other):
    est = small(kind, warm_start=True).fit(X, Y)
    est.set_params(max_epochs=1, batch_size=8, layers=[layer.clone() for layer in est.layers]).fit(X, Y)
    pickle.loads(pickle.dumps(est)).fit(X, Y).partial_fit(X, Y)
    est.set_params(**other)
    for go_on in (est.fit, est.partial_fit):
        with pytest.raises(ValueError, match="layers, augment, alpha and dtype must stay as they were"):
            go_on(X, Y)
    assert est.set_params(warm_start=False).fit(X, Y).n_iter_ == 1


@KINDS
def test_a_network_that_goes_on_has_the_images_of_before(kind):
    h, w = X.shape[1:3]
    est = small(kind, warm_start=True).fit(X, Y)
    est.set_params(input_shape=(h, w)).fit(X, Y)
    est.set_params(input_shape=(h * w, 1))
    for go_on in (est.fit, est.partial_fit):
        with pytest.raises(ValueError, match=r"input_shape must stay as it was when the network was made"):
            go_on(X, Y)
    assert est.set_params(input_shape=None).fit(X, Y).n_iter_ > 1


@pytest.mark.parametrize("optimizer", ["adam", "sgd", Adam(1e-3)])
def test_pieces_are_learnt_by_the_optimizer_of_the_parameters(optimizer):
    one, two = (small(optimizer=optimizer).partial_fit(X, Y, classes=[0, 1]) for _ in range(2))
    one.set_params(optimizer__learning_rate=0.05).partial_fit(X, Y)
    two.model_.optimizer.learning_rate = 0.05
    two.partial_fit(X, Y)  # what was set on the model stays too
    assert one.model_.optimizer.learning_rate == two.model_.optimizer.learning_rate == 0.05
    assert one.model_.optimizer.iterations == 2 * N // 16
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
    assert one.set_params(optimizer="rmsprop").partial_fit(X, Y).model_.optimizer == RMSprop(
        one.learning_rate
    )
