"""set_random_seed makes a training, with its shuffling and dropout, the same again."""

import numpy as np

import cconv as keras
from cconv import layers

x, y = np.random.default_rng(58).uniform(size=(40, 6, 6, 1)), np.arange(40) % 3


def train(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    return history.history["loss"], model.get_weights()


(first, weights), (second, twins), (third, _) = train(1), train(1), train(2)

RESULT = {
    "same losses": first == second,
    "same weights": all(np.array_equal(*pair) for pair in zip(weights, twins, strict=True)),
    "another seed": first != third,
    "shapes": [w.shape for w in weights],
    "bias": float(np.abs(weights[1]).max()) > 0,
}
