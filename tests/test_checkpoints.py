"""Checkpoints of a training: what they hold, what is refused, and disks and users that interrupt."""

import copy
import errno
import os
import random
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
from interrupted import Stop, fit, stopping, weights
from resuming import X, Y, network, train

from cconv import metrics
from cconv.arguments.interrupts import Interrupts
from cconv.callbacks import BackupAndRestore, Callback, EarlyStopping, LambdaCallback, ModelCheckpoint
from cconv.callbacks.backup import checkpoints
from cconv.estimators import CNNClassifier
from cconv.layers import Dense, Dropout, Flatten, Input
from cconv.models import Model, Sequential
from cconv.models.checkpoints import Checkpoint, last_of

DRAW = random.Random(3)
pytestmark = pytest.mark.usefixtures("nobody_listens_to_garbage_collection")


@pytest.fixture
def cut(tmp_path):
    """The folder of a training that was killed in its 13th step, with the checkpoint after the twelfth."""
    with pytest.raises(Stop):
        fit(network(), tmp_path / "b", stopping(13))
    return tmp_path / "b"


# --- what is kept -------------------------------------------------------------------------------


def test_the_last_two_are_kept_and_taken_away_at_the_end(cut):
    assert [os.path.basename(path) for path in checkpoints(str(cut))] == [
        "checkpoint-00000006.safetensors",
        "checkpoint-00000005.safetensors",
    ]
    last = last_of(str(cut))
    assert (last.epoch, last.step) == (1, 4)
    model = network()
    model.load_weights(last.path)
    model.fit(X[:120], Y[:120], 16, epochs=3, verbose=0, callbacks=BackupAndRestore(cut))
    assert not cut.exists()


def test_resume_from_a_file_or_a_folder_and_for_more_epochs(cut):
    expected = network()
    fit(expected, epochs=4)
    for path in (cut, checkpoints(str(cut))[0], checkpoints(str(cut))[1]):
        model = network()
        history = fit(model, resume_from=path, epochs=4)
        assert weights(model) == weights(expected)
        assert history.history == expected.history.history
        assert history.epoch == [0, 1, 2, 3]


def test_a_backup_of_its_own_goes_before_resume_from(cut, tmp_path):
    expected = network()
    fit(expected, epochs=4)
    first = checkpoints(str(cut))[1]
    with pytest.raises(Stop):
        fit(network(), tmp_path / "other", stopping(5), resume_from=first)
    assert last_of(str(tmp_path / "other")).epoch == 1
    seen = []
    model = network()
    note = LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    fit(model, tmp_path / "other", note, resume_from=first, epochs=4)
    assert seen[0] == last_of(str(cut)).step + 2
    assert weights(model) == weights(expected)


def test_a_model_without_a_seed_of_its_own(tmp_path):
    def trained(folder, *more):
        model = network(seed=None)
        model.fit(X[:120], Y[:120], 16, 2, verbose=0, callbacks=[*more, *folder])
        return model

    backup = [BackupAndRestore(tmp_path / "b", save_freq=1, delete_checkpoint=False)]
    seeds = []
    with pytest.raises(Stop):
        trained(backup, stopping(11), LambdaCallback(on_train_begin=lambda logs: seeds.append(0)))
    found = trained(backup)
    expected = network(seed=found.seed)
    fit(expected, epochs=2)
    assert weights(found) == weights(expected)


