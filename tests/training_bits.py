"""Train networks on fixed data and print the bits of what comes out, as JSON: case -> digest.

Run as a program under one instruction set (``CCONV_ISA``); the arguments are numbers of threads,
each of which gives its own digests.
"""

import contextlib
import hashlib
import json
import sys

import numpy as np
from bits import arrays
from strategies import parallel_at_any_size

import cconv
from cconv.layers import (
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    RandomFlip,
    RandomTranslation,
    Rescaling,
)
from cconv.models import Sequential


def plain():
    """The classifier of the course, in small."""
    return [
        Rescaling(1 / 255),
        Conv2D(30, 5, activation="relu"),
        MaxPooling2D(2),
        Flatten(),
        Dense(50, activation="relu"),
        Dense(10, activation="softmax"),
    ]


def mixed():
    """As many kinds of layers as one small network bears."""
    return [
        Rescaling(1 / 127.5, offset=-1),
        RandomFlip("horizontal"),
        RandomTranslation(0.1, 0.1),
        Conv2D(12, 3, padding="same", activation="tanh", kernel_regularizer="l2"),
        BatchNormalization(),
        AveragePooling2D(2),
        DepthwiseConv2D(3, padding="same", activation="sigmoid"),
        Dropout(0.25),
        Conv2D(17, 3, strides=2, activation="relu"),
        Dropout(0.5),
        GlobalAveragePooling2D(),
        Dense(10, activation="softmax"),
    ]


CASES = {
    "plain adam": (plain, "adam", "float32"),
    "mixed rmsprop": (mixed, "rmsprop", "float32"),
    "mixed adadelta": (mixed, "adadelta", "float64"),
    "plain nesterov": (plain, "nesterov", "float64"),
}


def train(layers, optimizer, dtype):
    """Two epochs with a short last batch; return all numbers that come out."""
    (x,) = arrays((150, 20, 20, 1), dtype=np.float64)
    x = ((x + 2) * 63).astype(np.uint8)
    y = (x.sum(axis=(1, 2, 3)) % 10).astype(np.int64)
    model = Sequential(layers(), seed=42, dtype=dtype)
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(x, y, batch_size=64, epochs=2, validation_split=0.2, verbose=0).history
    return [*model.get_weights(), np.array([*history.values()]), model.predict(x, verbose=0)]


def digests():
    """Digest of the bits of every case."""
    found = {}
    for name, case in CASES.items():
        digest = hashlib.sha256()
        for array in train(*case):
            digest.update(array.tobytes())
        found[name] = digest.hexdigest()
    return found


def main(threads):
    """Print the digests for each number of threads, with every kernel in parallel and as shapes decide."""
    found = {}
    for number in threads:
        cconv.set_num_threads(number)
        for name, setting in (("all parallel", parallel_at_any_size), ("by size", contextlib.nullcontext)):
            with setting():
                found[f"{number} threads, {name}"] = digests()
    print(json.dumps(found))


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
