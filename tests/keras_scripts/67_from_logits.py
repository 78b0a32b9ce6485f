"""Logits in training, a Softmax added for the predictions: the beginners' quickstart."""

import numpy as np

import cconv as keras

with np.load("mnist.npz") as data:
    x_train, y_train = data["x_train"][:100] / 255.0, data["y_train"][:100]
    x_test, y_test = data["x_test"] / 255.0, data["y_test"]

model = keras.models.Sequential(
    [
        keras.layers.Flatten(input_shape=(28, 28)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(0.0),
        keras.layers.Dense(10),
    ]
)
rng = np.random.default_rng(43)
model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
predictions = model.predict(x_train[:1], verbose=0)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss_fn, metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=2, shuffle=False, verbose=0)
score = model.evaluate(x_test, y_test, verbose=0)
probability_model = keras.Sequential([model, keras.layers.Softmax()])

RESULT = {
    "logits": predictions,
    "history": history.history,
    "score": score,
    "probabilities": probability_model.predict(x_test[:3], verbose=0),
}
