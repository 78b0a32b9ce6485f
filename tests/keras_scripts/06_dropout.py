"""Dropout does nothing when a model predicts or is evaluated; training with it ends in a finite loss."""

import numpy as np

import cconv as keras
from cconv.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

rng = np.random.default_rng(5)
x = rng.uniform(size=(24, 8, 8, 1))
y = np.eye(3)[rng.integers(0, 3, size=24)]

model = keras.Sequential()
model.add(Conv2D(4, (3, 3), activation="relu", input_shape=(8, 8, 1)))
model.add(MaxPooling2D((2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(8, activation="relu"))
model.add(Dropout(0.5, seed=7))
model.add(Dense(3, activation="softmax"))
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
before = model.predict(x[:3], verbose=0)
loss, accuracy = model.evaluate(x, y, batch_size=5, verbose=0)
history = model.fit(x, y, epochs=2, batch_size=8, verbose=0)

RESULT = {
    "prediction": before,
    "loss": loss,
    "accuracy": accuracy,
    "finite": bool(np.isfinite(history.history["loss"]).all()),
    "rate": model.layers[2].rate,
}
