"""What a training's result depends on beside weights and data: options of layers, optimizer and loss.

A checkpoint keeps them as plain data, so that a training that goes on from it with others is refused. What
the checkpoint restores (learning rates, `trainable`) and what no longer matters (initializers, names) is left
out.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cconv.arguments.configured import config_of
from cconv.models.compiled import loss_config

_RESTORED = ("name", "trainable", "input_shape")


def recipe_of(model: Any) -> dict[str, Any]:
    """Return the recipe of a compiled model's training: named entries, each a dict of options or None.

    None stands for an object of the user's own that cannot be written as plain data.
    """
    described = {f"layer {name!r}": partial(config_of, layer) for name, layer in model._named}
    described["the optimizer"] = partial(config_of, model.optimizer)
    described["the loss"] = partial(_loss, model.loss)
    return {name: _plain(describe) for name, describe in described.items()}


def _loss(loss: Any) -> dict[str, Any]:
    """Return the configuration of a loss; of those of several outputs, a list and their weights."""
    found = loss_config(loss)
    return found if isinstance(found["loss"], list) else found["loss"]


def _plain(describe: Callable[[], Mapping[str, Any]]) -> dict[str, Any] | None:
    try:
        found = json.loads(json.dumps(describe()))
    except Exception:  # a get_config of the user's own may raise anything
        return None
    return found if "config" not in found else {"class_name": found["class_name"], **_kept(found["config"])}


def _kept(options: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in options.items()
        if name not in _RESTORED and not name.endswith("_initializer")
    }
    if isinstance(kept.get("learning_rate"), int | float):
        kept["learning_rate"] = "a number"
    return kept


def difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how recipe `now` differs from `then`, as the end of an error message; "" if it does not."""
    for name in [*then, *now]:
        if name not in now or name not in then:
            return f"{name} is only in {'the checkpoint' if name in then else 'this model'}"
        options, others = then[name], now[name]
        if not isinstance(options, Mapping) or others is None:
            continue
        for option, value in options.items():
            if option in others and json.dumps(others[option]) != json.dumps(value):
                return f"{option} of {name} must be {value!r}, got {others[option]!r}"
    return ""
