"""ModelCheckpoint: the best weights only, and a file an epoch named after its figures."""

import os

import numpy as np

from cconv.callbacks import ModelCheckpoint
from cconv.layers import Dense
from cconv.models import Sequential, load_model

rng = np.random.default_rng(13)
x, y = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)

model = Sequential([Dense(10, activation="relu", input_shape=(6,)), Dense(3, activation="softmax")])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [
    ModelCheckpoint("best.keras", monitor="val_accuracy", mode="max", save_best_only=True),
    ModelCheckpoint("epoch-{epoch:02d}-{val_loss:.2f}.weights.h5", save_weights_only=True),
]
history = model.fit(
    x, y, batch_size=8, epochs=4, validation_split=0.25, callbacks=callbacks, shuffle=False, verbose=0
)
best = load_model("best.keras")
last = sorted(name for name in os.listdir() if name.startswith("epoch"))[-1]
other = Sequential([Dense(10, activation="relu", input_shape=(6,)), Dense(3, activation="softmax")])
other.load_weights(last)

RESULT = {
    "history": history.history,
    "files": sorted(name for name in os.listdir() if name.startswith("epoch")),
    "best": best.evaluate(x[30:], y[30:], verbose=0),
    "last": other.predict(x[:2], verbose=0),
}
