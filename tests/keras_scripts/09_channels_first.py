"""Images with the channels first, as PyTorch users have them."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(8)
x = rng.normal(size=(12, 3, 10, 8)).astype("float32")
y = rng.integers(0, 3, 12)

model = keras.Sequential(
    [
        keras.Input(shape=(3, 10, 8)),
        layers.Conv2D(4, 3, padding="same", activation="relu", data_format="channels_first"),
        layers.AveragePooling2D(2, data_format="channels_first"),
        layers.Conv2D(5, (3, 2), data_format="channels_first"),
        layers.Flatten(data_format="channels_first"),
        layers.Dense(3, activation="softmax"),
    ]
)
model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy")
history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)

RESULT = {
    "shape": model.layers[2].get_weights()[0].shape,
    "history": history.history,
    "prediction": model.predict(x[:2], verbose=0),
}
