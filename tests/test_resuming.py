"""A training that was interrupted, anywhere and often, comes to the bits of one that was left alone."""

import itertools
import os
import random
import signal
import warnings

import pytest
import resuming
from resuming import OPTIMIZERS, X, Y, network, train

from cconv import set_num_threads
from cconv.callbacks import BackupAndRestore, Callback
from cconv.inputs.orders import Blocks
from cconv.layers import RandomFlip
from cconv.utils import Augmented, PyDataset

DRAW = random.Random(1)
STEPS = 8  # an epoch
pytestmark = pytest.mark.usefixtures("nobody_listens_to_garbage_collection")


class Stop(Exception):
    pass


class Dies(Callback):
    """Ends a training in its step number `at`, before or after the others hear of it."""

    def __init__(self, at, event="on_train_batch_begin"):
        super().__init__()
        self.at, self.event = at, event

    def _count(self):
        self.at -= 1
        if self.at < 0:
            raise Stop

    def on_train_batch_begin(self, batch, logs=None):
        self._count() if self.event == "on_train_batch_begin" else None

    def on_epoch_end(self, epoch, logs=None):
        self._count() if self.event == "on_epoch_end" else None

    def on_test_batch_begin(self, batch, logs=None):
        self._count() if self.event == "on_test_batch_begin" else None


