"""Data from anywhere: generators, sequences and loaders train as the same batches from arrays do."""

import array
import collections
import itertools
import threading
import warnings

import numpy as np
import pandas
import polars
import pytest
from sources import Loader, Numbered, Silent, Tensor, in_batches, same

import cconv
from cconv import layers
from cconv.inputs.batches import Batches
from cconv.inputs.kinds import is_endless, kind_of
from cconv.inputs.orders import epoch_order

RNG = np.random.default_rng(3)
X = RNG.integers(0, 256, (44, 6, 6, 2), dtype=np.uint8)
XF = X.astype(np.float32)
Y = RNG.integers(0, 3, 44)
W = RNG.random(44).astype(np.float32)
ROWS = 8


def model(**settings):
    made = cconv.Sequential(
        [
            layers.Rescaling(1 / 255, input_shape=X.shape[1:]),
            layers.RandomFlip(),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        seed=5,
        **settings,
    )
    made.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    return made


def forever(batches):
    while True:
        yield from batches


def of_tensors(batches):
    return [tuple(Tensor(part) for part in batch) for batch in batches]


PLAIN = in_batches(ROWS, X, Y, W)
FEEDS = {
    "generator": lambda b: (forever(b), {"steps_per_epoch": len(b)}),
    "cycle": lambda b: (itertools.cycle(b), {"steps_per_epoch": len(b)}),
    "tensors": lambda b: (forever(of_tensors(b)), {"steps_per_epoch": len(b)}),
    "loader": lambda b: (Loader(b), {}),
    "loader without a length": lambda b: (Loader(b, length=False), {}),
    "numbered": lambda b: (Numbered(b), {}),
    "numbered, threads": lambda b: (Numbered(b, workers=3, max_queue_size=2), {}),
    "numbered, paced": lambda b: (Numbered(b), {"steps_per_epoch": len(b)}),
    "loader, paced": lambda b: (Loader(b), {"steps_per_epoch": len(b)}),
}


@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("bytes_", [True, False])
def test_all_feeds_train_as_arrays_do(kind, bytes_):
    arrays = (X if bytes_ else XF, Y, W)
    by_array, by_feed = model(), model()
    expected = by_array.fit(arrays[0], Y, ROWS, 3, 0, sample_weight=W, shuffle=False, class_weight={1: 2.0})
    x, more = FEEDS[kind](in_batches(ROWS, *arrays))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = by_feed.fit(
            x,
            epochs=3,
            verbose=0,
            shuffle=False,
            class_weight={1: 2.0},
            validation_data=FEEDS["loader"](PLAIN)[0],
            **more,
        )
    assert same(by_array, by_feed)
    for name, values in expected.history.items():
        assert got.history[name] == values
    assert len(got.history["val_loss"]) == 3
    assert by_feed.evaluate(Numbered(PLAIN), verbose=0) == by_feed.evaluate(X, Y, ROWS, 0, W)
    for given in (Loader(PLAIN), iter(in_batches(ROWS, X)), Numbered(PLAIN), (Tensor(b[0]) for b in PLAIN)):
        assert np.array_equal(by_feed.predict(given), by_array.predict(X))


def test_sizes_of_batches_may_grow_and_shrink():
    sizes = [3, 9, 1, 12, 2]
    ends = np.cumsum([0, *sizes])
    batches = [(XF[a:b], Y[a:b]) for a, b in itertools.pairwise(ends)]
    by_step, by_feed = model(), model()
    for _ in range(2):
        by_feed.fit(iter(batches), verbose=0)
        total = by_feed.evaluate(iter(batches), verbose=0, return_dict=True)
        whole = by_feed.evaluate(XF[: ends[-1]], Y[: ends[-1]], verbose=0, return_dict=True)
        assert total == pytest.approx(whole)
    assert np.array_equal(by_feed.predict(iter(batches)), by_feed.predict(XF[: ends[-1]]))
    by_step.fit(Numbered(batches), epochs=2, verbose=0, shuffle=False)
    assert same(by_step, by_feed)


def test_the_order_of_numbered_batches_is_shuffled_by_the_seed():
    batches, made = Numbered(in_batches(ROWS, X, Y)), model()
    made.fit(batches, epochs=2, verbose=0)
    orders = [epoch_order(5, epoch, 6).tolist() for epoch in range(2)]
    assert orders[0] != orders[1]
    # Batch 0 was looked at before the first epoch, whose begin may have changed it.
    assert batches.asked == [0, *orders[0], *orders[1]]
    assert batches.events == ["begin", "end"] * 2
    by_hand = model()
    gathered = [np.concatenate([np.arange(44)[8 * n : 8 * n + 8] for n in order]) for order in orders]
    for epoch, order in enumerate(orders):
        given = [(X[8 * n : 8 * n + 8], Y[8 * n : 8 * n + 8]) for n in order]
        by_hand.fit(iter(given), epochs=epoch + 1, initial_epoch=epoch, verbose=0)
    assert sorted(gathered[0]) == list(range(44))
    assert same(made, by_hand)


def test_an_epoch_goes_on_where_the_last_one_ended():
    asked, batches = [], in_batches(ROWS, X, Y)

    def generator():
        for number in itertools.count():
            asked.append(number)
            yield batches[number % 6]

    made, other, third = model(), model(), model()
    made.fit(generator(), steps_per_epoch=4, epochs=3, verbose=0)
    assert asked == list(range(12))  # not one more
    numbered = Numbered(batches)
    other.fit(numbered, steps_per_epoch=2, epochs=6, verbose=0, shuffle=False)
    assert numbered.asked == [0, *[0, 1, 2, 3, 4, 5] * 2]  # looked at first, before the epoch began
    silent = Silent(batches)
    model().fit(silent, steps_per_epoch=2, epochs=6, verbose=0, shuffle=False)
    assert silent.asked == [0, 1, 2, 3, 4, 5] * 2  # nothing is made twice of what hears no events
    third.fit(X, Y, ROWS, steps_per_epoch=2, epochs=6, verbose=0, shuffle=False)
    assert third.steps_done == other.steps_done == made.steps_done == 12
    assert np.isfinite(third.evaluate(X, Y, verbose=0, steps=1, batch_size=4)[0])


@pytest.mark.parametrize("kind", ["arrays", "numbered", "loader", "generator"])
def test_what_ends_early_warns_and_ends_the_epoch(kind):
    batches, made = in_batches(ROWS, X, Y), model()
    given = {
        "arrays": ((X, Y, ROWS), 12),
        "numbered": ((Numbered(batches),), 12),
        "loader": ((Loader(batches),), 12),
        "generator": ((iter(batches),), 6),
    }
    arguments, steps = given[kind]
    with pytest.warns(UserWarning, match="^Your input ran out of data; interrupting training"):
        history = made.fit(*arguments, epochs=2, steps_per_epoch=7, verbose=0)
    assert made.steps_done == steps
    assert len(history.epoch) == steps // 6


def test_a_generator_without_steps_is_one_epoch():
    made = model()
    with pytest.warns(UserWarning, match="ran out of data"):
        history = made.fit(iter(in_batches(ROWS, X, Y)), epochs=3, verbose=0)
    assert history.epoch == [0]
    assert made.steps_done == 6
    validated = model()
    with pytest.warns(UserWarning, match="validation_data: there were 0 batches"):
        history = validated.fit(X, Y, epochs=3, verbose=0, validation_data=iter(in_batches(ROWS, X, Y)))
    assert [len(history.history[name]) for name in ("loss", "val_loss")] == [3, 1]


def test_validation_begins_anew_and_may_be_rare():
    made, seen = model(), Loader(in_batches(4, X, Y))
    numbered = Numbered(in_batches(4, X, Y))
    history = made.fit(
        X, Y, epochs=5, verbose=0, validation_data=seen, validation_steps=2, validation_freq=2
    ).history
    assert [len(history[name]) for name in ("loss", "val_loss")] == [5, 2]
    assert history["val_loss"][1] == made_after(4).evaluate(X[:8], Y[:8], 4, 0)[0]
    made.fit(X, Y, epochs=2, verbose=0, validation_data=numbered, validation_steps=2)
    assert numbered.asked == [0, 0, 1, 0, 1]
    assert numbered.events == ["begin", "end"] * 2
    by_split = model().fit(X, Y, validation_split=0.5, validation_batch_size=5, validation_steps=2, verbose=0)
    by_data = model().fit(X[:22], Y[:22], validation_data=(X[22:32], Y[22:32]), verbose=0, batch_size=32)
    assert by_split.history["val_loss"] == pytest.approx(by_data.history["val_loss"])


def made_after(epochs):
    made = model()
    made.fit(X, Y, epochs=epochs, verbose=0)
    return made


def test_a_generator_is_entered_by_one_thread_and_its_errors_come_through():
    class Own(Exception):
        pass

    threads = set()

    def generator():
        for batch in in_batches(ROWS, X, Y)[:3]:
            threads.add(threading.get_ident())
            yield batch
        raise Own("mine")

    made = model()
    for call in (made.fit, made.evaluate, made.predict):
        with pytest.raises(Own, match=r"^mine$"):
            call(generator(), verbose=0)
    assert threads == {threading.get_ident()}
    assert made.steps_done == 3

    class Broken(Numbered):
        def __getitem__(self, number):
            raise Own("mine too")

    with pytest.raises(Own, match="mine too"):
        made.fit(Broken(PLAIN, workers=2))
    made.fit(X, Y, verbose=0)


REFUSED = [
    ({"y": Y}, ValueError, r"Sequential.fit: y must not be given where x is a list_iterator"),
    ({"sample_weight": W}, ValueError, "sample_weight must not be given"),
    ({"batch_size": 8}, ValueError, "batch_size must not be given"),
    ({"validation_split": 0.5}, ValueError, "validation_split must be 0"),
    ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be a positive int, got 0"),
    ({"steps_per_epoch": 1.5}, TypeError, "steps_per_epoch must be a positive int, got 1.5"),
    ({"validation_freq": 0}, ValueError, "validation_freq must be a positive int"),
    ({"validation_freq": [1.5]}, TypeError, "validation_freq entry must be a positive int"),
    ({"validation_steps": -1}, ValueError, "validation_steps must be a positive int"),
    ({"validation_batch_size": "a"}, TypeError, "validation_batch_size must be a positive int"),
    ({"validation_data": 3}, ValueError, "validation_data must be"),
    (
        {"validation_data": iter([]), "validation_batch_size": 3},
        ValueError,
        "validation_data: validation_batch_size must not be given",
    ),
    ({"validation_data": iter([])}, ValueError, "validation_data: x must give at least one batch, got none"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), REFUSED)
def test_what_does_not_go_with_batches_is_refused(arguments, error, text):
    made = model()
    before = made.get_weights()
    with pytest.raises(error, match=text):
        made.fit(iter(in_batches(ROWS, X, Y)), verbose=0, **arguments)
    assert all(np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True))


