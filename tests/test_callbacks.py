"""The callbacks, alone on made-up figures and in a real training."""

import csv
import io
import pickle
import sys
import types

import numpy as np
import pytest

from cconv import metrics
from cconv.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    format_logs,
)
from cconv.layers import Dense
from cconv.models import Sequential, load_model
from cconv.optimizers import SGD

RNG = np.random.default_rng(2)
X = RNG.normal(size=(40, 3))
Y = X @ np.array([[1.0], [2.0], [-1.0]])


def network(rate=0.05):
    model = Sequential([Dense(1, input_shape=(3,))], seed=0)
    model.compile(SGD(rate), "mse", ["mae"])
    return model


class Puppet:
    """A model for callbacks whose figures the test makes up."""

    def __init__(self):
        self.stop_training = False
        self.optimizer = SGD(1.0)
        self.weights = [np.zeros(1)]
        self.saved = []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path):
        self.saved.append(path)


def play(callback, values, name="val_loss"):
    """Give the callback one epoch after another until it stops; return the puppet and the epochs run."""
    model = Puppet()
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "steps": 1, "verbose": 0})
    callback.on_train_begin()
    epoch = -1
    for epoch, value in enumerate(values):
        model.weights = [np.full(1, float(epoch))]
        callback.on_epoch_begin(epoch, {})
        callback.on_epoch_end(epoch, {name: value})
        if model.stop_training:
            break
    callback.on_train_end({})
    return model, epoch + 1


def test_the_order_of_events():
    events = []
    names = [name for name in vars(Callback) if name.startswith("on_")]
    spy = LambdaCallback(
        **{name: lambda *args, name=name: events.append((name, *args[:-1])) for name in names}
    )
    network().fit(X, Y, batch_size=20, epochs=2, verbose=0, validation_split=0.5, callbacks=[spy])
    epoch = [
        *(("on_train_batch_begin", 0), ("on_train_batch_end", 0)),
        *(("on_test_begin",), ("on_test_batch_begin", 0), ("on_test_batch_end", 0), ("on_test_end",)),
    ]
    expected = [("on_train_begin",)]
    for number in range(2):
        expected += [("on_epoch_begin", number), *epoch, ("on_epoch_end", number)]
    assert events == [*expected, ("on_train_end",)]


def test_history_is_returned_and_kept():
    model = network()
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.25)
    assert isinstance(history, History)
    assert model.history is history
    assert history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
    assert all(len(values) == 3 for values in history.history.values())
    assert all(isinstance(value, float) for values in history.history.values() for value in values)
    assert history.params["epochs"] == 3


def test_stop_training_ends_after_the_batch():
    seen = []

    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)
            self.model.stop_training = batch == 1

    history = network().fit(X, Y, batch_size=10, epochs=5, verbose=0, callbacks=[Stop()])
    assert seen == [0, 1]
    assert history.epoch == [0]


# --- EarlyStopping -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [3, 2, 2, 1], 3),
        ({"patience": 1}, [3, 2, 2, 1], 3),
        ({"patience": 2}, [3, 2, 2, 1, 1, 1, 0], 6),
        ({"min_delta": 0.5}, [3, 2.7, 1], 2),
        ({"patience": 2, "baseline": 1.0}, [3, 2, 0.5], 3),
        ({"patience": 2, "baseline": 1.0}, [3, 2, 2, 0.5], 3),
        ({"patience": 3, "baseline": 1.0}, [3, 2, 0.5, 0.6, 0.6, 0.6, 0], 6),
        ({"start_from_epoch": 2}, [1, 2, 3, 2, 4], 5),
        ({"mode": "max"}, [1, 2, 3, 2], 4),
        ({"mode": "min"}, [1, 2], 2),
        ({"patience": 2.0}, [3, 2, 2, 1, 1, 1, 0], 6),
        ({"patience": 1.5}, [3, 2, 2, 1, 1, 1, 0], 6),
        ({"patience": float("inf")}, [3, 3, 3, 3, 3, 3], 6),
        ({}, [float("nan"), float("nan")], 2),
    ],
)
def test_early_stopping(options, values, epochs):
    stopper = EarlyStopping(**options)
    model, run = play(stopper, values)
    assert run == epochs
    assert model.stop_training == (stopper.stopped_epoch > 0)


