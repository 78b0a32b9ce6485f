"""What may happen during training: record it, show it, stop it, save it.

A callback sees the model only through what Keras' callbacks see too: ``stop_training``,
``optimizer.learning_rate``, ``get_weights``/``set_weights`` and ``save``/``save_weights``.
"""

import csv
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, TextIO

from cconv.control import controlled
from cconv.io.names import check_ending
from cconv.keras_names import refusing
from cconv.monitors import Logs, Monitor
from cconv.shapes import is_int, positive_int


class Callback:
    """The base of all callbacks: every method does nothing.

    A method whose name begins with ``on_`` and that is none of these is refused: it would never be called.

    Attributes
    ----------
    model : Sequential
        The model that trains; set before `on_train_begin`.
    params : dict
        ``verbose`` (int), ``epochs`` (int), ``steps`` (int, batches in an epoch), ``samples`` (int),
        ``metrics`` (list of str, the figures of the logs after an epoch; None where a callback may add some).
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check_events(cls.__name__, cls)

    def set_model(self, model: Any) -> None:
        """Remember the model that trains."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Remember the numbers of epochs and steps."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Do something once before training."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Do something once after training that ran to its end or was stopped by a callback."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Do something before epoch `epoch`, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Do something after epoch `epoch`; `logs` holds losses and metrics, those of validation as val_…."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before batch `batch` of the epoch, counted from 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Do something after batch `batch`; `logs` holds the means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before a batch of training: another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Do something after a batch of training: another name for `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Do something before an evaluation, that of validation data included."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Do something after an evaluation; `logs` holds its figures."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before batch `batch` of an evaluation, counted from 0."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Do something after batch `batch`; `logs` holds the means over the evaluation so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Do something before a prediction that was given this callback."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Do something after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before batch `batch` of a prediction, counted from 0."""

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Do something after batch `batch`; ``logs["outputs"]`` is what the model gave for it."""

    def close(self) -> None:
        """Let go of files and screens; called once when `fit`, `evaluate` or `predict` ends, in any way."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def _check_events(where: str, holder: Any) -> None:
    """Refuse a method that looks like an event and is none; TypeError with the nearest that is."""
    for name in dir(holder):
        if name.startswith("on_") and name not in EVENTS and callable(getattr(holder, name)):
            near = difflib.get_close_matches(name, EVENTS, n=1, cutoff=0.0)[0]
            raise TypeError(
                f"{where}: {name} would never be called; did you mean {near}? There are {', '.join(EVENTS)}"
            )


def flat(callbacks: Any) -> list[Any]:
    """Return what was given as callbacks, one, several, or lists of them, or None, as one list.

    Examples
    --------
    >>> one = Callback()
    >>> flat(one) == flat([one]) == flat([[], [one]]), flat(None)
    (True, [])
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
        return [callbacks]
    return [callback for entry in callbacks for callback in flat(entry)]


class CallbackList:
    """Several callbacks called as one, in order."""

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any], where: str = "fit") -> None:
        self.callbacks = flat(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"{where}: callbacks must be cconv.callbacks.Callback objects, got {callback!r}"
                )
            _check_events(f"{where}: {type(callback).__name__}", callback)
        if any(type(c).__module__ != __name__ or type(c) is LambdaCallback for c in self.callbacks):
            params = {**params, "metrics": None}  # it may add figures of its own to the logs
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)

    @controlled
    def call(self, event: str, *args: Any) -> None:
        """Call the method named `event` of every callback."""
        for callback in self.callbacks:
            getattr(callback, event)(*args)

    def close(self) -> None:
        """Close every callback, whatever the others do."""
        with ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.close)


class History(Callback):
    """What every epoch gave; `fit` returns one.

    Attributes
    ----------
    history : dict of str to list of float
        ``loss``, the metrics, and with ``val_`` in front those of the validation data.
    epoch : list of int
        The numbers of the epochs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the epochs of an earlier `fit`; the figures stay."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the figures."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


def _in_notebook() -> bool:
    # Only IPython's own module can say that it is there, and it is imported wherever it is in use.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config and "ipywidgets" in sys.modules


def format_logs(logs: Logs) -> str:
    """Return losses and metrics as one line: ``loss: 0.1234 - accuracy: 0.9876``."""
    return " - ".join(
        f"{name}: {value:.4{'e' if 0 < abs(value) < 1e-3 else 'f'}}" for name, value in logs.items()
    )


