"""A loop of one's own over batches: train_on_batch, test_on_batch, return_dict."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(51)
x, y = rng.uniform(size=(32, 6, 6, 1)).astype("float32"), rng.integers(0, 3, size=32)
model = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

log = []
for _epoch in range(2):
    for start in range(0, 32, 8):
        loss, accuracy = model.train_on_batch(x[start : start + 8], y[start : start + 8])
        log.append([float(loss), float(accuracy)])
    model.reset_metrics()
named = model.train_on_batch(x[:8], y[:8], return_dict=True)
weighted = model.train_on_batch(x[:8], y[:8], sample_weight=np.linspace(0, 1, 8))
model.reset_metrics()
tested = model.test_on_batch(x[8:20], y[8:20])

RESULT = {
    "log": log,
    "named": {name: float(value) for name, value in named.items()},
    "weighted": [float(value) for value in weighted],
    "tested": [float(value) for value in tested],
    "dict": {key: float(v) for key, v in model.test_on_batch(x, y, return_dict=True).items()},
}
