"""The optimizers that are used less, by their names or as objects."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(40)
x, y = rng.normal(size=(24, 5)).astype("float32"), rng.normal(size=(24, 1)).astype("float32")
RESULT = {}
for optimizer in ["adamax", "nadam", "lion"]:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
    weights = model.get_weights()
    model.set_weights([np.sin(np.arange(w.size) + 1).reshape(w.shape) for w in weights])
    model.compile(optimizer=optimizer, loss="mse")
    RESULT[optimizer] = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"]
