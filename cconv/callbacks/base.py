"""The base of all callbacks, and the names of their events."""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar

from cconv.callbacks.monitors import Logs


class Callback:
    """The base of all callbacks: every method does nothing.

    Other methods whose names begin with ``on_`` are refused, since they would never be called.

    Attributes
    ----------
    model : Sequential
        The model being trained; set before `on_train_begin`.
    params : dict
        ``verbose`` (int), ``epochs`` (int), ``steps`` (int, batches per epoch), ``samples`` (int),
        ``metrics`` (list of str, names of the figures after an epoch; None if a callback may add some).

    Examples
    --------
    >>> class Halve(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.optimizer.learning_rate *= 0.5
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[Halve()])
    >>> model.optimizer.learning_rate
    0.0025
    """

    adds: ClassVar[tuple[str, ...]] = ()  # figures that it adds to the logs of an epoch

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check_events(cls.__name__, cls)

    def set_model(self, model: Any) -> None:
        """Store the model being trained."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Store the numbers of epochs and steps."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Do something once before training."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Do something once after training, if it ended normally or was stopped by a callback."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Do something before epoch `epoch`, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Do something after epoch `epoch`; `logs` has losses and metrics, of validation as ``val_…``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before batch `batch` of the epoch, counted from 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Do something after batch `batch`; `logs` has the means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before a training batch: another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Do something after a training batch: another name for `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Do something before an evaluation, also of validation data."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Do something after an evaluation; `logs` has its figures."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before batch `batch` of an evaluation, counted from 0."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Do something after batch `batch`; `logs` has the means over the evaluation so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Do something before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Do something after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Do something before batch `batch` of a prediction, counted from 0."""

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Do something after batch `batch`; ``logs["outputs"]`` has the model's outputs for it."""

    def get_state(self) -> dict[str, Any]:
        """Return the state that `BackupAndRestore` saves, for `set_state`; by default nothing.

        It consists of numbers, strings, arrays and None, in lists, tuples and dicts with str keys.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `get_state` returned, when a training is continued.

        It is called after `on_train_begin`, or, if the training was inside an epoch, after `on_epoch_begin`.
        """

    def close(self) -> None:
        """Release files and screens; called once when `fit`, `evaluate` or `predict` ends, in any way."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def _check_events(where: str, holder: Any) -> None:
    """Refuse a method that looks like an event but is none; TypeError with the most similar event."""
    for name in dir(holder):
        if name.startswith("on_") and name not in EVENTS and callable(getattr(holder, name)):
            near = difflib.get_close_matches(name, EVENTS, n=1, cutoff=0.0)[0]
            raise TypeError(
                f"{where}: {name} would never be called; did you mean {near}? There are {', '.join(EVENTS)}"
            )
