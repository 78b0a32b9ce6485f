"""What a model was trained on, as ``cconv train`` saves it beside the model for ``cconv predict``."""

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cconv.arguments.text import short
from cconv.files import safetensors

KEY = "pictures"  # in the document of a model's file
DARK, BRIGHT = "dark", "bright"
CLEAR = 0.25  # of the way from black to white: so near to one of them the frame of an image must be


class Trained(NamedTuple):
    """What is known of the images a model was trained on; None where it is not.

    Attributes
    ----------
    scale : (float, float), optional
        The numbers for black and white.
    ground : str, optional
        "dark" or "bright": the frame of most images, where they have one channel.
    classes : tuple of str, optional
        Names by number.
    """

    scale: tuple[float, float] | None = None
    ground: str | None = None
    classes: tuple[str, ...] | None = None

    def document(self) -> dict[str, Any]:
        """Return this as JSON takes it."""
        scale, classes = self.scale, self.classes
        return {
            KEY: {
                "scale": None if scale is None else list(scale),
                "ground": self.ground,
                "classes": None if classes is None else list(classes),
            }
        }


def look_at(x: np.ndarray, classes: Sequence[str] | None = None) -> Trained:
    """Return what training images say: (n, h, w, c), numbers.

    Black and white are 0 and 255 for bytes, and for other numbers that look like it; else 0 and 1, or -1
    and 1. Numbers of another range are unknown.
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
    """Return whether most images (n, h, w, 1) have a dark or a bright frame; None where neither is clear."""
    edges = (x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1])
    frame = np.concatenate([edge.reshape(len(x), -1) for edge in edges], axis=1)
    middle = float(np.median(frame.mean(axis=1, dtype=np.float64)))
    place = (middle - scale[0]) / (scale[1] - scale[0])
    return DARK if place <= CLEAR else BRIGHT if place >= 1 - CLEAR else None


def read(path: str | os.PathLike[str], outputs: int) -> Trained:
    """Return what the file of a model says; names only where there are as many as the model has outputs.

    Raises
    ------
    OSError, ValueError
        When it cannot be read, or says something that cannot be.
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
