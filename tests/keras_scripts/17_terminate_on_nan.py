"""TerminateOnNaN ends a training that runs away."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(17)
x, y = rng.normal(size=(16, 3)) * 1e4, rng.normal(size=(16, 1))
model = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(1)])
model.set_weights([rng.normal(0, 1, w.shape) for w in model.get_weights()])
model.compile(optimizer=keras.optimizers.SGD(10.0), loss="mse")
history = model.fit(
    x, y, epochs=50, batch_size=4, callbacks=[keras.callbacks.TerminateOnNaN()], shuffle=False, verbose=0
)

RESULT = {"ended early": len(history.epoch) < 50, "keys": sorted(history.history)}
