"""Every loss by its name: two steps of training each."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(35)
x = rng.normal(size=(12, 5)).astype("float32")
numbers = rng.uniform(0.1, 1, size=(12, 3)).astype("float32")
classes = rng.integers(0, 3, size=12)
one_hot = np.eye(3, dtype="float32")[classes]
weights = [rng.normal(0, 0.5, (5, 3)), np.zeros(3)]

NAMES = {
    "mse mae mape msle mean_squared_error mean_absolute_error": numbers,
    "huber log_cosh poisson cosine_similarity kl_divergence kld": numbers,
    "binary_crossentropy bce categorical_crossentropy binary_focal_crossentropy": one_hot,
    "categorical_focal_crossentropy hinge squared_hinge categorical_hinge": one_hot,
    "sparse_categorical_crossentropy": classes,
}
RESULT = {}
for names, y in NAMES.items():
    for loss in names.split():
        model = keras.Sequential([keras.Input((5,)), layers.Dense(3, activation="softmax")])
        model.set_weights(weights)
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
        RESULT[loss] = [float(model.train_on_batch(x, y)) for _ in range(2)]
