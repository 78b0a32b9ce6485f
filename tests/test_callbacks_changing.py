"""Callbacks that set the rate, swap weights, end at NaN or write for TensorBoard, and what logs tell."""

import math
import sys
import types

import numpy as np
import pytest

from cconv import schedules
from cconv.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TensorBoard,
    TerminateOnNaN,
)
from cconv.layers import Dense
from cconv.models import Sequential, load_model
from cconv.models.training import NonFiniteLossError
from cconv.optimizers import SGD

RNG = np.random.default_rng(2)
X = RNG.normal(size=(40, 3))
Y = X @ np.array([[1.0], [2.0], [-1.0]])


def network(optimizer=0.05):
    model = Sequential([Dense(1, input_shape=(3,))], seed=0)
    model.compile(SGD(optimizer) if isinstance(optimizer, float) else optimizer, "mse", ["mae"])
    return model


# --- the learning rate -----------------------------------------------------------------------------


def test_a_rate_by_epochs(capsys):
    model = network(0.5)
    halving = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate, verbose=1)
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=halving).history
    assert history["learning_rate"] == [0.5, 0.25, 0.125]
    assert model.optimizer.learning_rate == 0.125
    said = "Epoch 3: LearningRateScheduler setting learning rate to 0.125."
    assert capsys.readouterr().out.splitlines()[-1] == said
    alone = LearningRateScheduler(lambda epoch: np.float32(0.25) * (epoch + 1))
    assert model.fit(X, Y, epochs=2, verbose=0, callbacks=[alone]).history["learning_rate"] == [0.25, 0.5]
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[alone])
    with pytest.raises(ValueError, match=r"LearningRateScheduler: schedule must return a float, got 1"):
        model.fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch, rate: 1))
    with pytest.raises(TypeError, match=r"schedule must be a function of epoch and rate, got 0.1"):
        LearningRateScheduler(0.1)


def test_a_schedule_is_not_overwritten():
    model = network(SGD(schedules.ExponentialDecay(0.1, 10, 0.5)))
    with pytest.raises(TypeError, match="LearningRateScheduler: the learning rate must be a number, not"):
        model.fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch, rate: rate))
    assert model.steps_done == 0
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert model.optimizer.learning_rate == 0.05
    model.optimizer.learning_rate = 1e-3
    assert model.optimizer.learning_rate == 1e-3


def test_a_plateau_tells_its_rate_and_files_are_named_by_it(tmp_path):
    lowers = ReduceLROnPlateau("loss", factor=0.5, patience=1)
    saves = ModelCheckpoint(tmp_path / "{learning_rate}-{epoch}")
    model = network(SGD(4.0, clipnorm=1.0))
    history = model.fit(X, Y, epochs=4, verbose=0, callbacks=[lowers, saves]).history
    rates = history["learning_rate"]
    assert rates[0] == 4.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 4.0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{rate}-{epoch + 1}" for epoch, rate in enumerate(rates)}
    for order in ([saves, lowers], saves):
        with pytest.raises(ValueError, match="filepath may name epoch, batch, loss, mae, got"):
            model.fit(X, Y, verbose=0, callbacks=order)
    by_batches = ModelCheckpoint(tmp_path / "{learning_rate}", save_freq=1)
    with pytest.raises(ValueError, match="filepath may name epoch, batch, loss, mae, got"):
        model.fit(X, Y, verbose=0, callbacks=[lowers, by_batches])


# --- logs ------------------------------------------------------------------------------------------


def test_what_a_callback_adds_reaches_later_ones_and_the_history(tmp_path):
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = epoch + 0.5

    heard = []
    hears = LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append(dict(logs)))
    path = tmp_path / "deep" / "log.csv"
    stops = EarlyStopping("mine", patience=0.0, mode="max")
    history = network().fit(X, Y, epochs=2, verbose=0, callbacks=[Adds(), hears, CSVLogger(path), stops])
    assert history.history["mine"] == [0.5, 1.5]
    assert [logs["mine"] for logs in heard] == [0.5, 1.5]
    assert path.read_text().splitlines()[0] == "epoch,loss,mae,mine,val_loss,val_mae,val_mine"
    assert (stops.best, stops.best_epoch, stops.stopped_epoch) == (1.5, 1, 0)


def test_a_callback_alone_works_everywhere():
    seen = []
    spy = LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append("fit"),
        on_test_end=lambda logs: seen.append("evaluate"),
        on_predict_end=lambda logs: seen.append("predict"),
    )
    model = network()
    model.fit(X, Y, verbose=0, callbacks=spy)
    model.evaluate(X, Y, verbose=0, callbacks=spy)
    model.predict(X, verbose=0, callbacks=spy)
    assert seen == ["fit", "evaluate", "predict"]


def test_a_mode_that_is_unknown_is_warned_of():
    with pytest.warns(UserWarning, match="EarlyStopping: mode 'foo' is unknown, fallback to auto mode"):
        stopper = EarlyStopping("loss", mode="foo")
    assert stopper.follow.mode == "auto"


