"""Transfer learning: a trained base, frozen, under a new head, in a Sequential in a Sequential."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(21)
x = rng.uniform(size=(24, 10, 10, 1)).astype("float32")
y = rng.integers(0, 3, size=24)

base = keras.Sequential(
    [
        keras.Input(shape=(10, 10, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Conv2D(6, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
    ],
    name="base",
)
base.set_weights([rng.normal(0, 0.4, w.shape) for w in base.get_weights()])
base.trainable = False
frozen = [w.copy() for w in base.get_weights()]

model = keras.Sequential([base, layers.Dense(3, activation="softmax")])
model.build((None, 10, 10, 1))
model.layers[-1].set_weights([rng.normal(0, 0.4, (6, 3)), np.zeros(3)])
model.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)

RESULT = {
    "history": history.history,
    "frozen": all((a == b).all() for a, b in zip(frozen, base.get_weights(), strict=True)),
    "params": model.count_params(),
    "layers": len(model.layers),
}
