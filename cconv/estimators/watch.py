"""When an estimator stops training."""

import math
from collections.abc import Callable, Mapping

from cconv.callbacks import Callback


class Watch(Callback):
    """Stops training after `patience` epochs without progress, by scikit-learn's rule for its networks.

    Progress is a validation score more than `tol` above the best, and then the weights of the best
    score are given back at the end; without a score it is a loss more than `tol` below the best.

    Parameters
    ----------
    score : callable or None
        Returns the score of the model as it is.
    tol : float
        At least 0.
    patience : int
        Epochs.

    Attributes
    ----------
    scores : list of float
        One for each epoch.
    """

    def __init__(self, score: Callable[[], float] | None, *, tol: float, patience: int) -> None:
        super().__init__()
        self.score = score
        self.tol = tol
        self.patience = patience
        self.scores: list[float] = []
        self._best = -math.inf
        self._waited = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Remember the weights that there are."""
        self._weights = self.model.get_weights() if self.score else None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Compare with the best epoch."""
        if self.score is None:
            value = -float((logs or {})["loss"])
        else:
            value = self.score()
            self.scores.append(value)
        self._waited = 0 if value > self._best + self.tol else self._waited + 1
        if value > self._best:
            self._best = value
            if self.score is not None:
                self._weights = self.model.get_weights()
        if self._waited >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Give back the weights of the best epoch."""
        if self._weights is not None:
            self.model.set_weights(self._weights)


def known_first(score: float) -> float:
    """Return a key by which the largest score is found: NaN is less than every number.

    Examples
    --------
    >>> max([math.nan, 0.5, 0.25], key=known_first)
    0.5
    """
    return -math.inf if math.isnan(score) else score