WRONG = [
    (
        [(X,)],
        TypeError,
        r"^Sequential.fit: batch 0 must be \(x, y\) or \(x, y, sample_weight\), got tuple of 1",
    ),
    ([X], TypeError, "batch 0 must be .*, got ndarray"),
    ([{"x": X, "y": Y}], TypeError, "batch 0 must be .*, got dict"),
    ([], ValueError, "x must give at least one batch"),
    (
        [(X[:, 1:], Y)],
        ValueError,
        r"^Sequential.fit: layer 0 \(rescaling, Rescaling\) expects x of shape \(n, 6, 6, 2\)",
    ),
    ([(X, Y), (X[:, 1:], Y)], ValueError, r"^Sequential.fit: batch 1: layer 0 .* expects x of shape"),
    ([(X, Y), (X, Y[1:])], ValueError, r"^Sequential.fit: batch 1: y must have one row for each of the 44"),
    ([(X, Y + 9)], ValueError, "y does not fit the loss"),
    ([(X, None)], ValueError, "y must be given"),
    ([(X, Y, np.nan * W)], ValueError, "sample_weight must be finite"),
    ([(X[:0], Y[:0])], ValueError, "x must have no empty axis"),
]


@pytest.mark.parametrize(("batches", "error", "text"), WRONG)
def test_batches_that_do_not_fit_are_refused(batches, error, text):
    made = model()
    with pytest.raises(error, match=text):
        made.fit(iter(batches), verbose=0)
    assert made.steps_done == max(len(batches) - 1, 0)
    made.fit(X, Y, verbose=0)


