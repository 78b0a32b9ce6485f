"""The base of all callbacks, and the names of what they may hear of."""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar

from cconv.callbacks.monitors import Logs


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

    adds: ClassVar[tuple[str, ...]] = ()  # figures that it puts into the logs of an epoch

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
        """Do something after epoch `epoch`; `logs` holds losses and metrics, of validation as ``val_…``."""

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

    def get_state(self) -> dict[str, Any]:
        """Return what `BackupAndRestore` is to keep, for `set_state`: by default nothing.

        Numbers, strings, arrays and None, in lists, tuples and dicts of str.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take up what `get_state` returned, in a training that is taken up again.

        It is called after `on_train_begin`, and, where the training was inside an epoch, after
        `on_epoch_begin`.
        """

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
