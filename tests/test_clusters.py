"""Searches and predictions on a cluster: the bits of one process, also when a worker is lost."""

import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import clusters
import numpy as np
import pytest
from random_graphs import random_graph
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate

import cconv
from cconv import CNNClassifier
from cconv import layers as L
from cconv.datasets import digits
from cconv.distributed import predict, search, workers
from cconv.models import Model, Sequential

(X, Y), _ = digits.load_data()
X, Y = X[:120], Y[:120]
NETWORK = CNNClassifier(max_epochs=1, tol=None, random_state=0, verbose=0)
GRID = {"batch_size": [16, 32], "learning_rate": [0.01, 0.001]}


def scores(found):
    """What is told of the scores, without times."""
    return {key: str(value) for key, value in found.items() if "time" not in key}


def alone(**options):
    return GridSearchCV(NETWORK, GRID, cv=2, n_jobs=1, **options).fit(X, Y)


# --- searches, with Python's own executors --------------------------------------------------------


def test_a_search_has_the_scores_of_one_process():
    with ProcessPoolExecutor(1) as client:
        found = search(NETWORK, GRID, X, Y, client=client, cv=2, return_train_score=True)
    one = alone(return_train_score=True)
    assert scores(found.cv_results_) == scores(one.cv_results_)
    assert found.best_params_ == one.best_params_
    assert np.array_equal(found.predict_proba(X), one.predict_proba(X))


def test_other_things_that_joblib_computes(tmp_path):
    chosen = {"cv": 2, "n_iter": 2, "random_state": 1}
    one = RandomizedSearchCV(NETWORK, GRID, **chosen).fit(X, Y)
    with ThreadPoolExecutor(2) as client, workers(client, tmp_path):
        found = RandomizedSearchCV(NETWORK, GRID, **chosen, n_jobs=-1).fit(X, Y)
        assert len(list(tmp_path.iterdir())) == 1
        assert list(next(tmp_path.iterdir()).iterdir()) == []  # the files of a call go with it
        tested = cross_validate(NETWORK, X.tolist(), Y.tolist(), cv=2, n_jobs=3)["test_score"]
    assert list(tmp_path.iterdir()) == []
    assert scores(found.cv_results_) == scores(one.cv_results_)
    assert np.array_equal(tested, cross_validate(NETWORK, X.tolist(), Y.tolist(), cv=2)["test_score"])


@pytest.mark.parametrize("kind", [ValueError, MemoryError, KeyboardInterrupt])
def test_an_error_of_a_task_is_raised_and_the_rest_is_not_begun(kind, tmp_path):
    begun = []

    def score(estimator, x, y):
        begun.append(1)
        raise kind("no score")

    grid = {"batch_size": list(range(10, 40))}
    with ThreadPoolExecutor(1) as client, pytest.raises(kind, match="no score"):
        search(NETWORK, grid, X, Y, client=client, folder=tmp_path, cv=2, scoring=score, error_score="raise")
    assert len(begun) < 10
    assert list(tmp_path.iterdir()) == []


class Elsewhere(ThreadPoolExecutor):
    """Workers that do not see the folder."""

    def submit(self, function, items, name):
        for value in items[0][1]:
            if hasattr(value, "path"):
                value.path = value.path.with_name("other")
        return super().submit(function, items, name)


def test_a_folder_that_workers_do_not_see(tmp_path):
    with (
        Elsewhere(1) as client,
        pytest.raises(FileNotFoundError, match="folder must be one that all workers"),
    ):
        search(NETWORK, GRID, X, Y, client=client, folder=tmp_path, cv=2)


def test_what_a_search_refuses(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match=r"distributed\.workers: client must have a method submit, got 3"):
        search(NETWORK, GRID, X, Y, client=3)
    with ThreadPoolExecutor(1) as client, pytest.raises(OSError, match="nowhere"):
        search(NETWORK, GRID, X, Y, client=client, folder=tmp_path / "nowhere")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ImportError, match=r"distributed\.workers needs a client, or Dask: pip install 'cconv\[da"
    ):
        search(NETWORK, GRID, X, Y)


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(ImportError, match=r"distributed\.predict needs Dask: pip install 'cconv\[dask\]'"):
        predict(Sequential([L.Dense(2, input_shape=(3,))]), X)


# --- with Dask --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """Two processes, on this machine."""
    pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**options) as found, distributed.Client(found) as client:
        yield client


def test_the_model_is_shipped_once_to_each_worker(cluster):
    da = pytest.importorskip("dask.array")
    model = Sequential([L.Dense(3, input_shape=(4,)), clusters.Counted()], seed=1)
    x = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)
    cluster.wait_for_workers(2, timeout=60)
    before = cluster.run(clusters.models_shipped)
    found = predict(model, da.from_array(x, chunks=(1, 4))).compute()
    counts = [count - before[worker] for worker, count in cluster.run(clusters.models_shipped).items()]
    assert sorted(counts) == [1, 1]
    assert np.array_equal(found, model.predict(x))


