"""Pictures in PNG files, by Pillow, which is only imported here."""

import os
import warnings
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from cconv.io.reading import open_regular, read_exactly, reading

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MODES = {1: "L", 3: "RGB"}


def read_png(
    path: str | os.PathLike[str], channels: int, check: Callable[[tuple[int, ...]], None]
) -> np.ndarray:
    """Return the pixels of a PNG as uint8 (h, w, channels); colours become grey where there is one channel.

    Parameters
    ----------
    path : path
        Of the file.
    channels : int
        1 or 3.
    check : callable
        Gets the shape (h, w, channels) before a pixel is unpacked; may raise.

    Raises
    ------
    OSError, ValueError
        When it cannot be read, or would lose something: 16 bits a channel, transparency. The message names
        the file.
    ImportError
        Without Pillow.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(f"{path}: reading PNG needs Pillow: pip install 'cconv[data]'") from error
    mode = MODES.get(channels)
    if mode is None:
        raise ValueError(f"{path}: the model wants {channels} channels, which a PNG cannot have; use .npy")
    with open_regular(path) as file:
        with reading(path, "a readable PNG"):
            size = _size(file)
        check((*size, channels))
        with reading(path, "a readable PNG", UnidentifiedImageError, Image.DecompressionBombError):
            pixels = _pixels(file, mode)
    return pixels.reshape(*size, channels)


def _pixels(file: BinaryIO, mode: str) -> np.ndarray:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of what does not belong to the picture, and of a size that is checked
        with Image.open(file, formats=["PNG"]) as image:
            image.load()
            if image.mode not in ("1", "L", "P", "RGB") or "transparency" in image.info:
                raise ValueError(
                    f"expected a PNG of 8 bits a channel without transparency, got mode {image.mode}"
                )
            return np.asarray(image.convert(mode))


def _size(file: BinaryIO) -> tuple[int, int]:
    """Return (height, width), which stand in the first part of the file."""
    start = read_exactly(file, 24)
    if start[:8] != SIGNATURE or start[12:16] != b"IHDR":
        raise ValueError("it does not begin as a PNG does")
    _check_parts(file)
    return int.from_bytes(start[20:24]), int.from_bytes(start[16:20])


def _check_parts(file: BinaryIO) -> None:
    """Refuse parts that are longer than the file, for which Pillow would take memory; go to the beginning."""
    size, at, kind = os.fstat(file.fileno()).st_size, len(SIGNATURE), b""
    while at < size and kind != b"IEND":
        file.seek(at)
        head = read_exactly(file, 8)
        kind = head[4:]
        at += 12 + int.from_bytes(head[:4])
        if at > size:
            raise ValueError(f"it is cut: its part {ascii(kind)[1:]} ends at {at}, and the file at {size}")
    file.seek(0)