def test_early_stopping_knows_that_accuracies_grow():
    assert play(EarlyStopping("val_accuracy"), [0.1, 0.2, 0.3, 0.2, 0.5], "val_accuracy")[1] == 4
    assert play(EarlyStopping("acc"), [0.1, 0.2, 0.3, 0.2, 0.5], "acc")[1] == 4
    assert play(EarlyStopping("loss"), [0.1, 0.2], "loss")[1] == 2


def test_early_stopping_restores_the_best_weights(capsys):
    stopper = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    model, _ = play(stopper, [3, 1, 2, 2])
    assert (stopper.best_epoch, stopper.best, model.weights[0][0]) == (1, 1, 1.0)
    assert capsys.readouterr().out == "Epoch 4: early stopping\nRestoring the weights of the best epoch: 2\n"
    model, _ = play(EarlyStopping(patience=9, restore_best_weights=True), [3, 1, 2])
    assert model.weights[0][0] == 1.0, "also when training ran to its end"
    model, _ = play(EarlyStopping(patience=2), [3, 1, 2, 2])
    assert model.weights[0][0] == 3.0


def test_early_stopping_in_a_training():
    model = network(0.0)
    history = model.fit(
        X, Y, epochs=9, verbose=0, validation_split=0.5, callbacks=[EarlyStopping(patience=2)]
    )
    assert history.epoch == [0, 1, 2]


NAN = float("nan")


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("first", [1, 3])
def test_nan_never_improves(first, mode):
    values = [*[NAN] * first, 2.0, NAN, 3.0, NAN, NAN, NAN]
    best = first if mode == "min" else first + 2
    stopper = EarlyStopping(mode=mode, patience=3, restore_best_weights=True)
    model, run = play(stopper, values)
    assert run == (3 if first == 3 else best + 4)
    assert model.weights[0][0] == (0 if first == 3 else best), "if all were NaN those of the first"
    saver = ModelCheckpoint("{epoch}", mode=mode, save_best_only=True)
    wanted = [first] if mode == "min" else [first, first + 2]
    assert play(saver, values)[0].saved == [f"{i + 1}" for i in wanted]
    plateau = ReduceLROnPlateau(mode=mode, patience=2, factor=0.5)
    assert play(plateau, [2.0, NAN, NAN, NAN, NAN])[0].optimizer.learning_rate == 0.25
    assert plateau.best == 2.0


@pytest.mark.filterwarnings("ignore:.* lacks metrics of your own")
@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau, ModelCheckpoint])
def test_a_figure_of_unknown_direction_needs_a_mode(kind, tmp_path):
    def f1(y_true, y_pred):
        return 0.5

    first = [tmp_path / "m"] if kind is ModelCheckpoint else []
    best = {"save_best_only": True} if first else {}
    model = Sequential([Dense(1, input_shape=(3,))], seed=0)
    model.compile("sgd", "mse", [f1, metrics.MeanMetricWrapper(metrics.mean_absolute_error, "far")])
    before = model.get_weights()
    for name in ("f1", "val_f1", "nothing"):
        wanted = f"{kind.__name__}: mode must be 'min' or 'max' for monitor '{name}'.* got 'auto'"
        with pytest.raises(ValueError, match=wanted):
            model.fit(X, Y, verbose=0, callbacks=kind(*first, monitor=name, **best))
    assert np.array_equal(model.get_weights()[0], before[0]), "before the first epoch"
    for options in ({"monitor": "f1", "mode": "max"}, {"monitor": "far"}, {"monitor": "loss"}):
        model.fit(X, Y, verbose=0, callbacks=kind(*first, **options, **best))


