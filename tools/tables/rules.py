"""Write tests/data/rules.json: steps of Keras' optimizers, its schedules, losses and initializers.

    KERAS_BACKEND=torch python tools/tables/rules.py

With the names of sections behind it only those are asked for again. "optimizers" and "together" need no
torch: ``JAX_ENABLE_X64=1 KERAS_BACKEND=jax`` gives the same digits, but for rates of CosineDecay, which are
of float32 there. Nadam, Adamax, Lion, amsgrad and "together" were made so.

It needs keras and torch, and not cconv. The table was made with keras 3.15.1 on torch 2.13.0, in float64
(in float32 Keras' 1 - beta_2 ** t has only five right digits), and has twelve digits.

Not in it are the losses of probabilities that are 0 or 1, or of several classes.
"""

import itertools
import json
import sys
from pathlib import Path

import keras
import numpy as np
from keras import losses, optimizers
from keras.optimizers import schedules
from keras.src.initializers import random_initializers

keras.config.set_floatx("float64")
PATH = Path(__file__).parents[2] / "tests" / "data" / "rules.json"
STEPS = 6
# Large, small, negative and vanishing gradients; one weight never has one.
WEIGHTS = [1.0, -2.0, 0.5, 3.0, -0.25, 0.125]
GRADS = [
    [0.5, -1.0, 0.25, 0.0, 1e-3, -4.0],
    [0.25, 1.0, 0.25, 0.0, -2e-3, -4.0],
    [-0.5, 2.0, 0.25, 0.0, 1e-4, 8.0],
    [0.0, -3.0, 0.25, 0.0, 3.0, 0.5],
    [1.5, 0.5, 0.25, 0.0, -1e-5, -0.125],
    [0.75, -0.5, 0.25, 0.0, 2e-3, 1.0],
]

OPTIMIZERS = {
    "SGD": [{}, {"learning_rate": 0.5}, {"learning_rate": 0.1, "momentum": 0.75}],
    "Adagrad": [
        {},
        {"learning_rate": 0.3},
        {"learning_rate": 0.3, "initial_accumulator_value": 0.0, "epsilon": 0.01},
    ],
    "RMSprop": [{}, {"learning_rate": 0.05}, {"learning_rate": 0.05, "rho": 0.5, "epsilon": 0.1}],
    "Adadelta": [{}, {"learning_rate": 1.0}, {"learning_rate": 1.0, "rho": 0.5, "epsilon": 0.01}],
    "Adam": [
        {},
        {"learning_rate": 0.1},
        {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.1},
    ],
    "AdamW": [
        {},
        {"learning_rate": 0.1},
        {"learning_rate": 0.1, "weight_decay": 0.5, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.1},
    ],
}
BETAS = {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.1}
OPTIMIZERS["Adam"] += [{"amsgrad": True, "learning_rate": 0.1}, {"amsgrad": True, **BETAS}]
OPTIMIZERS["AdamW"] += [{"amsgrad": True, "weight_decay": 0.5, **BETAS}]
OPTIMIZERS |= {name: [{}, {"learning_rate": 0.1}, BETAS] for name in ("Nadam", "Adamax")}
LATER = ("Nadam", "Adamax", "Lion")
OPTIMIZERS["Lion"] = [{}, {"learning_rate": 0.1}, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.75}]
# What all optimizers have, asked for over two weights: the first two values of WEIGHTS, and the others.
COMMON = [
    {"weight_decay": 0.5},
    {"clipnorm": 1.0},
    {"clipvalue": 0.3},
    {"global_clipnorm": 2.0},
    {"use_ema": True, "ema_momentum": 0.75},
    {"use_ema": True, "ema_overwrite_frequency": 2, "ema_momentum": 0.5},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 3, "clipvalue": 0.4, "weight_decay": 0.25},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.5, "use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5, "weight_decay": 0.5, "use_ema": True},
]
OPTIMIZERS["SGD"] += [
    {"learning_rate": 0.1, "momentum": 0.75, "nesterov": True},
    {"learning_rate": 0.1, "momentum": 0.0, "nesterov": True},
]
SCHEDULES = {
    "ExponentialDecay": [[0.5, 4, 0.5], [0.5, 4, 0.5, True], [0.1, 3, 2.0]],
    "InverseTimeDecay": [[0.5, 4, 2.0], [0.5, 4, 2.0, True], [0.5, 1, 0.25]],
    "PiecewiseConstantDecay": [[[3, 7], [1.0, 0.5, 0.125]], [[0], [1.0, 0.5]]],
    "CosineDecay": [
        [0.5, 8],
        [0.5, 8, 0.25],
        [0.25, 8, 0.5, None, None, 1.0, 4],
        [0.25, 5, 0.0, None, None, 1.0, 3],
    ],
}
NAMES = {
    "CosineDecay": [
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        None,
        None,
        "warmup_target",
        "warmup_steps",
    ]
}


