"""Arrays as pictures in a grid; the other pictures use this."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.locks import Lock
from cconv.arguments.numbers import finite, positive_int
from cconv.arguments.text import names_of

# Okabe & Ito 2008, "Color universal design".
BLUE, ORANGE, VERMILLION = "#0072b2", "#e69f00", "#d55e00"
# A line around, a line between cells, and what is wrong: as in the page of `cconv.report`.
GREY, CELLS, WRONG = "#57606a", "#b9bfc6", "#a8321e"
# A colour map says what it shows: values of both signs, magnitudes, an image.
SIGNED, UNSIGNED, PHOTO = "cconv.signed", "cconv.magnitude", "gray"
DIGITS = 3  # of numbers written into pixels
LARGEST_NUMBERED = 20  # pixels each way up to which numbers in them can be read
POINTS = 72  # in an inch, the unit of font sizes
BYTE = 255.0  # the largest
SMALLEST_FONT, LARGEST_FONT = 5.5, 10.0


def matplotlib_parts(where: str) -> ModuleType:
    """Return the module `_figure`; without matplotlib raise an ImportError that says how to install it."""
    try:
        from cconv.plotting import _figure
    except ImportError as error:
        raise ImportError(f"plotting.{where} needs matplotlib: pip install 'cconv[plot]'") from error
    return _figure


Asked = ParamSpec("Asked")
# matplotlib's settings are one for all threads: two that change and restore them in turns would leave ours.
_drawing = Lock()


def drawn(function: Callable[Asked, Any]) -> Callable[Asked, Any]:
    """Let a function make its figure in the style of this package."""

    @functools.wraps(function)
    def draw(*args: Asked.args, **kwargs: Asked.kwargs) -> Any:
        with _drawing, matplotlib_parts(function.__name__).style():
            return function(*args, **kwargs)

    return draw


def as_picture(where: str, name: str, array: ArrayLike) -> np.ndarray:
    """Return an array for imshow: (h, w), or (h, w, 3) of bytes or of numbers from 0 to 1."""
    picture = arguments.real_array(where, name, array, None)
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    if picture.ndim == 2 and picture.size:
        return picture
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(
            f"{where}: {name} must have the shape (h, w), (h, w, 1) or (h, w, 3), got {picture.shape}"
        )
    if picture.dtype == np.uint8:
        return picture
    picture = picture.astype(np.float64)
    finite = picture[np.isfinite(picture)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        return picture
    if low == high:  # of one colour: that of bytes as floats
        return np.where(np.isfinite(picture), min(max(low / BYTE, 0.0), 1.0), np.nan)
    # Floats outside 0…1, such as bytes as floats or normalised images, are stretched to it.
    return np.clip((picture - low) / (high - low), 0, 1)


def natural(picture: np.ndarray) -> dict[str, Any]:
    """Return the scale of a grey picture of one colour, else black: 0 to 1, or that of bytes."""
    finite = picture[np.isfinite(picture)]
    if not finite.size or finite.min() != finite.max():
        return {}
    return {"vmin": 0, "vmax": 1 if 0 <= finite[0] <= 1 and picture.dtype != np.uint8 else BYTE}


def limits(pictures: Iterable[np.ndarray], signed: bool = False) -> tuple[float, float, bool]:
    """Return the (lowest, highest) of a scale for these arrays, and whether it has both signs.

    It is symmetric if it has, and else begins with zero: the palest colour is zero in every picture.
    """
    finite = [picture[np.isfinite(picture)] for picture in pictures]
    values = [value for array in finite if array.size for value in (float(array.min()), float(array.max()))]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if signed or low < 0:
        reach = max(-low, high) or 1.0
        return -reach, reach, True
    return 0.0, high or 1.0, False


def show(
    parts: ModuleType,
    axes: Any,
    picture: np.ndarray,
    style: Mapping[str, Any] | None = None,
    *,
    numbers: float = 0,
) -> None:
    """Draw a picture without axes; write its numbers if it is `numbers` inches wide and they are legible.

    `style` goes to imshow; without it the picture is drawn as a photograph, in grey or in its colours.
    """
    if style is None:
        style = {"cmap": PHOTO} if picture.ndim == 2 else {}
        if picture.ndim == 2:
            style |= natural(picture)
    image = axes.imshow(picture, **style)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.8)
    if numbers and picture.ndim == 2 and max(picture.shape) <= LARGEST_NUMBERED:
        _write_numbers(parts, axes, image, picture, numbers)


def cells(axes: Any, shape: tuple[int, int]) -> None:
    """Draw lines between the cells of a table, so that equal neighbours are told apart."""
    for size, axis in zip(shape, (axes.yaxis, axes.xaxis), strict=True):
        axis.set_ticks(np.arange(1, size) - 0.5, minor=True)
        axis.grid(which="minor", color=CELLS, linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    axes.set_axisbelow(False)


def signs(text: str) -> str:
    """Return a number's text with the minus sign that axes have."""
    return text.replace("-", "\N{MINUS SIGN}")