def test_a_callback_alone_and_lists_in_lists():
    stopper, other = EarlyStopping("loss", patience=1), History()
    network().fit(X, Y, epochs=2, verbose=0, callbacks=other)
    assert other.epoch == [0, 1]
    network().fit(X, Y, epochs=2, verbose=0, callbacks=[[stopper], (other, [])])
    assert other.epoch == [0, 1]
    for wrong in ("abc", 3, EarlyStopping, [print]):
        with pytest.raises(TypeError, match=r"fit: callbacks must be cconv.callbacks.Callback objects, got"):
            network().fit(X, Y, verbose=0, callbacks=wrong)


def test_a_figure_that_is_not_there_is_warned_of():
    with pytest.warns(UserWarning, match=r"EarlyStopping: monitor 'val_loss' is not among .*\(loss, mae\)"):
        history = network().fit(X, Y, epochs=1, verbose=0, callbacks=[EarlyStopping()])
    assert history.epoch == [0]


# --- ModelCheckpoint ---------------------------------------------------------------------------


def test_checkpoints_are_named_after_epoch_and_figures(tmp_path):
    model = network()
    saver = ModelCheckpoint(tmp_path / "m-{epoch:02d}-{loss:.3f}-{batch}")
    history = model.fit(X, Y, batch_size=20, epochs=2, verbose=0, callbacks=[saver])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"m-{i + 1:02d}-{loss:.3f}-2" for i, loss in enumerate(history.history["loss"])]
    twin = load_model(tmp_path / names[1])
    assert np.array_equal(twin.get_weights()[0], model.get_weights()[0])


def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path):
    whole, part = network(), network()
    whole.fit(X, Y, batch_size=16, epochs=4, verbose=0)
    part.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "m")])
    twin = load_model(tmp_path / "m")
    twin.fit(X, Y, batch_size=16, epochs=4, initial_epoch=2, verbose=0)
    assert np.array_equal(twin.get_weights()[0], whole.get_weights()[0])


def test_only_the_best_is_saved(capsys):
    saver = ModelCheckpoint("e{epoch}", save_best_only=True, verbose=1)
    model, _ = play(saver, [3, 4, 2, 2, 1])
    assert model.saved == ["e1", "e3", "e5"]
    assert capsys.readouterr().out.splitlines()[1] == "Epoch 3: saving the model to e3"
    saver = ModelCheckpoint("e{epoch}", save_best_only=True, initial_value_threshold=2.5)
    assert play(saver, [3, 4, 2, 2, 1])[0].saved == ["e3", "e5"]
    saver = ModelCheckpoint("e{epoch}", monitor="accuracy", save_best_only=True)
    assert play(saver, [0.1, 0.3, 0.2], "accuracy")[0].saved == ["e1", "e2"]


def test_saving_by_batches_and_weights_alone(tmp_path):
    saver = ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=3, save_weights_only=True)
    model = network()
    model.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[saver])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-3", "2-2"]
    model.load_weights(tmp_path / "1-3")


@pytest.mark.parametrize("name", ["{val}", "{val_loss}", "{}", "{epoch", "{epoch:q}", "{loss.x}", "{loss:d}"])
def test_a_wrong_name_of_a_checkpoint_is_found_before_the_first_epoch(name, tmp_path):
    model = network()
    with pytest.raises(
        ValueError, match=r"ModelCheckpoint: filepath may name epoch, batch, loss, mae, got '"
    ):
        model.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "deep" / name)])
    assert model.steps_done == 0
    saver = ModelCheckpoint(f"{tmp_path}/{{val_loss}}", save_freq=1)
    with pytest.raises(ValueError, match=r"filepath may name epoch, batch, loss, mae, got"):
        model.fit(X, Y, verbose=0, validation_split=0.5, callbacks=saver)


def test_names_with_the_figures_of_validation_and_of_other_callbacks(tmp_path):
    saver = ModelCheckpoint(tmp_path / "{val_loss:.3f}-{val_mae:.3f}-{loss:e}-{epoch:03d}")
    network().fit(X, Y, verbose=0, validation_split=0.5, callbacks=saver)
    adds = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=1.5))
    network().fit(X, Y, verbose=0, callbacks=[adds, ModelCheckpoint(tmp_path / "{mine}")])
    assert (tmp_path / "1.5").exists()


