"""save_weights and load_weights into a model that was built anew; get_weights and set_weights of layers."""

import numpy as np

import cconv as keras
from cconv import layers


def create_model():
    model = keras.Sequential()
    model.add(keras.Input((6,)))
    model.add(layers.Dense(5, activation="relu", name="hidden"))
    model.add(layers.BatchNormalization(name="norm"))
    model.add(layers.Dense(2, name="out"))
    return model


rng = np.random.default_rng(49)
x = rng.normal(size=(5, 6)).astype("float32")
model = create_model()
model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
model.save_weights("checkpoint.weights.h5")
other = create_model()
other.load_weights("checkpoint.weights.h5")
kernel, bias = other.get_layer("out").get_weights()
other.get_layer("out").set_weights([2 * kernel, bias + 1])

RESULT = {
    "shapes": [w.shape for w in model.get_weights()],
    "prediction": model.predict(x, verbose=0),
    "changed": other.predict(x, verbose=0),
}
