"""A PyDataset: batches by number, for fit, evaluate and predict."""

import math

import numpy as np

import cconv as keras
from cconv import layers


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, idx):
        low = idx * self.batch_size
        high = min(low + self.batch_size, len(self.x))
        return self.x[low:high], self.y[low:high]


rng = np.random.default_rng(25)
x, y = rng.uniform(size=(30, 6, 6, 2)).astype("float32"), rng.normal(size=(30, 2))
model = keras.Sequential(
    [keras.Input(shape=(6, 6, 2)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)]
)
model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
model.compile(optimizer=keras.optimizers.SGD(0.02), loss="mse", metrics=["mae"])
train = Batches(x, y, 8)
history = model.fit(train, epochs=3, validation_data=Batches(x[:10], y[:10], 4), shuffle=False, verbose=0)

RESULT = {
    "history": history.history,
    "score": model.evaluate(train, verbose=0),
    "prediction": model.predict(train, verbose=0)[-2:],
}
