"""ReduceLROnPlateau; the learning rate stands in the history and in the optimizer."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(14)
x, y = rng.normal(size=(32, 5)), rng.normal(size=(32, 1))

model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="relu"), layers.Dense(1)])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.3), loss="mean_squared_error")
reduce_lr = keras.callbacks.ReduceLROnPlateau(
    monitor="loss", factor=0.5, patience=2, min_delta=0.01, cooldown=1, min_lr=0.01
)
history = model.fit(x, y, batch_size=16, epochs=15, callbacks=[reduce_lr], shuffle=False, verbose=0)

RESULT = {"history": history.history, "rate": float(model.optimizer.learning_rate)}
