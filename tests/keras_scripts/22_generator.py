"""A Python generator without an end: steps_per_epoch and validation_steps."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(24)
x, y = rng.uniform(size=(48, 6, 6, 1)).astype("float32"), rng.integers(0, 3, size=48)


def batches(x, y, batch_size):
    while True:
        for start in range(0, len(x), batch_size):
            yield x[start : start + batch_size], y[start : start + batch_size]


model = keras.Sequential(
    [keras.Input(shape=(6, 6, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")]
)
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    batches(x[:32], y[:32], 8),
    steps_per_epoch=4,
    epochs=3,
    validation_data=batches(x[32:], y[32:], 8),
    validation_steps=2,
    verbose=0,
)
score = model.evaluate(batches(x, y, 12), steps=4, verbose=0)
prediction = model.predict(((x[i : i + 4],) for i in range(0, 12, 4)), verbose=0)

RESULT = {"history": history.history, "score": score, "prediction": prediction}
