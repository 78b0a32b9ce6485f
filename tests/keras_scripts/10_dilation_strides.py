"""Convolutions with strides, dilation, groups and each padding; output shapes and values."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(9)
x = rng.normal(size=(2, 12, 11, 4)).astype("float32")
RESULT = {}
for name, options in {
    "strides": {"strides": 2},
    "strides same": {"strides": (2, 3), "padding": "same"},
    "dilation": {"dilation_rate": 2},
    "dilation same": {"dilation_rate": (2, 3), "padding": "same"},
    "groups": {"groups": 2, "padding": "SAME"},
    "no bias": {"use_bias": False, "activation": "relu"},
}.items():
    model = keras.Sequential([keras.Input((12, 11, 4)), layers.Conv2D(6, (3, 3), **options)])
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    out = model.predict(x, verbose=0)
    RESULT[name] = {
        "shape": list(model.output_shape),
        "first": out[0, 0, 0],
        "last": out[-1, -1, -1],
        "params": model.count_params(),
    }
