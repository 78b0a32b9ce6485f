"""Optimizers as objects with their arguments."""

import numpy as np

import cconv as keras
from cconv import layers
from cconv.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop

rng = np.random.default_rng(41)
x, y = rng.normal(size=(24, 5)).astype("float32"), rng.normal(size=(24, 2)).astype("float32")
RESULT = {}
for name, optimizer in {
    "momentum": SGD(learning_rate=0.05, momentum=0.9),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": RMSprop(learning_rate=0.01, rho=0.8),
    "adagrad": Adagrad(learning_rate=0.1, initial_accumulator_value=0.2),
    "adadelta": Adadelta(learning_rate=1.0, rho=0.9),
    "adam": Adam(learning_rate=0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-4),
    "amsgrad": Adam(0.01, amsgrad=True),
    "adamw": AdamW(learning_rate=0.01, weight_decay=0.1),
}.items():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(2)])
    weights = model.get_weights()
    model.set_weights([np.sin(np.arange(w.size) + 1).reshape(w.shape) for w in weights])
    model.compile(optimizer=optimizer, loss="mse")
    RESULT[name] = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"]