class ProgressBar(Callback):
    """Shows how far training is: a bar in a terminal or notebook, plain lines in a log file.

    Parameters
    ----------
    lines : bool
        One plain line an epoch everywhere, as Keras' ``verbose=2``.
    file : text stream, optional
        Where to write; by default what `sys.stdout` is when training begins.
    """

    def __init__(self, lines: bool = False, file: TextIO | None = None) -> None:
        super().__init__()
        self.lines = lines
        self.file = file
        self._bar: Any = None

    def _stream(self) -> TextIO:
        return self.file if self.file is not None else sys.stdout

    def _has_bar(self) -> bool:
        if self.lines:
            return False
        isatty = getattr(self._stream(), "isatty", None)
        return bool(isatty and isatty()) or (self.file is None and _in_notebook())

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin a bar."""
        if not self._has_bar():
            return
        if self.file is None and _in_notebook():
            from tqdm.notebook import tqdm
        else:
            from tqdm.std import tqdm
        self._bar = tqdm(
            total=self.params["steps"],
            desc=self._title(epoch),
            file=self._stream(),
            unit="batch",
            dynamic_ncols=True,
            leave=True,
        )

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1}/{self.params['epochs']}"

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        if self._bar is not None:
            # The figures are only written out when the bar is drawn, a few times a second.
            self._bar.set_postfix_str(format_logs(logs or {}), refresh=False)
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """End the bar, or write the line."""
        if self._bar is not None:
            self._bar.set_postfix_str(format_logs(logs or {}), refresh=True)
            self.close()
        else:
            print(f"{self._title(epoch)} - {format_logs(logs or {})}", file=self._stream(), flush=True)

    def close(self) -> None:
        """Give the line of the screen back."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bar": None, "file": None}


def _count(where: str, name: str, value: Any) -> int:
    if not is_int(value):
        raise TypeError(f"{where}: {name} must be an int of at least 0, got {value!r}")
    if value < 0:
        raise ValueError(f"{where}: {name} must be an int of at least 0, got {value!r}")
    return int(value)


