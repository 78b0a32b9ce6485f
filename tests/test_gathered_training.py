"""Trainings with 1x1 convolutions of many weights that step over pixels: as a copy of the pixels trains."""

import numpy as np
import pytest

from cconv import threads
from cconv.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    ReLU,
)
from cconv.models import Model

RNG = np.random.default_rng(0)
X, Y = RNG.random((11, 7, 9, 4), np.float32), RNG.random((11, 3), np.float32)


def model_of(gathers):
    """A residual end; or one in which a pooling of one pixel steps, not the convolution behind it."""
    x = Input((7, 9, 4))
    y = Conv2D(512, 1, activation="relu")(x)
    if gathers:
        shortcut = Conv2D(1024, 1, strides=2, name="shortcut")(y)
    else:
        shortcut = Conv2D(1024, 1, name="shortcut")(MaxPooling2D(1, 2)(y))
    side = Conv2D(1024, 1, use_bias=False)(MaxPooling2D(1, 2)(x))
    y = ReLU()(Add()([BatchNormalization()(shortcut), side]))
    model = Model(x, Dense(3)(GlobalAveragePooling2D()(y)), seed=3)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("shards", [1, 4])
def test_from_the_first_step_on(shards):
    """The same bits as of the pixels alone, on any number of threads, with batches of two sizes."""
    trained = []
    for count, gathers in ((1, True), (3, True), (2, False)):
        model = model_of(gathers)
        model.set_weights(model_of(True).get_weights())  # drawn by the layers' numbers
        with threads.limit(count):
            losses = model.fit(X, Y, batch_size=4, epochs=2, verbose=0, shards=shards).history["loss"]
        trained.append((losses, [weight.tobytes() for weight in model.get_weights()]))
    assert trained[0] == trained[1] == trained[2]


def test_frozen_for_batches_that_grow_and_shrink():
    model = model_of(True)
    frozen, wanted = model.freeze(), model.predict(X, verbose=0)
    for rows in (1, 5, 11, 2):
        np.testing.assert_array_equal(frozen.predict(X[:rows]), wanted[:rows])
