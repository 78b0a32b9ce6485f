"""Models and estimators after a call that was refused, or that gave them another size of image."""

import numpy as np
import pytest

from cconv.estimators import CNNRegressor
from cconv.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D
from cconv.models import Sequential

RNG = np.random.default_rng(5)
X, Y = RNG.random((60, 6, 5, 2), np.float32), RNG.integers(0, 3, 60)


@pytest.fixture
def trained():
    model = Sequential(
        [
            Conv2D(4, 3, input_shape=(6, 5, 2)),
            BatchNormalization(),
            GlobalAveragePooling2D(),
            Dense(3, activation="softmax"),
        ],
        seed=0,
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


def test_another_size_of_image_keeps_trained_weights(trained):
    before, predicted = bits(trained), trained.predict(X, verbose=0)
    trained.build((None, 9, 8, 2))
    assert bits(trained) == before
    larger = trained.predict(RNG.random((3, 9, 8, 2)), verbose=0)
    assert larger.shape == (3, 3)
    trained.build((6, 5, 2))
    assert np.array_equal(trained.predict(X, verbose=0), predicted)
    trained.fit(X, Y, verbose=0)


@pytest.mark.parametrize("shape", [(None, 2, 2, 2), (None, 9), (1, 9, 2), ("x",), (0, 5, 2)])
def test_a_refused_build_leaves_a_trained_model_as_it_was(trained, shape):
    before, predicted = bits(trained), trained.predict(X, verbose=0)
    with pytest.raises((TypeError, ValueError)):
        trained.build(shape)
    assert bits(trained) == before
    assert np.array_equal(trained.predict(X, verbose=0), predicted)
    trained.fit(X, Y, verbose=0)


def test_a_build_that_a_later_layer_refuses_leaves_the_earlier_ones():
    model = Sequential([Conv2D(4, 3, input_shape=(6, 6, 2)), Conv2D(3, 4)], seed=0)
    before = bits(model)
    with pytest.raises(ValueError, match=r"layer 1 \(conv2d_1, Conv2D\) cannot take the shape \(3, 3, 4\)"):
        model.build((5, 5, 1))
    assert bits(model) == before
    assert model.predict(np.ones((1, 6, 6, 2)), verbose=0).shape == (1, 1, 1, 3)


@pytest.mark.parametrize("wrong", [np.array(["a"] * 3), np.ones(3, complex), np.ones(3, object)])
def test_weights_that_are_no_numbers_change_nothing(trained, wrong):
    before = bits(trained)
    weights = [3 * array for array in trained.get_weights()]
    with pytest.raises(TypeError, match=r"Sequential.set_weights: weights\[7\] must hold real numbers"):
        trained.set_weights([*weights[:-1], wrong])
    with pytest.raises(TypeError, match=r"Dense.* weights\[1\] must hold real numbers"):
        trained.layers[-1].set_weights([weights[-2], wrong])
    assert bits(trained) == before


def test_an_estimator_whose_training_diverged_says_so():
    x, y = RNG.random((60, 6, 6)), RNG.random(60)
    model = CNNRegressor(learning_rate=1e30, optimizer="sgd", max_epochs=2, tol=None, random_state=0)
    with pytest.raises(ValueError, match="step"):
        model.fit(x, y)
    with pytest.raises(ValueError, match=r"output is not finite: .* or the last training diverged"):
        model.predict(x)
