"""Metrics as objects: of two classes with thresholds, of several classes, of numbers."""

import numpy as np

import cconv as keras
from cconv import layers
from cconv import metrics as km

rng = np.random.default_rng(38)
x = rng.normal(size=(50, 6)).astype("float32")
classes = rng.integers(0, 4, size=50)
two = [
    km.BinaryAccuracy(name="accuracy", threshold=0.4),
    km.Precision(name="precision"),
    km.Recall(name="recall", thresholds=0.3),
    km.AUC(name="auc"),
    km.AUC(name="pr", curve="PR"),
    km.TruePositives(name="tp"),
    km.FalsePositives(name="fp"),
    km.TrueNegatives(name="tn"),
    km.FalseNegatives(name="fn"),
]
several = [
    km.CategoricalAccuracy(name="accuracy"),
    km.TopKCategoricalAccuracy(k=2, name="top2"),
    km.F1Score(average="macro", name="f1"),
    km.CategoricalCrossentropy(name="crossentropy"),
]
numbers = [km.MeanAbsoluteError(), km.RootMeanSquaredError(name="rmse")]
RESULT = {}
for name, units, activation, loss, y, metrics in [
    ("two", 1, "sigmoid", "binary_crossentropy", classes[:, None] % 2, two),
    ("several", 4, "softmax", "categorical_crossentropy", np.eye(4)[classes], several),
    ("numbers", 2, None, "mse", rng.normal(size=(50, 2)), numbers),
]:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(units, activation=activation)])
    model.set_weights([np.sin(np.arange(6 * units)).reshape(6, units), np.zeros(units)])
    model.compile(optimizer="sgd", loss=loss, metrics=metrics)
    history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    RESULT[name] = {"history": history.history, "score": model.evaluate(x, y, return_dict=True, verbose=0)}
