"""What the experiments share: their options, the networks of the course, a table of figures."""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.callbacks import LambdaCallback
from cconv.datasets import mnist, mnist_small
from cconv.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Rescaling
from cconv.models import Sequential
from cconv.optimizers import SGD
from cconv.schedules import CosineDecay


def options(description: str, epochs: int, seeds: Sequence[int]) -> argparse.Namespace:
    """Return the options that every experiment has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one epoch, one seed, little data: does it run?")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--pause", type=float, default=0.0, help="seconds of rest after each epoch")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.epochs, chosen.seeds = 1, chosen.seeds[:1]
    return chosen


def digits(quick: bool) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return MNIST as (n, 28, 28, 1) bytes and class numbers; if `quick`, 600 + 200 images of it."""
    (x, y), (x_test, y_test) = (mnist_small if quick else mnist).load_data()
    if quick:
        x, y, x_test, y_test = x[:600], y[:600], x_test[:200], y_test[:200]
    return (x[..., np.newaxis], y), (x_test[..., np.newaxis], y_test)


def mnist_network(seed: int, algorithm: str = "auto") -> Sequential:
    """Return the course's network for MNIST, for bytes: 1,199,882 parameters."""
    return Sequential(
        [
            Rescaling(1 / 255, input_shape=(28, 28, 1)),
            Conv2D(32, 3, algorithm=algorithm),
            Activation("relu"),
            Conv2D(64, 3, algorithm=algorithm),
            Activation("relu"),
            MaxPooling2D(2),
            Dropout(0.25),
            Flatten(),
            Dense(128),
            Activation("relu"),
            Dropout(0.5),
            Dense(10),
            Activation("softmax"),
        ],
        seed=seed,
    )


def cifar10_network(seed: int) -> Sequential:
    """Return the course's network for CIFAR-10, for bytes: 1,250,858 parameters."""
    return Sequential(
        [
            Rescaling(1 / 255, input_shape=(32, 32, 3)),
            Conv2D(32, 3, padding="same"),
            Activation("relu"),
            Conv2D(32, 3),
            Activation("relu"),
            MaxPooling2D(2),
            Dropout(0.25),
            Conv2D(64, 3, padding="same"),
            Activation("relu"),
            Conv2D(64, 3),
            Activation("relu"),
            MaxPooling2D(2),
            Dropout(0.25),
            Flatten(),
            Dense(512),
            Activation("relu"),
            Dropout(0.5),
            Dense(10),
            Activation("softmax"),
        ],
        seed=seed,
    )


def descent(steps: int, rate: float, decay: float, warmup: int) -> SGD:
    """Return SGD with Nesterov's momentum for so many steps: a rate that rises along a line, and a cosine.

    Kernels decay; biases and what batch normalisation learns do not.
    """
    schedule = CosineDecay(0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup)
    optimizer = SGD(schedule, momentum=0.9, nesterov=True, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def train(model: Sequential, data: Any, optimizer: Any, batch_size: int, chosen: argparse.Namespace) -> Any:
    """Train on class numbers; return the history and the seconds that it took without the pauses."""
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    (x, y), test = data
    rest = LambdaCallback(on_epoch_end=lambda epoch, logs: time.sleep(chosen.pause))
    began = time.perf_counter()
    history = model.fit(
        x, y, batch_size, chosen.epochs, verbose=2, callbacks=[rest], validation_data=test
    ).history
    return history, time.perf_counter() - began - chosen.pause * chosen.epochs


def accuracy(model: Sequential, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of right answers in inference mode."""
    return float(model.evaluate(x, y, verbose=0)[1])


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]], aim: str) -> None:
    """Print rows under their titles, the means of their numbers under them, and what was aimed at."""
    lines = [list(titles), *([_text(value) for value in row] for row in rows)]
    if len(rows) > 1:
        columns = list(zip(*rows, strict=True))[1:]
        lines.append(["mean", *(_text(_mean(column)) for column in columns)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print()
    for line in lines:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))
    print(f"aim: {aim}")


def _mean(values: Sequence[Any]) -> Any:
    return statistics.fmean(values) if all(isinstance(value, float) for value in values) else ""


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
