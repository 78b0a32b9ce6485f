"""Scripts of the Keras of 2018 run with the import root changed."""

import importlib

import numpy as np
import pytest

import cconv

# What the course imports, and what scripts of its kind do.
IMPORTS = {
    "models": "Sequential load_model",
    "layers": "Activation AveragePooling2D BatchNormalization Conv2D Dense DepthwiseConv2D Dropout Flatten "
    "GlobalAveragePooling2D Input LeakyReLU MaxPooling2D RandomFlip RandomRotation RandomTranslation ReLU "
    "Rescaling Reshape Softmax ZeroPadding2D",
    "utils": "plot_model set_random_seed to_categorical",
    "utils.np_utils": "to_categorical",
    "utils.vis_utils": "plot_model",
    "datasets": "cifar10 fashion_mnist mnist",
    "optimizers": "SGD Adagrad RMSprop Adadelta Adam AdamW sgd adagrad rmsprop adadelta adam",
    "optimizers.schedules": "CosineDecay ExponentialDecay InverseTimeDecay PiecewiseConstantDecay",
    "losses": "BinaryCrossentropy CategoricalCrossentropy MeanSquaredError SparseCategoricalCrossentropy",
    "callbacks": "Callback CSVLogger EarlyStopping History LambdaCallback ModelCheckpoint ReduceLROnPlateau",
    "initializers": "GlorotUniform HeNormal RandomNormal Zeros",
    "regularizers": "L2 l2",
    "applications": "VGG16 VGG19",
}


@pytest.mark.parametrize("module", IMPORTS)
def test_the_names_that_scripts_import(module):
    found = importlib.import_module(f"cconv.{module}")
    assert [name for name in IMPORTS[module].split() if not hasattr(found, name)] == []


def test_old_modules_hold_the_functions_of_the_new_ones():
    from cconv.utils import np_utils, vis_utils

    assert np_utils.to_categorical is cconv.utils.to_categorical
    assert vis_utils.plot_model is cconv.utils.plot_model


def test_old_names_of_optimizers_are_the_classes():
    optimizer = cconv.optimizers.rmsprop(lr=0.0001, decay=1e-6)
    assert type(optimizer) is cconv.optimizers.RMSprop
    assert (optimizer.lr, optimizer.decay) == (0.0001, 1e-6)
    for name in ("sgd", "adagrad", "rmsprop", "adadelta", "adam"):
        assert type(cconv.optimizers.get(name)) is getattr(cconv.optimizers, name)


def test_a_script_with_activations_as_layers():
    """The course's way from bytes to a prediction: one-hot labels, layers added one by one."""
    model = cconv.models.Sequential(seed=4)
    model.add(cconv.layers.Conv2D(filters=4, kernel_size=(3, 3), input_shape=(8, 8, 3)))
    model.add(cconv.layers.Activation("relu"))
    model.add(cconv.layers.MaxPooling2D(pool_size=(2, 2)))
    model.add(cconv.layers.Dropout(0.25))
    model.add(cconv.layers.Flatten())
    model.add(cconv.layers.Dense(10))
    model.add(cconv.layers.Activation("softmax"))
    optimizer = cconv.optimizers.rmsprop(lr=0.0001, decay=1e-6)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 8, 8, 3), np.uint8)
    y = cconv.utils.np_utils.to_categorical(rng.integers(0, 10, (40, 1)), 10)
    history = model.fit(x, y, batch_size=16, epochs=1, verbose=0, validation_data=(x[:10], y[:10]))
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    scores = model.evaluate(x, y, verbose=0)
    assert np.isfinite(scores).all()
    assert np.argmax(model.predict(x[:10]), axis=1).shape == (10,)
