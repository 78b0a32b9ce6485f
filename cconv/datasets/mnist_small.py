"""5,000 + 1,000 images of MNIST, shipped with cconv so that everything works without a network."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cconv.datasets._idx import Split

CLASSES = tuple("0123456789")

FILE = Path(__file__).with_name("mnist_small.npz")  # made by tools/make_mnist_small.py


def load_data() -> tuple[Split, Split]:
    """Load the small MNIST: of each digit the first 500 training and the first 100 test images.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images uint8 (5000, 28, 28) and (1000, 28, 28), 0 is paper and 255 ink; labels uint8 (5000,)
        and (1000,), the digits 0 to 9. The images are in MNIST's order.

    Examples
    --------
    >>> from cconv.datasets import mnist_small
    >>> (x_train, y_train), (x_test, y_test) = mnist_small.load_data()
    >>> x_train.shape, x_test.shape, y_train[:5].tolist()
    ((5000, 28, 28), (1000, 28, 28), [5, 0, 4, 1, 9])
    """
    with np.load(FILE, allow_pickle=False) as arrays:
        train = together(arrays, "x_train"), arrays["y_train"]
        return train, (together(arrays, "x_test"), arrays["y_test"])


def together(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return images from their parts in a file: the places of ink, the places of bright ink, and the values.

    For better compression, flags and values of pixels are sorted by the ink and brightness around the pixels.
    """
    runs = arrays[f"{name}_runs"]  # lengths of runs of paper, ink, paper, … in row order, up to the last ink
    ink = np.zeros(arrays[f"{name}_shape"], bool)
    until_last = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    ink.reshape(-1)[: len(until_last)] = until_last
    bright = np.zeros_like(ink)
    places = by_ink_around(ink)
    bright.reshape(-1)[places] = np.unpackbits(arrays[f"{name}_is_bright"], count=len(places))
    images = np.zeros(ink.shape, np.uint8)
    images[bright] = arrays[f"{name}_bright"]
    images.reshape(-1)[by_neighbours(ink, bright)] = arrays[f"{name}_dark"]
    return images


def by_ink_around(ink: np.ndarray) -> np.ndarray:
    """Return the places of ink, sorted by how many of the nine pixels around each are ink."""
    height, width = ink.shape[1:]
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1))).view(np.uint8)
    around = np.zeros(ink.shape, np.uint8)
    for i in range(3):
        for j in range(3):
            around += padded[:, i : i + height, j : j + width]
    return _sorted(ink, around)


def by_neighbours(ink: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """Return the places of ink that is not bright, sorted by the numbers of bright and of ink neighbours."""
    return _sorted(ink & ~bright, 5 * _neighbours(bright) + _neighbours(ink))


def _neighbours(mask: np.ndarray) -> np.ndarray:
    """Return how many of the four neighbours of each pixel are in the mask."""
    p = np.pad(mask, ((0, 0), (1, 1), (1, 1))).view(np.uint8)
    return p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:]


def _sorted(mask: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the places of a mask, as indices of the flat array, sorted by their keys."""
    places = np.flatnonzero(mask)
    return places[np.argsort(keys.reshape(-1)[places], kind="stable")]
