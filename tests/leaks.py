"""Models made, trained, used, saved and loaded by the thousand: what is left of them.

``python tests/leaks.py --times 10000`` prints, at every tenth of the way, how many objects, blocks of
memory, bytes of anonymous memory, open files and threads the process has.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

import cconv
from cconv import layers as L
from cconv.callbacks import BackupAndRestore
from cconv.models import Model, Sequential, load_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6, 6, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 12)


def row(seed):
    return Sequential(
        [
            L.RandomFlip(input_shape=(6, 6, 1)),
            L.Conv2D(4, 3, activation="relu"),
            L.BatchNormalization(),
            L.Dropout(0.2),
            L.Flatten(),
            L.Dense(3, activation="softmax"),
        ],
        seed=seed,
    )


def graph(seed):
    x = L.Input((6, 6, 1))
    y = L.Conv2D(4, 3, padding="same")(x)
    y = L.Add()([y, L.Conv2D(4, 3, padding="same", activation="relu")(y)])
    return Model(x, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(y)), seed=seed)


def batches():
    while True:
        yield X[:5], Y[:5]


def once(number, folder):
    """Make, train, use, save and load a model, in one of several ways."""
    model = (row, graph)[number % 2](number)
    model.compile(("adam", "sgd")[number % 2], "sparse_categorical_crossentropy", ["accuracy"])
    given = {"epochs": 2, "verbose": 0}
    way = number // 2 % 5
    if way == 0:
        model.fit(X, Y, batch_size=4, validation_split=0.25, **given)
    elif way == 1:
        model.fit(batches(), steps_per_epoch=3, **given)
    elif way == 2:
        model.fit(X, Y, batch_size=5, shards=3, **given)
    elif way == 3:
        backup = BackupAndRestore(folder / "backup", save_freq=2)
        model.fit(X, Y, batch_size=4, callbacks=[backup], **given)
    else:
        try:  # a training that fails is forgotten too
            model.fit(np.full_like(X, np.nan), Y, **given)
        except ValueError:
            model.train_on_batch(X, Y)
    model.predict(X, batch_size=5)
    model.freeze().predict(X[:2])
    model.memory(7)
    path = folder / "model.safetensors"
    model.save(path)
    load_model(path).predict(X)


def figures():
    """What the process has."""
    gc.collect()
    status = Path("/proc/self/status").read_text().split()
    return {
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "anonymous_kB": int(status[status.index("RssAnon:") + 1]),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=10_000)
    parser.add_argument("--looks", type=int, default=10)
    arguments = parser.parse_args()
    cconv.set_num_threads(2)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.times):
            once(number, Path(folder))
            if (number + 1) % (arguments.times // arguments.looks) == 0:
                found.append({"times": number + 1} | figures())
                print(json.dumps(found[-1]), flush=True)


if __name__ == "__main__":
    main()
