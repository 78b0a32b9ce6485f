"""Callbacks that follow a figure: they stop training, or lower its learning rate."""

import math
from numbers import Real
from typing import Any, ClassVar

from cconv import arguments
from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs, Monitor


def _count(where: str, name: str, value: Any) -> Any:
    """Return a number of epochs, which may be fractional, as in Keras."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{where}: {name} must be a number of at least 0, got {value!r}")
    if not float(value) >= 0:
        raise ValueError(f"{where}: {name} must be a number of at least 0, got {value!r}")
    return value


class EarlyStopping(Callback):
    """Stops training when a figure has stopped improving (arguments as in Keras).

    Parameters
    ----------
    monitor : str
        The figure of the logs to follow.
    min_delta : float
        Smaller changes do not count as improvement.
    patience : float
        Number of epochs without improvement before training stops.
    verbose : int
        1 prints when it stops.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better; "auto" decides it for losses and cconv's metrics, and refuses
        other figures before the first epoch. NaN is never better. Any other word means "auto", with a
        warning.
    baseline : float, optional
        Only values better than this count as improvement.
    restore_best_weights : bool
        At the end restore the weights of the best epoch; if none improved, of the first evaluated one.
    start_from_epoch : int
        Earlier epochs are ignored.

    Attributes
    ----------
    stopped_epoch : int
        The epoch after which training was stopped, else 0.
    best : float or None
        The best figure so far.
    best_epoch : int
        Its epoch, counted from 0.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> stop = EarlyStopping("loss", min_delta=1.0, patience=2)
    >>> history = model.fit(x, y, epochs=50, verbose=0, callbacks=[stop])
    >>> len(history.epoch), stop.stopped_epoch
    (3, 2)
    """

    _STATE: ClassVar[tuple[str, ...]] = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

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
        self.follow: Monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience: float = _count("EarlyStopping", "patience", patience)
        self.start_from_epoch: float = _count("EarlyStopping", "start_from_epoch", start_from_epoch)
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self._forget()

    def _forget(self) -> None:
        self.wait: int = 0
        self.stopped_epoch: int = 0
        self.best: float | None = None
        self.best_epoch: int = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the state."""
        self._forget()
        self.follow.prepare(self.model)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch, and perhaps stop."""
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

    def get_state(self) -> dict[str, Any]:
        """Return the best figure, its epoch and weights, and the number of epochs since."""
        return {name: getattr(self, name) for name in self._STATE}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `get_state` returned."""
        for name in self._STATE:
            setattr(self, name, state[name])

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights."""
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


def check_no_schedule(where: str, optimizer: Any) -> None:
    """Refuse to set the learning rate of an optimizer with a schedule, as in Keras."""
    if callable(getattr(optimizer, "_learning_rate", None)):
        raise TypeError(f"{where}: the learning rate must be a number, not a schedule")


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a figure has stopped improving (arguments as in Keras).

    It adds the rate of each epoch to the logs, as ``learning_rate``.

    Parameters
    ----------
    monitor, mode, min_delta, verbose :
        As for `EarlyStopping`.
    factor : float
        In (0, 1): the factor of a reduction.
    patience : int
        Number of epochs without improvement before a reduction.
    cooldown : int
        Number of epochs after a reduction that are not counted.
    min_lr : float
        Lower limit of the learning rate.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> lower = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1.0)
    >>> history = model.fit(x, y, epochs=4, verbose=0, callbacks=[lower])
    >>> history.history["learning_rate"]
    [0.01, 0.01, 0.005, 0.0025]
    """

    adds = ("learning_rate",)

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
        self.follow: Monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor = factor
        self.patience: float = _count("ReduceLROnPlateau", "patience", patience)
        self.cooldown: float = _count("ReduceLROnPlateau", "cooldown", cooldown)
        self.verbose = verbose
        self.min_lr = min_lr
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.wait: int = 0
        self.resting: float = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the state."""
        self._forget()
        self.follow.prepare(self.model)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch, and perhaps lower the learning rate."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
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

    def get_state(self) -> dict[str, Any]:
        """Return the best figure, and the counts of epochs."""
        return {"best": self.best, "wait": self.wait, "resting": self.resting}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `get_state` returned."""
        self.best, self.wait, self.resting = state["best"], state["wait"], state["resting"]

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        old = optimizer.learning_rate
        check_no_schedule("ReduceLROnPlateau", optimizer)
        new = max(old * self.factor, self.min_lr)
        if new < old:
            optimizer.learning_rate = new
            if self.verbose:
                print(f"Epoch {epoch + 1}: reducing the learning rate to {new:g}")
            self.resting, self.wait = self.cooldown, 0


class TerminateOnNaN(Callback):
    """Ends training when the loss is NaN or infinite, without a `NonFiniteLossError`.

    The step with that loss is not made, so the weights are those before it; in Keras they are NaN. The logs
    of the epoch have that loss, and NaN for its metrics.

    Parameters
    ----------
    raise_error : bool
        Raise a RuntimeError, so that `on_train_end` is not called.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> model = Sequential([Dense(1, input_shape=(2,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[np.nan, 1.0]], [1.0], epochs=5, verbose=0, callbacks=[TerminateOnNaN()])
    Batch 0: Invalid loss, terminating training
    >>> len(history.epoch)
    1
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error: bool = arguments.flag("TerminateOnNaN", "raise_error", raise_error)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Check the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. "
                "Terminating training immediately."
            )
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