def scale_bar(
    parts: ModuleType, figure: Any, image: Any, axes: Any, whole: bool = False, **more: Any
) -> None:
    """Draw the scale of an image beside these axes, in whole steps where its values are whole."""
    bar = figure.colorbar(image, ax=axes, aspect=22, pad=0.02, **more)
    bar.outline.set(color=GREY, linewidth=0.8)
    bar.locator = parts.MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=whole)
    bar.update_ticks()


def _write_numbers(parts: ModuleType, axes: Any, image: Any, picture: np.ndarray, inches: float) -> None:
    """Write a picture's values into its pixels, as large as the longest allows."""
    texts = [signs(f"{value:.0f}" if is_whole(picture) else f"{value:.{DIGITS}g}") for value in picture.flat]
    pixel = POINTS * inches / max(picture.shape)
    font = min(pixel / (0.7 * max(map(len, texts)) + 0.4), LARGEST_FONT)
    if font < SMALLEST_FONT:
        return
    cells(axes, picture.shape)
    for (i, j), text in zip(np.ndindex(picture.shape), texts, strict=True):
        colour = parts.ink_on(image.cmap(image.norm(float(picture[i, j]))))
        axes.text(j, i, text, ha="center", va="center", fontsize=font, color=colour)


def is_whole(picture: np.ndarray) -> bool:
    """Whether all values are whole numbers."""
    return bool(np.all(picture == np.round(picture)))


@drawn
def images(
    pictures: Sequence[ArrayLike] | np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    title: str | None = None,
    columns: int | None = None,
    size: float = 1.8,
    numbers: bool = False,
    shared: bool = False,
    signed: bool | None = None,
    cmap: str | None = None,
) -> Any:
    """Show arrays as pictures, side by side.

    Parameters
    ----------
    pictures : sequence of arrays
        Each (h, w), (h, w, 1), or (h, w, 3) for colours, of bytes or of numbers from 0 to 1.
    titles : sequence of str, optional
        One above each picture.
    title : str, optional
        Title above all pictures.
    columns : int, optional
        Pictures in a row; by default up to 8.
    size : float
        Width of a picture in inches.
    numbers : bool
        Write the values into the pixels of pictures with at most 20x20 pixels, if they fit.
    shared : bool
        One scale of values for all pictures, with a bar that shows it; otherwise each has its own.
    signed : bool, optional
        Draw the values red above and blue below zero, as weights and gradients are, even if none of these is
        negative; by default only pictures with negative values are.
    cmap : str, optional
        Name of a matplotlib colour map, such as ``"gray"`` for an image; by default one for signed or for
        other values.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For arrays that are not pictures, or a wrong number of titles.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from cconv.datasets import circle
    >>> figure = images([circle.load_data(), circle.load_data(20)], ["10 pixels", "20 pixels"])
    >>> len(figure.axes)
    2
    """
    where = "images"
    if not isinstance(pictures, Iterable) or isinstance(pictures, memoryview):
        given, pictures = pictures, as_array(where, "pictures", pictures)
        if not pictures.ndim:
            raise TypeError(f"{where}: pictures must be a sequence of arrays, got {given!r:.80}")
    arrays = [as_picture(where, f"pictures[{i}]", array) for i, array in enumerate(pictures)]
    if not arrays:
        raise ValueError(f"{where}: pictures must not be empty")
    names = [] if titles is None else names_of(where, "titles", titles, len(arrays), "picture")
    if finite(where, "size", size) <= 0:
        raise ValueError(f"{where}: size must be a positive number of inches, got {size!r}")
    numbers, shared = arguments.flag(where, "numbers", numbers), arguments.flag(where, "shared", shared)
    signed = None if signed is None else arguments.flag(where, "signed", signed)
    parts = matplotlib_parts(where)
    columns = min(len(arrays), 8) if columns is None else positive_int(where, "columns", columns)
    rows = math.ceil(len(arrays) / columns)
    shape = max(array.shape[0] / array.shape[1] for array in arrays)
    # Space for the pictures' titles, the title above all, and the colour bar.
    height = rows * (size * min(shape, 2) + (0.3 if names else 0.08)) + (0.4 if title else 0.05)
    figure = parts.new(columns * size + (0.7 if shared else 0), height)
    grid = figure.subplots(rows, columns, squeeze=False)
    flat = [array for array in arrays if array.ndim == 2]
    common = limits(flat, bool(signed)) if shared else None
    for number, axes in enumerate(grid.flat):
        if number >= len(arrays):
            axes.axis("off")
            continue
        array = arrays[number]
        low, high, both = common or limits([array], bool(signed))
        style = {"cmap": cmap or (SIGNED if both else UNSIGNED), "vmin": low, "vmax": high}
        show(parts, axes, array, style if array.ndim == 2 else None, numbers=0.95 * size * numbers)
        if names:
            axes.set_title(names[number])
    if shared and flat:
        mapped = next(
            axes.images[0] for axes, array in zip(grid.flat, arrays, strict=False) if array.ndim == 2
        )
        scale_bar(parts, figure, mapped, grid, all(map(is_whole, flat)))
    if title:
        figure.suptitle(title)
    return figure
