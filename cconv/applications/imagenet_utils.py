"""The scaling of images for networks trained on ImageNet, as in Keras."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import one_of

# Red, green and blue of ImageNet's training images: on the scale of bytes, and as fractions of 255.
_MEAN_BYTES = (123.68, 116.779, 103.939)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MODES = ("caffe", "tf", "torch")


def preprocess_input(x: ArrayLike, data_format: str | None = None, mode: str = "caffe") -> np.ndarray:
    """Return images scaled as the images that a network was trained on.

    Parameters
    ----------
    x : array_like
        ``(h, w, 3)`` or ``(n, h, w, 3)``, red, green and blue from 0 to 255; with ``"channels_first"``
        ``(3, h, w)`` or ``(n, 3, h, w)``.
    data_format : {"channels_last", "channels_first"}, optional
        By default channels_last.
    mode : {"caffe", "tf", "torch"}
        "caffe": blue, green, red, each minus its mean over ImageNet. "tf": scaled to -1 … 1. "torch": divided
        by 255, then each colour normalised by ImageNet's mean and standard deviation.

    Returns
    -------
    ndarray
        A new array: float64 for float64, else float32.

    Raises
    ------
    TypeError, ValueError
        For arrays that are not images with three colours, and for unknown modes.

    Examples
    --------
    >>> preprocess_input(np.full((1, 1, 3), 255), mode="tf")
    array([[[1., 1., 1.]]], dtype=float32)
    """
    where = "preprocess_input"
    mode = one_of(where, "mode", mode, MODES)
    layout = "channels_last" if data_format is None else arguments.data_format(where, data_format)
    images: Any = as_array(where, "x", x)
    axis = -1 if layout == "channels_last" else -3
    if images.ndim not in (3, 4) or (mode != "tf" and images.shape[axis] != 3):
        raise ValueError(f"{where}: x must be images with three colours, {layout}, got shape {images.shape}")
    made = images.astype(images.dtype if images.dtype == np.float64 else np.float32)
    if mode == "tf":
        made /= 127.5
        made -= 1
        return made
    colours = np.moveaxis(made, axis, -1)
    if mode == "torch":
        colours /= 255
        colours -= np.array(_MEAN, made.dtype)
        colours /= np.array(_DEVIATION, made.dtype)
        return made
    colours = colours[..., ::-1]
    colours -= np.array(_MEAN_BYTES[::-1], made.dtype)
    return np.ascontiguousarray(np.moveaxis(colours, -1, axis))


refusing(globals(), namespace="applications.imagenet_utils")
