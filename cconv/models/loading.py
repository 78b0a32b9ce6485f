"""Models made from files, from JSON, or from another model."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from cconv.arguments.control import controlled
from cconv.arguments.paths import as_path
from cconv.arguments.serializable import custom_object_scope, name_of
from cconv.files import plainjson
from cconv.files.names import KERAS
from cconv.layers.base import Layer
from cconv.layers.input import InputLayer
from cconv.models import described, files
from cconv.models.doors import door
from cconv.models.model import Model
from cconv.models.sequential import Sequential
from cconv.seeds import new_seed

described.KINDS.update({kind.kind: kind for kind in (Model, Sequential)})


@controlled
def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Any:
    """Return the model in a file of `Model.save` or of Keras (``.keras``, ``.h5`` or ``.hdf5``).

    Parameters
    ----------
    path : path
        Path of the file.
    custom_objects : dict of str to class or function, optional
        The meaning of names of your own layers, losses and so on in the file, as in Keras; not needed for
        objects registered with `cconv.utils.register_serializable`.
    compile : bool
        Whether to compile it as it was, with the state of its optimizer.

    Raises
    ------
    OSError
        When there is no such file, or the file cannot be read.
    ValueError
        When the file does not hold a complete model; the message has the path and the reason. Large memory is
        allocated only after the file was found to hold that much.
    MemoryError
        When there is not enough memory for the weights.

    Examples
    --------
    >>> import numpy as np
    >>> import tempfile
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> model = Sequential([Dense(3, input_shape=(2,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.safetensors")
    ...     twin = load_model(f"{folder}/model.safetensors")
    >>> all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights()))
    True
    """
    as_path("load_model", "path", path)
    with custom_object_scope(custom_objects):
        other = door(path)
        if other is not None:
            return other.read_model(path, compile)
        return files.read_model(path, described.model_of, compile)


@controlled
def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the model that `Model.to_json` described, with new weights from the same seed.

    Parameters
    ----------
    json_string : str
        The text, of `Model.to_json` or of Keras' `to_json`.
    custom_objects : dict of str to class, optional
        As for `load_model`.

    Raises
    ------
    TypeError, ValueError
        When the text does not describe a model.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> twin = model_from_json(Sequential([Dense(3, input_shape=(2,))], seed=1).to_json())
    >>> twin.output_shape
    (None, 3)
    """
    where = "model_from_json"
    if not isinstance(json_string, str):
        raise TypeError(f"{where}: json_string must be a string, got {json_string!r}")
    entry = plainjson.loads(json_string)
    if not isinstance(entry, dict) or not set(entry) >= {"class_name", "config"}:
        raise ValueError(f"{where}: json_string must hold class_name and config, got {json_string:.60}")
    with custom_object_scope(custom_objects):
        class_name, config = entry["class_name"], entry["config"]
        if set(entry) != {"class_name", "config"}:  # Keras also writes the class' module, and its own version
            class_name, config = door(KERAS[0]).read_config(where, entry)
        model = described.model_of(where, class_name, config)
    model._build_described(config)
    return model


@controlled
def clone_model(
    model: Model, input_tensors: None = None, clone_function: Callable[[Any], Any] | None = None
) -> Any:
    """Return a model of the same layers with new weights, from a new seed; not compiled.

    Parameters
    ----------
    model : Sequential or Model
        Not changed.
    input_tensors : None
        Keras' second argument, which must be None: call the clone on tensors.
    clone_function : callable, optional
        Returns the layer in place of each layer, such as one with another rate, or of each model among the
        layers; the same layer is shared by both models. By default each is copied, without its weights.

    Raises
    ------
    TypeError
        When it is not a model, or `clone_function` gives no layer.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> model = LeNet5(seed=0)
    >>> clone = clone_model(model)
    >>> clone.count_params() == model.count_params(), clone.seed == model.seed
    (True, False)
    """
    if not isinstance(model, Model):
        raise TypeError(f"clone_model: model must be a Sequential or a Model, got {model!r}")
    if input_tensors is not None:
        raise TypeError(
            f"clone_model: input_tensors must be None: call the clone on tensors, got {input_tensors!r}"
        )
    own = {type(layer).__name__: type(layer) for layer in model._layers}
    names = {name_of(kind): kind for kind in own.values()}
    config = {**model.get_config(), "seed": new_seed()}
    if clone_function is not None:
        config["layers"] = [
            entry if isinstance(item, InputLayer) else _made_by(clone_function, item)
            for item, entry in zip(model._items, config["layers"], strict=True)
        ]
    return type(model).from_config(config, {**own, **names})


def _made_by(clone_function: Callable[[Any], Any], item: Any) -> Any:
    if not callable(clone_function):
        raise TypeError(f"clone_model: clone_function must be callable, got {clone_function!r}")
    made = clone_function(item)
    if not isinstance(made, Layer | Model):
        raise TypeError(f"clone_model: clone_function must return a layer, got {made!r} for {item!r}")
    if made is not item and not getattr(made, "named", True):
        made.name = item.name  # as a copy by get_config has it in Keras
    return made
