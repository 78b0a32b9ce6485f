"""Damaged files by the million: every one must be read, or refused with one kind of error.

    python tests/fuzz_files.py --cases 1000000 --jobs 2

Case i of a seed is the same file on every machine. A failure prints its number; ``--only NUMBER``
repeats it and keeps the file. A case fails when reading it raises anything but ValueError or OSError
with the file's name, takes ten seconds or a gigabyte, or ends the process; and when a changed file whose
digest is there loads as another model than the one that was saved.
"""

import argparse
import contextlib
import faulthandler
import gzip
import io
import math
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import mutations
import numpy as np
from PIL import Image

from cconv.cli.data import load
from cconv.cli.images import Form, read_images
from cconv.datasets import _idx, cifar10
from cconv.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    RandomFlip,
    Rescaling,
)
from cconv.models import Sequential, load_model

SECONDS, GIGABYTE = 10, 1 << 30
FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a disk would take most of the time
LARGEST_OUTPUT = 10**6  # numbers: models whose outputs are larger are loaded and not run


class Hang(BaseException):
    """Reading a file took too long."""


def small_models():
    """Return models of every kind of layer whose files are small, one after some training."""
    rng = np.random.default_rng(0)
    images = Sequential(
        [
            Rescaling(1 / 255, input_shape=(6, 6, 1)),
            RandomFlip(),
            Conv2D(2, 3, activation="relu", padding="same", kernel_regularizer="l2"),
            BatchNormalization(),
            MaxPooling2D(2),
            Flatten(),
            Dropout(0.5),
            Dense(3, activation="softmax"),
        ],
        seed=1,
    )
    images.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    images.fit(rng.normal(size=(8, 6, 6, 1)), rng.integers(0, 3, 8), verbose=0)
    plain = Sequential([Dense(2, input_shape=(3,))], seed=2, dtype="float64")
    plain.compile("sgd", "mse")
    return images, plain


def state(model):
    """Return all of a model that its file holds."""
    remembered = {} if model.optimizer is None else model.optimizer.get_state()
    arrays = [*model.get_weights(), *(remembered[name] for name in sorted(remembered))]
    weights = [array.tobytes() for array in arrays]
    return model.get_config(), model._training_config(), weights


class Formats:
    """The formats: of each, whole files, how to damage them knowingly, and how they are read."""

    def __init__(self, folder):
        self.folder = folder
        self.models = small_models()
        self.states = [state(model) for model in self.models]
        self.before = self.models[0].get_weights()
        rng = np.random.default_rng(3)
        bytes_of = lambda *shape: rng.integers(0, 256, shape, np.uint8)  # noqa: E731
        self.whole = {
            "model": [self._written(model.save) for model in self.models],
            "weights": [self._written(self.models[0].save_weights)],
            "idx": [self._idx(bytes_of(3, 28, 28)), self._idx(bytes_of(5))],
            "cifar": [(bytes_of(2, cifar10.RECORD) % 10).tobytes()],
            "npz": [self._npz(np.savez, bytes_of), self._npz(np.savez_compressed, bytes_of)],
            "npy": [self._npy(bytes_of(6, 6)), self._npy(np.zeros((2, 6, 6, 1), ">f4", order="F"))],
            "png": [self._png(bytes_of(6, 6)), self._png(bytes_of(6, 6, 3)), self._png(bytes_of(6, 6), "P")],
        }
        self.knowing = {
            "model": mutations.safetensors,
            "weights": mutations.safetensors,
            "idx": mutations.gz,
            "npz": mutations.npz,
            "png": mutations.png,
        }

    def _written(self, save):
        save(self.folder / "whole")
        return (self.folder / "whole").read_bytes()

    @staticmethod
    def _idx(array):
        head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
        return gzip.compress(head + array.tobytes(), mtime=0)

    @staticmethod
    def _npz(save, bytes_of):
        file = io.BytesIO()
        save(file, x_train=bytes_of(12, 6, 6), y_train=np.arange(12), x_test=bytes_of(2, 6, 6), y_test=[1, 2])
        return file.getvalue()

    @staticmethod
    def _npy(array):
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    @staticmethod
    def _png(pixels, mode=None):
        file = io.BytesIO()
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(file, "PNG")
        return file.getvalue()

    def damaged(self, seed, number):
        """Return the format of a case, which whole file it was, its bytes, and whether damaged blindly."""
        rng = random.Random(f"{seed}/{number}")
        name = rng.choices([*self.whole], weights=(5, 2, 2, 1, 3, 2, 3))[0]
        place = rng.randrange(len(self.whole[name]))
        whole, other = self.whole[name][place], rng.choice(self.whole[name])
        knowing = self.knowing.get(name)
        if knowing and rng.random() < 0.6:
            return name, place, knowing(rng, whole, other), False
        return name, place, mutations.blind(rng, whole, other), True

    def read(self, name, place, path, blind):
        """Read a file as its users do; raise AssertionError for a wrong result."""
        if name == "model":
            model = load_model(path)
            if blind and b"cconv.sha256" in path.read_bytes()[:64]:
                assert state(model) in self.states, "another model was loaded"
            self._run(model)
        elif name == "weights":
            model = self.models[0]
            try:
                model.load_weights(path)
            except BaseException:
                kept = zip(model.get_weights(), self.before, strict=True)
                assert all(np.array_equal(a, b, equal_nan=True) for a, b in kept), "weights were changed"
                raise
            model.set_weights(self.before)
        elif name == "idx":
            _idx.read_idx(path, 3 - 2 * place)
        elif name == "cifar":
            cifar10.read_records(path)
        elif name == "npz":
            with contextlib.redirect_stdout(io.StringIO()):
                load(str(path))
        else:
            shape = (6, 6, 3) if (name, place) == ("png", 1) else (6, 6, 1)
            assert read_images(path, Form(shape)).shape[1:] == shape

    @staticmethod
    def _run(model):
        """Predict with a model, if that is no large work."""
        sizes = [math.prod(layer.output_shape) for layer in model.layers]
        shape = model.input_shape[1:]
        if max(*sizes, math.prod(shape)) <= LARGEST_OUTPUT:
            with np.errstate(all="ignore"):  # a description may ask for any numbers
                y = model.predict(np.zeros((2, *shape), model.dtype), verbose=0)
            assert y.shape == (2, *model.output_shape[1:])


