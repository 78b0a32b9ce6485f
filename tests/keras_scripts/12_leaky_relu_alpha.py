"""LeakyReLU(alpha=…), the name of Keras 2, as a layer after convolutions."""

import numpy as np

from cconv.layers import Conv2D, Dense, Flatten, LeakyReLU
from cconv.models import Sequential

rng = np.random.default_rng(11)
x = rng.normal(size=(30, 8, 8, 1)).astype("float32")
y = (x.mean(axis=(1, 2, 3)) > 0).astype("float32")

model = Sequential(
    [
        Conv2D(4, 3, strides=2, padding="same", input_shape=(8, 8, 1)),
        LeakyReLU(alpha=0.2),
        Conv2D(8, 3, strides=2, padding="same"),
        LeakyReLU(negative_slope=0.1),
        Flatten(),
        Dense(1, activation="sigmoid"),
    ]
)
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile(loss="binary_crossentropy", optimizer="sgd", metrics=["accuracy"])
history = model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)

RESULT = {
    "history": history.history,
    "slopes": [model.layers[1].negative_slope, model.layers[3].negative_slope],
    "prediction": model.predict(x[:3], verbose=0),
}
