"""Pictures in PNG files, by Pillow, which is only imported here."""

import os
import warnings
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from cconv.files.reading import open_regular, read_exactly, reading

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR, PALETTE = 9, 3  # where the kind of colours stands in the header, and the one of a palette
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the kind of colours
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
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
            size, head = _size(file)
        check((*size, channels))
        with reading(path, "a readable PNG", UnidentifiedImageError, Image.DecompressionBombError):
            _check_rows(file, head)
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


def _size(file: BinaryIO) -> tuple[tuple[int, int], bytes]:
    """Return (height, width) and the 13 bytes of the first part of the file, in which they stand."""
    start = read_exactly(file, 29)
    if start[:8] != SIGNATURE or start[8:16] != b"\0\0\0\rIHDR":
        raise ValueError("it does not begin as a PNG does")
    height, width = int.from_bytes(start[20:24]), int.from_bytes(start[16:20])
    if not height or not width:
        raise ValueError(f"its size must be at least 1x1, got {height}x{width}")
    _check_parts(file)
    return (height, width), start[16:]


def _check_parts(file: BinaryIO) -> None:
    """Refuse parts that are longer than the file, for which Pillow would take memory; go to the beginning."""
    size, at, kind = os.fstat(file.fileno()).st_size, len(SIGNATURE), b""
    while at < size and kind != b"IEND":
        file.seek(at)
        head = read_exactly(file, 8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        at += 12 + length
        if at > size:
            raise ValueError(f"it is cut: its part {ascii(kind)[1:]} ends at {at}, and the file at {size}")
        if kind == b"PLTE" and (length % 3 or not 3 <= length <= 768):
            raise ValueError(f"its palette must have 1 to 256 colours of three bytes, got {length} bytes")
    file.seek(0)


def _check_rows(file: BinaryIO, head: bytes) -> None:
    """Refuse fewer rows than the size says, which Pillow would fill with black; go to the beginning."""
    packed, palette = [], False
    file.seek(len(SIGNATURE))
    while len(start := file.read(8)) == 8 and start[4:] != b"IEND":
        data = file.read(int.from_bytes(start[:4]))
        packed += [data] if start[4:] == b"IDAT" else []
        palette |= start[4:] == b"PLTE"
        file.seek(4, os.SEEK_CUR)
    file.seek(0)
    if head[COLOUR] == PALETTE and not palette:
        raise ValueError("it has no palette")
    expected = _row_bytes(head)
    unpacked = zlib.decompressobj()
    found = len(unpacked.decompress(b"".join(packed), expected))
    if found < expected:
        raise ValueError(f"its pixels must have {expected} bytes, got {found}")


def _row_bytes(head: bytes) -> int:
    """Return how many bytes the rows take, each behind the byte of its filter, for a header of 13 bytes."""
    width, height = int.from_bytes(head[:4]), int.from_bytes(head[4:8])
    bits = CHANNELS.get(head[COLOUR], 0) * head[8]
    # An interlaced picture is seven small ones: (first column, first row, steps right and down).
    steps = ADAM7 if head[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, right, down in steps:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
