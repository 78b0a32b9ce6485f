"""The `compile` arguments in a Keras file, translated for cconv."""

from collections.abc import Mapping
from typing import Any

from cconv import losses, metrics, optimizers
from cconv.arguments.parameters import constructor_of
from cconv.io.keras.objects import harmless, plain
from cconv.io.keras.problems import Problems, shown

Config = dict[str, Any]

DROPPED = ("name", "loss_scale_factor", "is_legacy_optimizer", "jit_compile")


def training_config(given: Any, problems: Problems) -> Config | None:
    """Return the entry `training` of a document for Keras' `compile_config`; None if it was not compiled."""
    if not isinstance(given, Mapping) or not given.get("optimizer") or given.get("loss") is None:
        return None
    optimizer = _optimizer(given["optimizer"], problems)
    return {
        "optimizer": optimizer,
        "loss": _each(given["loss"], "the loss", losses, problems),
        "loss_weights": given.get("loss_weights"),
        "metrics": _each(given.get("metrics"), "a metric", metrics, problems),
        "weighted_metrics": _each(given.get("weighted_metrics"), "a metric", metrics, problems),
        "steps": 0,
        "epochs": 0,
    }


def _optimizer(given: Any, problems: Problems) -> Any:
    found = plain(given, "the optimizer", problems) if isinstance(given, Mapping) else given
    if isinstance(found, dict):
        config = found["config"]
        for name in DROPPED:
            if name == "loss_scale_factor" and config.get(name) is not None:
                continue
            config.pop(name, None)
        if isinstance(given["config"].get("learning_rate"), int):
            config["learning_rate"] = float(config["learning_rate"])
        for name in ("momentum", "centered"):  # arguments of RMSprop, at their defaults
            if not config.get(name) and found["class_name"] == "RMSprop":
                config.pop(name, None)
    _check(found, "the optimizer", optimizers.get, problems)
    return found


def _each(given: Any, what: str, family: Any, problems: Problems) -> Any:
    """Return losses or metrics in the form in which they were given: one, a list or a dict."""
    if given is None:
        return None
    if isinstance(given, list):
        return [_each(entry, what, family, problems) for entry in given]
    if isinstance(given, Mapping) and "class_name" not in given:
        return {name: _each(entry, what, family, problems) for name, entry in given.items()}
    found = plain(given, what, problems)
    if isinstance(found, dict) and isinstance(given, Mapping):
        inner = given.get("config")
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if isinstance(name, str):
            found["config"]["name"] = name
        _leave_out(found, family)
    _check(found, what, family.get, problems)
    return found


def _leave_out(found: Config, family: Any) -> None:
    """Leave out arguments that cconv's class lacks, where they change nothing."""
    known = getattr(family, found["class_name"], None)
    if isinstance(known, type):
        taken = constructor_of(known)
        for name in [*found["config"]]:
            if name not in taken and harmless(name, found["config"][name]):
                del found["config"][name]


def _check(found: Any, what: str, get: Any, problems: Problems) -> None:
    """Record a loss or metric that cannot be made; what is made here is discarded."""
    if found is None:
        return
    try:
        get(found)
    except (TypeError, ValueError) as error:
        text = str(error).partition(":")[2].strip() or str(error)
        problems.add(
            what, f"{shown(found.get('class_name') if isinstance(found, dict) else found)}: {text[:200]}"
        )
