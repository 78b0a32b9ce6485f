"""Metrics by their names: what evaluate gives for classes, for two classes and for numbers."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(37)
x = rng.normal(size=(40, 6)).astype("float32")
classes = rng.integers(0, 8, size=40)
RESULT = {}
for name, units, activation, loss, y, metrics in [
    ("sparse", 8, "softmax", "sparse_categorical_crossentropy", classes, "accuracy acc"),
    ("sparse long", 8, "softmax", "sparse_categorical_crossentropy", classes, "sparse_categorical_accuracy"),
    ("top", 8, "softmax", "sparse_categorical_crossentropy", classes, "sparse_top_k_categorical_accuracy"),
    (
        "one-hot",
        8,
        "softmax",
        "categorical_crossentropy",
        np.eye(8)[classes],
        "accuracy categorical_accuracy",
    ),
    (
        "one-hot top",
        8,
        "softmax",
        "categorical_crossentropy",
        np.eye(8)[classes],
        "top_k_categorical_accuracy",
    ),
    ("two", 1, "sigmoid", "binary_crossentropy", classes[:, None] % 2, "accuracy binary_accuracy"),
    ("two more", 1, "sigmoid", "binary_crossentropy", classes[:, None] % 2, "AUC Precision Recall"),
    ("numbers", 2, None, "mse", rng.uniform(0.5, 2, (40, 2)), "mae mse mape msle cosine_similarity"),
    ("root", 2, None, "mae", rng.normal(size=(40, 2)), "RootMeanSquaredError mean_squared_error"),
]:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(units, activation=activation)])
    model.set_weights([np.sin(np.arange(6 * units)).reshape(6, units), np.zeros(units)])
    model.compile(optimizer="sgd", loss=loss, metrics=metrics.split())
    found = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    RESULT[name] = {key.split("_1")[0]: value for key, value in found.items()}
