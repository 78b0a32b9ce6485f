"""The figures of a model with several outputs: the loss, each output's loss, and each output's metrics."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cconv.metrics.base import Metric
from cconv.metrics.meter import Meter


class Places(NamedTuple):
    """The places of losses and metrics in a model with several outputs.

    Attributes
    ----------
    names : tuple of str
        Names of the outputs.
    with_loss : tuple of int
        Numbers of the outputs with a loss.
    metrics, weighted : tuple of int
        The output number of each metric: those without, and those with sample weights.
    """

    names: tuple[str, ...]
    with_loss: tuple[int, ...]
    metrics: tuple[int, ...] = ()
    weighted: tuple[int, ...] = ()


def names_of_losses(places: Places) -> list[str]:
    """Return the names of the outputs' losses; none if only one output has a loss."""
    losses = [f"{places.names[number]}_loss" for number in places.with_loss]
    return losses if len(losses) > 1 else []


def names_of_metrics(places: Places, metrics: Sequence[Metric], weighted: Sequence[Metric]) -> list[str]:
    """Return the metrics' names, each with its output's name in front, and unique, as in Keras.

    Examples
    --------
    >>> from cconv.metrics import Mean
    >>> places = Places(("a", "b"), (0, 1), (0, 1), (1, 1))
    >>> names_of_metrics(places, [Mean("acc"), Mean("acc")], [Mean("acc"), Mean("far")])
    ['a_acc', 'b_acc', 'b_weighted_acc', 'b_far']
    """
    plain = {(place, metric.name) for place, metric in zip(places.metrics, metrics, strict=True)}
    found: list[str] = []
    for number, (place, metric) in enumerate(
        zip((*places.metrics, *places.weighted), (*metrics, *weighted), strict=True)
    ):
        twice = number >= len(metrics) and (place, metric.name) in plain
        name = base = f"{places.names[place]}_{'weighted_' if twice else ''}{metric.name}"
        count = 0
        while name in found:
            count += 1
            name = f"{base}_{count}"
        found.append(name)
    return found


def names_in_order(places: Places, metrics: Sequence[Metric], weighted: Sequence[Metric]) -> list[str]:
    """Return the names of all figures in the order of `evaluate`'s list: losses, then metrics by name.

    Examples
    --------
    >>> from cconv.metrics import Mean
    >>> names_in_order(Places(("b", "a"), (0, 1), (0, 1)), [Mean("far"), Mean("near")], [])
    ['loss', 'b_loss', 'a_loss', 'a_near', 'b_far']
    """
    losses = ["loss", *names_of_losses(places)]
    return [*losses, *sorted(set(names_of_metrics(places, metrics, weighted)) - set(losses))]


class OutputsMeter(Meter):
    """Sums of the losses and metrics of several outputs.

    Parameters
    ----------
    places : Places
        Which output has which loss and metrics.
    metrics, weighted : sequence of Metric
        Metrics without, and metrics with the samples' weights.
    """

    def __init__(self, places: Places, metrics: Sequence[Metric], weighted: Sequence[Metric]) -> None:
        losses = names_of_losses(places)
        super().__init__(["loss", *names_of_metrics(places, metrics, weighted)], metrics, weighted)
        self._outputs = (*places.metrics, *places.weighted)
        self._totals = dict.fromkeys(losses, 0.0)

    def add(self, loss: float, count: int, parts: Sequence[float] = ()) -> None:
        """Add the mean loss of a batch of `count` samples; `parts` are its outputs' losses."""
        super().add(loss, count)
        for name, part in zip(self._totals, parts, strict=False):
            self._totals[name] += part * count

    def update(self, y_true: Any, y_pred: Any, weight: Any) -> None:
        """Add the targets and predictions of a batch, one for each output."""
        for number, output in enumerate(self._outputs):
            given = None if weight is None else weight[output]
            self._count(number, y_true[output], y_pred[output], given)

    def get_state(self) -> dict[str, Any]:
        """Return the counts."""
        return {**super().get_state(), "totals": self._totals}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue with the counts that `get_state` returned."""
        super().set_state(state)
        self._totals = state["totals"]

    def means(self) -> dict[str, float]:
        """Return the figures by name, sorted by name, as in Keras."""
        losses = {
            name: total / self.count if self.count else float("nan") for name, total in self._totals.items()
        }
        return dict(sorted((super().means() | losses).items()))
