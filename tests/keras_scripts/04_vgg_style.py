"""A small network in the style of VGG: blocks of two "same" convolutions and a pooling, made in a loop."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(3)
x = rng.uniform(size=(32, 16, 16, 3)).astype("float32")
y = rng.integers(0, 4, size=32)

model = keras.models.Sequential(name="small_vgg")
model.add(layers.InputLayer(shape=(16, 16, 3)))
for block, filters in enumerate([8, 16], start=1):
    model.add(layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv1"))
    model.add(layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv2"))
    model.add(layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool"))
model.add(layers.Flatten(name="flatten"))
model.add(layers.Dense(32, activation="relu", name="fc1"))
model.add(layers.Dense(4, activation="softmax", name="predictions"))
model.set_weights([rng.normal(0, 0.15, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)

RESULT = {
    "names": [layer.name for layer in model.layers],
    "model": model.name,
    "shape": list(model.output_shape),
    "history": history.history,
}