SUFFIX = {"idx": ".gz", "cifar": ".bin", "npz": ".npz", "npy": ".npy", "png": ".png"}


def run_case(formats, seed, number, folder):
    """Return what is wrong with one case, or None; and whether the file was refused."""
    name, place, data, blind = formats.damaged(seed, number)
    path = folder / f"case{SUFFIX.get(name, '.safetensors')}"
    path.write_bytes(data)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        formats.read(name, place, path, blind)
    except (ValueError, OSError) as error:
        return (None if str(path) in str(error) else f"{name}: no name in {error!r}"), True
    except (Exception, Hang):
        return f"{name}: {traceback.format_exc()}", True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None, False


def _hang(*_):
    raise Hang(f"more than {SECONDS} seconds")


def work(seed, numbers, folder):
    """Run cases in this process, within a gigabyte more than it has; return the failures and the refused."""
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _hang)
    formats = Formats(folder)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + GIGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    wrong, refused = 0, 0
    for number in numbers:
        (folder / "number").write_text(str(number))
        fault, was_refused = run_case(formats, seed, number, folder)
        refused += was_refused
        if fault:
            wrong += 1
            print(f"case {number} of seed {seed}: {fault}", flush=True)
    return wrong, refused


def start(seed, first, count, folder):
    """Start a process for these cases."""
    command = [sys.executable, __file__, "--work", str(folder), "--seed", str(seed)]
    command += ["--first", str(first), "--cases", str(count)]
    folder.mkdir()
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True
    )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.only is not None:
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        wrong, _ = work(given.seed, [given.only], folder)
        print(f"{folder} holds the file; {wrong} failures")
        return wrong
    if given.work:
        wrong, refused = work(given.seed, range(given.first, given.first + given.cases), given.work)
        print(f"{wrong} failures, {refused} refused")
        return min(wrong, 100)
    step = -(-given.cases // given.jobs)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=FOLDER) as folder:
        starts = range(given.first, given.first + given.cases, step)
        jobs = [start(given.seed, n, min(step, starts.stop - n), Path(folder, str(n))) for n in starts]
        for first, job in zip(starts, jobs, strict=True):
            printed, _ = job.communicate()
            print(printed, end="")
            if job.returncode:
                at = Path(folder, str(first), "number").read_text()
                print(f"the process ended with {job.returncode}, in case {at}")
                failed = 1
    print(f"{given.cases} damaged files: {'FAILED' if failed else 'each read, or refused by name'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
