"""Later: a Model over the layers of a Sequential, which gives the output of each of them."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(104)
x = rng.uniform(size=(2, 8, 8, 1)).astype("float32")
base = keras.Sequential(
    [
        keras.Input(shape=(8, 8, 1)),
        layers.Conv2D(2, 3, activation="relu", name="first"),
        layers.Conv2D(3, 3, activation="relu", name="second"),
        layers.Flatten(),
    ]
)
base.set_weights([rng.normal(0, 0.4, w.shape) for w in base.get_weights()])
extractor = keras.Model(inputs=base.inputs, outputs=[layer.output for layer in base.layers])
features = extractor.predict(x, verbose=0)
one = keras.Model(inputs=base.inputs, outputs=base.get_layer("second").output)

RESULT = {"shapes": [f.shape for f in features], "second": one.predict(x, verbose=0)[0, 0]}
