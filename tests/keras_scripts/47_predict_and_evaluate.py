"""predict, predict_on_batch, a call of the model, and evaluate with return_dict and other batch sizes."""

import numpy as np

import cconv as keras
from cconv import layers

rng = np.random.default_rng(52)
x, y = rng.uniform(size=(21, 6, 6, 1)).astype("float32"), rng.integers(0, 3, size=21)
model = keras.Sequential(
    [
        keras.Input((6, 6, 1)),
        layers.Conv2D(2, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]
)
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
probabilities = model.predict(x, batch_size=4, verbose=0)

RESULT = {
    "probabilities": probabilities[-3:],
    "classes": np.argmax(probabilities, axis=-1),
    "on batch": model.predict_on_batch(x[:2]),
    "called": np.asarray(model(x[:2], training=False)),
    "one": model.predict(x[:1], verbose=0).shape,
    "steps": model.predict(x, batch_size=4, steps=2, verbose=0).shape,
    "dict": model.evaluate(x, y, batch_size=8, return_dict=True, verbose=0),
    "list": model.evaluate(x, y, verbose=0),
    "doubles": model.evaluate(x.astype("float64"), y.astype("uint8"), verbose=0),
    "without channels": model.predict(x[:2, :, :, 0], verbose=0),
}
