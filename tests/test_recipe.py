"""A training is taken up with the options of layers, optimizer and loss that it began with, or refused."""

import numpy as np
import pytest
from interrupted import Stop, fit, stopping, weights
from resuming import OPTIMIZERS, network

from cconv.callbacks import LambdaCallback
from cconv.models import Sequential
from cconv.models.recipe import difference, recipe_of
from cconv.optimizers import Adam
from cconv.schedules import ExponentialDecay


@pytest.fixture
def cut(tmp_path):
    """The folder of a training that was killed in its 13th step, with the checkpoint after the twelfth."""
    with pytest.raises(Stop):
        fit(network(), tmp_path / "b", stopping(13))
    return tmp_path / "b"


def another(layer=None, optimizer="adam", loss="sparse_categorical_crossentropy", **options):
    """The network of the checkpoint with other options of a layer, another optimizer, or another loss."""
    config = network().get_config()
    for entry in config["layers"]:
        if entry["class_name"] == layer:
            entry["config"] |= options
    model = Sequential.from_config(config)
    model.compile(OPTIMIZERS[optimizer]() if optimizer in OPTIMIZERS else optimizer, loss, ["accuracy"])
    return model


OTHER_RECIPES = {
    "activation of layer 'conv2d' must be 'relu', got 'tanh'": {"layer": "Conv2D", "activation": "tanh"},
    r"rate of layer 'dropout' must be 0\.3, got 0\.5": {"layer": "Dropout", "rate": 0.5},
    "mode of layer 'random_flip' must be 'horizontal', got": {"layer": "RandomFlip", "mode": "vertical"},
    "momentum of layer '.*' must be 0.99, got 0.5": {"layer": "BatchNormalization", "momentum": 0.5},
    "kernel_regularizer of layer 'dense' must be None": {"layer": "Dense", "kernel_regularizer": "l2"},
    r"beta_1 of the optimizer must be 0\.9, got 0\.5": {"optimizer": Adam(0.004, beta_1=0.5)},
    r"clipnorm of the optimizer must be None, got 1\.0": {"optimizer": Adam(0.004, clipnorm=1.0)},
    "gradient_accumulation_steps of the optimizer": {"optimizer": Adam(0.1, gradient_accumulation_steps=2)},
    "learning_rate of the optimizer must be 'a number', got": {
        "optimizer": Adam(ExponentialDecay(0.004, 10, 0.9))
    },
    "class_name of the loss must be 'SparseCategoricalCrossentropy', got": {
        "loss": lambda y, p: (np.zeros(len(p)), 0 * p)
    },
}


@pytest.mark.parametrize(("told", "options"), OTHER_RECIPES.items())
def test_other_options_of_layers_optimizer_and_loss_are_refused(cut, told, options):
    model = another(**options)
    before = weights(model)
    with pytest.raises(ValueError, match=told):
        fit(model, cut)
    assert (weights(model), model.steps_done) == (before, 0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layer": "Dense", "kernel_initializer": "he_normal"},
        {"layer": "Conv2D", "trainable": False},
        {"optimizer": Adam(0.9)},
    ],
)
def test_what_the_checkpoint_restores_may_be_another(cut, options):
    model = another(**options)
    fit(model, cut)
    expected = network()
    fit(expected)
    assert weights(model) == weights(expected)


def test_options_that_callbacks_change_on_the_way_do_not_count(tmp_path):
    def change(epoch, logs):
        model.optimizer.beta_2 = 0.9 + 0.02 * epoch

    calls = LambdaCallback(on_epoch_begin=change)
    model = expected = network()
    fit(model, None, calls)
    model = network()
    with pytest.raises(Stop):
        fit(model, tmp_path / "c", calls, stopping(13))
    model = network()
    fit(model, tmp_path / "c", calls)
    assert weights(model) == weights(expected)


class Peculiar(Adam):
    """Cannot be written."""

    def get_config(self):
        raise NotImplementedError


def test_objects_that_no_file_can_describe_are_not_compared(tmp_path):
    def made():
        model = another(optimizer=Peculiar(0.01))
        assert recipe_of(model)["the optimizer"] is None
        return model

    with pytest.raises(Stop):
        fit(made(), tmp_path / "own", stopping(5))
    model, expected = made(), made()
    fit(model, tmp_path / "own")
    fit(expected)
    assert weights(model) == weights(expected)


def test_a_layer_that_only_one_has_is_named():
    then = recipe_of(network())
    now = {name: options for name, options in then.items() if name != "layer 'dropout'"}
    assert difference(then, then) == ""
    assert difference(then, now) == "layer 'dropout' is only in the checkpoint"
    assert difference(now, then) == "layer 'dropout' is only in this model"
