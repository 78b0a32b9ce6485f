"""The figures of a training or an evaluation: loss and metrics over the samples of all batches."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.metrics.base import Metric
from cconv.metrics.remembering import kept_by, take_up

ROOM = "cconv.metrics."  # classes of this package replace their state, and never change it in place


class Meter:
    """Sums of loss and metrics, in float64, in the order of the batches.

    cconv's metrics are used as copies, so that an evaluation during training changes nothing; `close` gives
    the state to the originals. Metrics of the user's own classes are used themselves.

    Parameters
    ----------
    names : sequence of str
        Names of the loss and the metrics: see `figure_names`.
    metrics, weighted : sequence of Metric
        Metrics without, and metrics with the samples' weights.
    """

    def __init__(
        self, names: Sequence[str], metrics: Sequence[Metric] = (), weighted: Sequence[Metric] = ()
    ) -> None:
        self.names, self._originals = list(names), [*metrics, *weighted]
        self._used = [copy.copy(m) if _is_own(m) else m for m in self._originals]
        for metric in self._used:
            metric.reset_state()
        self._first_weighted = len(metrics)
        self.total: float = 0.0
        self.count: int = 0

    def add(self, loss: float, count: int, parts: Sequence[float] = ()) -> None:
        """Add the mean loss of a batch of `count` samples; `parts` are the losses that it is the sum of."""
        self.total += loss * count
        self.count += count

    def update(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> None:
        """Add the targets and predictions of a batch, whose memory will be reused."""
        for number in range(len(self._used)):
            self._count(number, y_true, y_pred, weight)

    def _count(self, number: int, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> None:
        """Add a batch to the metric with that number."""
        metric = self._used[number]
        arrays = (y_true, y_pred) if _only_reads(metric) else (y_true.copy(), y_pred.copy())
        more = () if weight is None or number < self._first_weighted else (weight,)
        metric.update_state(*arrays, *more)

    @controlled
    def means(self) -> dict[str, float]:
        """Return the figures by name; without samples the loss is NaN."""
        loss = self.total / self.count if self.count else float("nan")
        figures = [_number(metric.name, metric.result()) for metric in self._used]
        return dict(zip(self.names, [loss, *figures], strict=True))

    def get_state(self) -> dict[str, Any]:
        """Return the counts, made of numbers, strings and arrays, for `files.trees`.

        Raises
        ------
        TypeError
            When a user's metric has a state that cannot be written.
        """
        counted = [kept_by(m) for m in self._used]
        return {"names": self.names, "total": self.total, "count": self.count, "metrics": counted}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue with the counts that `get_state` returned."""
        self.total, self.count = state["total"], state["count"]
        for metric, kept in zip(self._used, state["metrics"], strict=True):
            take_up(metric, kept)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let others use the metrics of the user's own classes in the meantime, and then go on counting.

        Raises
        ------
        TypeError
            When a user's metric has a state that cannot be kept.
        """
        shared = [metric for metric in self._used if not _is_own(metric)]
        kept = copy.deepcopy([kept_by(metric) for metric in shared])
        try:
            yield
        finally:
            for metric, state in zip(shared, kept, strict=True):
                take_up(metric, state)

    def close(self) -> None:
        """Copy the state of what was counted to the model's metrics."""
        for original, used in zip(self._originals, self._used, strict=True):
            if used is not original:
                vars(original).update(vars(used))


def _is_own(metric: Metric) -> bool:
    return type(metric).__module__.startswith(ROOM)


def _only_reads(metric: Metric) -> bool:
    """Whether no user's code gets the arrays, which could change or keep them."""
    function = getattr(metric, "_fn", None)
    return _is_own(metric) and (function is None or _module_of(function).startswith("cconv."))


def _module_of(function: Any) -> str:
    return getattr(function, "__module__", None) or ""


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: the result of a metric in compile must be one number, got {value!r}"
        ) from error


def figure_names(metrics: Sequence[Metric], weighted: Sequence[Metric]) -> list[str]:
    """Return the names of loss and metrics; a repeated name gets a number, as in Keras.

    Examples
    --------
    >>> from cconv.metrics import Mean
    >>> figure_names([Mean("acc"), Mean("acc")], [Mean("acc"), Mean("far")])
    ['loss', 'acc', 'acc_1', 'weighted_acc', 'far']
    """
    names = ["loss"]
    if not metrics and not weighted:
        return names
    taken = Counter(names)
    for number, metric in enumerate([*metrics, *weighted]):
        name = metric.name
        if number >= len(metrics) and taken[name]:
            name = f"weighted_{name}"
        taken[name] += 1
        names.append(name if taken[name] == 1 else f"{name}_{taken[name] - 1}")
    return names
