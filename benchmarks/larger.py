"""Data larger than memory: a mapped file of 20 GB, HDF5 and Zarr of 2 GB, beside the same rows in memory.

    python -m benchmarks.larger --folder /tmp/larger --turns 7

Each source is trained on by a process of its own, one stretch of steps after the other, in turns with a
process that has rows in memory. Printed are the medians of the ratios of images per second, by the clock and
by the processors' seconds, and the most anonymous memory (RssAnon, sampled) that the process had during `fit`,
all of it, imports and network included. The mapped file is sparse: its rows in memory are zeros too.
"""

import argparse
import contextlib
import multiprocessing
import os
import shutil
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks import stored
from benchmarks.sources import Watch, anonymous, processors

BATCH = 64
GB = 10**9
NETWORKS = {"light": (4, 16), "usual": (1, 8)}  # strides and filters of the first convolution
KINDS = ["memmap", "h5py", "zarr"]
ORDERS = {"shuffled": True, "exact": "exact", "blocks": "blocks", "in order": False}


def network(name, size):
    """A small network: of little work for so many bytes, and of what is usual."""
    from cconv import Sequential, layers

    strides, filters = NETWORKS[name]
    model = Sequential(
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
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def opened(kind, paths):
    """The rows of a source."""
    if kind == "memmap":
        return np.memmap(paths.root / "sparse.bin", np.uint8, "r").reshape(-1, *paths.shape[1:])
    if kind == "zeros":
        return np.ones(paths.shape, np.uint8) * 0  # zeros that are in memory, not one page of them
    if kind == "h5py":
        import h5py

        return h5py.File(paths.hdf5)["x"]
    if kind == "zarr":
        import zarr

        return zarr.open_array(paths.zarr, mode="r")
    return np.array(paths.images())


def serve(kind, folder, pipe):
    """Train when asked to; answer with seconds."""
    paths = stored.Paths.of(folder)
    x = opened(kind, paths)
    y = np.random.default_rng(0).integers(0, 10, x.shape[0])
    models = {}
    while (asked := pipe.recv()) is not None:
        name, order, steps = asked
        model = models.setdefault(name, network(name, paths.size))
        begin = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, shuffle=ORDERS[order], steps_per_epoch=steps, verbose=0)
        pipe.send(time.perf_counter() - begin)


class Worker:
    """A process that trains on one source."""

    def __init__(self, kind, folder):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, folder, theirs))
        self.process.start()

    def turn(self, *asked):
        """Seconds of a stretch, and those of the processors."""
        before = processors(self.process.pid)
        self.pipe.send(asked)
        seconds = self.pipe.recv()
        return seconds, processors(self.process.pid) - before

    def close(self):
        self.pipe.send(None)
        self.process.join()


def write(folder, n):
    """Write the files, if they are not there."""
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        paths = stored.write_set(folder, n)
        stored.write_hdf5(paths)
        stored.write_zarr(paths)
        with open(folder / "sparse.bin", "wb") as file:
            file.truncate(20 * GB // np.prod(paths.shape[1:]) * np.prod(paths.shape[1:]))
        (folder / "done").touch()


def measure(kind, folder, turns, steps):
    """Print what one source takes."""
    alone = Worker(kind, folder)
    memory = Worker("zeros" if kind == "memmap" else "memory", folder)
    for name in NETWORKS:
        # Of the heavy network fewer steps take as long.
        stretch = steps if name == "light" else max(steps // 8, 2)
        for order in ORDERS if kind == "memmap" else ("shuffled", "in order"):
            beside = order if order != "exact" else "shuffled"
            ratios, most = [], 0
            for number in range(turns + 1):
                with Watch(alone.process.pid) as watch:
                    one = alone.turn(name, order, stretch)
                    most = max(most, watch._most, anonymous(alone.process.pid))
                other = memory.turn(name, beside if beside != "blocks" else "shuffled", stretch)
                if number:  # the first is to warm up
                    ratios.append([b / a for a, b in zip(one, other, strict=True)])
            clock, spent = (statistics.median(column) for column in zip(*ratios, strict=True))
            print(
                f"{kind}, {name} network, {order}: {clock:.2f} of the speed in memory by the clock, {spent:.2f} by "
                f"the processors; at most {most / 2**20:.0f} MiB anonymous; "
                f"{stretch * BATCH / statistics.median([one[0]]):.0f} images a second",
                flush=True,
            )
    alone.close()
    memory.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=120, help="batches of 64 in a turn")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    given = parser.parse_args()
    write(given.folder, 2 * GB // (stored.SIDE**2 * 3))
    with contextlib.suppress(AttributeError):
        print(f"{len(os.sched_getaffinity(0))} processors")
    for kind in given.kinds:
        measure(kind, given.folder, given.turns, given.steps)


if __name__ == "__main__":
    main()
