"""keras.utils.Sequence, the old name of PyDataset: sample weights, and a word at the end of each epoch."""

import numpy as np

from cconv.layers import Dense
from cconv.models import Sequential
from cconv.utils import Sequence


class Weighted(Sequence):
    def __init__(self, x, y, weights):
        super().__init__()
        self.x, self.y, self.weights, self.ended = x, y, weights, 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        chosen = slice(index * 6, index * 6 + 6)
        return self.x[chosen], self.y[chosen], self.weights[chosen]

    def on_epoch_end(self):
        self.ended += 1


rng = np.random.default_rng(26)
data = Weighted(rng.normal(size=(18, 4)), rng.normal(size=(18, 1)), rng.uniform(size=18))
model = Sequential([Dense(5, activation="tanh", input_shape=(4,)), Dense(1)])
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(loss="mse", optimizer="sgd")
history = model.fit(data, epochs=3, shuffle=False, verbose=0)

RESULT = {"history": history.history, "ended": data.ended >= 3}
