"""Loading a Keras file: its configuration is translated; its arrays are checked and become the weights."""

import io
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from cconv.files import plainjson
from cconv.files.hdf5 import Reader
from cconv.files.reading import Refused, open_regular, reading
from cconv.io.keras import legacy, modern
from cconv.io.keras.archive import CONFIG, METADATA, WEIGHTS, Archive
from cconv.io.keras.compile_in import training_config
from cconv.io.keras.graph_in import Translation
from cconv.io.keras.graph_out import FIRST_USE
from cconv.io.keras.objects import of_channels
from cconv.io.keras.problems import Problems
from cconv.io.keras.source import Source
from cconv.layers.symbolic import IMAGE
from cconv.models import files

Path = str | os.PathLike[str]
WHAT = "a Keras file"


def read(path: Path, input_shape: Sequence[int] | None, compile: bool) -> Any:
    """Return the model of a file: see `cconv.io.keras.load`."""
    problems = Problems()
    with open_regular(path) as file:
        with reading(path, WHAT, zipfile.BadZipFile, NotImplementedError):
            source = _source(path, file, problems, input_shape, compile)
        problems.check(f"{path} needs what cconv has not")
        model = files.model_of(path, source, source.make, compile)
        _check_channels(model, problems)
        problems.check(f"{path} needs what cconv has not")
        return model


def _source(path: Path, file: BinaryIO, problems: Problems, input_shape: Any, compile: bool) -> Source:
    """Return the file as a `Source` for `files`; with problems it is not complete."""
    if is_archive(path):
        archive = Archive(file)
        model, added = archive.json(CONFIG), archive.json(METADATA) if METADATA in archive else None
        data = archive.read(WEIGHTS)
        reader = Reader(io.BytesIO(data), len(data))
        training = model.get("compile_config") if isinstance(model, Mapping) else None
        added = added.get("cconv") if isinstance(added, Mapping) else None
    else:
        reader = Reader(file, os.fstat(file.fileno()).st_size)
        model, training, added = (
            _json(reader, name) for name in ("model_config", "training_config", "cconv")
        )
        if isinstance(training, Mapping):
            training = {**training, "optimizer": training.get("optimizer_config")}
    if not isinstance(model, Mapping):
        raise Refused("it holds weights but no model: build the model, then load_weights")
    added = added if isinstance(added, Mapping) else {}
    # cconv's own files counted all uses from 0 until they said from where.
    first_use = 0 if added and "first_use" not in added else FIRST_USE
    translation = Translation(problems, input_shape, added.get("seed"), first_use)
    class_name, described = translation.model(model)
    compiled = training_config(training, problems) if compile else None
    if is_archive(path):
        find, variables = modern.finder(reader, translation.layers), modern.optimizer_variables(reader)
    else:
        find, variables = legacy.finder(reader), legacy.optimizer_variables(reader)
    if compiled is not None:
        _resume(compiled, added, reader, variables)
    document = {"class": class_name, "model": described, "training": compiled}
    return Source(path, document, reader, find, variables if compiled else [], compile)


def _check_channels(model: Any, problems: Problems) -> None:
    """Refuse what means the channels here and the last axis in Keras, if the channels are another axis.

    Not every file tells the shapes: a layer that is built does.
    """
    for layer in model._layers if model.data_format == "channels_first" else ():
        over = (
            of_channels(type(layer).__name__, layer.get_config()) if len(layer.input_shape) == IMAGE else ""
        )
        if over:
            problems.add(repr(layer.name), f"{over} of images whose channels come first")


def translated(where: str, model: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the class and the configuration of a model: see `cconv.io.keras.read_config`."""
    problems = Problems()
    found = Translation(problems, None, None, FIRST_USE).model(model)
    problems.check(f"{where}: json_string needs what cconv has not")
    return found


def is_archive(path: Path) -> bool:
    """Whether a file has the ending of Keras 3's own format."""
    return str(os.fspath(path)).lower().endswith(".keras")


def is_ours(path: Path) -> bool:
    """Whether a file with Keras' ending is one of cconv's own, by its first bytes."""
    with open_regular(path) as file, reading(path, WHAT):
        return file.read(9)[8:] == b"{"


def _json(reader: Reader, name: str) -> Any:
    text = reader.attribute("", name)
    return plainjson.loads(text) if isinstance(text, str) else None


def _resume(training: dict[str, Any], added: Mapping[str, Any], reader: Reader, variables: list[str]) -> None:
    """Add the counts of steps and epochs, from the optimizer's arrays and cconv's own entries."""
    count = number(reader, variables[0]) if variables else 0
    count = int(count) if isinstance(count, int | float) and math.isfinite(count) else 0
    training |= {"steps": added.get("steps", count), "epochs": added.get("epochs", 0)}
    optimizer = training["optimizer"]
    rate = optimizer["config"].get("learning_rate") if isinstance(optimizer, dict) else None
    kept = number(reader, variables[1]) if len(variables) > 1 else None
    # The rate may have changed in training. If not, the configuration has more digits than the array.
    if isinstance(rate, float) and kept is not None and float(kept) != float(np.float32(rate)):
        optimizer["config"]["learning_rate"] = float(kept)


def number(reader: Reader, path: str) -> Any:
    """Return the number in an array without axes; None for an array with axes."""
    return reader.array(path).item() if reader.arrays[path].shape == () else None
