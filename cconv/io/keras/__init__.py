"""Keras' files: models and weights of Keras 3 (``.keras``, ``.weights.h5``) and Keras 2 (``.h5``, ``.hdf5``).

`load` makes a `Sequential` or `Model` that computes and trains as the saved one. `cconv.models.load_model`,
``model.save``, ``save_weights`` and ``load_weights`` use this module for files with these endings; Keras
loads what they write. Code in a file is never run: a ``Lambda``, a pickled function, and everything else that
cconv lacks are refused, all in one message. Files are read in plain Python; writing needs h5py: ``pip install
'cconv[keras]'``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cconv.arguments.control import controlled
from cconv.arguments.numbers import positive_int
from cconv.arguments.paths import as_path
from cconv.arguments.serializable import custom_object_scope
from cconv.io.keras import weights
from cconv.io.keras.reading import Path, is_ours, read, translated
from cconv.io.keras.writing import describe as describe
from cconv.io.keras.writing import write_model, write_weights
from cconv.models import described, files

__all__ = ["load", "read_config", "read_model", "read_weights", "write_model", "write_weights"]


@controlled
def load(
    path: Path,
    input_shape: Sequence[int] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> Any:
    """Return the model in a file that Keras, or cconv, saved.

    Parameters
    ----------
    path : path
        The file: its name ends in ``.keras``, or it is an HDF5 file.
    input_shape : tuple of int, optional
        One sample's shape, if the file leaves sizes open: ``(h, w, c)`` without the batch.
    custom_objects : dict of str to class or function, optional
        The meaning of names of your own layers in the file; see `cconv.models.load_model`.
    compile : bool
        Whether to compile it as it was, with the state of its optimizer, so that `fit` goes on.

    Returns
    -------
    Sequential or Model

    Raises
    ------
    OSError
        When there is no such file, or the file cannot be read.
    ValueError
        When it is damaged, or has parts that cconv lacks; the message names the file and all of these.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> model = Sequential([Dense(3, input_shape=(2,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.keras")
    ...     twin = load(f"{folder}/model.keras")
    >>> all((a == b).all() for a, b in zip(model.get_weights(), twin.get_weights()))
    True
    """
    as_path("keras.load", "path", path)
    shape = None
    if input_shape is not None:
        if isinstance(input_shape, str) or not isinstance(input_shape, Sequence) or not input_shape:
            raise TypeError(f"keras.load: input_shape must be a tuple of sizes, got {input_shape!r}")
        shape = [positive_int("keras.load", "input_shape entry", extent) for extent in input_shape]
    with custom_object_scope(custom_objects):
        return read(path, shape, compile)


def read_model(path: Path, compile: bool) -> Any:
    """Return the model in a file, for `cconv.models.load_model`; cconv's own files may have any name.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.applications import LeNet5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     LeNet5(seed=0).save(f"{folder}/m.keras")
    ...     print(read_model(f"{folder}/m.keras", compile=True).count_params())
    61706
    """
    if is_ours(path):
        return files.read_model(path, described.model_of, compile)
    return read(path, None, compile)


def read_config(where: str, model: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the class and the configuration, as cconv has them, of a model as Keras' `to_json` describes it.

    Raises
    ------
    ValueError
        When it needs what cconv has not, or describes no model; the message begins with `where`.

    Examples
    --------
    >>> dense = {"class_name": "Dense", "config": {"name": "dense", "units": 3}}
    >>> config = {"name": "m", "layers": [dense]}
    >>> read_config("example", {"module": "keras", "class_name": "Sequential", "config": config})[0]
    'Sequential'
    """
    return translated(where, model)


def read_weights(path: Path, model: Any) -> None:
    """Read a file's weights into a built model, for its `load_weights`.

    Raises
    ------
    OSError, ValueError
        When there is no such file, or it is damaged or does not fit; the model is unchanged then.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.applications import LeNet5
    >>> model, other = LeNet5(seed=0), LeNet5(seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save_weights(f"{folder}/m.weights.h5")
    ...     read_weights(f"{folder}/m.weights.h5", other)
    >>> bool((model.get_weights()[0] == other.get_weights()[0]).all())
    True
    """
    (files if is_ours(path) else weights).read_weights(path, model)
