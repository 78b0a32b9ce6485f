"""A second fit that goes on where the first ended, with initial_epoch; the rate changed by hand between."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(62)
x, y = rng.normal(size=(24, 4)).astype("float32"), rng.normal(size=(24, 1)).astype("float32")
model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(1)])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.8), loss="mse")
first = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
model.optimizer.learning_rate = 0.01
second = model.fit(x, y, batch_size=8, epochs=5, initial_epoch=2, shuffle=False, verbose=0)

RESULT = {
    "first": first.history,
    "second": second.history,
    "epochs": [first.epoch, second.epoch],
    "iterations": int(model.optimizer.iterations),
}
