"""Data larger than memory: a mapped file of 20 GB, HDF5 and Zarr of 2 GB, beside the same rows in memory.

    python -m benchmarks.larger --folder /tmp/larger --turns 7

Each source is trained on by a process of its own, one stretch of steps after the other, in turns with a
process that has rows in memory. Printed are the medians of the ratios of images per second, by the clock and
by the processors' seconds, and the most anonymous memory (RssAnon, sampled) that the process had during
`fit`, all of it, imports and network included. The mapped file is sparse: its rows in memory are zeros too.
"""

import argparse
import multiprocessing
import shutil
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks import stored
from benchmarks.sources import Watch, anonymous, processors

BATCH = 64
GB = 10**9
# Strides and filters of the first convolution.
NETWORKS = {"light": (4, 16), "usual": (2, 16), "heavy": (1, 8)}
KINDS = ["memmap", "h5py", "zarr"]
ORDERS = {"shuffled": True, "exact": "exact", "blocks": "blocks", "in order": False}


def network(name, size):
    """A small network, of more or less work for so many bytes."""
    strides, filters = NETWORKS[name]
    model = stored.network(size, strides, filters)
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
    """Train, a stretch at a time: when asked to, and answering with seconds."""
    from cconv.callbacks import Callback

    paths = stored.Paths.of(folder)
    x = opened(kind, paths)
    y = np.random.default_rng(0).integers(0, 10, x.shape[0])

    class Turns(Callback):
        """Waits behind every stretch until another one is asked for."""

        left, begun, asked = 0, None, True

        def on_train_batch_begin(self, batch, logs=None):
            if not self.left:
                if self.begun is not None:
                    pipe.send(time.perf_counter() - self.begun)
                self.asked = pipe.recv()
                self.left, self.begun = self.asked or 1, time.perf_counter()
                self.model.stop_training = not self.asked
            self.left -= 1

    while (asked := pipe.recv()) is not None:
        name, order = asked
        fit = {"batch_size": BATCH, "shuffle": ORDERS[order], "epochs": 1000, "verbose": 0}
        network(name, paths.size).fit(x, y, callbacks=Turns(), **fit)


class Worker:
    """A process that trains on one source."""

    def __init__(self, kind, folder):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, folder, theirs))
        self.process.start()

    def begin(self, *asked):
        """Begin a training."""
        self.pipe.send(asked)

    def turn(self, steps):
        """Seconds of a stretch of so many steps, and those of the processors."""
        before = processors(self.process.pid)
        self.pipe.send(steps)
        seconds = self.pipe.recv()
        return seconds, processors(self.process.pid) - before

    def end(self):
        """End the training."""
        self.pipe.send(0)

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


def measure(kind, folder, turns, steps, names):
    """Print what one source takes."""
    alone = Worker(kind, folder)
    memory = Worker("zeros" if kind == "memmap" else "memory", folder)
    for name in names:
        for order in ORDERS if kind == "memmap" else ("shuffled", "in order"):
            alone.begin(name, order)
            memory.begin(name, "in order" if order == "in order" else "shuffled")
            turns_made, most = [], 0
            for _ in range(turns + 1):
                with Watch(alone.process.pid) as watch:
                    one = alone.turn(steps)
                most = max(most, watch._most, anonymous(alone.process.pid))
                turns_made.append((one, memory.turn(steps)))
            alone.end()
            memory.end()
            # The first is to warm up.
            clock, spent = (
                statistics.median(other[which] / one[which] for one, other in turns_made[1:])
                for which in (0, 1)
            )
            cost = statistics.median(one[1] - other[1] for one, other in turns_made[1:]) / (steps * BATCH)
            speed = f"{clock:.2f} of the speed in memory by the clock, {spent:.2f} by the processors"
            print(
                f"{kind}, {name} network, {order}: {speed} ({cost * 1e6:.0f} µs an image); at most "
                f"{most / 2**20:.0f} MiB anonymous; {steps * BATCH / one[0]:.0f} images a second",
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
    parser.add_argument("--networks", nargs="*", default=[*NETWORKS], choices=NETWORKS)
    given = parser.parse_args()
    write(given.folder, 2 * GB // (stored.SIDE**2 * 3))
    for kind in given.kinds:
        measure(kind, given.folder, given.turns, given.steps, given.networks)


if __name__ == "__main__":
    main()
