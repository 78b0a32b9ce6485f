"""The images for ``cconv predict``, in the form that the model takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cconv.cli.trained import Trained, ground_of
from cconv.files.numpyfiles import read_npy
from cconv.files.pictures import ENDINGS, read_picture

BYTES = (0.0, 255.0)


class Form(NamedTuple):
    """The form of a model's input images.

    Attributes
    ----------
    shape : tuple of int
        Shape of one image.
    channels_first : bool
        Whether the channels are the first of three axes.
    scale : (float, float)
        The input values for black and white.
    """

    shape: tuple[int, ...]
    channels_first: bool = False
    scale: tuple[float, float] = BYTES

    @property
    def channel_axis(self) -> int:
        """Index of the channel axis in `shape`."""
        return 0 if self.channels_first and len(self.shape) == 3 else len(self.shape) - 1

    @property
    def extents(self) -> tuple[int, int, int]:
        """Height, width and channels of a picture, for a shape of two or three axes."""
        if len(self.shape) == 2:
            return (*self.shape, 1)
        channels = self.shape[self.channel_axis]
        height, width = self.shape[1:] if self.channels_first else self.shape[:-1]
        return height, width, channels


def read_images(path: Path, form: Form, invert: bool = False) -> np.ndarray:
    """Return a file's images as (n, *form.shape): a picture is resized and scaled, an array is not changed.

    Raises
    ------
    OSError, ValueError, ImportError
        If the file cannot be read, or an array has another shape or cannot be inverted.
    """
    suffix = path.suffix.lower()
    if suffix in ENDINGS:
        array = _read_picture(path, form, invert)
    elif suffix == ".npy":
        array = _read_array(path, form)
        if invert:
            if array.dtype != np.uint8:
                raise ValueError(f"{path}: --invert takes pictures, and arrays of uint8, got {array.dtype}")
            array = 255 - array
    else:
        raise ValueError(f"{path}: an image must be a file of {', '.join(ENDINGS)} or .npy")
    return array.reshape(-1, *form.shape)


def _read_array(path: Path, form: Form) -> np.ndarray:
    shape, place = form.shape, form.channel_axis
    # A single channel may be without its axis.
    accepted = (shape, shape[:place] + shape[place + 1 :] if shape[place] == 1 else shape)

    def check(found: tuple[int, ...]) -> None:
        if found not in accepted and not (found and found[0] and found[1:] in accepted):
            raise ValueError(f"{path}: the model wants images of {size_of(shape)}, got {size_of(found)}")

    return read_npy(path, check)


def _read_picture(path: Path, form: Form, invert: bool) -> np.ndarray:
    """Read a picture in the layout of the model's images: (h, w, c), (c, h, w) or (h, w)."""
    if len(form.shape) not in (2, 3):
        raise ValueError(f"{path}: the model takes {size_of(form.shape)} numbers and no picture; use .npy")
    height, width, channels = form.extents
    pixels = read_picture(path, channels, (height, width))
    if invert:  # alpha is not inverted
        pixels = np.concatenate([255 - pixels[..., :3], pixels[..., 3:]], axis=2)
    if form.channels_first:
        pixels = np.moveaxis(pixels, 2, 0)
    if form.scale == BYTES:
        return pixels
    black, white = form.scale
    return pixels * (white - black) / 255 + black


def looks_inverted(images: np.ndarray, form: Form, trained: Trained) -> bool:
    """Whether images (n, *form.shape) of one channel have a bright frame, but the training images a dark one.

    Or vice versa; False if one of them is unclear.
    """
    if trained.ground is None or len(form.shape) not in (2, 3) or form.extents[2] != 1:
        return False
    ground = ground_of(images.reshape(len(images), *form.extents), form.scale)
    return ground is not None and ground != trained.ground


def size_of(shape: Sequence[int | None]) -> str:
    """Return a shape as text: 28x28x1.

    Examples
    --------
    >>> size_of((28, 28, 1)), size_of(())
    ('28x28x1', 'no axes')
    """
    return "x".join(map(str, shape)) or "no axes"
