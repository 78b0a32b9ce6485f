"""Convolution without a bias, BatchNormalization, ReLU; the moving means after training."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(4)
x = rng.normal(1.0, 2.0, size=(48, 10, 10, 2)).astype("float32")
y = rng.integers(0, 2, size=(48, 1))

model = keras.Sequential(
    [
        keras.Input((10, 10, 2)),
        layers.Conv2D(4, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn"),
        layers.Activation("relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(1, activation="sigmoid", name="head"),
    ]
)
model.get_layer("conv").set_weights([rng.normal(0, 0.2, (3, 3, 2, 4))])
model.get_layer("head").set_weights([rng.normal(0, 0.5, (4, 1)), np.zeros(1)])
model.compile(optimizer=keras.optimizers.SGD(0.1), loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
gamma, beta, mean, variance = model.get_layer("bn").get_weights()

RESULT = {
    "history": history.history,
    "gamma": gamma,
    "mean": mean,
    "variance": variance,
    "prediction": model.predict(x[:4], verbose=0),
}
