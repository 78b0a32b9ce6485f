"""The callbacks of an estimator: they record its epochs, and stop its training."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from cconv.callbacks import Callback


class Told(Callback):
    """Records the figures of every epoch, including those that later callbacks add.

    Attributes
    ----------
    epochs : list of dict of str to float
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[Mapping[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Store the figures."""
        self.epochs.append(logs or {})

    def get_state(self) -> dict[str, Any]:
        """Return the figures."""
        return {"epochs": [dict(epoch) for epoch in self.epochs]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the figures of earlier epochs."""
        self.epochs = state["epochs"]


class Watch(Callback):
    """Stops training after `patience` epochs without progress, by the rule of scikit-learn's networks.

    With `follow`, progress is a validation score more than `tol` above the best, and the weights of the best
    score are restored at the end; otherwise it is a loss more than `tol` below the best. The figures of
    validation samples are added to the epoch's logs, where later callbacks find them.

    Parameters
    ----------
    validate : callable or None
        Returns loss and score of the current model, for samples that it is not trained on.
    score : str
        The name of the score.
    follow : bool
        Whether to follow the validation score.
    tol : float or None
        At least 0; None never stops.
    patience : int
        Number of epochs.

    Attributes
    ----------
    scores : list of float
        One for each epoch.
    """

    def __init__(
        self,
        validate: Callable[[], tuple[float, float]] | None,
        *,
        score: str,
        follow: bool,
        tol: float | None,
        patience: int,
    ) -> None:
        super().__init__()
        self.validate = validate
        self.score = score
        self.follow = follow
        self.tol = tol
        self.patience = patience
        self.scores: list[float] = []
        self._best = -math.inf
        self._waited = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Store the current weights."""
        self._weights = self.model.get_weights() if self.follow else None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Validate, and compare with the best epoch."""
        figures: Any = {} if logs is None else logs  # the epoch's own dict
        value = -figures["loss"]
        if self.validate is not None:
            loss, score = self.validate()
            figures["val_loss"], figures[f"val_{self.score}"] = loss, score
            self.scores.append(score)
            value = score if self.follow else value
        self._waited = 0 if value > self._best + (self.tol or 0.0) else self._waited + 1
        if value > self._best:
            self._best = value
            if self.follow:
                self._weights = self.model.get_weights()
        if self.tol is not None and self._waited >= self.patience:
            self.model.stop_training = True

    def get_state(self) -> dict[str, Any]:
        """Return the scores, the best value, its weights, and the number of epochs since."""
        return {name: getattr(self, name) for name in ("scores", "_best", "_waited", "_weights")}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `get_state` returned."""
        for name in ("_best", "_waited", "_weights"):
            setattr(self, name, state[name])
        self.scores[:] = state["scores"]

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Restore the weights of the best epoch."""
        if self._weights is not None:
            self.model.set_weights(self._weights)
