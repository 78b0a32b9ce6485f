"""Save a model in the middle of its training, load it, and go on as if nothing had happened."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(48)
x, y = rng.uniform(size=(24, 8, 8, 1)).astype("float32"), rng.integers(0, 3, size=24)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]
)
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)

model.save("my_model.keras")
loaded = keras.models.load_model("my_model.keras")
same = np.array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
history = loaded.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)

RESULT = {"same": same, "history": history.history, "rate": float(loaded.optimizer.learning_rate)}