def plain(values):
    """Return nested lists of floats, each with twelve digits."""
    if isinstance(values, list):
        return [plain(value) for value in values]
    return float(f"{values:.12g}")


def trajectory(name, options):
    """Return the weights after each step."""
    keras.utils.set_random_seed(0)
    optimizer = getattr(optimizers, name)(**options)
    w = keras.Variable(np.array(WEIGHTS))
    found = []
    for grad in GRADS:
        optimizer.apply([keras.ops.convert_to_tensor(np.array(grad))], [w])
        found.append(plain(w.numpy().tolist()))
    return found


def all_trajectories():
    """Return steps of every optimizer, also with the schedule that `decay` once meant, and with another."""
    found = []
    for name, choices in OPTIMIZERS.items():
        found += [
            {"name": name, "options": options, "weights": trajectory(name, options)} for options in choices
        ]
        rate = {"learning_rate": schedules.InverseTimeDecay(0.2, 1, 0.5)}
        found.append(
            {"name": name, "options": {"learning_rate": 0.2, "decay": 0.5}, "weights": trajectory(name, rate)}
        )
        if name in LATER:
            continue
        rate = {"learning_rate": schedules.CosineDecay(0.2, 4, 0.25)}
        found.append(
            {"name": name, "schedule": [0.2, 4, 0.25], "options": {}, "weights": trajectory(name, rate)}
        )
    return found


def all_together():
    """Return steps of two weights, and in the end their means, with what all optimizers have."""
    found = []
    for name, options in itertools.product(("SGD", "Adam", "Nadam"), COMMON):
        rate = schedules.InverseTimeDecay(0.2, 1, 0.5)
        optimizer = getattr(optimizers, name)(learning_rate=rate, **options)
        w = [keras.Variable(np.array(part)) for part in (WEIGHTS[:2], WEIGHTS[2:])]
        steps = []
        for grad in GRADS:
            parts = [keras.ops.convert_to_tensor(np.array(part)) for part in (grad[:2], grad[2:])]
            optimizer.apply(parts, w)
            steps.append([*plain(w[0].numpy().tolist()), *plain(w[1].numpy().tolist())])
        optimizer.finalize_variable_values(w)
        steps.append([*plain(w[0].numpy().tolist()), *plain(w[1].numpy().tolist())])
        found.append({"name": name, "options": options, "schedule": [0.2, 1, 0.5], "weights": steps})
    return found


def all_schedules():
    """Return the rates of the steps 0 to 14."""
    found = []
    for name, choices in SCHEDULES.items():
        for arguments in choices:
            options = {}
            if name in NAMES:
                options = {n: v for n, v in zip(NAMES[name], arguments, strict=False) if n}
                schedule = schedules.CosineDecay(**options)
            else:
                schedule = getattr(schedules, name)(*arguments)
            rates = [plain(float(schedule(step))) for step in range(15)]
            entry = {"name": name, "arguments": [] if options else arguments, "options": options}
            found.append(entry | {"rates": rates})
    return found


