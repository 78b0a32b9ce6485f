"""Fine-tuning: the head first, then everything with a low rate; BatchNormalization is frozen at first."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(23)
x, y = rng.normal(2.0, 3.0, size=(24, 8, 8, 2)).astype("float32"), rng.integers(0, 2, size=(24, 1))

model = keras.Sequential(
    [
        keras.Input(shape=(8, 8, 2)),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(1),
    ]
)
model.layers[0].set_weights([rng.normal(0, 0.2, (3, 3, 2, 4))])
model.layers[1].set_weights([rng.uniform(0.5, 1.5, 4) for _ in range(4)])
model.layers[-1].set_weights([rng.normal(0, 0.05, (144, 1)), np.zeros(1)])

for layer in model.layers[:3]:
    layer.trainable = False
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(1e-2), loss=loss)
head = model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history
moving = model.layers[1].get_weights()[2]

for layer in model.layers:
    layer.trainable = True
model.compile(keras.optimizers.SGD(1e-3), loss=loss)
whole = model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history

RESULT = {"head": head, "moving": moving, "whole": whole, "weights": model.layers[1].get_weights()}
