"""weight_decay, moving averages of the weights and accumulated gradients of optimizers."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(45)
x, y = rng.normal(size=(24, 5)).astype("float32"), rng.normal(size=(24, 1)).astype("float32")
RESULT = {}
for name, optimizer in {
    "decay": keras.optimizers.SGD(0.05, weight_decay=0.1),
    "adam decay": keras.optimizers.Adam(0.01, weight_decay=0.05),
    "ema": keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9),
    "ema often": keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    "accumulated": keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
}.items():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
    weights = model.get_weights()
    model.set_weights([np.sin(np.arange(w.size) + 1).reshape(w.shape) for w in weights])
    model.compile(optimizer=optimizer, loss="mse")
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    RESULT[name] = {"loss": history.history["loss"], "kernel": model.get_weights()[0]}
