"""Batches prepared in the background: the same bits, no error lost, no thread left."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from test_fork import in_child

import cconv
from cconv import callbacks
from cconv import threads as cconv_threads
from cconv.inputs import batches, columns
from cconv.inputs.background import Background
from cconv.layers import (
    Conv2D,
    Dense,
    Flatten,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    Rescaling,
)
from cconv.models import Sequential

N, BATCH = 50, 8
RNG = np.random.default_rng(8)
X = RNG.integers(0, 256, (N, 8, 7, 3), np.uint8)
Y = RNG.integers(0, 4, N)

FRONTS = {
    "none": lambda: [],
    "rescaling": lambda: [Rescaling(1 / 255, -0.5)],
    "augmentations": lambda: [RandomFlip(), RandomTranslation(0.2, 0.1, "constant", fill_value=3.0)],
    "all": lambda: [
        Rescaling(1 / 255),
        RandomRotation(0.2, seed=3),
        RandomFlip("horizontal"),
        RandomRotation(0.1),
    ],
}
SOURCES = {
    "uint8": lambda folder: X,
    "float32": lambda folder: X.astype(np.float32),
    "float64": lambda folder: X / 3,
    "mapped": lambda folder: mapped(folder, X),
    "mapped float32": lambda folder: mapped(folder, X.astype(np.float32)),
    "backwards": lambda folder: np.ascontiguousarray(X[::-1])[::-1],
    "Fortran": lambda folder: np.asfortranarray(X),
    "swapped": lambda folder: X.astype(">i2"),
}


def mapped(folder, array):
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not preparing()


def preparing():
    return [thread for thread in threading.enumerate() if thread.name == "cconv batches"]


def background(monkeypatch, wanted):
    monkeypatch.setattr(batches.Batches, "_is_work", lambda self: wanted)


def network(front, data_format="channels_last", fuse=True):
    model = Sequential(
        [*front, Conv2D(4, 3, activation="relu"), Flatten(), Dense(4, activation="softmax")],
        seed=3,
        data_format=data_format,
    )
    for layer in model.layers:
        if hasattr(layer, "data_format"):
            layer.data_format = data_format
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fuse = fuse
    return model


def outcome(x, front, *calls, **options):
    """The bits of what fit, evaluate and predict give."""
    model = network(front, **options)
    history = model.fit(
        x, Y, batch_size=BATCH, epochs=2, verbose=0, validation_split=0.3, callbacks=calls
    ).history
    figures = model.evaluate(x, Y, BATCH, 0)
    return [w.tobytes() for w in model.get_weights()], history, figures, model.predict(x, BATCH).tobytes()


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("source", SOURCES)
def test_the_same_bits_with_and_without(monkeypatch, tmp_path, source, front):
    x = SOURCES[source](tmp_path)
    before = np.array(x)
    background(monkeypatch, False)
    wanted = outcome(x, FRONTS[front]())
    assert outcome(x, FRONTS[front](), fuse=False) == wanted
    background(monkeypatch, True)
    assert outcome(x, FRONTS[front]()) == wanted
    assert outcome(x, FRONTS[front](), fuse=False) == wanted
    assert np.array_equal(before, x)


@pytest.mark.parametrize("front", FRONTS)
def test_channels_first(monkeypatch, front):
    x = np.ascontiguousarray(np.moveaxis(X, 3, 1))
    results = []
    for wanted in (True, False):
        background(monkeypatch, wanted)
        results.append(outcome(x, FRONTS[front](), data_format="channels_first"))
    assert results[0] == results[1]


class Each(callbacks.Callback):
    """Calls a function with the model after every batch."""

    def __init__(self, function):
        self.function = function

    def on_train_batch_end(self, batch, logs):
        self.function(self.model, batch)


def test_a_thread_prepares_and_only_then(monkeypatch):
    seen = []
    watch = Each(lambda model, batch: seen.append(len(preparing())))
    background(monkeypatch, True)
    outcome(X, FRONTS["all"](), watch)
    assert set(seen) == {1}
    seen.clear()
    network([]).fit(X, Y, batch_size=N, verbose=0, callbacks=[watch])
    assert seen == [0]


@pytest.mark.parametrize(
    ("mapped_file", "front", "threads", "spare"),
    [(True, "none", 2, False), (False, "all", 1, True), (False, "none", 1, False), (False, "all", 2, False)],
)
def test_when_a_thread_is_worth_it(monkeypatch, tmp_path, mapped_file, front, threads, spare):
    """For what comes from disk, or for work that another processor has the time for."""
    monkeypatch.setattr(cconv_threads, "_all", 2)
    seen = []
    cconv.set_num_threads(threads)
    try:
        x = mapped(tmp_path, X) if mapped_file else X
        outcome(x, FRONTS[front](), Each(lambda model, batch: seen.append(len(preparing()))))
    finally:
        cconv.set_num_threads(None)
    assert set(seen) == {int(mapped_file or spare)}


def change_a_layer(model, batch):
    model.layers[0].scale *= 1.01
    model.layers[1].factor = (0.0, 0.01 * batch)


def one_step_back(model, batch):
    if batch == 2:
        model.steps_done -= 1


def stop_in_between(model, batch):
    model.stop_training = batch == 3 and model.epochs_done == 1


@pytest.mark.parametrize("meddle", [change_a_layer, one_step_back, stop_in_between])
def test_what_callbacks_change_takes_effect_at_once(monkeypatch, meddle):
    results = []
    for wanted in (True, False):
        background(monkeypatch, wanted)
        results.append(outcome(X, FRONTS["all"](), Each(meddle)))
    assert results[0] == results[1]


def test_an_epoch_may_follow_one_that_was_left(monkeypatch):
    background(monkeypatch, True)
    column = columns.Column(X, BATCH, np.dtype(np.float32))
    with batches.Batches(column, batch_size=BATCH) as data:
        for left in range(1, 6):
            for number, batch in enumerate(data.epoch(np.arange(N))):
                assert np.array_equal(batch.x, X[batch.start : batch.start + len(batch.x)])
                if number == left:
                    break


class Broken(Exception):
    pass


@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt, StopIteration, SystemExit])
@pytest.mark.parametrize("wanted", [True, False])
def test_an_error_while_preparing_is_raised_in_fit(monkeypatch, error, wanted):
    background(monkeypatch, wanted)
    gather, calls = columns.Column.gather, []

    def breaks(self, *given):
        calls.append(1)
        if len(calls) == 7:
            raise error("the seventh")
        return gather(self, *given)

    monkeypatch.setattr(columns.Column, "gather", breaks)
    # A generator turns StopIteration into RuntimeError, whoever raised it.
    with pytest.raises(RuntimeError if error is StopIteration else error) as caught:
        network([]).fit(X, Y, batch_size=BATCH, verbose=0)
    assert "the seventh" in str(caught.value) or str(caught.value.__cause__) == "the seventh"
    assert not preparing()


@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt, StopIteration, SystemExit, MemoryError])
def test_an_error_in_a_callback_ends_the_thread(monkeypatch, error):
    background(monkeypatch, True)

    def breaks(model, batch):
        if batch == 2:
            raise error

    model = network(FRONTS["all"]())
    with pytest.raises(error) as caught:
        model.fit(X, Y, batch_size=BATCH, verbose=0, callbacks=[Each(breaks)])
    assert not preparing()  # although the traceback still holds the frames
    del caught
    model.fit(X, Y, batch_size=BATCH, verbose=0)


def test_early_stopping_ends_the_thread(monkeypatch):
    background(monkeypatch, True)
    stop = callbacks.EarlyStopping("loss", patience=0, min_delta=100.0)
    network(FRONTS["all"]()).fit(X, Y, batch_size=BATCH, epochs=9, verbose=0, callbacks=[stop])
    assert not preparing()


def test_where_no_thread_can_be_had(monkeypatch):
    background(monkeypatch, False)
    wanted = outcome(X, FRONTS["all"]())

    def refuse(self):
        raise RuntimeError("can't start new thread")

    background(monkeypatch, True)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert outcome(X, FRONTS["all"]()) == wanted


def test_many_threads_predict_at_once(monkeypatch):
    background(monkeypatch, True)
    model = network(FRONTS["all"]())
    model.fit(X, Y, batch_size=BATCH, verbose=0)
    wanted = model.predict(X, BATCH)
    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(lambda _: model.predict(X, BATCH), range(30)):
            assert np.array_equal(found, wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_in_between_goes_on_alone(monkeypatch):
    """The child trains to the end without the thread, which it has not; so does the parent with it."""
    background(monkeypatch, True)
    wanted = outcome(X, FRONTS["all"]())
    first, results = os.getpid(), []

    def train():
        def fork(model, batch):
            if batch == 2 and model.epochs_done == 0 and os.getpid() == first:
                raise_here.append(in_child(lambda: rest(model)))

        raise_here = results
        return outcome(X, FRONTS["all"](), Each(fork))

    def rest(model):
        return model.predict(X, BATCH).tobytes(), outcome(X, FRONTS["all"]())

    assert train() == wanted
    assert [found for _, found in results] == [wanted]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_takes_what_its_parent_began():
    work = Background(lambda number: number + 1)
    work.begin(1)

    def child():
        found = [work.take()]
        work.begin(2)
        work.forget()
        work.begin(3)
        found.append(work.take())
        work.close()
        return found

    assert in_child(child) == [2, 4]
    assert work.take() == 2
    work.close()


# --- messages of losses that are not finite ------------------------------------------------------


@pytest.mark.parametrize("wanted", [True, False])
def test_the_layer_that_is_not_finite_is_named(monkeypatch, wanted):
    background(monkeypatch, wanted)
    broken = X.astype(np.float32)
    broken[7, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="the input of this batch is not finite"):
        network(FRONTS["all"]()).fit(broken, Y, batch_size=BATCH, verbose=0)
    front = [RandomFlip(), RandomTranslation((0.5, 0.5), 0.0, "constant", fill_value=1e300)]
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"layer 1 \(random_translation"):
        network(front).fit(X, Y, batch_size=BATCH, verbose=0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"layer 0 \(rescaling"):
        network([Rescaling(1e38), RandomFlip()]).fit(X, Y, batch_size=BATCH, verbose=0)


# --- the thread itself ----------------------------------------------------------------------------


def test_work_is_done_in_order_with_what_the_caller_has_set():
    def work(number):
        return number, np.geterr()["over"], cconv.get_num_threads(), threading.current_thread().name

    ahead = Background(work)
    with np.errstate(over="raise"):
        ahead.begin(1)
        assert ahead.take() == (1, "raise", 1, "cconv batches")
    ahead.begin(2)
    assert ahead.take()[:2] == (2, np.geterr()["over"])
    ahead.begin(3)
    ahead.forget()
    ahead.forget()
    ahead.begin(4)
    assert ahead.take()[0] == 4
    ahead.close()
    ahead.close()


def test_closing_waits_for_the_work():
    done = []

    def work():
        time.sleep(0.05)
        done.append(1)

    ahead = Background(work)
    ahead.begin()
    ahead.close()
    assert done == [1]


def test_the_error_is_the_one_that_was_raised():
    error = Broken("here")

    def work():
        raise error

    ahead = Background(work)
    for _ in range(2):
        ahead.begin()
        with pytest.raises(Broken, match="here") as caught:
            ahead.take()
        assert caught.value is error
    ahead.close()
