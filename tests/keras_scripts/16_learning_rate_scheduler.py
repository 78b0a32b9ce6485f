"""LearningRateScheduler: a function of the epoch and the rate."""

import math

import numpy as np

import cconv as keras
from cconv import layers


def scheduler(epoch, lr):
    if epoch < 2:
        return lr
    return lr * math.exp(-0.5)


rng = np.random.default_rng(16)
x, y = rng.normal(size=(24, 5)), rng.normal(size=(24, 2))
model = keras.Sequential([layers.Dense(2, input_shape=(5,))])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(keras.optimizers.SGD(0.1), loss="mse")
callback = keras.callbacks.LearningRateScheduler(scheduler)
history = model.fit(x, y, epochs=5, batch_size=8, callbacks=[callback], shuffle=False, verbose=0)

RESULT = {"history": history.history, "rate": float(model.optimizer.learning_rate)}