class Counts(metrics.Metric):
    """A metric of the user's own, with a variable."""

    def __init__(self, name="counts"):
        super().__init__(name=name)
        self.seen = self.add_variable(name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(float(np.abs(y_pred).max()))

    def result(self):
        return self.seen


class Odd(metrics.Metric):
    """A metric that keeps what no file can hold, unless it says how."""

    def __init__(self, name="odd"):
        super().__init__(name=name)
        self.reset_state()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen = self.seen | set(np.round(y_pred.ravel(), 1).tolist())

    def result(self):
        return len(self.seen)

    def reset_state(self):
        self.seen = set()


class Told(Odd):
    def get_state(self):
        return {"seen": sorted(self.seen)}

    def set_state(self, state):
        self.seen = set(state["seen"])


def test_figures_of_many_kinds(tmp_path):
    def model():
        layers = [Flatten(input_shape=(8, 8, 2)), Dropout(0.2), Dense(1, activation="sigmoid")]
        made = Sequential(layers, seed=4)
        kinds = [metrics.AUC(num_thresholds=20), metrics.F1Score(threshold=0.5, average="micro")]
        kinds += [metrics.Precision(), metrics.R2Score(), metrics.MeanSquaredError(), Counts(), Told("told")]
        kinds += ["accuracy", metrics.BinaryIoU()]
        made.compile("adam", "binary_crossentropy", kinds, weighted_metrics=["mae"])
        return made

    y = (Y[:120, np.newaxis] % 2).astype(np.float32)
    expected = fit(model(), y=y).history
    with pytest.raises(Stop):
        fit(model(), tmp_path, stopping(13), y=y)
    assert fit(model(), tmp_path, y=y).history == expected


def test_figures_of_several_outputs(tmp_path):
    def model():
        x = Input((8, 8, 2))
        flat = Flatten()(x)
        a, b = Dense(4, activation="softmax", name="a")(flat), Dense(1, name="b")(Dropout(0.3)(flat))
        made = Model(x, [a, b], seed=5)
        losses = ["sparse_categorical_crossentropy", "mse"]
        made.compile("adam", losses, metrics={"a": "accuracy", "b": "mae"})
        return made

    y = [Y[:120], X[:120, 0, 0, :1]]
    expected = model()
    fit(expected, y=y)
    with pytest.raises(Stop):
        fit(model(), tmp_path, stopping(11), y=y)
    found = model()
    assert fit(found, tmp_path, y=y).history == expected.history.history
    assert weights(found) == weights(expected)


def test_a_metric_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"odd: what the metric keeps in seen cannot be kept"):
        fit(network(metrics=[Odd()]), tmp_path)


class Remembers(Callback):
    """A callback that changes the training by what it remembers."""

    def __init__(self, keeps=True):
        super().__init__()
        self.total, self.keeps = 0.0, keeps

    def on_train_batch_end(self, batch, logs=None):
        self.total += logs["loss"]
        self.model.optimizer.learning_rate = 0.001 + 0.00001 * (self.total % 7)

    def on_epoch_end(self, epoch, logs=None):
        self.model.layers[2].trainable = epoch % 2 == 1

    def get_state(self):
        return {"total": self.total, "more": (1, [None, np.float32(2.5)], float("nan"))}

    def set_state(self, state):
        self.total = state["total"]
        one, (nothing, half), nan = state["more"]
        assert (one, nothing, half, type(half)) == (1, None, 2.5, np.float32)
        assert nan != nan


def test_callbacks_of_the_users_own(tmp_path):
    expected = network()
    fit(expected, None, Remembers(), epochs=4)
    for at in (3, 9, 14, 21):
        with pytest.raises(Stop):
            fit(network(), tmp_path / str(at), Remembers(), stopping(at), epochs=4)
        model = network()
        fit(model, tmp_path / str(at), Remembers(), epochs=4)
        assert weights(model) == weights(expected)


def test_the_best_model_is_not_replaced_by_a_worse_one(tmp_path):
    def best():
        return ModelCheckpoint(tmp_path / "best.safetensors", "loss", save_best_only=True)

    def spoil(epoch, logs):
        logs["loss"] += epoch  # worse and worse

    backup = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    with pytest.raises(Stop):
        fit(network(), None, LambdaCallback(on_epoch_end=spoil), best(), backup, stopping(2 * 8 + 3))
    before = (tmp_path / "best.safetensors").read_bytes()
    fit(network(), None, LambdaCallback(on_epoch_end=spoil), best(), backup, epochs=5)
    assert (tmp_path / "best.safetensors").read_bytes() == before


def test_a_training_that_had_ended_ends_at_once(tmp_path):
    def fitted(*more):
        model = network()
        stop = EarlyStopping("loss", patience=0, min_delta=10, restore_best_weights=True)
        fit(model, tmp_path, stop, *more, epochs=9)
        return weights(model), model.history.epoch

    expected = fitted()
    steps = []
    assert fitted(LambdaCallback(on_train_batch_begin=lambda batch, logs: steps.append(batch))) == expected
    assert steps == []


def test_seconds(tmp_path):
    for seconds, count in ((0.0, 15), (1000.0, 0)):
        backup = BackupAndRestore(
            tmp_path / str(count), save_freq=False, save_every_seconds=seconds, delete_checkpoint=False
        )
        model = network()
        model.fit(X[:120], Y[:120], 8, verbose=0, callbacks=backup)
        numbers = [path[-20:] for path in checkpoints(backup.backup_dir)]
        assert numbers == [f"{n:08d}.safetensors" for n in range(count, max(count - 2, 0), -1)]


