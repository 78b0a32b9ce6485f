"""Later: the functional interface, a chain of layers called one on the other, and Model."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(100)
x, y = rng.uniform(size=(32, 12)).astype("float32"), rng.integers(0, 3, size=32)

inputs = keras.Input(shape=(12,))
hidden = layers.Dense(8, activation="relu")(inputs)
hidden = layers.Dense(6, activation="relu")(hidden)
outputs = layers.Dense(3, activation="softmax")(hidden)
model = keras.Model(inputs=inputs, outputs=outputs, name="mlp")
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)

RESULT = {"history": history.history, "name": model.name, "params": model.count_params()}
