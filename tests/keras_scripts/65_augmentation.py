"""Layers of augmentation in a Sequential of their own, in front of a network: they act in training alone."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(20)
x = rng.integers(0, 256, size=(20, 12, 12, 3)).astype("float32")
y = rng.integers(0, 2, size=20)

data_augmentation = keras.Sequential(
    [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomTranslation(0.1, 0.1),
    ]
)
model = keras.Sequential(
    [
        keras.Input(shape=(12, 12, 3)),
        data_augmentation,
        layers.Rescaling(1.0 / 255),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(2, activation="softmax"),
    ]
)
model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
before = model.predict(x[:3], verbose=0), model.evaluate(x, y, verbose=0)
history = model.fit(x, y, epochs=2, batch_size=10, verbose=0)

RESULT = {
    "prediction": before[0],
    "score": before[1],
    "finite": np.isfinite(history.history["loss"]).all(),
    "shape": model.output_shape,
}