def test_a_missing_folder_is_made(tmp_path):
    for where in ("a/b/m", "c-{epoch}/{loss:.1f}/m"):
        network().fit(X, Y, verbose=0, epochs=2, callbacks=ModelCheckpoint(tmp_path / where))
    assert (tmp_path / "a" / "b" / "m").exists()
    assert len(list(tmp_path.glob("c-[12]/*/m"))) == 2
    (tmp_path / "file").write_text("")
    model = network()
    with pytest.raises(OSError, match="file"):
        model.fit(X, Y, verbose=0, callbacks=ModelCheckpoint(tmp_path / "file" / "m"))
    assert model.steps_done == 0


def test_the_best_of_a_figure_that_is_not_there_is_saved_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="monitor 'val_loss' is not among .*; the model is saved"):
        network().fit(X, Y, verbose=0, callbacks=ModelCheckpoint(tmp_path / "m", save_best_only=True))
    assert (tmp_path / "m").exists()


def test_checkpoint_refuses():
    with pytest.raises(TypeError, match="save_freq must be a positive int, got 'batch'"):
        ModelCheckpoint("m", save_freq="batch")


# --- ReduceLROnPlateau -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values", "rate"),
    [
        ({"patience": 2}, [3, 2, 2, 1], 1.0),
        ({"patience": 2}, [3, 2, 2, 2], 0.1),
        ({"patience": 1, "factor": 0.5}, [2, 2, 2], 0.25),
        ({"patience": 1, "factor": 0.5, "cooldown": 2}, [2, 2, 2], 0.5),
        ({"patience": 1, "factor": 0.5, "cooldown": 2}, [2, 2, 2, 2], 0.25),
        ({"patience": 1, "factor": 0.5, "min_lr": 0.4}, [2, 2, 2, 2], 0.4),
        ({"patience": 1, "min_delta": 0.5}, [2, 1.8], 0.1),
    ],
)
def test_reduce_on_plateau(options, values, rate):
    model, _ = play(ReduceLROnPlateau(**options), values)
    assert model.optimizer.learning_rate == pytest.approx(rate)


def test_reduce_on_plateau_says_so(capsys):
    play(ReduceLROnPlateau(patience=1, verbose=1), [2, 2])
    assert capsys.readouterr().out == "Epoch 2: reducing the learning rate to 0.1\n"


def test_a_schedule_cannot_be_reduced():
    callback = ReduceLROnPlateau(patience=1)
    callback.set_model(Puppet())
    callback.model.optimizer._learning_rate = lambda step: 1.0
    callback.on_epoch_end(0, {"val_loss": 2})
    with pytest.raises(TypeError, match="not a schedule"):
        callback.on_epoch_end(1, {"val_loss": 2})


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: EarlyStopping(patience=-1), ValueError, "patience must be a number of at least 0, got -1"),
        (lambda: EarlyStopping(patience="2"), TypeError, "patience must be a number of at least 0, got '2'"),
        (lambda: EarlyStopping(monitor=3), TypeError, "monitor must be a str"),
        (lambda: ReduceLROnPlateau(factor=1.0), ValueError, r"factor must lie in \(0, 1\), got 1.0"),
        (lambda: LambdaCallback(on_lunch=print), TypeError, "got on_lunch"),
        (lambda: LambdaCallback(on_epoch_end=3), TypeError, "on_epoch_end must be a function, got 3"),
    ],
)
def test_refusals(make, error, text):
    with pytest.raises(error, match=text):
        make()


# --- CSVLogger ---------------------------------------------------------------------------------


def rows(path, separator=","):
    with open(path, newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    model = network()
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[CSVLogger(path)]).history
    # Keras' columns, also those of a validation that there was none of.
    assert rows(path)[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert {value for row in rows(path)[1:] for value in row[3:]} == {"NA"}
    assert [[int(row[0]), *map(float, row[1:3])] for row in rows(path)[1:]] == [
        [i, history["loss"][i], history["mae"][i]] for i in range(2)
    ]
    model.fit(X, Y, epochs=3, initial_epoch=2, verbose=0, callbacks=[CSVLogger(path, append=True)])
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1", "2"]
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[CSVLogger(path, separator=";")])
    assert [row[0] for row in rows(path, ";")] == ["epoch", "0"]


