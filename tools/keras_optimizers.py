"""Write tests/data/optimizers.json: steps of Keras' RMSprop, Adafactor, Ftrl and Lamb.

    KERAS_BACKEND=torch python tools/keras_optimizers.py

It needs keras and torch, and not cconv. It was made with keras 3.15.1 on torch, in float64, and has twelve
digits. Weights and gradients are whole numbers that `numbers` makes, divided by powers of two: the test makes
the same ones.
"""

import json
from pathlib import Path

import keras
import numpy as np
from keras import optimizers
from keras.optimizers import schedules
from keras.src.backend.common import dtypes

keras.config.set_floatx("float64")
# Keras would take means in float32.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
PATH = Path(__file__).parents[1] / "tests" / "data" / "optimizers.json"
STEPS = 12
SHAPES = [[3], [], [2, 3], [3, 1], [2, 2, 3], [2, 1, 2, 3]]

MORE = {
    "RMSprop": [
        {"momentum": 0.75},
        {"centered": True},
        {"momentum": 0.5, "centered": True, "rho": 0.75, "epsilon": 0.01, "learning_rate": 0.1},
    ],
    "Adafactor": [
        {},
        {"learning_rate": 0.5},
        {"learning_rate": 0.5, "relative_step": False, "clip_threshold": 0.25},
        {
            "learning_rate": 0.1,
            "beta_2_decay": -0.5,
            "epsilon_1": 0.01,
            "epsilon_2": 0.5,
            "clip_threshold": 4.0,
        },
    ],
    "Ftrl": [
        {},
        {"learning_rate": 0.5, "beta": 0.25},
        {"learning_rate": 0.25, "learning_rate_power": -0.75, "initial_accumulator_value": 0.5},
        {"learning_rate": 0.25, "learning_rate_power": 0.0, "l2_regularization_strength": 0.5},
        {
            "learning_rate": 0.5,
            "l1_regularization_strength": 0.25,
            "l2_regularization_strength": 0.125,
            "l2_shrinkage_regularization_strength": 0.0625,
        },
    ],
    "Lamb": [
        {},
        {"learning_rate": 0.1},
        {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.1},
    ],
}
# What all optimizers have, beside a rate that falls.
COMMON = [
    {"weight_decay": 0.25},
    {"clipnorm": 0.5},
    {"global_clipnorm": 1.0, "use_ema": True, "ema_momentum": 0.75},
    {"gradient_accumulation_steps": 3, "weight_decay": 0.25},
    {"gradient_accumulation_steps": 2, "clipvalue": 0.25, "use_ema": True, "ema_overwrite_frequency": 2},
]
SCHEDULE = [0.25, 1, 0.5]


def numbers(shape, seed, divisor):
    """Return whole numbers from -20 to 20 over a power of two."""
    places = np.arange(int(np.prod(shape, dtype=int))) + 1
    return ((((places * (37 + 2 * seed) + 11 * seed) % 41) - 20.0) / divisor).reshape(shape)


def gradients(step):
    """Return the gradients of a step, one for each weight; they become small and large in turn."""
    return [numbers(shape, 3 * step + i, 2.0 ** (1 + 3 * (step % 4))) for i, shape in enumerate(SHAPES)]


def trajectory(optimizer):
    """Return the sums of all weights after each step, and all weights after the last."""
    w = [keras.Variable(numbers(shape, i, 16.0)) for i, shape in enumerate(SHAPES)]
    sums = []
    for step in range(STEPS):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], w)
        sums.append([digits(np.abs(v.numpy()).sum()) for v in w])
    optimizer.finalize_variable_values(w)
    return {"sums": sums, "last": [[digits(x) for x in v.numpy().ravel()] for v in w]}


def digits(value):
    """Return a number with twelve digits."""
    return float(f"{value:.12g}")


if __name__ == "__main__":
    found = []
    for name, choices in MORE.items():
        for options in choices:
            optimizer = getattr(optimizers, name)(**options)
            found.append({"name": name, "options": options, **trajectory(optimizer)})
        for options in COMMON:
            rate = schedules.InverseTimeDecay(*SCHEDULE)
            optimizer = getattr(optimizers, name)(learning_rate=rate, **options)
            found.append({"name": name, "options": options, "schedule": SCHEDULE, **trajectory(optimizer)})
    table = {"shapes": SHAPES, "steps": STEPS, "cases": found}
    PATH.write_text(json.dumps(table).replace('}, {"name"', '},\n{"name"') + "\n")
    print(len(found), PATH.stat().st_size)
