"""Callbacks that follow a figure: ending a training, or lowering its rate."""

from typing import Any

from cconv.arguments.numbers import is_int
from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs, Monitor


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
        self.follow: Monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience: int = _count("EarlyStopping", "patience", patience)
        self.start_from_epoch: int = _count("EarlyStopping", "start_from_epoch", start_from_epoch)
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self._forget()

    def _forget(self) -> None:
        self.wait: int = 0
        self.stopped_epoch: int | None = None
        self.best: float | None = None
        self.best_epoch: int = 0
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
        self.follow: Monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor = factor
        self.patience: int = _count("ReduceLROnPlateau", "patience", patience)
        self.cooldown: int = _count("ReduceLROnPlateau", "cooldown", cooldown)
        self.verbose = verbose
        self.min_lr = min_lr
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.wait: int = 0
        self.resting: int = 0

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
