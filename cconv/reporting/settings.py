"""What is needed to reproduce the model: settings, seed, digest of weights, environment, command."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from cconv.arguments.text import printable, short
from cconv.callbacks.recording import epochs_of
from cconv.losses.joint import parts_of
from cconv.models import Model
from cconv.models.files import stores
from cconv.reporting.packing import rounded
from cconv.utils.config import configuration


def digest(model: Model) -> str:
    """Return the SHA-256 of all weights and states of a built model, with their names, dtypes and shapes.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> digest(Sequential([Dense(1, input_shape=(1,), kernel_initializer="ones")]))[:16]
    '1ac4014d52ecd2a8'
    """
    found = sha256()
    for path, layer in model._named:
        for name, array in stores(layer).items():
            found.update(f"{path}/{name} {array.dtype.name} {array.shape}\n".encode())
            found.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def figures_of(where: str, history: Any) -> dict[str, list[float | None]]:
    """Return the values of each epoch from a History, or a dict of lists; empty for None."""
    given = getattr(history, "history", history)
    if given is None:
        return {}
    expected = f"{where}: history must be what fit returns, or a dict of lists of numbers, got"
    if not isinstance(given, Mapping):
        raise TypeError(f"{expected} {type(history).__name__}")
    found = {}
    for name, values in given.items():
        try:
            numbers = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{expected} {values!r:.60} for {name!r}") from error
        if numbers.ndim != 1:
            raise ValueError(f"{expected} the shape {numbers.shape} for {name!r}")
        found[printable(name)] = rounded(numbers, 6)
    return found


def epochs_of_figures(history: Any) -> dict[str, list[int]]:
    """Return the epochs of what `figures_of` returns."""
    return {} if history is None else {printable(name): of for name, of in epochs_of(history).items()}


def settings(model: Model, figures: Mapping[str, Sequence[Any]], command: str | None) -> list[Any]:
    """Return groups of settings that reproduce the model: a title, and names with values."""
    training = _training(model)
    epochs = max(map(len, figures.values()), default=0)
    if epochs:
        training.append(("epochs", f"{epochs:,}"))
    known = [
        ("model", f"{type(model).__name__} {short(model.name)}"),
        ("dtype", model.dtype.name),
        ("data_format", model.data_format),
        ("seed", str(model.seed)),
        ("SHA-256 of the weights", digest(model)),
    ]
    config = json.dumps(model.get_config(), indent=1, default=str)
    return [
        ["Model", known],
        ["Training", training],
        ["Environment", list(configuration().items())],
        ["Command", [("", command if command is not None else _command())]],
        ["Configuration", [("", config)]],
    ]


def _training(model: Model) -> list[tuple[str, str]]:
    if model.optimizer is None:
        return [("", "not compiled")]
    lines = [("optimizer", type(model.optimizer).__name__)]
    for name, value in model.optimizer.get_config().items():
        if value is not None and name != "name":
            lines.append((printable(name), f"{value:g}" if isinstance(value, float) else short(value)))
    return [*lines, *_losses(model)]


def _losses(model: Model) -> Iterator[tuple[str, str]]:
    """Yield the loss of each output; with its weight if there are several."""
    parts: Any = parts_of(model.loss)
    names = [f"loss of {short(name)}" for name in model._outs.names] if len(parts) > 1 else ["loss"]
    weights = getattr(model.loss, "weights", [1.0] * len(parts))
    for name, loss, weight in zip(names, parts, weights, strict=True):
        named = "none" if loss is None else short(getattr(loss, "name", None) or type(loss).__name__)
        yield name, named if weight == 1 else f"{weight:g} × {named}"


def _command() -> str:
    """Return the command line of this program; in an interactive session, the call that made the page."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is None or hasattr(sys, "ps1") or "ipykernel" in sys.modules:
        return "cconv.report(model, x_test, y_test)"
    return shlex.join(["python", *sys.argv])
