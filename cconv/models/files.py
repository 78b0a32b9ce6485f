"""Saved models: how they are written, and how they are checked before anything is made of them.

A file has a document (plain JSON), which describes the layers and the optimizer, and arrays by name. The file
is not trusted: layers are made without weights, their shapes are compared with the header of the file, and
only if everything fits are the arrays read; these then become the weights.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np

from cconv._version import __version__
from cconv.arguments.numbers import LARGEST
from cconv.arguments.serializable import check_comes_back
from cconv.files import names, safetensors
from cconv.files.atomic import naming
from cconv.files.reading import DAMAGE, short
from cconv.files.safetensors import MOST_AXES
from cconv.layers.base import Layer
from cconv.losses.joint import parts_of

Path = str | os.PathLike[str]

# Prefixes of the arrays' names in a file.
WEIGHTS, OPTIMIZER = "weights/", "optimizer/"
ITERATIONS = f"{OPTIMIZER}iterations"
FORMAT = 1  # version of the document; raised if older versions of cconv could not read it
MOST_STEPS = 2**62  # upper limit of a file's count of steps: unreachable, and the count can still grow


def stores(layer: Layer) -> dict[str, np.ndarray]:
    """Return the weights and the state of a layer by name."""
    return {**layer.params, **layer.state}


Named = Iterable[tuple[str, Layer]]  # layers, each with its name


class Source(Protocol):
    """An open file of any format: its document, and its arrays under the names of our own format."""

    digest: str | None

    @property
    def document(self) -> Any:
        """The description of the model."""

    @property
    def entries(self) -> Mapping[str, safetensors.Entry]:
        """The arrays by name."""

    def array(self, name: str) -> np.ndarray:
        """Return a new array with the entry's values."""

    def check(self) -> None:
        """Raise ValueError if the data read so far are damaged."""


def named_params(layers: Named) -> dict[str, np.ndarray]:
    """Return all weights, without states, by their names in an optimizer."""
    return {f"{path}/{name}": array for path, layer in layers for name, array in layer.params.items()}


def named_weights(layers: Named) -> dict[str, np.ndarray]:
    """Return all weights and states by their names in a file."""
    return {
        f"{WEIGHTS}{path}/{name}": array for path, layer in layers for name, array in stores(layer).items()
    }


# --- writing ----------------------------------------------------------------------------------


def write_weights(path: Path, model: Any) -> None:
    """Write only the weights and states of a model."""
    names.check_ending(f"{model.kind}.save_weights", path)
    safetensors.write(path, named_weights(model._named), {"format": FORMAT, "cconv": __version__})


def write_model(path: Path, model: Any, about: Mapping[str, Any] | None = None) -> None:
    """Write a whole built model for `read_model`; `about` has further entries of the document."""
    document = {**(about or {}), **describe(path, model)}
    with naming(path):
        state = optimizer_state(model)
    safetensors.write(path, named_weights(model._named) | state, document)


def describe(path: Path, model: Any) -> dict[str, Any]:
    """Return the document of a model, or refuse one that could not be loaded again, before it is trained."""
    names.check_ending(f"{model.kind}.save", path)
    for part in (*model._layers, model.optimizer, *parts_of(model.loss)):
        check_comes_back(path, part)
    return {
        "format": FORMAT,
        "cconv": __version__,
        "class": model.kind,
        "model": model.get_config(),
        "training": model._training_config(),
    }


def optimizer_state(model: Any) -> dict[str, np.ndarray]:
    """Return the optimizer's arrays for the model's weights; those of removed layers are left out."""
    if model.optimizer is None:
        return {}
    weights = named_params(model._named)
    state = {OPTIMIZER + name: array for name, array in model.optimizer.get_state().items()}
    return {
        name: array
        for name, array in state.items()
        if name == ITERATIONS or _weight_and_slot(name)[0] in weights
    }


