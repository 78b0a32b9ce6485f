"""Later: two heads with a loss each, loss_weights, metrics by the name of the output."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(103)
x = rng.normal(size=(20, 6)).astype("float32")
classes, number = rng.integers(0, 3, size=20), rng.normal(size=(20, 1))

inputs = keras.Input(shape=(6,))
shared = layers.Dense(8, activation="tanh")(inputs)
outputs = {
    "kind": layers.Dense(3, activation="softmax", name="kind")(shared),
    "size": layers.Dense(1, name="size")(shared),
}
model = keras.Model(inputs, outputs)
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(
    optimizer="sgd",
    loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
    loss_weights={"kind": 1.0, "size": 0.5},
    metrics={"kind": ["accuracy"]},
)
targets = {"kind": classes, "size": number}
history = model.fit(x, targets, batch_size=10, epochs=2, shuffle=False, verbose=0)

RESULT = {"history": history.history}
