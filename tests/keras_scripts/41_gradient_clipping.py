"""clipnorm, clipvalue and global_clipnorm of optimizers."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(44)
x, y = 5 * rng.normal(size=(24, 5)).astype("float32"), 10 * rng.normal(size=(24, 1)).astype("float32")
RESULT = {}
for name, optimizer in {
    "clipnorm": keras.optimizers.SGD(0.05, clipnorm=1.0),
    "clipvalue": keras.optimizers.SGD(0.05, clipvalue=0.5),
    "global": keras.optimizers.SGD(learning_rate=0.05, global_clipnorm=1.0),
    "adam": keras.optimizers.Adam(learning_rate=0.05, clipnorm=0.5),
}.items():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
    weights = model.get_weights()
    model.set_weights([np.sin(np.arange(w.size) + 1).reshape(w.shape) for w in weights])
    model.compile(optimizer=optimizer, loss="mse")
    RESULT[name] = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"]
