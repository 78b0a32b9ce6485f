"""Utilities for lessons and models: labels, images, drawings, and the seed of all random numbers."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv.arguments.arrays import as_array
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import positive_int
from cconv.arguments.paths import as_path
from cconv.arguments.serializable import custom_object_scope, register_serializable
from cconv.models import diagram
from cconv.seeds import set_random_seed
from cconv.utils.augmented import Augmented
from cconv.utils.folders import image_dataset_from_directory
from cconv.utils.image_rows import FolderImages, ParquetImages, TarImages
from cconv.utils.images import array_to_img, img_to_array, load_img, save_img
from cconv.utils.py_dataset import PyDataset, Sequence
from cconv.utils.relevance import class_activation_map, occlusion_map

__all__ = [
    "Augmented",
    "FolderImages",
    "ParquetImages",
    "PyDataset",
    "Sequence",
    "TarImages",
    "array_to_img",
    "class_activation_map",
    "custom_object_scope",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "occlusion_map",
    "plot_model",
    "register_keras_serializable",
    "register_serializable",
    "save_img",
    "set_random_seed",
    "to_categorical",
]

register_keras_serializable = register_serializable  # by Keras' name


@controlled
def to_categorical(x: ArrayLike, num_classes: int | None = None, dtype: DTypeLike = "float32") -> np.ndarray:
    """Return class numbers as one-hot vectors.

    Parameters
    ----------
    x : array of int
        Class numbers from 0, of any shape; a last axis of length 1 is dropped.
    num_classes : int, optional
        Length of the vectors; by default the largest class number plus one.
    dtype : dtype
        Dtype of the result.

    Returns
    -------
    ndarray
        Shape ``x.shape + (num_classes,)``: 1 at the class, 0 elsewhere.

    Raises
    ------
    TypeError
        For anything but whole numbers.
    ValueError
        For an empty `x` without `num_classes`, or a class number outside ``[0, num_classes)``.

    Examples
    --------
    >>> to_categorical([0, 2, 1], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    where = "to_categorical"
    labels = as_array(where, "x", x)
    if labels.dtype.kind == "f":
        wrong = ~(np.isfinite(labels) & (labels == np.floor(labels)) & (np.abs(labels) < 2**63))
        if wrong.any():
            raise TypeError(f"{where}: x must hold whole numbers, got {labels[wrong].flat[0]}")
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biu":
        raise TypeError(f"{where}: x must hold whole numbers, got dtype {labels.dtype}")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels.reshape(labels.shape[:-1])
    if num_classes is None:
        if labels.size == 0:
            raise ValueError(f"{where}: num_classes must be given when x is empty")
        num_classes = max(int(labels.max()) + 1, 1)
    num_classes = positive_int(where, "num_classes", num_classes)
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(f"{where}: x must lie in [0, {num_classes}), got {labels.min()} … {labels.max()}")
    one_hot = np.zeros((labels.size, num_classes), dtype)
    one_hot[np.arange(labels.size), labels.astype(np.int64).ravel()] = 1
    return one_hot.reshape(*labels.shape, num_classes)


@controlled
def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> np.ndarray:
    """Return x divided by its norms along an axis; zero vectors remain zero.

    Parameters
    ----------
    x : array of numbers
    axis : int
        Axis of the norms.
    order : float
        Order of the norm: 2 is the Euclidean norm.

    Returns
    -------
    ndarray
        With x's shape and dtype; float64 for integers.

    Examples
    --------
    >>> normalize([[3, 4], [0, 0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    array = as_array("normalize", "x", x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"normalize: x must hold real numbers, got dtype {array.dtype}")
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    wide = array.astype(np.float64)
    # Powers are taken of numbers of at most 1, so that none is too large or too small.
    largest = np.abs(wide).max(axis, keepdims=True, initial=0)
    if order != 0:  # the number of those that are not 0
        wide /= np.where((largest == 0) | np.isinf(largest), 1, largest)
    norm = np.linalg.norm(wide, order, axis, keepdims=True)
    return (wide / np.where(norm == 0, 1, norm)).astype(dtype)


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.svg",
    show_shapes: bool = True,
    show_layer_names: bool = True,
) -> diagram.Drawing:
    """Draw the layers of a built model; neither Graphviz nor any other program is needed.

    Parameters
    ----------
    model : Sequential or Model
        Built. Branches of a graph stand side by side; in a large model a layer's normalisation and activation
        stand in its box.
    to_file : path, optional
        The ``.svg`` file to write; None writes none.
    show_shapes, show_layer_names : bool
        Write the shape of each layer's output, and the layers' names.

    Returns
    -------
    Drawing
        The text of the file; a notebook shows it as a picture.

    Raises
    ------
    ValueError
        If the file's name has another ending, or the model is not built.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> drawing = plot_model(LeNet5(), to_file=None)
    >>> drawing.startswith("<svg"), drawing.count("6 filters 5×5")
    (True, 2)
    """
    where = "plot_model"
    if to_file is not None and Path(as_path(where, "to_file", to_file)).suffix.lower() != ".svg":
        raise ValueError(f"{where}: to_file must end in .svg, got {os.fspath(to_file)!r}")
    if not model.built:
        raise ValueError(f"{where}: the model is not built: call model.build(input_shape) first")
    drawing: diagram.Drawing = model._drawing(show_shapes, show_layer_names)
    if to_file is not None:
        Path(to_file).write_text(drawing, encoding="utf-8")
    return drawing


refusing(globals(), functions=["plot_model", "image_dataset_from_directory"])
