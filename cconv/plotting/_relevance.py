"""Pictures of the image regions that a network uses: relevance maps drawn over images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv.arguments.text import short
from cconv.geometry.layout import to_channels_last
from cconv.models.scores import Scores
from cconv.plotting._pictures import SIGNED, as_picture, drawn, matplotlib_parts, scale_bar, show
from cconv.utils.relevance import class_activation_map, occlusion_map

WIDE, NARROW, FEW = 1.7, 1.25, 5  # of each of a few pictures, of each of more, in inches; how many are few
PALEST = 0.72  # how light black becomes under a map, so that colours on it can be told apart


@drawn
def grad_cam(
    model: Any,
    x: ArrayLike,
    layer: Any = None,
    class_index: int | Sequence[int] | None = None,
    *,
    classes: Sequence[str] | None = None,
) -> Any:
    """Show which parts of images count for a class in a layer: images, and Grad-CAM over them below.

    The maps have a common scale, and are interpolated smoothly from the layer's few pixels.

    Parameters
    ----------
    model : Sequential or Model
        A built model, from images to a score for each class; it runs in inference mode.
    x : array
        Images of the model's input shape, one or several, in the model's data format.
    layer : Layer, str or int, optional
        As for `cconv.utils.class_activation_map`.
    class_index : int or sequence of int, optional
        The class, for all images or for each; one image is drawn once for each class. By default the
        one with the highest score.
    classes : sequence of str, optional
        Names of the classes; by default their numbers.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For a model, images, a layer or classes that do not fit each other.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> figure = grad_cam(LeNet5(seed=0), np.zeros((32, 32, 1)), class_index=[3, 8])
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['3', '8']
    """
    images, numbers, names = _asked("grad_cam", model, x, class_index, classes)
    maps = class_activation_map(model, images, layer, numbers)
    return _over("grad_cam", model, images, maps, names, "Grad-CAM")


@drawn
def occlusion(
    model: Any,
    x: ArrayLike,
    class_index: int | Sequence[int] | None = None,
    *,
    size: int | tuple[int, int] = 5,
    strides: int | tuple[int, int] = 1,
    fill: float | None = None,
    classes: Sequence[str] | None = None,
) -> Any:
    """Show how much of a class's score is lost when parts of an image are covered: images, and maps below.

    Red pixels count for the class, blue ones against it, with a common scale for all images.

    Parameters
    ----------
    model, x, class_index, classes
        As for `grad_cam`.
    size, strides, fill
        The covering window, as for `cconv.utils.occlusion_map`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For a model, images, classes or windows that do not fit each other.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> figure = occlusion(LeNet5(seed=0), np.zeros((2, 32, 32, 1)), 3, size=8, strides=4)
    >>> len(figure.axes)  # two images, two maps and the bar
    5
    """
    images, numbers, names = _asked("occlusion", model, x, class_index, classes)
    maps = occlusion_map(model, images, numbers, size=size, strides=strides, fill=fill)
    return _over("occlusion", model, images, maps, names, "score lost")


def _asked(
    where: str, model: Any, x: ArrayLike, class_index: Any, classes: Sequence[str] | None
) -> tuple[np.ndarray, list[int], list[str]]:
    """Return the images, one for each requested class, with the class numbers and the titles."""
    scores = Scores(where, model)
    images = scores.batch(x)
    batch = scores.images(images)
    if len(images) == 1 and np.iterable(class_index) and not isinstance(class_index, str):
        class_index = list(class_index)
        images, batch = (np.repeat(array, max(len(class_index), 1), axis=0) for array in (images, batch))
    numbers = [int(number) for number in scores.chosen(batch, class_index)]
    # The only score of a model, as of one sigmoid, is that of the second of two classes.
    wanted = 2 if scores.classes == 1 else scores.classes
    if classes is not None and len(classes) not in (wanted, scores.classes):
        raise ValueError(f"{where}: classes must be {wanted} names, got {len(classes)}")
    if scores.classes == 1:
        return images, numbers, [short(str(classes[-1])) if classes is not None else "score"] * len(numbers)
    return images, numbers, [short(str(number if classes is None else classes[number])) for number in numbers]


def _over(
    where: str, model: Any, images: np.ndarray, maps: np.ndarray, names: Sequence[str], label: str
) -> Any:
    """Draw the images in a row, and below each the same image with its map over it."""
    parts = matplotlib_parts(where)
    last = to_channels_last(images, model.data_format)
    pictures = [as_picture(where, "x", image) for image in (last if last.shape[3] == 3 else last[..., :1])]
    count, ratio = len(pictures), pictures[0].shape[0] / pictures[0].shape[1]
    width = WIDE if count <= FEW else NARROW
    figure = parts.new(count * width + 0.75, 2 * width * min(ratio, 2) + 0.4)
    grid = figure.subplots(2, count, squeeze=False)
    reach = float(np.abs(maps).max(initial=0)) or 1.0
    low = -reach if maps.min() < 0 else 0.0
    style = {"cmap": parts.see_through(SIGNED, low / reach), "vmin": low, "vmax": reach}
    for number, picture in enumerate(pictures):
        show(parts, grid[0, number], picture)
        grid[0, number].set_title(names[number])
        show(parts, grid[1, number], _pale(picture))
        rows, columns = picture.shape[:2]
        place = (-0.5, columns - 0.5, rows - 0.5, -0.5)
        grid[1, number].imshow(maps[number], interpolation="bilinear", extent=place, **style)
    scale_bar(parts, figure, grid[1, 0].images[1], grid[1], label=label)
    return figure


def _pale(picture: np.ndarray) -> np.ndarray:
    """Return a picture in grey (h, w, 3), from 0 to 1, with dark pixels lightened."""
    grey = picture @ np.array([0.2126, 0.7152, 0.0722]) if picture.ndim == 3 else picture.astype(np.float64)
    low, high = float(grey.min()), float(grey.max())
    grey = (grey - low) / max(high - low, 1e-12)
    return np.repeat((PALEST + (1 - PALEST) * grey)[..., np.newaxis], 3, axis=2)
