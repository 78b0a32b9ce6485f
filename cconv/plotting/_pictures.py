"""Arrays as pictures in a grid; the other pictures use this."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.arrays import as_array
from cconv.arguments.numbers import positive_int

# Okabe & Ito 2008, "Color universal design".
BLUE, ORANGE, VERMILLION, GREY = "#0072b2", "#e69f00", "#d55e00", "#595959"
SIGNED, UNSIGNED, PHOTO = "RdBu_r", "viridis", "gray"
DIGITS = 3  # significant digits of numbers in pixels
LARGEST_NUMBERED = 20  # largest height and width, in pixels, at which numbers in them are legible
POINTS = 72  # points per inch; font sizes are in points
SMALLEST_FONT, LARGEST_FONT = 5.5, 10.0


def matplotlib_parts(where: str) -> ModuleType:
    """Return the module `_figure`; without matplotlib raise an ImportError that says how to install it."""
    try:
        from cconv.plotting import _figure
    except ImportError as error:
        raise ImportError(f"plotting.{where} needs matplotlib: pip install 'cconv[plot]'") from error
    return _figure


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
    low, high = float(picture.min()), float(picture.max())
    # Floats outside 0…1, such as bytes as floats or normalised images, are stretched to it.
    return picture if low >= 0 and high <= 1 else (picture - low) / max(high - low, 1e-12)


def limits(pictures: Iterable[np.ndarray]) -> tuple[float, float, bool]:
    """Return (lowest, highest, whether any is negative) of the arrays' values; limits are symmetric if so."""
    finite = [picture[np.isfinite(picture)] for picture in pictures]
    values = [value for array in finite if array.size for value in (float(array.min()), float(array.max()))]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low < 0:
        reach = max(-low, high)
        return -reach, reach, True
    return low, high if high > low else low + 1, False


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
    drawn = axes.imshow(picture, interpolation="nearest", **style)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GREY)
    if numbers and picture.ndim == 2 and max(picture.shape) <= LARGEST_NUMBERED:
        _write_numbers(parts, axes, drawn, picture, numbers)


def _write_numbers(parts: ModuleType, axes: Any, drawn: Any, picture: np.ndarray, inches: float) -> None:
    """Write a picture's values into its pixels, as large as the longest number allows."""
    whole = bool(np.all(picture == np.round(picture)))
    texts = [f"{value:.0f}" if whole else f"{value:.{DIGITS}g}" for value in picture.flat]
    pixel = POINTS * inches / max(picture.shape)
    font = min(pixel / (0.7 * max(map(len, texts)) + 0.4), LARGEST_FONT)
    if font < SMALLEST_FONT:
        return
    for (i, j), text in zip(np.ndindex(picture.shape), texts, strict=True):
        bright = parts.luminance(drawn.cmap(drawn.norm(float(picture[i, j])))) > 0.5
        colour = "black" if bright else "white"
        axes.text(j, i, text, ha="center", va="center", fontsize=font, color=colour)


def images(
    pictures: Sequence[ArrayLike] | np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    title: str | None = None,
    columns: int | None = None,
    size: float = 1.8,
    numbers: bool = False,
    shared: bool = False,
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
        Whether all pictures have a common scale of values, with a colour bar, or each its own.
    cmap : str, optional
        Name of a matplotlib colour map; by default one for signed or for other values.

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
        pictures = as_array(where, "pictures", pictures)
    arrays = [as_picture(where, f"pictures[{i}]", array) for i, array in enumerate(pictures)]
    if not arrays:
        raise ValueError(f"{where}: pictures must not be empty")
    if titles is not None and len(titles) != len(arrays):
        raise ValueError(f"{where}: titles must be {len(arrays)}, one a picture, got {len(titles)}")
    parts = matplotlib_parts(where)
    columns = min(len(arrays), 8) if columns is None else positive_int(where, "columns", columns)
    rows = math.ceil(len(arrays) / columns)
    shape = max(array.shape[0] / array.shape[1] for array in arrays)
    # Space for the pictures' titles, the title above all, and the colour bar.
    height = rows * (size * min(shape, 2) + (0.3 if titles else 0.08)) + (0.4 if title else 0.05)
    figure = parts.new(columns * size + (0.7 if shared else 0), height)
    grid = figure.subplots(rows, columns, squeeze=False)
    common = limits(array for array in arrays if array.ndim == 2) if shared else None
    for number, axes in enumerate(grid.flat):
        if number >= len(arrays):
            axes.axis("off")
            continue
        low, high, signed = common or limits([arrays[number]])
        style = {"cmap": cmap or (SIGNED if signed else UNSIGNED), "vmin": low, "vmax": high}
        show(
            parts,
            axes,
            arrays[number],
            style if arrays[number].ndim == 2 else None,
            numbers=0.95 * size * numbers,
        )
        if titles:
            axes.set_title(titles[number], fontsize=10)
    if shared and common is not None and any(array.ndim == 2 for array in arrays):
        drawn = next(
            axes.images[0] for axes in grid.flat if axes.images and axes.images[0].get_array().ndim == 2
        )
        figure.colorbar(drawn, ax=grid, shrink=0.9, aspect=25)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure
