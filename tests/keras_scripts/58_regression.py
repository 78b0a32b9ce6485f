"""Numbers predicted from images: mse, mae and rmse, targets of one dimension, a progress of two."""

import numpy as np

import cconv as keras
from cconv.layers import Conv2D, Dense, Flatten, MaxPooling2D

rng = np.random.default_rng(63)
x = rng.uniform(size=(40, 10, 10, 1)).astype("float32")
y = x.sum(axis=(1, 2, 3)) / 50

model = keras.Sequential(
    [
        keras.Input(shape=(10, 10, 1)),
        Conv2D(4, 3, activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dense(8, activation="relu"),
        Dense(1),
    ]
)
model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
model.compile(
    optimizer="rmsprop", loss="mse", metrics=["mae", keras.metrics.RootMeanSquaredError(name="rmse")]
)
history = model.fit(x, y, epochs=3, batch_size=16, validation_split=0.2, shuffle=False, verbose=2)
mse, mae, rmse = model.evaluate(x, y, verbose=0)

RESULT = {
    "history": history.history,
    "mse": mse,
    "mae": mae,
    "rmse": rmse,
    "first": model.predict(x[:3], verbose=0),
}
