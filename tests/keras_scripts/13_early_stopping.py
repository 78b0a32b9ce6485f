"""EarlyStopping on the validation loss, with the best weights given back."""

import numpy as np

from cconv.callbacks import EarlyStopping
from cconv.layers import Dense, Input
from cconv.models import Sequential

rng = np.random.default_rng(12)
x, noise = rng.normal(size=(60, 12)), rng.normal(size=60)
y = x[:, 0] - 0.5 * x[:, 1] + noise

model = Sequential([Input(shape=(12,)), Dense(24, activation="tanh"), Dense(1)])
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile(optimizer="sgd", loss="mse")
early = EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True, verbose=0)
history = model.fit(
    x[:30],
    y[:30],
    epochs=60,
    batch_size=5,
    validation_data=(x[30:], y[30:]),
    callbacks=[early],
    shuffle=False,
    verbose=0,
)

RESULT = {
    "epochs": len(history.history["loss"]),
    "history": history.history,
    "stopped": early.stopped_epoch,
    "best": early.best,
    "best_epoch": early.best_epoch,
    "restored": model.evaluate(x[30:], y[30:], verbose=0),
}
