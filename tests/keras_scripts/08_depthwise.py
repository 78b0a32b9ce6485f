"""A block of MobileNet: depthwise and pointwise convolutions, ReLU of at most 6."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(7)
x = rng.normal(size=(20, 8, 8, 3)).astype("float32")
y = rng.normal(size=(20, 2)).astype("float32")

model = keras.Sequential(
    [
        layers.Input(shape=(8, 8, 3)),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False),
        layers.ReLU(max_value=6.0),
        layers.Conv2D(5, 1),
        layers.DepthwiseConv2D((3, 3), strides=(2, 2), activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    ]
)
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
history = model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)

RESULT = {
    "history": history.history,
    "shapes": [list(w.shape) for w in model.get_weights()],
    "prediction": model.predict(x[:2], verbose=0),
}
