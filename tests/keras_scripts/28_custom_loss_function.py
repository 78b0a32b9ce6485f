"""A loss that is a function: in Keras it returns the values, in cconv the values and their gradient."""

import numpy as np

import cconv as keras
from cconv import layers

if keras.__name__ == "cconv":

    def custom_mean_squared_error(y_true, y_pred):
        difference = y_pred - y_true
        return np.mean(difference**2, axis=-1), 2 * difference / y_pred.shape[-1]

else:

    def custom_mean_squared_error(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


rng = np.random.default_rng(30)
x, y = rng.normal(size=(20, 4)).astype("float32"), rng.normal(size=(20, 3)).astype("float32")
model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(3)])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer=keras.optimizers.SGD(0.1), loss=custom_mean_squared_error)
history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
weighted = model.evaluate(x, y, sample_weight=np.linspace(0, 1, 20), verbose=0)

RESULT = {"history": history.history, "weighted": weighted}
