"""Rescaling, ZeroPadding2D, Reshape and Flatten: layers without weights."""

import numpy as np

import cconv as keras
from cconv import layers

x = np.random.default_rng(60).integers(0, 256, size=(2, 6, 5, 2)).astype("uint8")
RESULT = {}
for name, stack in {
    "rescaling": [layers.Rescaling(scale=1.0 / 127.5, offset=-1)],
    "padding": [layers.ZeroPadding2D()],
    "padding pair": [layers.ZeroPadding2D(padding=(1, 2))],
    "padding sides": [layers.ZeroPadding2D(((1, 0), (0, 3)))],
    "reshape": [layers.Reshape((10, 6))],
    "reshape rest": [layers.Reshape((3, -1)), layers.Flatten()],
    "back": [layers.Flatten(), layers.Reshape(target_shape=(6, 5, 2)), layers.MaxPool2D(2)],
}.items():
    model = keras.Sequential([keras.Input((6, 5, 2)), *stack])
    out = model.predict(x, verbose=0)
    RESULT[name] = {"shape": out.shape, "dtype": str(out.dtype), "start": out.ravel()[:12], "sum": out.sum()}
