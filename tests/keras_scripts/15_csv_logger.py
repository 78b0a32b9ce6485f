"""CSVLogger: the columns of the file, and a second run appended to it."""

import csv

import numpy as np

import cconv as keras
from cconv import layers
from cconv.callbacks import CSVLogger

rng = np.random.default_rng(15)
x, y = rng.normal(size=(20, 4, 4, 1)), rng.integers(0, 2, size=(20, 1))

model = keras.Sequential([layers.Flatten(input_shape=(4, 4, 1)), layers.Dense(1, activation="sigmoid")])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=5, epochs=2, callbacks=[CSVLogger("training.log")], shuffle=False, verbose=0)
model.fit(
    x,
    y,
    batch_size=5,
    epochs=2,
    callbacks=[CSVLogger("training.log", append=True)],
    shuffle=False,
    verbose=0,
)
with open("training.log", newline="") as file:
    rows = list(csv.DictReader(file))

RESULT = {
    "columns": list(rows[0]),
    "epochs": [row["epoch"] for row in rows],
    "loss": [float(row["loss"]) for row in rows],
    "accuracy": [float(row["accuracy"]) for row in rows],
}