class Deadly(BackupAndRestore):
    """A backup whose training dies."""

    def __init__(self, folder, dies, **options):
        super().__init__(folder, **options)
        self.dies = dies

    def on_train_batch_begin(self, batch, logs=None):
        self.dies.on_train_batch_begin(batch)

    def on_epoch_end(self, epoch, logs=None):
        self.dies.on_epoch_end(epoch)
        super().on_epoch_end(epoch, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.dies.on_test_batch_begin(batch)


_whole: dict = {}


def whole(folder, **options):
    """The bits of the training that was left alone."""
    key = str(sorted(options.items()))
    if key not in _whole:
        (folder / "whole").mkdir()
        _whole[key] = train(folder / "whole", **options)
    return _whole[key]


def interrupted(folder, deaths, freq, **options):
    """The bits of a training that died so often, each time in a new model."""
    for number, dies in enumerate(deaths):
        set_num_threads(1 + number % 3)
        with pytest.raises(Stop):
            train(folder, Deadly(folder / "backup", dies, save_freq=freq), **options)
    set_num_threads(2)
    return train(folder, BackupAndRestore(folder / "backup", save_freq=freq), **options)


@pytest.fixture(autouse=True)
def _threads():
    yield
    set_num_threads(None)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("freq", [1, 3, "epoch"])
def test_killed_in_a_step(tmp_path, optimizer, freq):
    expected = whole(tmp_path, optimizer=optimizer)
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        deaths = [Dies(DRAW.randrange(STEPS * 4 // (1 + number))) for _ in range(1 + number)]
        assert interrupted(folder, deaths, freq, optimizer=optimizer) == expected


def test_killed_by_the_system(tmp_path):
    assert resuming.crashes(tmp_path, int(os.environ.get("CCONV_TEST_CRASHES", "2"))) == 0


@pytest.mark.parametrize("event", ["on_epoch_end", "on_test_batch_begin"])
@pytest.mark.parametrize("freq", [1, 5, 8, "epoch"])
def test_killed_between_epochs_and_in_validation(tmp_path, event, freq):
    expected = whole(tmp_path, optimizer="means", scheduled=True)
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = interrupted(folder, [Dies(number, event)], freq, optimizer="means", scheduled=True)
        assert found == expected


# --- data ---------------------------------------------------------------------------------------


class Numbered(PyDataset):
    """Batches by number."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        rows = slice(index * 15, index * 15 + 15)
        return X[rows], Y[rows]


class Mixed(Numbered):
    """Batches whose content depends on the epochs before, and which says so."""

    def __init__(self):
        super().__init__()
        self.turn = 0

    def __getitem__(self, index):
        return super().__getitem__((index + self.turn) % 8)

    def on_epoch_end(self):
        self.turn += 3

    def get_state(self):
        return {"turn": self.turn}

    def set_state(self, state):
        self.turn = state["turn"]


class Drawn(Mixed):
    """Batches that are others as soon as an epoch begins; the first one is looked at before."""

    def on_epoch_begin(self):
        self.turn += 1


class Counting:
    """An iterator that knows where it stands."""

    def __init__(self):
        self.at = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.at += 1
        rows = slice(self.at * 7 % 90, self.at * 7 % 90 + 13)
        return X[rows], Y[rows]

    def get_state(self):
        return {"at": self.at}

    def set_state(self, state):
        self.at = state["at"]


class Stored:
    """An array that is read slice by slice."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, rows):
        return self.array[rows]


def batches():
    return [(X[start : start + 11], Y[start : start + 11]) for start in range(0, 110, 11)]


class Again:
    """What is iterated over begins anew."""

    def __iter__(self):
        return iter(batches())


SOURCES = {
    "numbered": (Numbered, {}),
    "numbered, in its order": (Numbered, {"shuffle": False}),
    "numbered, in part": (Numbered, {"steps_per_epoch": 5}),
    "numbered, with a state": (Mixed, {}),
    "numbered, with a state, in part": (Mixed, {"steps_per_epoch": 3}),
    "drawn": (Drawn, {}),
    "drawn, in part": (Drawn, {"steps_per_epoch": 1}),
    "augmented": (lambda: Augmented((X[:120], Y[:120]), [RandomFlip("horizontal")], 16, seed=2), {}),
    "iterable": (Again, {}),
    "iterable, in part": (Again, {"steps_per_epoch": 4}),
    "iterator with a state": (Counting, {"steps_per_epoch": 6}),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("freq", [1, "epoch"])
def test_data_of_all_kinds(tmp_path, kind, freq):
    make, options = SOURCES[kind]
    (tmp_path / "whole").mkdir()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        expected = train(tmp_path / "whole", data=make, epochs=4, **options)
        last = 4 * options.get("steps_per_epoch", 4) - 2
        for number, at in enumerate((min(3, last - 2), min(8, last - 1), min(13, last))):
            folder = tmp_path / str(number)
            folder.mkdir()
            assert interrupted(folder, [Dies(at)], freq, data=make, epochs=4, **options) == expected


class Pressed(BackupAndRestore):
    """A backup during whose event number `at`, of those of one kind, somebody presses Ctrl-C."""

    def __init__(self, folder, event, at, **options):
        super().__init__(folder, **options)
        self.at = at
        heard = getattr(self, event)

        def press(*args):
            self.at -= 1
            if self.at < 0:
                signal.raise_signal(signal.SIGINT)
            heard(*args)

        setattr(self, event, press)


EVENTS = (
    "on_train_batch_begin",
    "on_test_begin",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_epoch_begin",
)
ARRAYS = {"arrays": (None, {}), "arrays, in part": (None, {"steps_per_epoch": 3, "batch_size": 16})}


@pytest.mark.parametrize("kind", [*SOURCES, *ARRAYS])
def test_ctrl_c_wherever_it_comes(tmp_path, kind):
    """Twice, the second time in what is left of the epoch, which may be its validation alone."""
    make, options = (SOURCES | ARRAYS)[kind]
    options = {"data": make, "epochs": 6, "validation_batch_size": 10, **options}
    (tmp_path / "whole").mkdir()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        expected = train(tmp_path / "whole", **options)
        for number, event in enumerate(EVENTS):
            folder = tmp_path / str(number)
            folder.mkdir()
            for at in (DRAW.randrange(1, 3), DRAW.randrange(2)):
                with pytest.raises(KeyboardInterrupt):
                    train(folder, Pressed(folder / "backup", event, at, save_freq=False), **options)
            assert train(folder, BackupAndRestore(folder / "backup"), **options) == expected, event


def test_a_batch_is_that_of_its_epoch():
    """Also the first, at which somebody has looked before any epoch."""

    class Noted(Drawn):
        def __init__(self):
            super().__init__()
            self.made = []

        def __getitem__(self, index):
            self.made.append((self.turn, index))
            return super().__getitem__(index)

    data = Noted()
    network().fit(data, epochs=2, verbose=0, shuffle=False)
    assert data.made[1:] == [(turn, index) for turn in (1, 5) for index in range(8)]


@pytest.mark.parametrize(
    "event", ["on_epoch_begin", "on_test_begin", "on_test_batch_end", "on_train_batch_begin"]
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_validation_data_go_on_where_they_were(tmp_path, event, at):
    """An iterator gives other batches to every validation; one that was broken off gets its own again."""

    def learned(*calls):
        model = network()
        how = {"validation_data": Counting(), "validation_steps": 2, "epochs": 4, "verbose": 0}
        return model.fit(X[:32], Y[:32], callbacks=calls, **how).history

    whole = learned()
    assert len(set(whole["val_loss"])) == 4
    with pytest.raises(KeyboardInterrupt):
        learned(Pressed(tmp_path / "backup", event, at))
    assert learned(BackupAndRestore(tmp_path / "backup")) == whole


@pytest.mark.parametrize("steps", [3, 5])
@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_in_part(tmp_path, steps, shuffle):
    options = {"steps_per_epoch": steps, "shuffle": shuffle, "epochs": 6}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        expected = whole(tmp_path, **options)
        for at in range(1, 3 * steps, 2):
            folder = tmp_path / str(at)
            folder.mkdir()
            assert interrupted(folder, [Dies(at)], 2, **options) == expected


@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_that_are_not_in_memory(tmp_path, monkeypatch, shuffle):
    monkeypatch.setattr("cconv.inputs.orders.BLOCK_BYTES", 40 * X[0].nbytes)
    assert Blocks(120, 16, X[0].nbytes).size < 120

    def trained(dies=None):
        model = network()
        backup = Deadly(tmp_path / "b", dies, save_freq=1) if dies else BackupAndRestore(tmp_path / "b")
        model.fit(Stored(X), Stored(Y), 16, epochs=3, verbose=0, shuffle=shuffle, callbacks=backup)
        return [array.tobytes() for array in model.get_weights()]

    expected = trained()
    for at in (1, 7, 12, 25):
        with pytest.raises(Stop):
            trained(Dies(at))
        assert trained() == expected


def test_a_generator_is_refused_before_anything_is_done(tmp_path):
    model = network()
    given = (pair for pair in itertools.cycle(batches()))
    with pytest.raises(TypeError, match=r"x must be data whose place can be saved, got a generator: use"):
        model.fit(given, steps_per_epoch=3, callbacks=BackupAndRestore(tmp_path / "b"), verbose=0)
    assert model.steps_done == 0


def test_an_object_that_changes_without_a_state_is_warned_of(tmp_path):
    class Changing(Numbered):
        def on_epoch_end(self):
            pass

    with pytest.raises(Stop):
        network().fit(Changing(), verbose=0, callbacks=Deadly(tmp_path / "b", Dies(3), save_freq=1))
    with pytest.warns(UserWarning, match="x has on_epoch_end, but no get_state"):
        network().fit(Changing(), verbose=0, callbacks=BackupAndRestore(tmp_path / "b"))