class EarlyStopping(Callback):
    """Stops training when a figure has stopped improving (arguments as Keras').

    Parameters
    ----------
    monitor : str
        The figure of the logs to follow.
    min_delta : float
        A smaller change is no improvement.
    patience : int
        How many epochs without improvement to bear.
    verbose : int
        1 says when it stops.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better; "auto" knows it of losses and of the metrics of cconv,
        and refuses, before the first epoch, a figure that it does not know. NaN is never better.
    baseline : float, optional
        Only what is better than this counts as improvement.
    restore_best_weights : bool
        At the end give the model the weights of its best epoch; if none improved, of the first looked at.
    start_from_epoch : int
        Epochs before this one are not looked at.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.follow = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience = _count("EarlyStopping", "patience", patience)
        self.start_from_epoch = _count("EarlyStopping", "start_from_epoch", start_from_epoch)
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch: int | None = None
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self._forget()
        self.follow.prepare(self.model)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, remember, and perhaps stop."""
        value = self.follow.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        improved = self.follow.better(value, self.best)
        if self.restore_best_weights and (improved or self.best_weights is None):
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if improved:
            self.best, self.best_epoch = value, epoch
            if self.baseline is None or self.follow.better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights."""
        if self.stopped_epoch is not None and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Callback):
    """Saves the model, or its weights, as training goes on (arguments as Keras').

    Parameters
    ----------
    filepath : path
        May hold fields for the epoch (from 1), the batch and every figure of the logs:
        ``"model-{epoch:02d}-{val_loss:.2f}.safetensors"``. A folder that is missing is made. An ending of
        another format, such as .h5, .keras or .onnx, is a ValueError at once.
    monitor, mode :
        The figure that says what is best, as for `EarlyStopping`.
    verbose : int
        1 says what it saves.
    save_best_only : bool
        Only save when the figure improved; where it is not there, save with a warning.
    save_weights_only : bool
        Weights without configuration and optimizer.
    save_freq : "epoch" or int
        After every epoch, or after every so many batches.
    initial_value_threshold : float, optional
        What the first epoch must improve on.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.filepath = os.fspath(filepath)
        check_ending("ModelCheckpoint: filepath", self.filepath)
        self.follow = Monitor("ModelCheckpoint", monitor, mode, 0.0)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.every = None if save_freq == "epoch" else positive_int("ModelCheckpoint", "save_freq", save_freq)
        self.best = initial_value_threshold
        self._batches = 0
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See that the files can be named, and that their folder is there, before the first epoch."""
        if self.save_best_only:
            self.follow.prepare(self.model)
        names = self.params.get("metrics")
        if names is not None:
            known = [name for name in names if self.every is None or not name.startswith("val_")]
            self._path(1, dict.fromkeys(known, 0.0))
        folder = os.path.dirname(self.filepath)
        if "{" not in folder:
            _make(folder)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the number for the file's name."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save, if it is to be done by batches and this is one."""
        self._batches += 1
        if self.every is not None and self._batches % self.every == 0:
            self._save(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, if it is to be done by epochs."""
        if self.every is None:
            self._save(self.params["steps"], logs)

    def _path(self, batch: int, logs: Logs | None) -> str:
        """Return the name of the next file."""
        try:
            return self.filepath.format(**{**(logs or {}), "epoch": self._epoch + 1, "batch": batch})
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            reason = "" if isinstance(error, KeyError) else f" ({error})"
            raise ValueError(
                f"ModelCheckpoint: filepath may name epoch, batch, {', '.join(logs or {})}, "
                f"got {self.filepath!r}{reason}"
            ) from error

    def _save(self, batch: int, logs: Logs | None) -> None:
        if self.save_best_only:
            value = self.follow.value(logs, "the model is saved")
            if value is not None and not self.follow.better(value, self.best):
                return
            self.best = self.best if value is None else value
        path = self._path(batch, logs)
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: saving the model to {path}")
        _make(os.path.dirname(path))
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)


def _make(folder: str) -> None:
    """Make a folder that is not there yet."""
    if folder:
        os.makedirs(folder, exist_ok=True)


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a figure has stopped improving (arguments as Keras').

    Parameters
    ----------
    monitor, mode, min_delta, verbose :
        As for `EarlyStopping`.
    factor : float
        In (0, 1): what the learning rate is multiplied by.
    patience : int
        How many epochs without improvement to bear.
    cooldown : int
        How many epochs to wait after a reduction before counting again.
    min_lr : float
        The learning rate does not go below this.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must lie in (0, 1), got {factor!r}")
        self.follow = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor = factor
        self.patience = _count("ReduceLROnPlateau", "patience", patience)
        self.cooldown = _count("ReduceLROnPlateau", "cooldown", cooldown)
        self.verbose = verbose
        self.min_lr = min_lr
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.wait = 0
        self.resting = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self._forget()
        self.follow.prepare(self.model)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and perhaps lower the learning rate."""
        value = self.follow.value(logs)
        if value is None:
            return
        if self.resting > 0:
            self.resting -= 1
            self.wait = 0
        if self.follow.better(value, self.best):
            self.best, self.wait = value, 0
        elif self.resting <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        old = optimizer.learning_rate
        if callable(old):
            raise TypeError("ReduceLROnPlateau: the learning rate must be a number, not a schedule")
        new = max(old * self.factor, self.min_lr)
        if new < old:
            optimizer.learning_rate = new
            if self.verbose:
                print(f"Epoch {epoch + 1}: reducing the learning rate to {new:g}")
            self.resting, self.wait = self.cooldown, 0


class CSVLogger(Callback):
    """Writes the figures of every epoch as a line of a CSV file.

    Parameters
    ----------
    filename : path
        Of the file.
    separator : str
        Between the columns.
    append : bool
        Continue a file that exists instead of replacing it.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._file: TextIO | None = None
        self._names: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._names = None
        if self.append and os.path.exists(self.filename):
            with open(self.filename, newline="", encoding="utf-8") as file:
                header = next(csv.reader(file, delimiter=self.separator), None)
            self._names = header[1:] if header else None
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line, before the first one the header."""
        assert self._file is not None
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator)
        if self._names is None:
            self._names = list(logs)
            writer.writerow(["epoch", *self._names])
        writer.writerow([epoch, *(logs.get(name, "NA") for name in self._names)])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LambdaCallback(Callback):
    """A callback made of functions, each with the arguments of the method of its name.

    Examples
    --------
    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> shout.on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        super().__init__()
        for name, function in functions.items():
            if name not in EVENTS:
                raise TypeError(f"LambdaCallback: expected some of {', '.join(EVENTS)}, got {name}")
            if function is not None:
                if not callable(function):
                    raise TypeError(f"LambdaCallback: {name} must be a function, got {function!r}")
                setattr(self, name, function)


refusing(globals())
