"""Rows of a data set as a batch, and images mirrored, shifted and turned."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray

FAR = 2.0**30  # pixels off an image, beyond which places are not told apart


def gather_rows(
    source: Array,
    order: Array,
    dtype: DTypeLike,
    rescale: tuple[float, float] | None = None,
    channels_first: bool = False,
) -> Array:
    """Rows of a data set in that order, as real numbers: ``source[order] * scale + offset``.

    The numbers are rounded to `dtype` first, then the product, then the sum; an offset of zero is
    not added. With `channels_first` the rows of `source` are (c, h, w) and those of the result (h, w, c).

    Examples
    --------
    >>> gather_rows(np.array([[0, 255], [51, 0]], np.uint8), np.array([1, 0]), "float64", (1 / 255, 0.5))
    array([[0.7, 0.5],
           [0.5, 1.5]])
    """
    rows = source[order]
    if channels_first:
        rows = np.moveaxis(rows, 1, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        batch = np.ascontiguousarray(rows).astype(dtype)
        if rescale is not None:
            scale, offset = (batch.dtype.type(number) for number in rescale)
            batch *= scale
            if rescale[1]:
                batch += offset
    return batch


def flip(x: Array, flips: Array) -> Array:
    """Images x (n, h, w, c), flips (n, 2) -> y: rows, and columns, in reverse order where `flips` says so.

    Examples
    --------
    >>> flip(np.array([1, 2]).reshape(1, 1, 2, 1), np.array([[False, True]])).ravel()
    array([2, 1])
    """
    return np.stack(
        [
            image[:: -1 if rows else 1, :: -1 if columns else 1]
            for image, (rows, columns) in zip(x, flips, strict=True)
        ]
    )


def sample(
    x: Array,
    at: Array,
    middle: tuple[float, float],
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    fill_value: float = 0.0,
) -> Array:
    """Images x (n, h, w, c) -> y, whose pixel (i, j) is found at another place of x, or between its pixels.

    `at` (n, 2, w + h) holds float64 terms of the places, those of the columns before those of the rows::

        row    = (at[0, j] + at[0, w + i]) + middle[0]
        column = (at[1, j] + at[1, w + i]) + middle[1]

    y is the sum of the four pixels around the place, weighted by how near they are, in float64 and in the
    order upper left, upper right, lower left, lower right (bilinear interpolation); or the pixel that is
    nearest. `fill_mode` says what stands for pixels outside, as in `cconv.layers.RandomTranslation`.

    Examples
    --------
    >>> x = np.array([0.0, 8.0]).reshape(1, 1, 2, 1)
    >>> half = np.array([[[0, 0, 0], [0.25, 1.25, 0]]])  # a quarter of a pixel to the right
    >>> sample(x, half, (0.0, 0.0), "nearest").ravel()
    array([2., 8.])
    """
    n, height, width, channels = x.shape
    pixels = x.reshape(n * height * width, channels)
    total = np.zeros(1)
    outside = np.zeros((n, height, width))
    for number, (place, weight, lost) in enumerate(
        _taps(at, middle, (height, width), fill_mode, interpolation)
    ):
        term = pixels[place] * weight[..., np.newaxis]
        total = total + term if number else term
        outside = outside + lost
    if fill_mode == "constant":
        total = total + fill_value * outside[..., np.newaxis]
    return total.astype(x.dtype)


def sample_backward(
    dy: Array,
    at: Array,
    middle: tuple[float, float],
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
) -> Array:
    """Gradient of `sample` with respect to x: each dy goes to the pixels whose weighted sum its y was.

    Examples
    --------
    >>> dy = np.array([4.0, 8.0]).reshape(1, 1, 2, 1)
    >>> half = np.array([[[0, 0, 0], [0.25, 1.25, 0]]])
    >>> sample_backward(dy, half, (0.0, 0.0), "nearest").ravel()
    array([3., 9.])
    """
    n, height, width, channels = dy.shape
    dx = np.zeros((n * height * width, channels), dy.dtype)
    for place, weight, _ in _taps(at, middle, (height, width), fill_mode, interpolation):
        np.add.at(dx, place, (dy * weight[..., np.newaxis]).astype(dy.dtype))
    return dx.reshape(dy.shape)


def _taps(
    at: Array, middle: tuple[float, float], size: tuple[int, int], fill_mode: str, interpolation: str
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield, each (n, h, w), pixels of the batch, their weights, and the weight of those that lie outside."""
    height, width = size
    rows, columns = (
        np.clip(at[:, axis, np.newaxis, :width] + at[:, axis, width:, np.newaxis] + middle[axis], -FAR, FAR)
        for axis in (0, 1)
    )
    first = np.arange(len(at))[:, np.newaxis, np.newaxis] * height
    for row, row_weight in _around(rows, interpolation):
        for column, column_weight in _around(columns, interpolation):
            weight = row_weight * column_weight
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            kept = weight * inside if fill_mode == "constant" else weight
            place = (first + _standing_for(row, height, fill_mode)) * width
            yield place + _standing_for(column, width, fill_mode), kept, weight - kept


def _around(at: Array, interpolation: str) -> list[tuple[Array, Array]]:
    """Return the pixels between which a place lies along one axis, and their weights."""
    if interpolation == "nearest":
        return [(np.floor(at + 0.5).astype(np.int64), np.ones(at.shape))]
    below = np.floor(at)
    pixel, share = below.astype(np.int64), at - below
    return [(pixel, 1.0 - share), (pixel + 1, share)]


def _standing_for(index: Array, size: int, fill_mode: str) -> Array:
    """Return the pixel that stands for each index."""
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        turned = index % (2 * size)
        return np.minimum(turned, 2 * size - 1 - turned)
    if fill_mode == "wrap":
        return index % size
    return np.clip(index, 0, size - 1)
