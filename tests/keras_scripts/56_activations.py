"""Activations by name in layers, as layers, and as functions of cconv.activations."""

import numpy as np

import cconv as keras
from cconv import activations, layers

x = np.linspace(-4, 8, 12).reshape(2, 6).astype("float32")
RESULT = {}
for name in ["linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax", None]:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6, activation=name)])
    model.set_weights([np.eye(6), np.zeros(6)])
    RESULT[str(name)] = model.predict(x, verbose=0)
for name, layer in {
    "ReLU": layers.ReLU(max_value=3.0, negative_slope=0.1),
    "LeakyReLU": layers.LeakyReLU(),
    "Softmax": layers.Softmax(),
    "Activation": layers.Activation("tanh"),
    "function": layers.Dense(6, activation=activations.relu, kernel_initializer="ones"),
}.items():
    RESULT[name] = keras.Sequential([keras.Input((6,)), layer]).predict(x, verbose=0)
