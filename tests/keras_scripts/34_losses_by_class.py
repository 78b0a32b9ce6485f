"""Losses as objects with arguments, also with logits: two steps of training each."""

import numpy as np

import cconv as keras
from cconv import layers
from cconv import losses as kl

rng = np.random.default_rng(36)
x = rng.normal(size=(12, 5)).astype("float32")
numbers = rng.uniform(0.1, 1, size=(12, 3)).astype("float32")
classes = rng.integers(0, 3, size=12)
one_hot = np.eye(3, dtype="float32")[classes]

RESULT = {}
for name, loss, y, activation in [
    ("mse", kl.MeanSquaredError(), numbers, None),
    ("mse sum", kl.MeanSquaredError(reduction="sum"), numbers, None),
    ("mae", kl.MeanAbsoluteError(), numbers, None),
    ("mape", kl.MeanAbsolutePercentageError(), numbers, None),
    ("msle", kl.MeanSquaredLogarithmicError(), numbers, "sigmoid"),
    ("huber", kl.Huber(delta=0.5), numbers, None),
    ("log_cosh", kl.LogCosh(), numbers, None),
    ("cosine", kl.CosineSimilarity(axis=-1), numbers, None),
    ("poisson", kl.Poisson(), numbers, "sigmoid"),
    ("kld", kl.KLDivergence(), numbers, "softmax"),
    ("bce", kl.BinaryCrossentropy(from_logits=True), one_hot, None),
    ("cce", kl.CategoricalCrossentropy(from_logits=True), one_hot, None),
    ("scce", kl.SparseCategoricalCrossentropy(from_logits=True), classes, None),
    ("focal", kl.BinaryFocalCrossentropy(gamma=1.5), one_hot, "sigmoid"),
    ("hinge", kl.Hinge(), 2 * one_hot - 1, "tanh"),
    ("squared", kl.SquaredHinge(), 2 * one_hot - 1, "tanh"),
]:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, activation=activation)])
    model.set_weights([np.linspace(-0.5, 0.5, 15).reshape(5, 3), np.zeros(3)])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss=loss)
    RESULT[name] = [float(model.train_on_batch(x, y)) for _ in range(2)]