def test_csv_logger_closes_its_file_after_an_error(tmp_path):
    def fail(epoch, logs):
        raise RuntimeError("stop")

    logger = CSVLogger(tmp_path / "log.csv")
    with pytest.raises(RuntimeError, match="stop"):
        network().fit(X, Y, epochs=2, verbose=0, callbacks=[logger, LambdaCallback(on_epoch_end=fail)])
    assert logger._file is None
    assert len(rows(tmp_path / "log.csv")) == 2


# --- ProgressBar -------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_a_log_file_gets_one_plain_line_an_epoch(verbose, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stdout", log)
    history = network().fit(X, Y, epochs=2, verbose=verbose).history
    lines = log.getvalue().splitlines()
    assert lines == [
        f"Epoch {i + 1}/2 - loss: {history['loss'][i]:.4f} - mae: {history['mae'][i]:.4f}" for i in range(2)
    ]


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda file: (120, 24))
    monkeypatch.setattr(sys, "stdout", screen)
    history = network().fit(X, Y, batch_size=10, epochs=2, validation_split=0.5).history
    text = screen.getvalue()
    assert "\r" in text
    assert "Epoch 2/2: 2/2 |" in text
    assert f"val_mae: {history['val_mae'][1]:.4f}" in text
    assert text.endswith("\n")


@pytest.mark.parametrize("columns", [200, 100, 80, 60, 40, 20])
@pytest.mark.parametrize(
    "names", [["loss"], ["loss", "accuracy"], ["loss", "accuracy", "val_loss", "val_accuracy"]]
)
def test_figures_are_not_cut_on_a_narrow_screen(columns, names, monkeypatch):
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda file: (columns, 24))
    screen = Terminal()
    bar = ProgressBar(file=screen)
    bar.set_params({"epochs": 10, "steps": 157})
    figures = dict.fromkeys(names, 0.1234)
    bar.on_train_begin()
    bar.on_epoch_begin(9)
    for batch in range(157):
        bar.on_train_batch_end(batch, figures)
    bar.on_epoch_end(9, figures)
    last = screen.getvalue().rstrip("\n").split("\r")[-1]
    assert last.startswith("Epoch 10/10")
    lines = last.split("\n")
    assert " - ".join(line.strip() for line in lines).endswith(format_logs(figures))
    if len(lines) > 1:  # cut between figures alone, those of validation begin a line
        assert all(len(line) <= columns or " - " not in line.removeprefix("Epoch 10/10 - ") for line in lines)
        assert all(line.strip().startswith("val_") for line in lines if "val_" in line)
        assert {len(line) - len(line.lstrip()) for line in lines[1:]} == {len("Epoch 10/10 - ")}
    if columns >= 80 and len(names) <= 2:
        assert "157/157" in last
        assert last.count("#") >= 8
    if "|" in last:
        assert len(last) <= columns


def test_the_line_of_an_epoch_that_runs_is_never_longer_than_the_screen(monkeypatch):
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda file: (80, 24))
    names = ["loss", "accuracy", "sparse_top_k_categorical_accuracy", "another_quite_long_name"]
    for steps in (157, None):
        screen = Terminal()
        bar = ProgressBar(file=screen)
        bar.set_params({"epochs": 10, "steps": steps})
        bar.on_train_begin()
        bar.on_epoch_begin(9)
        bar._bar.bar.mininterval = bar._bar.bar.miniters = 0
        for batch in range(157):
            bar.on_train_batch_end(batch, dict.fromkeys(names, 0.1234))
        pictures = screen.getvalue().split("\r")
        assert len(pictures) > 100
        assert all(len(picture.rstrip()) <= 80 for picture in pictures)
        assert pictures[-1].rstrip().endswith("loss: 0.1234 - accuracy: 0.1234")
        bar.close()