# --- NaN -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_nan_ends_training(value, capsys):
    x = X.copy()
    x[25, 1] = value
    model, ends = network(), []
    end = LambdaCallback(on_train_end=lambda logs: ends.append(dict(logs)))
    options = {"batch_size": 10, "epochs": 3, "verbose": 0, "shuffle": False}
    history = model.fit(x, Y, callbacks=[TerminateOnNaN(), end], **options)
    assert capsys.readouterr().out == "Batch 2: Invalid loss, terminating training\n"
    assert history.epoch == [0]
    assert not math.isfinite(history.history["loss"][0])
    assert len(ends) == 1
    assert model.steps_done == 2
    plain = network()
    with pytest.raises(NonFiniteLossError):
        plain.fit(x, Y, **options)
    assert np.array_equal(plain.get_weights()[0], model.get_weights()[0]), "those before the step"
    assert np.isfinite(model.get_weights()[0]).all()
    model.fit(X, Y, verbose=0, callbacks=TerminateOnNaN())
    with pytest.raises(RuntimeError, match=r"NaN or Inf loss encountered at batch 2. Loss value: "):
        network().fit(x, Y, callbacks=[TerminateOnNaN(raise_error=True), end], **options)
    assert len(ends) == 1


def test_a_callback_that_does_not_stop_at_nan_gets_the_error():
    class Deaf(TerminateOnNaN):
        def on_batch_end(self, batch, logs=None):
            pass

    with pytest.raises(NonFiniteLossError):
        network().fit(X * np.nan, Y, verbose=0, callbacks=Deaf())


# --- means of weights ------------------------------------------------------------------------------


def averaging():
    return network(SGD(0.05, use_ema=True, ema_momentum=0.5))


def test_evaluations_see_the_means_and_training_goes_on_without(tmp_path):
    model, plain, seen = averaging(), averaging(), []
    watch = LambdaCallback(on_test_batch_end=lambda batch, logs: seen.append(model.get_weights()[0].copy()))
    options = {"batch_size": 20, "epochs": 3, "verbose": 0}
    history = model.fit(X, Y, validation_data=(X, Y), callbacks=[SwapEMAWeights(), watch], **options)
    plain.fit(X, Y, **options)
    assert np.array_equal(model.get_weights()[0], plain.get_weights()[0])
    assert np.array_equal(seen[-1], model.get_weights()[0]), "the means are the weights in the end"
    loss = model.evaluate(X, Y, verbose=0)[0]
    assert history.history["val_loss"][-1] == loss
    saves = ModelCheckpoint(tmp_path / "{epoch}")

    class Stops(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    for stops in ([], [Stops()]):
        again = averaging()
        swaps = [SwapEMAWeights(swap_on_epoch=True), saves, *stops]
        again.fit(X, Y, validation_data=(X, Y), callbacks=swaps, **options)
        last = load_model(tmp_path / ("1" if stops else "3"))
        assert np.array_equal(last.get_weights()[0], again.get_weights()[0])
        if not stops:
            assert np.array_equal(again.get_weights()[0], plain.get_weights()[0])


def test_predictions_see_the_means_and_errors_give_the_weights_back():
    model = averaging()
    for _ in range(3):
        model.train_on_batch(X, Y)
    before = model.get_weights()[0].copy()
    plain = model.predict(X, verbose=0)
    found = model.predict(X, verbose=0, callbacks=SwapEMAWeights())
    assert not np.array_equal(found, plain)
    assert np.array_equal(model.get_weights()[0], before)

    def fail(batch, logs):
        raise KeyError("stop")

    with pytest.raises(KeyError):
        model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights(), LambdaCallback(on_test_batch_end=fail)])
    assert np.array_equal(model.get_weights()[0], before)
    with pytest.raises(ValueError, match="SwapEMAWeights: the optimizer must be one with use_ema=True"):
        network().predict(X, verbose=0, callbacks=SwapEMAWeights())


# --- TensorBoard -----------------------------------------------------------------------------------


def writer_into(found):
    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, name, value, step):
            found.append((self.folder.replace("\\", "/").split("/")[-1], name, float(value), step))

        def close(self):
            found.append("closed")

    return SummaryWriter


def test_figures_for_tensorboard(monkeypatch, tmp_path):
    found = []
    fake = types.ModuleType("tensorboardX")
    fake.SummaryWriter = writer_into(found)
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    model = network()
    callback = TensorBoard(tmp_path / "logs", update_freq=2)
    history = model.fit(X, Y, batch_size=10, epochs=1, verbose=0, validation_data=(X, Y), callbacks=callback)
    figures = history.history
    steps = [(part, name, step) for part, name, _, step in found[:4]]
    assert steps == [("train", f"batch_{name}", step) for step in (2, 4) for name in ("loss", "mae")]
    assert found[4:] == [
        ("validation", "evaluation_loss_vs_iterations", figures["val_loss"][0], 4),
        ("validation", "evaluation_mae_vs_iterations", figures["val_mae"][0], 4),
        ("train", "epoch_loss", figures["loss"][0], 0),
        ("train", "epoch_mae", figures["mae"][0], 0),
        ("train", "epoch_learning_rate", 0.05, 0),
        ("validation", "epoch_loss", figures["val_loss"][0], 0),
        ("validation", "epoch_mae", figures["val_mae"][0], 0),
        *["closed"] * 2,
    ]
    for wrong in ("never", 0):
        with pytest.raises(ValueError, match="TensorBoard: update_freq must be"):
            TensorBoard(update_freq=wrong)
    with pytest.raises(TypeError, match="TensorBoard: histogram_freq is not supported"):
        TensorBoard(histogram_freq=1)


def test_without_a_writer_it_is_refused_at_once(monkeypatch):
    for name in ("tensorboardX", "tensorboard", "tensorboard.summary"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"TensorBoard: the package tensorboardX or .* or use CSVLogger"):
        TensorBoard("logs")


def test_the_history_is_the_last_to_hear():
    order = []

    class Own(History):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            order.append(len(self.history["loss"]))

    model = network()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=Own())
    assert order == [1, 2]
    assert model.history.epoch == [0, 1]
