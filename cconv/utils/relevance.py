"""Relevance maps: which pixels count for a class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, pair
from cconv.models.scores import Scores


@controlled
def class_activation_map(
    model: Any,
    x: ArrayLike,
    layer: Any = None,
    class_index: int | Sequence[int] | None = None,
) -> np.ndarray:
    r"""Return which parts of images count for a class in a layer: Grad-CAM.

    With the layer's output maps :math:`A_k`, and the score :math:`s` of the class,

    .. math:: L = \max\Bigl(0,\; \sum_k \alpha_k A_k\Bigr), \qquad
              \alpha_k = \frac{1}{hw} \sum_{i,j} \frac{\partial s}{\partial A_{ijk}}

    Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization",
    section 3. The score is the value in front of the model's softmax or sigmoid.

    Parameters
    ----------
    model : Sequential or Model
        A built model, from images to a score for each class. It runs in inference mode, and is not changed.
    x : array of shape (n, h, w, c), or one image
        Images in the model's data format.
    layer : Layer, str or int, optional
        The layer, its name or number, also inside a nested model; for a layer with several uses the last one.
        By default the last layer whose output is an image and which is not a pooling.
    class_index : int or sequence of int, optional
        The class, for all images or for each; by default the one with the highest score.

    Returns
    -------
    ndarray of shape (n, h, w)
        With the layer's height and width and the model's dtype; never negative; in the unit of the score.

    Raises
    ------
    TypeError, ValueError
        For a model, images, a layer or a class that do not fit each other.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> class_activation_map(LeNet5(seed=0), np.ones((32, 32, 1)), class_index=3).shape
    (1, 10, 10)
    """
    scores = Scores("class_activation_map", model)
    images = scores.images(x)
    found = scores.attention(images, layer, scores.chosen(images, class_index))
    alpha = found.gradient.mean(axis=(1, 2), keepdims=True)
    return np.maximum((found.output * alpha).sum(axis=3), 0)


@controlled
def occlusion_map(
    model: Any,
    x: ArrayLike,
    class_index: int | Sequence[int] | None = None,
    *,
    size: int | tuple[int, int] = 5,
    strides: int | tuple[int, int] = 1,
    fill: float | None = None,
) -> np.ndarray:
    """Return how much of a class's score is lost when parts of an image are covered.

    A window of one value slides over the image. For each window the drop is the score of the whole image
    minus the score of the covered image. A pixel of the map is the mean drop over the windows that cover this
    pixel: positive if the pixel counts for the class, negative if against it. Zeiler & Fergus 2014,
    "Visualizing and understanding convolutional networks", section 4.2.

    Parameters
    ----------
    model, x, class_index
        As for `class_activation_map`.
    size : int or pair of int
        Height and width of the window in pixels; no larger than the image.
    strides : int or pair of int
        Pixels from one window to the next, at most `size`; the last window ends with the image.
    fill : float, optional
        The window's value; by default the mean of each channel of each image.

    Returns
    -------
    ndarray of shape (n, h, w)
        With the images' height and width, in float64.

    Raises
    ------
    TypeError, ValueError
        For a model, images, a class or windows that do not fit each other.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> occlusion_map(LeNet5(seed=0), np.ones((32, 32, 1)), 3, size=8, strides=4).shape
    (1, 32, 32)
    """
    where = "occlusion_map"
    scores = Scores(where, model)
    images = scores.images(x)
    classes = scores.chosen(images, class_index)
    window, steps = pair(where, "size", size), pair(where, "strides", strides)
    if any(extent > whole for extent, whole in zip(window, images.shape[1:3], strict=True)):
        raise ValueError(f"{where}: size must fit into the image {images.shape[1:3]}, got {size!r}")
    if any(step > extent for step, extent in zip(steps, window, strict=True)):
        raise ValueError(f"{where}: strides must be no more than size, {window}, got {strides!r}")
    value = None if fill is None else finite(where, "fill", fill)
    places = [
        (i, j)
        for i in _begins(images.shape[1], window[0], steps[0])
        for j in _begins(images.shape[2], window[1], steps[1])
    ]
    before = scores.of(images)[np.arange(len(images)), classes].astype(np.float64)
    maps = np.empty(images.shape[:3])
    for number, image in enumerate(images):
        filling = image.mean(axis=(0, 1)) if value is None else value
        lost = before[number] - scores.of(_covered(image, places, window, filling))[:, classes[number]]
        maps[number] = _spread(lost, places, window, image.shape)
    return maps


def _begins(extent: int, window: int, step: int) -> list[int]:
    """Return the windows' starts: every `step` pixels, and one more for a window that ends with the image."""
    return sorted({*range(0, extent - window + 1, step), extent - window})


def _covered(
    image: np.ndarray, places: Sequence[tuple[int, int]], window: tuple[int, int], filling: Any
) -> np.ndarray:
    """Return a copy of the image for each place, covered there by the window."""
    covered = np.repeat(image[np.newaxis], len(places), axis=0)
    for each, (i, j) in zip(covered, places, strict=True):
        each[i : i + window[0], j : j + window[1]] = filling
    return covered


def _spread(
    lost: np.ndarray, places: Sequence[tuple[int, int]], window: tuple[int, int], shape: Sequence[int]
) -> np.ndarray:
    """Return for each pixel the mean drop of the score over the windows that cover it."""
    total, times = np.zeros(shape[:2]), np.zeros(shape[:2])
    for value, (i, j) in zip(lost, places, strict=True):
        total[i : i + window[0], j : j + window[1]] += value
        times[i : i + window[0], j : j + window[1]] += 1
    return total / times