def test_a_search_survives_workers_that_are_killed(cluster, tmp_path):
    before = set(cluster.run(os.getpid).values())
    found = search(NETWORK, GRID, X, Y, cv=2, scoring=clusters.Kills(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1
    assert set(cluster.run(os.getpid).values()) != before
    assert scores(found.cv_results_) == scores(alone().cv_results_)


def test_a_task_that_always_kills_its_worker_ends_the_search(cluster, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(cluster.cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(distributed.KilledWorker, match="Attempted to run task"):
        search(NETWORK, {"batch_size": [16]}, X, Y, cv=2, scoring=clusters.Kills(tmp_path, 100))


def test_a_prediction_survives_a_worker_that_is_killed(cluster, tmp_path):
    da = pytest.importorskip("dask.array")
    model = Sequential([L.Dense(3, input_shape=(4,)), clusters.KillsOnce(tmp_path / "killed")], seed=1)
    x = np.random.default_rng(2).normal(size=(20, 4)).astype(np.float32)
    found = predict(model, da.from_array(x, chunks=(4, 4))).compute()
    assert (tmp_path / "killed").exists()
    assert np.array_equal(found, model.predict(x))


KINDS = [(dtype, data_format) for dtype in ("float32", "float64") for data_format in (None, "channels_first")]


@pytest.mark.parametrize(("dtype", "data_format"), KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_chunks_have_the_bits_of_the_whole(seed, dtype, data_format):
    da = pytest.importorskip("dask.array")
    rng = np.random.default_rng(seed)
    model = random_graph(rng, dtype=dtype, data_format=data_format)
    shape = model.input_shape[1:]
    x = rng.integers(0, 255, (11, *shape)).astype(["uint8", "float16", "float32", "int64"][seed % 4])
    whole = model.predict(x)
    for chunks in [(11, -1), (3, -1), ((2, 0, 9), -1), (4, 1)]:
        given = da.from_array(x, chunks=(chunks[0], *[chunks[1]] * len(shape)))
        for one in (model, model.freeze()):
            found = predict(one, given)
            assert (found.shape, found.dtype, found.chunks[0]) == (whole.shape, whole.dtype, given.chunks[0])
            computed = found.compute(scheduler="threads" if seed % 2 else "sync")
            assert (computed.tobytes(), computed.dtype) == (whole.tobytes(), whole.dtype)
    given = da.from_array(x, chunks=(4, *shape))
    some = given[given.reshape(11, -1).sum(axis=1) >= 0]  # of unknown number
    assert np.array_equal(predict(model, some).compute(scheduler="sync"), whole)
    assert np.array_equal(predict(model, given)[3:5].compute(scheduler="sync"), whole[3:5])
    assert predict(model, given[:0]).compute(scheduler="sync").shape == (0, *whole.shape[1:])


@pytest.mark.parametrize("named", [False, True])
def test_several_outputs(named):
    da = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")
    x = L.Input((6, 6, 1))
    y = L.Conv2D(2, 3)(x)
    outputs = [y, L.Dense(3)(L.Flatten()(y))]
    model = Model(x, dict(zip("ab", outputs, strict=True)) if named else outputs, seed=3)
    images = np.random.default_rng(0).normal(size=(9, 6, 6, 1))
    whole, found = model.predict(images), predict(model, da.from_array(images, chunks=(4, 6, 3, 1)))
    (found,) = dask.compute(found, scheduler="sync")
    if named:
        assert list(found) == list(whole)
        whole, found = list(whole.values()), list(found.values())
    assert all(np.array_equal(*each) for each in zip(found, whole, strict=True))


def test_what_predict_refuses():
    da = pytest.importorskip("dask.array")
    model = Sequential([L.Dense(2, input_shape=(3,))])
    x = da.ones((4, 3))
    two = Model([one := L.Input((3,)), other := L.Input((3,))], L.Add()([one, other]))
    unknown = da.ones((4, 3))[:, da.ones(3) > 0]
    for error, words, arguments in [
        (TypeError, "model must be a Model, a Sequential or a frozen one, got 3", (3, x)),
        (TypeError, "model must be", (NETWORK, x)),
        (ValueError, "model must have one input, got 2", (two, x)),
        (TypeError, "x must be a dask.array.Array, got ndarray", (model, np.ones((4, 3)))),
        (ValueError, r"x must be samples of a known shape, got \(\)", (model, da.ones(()))),
        (ValueError, r"x must be samples of a known shape, got \(4, nan\)", (model, unknown)),
        (ValueError, "not built", (Sequential([L.Dense(2)]), x)),
        (ValueError, r"expects x of shape \(n, 3\)", (model, da.ones((4, 5)))),
        (TypeError, "x must", (model, da.from_array(np.full((4, 3), None), chunks=2))),
    ]:
        with pytest.raises(error, match=words):
            predict(*arguments)


def test_weights_are_those_of_the_call_and_graphs_do_not_hold_the_optimizer():
    da = pytest.importorskip("dask.array")
    model = cconv.Sequential([L.Dense(50, input_shape=(40,))], seed=0)
    model.compile("adam", "mse")
    x = np.ones((5, 40), np.float32)
    model.fit(x, np.ones((5, 50)), verbose=0)
    before, found = model.predict(x), predict(model, da.from_array(x, chunks=(2, 40)))
    model.fit(x, np.ones((5, 50)), verbose=0)
    assert np.array_equal(found.compute(scheduler="sync"), before)
    assert len(pickle.dumps(found)) < 2 * 4 * model.count_params()
