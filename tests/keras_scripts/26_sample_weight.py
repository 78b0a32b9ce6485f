"""sample_weight in fit and evaluate."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(28)
x, y = rng.uniform(size=(36, 6, 6, 1)).astype("float32"), rng.integers(0, 4, size=36)
weights = np.ones(36)
weights[y == 2] = 2.5

model = keras.Sequential(
    [
        keras.Input((6, 6, 1)),
        layers.Conv2D(3, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(4, activation="softmax"),
    ]
)
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, sample_weight=weights, batch_size=10, epochs=2, shuffle=False, verbose=0)
weighted = model.evaluate(x, y, sample_weight=weights, batch_size=10, verbose=0)

RESULT = {"history": history.history, "weighted": weighted, "plain": model.evaluate(x, y, verbose=0)}
