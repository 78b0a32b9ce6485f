"""class_weight for classes of unequal size, with numbered and with one-hot labels."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(27)
x = rng.normal(size=(40, 5)).astype("float32")
y = (rng.uniform(size=40) < 0.2).astype("int64")
class_weight = {0: 1.0, 1: 4.0}
RESULT = {}
for loss, targets in {
    "sparse_categorical_crossentropy": y,
    "categorical_crossentropy": keras.utils.to_categorical(y),
}.items():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(2, activation="softmax")])
    model.set_weights([np.linspace(-1, 1, 10).reshape(5, 2), np.zeros(2)])
    model.compile("sgd", loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    history = model.fit(
        x, targets, batch_size=16, epochs=2, class_weight=class_weight, shuffle=False, verbose=0
    )
    RESULT[loss] = history.history
