"""Callbacks that change the training: the learning rate by epoch, or weights exchanged for averages."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cconv import arguments
from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs
from cconv.callbacks.stopping import check_no_schedule


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch (arguments as in Keras).

    It adds the rate of each epoch to the logs, as ``learning_rate``.

    Parameters
    ----------
    schedule : function
        A function of the epoch, counted from 0, and the current learning rate; or of the epoch alone. It
        returns the new rate, a float.
    verbose : int
        1 prints the rates.

    Examples
    --------
    >>> halving = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    >>> halving.schedule(1, 0.5)
    0.25
    """

    adds = ("learning_rate",)

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler: schedule must be a function of epoch and rate, got {schedule!r}"
            )
        self.schedule = schedule
        self.verbose = verbose

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that the rate can be set."""
        check_no_schedule("LearningRateScheduler", self.model.optimizer)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate."""
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:  # as in Keras: a function of the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise ValueError(f"LearningRateScheduler: schedule must return a float, got {rate!r}")
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the learning rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class SwapEMAWeights(Callback):
    """Evaluates and predicts with the averages of the weights that an optimizer with `use_ema` keeps.

    Weights and averages are exchanged before an evaluation, and back after it (arguments as in Keras). They
    are also exchanged back after a prediction, which Keras forgets.

    Parameters
    ----------
    swap_on_epoch : bool
        Also exchange them at the end of every epoch, until the next one begins: a `ModelCheckpoint` after
        this callback saves the averages as the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> from cconv.optimizers import SGD
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile(SGD(0.1, use_ema=True), "mse")
    >>> history = model.fit(x, y, verbose=0, callbacks=[SwapEMAWeights(swap_on_epoch=True)])
    >>> len(history.epoch)
    1
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch: bool = arguments.flag("SwapEMAWeights", "swap_on_epoch", swap_on_epoch)
        self._swapped = False

    def set_model(self, model: Any) -> None:
        """Store the model, whose optimizer must keep averages."""
        super().set_model(model)
        if not getattr(model.optimizer, "use_ema", False):
            raise ValueError("SwapEMAWeights: the optimizer must be one with use_ema=True")

    def _swap(self, there: bool) -> None:
        if self._swapped != there:
            self.model._swap_averages()
            self._swapped = there

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Exchange back."""
        self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Exchange, if requested."""
        if self.swap_on_epoch:
            self._swap(True)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Reset the flag: the optimizer has replaced the weights by the averages."""
        self._swapped = False

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Exchange weights and averages."""
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Exchange back."""
        self._swap(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Exchange weights and averages."""
        self._swap(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Exchange back."""
        self._swap(False)

    def get_state(self) -> dict[str, Any]:
        """Return whether weights and averages are exchanged."""
        return {"swapped": self._swapped}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore whether weights and averages are exchanged."""
        self._swapped = state["swapped"]

    def close(self) -> None:
        """Exchange back after an error."""
        self._swap(False)
