"""Pictures say what is so: whatever the user's own style, whatever numbers are drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cconv import metrics, plotting
from cconv.applications import LeNet5
from cconv.callbacks.recording import epochs_of
from cconv.layers import Dense
from cconv.models import Sequential
from cconv.reporting.settings import epochs_of_figures

IMAGES = np.random.default_rng(0).random((3, 8, 8))


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def trained(frequency, epochs=10):
    model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    model.compile("sgd", "mse")
    data = np.eye(4), np.arange(4.0)
    return model.fit(*data, epochs=epochs, validation_data=data, validation_freq=frequency, verbose=0)


@pytest.mark.parametrize(("frequency", "epochs"), [(1, range(1, 11)), (4, [4, 8]), ([1, 2, 9], [1, 2, 9])])
def test_validation_is_drawn_at_its_epochs(frequency, epochs):
    history = trained(frequency)
    training, validation = plotting.history(history).axes[0].lines
    np.testing.assert_array_equal(training.get_xdata(), range(1, 11))
    np.testing.assert_array_equal(validation.get_xdata(), list(epochs))
    assert epochs_of_figures(history)["val_loss"] == list(epochs)


def test_epochs_of_two_trainings_and_of_a_restored_history():
    history = trained(2, 4)
    history.model.fit(np.eye(4), np.arange(4.0), epochs=3, verbose=0, callbacks=[history])
    assert epochs_of(history) == {"loss": [*range(1, 8)], "val_loss": [2, 4]}
    other = type(history)()
    other.set_state(history.get_state())
    assert epochs_of(other) == epochs_of(history)
    found = epochs_of({"loss": [1.0] * 6, "val_loss": [1.0] * 2})
    assert found == {"loss": [*range(1, 7)], "val_loss": [3, 6]}
    assert epochs_of_figures(None) == {}


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [("p", [0.1, 0.9, 0.7]), ("y", [0.6, 1.7, 1]), ("y", [0, np.nan, 1]), ("y", [0, -1, 1])],
)
def test_class_numbers_are_whole(argument, wrong):
    given = {"y": [0, 1, 1], "p": [0, 1, 1]} | {argument: np.array(wrong)}
    with pytest.raises(ValueError, match=f"predictions: {argument} must be class numbers.*whole"):
        plotting.predictions(IMAGES, **given)


def test_scores_are_not_shares():
    axes = plotting.predictions(IMAGES, None, np.array([[-5, 0.25], [-5, 3.9], [-1, 1.0]])).axes
    assert [each.get_xlabel() for each in axes] == ["1 (0.25)", "1 (3.9)", "1 (1)"]


def test_many_classes_have_colours_alone():
    figure = plotting.confusion_matrix(np.arange(300), np.arange(300))
    assert max(figure.get_size_inches()) < 12
    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_xticks()) <= 40


@pytest.mark.parametrize(
    ("true", "pred", "words"),
    [
        ([0, 1, 1], [0.2, 0.7, 0.9], r"y_pred must hold class numbers in \[0, .*got 0.2"),
        ([0, 1, np.nan], [0, 1, 1], "y_true must hold class numbers.*got nan"),
        ([0, np.inf], [0, 1], "y_true must hold class numbers.*got inf"),
        ([0, 10**9], [0, 1], "y_true must hold class numbers.*got 1000000000"),
        ([1, 1], [[np.nan, np.nan], [0.1, 0.9]], "y_pred must hold scores that are numbers, got NaN"),
    ],
)
def test_what_no_confusion_matrix_counts(true, pred, words):
    with pytest.raises(ValueError, match=words):
        metrics.confusion_matrix(true, pred)


def test_the_style_of_the_user_changes_nothing_that_is_read():
    image = np.zeros((28, 28, 1))
    image[2:6, 2:6] = 1
    with plt.style.context(["dark_background", {"image.origin": "lower", "axes.grid": True}]):
        for figure in (
            plotting.confusion_matrix([0, 1, 1], [0, 1, 0]),
            plotting.padding(image[..., 0], "same", 3),
            plotting.grad_cam(LeNet5(input_shape=(28, 28, 1), seed=0), image),
            plotting.history({"loss": [2.0, 1.0]}),
        ):
            assert figure.get_facecolor() == (1, 1, 1, 1)
            for axes in figure.axes:
                assert axes.get_facecolor() == (1, 1, 1, 1)
                assert all(drawn.origin == "upper" for drawn in axes.get_images())


def test_pictures_of_one_colour_have_that_colour():
    drawn = plotting.predictions(
        np.stack([np.zeros((8, 8)), np.ones((8, 8)), np.full((8, 8), 255.0)]), None, [0, 1, 2]
    ).axes
    images = [axes.get_images()[0] for axes in drawn]
    shades = [image.cmap(image.norm(image.get_array()[0, 0]))[0] for image in images]
    assert shades == [0, 1, 1]
    (axes,) = plotting.images([np.full((4, 4, 3), 200.0)]).axes
    np.testing.assert_allclose(axes.get_images()[0].get_array(), 200 / 255)
    (axes,) = plotting.images([np.full((4, 4, 3), 200)]).axes  # whole numbers
    np.testing.assert_allclose(axes.get_images()[0].get_array(), 200 / 255)


def test_one_nan_is_one_pixel():
    picture = IMAGES[:, :4, :4].transpose(1, 2, 0) * 3
    picture[0, 0, 0] = np.nan
    (axes,) = plotting.images([picture]).axes
    shown = np.ma.filled(np.ma.asarray(axes.get_images()[0].get_array(), float), np.nan)
    assert np.isnan(shown).sum() <= 4
    assert np.isfinite(shown).sum() >= 44


def test_long_names_stay_below_their_picture():
    names = ["Очень длинное название", "a long English name of a class", "c"]
    axes = plotting.predictions(IMAGES, [0, 0, 2], np.eye(3), classes=names).axes
    lines = [line for each in axes for line in each.get_xlabel().splitlines()]
    assert max(map(len, lines)) <= 16
    assert axes[1].get_xlabel().replace("\n", " ").endswith("truth: Очень длинное название")
