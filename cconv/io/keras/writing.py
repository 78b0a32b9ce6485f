"""Writing Keras files: whole models and weights, in the layouts of Keras 3 and Keras 2."""

import json
import os
from typing import Any

import numpy as np

from cconv._version import __version__
from cconv.files import plainjson
from cconv.files.atomic import naming, replacing
from cconv.io.keras.archive import CONFIG, METADATA, WEIGHTS, packed
from cconv.io.keras.compile_out import compile_entry, optimizer_arrays
from cconv.io.keras.graph_out import FIRST_USE, listed, model_entry
from cconv.io.keras.hdf5_out import written
from cconv.io.keras.legacy import MODEL, OURS
from cconv.io.keras.modern import places
from cconv.io.keras.problems import Problems
from cconv.io.keras.reading import Path, is_archive
from cconv.models.files import stores

KERAS = "3.15.1"  # the version whose layout is written


def write_model(path: Path, model: Any) -> None:
    """Write a whole model in the layout of Keras 3 or Keras 2, by the ending of the file's name.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> from cconv.applications import LeNet5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_model(f"{folder}/m.keras", LeNet5(seed=0))
    ...     print(os.listdir(folder))
    ['m.keras']
    """
    entry, compiled = describe(path, model)
    added = {"version": __version__, "seed": model.seed, "first_use": FIRST_USE}
    if compiled is not None:
        added |= {"steps": model.steps_done, "epochs": model.epochs_done}
    with naming(path):
        data = (
            _archive(model, entry, compiled, added)
            if is_archive(path)
            else _whole(model, entry, compiled, added)
        )
    with replacing(path) as file:
        file.write(data)


def describe(path: Path, model: Any) -> tuple[dict[str, Any], Any]:
    """Return Keras' descriptions of a model and of how it is compiled, or refuse what Keras has not.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> describe("m.keras", LeNet5(seed=0))[0]["class_name"]
    'Sequential'
    """
    if str(os.fspath(path)).lower().endswith(".weights.h5"):
        raise ValueError(
            f"{model.kind}.save: {os.fspath(path)!r} ends as files of weights alone do: use '.keras', or "
            "save_weights"
        )
    problems = Problems()
    entry, compiled = model_entry(model, problems), compile_entry(model, problems)
    problems.check(
        f"cannot write {path} (a name that ends in .safetensors makes a file that holds all, save_weights "
        "one of the weights alone), there is in the model what Keras has not"
    )
    return entry, compiled


def write_weights(path: Path, model: Any) -> None:
    """Write only weights in the layout of Keras 3 or Keras 2, by the ending of the file's name.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> from cconv.applications import LeNet5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_weights(f"{folder}/m.weights.h5", LeNet5(seed=0))
    ...     print(os.listdir(folder))
    ['m.weights.h5']
    """
    name = str(os.fspath(path)).lower()
    if name.endswith(".keras"):
        raise ValueError(
            f"{model.kind}.save_weights: {os.fspath(path)!r} ends as files of whole models do: use "
            "'.weights.h5', or save"
        )
    with naming(path):
        data = _weights(model) if name.endswith(".weights.h5") else written(*_old_weights(model, ""))
    with replacing(path) as file:
        file.write(data)


# --- Keras 3's layout -------------------------------------------------------------------------------


def _archive(model: Any, entry: dict[str, Any], compiled: Any, added: dict[str, Any]) -> bytes:
    if compiled is not None:
        entry["compile_config"] = compiled
    metadata = {"keras_version": KERAS, "cconv": added}
    return packed(
        {
            METADATA: plainjson.dumps(metadata).encode(),
            CONFIG: plainjson.dumps(_listed(entry)).encode(),
            WEIGHTS: _weights(model, compiled is not None),
        }
    )


def _listed(value: Any) -> Any:
    """Return plain data as JSON would return it, with lists instead of tuples."""
    return json.loads(json.dumps(value, allow_nan=False))


def _weights(model: Any, compiled: bool = False) -> bytes:
    folders = places(listed(model))
    arrays: dict[str, np.ndarray] = {}
    attributes: dict[str, dict[str, str]] = {"vars": {"name": model.name}}
    for name, layer in model._named:
        kept = list(stores(layer).items())
        if not kept:
            continue
        group = f"{folders[name]}/vars"
        attributes[group] = {"name": layer.name}
        for number, (weight, array) in enumerate(kept):
            arrays[f"{group}/{number}"] = _as_kept(layer, weight, array)
    if compiled:
        for number, array in enumerate(optimizer_arrays(model)):
            arrays[f"optimizer/vars/{number}"] = array
        attributes["optimizer/vars"] = {"name": model.optimizer.name}
    return written(arrays, attributes)


def _as_kept(layer: Any, name: str, array: np.ndarray) -> np.ndarray:
    """Return a weight with Keras' dtype: Normalization's count is an integer there."""
    if type(layer).__name__ == "Normalization" and name == "count":
        return array.astype(np.int64)
    return array


# --- Keras 2's layout -------------------------------------------------------------------------------


def _whole(model: Any, entry: dict[str, Any], compiled: Any, added: dict[str, Any]) -> bytes:
    arrays, attributes = _old_weights(model, MODEL)
    described = {"class_name": entry["class_name"], "config": entry["config"]}
    texts = {"model_config": described, "cconv": added}
    if compiled is not None:
        optimizer = compiled.pop("optimizer")
        config = {"class_name": optimizer["class_name"], "config": optimizer["config"]}
        texts["training_config"] = {**compiled, "optimizer_config": config}
        kept = {f"optimizer/variable_{n}": array for n, array in enumerate(optimizer_arrays(model))}
        arrays |= {f"{OURS}/{name}": array for name, array in kept.items()}
        attributes[OURS] = {"weight_names": list(kept)}
    attributes[""] = {
        **{name: plainjson.dumps(_listed(value)) for name, value in texts.items()},
        "keras_version": KERAS,
        "backend": "cconv",
    }
    return written(arrays, attributes)


def _old_weights(model: Any, root: str) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    """Return the arrays by path, and the lists of names that define their order."""
    prefix = f"{root}/" if root else ""
    arrays: dict[str, np.ndarray] = {}
    attributes: dict[str, dict[str, Any]] = {}
    names = [item.name for item in model._items]
    for item in model._items:
        kept = old_order(item)
        arrays |= {f"{prefix}{item.name}/{name}": array for name, array in kept}
        attributes[f"{prefix}{item.name}"] = {"weight_names": [name for name, _ in kept]}
    attributes[f"{prefix}top_level_model_weights"] = {"weight_names": []}
    attributes[root] = {"layer_names": names, "backend": "cconv", "keras_version": KERAS}
    return arrays, attributes


def old_order(item: Any) -> list[tuple[str, np.ndarray]]:
    """Return the weights of a layer, or of a model as a layer, in Keras 2's order: trainable ones first."""
    if not hasattr(item, "_named"):
        return [(f"{item.name}/{name}", array) for name, array in stores(item).items()]
    learning = {id(layer) for _, layer in item._learning() or ()}
    first: list[tuple[str, np.ndarray]] = []
    then: list[tuple[str, np.ndarray]] = []
    for path, layer in item._named:
        for name, array in stores(layer).items():
            trained = id(layer) in learning and name in layer.params
            (first if trained else then).append((f"{path}/{name}", array))
    return first + then
