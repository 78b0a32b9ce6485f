"""A Callback of one's own that notes all calls, looks at the model, and stops at a goal."""

import numpy as np

import cconv as keras
from cconv import layers


class LossHistory(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.losses, self.calls, self.val = [], ["train begin"], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])

    def on_test_begin(self, logs=None):
        self.calls.append("test begin")

    def on_test_batch_end(self, batch, logs=None):
        self.calls.append(f"test batch {batch}: {sorted(logs)}")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch}: {list(logs)}")
        self.val.append(logs["val_loss"])
        if epoch == 2:
            self.model.stop_training = True


rng = np.random.default_rng(19)
x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 1))
model = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
model.set_weights([rng.normal(0, 1, w.shape) for w in model.get_weights()])
model.compile("sgd", "mse", metrics=["mae"])
seen = LossHistory()
model.fit(x, y, batch_size=7, epochs=9, validation_split=0.3, callbacks=[seen], shuffle=False, verbose=0)

RESULT = {"losses": seen.losses, "calls": seen.calls, "val": seen.val, "params": seen.params["epochs"]}