def _weight_and_slot(name: str) -> tuple[str, str]:
    """Return the weight that an optimizer's array belongs to, and the array's name for it."""
    weight, _, slot = name.removeprefix(OPTIMIZER).rpartition("/")
    return weight, slot


# --- reading ----------------------------------------------------------------------------------


def read_weights(path: Path, model: Any) -> None:
    """Read a file's weights into a built model; if they do not fit, the model is unchanged."""
    places = named_weights(model._named)
    with safetensors.Reader(path) as file:
        document = file.document
        if isinstance(document, dict) and "format" in document:
            check_format(path, document)
        given = {name for name in file.entries if name.startswith(WEIGHTS)}
        if given != set(places):
            missing, surplus = sorted(set(places) - given), sorted(given - set(places))
            raise ValueError(
                f"{path} does not fit this model: {short(f'missing {missing}, unknown {surplus}')}"
            )
        for name, place in places.items():
            entry = file.entries[name]
            if entry.shape != place.shape:
                raise ValueError(
                    f"{path} does not fit this model: {name} must have shape {place.shape}, got {entry.shape}"
                )
            if entry.dtype.kind != "f":
                raise ValueError(
                    f"{path} does not fit this model: {name} must hold floats, got {entry.dtype}"
                )
        arrays = {name: file.array(name) for name in places}
        file.check()
    for name, place in places.items():
        place[...] = arrays[name]


def read_model(path: Path, make: Callable[[str, Any, Any], Any], compile: bool) -> Any:
    """Return the model of a file; `make` makes it from its class' name and its configuration.

    ValueError, with the path and the reason, if anything does not fit; arrays are read only after that check.
    """
    with safetensors.Reader(path) as file:
        document = file.document
        if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
            raise ValueError(f"{path} holds weights but no model: build the model, then load_weights")
        check_format(path, document)
        return model_of(path, file, make, compile)


def model_of(path: Path, file: Source, make: Callable[[str, Any, Any], Any], compile: bool) -> Any:
    """Return the model of an open file whose document describes one; see `read_model`."""
    document = file.document
    with _describing(path):
        # Older files, always of a Sequential, do not name the class.
        model = make("load_model", document.get("class", "Sequential"), document["model"])
        _build(model, document["model"], file)
        training = document["training"]
        _check_names(model, file, training is not None)
        resumed = _compiled(model, training, file) if compile and training is not None else []
    arrays = {name: file.array(name) for name in [*named_weights(model._named), *resumed]}
    file.check()
    for path_, layer in model._named:
        for store in (layer.params, layer.state):
            for name, place in store.items():
                array = arrays[f"{WEIGHTS}{path_}/{name}"]
                if place.flags.writeable:  # a user's layer may have stored it elsewhere too
                    place[...] = array
                else:
                    store.add(name, array)
    if resumed:
        with _describing(path):
            _check_count("the optimizer's iterations", int(arrays[ITERATIONS]))
            model._resume(training, {name.removeprefix(OPTIMIZER): arrays[name] for name in resumed})
    return model


def check_format(path: Path, document: Mapping[str, Any]) -> None:
    """Refuse a file of another format version."""
    given = document.get("format")
    if type(given) is not int or given != FORMAT:
        raise ValueError(f"{path} has format {short(repr(given))}, this cconv reads format {FORMAT}")


@contextmanager
def _describing(path: Path) -> Iterator[None]:
    """Turn every error of making the described model into one ValueError or MemoryError with the path."""
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{path}: there is not enough memory for its model") from error
    except DAMAGE as error:
        raise ValueError(f"{path} does not describe a model that can be made: {short(error)}") from error


