"""Trainings on the ranks of an MPI job: ``mpiexec -n 4 python tests/ranks.py FOLDER``.

Trains one small network on four ranks, on pairs of them and on each alone, with one thread and two, and takes
the first one up from its middle; rank 0 prints the bits of what came out as JSON. With ``--fail HOW`` rank 1
raises, or is killed, or rank 0 gets other weights, in the middle of a training; or the ranks train otherwise.
With ``--ctrl-c RANK STEP`` a training on the command line is interrupted; with ``--leave HOW RANK`` one rank
ends.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import resuming
from sources import OnDisk

from cconv import cli, set_num_threads
from cconv.callbacks import BackupAndRestore, Callback
from cconv.inputs import orders
from cconv.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    PReLU,
)
from cconv.losses import from_function
from cconv.models import Model, Sequential
from cconv.optimizers import SGD, Adam
from cconv.utils import PyDataset

N = 6 * 17 + 1  # the last batch has one sample: on all ranks but one there is nothing to compute


class Keeps(Callback):
    """Keeps the checkpoint that was there before step 10."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.steps_done == 10 and not (self.folder / "kept").exists():
            shutil.copytree(self.folder / "backup", self.folder / "kept")


def bits(model, history):
    found = hashlib.sha256(json.dumps(history.history, sort_keys=True).encode())
    for array in (*model.get_weights(), *(a for _, a in sorted(model.optimizer.get_state().items()))):
        found.update(array.tobytes())
    return found.hexdigest()


def train(folder, optimizer="accumulating", ranks=None, keep=False, x=None, **options):
    """Return the bits of a training on a mapped file, or on the rows of another object."""
    folder.mkdir(exist_ok=True)
    model = resuming.network(optimizer)
    calls = resuming.callbacks(folder, optimizer, scheduled=True)
    if keep:
        calls += [Keeps(folder), BackupAndRestore(folder / "backup", save_freq=4)]
    x = np.load(folder.parent / "x.npy", mmap_mode="r")[:N] if x is None else x
    given = {"batch_size": 17, "epochs": 2, "shards": 8, "verbose": 0, "callbacks": calls} | options
    validation = resuming.X[120:], resuming.Y[120:]
    history = model.fit(x, resuming.Y[:N], validation_data=validation, distributed=ranks, **given)
    return bits(model, history)


