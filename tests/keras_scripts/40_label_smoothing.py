"""label_smoothing of the two cross-entropies, of probabilities and of logits."""

import numpy as np

import cconv as keras
from cconv import layers
from cconv.losses import BinaryCrossentropy, CategoricalCrossentropy

rng = np.random.default_rng(42)
x = rng.normal(size=(20, 5)).astype("float32")
y = np.eye(4)[rng.integers(0, 4, size=20)]
RESULT = {}
for name, loss, activation in [
    ("categorical", CategoricalCrossentropy(label_smoothing=0.1), "softmax"),
    ("categorical logits", CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), None),
    ("binary", BinaryCrossentropy(label_smoothing=0.2), "sigmoid"),
    ("binary logits", BinaryCrossentropy(from_logits=True, label_smoothing=0.2), None),
]:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation=activation)])
    model.set_weights([np.sin(np.arange(20)).reshape(5, 4), np.zeros(4)])
    model.compile(optimizer=keras.optimizers.SGD(0.2), loss=loss, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    RESULT[name] = {"history": history.history, "weights": model.get_weights()[0]}
