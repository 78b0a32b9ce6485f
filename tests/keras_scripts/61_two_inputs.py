"""Later: a picture and some numbers together, by Concatenate; inputs as a list and by name."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(102)
images, numbers = rng.uniform(size=(20, 8, 8, 1)), rng.normal(size=(20, 4))
y = rng.integers(0, 2, size=(20, 1))

image_input = keras.Input(shape=(8, 8, 1), name="image")
number_input = keras.Input(shape=(4,), name="numbers")
features = layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(image_input))
both = layers.Concatenate()([features, number_input])
model = keras.Model([image_input, number_input], layers.Dense(1, activation="sigmoid")(both))
model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
model.compile("sgd", "binary_crossentropy")
by_list = model.fit([images, numbers], y, batch_size=5, epochs=2, shuffle=False, verbose=0)
by_name = model.evaluate({"image": images, "numbers": numbers}, y, verbose=0)

RESULT = {"history": by_list.history, "by name": by_name}