class Endless(Numbered):
    num_batches = None


ENDLESS = {
    "cycle": lambda: itertools.cycle(PLAIN),
    "numbered": lambda: Endless(PLAIN * 9),
    "repeat": lambda: itertools.repeat(PLAIN[0]),
    "cardinality": lambda: type("Data", (Loader,), {"cardinality": lambda self: np.int64(-1)})(PLAIN),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_needs_steps(kind, monkeypatch):
    made, data = model(), ENDLESS[kind]
    for call, name in ((made.fit, "steps_per_epoch"), (made.evaluate, "steps"), (made.predict, "steps")):
        with pytest.raises(ValueError, match=f"{name} must be given where x is a .* that never ends"):
            call(data(), verbose=0)
    with pytest.raises(ValueError, match="validation_steps must be given"):
        made.fit(X, Y, verbose=0, validation_data=data())
    made.fit(data(), steps_per_epoch=5, verbose=0, validation_data=data(), validation_steps=1)
    assert len(made.predict(data(), steps=2)) == 16
    assert len(made.evaluate(data(), steps=2, verbose=0)) == 2


def test_predict_of_a_generator_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr("cconv.models.predicting.COLLECTED_BYTES", 1000)
    made, given = model(), itertools.count()
    with pytest.raises(MemoryError, match="steps must be given where the outputs of an iterator take more"):
        made.predict(X[:4] for _ in given)
    assert next(given) == 21  # of 48 bytes each
    assert len(made.predict((X[:4] for _ in itertools.count()), steps=50)) == 200
    assert made.predict(X, steps=2, batch_size=3).shape == (6, 3)
    with pytest.warns(UserWarning, match="ran out of data"):
        assert made.predict(X, steps=20, batch_size=3).shape == (44, 3)


def test_a_model_is_built_by_the_first_batch_in_its_format():
    made = cconv.Sequential(
        [layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)], data_format="channels_first"
    )
    made.compile("sgd", "mse")
    batches = in_batches(ROWS, np.moveaxis(XF / 255, 3, 1), RNG.random((44, 3)))
    made.fit(iter(batches), verbose=0)
    assert made.input_shape == (None, 2, 6, 6)
    assert made.predict(iter(batches)).shape == (44, 3)
    events = []

    class Heard(cconv.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            events.append(logs["outputs"].shape)

    made.predict(iter(batches), callbacks=Heard())
    assert events == [(8, 3)] * 5 + [(4, 3)]


class Own(cconv.utils.PyDataset):
    def __len__(self):
        return len(PLAIN)

    def __getitem__(self, index):
        return PLAIN[index]


def test_the_base_class_of_keras():
    assert cconv.utils.Sequence is cconv.utils.PyDataset
    by_own, by_list = model(), model()
    by_own.fit(Own(workers=2), epochs=2, verbose=0, validation_data=Own())
    by_list.fit(Numbered(PLAIN), epochs=2, verbose=0)
    assert same(by_own, by_list)
    with pytest.raises(
        ValueError, match=r"Own: use_multiprocessing must be False, got True: workers are threads"
    ):
        Own(use_multiprocessing=True)
    with pytest.raises(TypeError, match=r"Own: workers must be an int of at least 0, got 1.5"):
        Own(workers=1.5)
    with pytest.raises(ValueError, match="Own: max_queue_size must be an int of at least 0, got -1"):
        Own(max_queue_size=-1)

    class Without(cconv.utils.PyDataset):
        pass

    with pytest.raises(NotImplementedError, match="Without: __len__ or num_batches must be defined"):
        by_own.fit(Without())
    with pytest.raises(NotImplementedError, match="Without: __getitem__ must be defined"):
        _ = Without()[0]


def test_large_images_are_predicted_few_at_a_time(monkeypatch):
    made = cconv.Sequential(
        [layers.Conv2D(2, 3, strides=4, input_shape=(64, 64, 3)), layers.Flatten()], seed=1
    )
    x = RNG.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    expected = made.predict(x, batch_size=1)
    # Twice the input, and the input with the output: 3 · 12,288 + 512 numbers of 4 bytes.
    for budget, rows in ((10**5, 1), (3 * 149_504, 3), (2**40, 256)):
        monkeypatch.setattr("cconv.models.feeding.INFERENCE_BYTES", budget)
        assert made._inference_batch("f", None) == rows
        assert np.array_equal(made.predict(x), expected)


ARRAYS = {
    "buffer": lambda: array.array("f", [1.0]),
    "deque": lambda: collections.deque([1.0]),
    "own list": lambda: collections.UserList([1.0]),
    "lists": lambda: [[1.0]],
    "scalar": lambda: np.float32(1),
    "number": lambda: 1.0,
    "nothing": lambda: None,
    "tensor": lambda: type(
        "Torch", (), {"__dlpack__": 0, "__getitem__": 0, "shape": (1,), "dtype": X.dtype}
    )(),
    "frame": lambda: pandas.DataFrame([[1.0]]),
    "column": lambda: pandas.Series([1.0]),
    "polars": lambda: polars.Series([1.0]),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_what_was_an_array_stays_one(kind):
    assert kind_of(ARRAYS[kind]()) == "array"


def test_kinds_of_what_is_no_array():
    class Listed(collections.UserList):
        def on_epoch_end(self):
            pass

    assert kind_of(Listed(PLAIN)) == kind_of(Own()) == kind_of(Numbered(PLAIN)) == "numbered"
    assert kind_of(zip(X, Y, strict=True)) == kind_of(Loader(PLAIN)) == "stream"
    assert not is_endless(itertools.repeat(PLAIN[0], 3))


def test_batches_of_one_kind_fill_the_same_memory_and_others_do_not(monkeypatch):
    """Sizes and dtypes that change from batch to batch give what memory of their own gives."""
    kinds = [np.uint8, np.uint8, np.float32, np.uint8, ">f8", np.float32, np.uint8]
    sizes = [5, 3, 5, 6, 2, 6, 1]
    starts = np.cumsum([0, *sizes])
    parts = [X[a:b].astype(kind) for (a, b), kind in zip(itertools.pairwise(starts), kinds, strict=True)]
    targets = [Y[a:b] for a, b in itertools.pairwise(starts)]
    fed, alone = model(), model()
    seen = []
    original = type(fed)._train_step

    class Seen(type(fed)):
        def _train_step(self, batch, *rest):
            seen.append(batch.x.ctypes.data)
            return original(self, batch, *rest)

    fed.__class__ = Seen
    fed.fit(zip(parts, targets, strict=True), epochs=1, verbose=0)
    assert seen[0] == seen[1]
    monkeypatch.setattr(Batches, "follow", lambda self, other: None)
    alone.fit(zip(parts, targets, strict=True), epochs=1, verbose=0)
    assert same(fed, alone)