def train_rows(folder, shuffle, ranks=None):
    """Return the bits of a training on rows that are not in memory, of which a rank reads its own."""
    x = OnDisk(resuming.X[:N], picks=True)
    kept, orders.BLOCK_BYTES = orders.BLOCK_BYTES, 40 * resuming.X[0].nbytes
    found = train(folder, ranks=ranks, x=x, shuffle=shuffle)
    orders.BLOCK_BYTES = kept
    assert len(x.reads) <= 2 * (N if ranks is None else N // ranks.size + N // 17 + 1)
    return found


def graph():
    """Two outputs, a layer that is used twice, statistics of batches, and steps that are repeated."""
    x = Input((8, 8, 2))
    shared = Conv2D(4, 3, padding="same", activation="relu")
    y = shared(BatchNormalization()(Conv2D(4, 3, padding="same")(x)))
    y = Add()([y, shared(y)])
    one = Dense(4, activation="softmax", name="one")(Dropout(0.2)(GlobalAveragePooling2D()(y)))
    two = Conv2DTranspose(2, 2, strides=2, name="two")(PReLU(shared_axes=[1, 2])(MaxPooling2D(2)(y)))
    model = Model(x, [one, two], seed=2, dtype="float64")
    model.compile(Adam(0.01), ["sparse_categorical_crossentropy", "mse"])
    return model


def train_graph(ranks=None):
    """Return the bits of a training by a generator, in which batches of all sizes come again."""

    def batches():
        for start, stop in [(0, 9), (9, 10), (10, 27)] * 5:
            x = resuming.X[start:stop]
            yield x, [resuming.Y[start:stop], x[:, ::-1]]

    model = graph()
    history = model.fit(batches(), epochs=1, verbose=0, shards=8, distributed=ranks)
    assert sum(map(bool, model._plans.training._programs.values())) == 3
    return bits(model, history)


def save_data(folder):
    np.save(folder / "x.npy", resuming.X)


class Fails(PyDataset):
    """Batches, the sixth of which ends rank 1."""

    def __init__(self, how, rank):
        super().__init__()
        self.how, self.rank = how, rank

    def __len__(self):
        return 8

    def __getitem__(self, number):
        if number == 5 and self.rank == 1:
            if self.how == "raise":
                raise ValueError("the disk is gone")
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        return np.ones((4, 3), np.float32), np.ones((4, 1), np.float32)


class Writes(Callback):
    """Writes into a weight, of which other ranks do not hear."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 3:
            self.model.layers[0].kernel[0, 0] = 1


class Trains(Callback):
    """Trains another model on all ranks, of which rank 0 alone hears: with their `MPI`, or one of its own.

    Before, it trains one on itself alone.
    """

    def __init__(self, ranks=None):
        self.ranks = ranks

    def on_epoch_end(self, epoch, logs=None):
        from mpi4py import MPI as library

        from cconv.distributed import MPI

        self.train(MPI(library.COMM_SELF))
        print("trained alone", flush=True)
        self.train(self.ranks or MPI())

    def train(self, ranks):
        other = Sequential([Dense(1, input_shape=(3,))], seed=1)
        other.compile("sgd", "mse")
        other.fit(*SAMPLES, shards=2, distributed=ranks, verbose=0)


# What ranks 0 and 1 give to `fit`.
SAMPLES = np.ones((6, 3), np.float32), np.ones((6, 1), np.float32)
OTHERWISE = {
    "loss": ({}, {}),
    "options": ({}, {}),
    "shuffle": ({"shuffle": True}, {}),
    "validation": ({"validation_data": SAMPLES}, {}),
    "validation_freq": ({"validation_data": SAMPLES}, {"validation_data": SAMPLES, "validation_freq": 2}),
    "validation_steps": (
        {"validation_data": SAMPLES, "validation_steps": 2, "validation_batch_size": 2},
        {"validation_data": SAMPLES, "validation_steps": 3, "validation_batch_size": 2},
    ),
}


def interrupted(folder, who, step):
    """Train on the command line; Ctrl-C comes to one rank inside that step."""
    from mpi4py import MPI as library

    train_step, steps = Sequential._train_step, itertools.count()

    def counted(*arguments):
        if next(steps) == step and library.COMM_WORLD.rank == who:
            signal.raise_signal(signal.SIGINT)
        return train_step(*arguments)

    Sequential._train_step = counted
    how = [
        "--data",
        folder / "data.npz",
        "--epochs",
        3,
        "--batch-size",
        8,
        "--out",
        folder / "out.safetensors",
    ]
    return cli.main(["train", "--distributed", "--resume", *map(str, how)])


def caught(ranks, who):
    """Ctrl-C comes to one rank while it waits for the others at the begin of `fit`, and is caught there."""
    model = Sequential([Dense(1, input_shape=(3,))], seed=1)
    model.compile("sgd", "mse")
    if ranks.rank == who:
        threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
    else:
        time.sleep(1.5)
    with contextlib.suppress(KeyboardInterrupt):
        model.fit(np.ones((8, 3)), np.ones((8, 1)), shards=2, distributed=ranks, verbose=0)
    time.sleep(60)
    return 0


def leave(how, who):
    """Train on all ranks but one, which ends."""
    from cconv.distributed import MPI

    ranks = MPI()
    if how == "ctrl-c":
        return caught(ranks, int(who))
    if ranks.rank == int(who):
        if how == "exit":
            sys.exit("enough")
        if how == "error":
            raise ValueError("no")
        return 0
    model = Sequential([Dense(1, input_shape=(3,))], seed=1)
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 3)), np.ones((8, 1)), shards=2, distributed=ranks, verbose=0)
    time.sleep(60)
    return 0


def main():
    from mpi4py import MPI as library

    from cconv.distributed import MPI

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fail")
    parser.add_argument("--ctrl-c", nargs=2, type=int)
    parser.add_argument("--leave", nargs=2)
    arguments = parser.parse_args()
    folder, world = arguments.folder, library.COMM_WORLD
    if arguments.ctrl_c:
        return interrupted(folder, *arguments.ctrl_c)
    if arguments.leave:
        return leave(*arguments.leave)
    if arguments.fail:
        model = Sequential([Dense(2, input_shape=(3,)), Dense(1)], seed=1)
        ranks = MPI()
        other = ranks.rank if arguments.fail in OTHERWISE else 0
        # Functions of the user's own: all that is known of them before they are called is their name.
        clipped, scale = other and arguments.fail == "options", 1 + (other and arguments.fail == "loss")
        loss = from_function(lambda y, p: scale * (p - y) ** 2, lambda y, p: scale * 2 * (p - y))
        model.compile(SGD(clipnorm=1.0 if clipped else None), loss)
        how = {"shuffle": False, "shards": 2, "verbose": 0, "distributed": ranks}
        how |= OTHERWISE.get(arguments.fail, ({}, {}))[other]
        own = {"weights": Writes, "nested": lambda: Trains(ranks), "nested, new": Trains}
        calls = [own[arguments.fail]()] if arguments.fail in own else []
        model.fit(Fails(arguments.fail, ranks.rank), callbacks=calls, **how)
        time.sleep(60)
        sys.exit("nothing has failed")
    found = {}
    for size in (4, 2, 1):
        ranks = MPI(world.Split(world.rank // size))
        place = folder / f"{world.rank // size}-of-{size}"
        for threads in (1, 2) if size > 1 else ():
            set_num_threads(threads)
            found[f"{size} ranks, {threads} threads"] = train(place, ranks=ranks, keep=size == 4)
            if not ranks.rank:
                shutil.rmtree(place / "backup", ignore_errors=True)
            world.Barrier()
        kept = folder / "0-of-4" / "kept"
        found[f"taken up on {size} ranks"] = train(place, ranks=ranks, resume_from=kept)
        if size > 1:
            found[f"means on {size} ranks"] = train(place, "means", ranks)
            found[f"graph on {size} ranks"] = train_graph(ranks)
            found[f"blocks on {size} ranks"] = train_rows(place, "blocks", ranks)
            found[f"exact on {size} ranks"] = train_rows(place, "exact", ranks)
    everybody = world.gather(found)
    if not world.rank:
        print(json.dumps(everybody))


if __name__ == "__main__":
    sys.exit(main())
