"""A multilayer perceptron of MNIST's digits: Flatten, two Dense layers, Adam."""

import numpy as np

import cconv as keras
from cconv import layers

with np.load("mnist.npz") as data:
    x_train, y_train = data["x_train"] / 255.0, data["y_train"]
    x_test, y_test = data["x_test"] / 255.0, data["y_test"]

model = keras.Sequential(
    [
        keras.Input(shape=(28, 28)),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
rng = np.random.default_rng(0)
model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=32, epochs=3, shuffle=False, verbose=0)
test_loss, test_acc = model.evaluate(x_test, y_test, verbose=0)

RESULT = {"history": history.history, "test_loss": test_loss, "test_acc": test_acc}