def test_an_estimator(tmp_path):
    def fitted(*more):
        found = CNNClassifier(
            max_epochs=4,
            batch_size=32,
            random_state=0,
            tol=0.0,
            early_stopping=True,
            layers=[],
            callbacks=[*more],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.fit(X, Y)
        return weights(found.model_), found.loss_curve_, found.validation_scores_, found.history_

    expected = fitted()
    with pytest.raises(Stop):
        fitted(BackupAndRestore(tmp_path / "b", save_freq=1), stopping(7))
    assert fitted(BackupAndRestore(tmp_path / "b", save_freq=1)) == expected


# --- what is refused ----------------------------------------------------------------------------


def test_other_models_and_data_are_refused(cut):
    small = Sequential([Flatten(input_shape=(8, 8, 2)), Dense(4, activation="softmax")], seed=1)
    small.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(
        ValueError, match=r"the model must be that of the checkpoint, got another: only .* only"
    ):
        fit(small, cut)
    with pytest.raises(ValueError, match=r"the optimizer must be that of the checkpoint, Adam, got Nesterov"):
        fit(network("nesterov"), cut)
    with pytest.raises(ValueError, match="use_ema of the optimizer must be False, got True"):
        fit(network("means"), cut)
    for options in ({"batch_size": 20}, {"shuffle": False}, {"x": X[:100], "y": Y[:100]}):
        model = network()
        before = weights(model)
        with pytest.raises(
            ValueError, match=r"the data must be those of the checkpoint, samples 120, steps 8"
        ):
            fit(model, cut, **options)
        assert weights(model) == before
        assert model.steps_done == 0


@pytest.fixture
def between(tmp_path):
    """A folder with a checkpoint behind the second epoch."""
    with pytest.raises(Stop):
        fit(network(), None, BackupAndRestore(tmp_path / "between"), stopping(17))
    return tmp_path / "between"


OTHER_DATA = ({"batch_size": 20}, {"shuffle": False}, {"x": X[:100], "y": Y[:100]}, {"steps_per_epoch": 3})


@pytest.mark.parametrize("options", [*OTHER_DATA, {"epochs": 1}])
def test_other_data_are_refused_between_epochs_too(between, options):
    model = network()
    before = weights(model)
    told = r"data must be those of the checkpoint|epochs must be at least 2"
    with pytest.raises(ValueError, match=told):
        fit(model, between, **options)
    assert (weights(model), model.steps_done) == (before, 0)
    assert list(between.iterdir())  # a run that was started by mistake deletes nothing


class Fussy(Remembers):
    """Has had another state."""

    def set_state(self, state):
        super().set_state(state)
        raise KeyError("another")


Fussy.__name__ = Remembers.__name__


def test_other_metrics_and_states_of_callbacks_are_refused_by_name(tmp_path):
    with pytest.raises(Stop):
        fit(network(), tmp_path, Remembers(), stopping(9), epochs=4)
    for model, callback, told in (
        (
            network(metrics=()),
            Remembers(),
            r"the metrics must be those .* \['loss', 'accuracy'\], got \['loss'\]",
        ),
        (network(), Fussy(), r"Remembers.set_state does not take .* KeyError: .*another"),
    ):
        before = weights(model)
        with pytest.raises(ValueError, match=told):
            fit(model, tmp_path, callback, epochs=4)
        assert (weights(model), model.steps_done) == (before, 0)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    model = network()
    fit(model)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"m\.safetensors must be a checkpoint of BackupAndRestore, got"):
        fit(network(), resume_from=tmp_path / "m.safetensors")
    with pytest.raises(FileNotFoundError):
        fit(network(), resume_from=tmp_path / "nothing")
    with pytest.raises(
        FileNotFoundError, match="resume_from must be a checkpoint, or a folder with one, got"
    ):
        fit(network(), resume_from=tmp_path)
    with pytest.raises(TypeError, match="resume_from must be the path of a checkpoint"):
        fit(network(), resume_from=3)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"backup_dir": 3}, TypeError, "backup_dir must be text or a pathlib.Path, got 3"),
        ({"backup_dir": ""}, ValueError, "backup_dir must not be an empty path"),
        ({"save_freq": "batch"}, ValueError, "save_freq must be 'epoch', a positive int or False"),
        ({"save_freq": 0}, ValueError, "save_freq must be a positive int"),
        ({"save_every_seconds": -1}, ValueError, "save_every_seconds"),
        ({"double_checkpoint": 2}, TypeError, "double_checkpoint"),
    ],
)
def test_arguments(options, error, text):
    with pytest.raises(error, match=f"BackupAndRestore: {text}"):
        BackupAndRestore(**({"backup_dir": "b"} | options))


