"""Make cconv/datasets/mnist_small.npz from the files of MNIST.

    CCONV_DATA_DIR=... python tools/make_mnist_small.py [OUT]
    python tools/wheels/squeeze.py cconv/datasets/mnist_small.npz

Of each digit the first 500 training and the first 100 test images, in MNIST's order. The same
MNIST always gives the same bytes (with one version of zlib). The images are taken apart into where
there is ink, where it is bright, and the values of both, sorted by what the pixels around tell; deflate packs
that into 0.75 MB, and whole images into 0.97 MB. The second command makes 0.72 MB of it, of the same arrays.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from cconv.datasets import mnist, mnist_small

BRIGHT = 252  # half of all ink, most of it 253 and 254


def choose(labels, per_class):
    """Return the places of the first `per_class` labels of each class, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(labels == digit)[:per_class] for digit in range(10)]))


def runs_of(ink):
    """Return how many pixels of paper, of ink, of paper, … follow one another up to the last ink, as bytes.

    More than 255 are 255, none of the other, and the rest.
    """
    ends = np.flatnonzero(np.diff(ink.reshape(-1).astype(np.int8), prepend=0, append=0))
    found = []
    for run in np.diff(ends, prepend=0).tolist():
        found += [255, 0] * ((run - 1) // 255) + [run - max(run - 1, 0) // 255 * 255]
    return np.array(found, np.uint8)


def apart(name, images):
    """Return what `mnist_small.together` makes the images of, under names of the file."""
    ink, bright = images > 0, images >= BRIGHT
    return {
        f"{name}_shape": np.array(images.shape),
        f"{name}_runs": runs_of(ink),
        f"{name}_is_bright": np.packbits(bright.reshape(-1)[mnist_small.by_ink_around(ink)]),
        f"{name}_bright": images[bright],
        f"{name}_dark": images.reshape(-1)[mnist_small.by_neighbours(ink, bright)],
    }


def write(path, arrays):
    """Write a .npz whose bytes depend on the arrays alone: np.savez would add the time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, data.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main(out=mnist_small.FILE):
    """Write the file and say how large it is."""
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    train, test = choose(y_train, 500), choose(y_test, 100)
    arrays = {
        **apart("x_train", x_train[train]),
        "y_train": y_train[train],
        **apart("x_test", x_test[test]),
        "y_test": y_test[test],
    }
    write(out, arrays)
    print(f"{out}: {Path(out).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