def _build(model: Any, config: Mapping[str, Any], file: Source) -> None:
    """Build the layers without memory for their weights; compare the weights' shapes with the file's."""
    input_shape = config["input_shape"]
    if not isinstance(input_shape, list) or not 0 < len(input_shape) < MOST_AXES:  # the batch is one more
        raise ValueError(f"input_shape must be a list of less than {MOST_AXES} sizes, got {input_shape!r}")
    for path, layer in model._named:
        layer._stand_in = partial(_stand_in, file.entries, layer, path, model.dtype)
    try:
        model._build_described(config)
    finally:
        for layer in model._layers:
            del layer._stand_in
    for layer in model._layers:
        if math.prod(layer.output_shape) * model.dtype.itemsize > LARGEST:
            raise ValueError(f"the output of {layer.where} is larger than memory can be")


def _stand_in(
    entries: Mapping[str, safetensors.Entry],
    layer: Layer,
    path: str,
    dtype: np.dtype,
    name: str,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Return a placeholder for a weight that is read later: its shape and dtype without its memory."""
    entry = entries.get(f"{WEIGHTS}{path}/{name}")
    if entry is None:
        raise ValueError(f"{layer.where}: the file has no {name}")
    if entry.shape != shape or entry.dtype != dtype:
        raise ValueError(
            f"{layer.where}: {name} must be {dtype} of shape {shape}, got {entry.dtype} of {entry.shape}"
        )
    return np.broadcast_to(np.zeros((), dtype), shape)


def _check_names(model: Any, file: Source, compiled: bool) -> None:
    """Refuse arrays that belong to no layer."""
    known = named_weights(model._named)
    for name in file.entries:
        if name not in known and not (compiled and name.startswith(OPTIMIZER)):
            raise ValueError(f"the array {name!r} belongs to no layer")


def _compiled(model: Any, training: Any, file: Source) -> list[str]:
    """Compile the model as it was; return the optimizer's arrays' names, after checking their shapes."""
    if not isinstance(training, dict):
        raise ValueError(f"training must be an object or null, got {training!r}")
    for name in ("steps", "epochs"):
        _check_count(name, training[name])
    model._compile_as(training)
    # Older versions also stored the optimizer's state of removed layers.
    return checked_slots(model, file.entries, whole=file.digest is not None)


def checked_slots(model: Any, entries: Mapping[str, Any], whole: bool) -> list[str]:
    """Return the names of the optimizer's arrays among `entries`, after checking their shapes and dtypes.

    With `whole`, arrays that belong to no weight of the model are refused.
    """
    count = entries.get(ITERATIONS)
    if count is None or (count.dtype, count.shape) != (np.dtype(np.int64), ()):
        raise ValueError("the optimizer's iterations must be one I64")
    weights = named_params(model._named)
    found: dict[str, set[str]] = {}
    for name, entry in entries.items():
        if not name.startswith(OPTIMIZER) or name == ITERATIONS:
            continue
        weight, slot = _weight_and_slot(name)
        if slot not in model.optimizer.kept_slots:
            raise ValueError(f"{name!r} must end in one of {model.optimizer.kept_slots}")
        if weight not in weights:
            if not whole:
                continue
            raise ValueError(f"the array {name!r} is about no weight of the model")
        shape = model.optimizer.slot_shapes(weights[weight].shape).get(slot)
        if shape is None:
            raise ValueError(f"{name!r} is not what the optimizer keeps of a weight of that shape")
        if entry.shape != shape or entry.dtype != model.dtype:
            raise ValueError(
                f"{name!r} must be {model.dtype} of shape {shape}, as its weight, "
                f"got {entry.dtype} of {entry.shape}"
            )
        found.setdefault(weight, set()).add(slot)
    for weight, slots in found.items():
        if len(slots) != len(model.optimizer.slot_shapes(weights[weight].shape)):
            raise ValueError(f"the optimizer must have {model.optimizer.kept_slots} of {weight!r}")
    return [
        ITERATIONS,
        *(
            f"{OPTIMIZER}{weight}/{slot}"
            for weight, slots in found.items()
            for slot in model.optimizer.kept_slots
            if slot in slots
        ),
    ]


def _check_count(name: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= MOST_STEPS:
        raise ValueError(f"{name} must be an int of at least 0, got {value!r}")
