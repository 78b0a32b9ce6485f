"""A schedule, and one of the user's own, as the learning rate of an optimizer."""

import numpy as np

import cconv as keras
from cconv import layers


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, initial_learning_rate):
        self.initial_learning_rate = initial_learning_rate

    def __call__(self, step):
        return self.initial_learning_rate / (step + 1)


rng = np.random.default_rng(47)
x, y = rng.normal(size=(32, 4)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
RESULT = {}
for name, rate in {
    "exponential": keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=4, decay_rate=0.5),
    "cosine": keras.optimizers.schedules.CosineDecay(0.1, decay_steps=10),
    "own": Halving(0.1),
}.items():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.set_weights([np.ones((4, 1)), np.zeros(1)])
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=rate, momentum=0.5), loss="mse")
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    RESULT[name] = {
        "loss": history.history["loss"],
        "rate": float(model.optimizer.learning_rate),
        "steps": int(model.optimizer.iterations),
    }
