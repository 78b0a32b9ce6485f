"""cconv: one small network, fed from one kind of source; the setting is the kind.

The modes are epochs of `fit`: ``ordered``, in the order of the data, and ``shuffled``, where the order is
`fit`'s; ``alone`` goes through the source's batches and trains nothing.
"""

import functools

import numpy as np

import cconv
from benchmarks.stored import Paths, network

BATCH = 64


def _memory(paths):
    """Return images and labels in memory."""
    return np.array(paths.images()), np.load(paths.labels)


class Array:
    """Images in memory; what all others do otherwise."""

    modes = "ordered", "shuffled"

    @staticmethod
    def prepare():
        """Import what is needed."""

    def __init__(self, paths):
        self.x, self.y = self.opened(paths)

    def opened(self, paths):
        return _memory(paths)

    def fit(self, model, shuffle):
        model.fit(self.x, self.y, batch_size=BATCH, shuffle=shuffle, verbose=0)

    def alone(self):
        for start in range(0, self.x.shape[0], BATCH):
            self.x[start : start + BATCH]


class Memmap(Array):
    def opened(self, paths):
        return paths.images(), np.load(paths.labels)


class H5py(Array):
    modes = "ordered", "shuffled", "alone"

    @staticmethod
    def prepare():
        import h5py  # noqa: F401

    def opened(self, paths):
        import h5py

        return h5py.File(paths.hdf5)["x"], np.load(paths.labels)


class Zarr(Array):
    modes = "ordered", "shuffled", "alone"

    @staticmethod
    def prepare():
        import zarr  # noqa: F401

    def opened(self, paths):
        import zarr

        return zarr.open_array(paths.zarr, mode="r"), np.load(paths.labels)


class Generator(Array):
    """Slices of arrays in memory, yielded without an end."""

    modes = "ordered", "alone"

    def batches(self):
        while True:
            for start in range(0, len(self.x), BATCH):
                yield self.x[start : start + BATCH], self.y[start : start + BATCH]

    @property
    def steps(self):
        return -(-len(self.x) // BATCH)

    def fit(self, model, shuffle):
        model.fit(self.batches(), steps_per_epoch=self.steps, verbose=0)

    def alone(self):
        for _, _ in zip(range(self.steps), self.batches(), strict=False):
            pass


class Numbered(Array):
    """What ``x[i]`` is batch i of, in memory."""

    modes = "ordered", "alone"

    def __len__(self):
        return -(-len(self.x) // BATCH)

    def __getitem__(self, index):
        return self.x[index * BATCH : (index + 1) * BATCH], self.y[index * BATCH : (index + 1) * BATCH]

    def fit(self, model, shuffle):
        model.fit(self, shuffle=shuffle, verbose=0)

    def alone(self):
        for index in range(len(self)):
            self[index]


class Loader(Array):
    """PyTorch's DataLoader over tensors in memory, with its default of no workers."""

    modes = "ordered", "alone"

    @staticmethod
    def prepare():
        import torch.utils.data  # noqa: F401

    def opened(self, paths):
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        x, y = _memory(paths)
        return DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=BATCH), None

    def fit(self, model, shuffle):
        model.fit(self.x, shuffle=shuffle, verbose=0)

    def alone(self):
        for _ in self.x:
            pass


class Folder(Array):
    """PNG files, one folder a class."""

    modes = "ordered", "alone"

    @staticmethod
    def prepare():
        import PIL.Image  # noqa: F401

    def opened(self, paths):
        from cconv.utils import image_dataset_from_directory

        return image_dataset_from_directory(
            paths.folder, batch_size=BATCH, image_size=paths.size, shuffle=False, verbose=False
        ), None

    fit, alone = Loader.fit, Loader.alone


KINDS = {
    "array": Array,
    "memmap": Memmap,
    "h5py": H5py,
    "zarr": Zarr,
    "generator": Generator,
    "sequence": Numbered,
    "loader": Loader,
    "folder": Folder,
}
_kind = Array
_models = {}


def prepare(setting, threads, dtype):
    global _kind
    _kind = KINDS[setting]
    _kind.prepare()
    cconv.set_num_threads(threads)
    return {"cconv": cconv.__version__}


def _model(size):
    model = network(size, strides=4, filters=16)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def epochs(task):
    paths = Paths.of(task["folder"])
    source = _kind(paths)
    _models.clear()
    made = {}
    for mode in source.modes:
        made[mode] = source.alone
        if mode != "alone":
            _models[mode] = _model(paths.size)
            made[mode] = functools.partial(source.fit, _models[mode], mode == "shuffled")
    return made


def results(task):
    """Return the weights so far: after the one epoch in each order that is to warm up."""
    return {
        f"{mode}{number}": weights
        for mode, model in _models.items()
        for number, weights in enumerate(model.get_weights())
    }
