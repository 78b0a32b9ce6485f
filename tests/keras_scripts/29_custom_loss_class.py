"""A loss that is a class with an argument of its own: call in Keras, the loss and its gradient in cconv."""

import numpy as np

import cconv as keras
from cconv import layers

if keras.__name__ == "cconv":

    class Pinball(keras.losses.Loss):
        def __init__(self, quantile=0.9, name="pinball"):
            super().__init__(name=name)
            self.quantile = quantile

        def __call__(self, y_true, y_pred, sample_weight=None, run=None, from_logits=False):
            error = y_true - y_pred
            slope = np.where(error > 0, self.quantile, self.quantile - 1)
            return float(np.mean(slope * error)), (-slope / error.size).astype(y_pred.dtype)

else:

    class Pinball(keras.losses.Loss):
        def __init__(self, quantile=0.9, name="pinball"):
            super().__init__(name=name)
            self.quantile = quantile

        def call(self, y_true, y_pred):
            error = y_true - y_pred
            slope = keras.ops.where(error > 0, self.quantile, self.quantile - 1)
            return keras.ops.mean(slope * error, axis=-1)


rng = np.random.default_rng(31)
x, y = rng.normal(size=(24, 3)).astype("float32"), rng.normal(size=(24, 1)).astype("float32")
model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer=keras.optimizers.SGD(0.1), loss=Pinball(0.8))
history = model.fit(x, y, batch_size=6, epochs=4, shuffle=False, verbose=0)

RESULT = {"history": history.history, "weights": model.get_weights()}
