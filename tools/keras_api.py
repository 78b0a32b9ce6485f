"""Write tests/keras_api.json: the public names of Keras 3, and the arguments of what cconv may have of them.

    python tools/keras_api.py

It is run by a Python that has Keras; the tests read the file, so that they need no Keras. Afterwards the
tests say which names and arguments the tables of cconv/arguments/keras_names lack, or have too many.
"""

import importlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "tests" / "keras_api.json"
MODULES = (
    *(
        "",
        "layers",
        "models",
        "optimizers",
        "optimizers.schedules",
        "losses",
        "metrics",
        "callbacks",
        "utils",
    ),
    *("regularizers", "constraints", "initializers", "activations", "applications", "datasets"),
)
# Those whose objects have arguments that a script names.
WITH_ARGUMENTS = set(MODULES) - {"", "activations", "datasets"}
METHODS = (
    *("compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch"),
    *("summary", "save", "save_weights", "load_weights", "add", "pop", "get_layer", "build"),
)
# What Keras' layers and optimizers take beside what their own constructors name.
BASES = {"layers": "Layer", "optimizers": "Optimizer"}


def arguments(function: Any) -> dict[str, Any]:
    """Return the arguments of a function by name, with their defaults; "…" for those that have none."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self" or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        default = parameter.default
        if isinstance(default, tuple):
            default = list(default)
        plain = default is None or isinstance(default, bool | int | float | str | list)
        found[name] = default if plain else "…"
    return found


def module_of(keras: Any, name: str) -> dict[str, Any]:
    """Return the names of a module, sorted, with the arguments of its classes and functions."""
    module = importlib.import_module(f"keras.{name}") if name else keras
    found: dict[str, Any] = {}
    for entry in sorted(vars(module)):
        value = getattr(module, entry)
        if entry.startswith("_") or entry == "src":
            continue
        found[entry] = None
        if name in WITH_ARGUMENTS and callable(value) and not inspect.ismodule(value):
            found[entry] = arguments(value)
            if inspect.isclass(value) and name in BASES and issubclass(value, getattr(module, BASES[name])):
                found[entry] |= arguments(getattr(module, BASES[name]).__init__)
    return found


def main() -> None:
    """Write the file."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = importlib.import_module("keras")
    api = {name: module_of(keras, name) for name in MODULES}
    # The class makes its instances in a way that hides what their constructor takes.
    api["models"]["Sequential"] = api[""]["Sequential"] = arguments(keras.Sequential.__init__)
    model = {name: arguments(getattr(keras.Sequential, name)) for name in METHODS}
    lines = [f' "keras": {json.dumps(keras.__version__)}']
    for key, table in {**api, "Sequential": model}.items():
        rows = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in table.items()
        )
        lines.append(f" {json.dumps(key)}: {{\n{rows}\n }}")
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
