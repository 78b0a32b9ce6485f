"""LambdaCallback: functions at the beginning and end of epochs, batches and the training."""

import numpy as np

import cconv as keras
from cconv import layers
from cconv.callbacks import LambdaCallback

rng = np.random.default_rng(18)
x, y = rng.normal(size=(22, 4)), rng.integers(0, 3, 22)
model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
model.set_weights([rng.normal(0, 1, w.shape) for w in model.get_weights()])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])

events, losses = [], []
printing = LambdaCallback(
    on_epoch_begin=lambda epoch, logs: events.append(f"begin {epoch}"),
    on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]),
    on_train_batch_end=lambda batch, logs: events.append(f"batch {batch}"),
    on_train_end=lambda logs: events.append("end"),
)
model.fit(x, y, batch_size=8, epochs=2, callbacks=[printing], shuffle=False, verbose=0)

RESULT = {"events": events, "losses": losses}
