"""Regularizers, whose penalties are part of the loss, and initializers by name and as objects."""

import numpy as np

import cconv as keras
from cconv import initializers, layers, regularizers

rng = np.random.default_rng(59)
x, y = rng.normal(size=(20, 6, 6, 1)).astype("float32"), rng.normal(size=(20, 1)).astype("float32")
model = keras.Sequential(
    [
        keras.Input((6, 6, 1)),
        layers.Conv2D(2, 3, kernel_initializer=initializers.Constant(0.1), kernel_regularizer="l1"),
        layers.Flatten(),
        layers.Dense(
            3,
            kernel_initializer="ones",
            bias_initializer=initializers.Constant(-0.2),
            kernel_regularizer=regularizers.L1L2(l1=1e-3, l2=1e-2),
            bias_regularizer=regularizers.l2(0.01),
        ),
        layers.Dense(1, kernel_initializer="zeros", kernel_regularizer=regularizers.L2(0.05)),
    ]
)
model.compile(optimizer="sgd", loss="mse", metrics=["mse"])
before = model.evaluate(x, y, verbose=0)
history = model.fit(x, y, batch_size=5, epochs=3, shuffle=False, verbose=0)
names = ["glorot_uniform", "he_normal", "lecun_uniform", "random_normal", "truncated_normal"]
drawn = [layers.Dense(64, kernel_initializer=name) for name in names]
for layer in drawn:
    layer.build((None, 64))

RESULT = {
    "before": before,
    "history": history.history,
    "kernel": model.get_weights()[0][:, :, 0, 0],
    "spread": [bool(0.01 < np.std(layer.get_weights()[0]) < 0.3) for layer in drawn],
}
