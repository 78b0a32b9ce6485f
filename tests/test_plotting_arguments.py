"""What the pictures' functions refuse, by name, and what they take instead of lists."""

import re

import matplotlib as mpl
import numpy as np
import pytest

from cconv import plotting
from cconv.applications import LeNet5

mpl.use("Agg")
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


REFUSED = {
    "images: pictures must be a sequence of arrays, got None": lambda: plotting.images(None),
    "images: pictures must be a sequence of arrays, got 3": lambda: plotting.images(3),
    "images: titles must be 2 names, one for each picture, got 3": lambda: two(titles=3),
    "images: titles must be 2 names, one for each picture, got 'ab'": lambda: two(titles="ab"),
    "images: size must be a finite number, got 'wide'": lambda: two(size="wide"),
    "images: size must be a finite number, got nan": lambda: two(size=np.nan),
    "images: size must be a positive number of inches, got -1": lambda: two(size=-1),
    "images: numbers must be True or False, got 'yes'": lambda: two(numbers="yes"),
    "images: signed must be True or False, got 'no'": lambda: two(signed="no"),
    "history: h must have names of figures, got 3": lambda: plotting.history({3: [1.0]}),
    "history: h must hold a list of numbers in 'loss', one an epoch, got ['a']": (
        lambda: plotting.history({"loss": ["a"]})
    ),
    "history: h must hold a list of numbers in 'loss', one an epoch, got [{}]": (
        lambda: plotting.history({"loss": [{}]})
    ),
    "predictions: classes must be names, got 3": (
        lambda: plotting.predictions(np.zeros((1, 4, 4, 1)), [0], [[0.0, 1.0]], classes=3)
    ),
    "confusion_matrix: classes must be names, got 'ab'": (
        lambda: plotting.confusion_matrix([0, 1], [0, 1], classes="ab")
    ),
    "feature_maps: layers must be a list of names or numbers of layers, got 'conv2d'": (
        lambda: plotting.feature_maps(LeNet5(seed=0), np.zeros((32, 32, 1)), layers="conv2d")
    ),
}


def two(**options):
    return plotting.images([np.zeros((2, 2))] * 2, **options)


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_refused_is_named(told):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(told)}"):
        REFUSED[told]()


def test_names_and_figures_that_are_no_lists():
    figure = plotting.images([np.zeros((2, 2))] * 2, iter("ab"))
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    (line,) = plotting.history({"loss": (1, None, 0.5)}).axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), [1, np.nan, 0.5])
