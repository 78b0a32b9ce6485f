"""Trainings in which one array cannot be allocated: the model is that after the last whole step.

``python tests/lacking.py --every N`` lets every Nth allocation of each case fail, one after another, and
prints what came of it as JSON.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

import numpy as np

import cconv
from cconv import layers as L
from cconv import optimizers as O
from cconv.callbacks import Callback
from cconv.models import Sequential

RNG = np.random.default_rng(5)
X = RNG.normal(size=(22, 8, 8, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 22)


def network(optimizer, **options):
    model = Sequential(
        [
            L.RandomFlip(input_shape=(8, 8, 2)),
            L.Conv2D(16, 3, padding="same", kernel_regularizer="l1", kernel_constraint="max_norm"),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(2),
            L.Dropout(0.2),
            L.Conv2D(16, 3, padding="same", activation="relu", bias_constraint="non_neg"),
            L.Flatten(),
            L.Dense(8, activation="gelu", kernel_regularizer="l2", kernel_constraint="unit_norm"),
            L.Dense(3, activation="softmax"),
        ],
        seed=5,
        **options,
    )
    model.compile(optimizer(), "sparse_categorical_crossentropy", ["accuracy"])
    return model


OPTIMIZERS = {
    "adam": O.Adam,
    "clipped, averaged": lambda: O.AdamW(global_clipnorm=0.5, use_ema=True, ema_overwrite_frequency=3),
    "accumulating": lambda: O.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2, clipnorm=1.0),
    "nadam": O.Nadam,
    "lamb": O.Lamb,
    "adafactor": lambda: O.Adafactor(weight_decay=0.01),
}


def state(model):
    """All that a model is, and where it stands."""
    arrays = [*model.get_weights(), *(a for _, a in sorted(model.optimizer.get_state().items()))]
    names = sorted(model.optimizer.get_state())
    return [model.steps_done, model.epochs_done, names, [array.tobytes() for array in arrays]]


class Stops(Callback):
    """Raises behind so many steps, in the next one or in a validation: what a failure there must leave."""

    def __init__(self, steps, event):
        super().__init__()
        self.steps = steps
        setattr(self, event, self.stop)

    def stop(self, *_):
        if self.model.steps_done == self.steps:
            raise InterruptedError


def fit(model, *callbacks, **options):
    validation = {"validation_data": (X[:6], Y[:6])}
    given = {"batch_size": 8, "epochs": 2, "verbose": 0} | validation | options
    model.fit(X, Y, callbacks=list(callbacks), **given)


SIZES = (4, 4, 4, 6)


def steps(model, count=4):
    for n in SIZES[:count]:
        model.train_on_batch(X[:n], Y[:n])


def expected(new, work):
    """What a model is behind each number of whole steps, and behind all work again after these."""
    found = {}
    events = [("on_train_batch_begin", range(7)), ("on_test_begin", (3, 6))]
    for event, counts in events if work is fit else [("", range(len(SIZES) + 1))]:
        for count in counts:
            model = new()
            if work is steps:
                steps(model, count)
            else:
                with suppress(InterruptedError):
                    fit(model, Stops(count, event))
            before = state(model)
            work(model)
            found[count, before[1]] = before, state(model)
    return found


LEAST = 1024  # bytes of an allocation that may fail


def lacking_memory(folder):
    """Let NumPy take the memory of arrays where one allocation can fail; return the C functions."""
    library = folder / "no_memory.so"
    source = Path(__file__).with_name("c") / "no_memory.c"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", library, source], check=True)
    found = ctypes.CDLL(library)
    capsule, pointer = ctypes.pythonapi.PyCapsule_New, ctypes.pythonapi.PyCapsule_GetPointer
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    table = ctypes.cast(pointer(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[304])  # PyDataMem_SetHandler
    set_handler(
        capsule(ctypes.addressof(ctypes.c_char.in_dll(found, "no_memory_handler")), b"mem_handler", None)
    )
    return found


def failing(number, call):
    """Make a call in which allocation `number` fails; return what was raised."""
    HERE.no_memory_arm(number, LEAST)
    try:
        call()
    except Exception as error:
        return error
    finally:
        HERE.no_memory_disarm()
    return None


def allocations(call):
    """Make a call; return how many allocations there were."""
    HERE.no_memory_arm(0, LEAST)
    call()
    return HERE.no_memory_disarm()


def trained(name, new, work, every, wrong):
    """Let every so manyth allocation of a training fail; return how many of them raised."""
    known = expected(new, work)
    model = new()
    total, raised = allocations(lambda: work(model)), 0
    for number in range(1, total + 1, every):
        model = new()
        error = failing(number, lambda model=model: work(model))
        now = state(model)
        case = f"{name}, {work.__name__}, allocation {number} of {total}: {error!r}"
        raised += error is not None
        if error is not None and not isinstance(error, MemoryError):
            wrong.append(f"{case} {''.join(traceback.format_exception(error))}")
        at = known.get((now[0], now[1]))
        if at is None or (now != at[0] and error is not None):
            wrong.append(
                f"{case}: not the state of a whole step: {now[:2]}, {differs(now, at)} {where(error)}"
            )
            continue
        del error
        work(model)
        if state(model) != at[1]:
            wrong.append(f"{case}: trains on to other bits from step {now[0]}")
    return total, raised


def where(error):
    return "".join(traceback.format_tb(error.__traceback__)[-3:])


def differs(now, at):
    return at and [n for n, (a, b) in enumerate(zip(now[3], at[0][3], strict=False)) if a != b] + [
        set(now[2]) ^ set(at[0][2])
    ]


def used(name, new, every, wrong):
    """The same for prediction and evaluation, of which nothing may be left."""
    model = new()
    steps(model)
    before = state(model)
    calls = {
        "predict": lambda: model.predict(X, verbose=0).tobytes(),
        "evaluate": lambda: model.evaluate(X, Y, verbose=0),
        "freeze": lambda: model.freeze().predict(X).tobytes(),
    }
    counts = {}
    for kind, call in calls.items():
        right = call()
        model._forget_plans()
        total, raised = allocations(call), 0
        for number in range(1, total + 1, every):
            model._forget_plans()
            error = failing(number, call)
            raised += error is not None
            if error is not None and not isinstance(error, MemoryError):
                wrong.append(f"{name}, {kind}, allocation {number} of {total}: {error!r} {where(error)}")
            if call() != right or state(model) != before:
                wrong.append(f"{name}, {kind}, allocation {number}: something is left")
        counts[f"{name}, {kind}"] = total, raised
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--optimizer", choices=OPTIMIZERS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        global HERE
        HERE = lacking_memory(Path(folder))
    cconv.set_num_threads(1)
    wrong, counts = [], {}
    for name, optimizer in OPTIMIZERS.items():
        if arguments.optimizer in (None, name):
            for work in (fit, steps):
                new = lambda optimizer=optimizer: network(optimizer)  # noqa: E731
                counts[f"{name}, {work.__name__}"] = trained(name, new, work, arguments.every, wrong)
    if arguments.optimizer in (None, "adam"):
        counts |= used("adam", lambda: network(O.Adam), arguments.every, wrong)
    gc.collect()
    print(json.dumps({"counts": counts, "wrong": wrong}, indent=1))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