def test_two_backups_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at most one BackupAndRestore, got 2"):
        fit(network(), tmp_path / "a", BackupAndRestore(tmp_path / "b"))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(cut):
    expected = network()
    fit(expected)
    newest, _ = checkpoints(str(cut))
    with open(newest, "r+b") as file:
        file.seek(-5, 2)
        file.write(b"\x55")
    model = network()
    with pytest.warns(
        UserWarning, match=r"00000006.safetensors is damaged.*from the one before, .*00000005.safetensors"
    ):
        fit(model, cut, stopping(10**9))
    assert weights(model) == weights(expected)
    assert newest not in checkpoints(str(cut))
    for path in checkpoints(str(cut)):
        os.truncate(path, 100)
    with pytest.raises(ValueError, match="whole safetensors file"):
        fit(network(), cut)


# --- disks --------------------------------------------------------------------------------------


class Failing:
    """A file that fails at one of its writes."""

    def __init__(self, file, at, number):
        self._file, self._at, self._number = file, at, number

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        self._at[0] -= 1
        if self._at[0] < 0:
            raise OSError(self._number, os.strerror(self._number))
        return self._file.write(data)


def failing(monkeypatch, function, number, at):
    """Let a function of the system fail at its call number `at` from now on, and at all that follow."""
    real, left = getattr(os, function), [at]

    def fails(*args, **options):
        if function == "fdopen":
            return Failing(real(*args, **options), left, number)
        left[0] -= 1
        if left[0] < 0:
            raise OSError(number, os.strerror(number))
        return real(*args, **options)

    monkeypatch.setattr(os, function, fails)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("function", ["open", "fdopen", "fsync", "replace"])
def test_a_disk_that_fails_ends_training_and_leaves_the_checkpoints(tmp_path, monkeypatch, function, number):
    expected = uninterrupted()
    for at in (0, 1, 3, 6):
        folder = tmp_path / str(at)
        folder.mkdir()
        with monkeypatch.context() as patch:

            def begin(batch, logs, patch=patch, at=at, done=[]):  # noqa: B006
                done.append(batch)
                if len(done) == 5:
                    failing(patch, function, number, at)

            model = network()
            with pytest.raises(OSError, match=f"cannot write .*{os.strerror(number)}") as caught:
                fit(model, folder, LambdaCallback(on_train_batch_begin=begin))
            assert caught.value.errno == number
        assert Checkpoint(checkpoints(str(folder))[0]).epoch in (0, 1, 2)
        assert all("tmp" not in name for name in os.listdir(folder))
        assert np.isfinite(model.predict(X, verbose=0)).all()
        found = network()
        fit(found, folder)
        assert weights(found) == expected


def uninterrupted():
    """The bits of a training that was left alone."""
    model = network()
    fit(model)
    return weights(model)


def test_a_folder_that_cannot_be_written_to_is_told_before_the_first_step(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    model = network()
    with pytest.raises(OSError, match="file"):
        fit(model, tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"backup_dir .*b may not be written to"):
        fit(model, tmp_path / "b")
    assert model.steps_done == 0


# --- Ctrl-C -------------------------------------------------------------------------------------


def interrupt_soon(seconds):
    """Send Ctrl-C from another thread."""
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def pressed_at(number, block):
    """Call ``block()`` with Ctrl-C before its instruction of this number; return whether it has so many."""
    left = [number]

    def trace(frame, event, argument):
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        if event == "opcode":
            left[0] -= 1
            if left[0] == -1:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)
        block()
    finally:
        sys.settrace(before)
    return left[0] < 0


def test_ctrl_c_between_any_two_instructions_is_heard_once_and_leaves_pythons_handler():
    done = []

    def block():
        with Interrupts() as interrupts:
            interrupts.held += 1
            done.append("whole")
            done.append("step")
            interrupts.release()

    pressed_at(sys.maxsize, block)  # Python 3.12 and 3.13 count no instructions the first time
    number = raised = 0
    more = True
    while more:
        done.clear()
        try:
            more = pressed_at(number, block)
        except KeyboardInterrupt:
            raised += 1
        else:
            assert not more, f"instruction {number}: the Ctrl-C was lost"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, f"instruction {number}"
        assert len(done) != 1, f"instruction {number}: half of what was held back"
        number += 1
    # Python 3.13 has about half as many instructions for it.
    assert raised == number - 1 > (80 if sys.version_info < (3, 13) else 40)


