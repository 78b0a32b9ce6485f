"""Names: of layers without one, of metrics, of the figures of a history in their order."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(54)
x, y = rng.normal(size=(16, 8, 8, 1)), rng.integers(0, 2, 16)
model = keras.Sequential()
model.add(keras.Input(shape=(8, 8, 1)))
model.add(layers.Conv2D(2, 3))
model.add(layers.ReLU())
model.add(layers.Conv2D(2, 3))
model.add(layers.BatchNormalization())
model.add(layers.LeakyReLU())
model.add(layers.MaxPool2D())
model.add(layers.AveragePooling2D(1))
model.add(layers.GlobalAveragePooling2D())
model.add(layers.Dense(2, name="output"))
model.add(layers.Activation("softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, validation_split=0.25, verbose=0)

RESULT = {
    "layers": [layer.name for layer in model.layers],
    "loss": model.metrics_names[0],
    "figures": sorted(history.history),
    "epochs": history.epoch,
    "params": {key: history.params[key] for key in ("epochs", "steps", "verbose")},
    "shapes": [model.input_shape, model.output_shape],
    "found": [model.get_layer("output").units, model.get_layer(index=0).filters],
    "built": model.built,
}
