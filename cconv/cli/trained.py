"""Properties of the training images, which ``cconv train`` saves with the model for ``cconv predict``."""

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.text import short
from cconv.files import safetensors

KEY = "pictures"  # in the JSON document of a model's file
DARK, BRIGHT = "dark", "bright"
CLEAR = 0.25  # a frame is dark or bright if it is this near to black or white, as a fraction


class Trained(NamedTuple):
    """What is known of a model's training images; None for what is unknown.

    Attributes
    ----------
    scale : (float, float), optional
        The numbers for black and white.
    ground : str, optional
        "dark" or "bright": the frame of most images, if they have one channel and it is clear.
    classes : tuple of str, optional
        Names of the classes, by number.
    """

    scale: tuple[float, float] | None = None
    ground: str | None = None
    classes: tuple[str, ...] | None = None

    def document(self) -> dict[str, Any]:
        """Return this as JSON-serialisable data."""
        scale, classes = self.scale, self.classes
        return {
            KEY: {
                "scale": None if scale is None else list(scale),
                "ground": self.ground,
                "classes": None if classes is None else list(classes),
            }
        }


def look_at(x: np.ndarray, classes: Sequence[str] | None = None) -> Trained:
    """Return the properties of training images (n, h, w, c).

    Black and white are 0 and 255 for bytes, and for other numbers in that range; else 0 and 1, or -1 and 1.
    For numbers in another range they are unknown.
    """
    names = None if classes is None else tuple(classes)
    low, high = float(x.min()), float(x.max())
    if x.dtype == np.uint8 or (low >= 0 and 1 < high <= 255):
        scale = (0.0, 255.0)
    elif low >= 0 and high <= 1:
        scale = (0.0, 1.0)
    elif low >= -1 and high <= 1:
        scale = (-1.0, 1.0)
    else:
        return Trained(classes=names)
    return Trained(scale, ground_of(x, scale) if x.shape[-1] == 1 else None, names)


def ground_of(x: np.ndarray, scale: tuple[float, float]) -> str | None:
    """Return whether most images (n, h, w, 1) have a dark or a bright frame; None if it is unclear."""
    edges = (x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1])
    frame = np.concatenate([edge.reshape(len(x), -1) for edge in edges], axis=1)
    middle = float(np.median(frame.mean(axis=1, dtype=np.float64)))
    place = (middle - scale[0]) / (scale[1] - scale[0])
    return DARK if place <= CLEAR else BRIGHT if place >= 1 - CLEAR else None


def read(path: str | os.PathLike[str], outputs: int) -> Trained:
    """Return what a model's file says; names only if there is one for each of the model's outputs.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or has invalid entries.
    """
    with safetensors.Reader(path) as file:
        found = file.document.get(KEY) if isinstance(file.document, dict) else None
    if found is None:
        return Trained()
    try:
        return _checked(found, outputs)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: what it says of pictures cannot be: {short(error)}") from error


def _checked(found: Any, outputs: int) -> Trained:
    scale, ground, classes = (found[name] for name in ("scale", "ground", "classes"))
    if scale is not None:
        black, white = map(float, scale)
        scale = black, white
        if not all(map(math.isfinite, scale)) or black == white:
            raise ValueError(f"scale must be two different numbers, got {scale}")
    if ground not in (None, DARK, BRIGHT):
        raise ValueError(f"ground must be null, dark or bright, got {ground!r}")
    if classes is None:
        return Trained(scale, ground)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes must be strings, got {classes!r}")
    return Trained(scale, ground, tuple(classes) if len(classes) == outputs else None)
