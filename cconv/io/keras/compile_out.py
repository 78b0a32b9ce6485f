"""The `compile` arguments of a model, and its optimizer's state, as Keras writes them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cconv.io.keras.layers_out import Config, is_own, serialized
from cconv.io.keras.optimizer_state import PRODUCT, RATE, shape_of, variables, weights_of
from cconv.io.keras.problems import Problems
from cconv.losses.custom import FunctionLoss
from cconv.losses.joint import parts_of

LARGEST_COUNT = 2**31 - 1  # limit of Keras' int32 counter


def compile_entry(model: Any, problems: Problems) -> Config | None:
    """Return Keras' description of how a model was compiled; None before `compile`."""
    training = model._training_config()
    if training is None:
        return None
    for part in (model.optimizer, *parts_of(model.loss)):
        if part is not None and (is_own(part) or isinstance(part, FunctionLoss)):
            problems.add("compile", f"{type(part).__name__}, which is your own")
    return {
        "optimizer": optimizer_entry(model.optimizer, problems),
        "loss": _each("keras.losses", training["loss"]),
        "loss_weights": training.get("loss_weights"),
        "metrics": _each("keras.metrics", training["metrics"]) or None,
        "weighted_metrics": _each("keras.metrics", training["weighted_metrics"]) or None,
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": False,
    }


# Metrics that have names in cconv, but only classes in Keras.
UNNAMED = {"logcosh": "LogCoshError", "log_cosh": "LogCoshError"}


def _each(module: str, given: Any) -> Any:
    """Return losses or metrics (names and configurations) in the form in which they were given."""
    if isinstance(given, list):
        return [_each(module, entry) for entry in given]
    if isinstance(given, str) and given in UNNAMED and module == "keras.metrics":
        return serialized(module, UNNAMED[given], {"name": given})
    if not isinstance(given, Mapping):
        return given
    name = given["class_name"]
    if name in ("FittingAccuracy", "ExactAccuracy"):
        return "accuracy" if name == "FittingAccuracy" else serialized(module, "Accuracy", given["config"])
    if module == "keras.metrics" and ">" in name:  # a registered class, which Keras looks up by that name
        own = {"module": None, "class_name": name.rpartition(">")[2], "registered_name": name}
        return own | {"config": given["config"]}
    return serialized(module, name, given["config"])


def optimizer_entry(optimizer: Any, problems: Problems) -> Config:
    """Return Keras' description of an optimizer."""
    kind, config = type(optimizer).__name__, dict(optimizer.get_config())
    if kind in ("Momentum", "Nesterov"):
        kind, config["nesterov"] = "SGD", kind == "Nesterov"
    decay = config.pop("decay", 0.0)
    rate = config["learning_rate"]
    if decay:
        if isinstance(rate, Mapping):
            problems.add("compile", f"{kind}(decay={decay}) beside a schedule")
        else:
            options = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
            rate = {"class_name": "InverseTimeDecay", "config": options}
    if isinstance(rate, Mapping):
        if ">" in str(rate["class_name"]):
            problems.add("compile", f"the schedule {rate['class_name']}, which is your own")
        rate = serialized("keras.optimizers.schedules", rate["class_name"], rate["config"])
    config["learning_rate"] = rate
    return serialized("keras.optimizers", kind, config)


def optimizer_arrays(model: Any) -> list[np.ndarray]:
    """Return the optimizer's arrays in Keras' order; before the first step only the counters."""
    optimizer = model.optimizer
    state = optimizer.get_state()
    calls = int(state["iterations"])
    dtype = model.dtype
    arrays = [np.array(min(calls, LARGEST_COUNT), np.int32)]
    known = {name.rpartition("/")[0] for name in state if name != "iterations"}
    complete = not optimizer.kept_slots or set(weights_of(model)) <= known
    for weight, slot in variables(model):
        if (weight, slot) == RATE:
            if not optimizer.decay:  # a decay is a schedule in Keras
                arrays.append(np.array(optimizer.learning_rate, np.float32))
        elif not complete:
            break
        elif (weight, slot) == PRODUCT:
            updates = calls // (optimizer.gradient_accumulation_steps or 1)
            arrays.append(np.array(optimizer._product_until(updates), dtype))
        else:
            kept = state.get(f"{weight}/{slot}")
            arrays.append(np.zeros(shape_of(model, (weight, slot)), dtype) if kept is None else kept)
    return arrays
