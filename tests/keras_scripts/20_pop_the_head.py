"""Take the head off a trained model by pop(), freeze what stays, add a new head for other classes."""

import numpy as np

import cconv as keras
from cconv.layers import Conv2D, Dense, Flatten, MaxPooling2D

rng = np.random.default_rng(22)
x = rng.uniform(size=(30, 8, 8, 1)).astype("float32")
old, new = rng.integers(0, 5, size=30), rng.integers(0, 2, size=30)

model = keras.Sequential()
model.add(keras.Input(shape=(8, 8, 1)))
model.add(Conv2D(4, 3, activation="relu"))
model.add(MaxPooling2D())
model.add(Flatten())
model.add(Dense(5, activation="softmax"))
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy")
first = model.fit(x, old, batch_size=10, epochs=2, shuffle=False, verbose=0)

model.pop()
for layer in model.layers:
    layer.trainable = False
model.add(Dense(2, activation="softmax"))
model.layers[-1].set_weights([rng.normal(0, 0.3, (36, 2)), np.zeros(2)])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
second = model.fit(x, new, batch_size=10, epochs=2, shuffle=False, verbose=0)

RESULT = {
    "first": first.history,
    "second": second.history,
    "trainable": [layer.trainable for layer in model.layers],
    "kernel": model.layers[0].get_weights()[0][:, :, 0, 0],
}