def test_an_end_that_nobody_knew_is_known_when_it_has_come(monkeypatch):
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda file: (80, 24))
    screen = Terminal()
    bar = ProgressBar(file=screen)
    bar.set_params({"epochs": 1, "steps": None})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    bar._bar.bar.mininterval = bar._bar.bar.miniters = 0
    for batch in range(20):
        bar.on_train_batch_end(batch, {"loss": 0.5})
    assert "Epoch 1/1: 19/? 00:00, loss: 0.5000" in screen.getvalue()
    assert "|" not in screen.getvalue()
    assert "%" not in screen.getvalue()
    bar.on_epoch_end(0, {"loss": 0.5})
    last = screen.getvalue().rstrip("\n").split("\r")[-1]
    assert last.startswith("Epoch 1/1: 20/20 |########")


def test_a_notebook_gets_one_output_that_changes(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, raw):
            shown[-1] = data["text/plain"]

    def display(data, raw, display_id):
        shown.append(data["text/plain"])
        return Handle()

    class OutStream(io.StringIO):
        __module__ = "ipykernel.iostream"

    module = types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(sys, "stdout", OutStream())
    history = network().fit(X, Y, epochs=3).history
    assert len(shown) == 1
    lines = shown[0].split("\n")
    assert [line.split(":")[0] for line in lines] == [f"Epoch {n}/3" for n in (1, 2, 3)]
    assert [f"loss: {loss:.4f}" in line for line, loss in zip(lines, history["loss"], strict=True)] == [
        True
    ] * 3
    assert all("█" in line and len(line) <= 100 for line in lines)
    network().fit(X, Y, epochs=120)
    assert [text.count("\n") + 1 for text in shown[1:]] == [100, 20]
    network().fit(X, Y, verbose=2)
    assert len(shown) == 3
    assert sys.stdout.getvalue().startswith("Epoch 1/1 - loss: ")


def test_a_terminal_gets_lines_when_asked(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    network().fit(X, Y, verbose=2)
    assert "\r" not in screen.getvalue()


def test_silence(capsys):
    model = network()
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_the_bar_is_closed_when_training_is_interrupted():
    def interrupt(batch, logs):
        raise KeyboardInterrupt

    screen = Terminal()
    bar = ProgressBar(file=screen)
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, Y, verbose=0, callbacks=[bar, LambdaCallback(on_train_batch_end=interrupt)])
    assert bar._bar is None
    assert screen.getvalue().endswith("\n")


def test_evaluate_prints_its_figures(capsys):
    loss, mae = network().evaluate(X, Y)
    assert capsys.readouterr().out == f"40 samples - loss: {loss:.4f} - mae: {mae:.4f}\n"


def test_small_figures_keep_their_digits():
    assert format_logs({"loss": 0.00001234, "accuracy": 1.0, "mae": 0.0}) == (
        "loss: 1.2340e-05 - accuracy: 1.0000 - mae: 0.0000"
    )


def test_callbacks_can_be_pickled():
    for callback in (History(), ProgressBar(file=sys.stderr), EarlyStopping(), CSVLogger("log.csv")):
        assert type(pickle.loads(pickle.dumps(callback))) is type(callback)


def test_a_history_and_a_progress_bar_of_ones_own_are_those_of_fit(capsys):
    own, model = History(), network()
    for epochs in (1, 2):
        assert model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[own]) is own
        assert model.history is own
        assert (len(own.history["loss"]), own.epoch) == ((1, [0]), (3, [0, 1]))[epochs - 1]
    for callbacks in ([], [ProgressBar()], [[ProgressBar(lines=True)]]):
        capsys.readouterr()
        network().fit(X, Y, epochs=2, callbacks=callbacks)
        out = capsys.readouterr()
        assert (out.out + out.err).count("Epoch 2/2") == 1


def test_the_loss_of_a_batch_of_an_evaluation_has_the_penalties():
    model, seen = Sequential([Dense(1, input_shape=(3,), kernel_regularizer="l2")], seed=0), []
    model.compile("sgd", "mse")
    watch = LambdaCallback(on_test_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    assert model.evaluate(X, Y, batch_size=15, verbose=0, callbacks=[watch]) == seen[-1]
    assert seen[0] == model.evaluate(X[:15], Y[:15], verbose=0)
