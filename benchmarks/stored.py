"""One set of images in the forms that `benchmarks.sources` reads, written piece by piece."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIDE, CLASSES = 128, 10
PIECE = 1024  # images written together
CHUNK = 32  # images that HDF5 and Zarr keep together


@dataclass(frozen=True)
class Paths:
    """Where the forms of a set lie; which of them are there is the caller's to know."""

    root: Path
    shape: tuple[int, ...]

    @classmethod
    def of(cls, folder):
        root = Path(folder)
        return cls(root, tuple(json.loads((root / "shape.json").read_text())))

    @property
    def size(self):
        """Height and width."""
        return self.shape[1:3]

    @property
    def raw(self):
        return self.root / "images.bin"

    @property
    def labels(self):
        return self.root / "labels.npy"

    @property
    def hdf5(self):
        return str(self.root / "images.h5")

    @property
    def zarr(self):
        return str(self.root / "images.zarr")

    @property
    def folder(self):
        return self.root / "classes"

    def images(self):
        """Return the images, mapped."""
        return np.memmap(self.raw, np.uint8, "r", shape=self.shape)


def _piece(rng, n):
    """Return blocks of random colours under noise, which PNG makes smaller as it does photographs."""
    blocks = rng.integers(0, 224, (n, 8, 8, 3), np.uint8)
    images = blocks.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2)
    images += rng.integers(0, 32, images.shape, np.uint8)
    return images


def write_set(root, n):
    """Write n images and their labels, raw; return where."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    (root / "shape.json").write_text(json.dumps([n, SIDE, SIDE, 3]))
    paths = Paths.of(root)
    np.save(paths.labels, rng.integers(0, CLASSES, n))
    images = _piece(rng, min(PIECE, n))
    with paths.raw.open("wb") as file:
        for start in range(0, n, PIECE):
            # The same again, brighter: drawing them all would take longer than training on them.
            file.write((images[: n - start] + np.uint8(start // PIECE)).data)
    return paths


def write_hdf5(paths):
    """Write the images as a dataset of an HDF5 file, in chunks."""
    import h5py

    images = paths.images()
    with h5py.File(paths.hdf5, "w") as file:
        data = file.create_dataset("x", images.shape, np.uint8, chunks=(CHUNK, *images.shape[1:]))
        for start in range(0, len(images), PIECE):
            data[start : start + PIECE] = images[start : start + PIECE]


def write_zarr(paths):
    """Write the images as a Zarr array, with its default of compression."""
    import zarr

    images = paths.images()
    data = zarr.create_array(
        paths.zarr, shape=images.shape, dtype=np.uint8, chunks=(CHUNK, *images.shape[1:])
    )
    for start in range(0, len(images), PIECE):
        data[start : start + PIECE] = images[start : start + PIECE]


def write_folder(paths):
    """Write the images as PNG files, a folder a class; rewrite the set in the order of their names."""
    from PIL import Image

    images, labels = np.array(paths.images()), np.load(paths.labels)
    order = np.argsort(labels, kind="stable")
    for number, label in enumerate(labels[order]):
        folder = paths.folder / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[order[number]]).save(folder / f"{number:06d}.png")
    images[order].tofile(paths.raw)
    np.save(paths.labels, labels[order])


WRITERS = {"h5py": write_hdf5, "zarr": write_zarr, "folder": write_folder}


def network(size, strides, filters):
    """Return a small network for images of a size, whose first convolution has these strides and filters."""
    from cconv import Sequential, layers  # peers that read a set do so without cconv

    return Sequential(
        [
            layers.Input((*size, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(filters, 3, strides=strides, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
        seed=3,
    )
