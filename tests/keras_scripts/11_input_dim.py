"""Dense(…, input_dim=…), as the oldest pages have it, for two classes."""

import numpy as np

from cconv.layers import Dense
from cconv.models import Sequential

rng = np.random.default_rng(10)
data = rng.random((100, 20))
labels = rng.integers(2, size=(100, 1))

model = Sequential()
model.add(Dense(16, activation="relu", input_dim=20))
model.add(Dense(8, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(data, labels, epochs=4, batch_size=32, shuffle=False, verbose=0)
score = model.evaluate(data, labels, batch_size=32, verbose=0)

RESULT = {"history": history.history, "score": score, "classes": (model.predict(data, verbose=0) > 0.5).sum()}
