"""The estimators in scikit-learn's tools, in other processes and threads, on disk and back."""

import copy
import io
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
import threadpoolctl
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from cconv import CNNClassifier, CNNRegressor, get_num_threads, threads
from cconv.callbacks import LambdaCallback
from cconv.layers import Conv2D, Dense, Flatten, Layer, RandomTranslation
from cconv.optimizers import SGD

RNG = np.random.default_rng(6)
N = 120
Y = np.arange(N) % 3
X = RNG.random((N, 6, 6))
X[Y == 1, :3] += 1
X[Y == 2, :, :3] += 1
ROWS = X.reshape(N, 36)


def small(**options):
    options = {"input_shape": (6, 6), "batch_size": 16, "max_epochs": 12, "random_state": 0, **options}
    return CNNClassifier(
        [Conv2D(8, 3, activation="relu"), Flatten(), Dense(16, activation="relu")], **options
    )


# --- scikit-learn's tools -------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_networks_and_their_training(n_jobs):
    networks = [[Flatten(), Dense(8, activation="relu")], [Conv2D(4, 3, activation="relu")], "lenet"]
    grid = {"cnn__layers": networks, "cnn__learning_rate": [1e-3, 1e-2]}
    pipe = make_pipeline(MinMaxScaler(), small())
    pipe.steps[1] = ("cnn", pipe.steps[1][1])
    search = GridSearchCV(pipe, grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(ROWS, Y)
    assert search.best_score_ > 0.9
    assert not any(layer.built for network in networks[:2] for layer in network)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_halving_search():
    search = HalvingRandomSearchCV(
        small(), {"alpha": [0.0, 1e-4], "batch_size": [8, 16]}, resource="max_epochs", min_resources=2,
        max_resources=8, cv=2, n_jobs=2, random_state=0, error_score="raise",
    )  # fmt: skip
    assert search.fit(X, Y).best_estimator_.score(X, Y) > 0.8


def test_cross_validation_gives_the_same_scores_on_one_and_two_workers():
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    one = cross_val_score(small(), X, Y, cv=cv, error_score="raise")
    assert np.array_equal(one, cross_val_score(small(), X, Y, cv=cv, n_jobs=2, error_score="raise"))
    assert one.mean() > 0.9


@pytest.mark.parametrize(
    "around",
    [
        lambda cnn: CalibratedClassifierCV(cnn, cv=2),
        lambda cnn: VotingClassifier([("cnn", cnn), ("linear", LogisticRegression())], voting="soft"),
        lambda cnn: OneVsRestClassifier(cnn),
        lambda cnn: make_pipeline(cnn, SVC()),
    ],
)
def test_inside_other_estimators(around):
    model = around(small()).fit(ROWS, Y)
    assert model.score(ROWS, Y) > 0.9


def test_learning_curve_and_permutation_importance():
    _, train, test = learning_curve(small(), ROWS, Y, cv=3, train_sizes=[0.5, 1.0], error_score="raise")
    assert train.shape == test.shape == (2, 3)
    x = np.c_[ROWS[:, :1] * 0, (Y == 1) * 1.0, ROWS[:, :1] * 0]
    importance = permutation_importance(
        CNNClassifier(random_state=0, batch_size=16).fit(x, Y == 1), x, Y == 1, random_state=0
    )
    assert importance.importances_mean.argmax() == 1
    assert importance.importances_mean[0] == 0


def test_metadata_routing_brings_sample_weight():
    weight = (np.arange(N) % 4 > 0) * 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        seen = cross_validate(
            small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            X, Y, params={"sample_weight": weight}, cv=3, return_estimator=True, error_score="raise",
        )  # fmt: skip
        plain = cross_validate(small(), X, Y, cv=3, return_estimator=True, error_score="raise")
    first, second = seen["estimator"][0], plain["estimator"][0]
    assert not np.array_equal(first.predict_proba(X), second.predict_proba(X))


def test_diagram_and_text():
    cnn = small(augment=[RandomTranslation(0.1, 0.1)])
    with sklearn.config_context(display="diagram"):
        assert "CNNClassifier" in make_pipeline(MinMaxScaler(), cnn)._repr_html_()
    assert repr(CNNClassifier(max_epochs=3)) == "CNNClassifier(max_epochs=3)"


def test_clone_and_set_params():
    cnn = small(callbacks=[LambdaCallback()]).fit(X, Y)
    twin = clone(cnn)
    assert not hasattr(twin, "model_")
    assert np.array_equal(twin.fit(X, Y).predict_proba(X), cnn.predict_proba(X))
    assert twin.set_params(max_epochs=2).fit(X, Y).n_iter_ == 2


# --- on disk and back -----------------------------------------------------------------------------


def _pickled(estimator):
    return pickle.loads(pickle.dumps(estimator))


def _joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("trip", [_pickled, _joblib, copy.deepcopy])
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_round_trips_keep_every_bit_and_training_goes_on(trip, kind):
    one = kind(max_epochs=2, batch_size=16, random_state=0).fit(X, Y)
    twin = trip(one)
    assert np.array_equal(twin.predict(X), one.predict(X))
    assert np.array_equal(twin.transform(X), one.transform(X))
    for estimator in (one, twin):
        estimator.partial_fit(X, Y)
    assert np.array_equal(twin.transform(X), one.transform(X))


class Doubling(Layer):
    """A layer of the user's own."""

    def _forward(self, x, run):
        self._keep(len(x))
        return 2 * x

    def _backward(self, dy, run, need_dx=True):
        return 2 * dy


def test_layers_of_the_user_s_own_survive_pickling():
    cnn = CNNClassifier([Doubling(), Flatten()], max_epochs=2, random_state=0).fit(X, Y)
    assert np.array_equal(_pickled(cnn).predict_proba(X), cnn.predict_proba(X))


class Halving(SGD):
    """An optimizer of a user's."""

    def current_rate(self):
        return super().current_rate() / 2


def test_an_optimizer_of_the_user_s_own_survives_pickling():
    cnn = CNNClassifier(optimizer=Halving(0.1), max_epochs=2, random_state=0).fit(X, Y)
    twin = _pickled(cnn)
    assert np.array_equal(twin.predict_proba(X), cnn.predict_proba(X))
    assert type(twin.model_.optimizer) is Halving


def test_the_state_of_a_fit_is_plain_data():
    cnn = CNNClassifier(max_epochs=1, random_state=0).fit(X, Y)

    def kinds(value):
        if isinstance(value, dict):
            return {kind for entry in value.values() for kind in kinds(entry)}
        if isinstance(value, list | tuple):
            return {kind for entry in value for kind in kinds(entry)}
        return {type(value)}

    assert kinds(cnn.__getstate__()) <= {np.ndarray, str, int, float, bool, type(None)}


def test_skops_persists_without_trusting_code(tmp_path):
    cnn = CNNClassifier(max_epochs=2, batch_size=16, random_state=0).fit(X, Y)
    skops.io.dump(cnn, tmp_path / "cnn.skops")
    trusted = skops.io.get_untrusted_types(file=tmp_path / "cnn.skops")
    assert all(name.startswith("cconv.estimators.") for name in trusted)
    twin = skops.io.load(tmp_path / "cnn.skops", trusted=trusted)
    assert np.array_equal(twin.predict_proba(X), cnn.predict_proba(X))
    assert np.array_equal(twin.transform(X), cnn.transform(X))


# --- threads and processes ------------------------------------------------------------------------


class Threads(LambdaCallback):
    """Remembers how many threads the kernels may use while training."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(get_num_threads())


def test_n_threads_wins_and_is_taken_back():
    before = get_num_threads()
    counter = Threads()
    results = []
    for n in (1, 3):
        cnn = small(n_threads=n, callbacks=[counter]).fit(X, Y)
        results.append(cnn.predict_proba(X))
        assert set(counter.seen) == {n}
        counter.seen.clear()
        assert get_num_threads() == before
    assert np.array_equal(*results)


def test_a_limit_is_the_thread_s_own_and_nests():
    before = get_num_threads()
    with threads.limit(5), ThreadPoolExecutor(1) as pool:
        assert get_num_threads() == 5
        assert pool.submit(get_num_threads).result() == before
        with threads.limit(None):
            assert get_num_threads() == 5
        with threads.limit(2):
            assert get_num_threads() == 2
        assert get_num_threads() == 5
    assert get_num_threads() == before
    with pytest.raises(ValueError, match=r"threads\.limit: n must be"):
        threads.limit(0).__enter__()


def test_threadpoolctl_limits_training():
    counter = Threads()
    with threadpoolctl.threadpool_limits(1):
        small(callbacks=[counter]).fit(X, Y)
    assert set(counter.seen) == {1}


def _threads_of_a_fit(n_threads):
    counter = Threads()
    small(max_epochs=1, callbacks=[counter], n_threads=n_threads).fit(X, Y)
    return counter.seen[0]


def test_workers_of_joblib_respect_its_limit():
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        found = joblib.Parallel()(joblib.delayed(_threads_of_a_fit)(n) for n in (None, None, 3))
    assert found == [1, 1, 3]


def test_threads_of_python_predict_at_once():
    cnn = small().fit(X, Y)
    expected = cnn.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(got, expected) for got in pool.map(cnn.predict_proba, [X] * 12))


def _fit_in_a_child(queue):
    queue.put(small().fit(X, Y).predict_proba(X))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on forks with threads
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_a_fork_after_a_fit_does_not_hang():
    expected = small(n_threads=2).fit(X, Y).predict_proba(X)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_fit_in_a_child, args=(queue,))
    child.start()
    got = queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    assert np.array_equal(got, expected)
