"""The IDX format of MNIST and of data sets like it.

Two zero bytes, one byte for the item type (8 is unsigned byte), one for the number of axes, then
each axis as a big-endian 32-bit count, then the items (LeCun, Cortes & Burges, "The MNIST database
of handwritten digits").
"""

import gzip
import os
from math import prod
from pathlib import Path

import numpy as np

from cconv.datasets._files import Source, fetch
from cconv.files.reading import check_unpacked, fill, open_regular, reading

Split = tuple[np.ndarray, np.ndarray]

SIZE = 28  # pixels: height and width of the images of every set in this format
N_CLASSES = 10
WHOLE = "a whole gzip file"
LARGEST = 1 << 31  # bytes: more than any such data set, but less than a machine's memory


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes with the given number of axes.

    Raises ValueError, with the file's name, if it is damaged or of another kind, or if it would unpack to
    an implausible size.
    """
    with open_regular(path) as packed, gzip.GzipFile(fileobj=packed, mode="rb") as file:
        with reading(path, WHOLE):
            size = os.fstat(packed.fileno()).st_size
            header = file.read(4 + 4 * axes)
        shape = _shape(path, header, axes)
        with reading(path, WHOLE):
            check_unpacked(prod(shape), size)
            items = np.empty(prod(shape), np.uint8)
            found = fill(file, items.data)
            more = file.read(1)  # also reads the end, with its checksum
    if found < items.size or more:
        raise ValueError(
            f"{path}: expected {items.size} bytes for the shape {shape}, got {'more' if more else found}"
        )
    return items.reshape(shape)


def _shape(path: Path, header: bytes, axes: int) -> tuple[int, ...]:
    """Return the shape in a header."""
    if len(header) < 4 + 4 * axes or header[:4] != bytes((0, 0, 8, axes)):
        raise ValueError(
            f"{path}: expected an IDX file of unsigned bytes with {axes} axes, "
            f"which begins with {bytes((0, 0, 8, axes)).hex()}, got {header[:4].hex() or 'nothing'}"
        )
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4", offset=4))
    if not 0 < prod(shape) <= LARGEST:
        raise ValueError(f"{path}: its header gives an impossible shape, {shape}")
    return shape


def read_split(images: Path, labels: Path) -> Split:
    """Read the images, uint8 (n, 28, 28), and the labels, uint8 (n,), of one split."""
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if x.shape[1:] != (SIZE, SIZE):
        raise ValueError(f"{images}: expected images of {SIZE}x{SIZE} pixels, got {x.shape[1]}x{x.shape[2]}")
    if len(x) != len(y):
        raise ValueError(f"{labels}: expected a label for each of the {len(x)} images, got {len(y)}")
    if y.max() >= N_CLASSES:
        raise ValueError(f"{labels}: expected labels below {N_CLASSES}, got {y.max()}")
    return x, y


def sources(
    dataset: str, folder: str, mirrors: tuple[str, ...], sha256: dict[str, str], unpacked: bool
) -> tuple[Source, ...]:
    """Return the four files of a set: training images and labels, test images and labels."""
    return tuple(
        Source(dataset, folder, name, tuple(mirror + name for mirror in mirrors), digest, unpacked)
        for name, digest in sha256.items()
    )


def load(files: tuple[Source, ...]) -> tuple[Split, Split]:
    """Return ((x_train, y_train), (x_test, y_test)) of the four files of a set."""
    x_train, y_train, x_test, y_test = map(fetch, files)
    return read_split(x_train, y_train), read_split(x_test, y_test)