def test_ctrl_c_leaves_a_whole_number_of_steps():
    steps = {}
    model = network()
    note = LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.__setitem__(model.steps_done, weights(model))
    )
    fit(model, None, note, epochs=30)
    steps[0] = weights(network())
    stopped = 0
    for _ in range(25):
        model = network()
        try:
            timer = interrupt_soon(DRAW.uniform(0.001, 0.08))
            fit(model, epochs=30)
            timer.join()
        except KeyboardInterrupt:
            stopped += 1
        assert model.optimizer.iterations == model.steps_done
        assert weights(model) == steps[model.steps_done]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert stopped > 10


def test_ctrl_c_leaves_a_checkpoint_of_the_last_step(tmp_path):
    expected = uninterrupted()
    for at, event in ((0, "on_train_batch_begin"), (9, "on_train_batch_begin"), (10, "on_batch_end")):
        folder = tmp_path / f"{at}{event}"
        left = [at]

        def press(batch, logs, left=left):
            left[0] -= 1
            if left[0] == -1:
                signal.raise_signal(signal.SIGINT)

        model = network()
        backup = BackupAndRestore(folder)
        with pytest.raises(KeyboardInterrupt):
            fit(model, None, backup, LambdaCallback(**{event: press}))
        last = last_of(str(folder))
        assert last.epoch * 8 + last.step == model.steps_done == at + 1
        found = network()
        fit(found, folder)
        assert weights(found) == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_a_validation_leaves_a_checkpoint(tmp_path):
    def fitted(*more):
        model = network()
        model.fit(
            X[:120], Y[:120], 16, 2, 0, [*more], validation_data=(X[120:], Y[120:]), validation_batch_size=9
        )
        return weights(model), model.history.history

    expected = fitted()
    press = LambdaCallback(
        on_test_batch_begin=lambda batch, logs: batch == 2 and signal.raise_signal(signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        fitted(BackupAndRestore(tmp_path), press)
    assert last_of(str(tmp_path)).step == 8
    assert fitted(BackupAndRestore(tmp_path)) == expected


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    def press(batch, logs):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise Stop

    with pytest.raises(Stop):
        fit(network(), tmp_path, LambdaCallback(on_train_batch_begin=press))


def test_a_handler_of_the_users_own_stays(tmp_path):
    heard = []

    def hear(*_):
        heard.append(1)

    before = signal.signal(signal.SIGINT, hear)
    try:
        press = LambdaCallback(on_epoch_begin=lambda epoch, logs: signal.raise_signal(signal.SIGINT))
        fit(network(), tmp_path, press)
        assert signal.getsignal(signal.SIGINT) is hear
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(heard) == 3


# --- one step at a time -------------------------------------------------------------------------


def test_train_on_batch_draws_anew_at_every_step_and_goes_on_from_a_file(tmp_path):
    model = Sequential([Dropout(0.5, input_shape=(1000,)), Dense(1, use_bias=False)], seed=2)
    model.compile("sgd", "mse")
    kept = []
    for _ in range(6):
        model.optimizer.learning_rate = 1.0
        model.set_weights([np.zeros((1000, 1), np.float32)])
        model.train_on_batch(np.ones((1, 1000), np.float32), np.ones((1, 1), np.float32))
        kept.append(model.get_weights()[0].ravel() != 0)
    shares = [np.mean(a == b) for number, a in enumerate(kept) for b in kept[:number]]
    assert min(shares) > 0.4  # independent draws agree on half of the units
    assert max(shares) < 0.6


def test_a_copy_of_a_model_in_training(tmp_path):
    """It has the weights of its moment, and trains by itself."""
    copies, seen = [], []

    def take(batch, logs):
        copies.append(copy.deepcopy(model))
        seen.append(weights(model))

    model = network()
    fit(model, tmp_path, LambdaCallback(on_train_batch_end=take), epochs=1)
    after = weights(model)
    assert [weights(one) for one in copies] == seen
    assert len(set(map(tuple, seen))) == 8
    assert seen[-1] == after
    for one in (copies[0], copies[-1]):
        then = weights(one)
        fit(one, epochs=1)
        assert weights(one) != then
    assert weights(model) == after


def test_whole_trainings(tmp_path):
    """The program that the long tests kill comes to the bits of a call."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    backup = BackupAndRestore(tmp_path / "b" / "backup", save_freq=1)
    assert train(tmp_path / "b", backup, epochs=2) == train(tmp_path / "a", epochs=2)
