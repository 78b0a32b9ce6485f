"""The usual optimizers by their names, with the default rates."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(39)
x, y = rng.uniform(size=(24, 6, 6, 1)).astype("float32"), rng.integers(0, 3, size=24)
RESULT = {}
for optimizer in ["sgd", "SGD", "rmsprop", "adagrad", "adadelta", "adam", "adamw"]:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="tanh"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    weights = model.get_weights()
    model.set_weights([0.5 * np.sin(np.arange(w.size) + 1).reshape(w.shape) for w in weights])
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    RESULT[optimizer] = {"loss": history.history["loss"], "rate": float(model.optimizer.learning_rate)}