def rows(count, classes, seed):
    """Return numbers between -2 and 2."""
    places = np.arange(count * classes) + seed
    return ((places * 37 % 41) / 10.0 - 2.0).reshape(count, classes)


def all_losses():
    """Return losses and, by PyTorch, their gradients, with and without weights of the samples."""
    import torch

    logits = rows(5, 4, 3)
    chances = 1 / (1 + np.exp(-logits))
    classes = np.array([2, 0, 3, 3, 1])
    one_hot = np.eye(4)[classes]
    soft = 0.75 * one_hot + 0.0625
    bits = (rows(5, 4, 11) > 0).astype(float)
    cases = [
        ("MeanSquaredError", {}, rows(5, 4, 20), logits),
        ("MeanAbsoluteError", {}, rows(5, 4, 20), logits),
        ("BinaryCrossentropy", {}, bits, chances),
        ("BinaryCrossentropy", {"from_logits": True}, bits, logits),
        ("CategoricalCrossentropy", {"from_logits": True}, one_hot, logits),
        ("CategoricalCrossentropy", {"from_logits": True}, soft, logits),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, classes, logits),
    ]
    found = []
    for (name, options, true, pred), weight in itertools.product(cases, (None, [1.0, 0.0, 2.0, 0.5, 3.0])):
        inputs = torch.tensor(pred, requires_grad=True)
        loss = getattr(losses, name)(**options, dtype="float64")(true, inputs, sample_weight=weight)
        loss.backward()
        entry = {"name": name, "options": options, "y_true": np.asarray(true).tolist(), "weight": weight}
        entry |= {"y_pred": plain(np.asarray(pred).tolist()), "loss": plain(loss.item())}
        found.append(entry | {"gradient": plain(inputs.grad.numpy().tolist())})
    return found


def asked(initializer, shape):
    """Return what Keras asks its generator for when it makes an array: the distribution and its numbers."""
    found = {}

    class Asked(Exception):
        pass

    class Recorder:
        def __getattr__(self, name):
            def record(shape, **numbers):
                found.update(numbers, distribution=name)
                raise Asked

            return record

    before, random_initializers.random = random_initializers.random, Recorder()
    try:
        initializer(shape)
    except Asked:
        pass
    finally:
        random_initializers.random = before
    return {key: value for key, value in found.items() if key not in ("dtype", "seed")}


def all_initializers():
    """Return the distributions of Keras' initializers, by shape."""
    found = []
    names = ["GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"]
    chosen = [(name, {}) for name in names]
    for mode, kind in itertools.product(
        ("fan_in", "fan_out", "fan_avg"), ("truncated_normal", "untruncated_normal", "uniform")
    ):
        chosen.append(("VarianceScaling", {"scale": 3.0, "mode": mode, "distribution": kind}))
    chosen += [("RandomUniform", {}), ("RandomNormal", {}), ("TruncatedNormal", {}), ("VarianceScaling", {})]
    for (name, options), shape in itertools.product(chosen, ((7,), (3, 5), (3, 2, 4, 6), (1, 1, 1, 9))):
        initializer = getattr(keras.initializers, name)(**options)
        numbers = asked(initializer, shape)
        found.append({"name": name, "options": options, "shape": list(shape), "asked": numbers})
    return found


SECTIONS = {
    "weights": lambda: WEIGHTS,
    "grads": lambda: GRADS,
    "optimizers": all_trajectories,
    "schedules": all_schedules,
    "losses": all_losses,
    "initializers": all_initializers,
    "together": all_together,
}

if __name__ == "__main__":
    table = json.loads(PATH.read_text()) if sys.argv[1:] else {}
    table |= {name: SECTIONS[name]() for name in sys.argv[1:] or SECTIONS}
    sections = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
    PATH.write_text("{\n" + sections.replace('}, {"name"', '},\n{"name"') + "\n}\n")
    print({key: len(value) for key, value in table.items()}, PATH.stat().st_size)
