"""PNG files: checks a file before it is unpacked, and writes one.

The checks find wrong sizes, parts that are cut, and missing rows.
"""

import os
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from cconv.files.reading import read_exactly

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR, PALETTE = 9, 3  # the place of the colour type in the header, and the colour type of a palette
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check(file: BinaryIO, bearable: Callable[[int, int], None]) -> None:
    """Check a PNG file before it is unpacked.

    Parameters
    ----------
    file : binary file
        At any position.
    bearable : callable
        Is called with height and width before a row is unpacked; may raise.

    Raises
    ------
    ValueError
        If Pillow would allocate memory for content that is missing, or fill missing rows with black.
    """
    file.seek(0)
    size, head = _size(file)
    bearable(*size)
    _check_rows(file, head)


def _size(file: BinaryIO) -> tuple[tuple[int, int], bytes]:
    """Return (height, width), and the 13 bytes of the header, which contain them."""
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
    size, at, kind = file.seek(0, os.SEEK_END), len(SIGNATURE), b""
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
    """Refuse fewer rows than the size says, which Pillow would fill with black; then rewind."""
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
    """Return the bytes of all rows, each with one byte for its filter, for a header of 13 bytes."""
    width, height = int.from_bytes(head[:4]), int.from_bytes(head[4:8])
    bits = CHANNELS.get(head[COLOUR], 0) * head[8]
    # An interlaced picture consists of seven small ones: (first column, first row, steps right and down).
    steps = ADAM7 if head[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, right, down in steps:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def encode(pixels: np.ndarray) -> bytes:
    """Return the PNG file of a picture of bytes: (h, w) for grey, (h, w, 3) for red, green and blue.

    Examples
    --------
    >>> encode(np.zeros((2, 3), np.uint8))[:8] == SIGNATURE
    True
    """
    height, width = pixels.shape[:2]
    kind = 0 if pixels.ndim == 2 else 2
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, kind, 0, 0, 0])
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)  # each begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return SIGNATURE + b"".join(
        len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4) for name, data in parts
    )
