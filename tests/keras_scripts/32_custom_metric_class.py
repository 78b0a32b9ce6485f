"""A metric that is a class: update_state, result and reset_state over the batches of an epoch."""

import numpy as np

import cconv as keras
from cconv import layers

ops = np if keras.__name__ == "cconv" else keras.ops


class Sensitivity(keras.metrics.Metric):
    def __init__(self, name="sensitivity", **kwargs):
        super().__init__(name=name, **kwargs)
        self.hits = self.add_weight(name="hits", initializer="zeros", shape=())
        self.cases = self.add_weight(name="cases", initializer="zeros", shape=())

    def update_state(self, y_true, y_pred, sample_weight=None):
        positive, found = ops.reshape(y_true, (-1,)) > 0.5, ops.reshape(y_pred, (-1,)) > 0.5
        self.hits.assign(self.hits + ops.sum(positive & found))
        self.cases.assign(self.cases + ops.sum(positive))

    def result(self):
        return self.hits / self.cases

    def reset_state(self):
        self.hits.assign(0.0)
        self.cases.assign(0.0)


rng = np.random.default_rng(34)
x, y = rng.normal(size=(30, 4)).astype("float32"), rng.integers(0, 2, size=(30, 1))
model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid")])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=[Sensitivity()])
history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)

RESULT = {"history": history.history, "score": model.evaluate(x, y, batch_size=7, verbose=0)}
