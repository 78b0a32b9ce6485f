"""The state of metrics, as it is saved when a training stops in the middle of an epoch."""

from typing import Any

import numpy as np

from cconv.metrics.base import Metric
from cconv.metrics.variables import Variable

PLAIN = (bool, int, float, str, np.ndarray, np.generic, type(None))


def kept_by(metric: Metric) -> dict[str, Any]:
    """Return the state of a metric: from its `get_state` if it has one, else its attributes.

    Attributes that are functions are not part of the state.

    Raises
    ------
    TypeError
        When an attribute is neither plain data nor a function.

    Examples
    --------
    >>> from cconv.metrics import Mean
    >>> mean, twin = Mean(), Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> take_up(twin, kept_by(mean))
    >>> twin.result()
    2.0
    """
    own = getattr(metric, "get_state", None)
    if callable(own):
        return {"own": own()}
    ours = type(metric).__module__.startswith("cconv.")  # cconv's metrics count in plain data
    kept: dict[str, Any] = {}
    for name, value in vars(metric).items():
        if isinstance(value, Metric):
            kept[name] = {"metric": kept_by(value)}
        elif name == "_variables":
            kept[name] = {"variables": [variable.numpy() for variable in value]}
        elif _is_plain(value):
            kept[name] = {"value": value}
        elif not (ours or callable(value) or isinstance(value, Variable)):  # they are in _variables
            raise TypeError(
                f"{metric.name}: what the metric keeps in {name} cannot be kept in the middle of an "
                f"epoch, it is a {type(value).__name__}: give the metric get_state() and set_state(state)"
            )
    return kept


def take_up(metric: Metric, kept: dict[str, Any]) -> None:
    """Set a metric to the state that `kept_by` returned."""
    if "own" in kept:
        metric.set_state(kept["own"])  # type: ignore[attr-defined]
        return
    for name, entry in kept.items():
        ((kind, value),) = entry.items()
        if kind == "metric":
            take_up(getattr(metric, name), value)
        elif kind == "variables":
            for variable, array in zip(metric._variables, value, strict=True):
                variable.assign(array)
        else:
            setattr(metric, name, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    return isinstance(value, PLAIN)
