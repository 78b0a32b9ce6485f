"""Validation: data with weights, every second epoch, in batches of another size, and a part of the arrays."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(29)
x, y, w = rng.normal(size=(50, 6)), rng.normal(size=(50, 1)), rng.uniform(size=50)


def compiled():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
    model.set_weights([np.linspace(-1, 1, v.size).reshape(v.shape) for v in model.get_weights()])
    model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
    return model


weighted = compiled().fit(
    x[:40], y[:40], epochs=2, validation_data=(x[40:], y[40:], w[40:]), shuffle=False, verbose=0
)
split = compiled().fit(x, y, 8, epochs=2, validation_split=0.3, sample_weight=w, shuffle=False, verbose=0)
seldom = compiled().fit(
    x[:40],
    y[:40],
    epochs=4,
    validation_data=(x[40:], y[40:]),
    validation_freq=2,
    validation_batch_size=3,
    shuffle=False,
    verbose=0,
)

RESULT = {"weighted": weighted.history, "split": split.history, "seldom": seldom.history}
