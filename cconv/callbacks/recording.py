"""Callbacks that record a training: in memory, in a file, or by functions."""

import csv
import os
from collections.abc import Callable
from typing import Any, TextIO

from cconv.arguments.paths import as_path
from cconv.callbacks.base import EVENTS, Callback
from cconv.callbacks.monitors import Logs


def make_folder(folder: str) -> None:
    """Make a folder if it does not exist."""
    if folder:
        os.makedirs(folder, exist_ok=True)


class History(Callback):
    """The figures of every epoch; `fit` returns one.

    Attributes
    ----------
    history : dict of str to list of float
        ``loss``, the metrics, and with the prefix ``val_`` those of the validation data.
    epoch : list of int
        The numbers of the epochs.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(x, y, epochs=3, verbose=0)
    >>> history.epoch, len(history.history["loss"])
    ([0, 1, 2], 3)
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self._counted: dict[str, list[int]] = {}  # the epochs of each figure, of all trainings, from 1 on
        self._epochs: int = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the epoch numbers of an earlier `fit`; its figures are kept."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the figures."""
        self.epoch.append(epoch)
        self._epochs += 1
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._counted.setdefault(name, []).append(self._epochs)

    def get_state(self) -> dict[str, Any]:
        """Return the figures and their epochs."""
        counted = {"counted": self._counted, "epochs": self._epochs}
        return {"history": self.history, "epoch": self.epoch, **counted}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the figures of earlier epochs."""
        self.history, self.epoch = state["history"], state["epoch"]
        self._counted, self._epochs = state.get("counted", {}), state.get("epochs", len(self.epoch))


def epochs_of(history: Any) -> dict[str, list[int]]:
    """Return the epochs of each figure, from 1 on: `validation_freq` leaves some out.

    Figures of a dict, of which nobody wrote down the epochs, are taken to be those of every second one, every
    third one and so on, if there are fewer than of others.

    Examples
    --------
    >>> epochs_of({"loss": [3.0, 2.0, 1.0, 0.5], "val_loss": [2.5, 1.0]})
    {'loss': [1, 2, 3, 4], 'val_loss': [2, 4]}
    """
    figures = getattr(history, "history", history)
    counted = getattr(history, "_counted", {})
    most = max(map(len, figures.values()), default=0)
    found = {}
    for name, values in figures.items():
        known, step = counted.get(name, []), most // max(len(values), 1)
        found[name] = known if len(known) == len(values) else [step * n for n in range(1, len(values) + 1)]
    return found


class CSVLogger(Callback):
    """Writes the figures of every epoch as a line of a CSV file.

    Parameters
    ----------
    filename : path
        The file. A missing folder is created.
    separator : str
        Separator of the columns.
    append : bool
        Append to an existing file instead of replacing it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = CSVLogger(f"{folder}/log.csv")
    ...     _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[log])
    ...     with open(log.filename) as file:
    ...         print(file.readline().strip())
    epoch,loss,val_loss
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename: str = as_path("CSVLogger", "filename", filename)
        self.separator = separator
        self.append = append
        self._file: TextIO | None = None
        self._names: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._names = None
        make_folder(os.path.dirname(self.filename))
        # A continued training appends to its own file; `set_state` removes lines of later epochs.
        append = self.append or bool(self.params.get("resumed"))
        if append and os.path.exists(self.filename):
            with open(self.filename, newline="", encoding="utf-8") as file:
                header = next(csv.reader(file, delimiter=self.separator), None)
            self._names = header[1:] if header else None
        self._file = open(self.filename, "a" if append else "w", newline="", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line, and before the first line the header."""
        assert self._file is not None
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator)
        if self._names is None:
            # Keras' columns: sorted, and those of validation, even if this epoch had none.
            self._names = sorted(logs)
            if not any(name.startswith("val_") for name in logs):
                self._names += [f"val_{name}" for name in self._names]
            writer.writerow(["epoch", *self._names])
        writer.writerow([epoch, *(logs.get(name, "NA") for name in self._names)])
        self._file.flush()

    def get_state(self) -> dict[str, Any]:
        """Return the length of the file, and its columns."""
        assert self._file is not None
        self._file.flush()
        return {"size": os.fstat(self._file.fileno()).st_size, "names": self._names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Remove lines that were written after that state; if the file was lost, it begins anew."""
        assert self._file is not None
        size = os.fstat(self._file.fileno()).st_size
        if size >= state["size"]:
            self._file.truncate(state["size"])
            self._names = state["names"]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LambdaCallback(Callback):
    """A callback made of functions, each with the name and the arguments of a method.

    Examples
    --------
    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> shout.on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **functions: Callable[..., Any] | None,
    ) -> None:
        super().__init__()
        functions |= {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in functions.items():
            if name not in EVENTS:
                raise TypeError(f"LambdaCallback: expected some of {', '.join(EVENTS)}, got {name}")
            if function is not None:
                if not callable(function):
                    raise TypeError(f"LambdaCallback: {name} must be a function, got {function!r}")
                setattr(self, name, function)
