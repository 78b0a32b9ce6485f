"""5,000 + 1,000 images of MNIST, shipped with cconv so that everything works with no network."""

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
    """Return images that lie taken apart in the file: where there is ink, where it is bright, the values."""
    bright, dark = arrays[f"{name}_bright"], arrays[f"{name}_dark"]
    values = np.empty(bright.size + dark.size, np.uint8)
    is_bright = np.unpackbits(arrays[f"{name}_is_bright"], count=values.size).astype(bool)
    values[is_bright], values[~is_bright] = bright, dark
    images = np.zeros(arrays[f"{name}_shape"], np.uint8)
    runs = arrays[f"{name}_runs"]  # pixels of paper, of ink, of paper, …, row by row, up to the last ink
    ink = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    images.reshape(-1)[: len(ink)][ink] = values
    return images
