"""MaxPool2D and AvgPool2D, the short names, with pool sizes, strides and padding."""

import numpy as np

import cconv as keras
from cconv import layers

x = np.random.default_rng(6).normal(size=(2, 9, 7, 3)).astype("float32")
RESULT = {}
for name, layer in {
    "max": layers.MaxPool2D(),
    "max same": layers.MaxPool2D(pool_size=3, strides=2, padding="same"),
    "max pair": layers.MaxPooling2D((2, 3), strides=(1, 2)),
    "avg": layers.AvgPool2D(pool_size=(2, 2)),
    "avg same": layers.AveragePooling2D(3, strides=2, padding="same"),
    "global": layers.GlobalAvgPool2D(),
    "global kept": layers.GlobalAveragePooling2D(keepdims=True),
}.items():
    model = keras.Sequential([keras.Input(shape=(9, 7, 3)), layer])
    out = model.predict(x, verbose=0)
    RESULT[name] = {"shape": out.shape, "first": out.reshape(2, -1)[:, :6]}
