"""Metrics that are functions of the targets and the predictions."""

import numpy as np

import cconv as keras
from cconv import layers

ops = np if keras.__name__ == "cconv" else keras.ops


def mean_pred(y_true, y_pred):
    return ops.mean(y_pred)


def largest_error(y_true, y_pred):
    return ops.max(ops.abs(y_true - y_pred), axis=-1)


rng = np.random.default_rng(33)
x, y = rng.normal(size=(24, 3)).astype("float32"), rng.normal(size=(24, 2)).astype("float32")
model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer="sgd", loss="mse", metrics=["mae", mean_pred, largest_error])
history = model.fit(x, y, batch_size=8, epochs=2, validation_split=0.25, shuffle=False, verbose=0)

RESULT = {"history": history.history, "score": model.evaluate(x, y, return_dict=True, verbose=0)}
