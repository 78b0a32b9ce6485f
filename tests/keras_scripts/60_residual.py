"""Later: a small residual network, layers.add of a block and its input."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(101)
x, y = rng.normal(size=(16, 10, 10, 3)).astype("float32"), rng.integers(0, 4, size=16)

inputs = keras.Input(shape=(10, 10, 3))
first = layers.Conv2D(6, 3, activation="relu")(inputs)
block = layers.Conv2D(6, 3, padding="same", activation="relu")(first)
block = layers.Conv2D(6, 3, padding="same", activation="relu")(block)
block = layers.add([block, first])
pooled = layers.GlobalAveragePooling2D()(layers.ReLU()(block))
model = keras.Model(inputs, layers.Dense(4, activation="softmax")(pooled))
model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)

RESULT = {"history": history.history, "prediction": model.predict(x[:2], verbose=0)}
