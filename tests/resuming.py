"""Trainings that are interrupted and taken up again: the networks, and a program that trains one.

As a program: ``python tests/resuming.py FOLDER [options]`` trains with a `BackupAndRestore` in FOLDER/backup
and writes the bits of what came out to FOLDER/bits. ``python tests/resuming.py FOLDER --crashes 100`` kills
such programs, so many times, at random moments, resumes them, also twice and on other numbers of threads, and
prints how many came to the bits of one that was left alone.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import cconv
from cconv import set_num_threads
from cconv.callbacks import (
    BackupAndRestore,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
)
from cconv.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, RandomFlip, RandomTranslation
from cconv.models import Sequential
from cconv.optimizers import Adam

RNG = np.random.default_rng(11)
X = RNG.normal(size=(150, 8, 8, 2)).astype(np.float32)
Y = RNG.integers(0, 4, 150)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(cconv.__file__).parents[1])}
OPTIMIZERS = {
    "adam": lambda: Adam(0.004),
    "means": lambda: Adam(0.004, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=7),
    "accumulating": lambda: Adam(0.004, gradient_accumulation_steps=3),
    "nesterov": lambda: "nesterov",
}


def network(optimizer="adam", metrics=("accuracy",), seed=3):
    """All that draws, or remembers, in one small network."""
    model = Sequential(
        [
            RandomFlip("horizontal", input_shape=(8, 8, 2)),
            RandomTranslation(0.1, 0.1),
            Conv2D(6, 3, activation="relu"),
            BatchNormalization(),
            Dropout(0.3),
            Flatten(),
            Dense(4, activation="softmax"),
        ],
        seed=seed,
    )
    model.compile(OPTIMIZERS[optimizer](), "sparse_categorical_crossentropy", list(metrics))
    return model


def callbacks(folder, optimizer="adam", scheduled=False):
    """Callbacks that remember."""
    rate = (
        LearningRateScheduler(lambda epoch, rate: rate * 0.9)
        if scheduled
        else ReduceLROnPlateau(patience=1, factor=0.7, min_delta=0.02)
    )
    swap = [SwapEMAWeights(swap_on_epoch=True)] if optimizer == "means" else []
    return [
        *swap,
        EarlyStopping(patience=3, restore_best_weights=True),
        rate,
        ModelCheckpoint(Path(folder) / "best.safetensors", save_best_only=True),
        CSVLogger(Path(folder) / "log.csv"),
    ]


def train(folder, backup=None, optimizer="adam", epochs=9, scheduled=False, data=None, **options):
    """Return the bits of a training: weights, optimizer, history, and what the callbacks wrote."""
    model = network(optimizer)
    x, y = (X[:120], Y[:120]) if data is None else (data(), None)
    given = [*callbacks(folder, optimizer, scheduled), *([backup] if backup else [])]
    if data is None:
        options.setdefault("batch_size", 16)
    history = model.fit(
        x, y, epochs=epochs, verbose=0, callbacks=given, validation_data=(X[120:], Y[120:]), **options
    )
    return bits(model, history, folder)


def bits(model, history, folder):
    """Return a digest of all that a training leaves."""
    found = hashlib.sha256()
    for _, array in (*enumerate(model.get_weights()), *sorted(model.optimizer.get_state().items())):
        found.update(array.tobytes())
    found.update(json.dumps([history.epoch, history.history], sort_keys=True).encode())
    found.update(repr((model.steps_done, model.epochs_done, model.optimizer.iterations)).encode())
    for name in ("best.safetensors", "log.csv"):
        found.update((Path(folder) / name).read_bytes())
    return found.hexdigest()


def command(folder, *options):
    """Return the command that trains in a process of its own."""
    return [sys.executable, __file__, str(folder), *map(str, options)]


def crash(folder, draw, seconds, kills, *options):
    """Kill a training so many times, then let it come to its end; return its bits and the kills made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for number in range(kills):
        process = subprocess.Popen(command(folder, *options, "--threads", 1 + number % 3), env=ENVIRONMENT)
        # From the first import to past the end.
        time.sleep(draw.uniform(0.2, seconds))
        made += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (folder / "bits").exists():
            break
    if not (folder / "bits").exists():
        subprocess.run(command(folder, *options, "--threads", 2), check=True, env=ENVIRONMENT)
    return (folder / "bits").read_text(), made


def crashes(folder, count):
    """Kill trainings `count` times; print how many came to the right bits."""
    draw, number, right, killed = random.Random(5), 0, 0, 0
    kinds = [["--optimizer", name, "--every", every] for name in OPTIMIZERS for every in (1, 5, 0)]
    expected = {}
    while killed < count:
        kind = kinds[number % len(kinds)]
        if str(kind) not in expected:
            place = folder / f"whole{number}"
            place.mkdir(parents=True, exist_ok=True)
            begin = time.monotonic()
            subprocess.run(command(place, *kind), check=True, env=ENVIRONMENT)
            expected[str(kind)] = (place / "bits").read_text(), time.monotonic() - begin
        bits, seconds = expected[str(kind)]
        found, made = crash(folder / str(number), draw, seconds, 1 + number % 2, *kind)
        right, killed = right + (found == bits), killed + made
        if found != bits:
            print(f"training {number} ({' '.join(map(str, kind))}) came to other bits", flush=True)
        number += 1
    print(f"{right} of {number} trainings, killed {killed} times, came to the bits of one left alone")
    return 0 if right == number else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crashes", type=int)
    parser.add_argument("--optimizer", default="adam", choices=OPTIMIZERS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    if given.crashes:
        return crashes(given.folder, given.crashes)
    set_num_threads(given.threads)
    backup = BackupAndRestore(given.folder / "backup", save_freq=given.every or "epoch")
    found = train(given.folder, backup, given.optimizer, given.epochs)
    (given.folder / "bits").write_text(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
