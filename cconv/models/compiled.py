"""The forms in which `compile` takes losses, their weights and metrics: one, a list, or a dict by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cconv import losses
from cconv import metrics as known_metrics
from cconv.arguments.configured import config_of
from cconv.arguments.numbers import finite
from cconv.losses.joint import Joint

Names = Callable[[], tuple[str, ...]]


class Outputs(NamedTuple):
    """The outputs of the model that is being compiled.

    Attributes
    ----------
    where : str
        The beginning of error messages.
    number : int
        The number of outputs.
    named : callable
        Returns their names; a model without layers has none yet.
    """

    where: str
    number: int
    named: Names

    def expected(self, name: str) -> str:
        """Return the beginning of an error message about an argument for each output."""
        return f"{self.where}: {name} must be a list of {self.number}, or a dict of {', '.join(self.named())}"

    def by_name(self, name: str, given: Mapping[str, Any], may_lack: bool) -> list[Any]:
        """Return a dict's entry for each output; ValueError if its keys are not the outputs' names."""
        names = self.named()
        if not set(given) <= set(names) or not (may_lack or set(given) == set(names)):
            raise ValueError(
                f"{self.expected(name)}, got a dict of {', '.join(map(str, given)) or 'nothing'}"
            )
        return [given.get(each) for each in names]


def loss_of(outputs: Outputs, loss: Any, loss_weights: Any) -> Any:
    """Return a model's loss: a loss for one output, a `Joint` for several.

    Raises
    ------
    TypeError, ValueError
        When there is not one loss for each output.
    """
    where = outputs.where
    if loss is None:
        raise ValueError(f"{where}: loss must be given, for example 'categorical_crossentropy'")
    if isinstance(loss, Mapping) and not _is_config(loss):
        given = outputs.by_name("loss", loss, may_lack=False)
    elif isinstance(loss, list | tuple):
        given = list(loss)
        if len(given) != outputs.number:
            raise ValueError(f"{outputs.expected('loss')}, got a list of {len(given)}")
    else:
        given = [loss] * outputs.number
    parts = [None if each is None else losses.get(each, where, "loss") for each in given]
    if all(part is None for part in parts):
        raise ValueError(f"{where}: loss must be given for at least one output, got None for each")
    weights = _loss_weights(outputs, loss_weights, parts)
    return parts[0] if outputs.number == 1 and weights == [1.0] else Joint(parts, weights)


def _loss_weights(outputs: Outputs, given: Any, parts: Sequence[Any]) -> list[float]:
    """Return a factor for the loss of each output; 1 for an output without a loss."""
    if given is None:
        return [1.0] * outputs.number
    expected = outputs.where, "loss_weights"
    if isinstance(given, Mapping):
        found = outputs.by_name("loss_weights", given, may_lack=True)
    elif isinstance(given, list | tuple):
        found = list(given)
    else:
        number = finite(*expected, given)
        if outputs.number > 1:
            raise TypeError(f"{outputs.expected('loss_weights')}, got {given!r}")
        found = [number]
    if len(found) != outputs.number:
        raise ValueError(f"{outputs.expected('loss_weights')}, got a list of {len(found)}")
    missing = [part is not None and factor is None for part, factor in zip(parts, found, strict=True)]
    if any(missing):
        raise ValueError(f"{outputs.where}: loss_weights must be given for each loss, got {given!r}")
    return [1.0 if factor is None else finite(*expected, factor) for factor in found]


def metrics_of(outputs: Outputs, name: str, given: Any) -> tuple[list[known_metrics.Metric], list[int]]:
    """Return the metrics that an argument of `compile` describes, and the number of each one's output.

    Raises
    ------
    TypeError, ValueError
        When the argument describes no metrics.
    """
    if given is not None and not isinstance(given, list | tuple | Mapping):
        by_name = ", or a dict by output" if outputs.number > 1 else ""
        raise TypeError(f"{outputs.where}: {name} must be a list{by_name}, got {given!r}")
    if given is None or not given:
        lists: list[Any] = []
    elif isinstance(given, Mapping):
        lists = outputs.by_name(name, given, may_lack=True)
    elif outputs.number == 1:
        lists = [given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given]
    elif len(given) != outputs.number:
        raise ValueError(f"{outputs.expected(name)}, got a list of {len(given)}")
    else:
        lists = list(given)
    found: list[known_metrics.Metric] = []
    places: list[int] = []
    for place, entry in enumerate(lists):
        for metric in entry if isinstance(entry, list | tuple) else [] if entry is None else [entry]:
            found.append(known_metrics.get(metric, outputs.where, name))
            places.append(place)
    for metric in found:
        if not metric.gives_number:
            raise ValueError(
                f"{outputs.where}: {name} must each give one number, got {metric!r}: "
                "use it on what predict returns"
            )
    return found, places


def _is_config(given: Mapping[str, Any]) -> bool:
    """Whether a dict is the configuration of one loss, and not a dict of losses by name."""
    return set(given) == {"class_name", "config"}


# --- as plain data ----------------------------------------------------------------------------


def loss_config(loss: Any) -> dict[str, Any]:
    """Return the entries of a saved model for its loss: the arguments of `compile`."""
    if not isinstance(loss, Joint):
        return {"loss": config_of(loss)}
    configs = [None if part is None else config_of(part) for part in loss.parts]
    return {"loss": configs, "loss_weights": list(loss.weights)}


def metrics_config(metrics: Sequence[known_metrics.Metric], places: Sequence[int], count: int) -> list[Any]:
    """Return metrics as arguments of `compile`; for several outputs one list for each."""
    if count == 1:
        return _described(metrics)
    return [
        _described([metric for metric, of in zip(metrics, places, strict=True) if of == place])
        for place in range(count)
    ]


def left_out(metrics: Sequence[known_metrics.Metric]) -> list[str]:
    """Return the names of the user's own metrics, which no file keeps."""
    return [metric.name for metric in metrics if not _described([metric])]


def _described(metrics: Iterable[known_metrics.Metric]) -> list[Any]:
    """Return names or configurations from which metrics can be made again; the user's own are left out."""
    found: list[Any] = []
    for metric in metrics:
        for value in (metric.name, config_of(metric)):
            try:
                same = known_metrics.get(value) == metric
            except (TypeError, ValueError):
                continue
            if same:
                found.append(value)
                break
    return found
