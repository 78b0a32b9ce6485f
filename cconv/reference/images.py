"""Rows of a data set are gathered into a batch; images are flipped, moved, brightened, mixed and cut."""

import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray

FAR = 2.0**30  # coordinates are cut at this distance, in pixels, from an image
BESIDE, CHAIN, CHAINS = 8, 64, 256  # terms of a mean: see simd/images/levels.h


def gather_rows(
    source: Array,
    order: Array,
    dtype: DTypeLike,
    rescale: tuple[float, float] | None = None,
    channels_first: bool = False,
) -> Array:
    """Rows of a data set in the given order, as real numbers: ``source[order] * scale + offset``.

    Numbers, product and sum are each rounded to `dtype`, in this order; an offset of zero is
    not added. With `channels_first` the rows of `source` are (c, h, w), those of the result (h, w, c).

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
    """Images x (n, h, w, c), flips (n, 2) -> y: `flips` says whether rows, columns are in reverse order.

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
    size: tuple[int, int] | None = None,
) -> Array:
    """Images x (n, h, w, c) -> y, whose pixel (i, j) is found at another place of x, or between its pixels.

    y is as large as x, or of this `size` (h, w). `at` (n, 2, w + h) holds float64 terms of the places, those
    of the columns of y before those of its rows::

        row    = (at[0, j] + at[0, w + i]) + middle[0]
        column = (at[1, j] + at[1, w + i]) + middle[1]

    y is the sum of the four pixels around the place, weighted by their distances, in float64 and in the
    order upper left, upper right, lower left, lower right (bilinear interpolation); or it is the nearest
    pixel. `fill_mode` says what replaces pixels outside, as in `cconv.layers.RandomTranslation`.

    Examples
    --------
    >>> x = np.array([0.0, 8.0]).reshape(1, 1, 2, 1)
    >>> half = np.array([[[0, 0, 0], [0.25, 1.25, 0]]])  # a quarter of a pixel to the right
    >>> sample(x, half, (0.0, 0.0), "nearest").ravel()
    array([2., 8.])
    """
    n, height, width, channels = x.shape
    pixels = x.reshape(n * height * width, channels)
    size = size or (height, width)
    total = np.zeros(1)
    outside = np.zeros((n, *size))
    for number, (place, weight, lost) in enumerate(
        _taps(at, middle, (height, width), size, fill_mode, interpolation)
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
    size: tuple[int, int] | None = None,
) -> Array:
    """Gradient of `sample` with respect to x: each dy goes to the pixels that its y was a sum of.

    `size` is that of x, if dy has another.

    Examples
    --------
    >>> dy = np.array([4.0, 8.0]).reshape(1, 1, 2, 1)
    >>> half = np.array([[[0, 0, 0], [0.25, 1.25, 0]]])
    >>> sample_backward(dy, half, (0.0, 0.0), "nearest").ravel()
    array([3., 9.])
    """
    n, *places, channels = dy.shape
    height, width = size = size or (places[0], places[1])
    dx = np.zeros((n * height * width, channels), dy.dtype)
    for place, weight, _ in _taps(at, middle, size, (places[0], places[1]), fill_mode, interpolation):
        np.add.at(dx, place, (dy * weight[..., np.newaxis]).astype(dy.dtype))
    return dx.reshape(n, *size, channels)


def _taps(
    at: Array,
    middle: tuple[float, float],
    size: tuple[int, int],
    places: tuple[int, int],
    fill_mode: str,
    interpolation: str,
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield, for all places, the pixels of images of this size, their weights, and the weights outside."""
    height, width = size
    rows, columns = (
        np.clip(
            at[:, axis, np.newaxis, : places[1]] + at[:, axis, places[1] :, np.newaxis] + middle[axis],
            -FAR,
            FAR,
        )
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
    """Return the pixels on both sides of a place along one axis, and their weights."""
    if interpolation == "nearest":
        return [(np.floor(at + 0.5).astype(np.int64), np.ones(at.shape))]
    below = np.floor(at)
    pixel, share = below.astype(np.int64), at - below
    return [(pixel, 1.0 - share), (pixel + 1, share)]


def _standing_for(index: Array, size: int, fill_mode: str) -> Array:
    """Return the pixel that is read for each index."""
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        turned = index % (2 * size)
        return np.minimum(turned, 2 * size - 1 - turned)
    if fill_mode == "wrap":
        return index % size
    return np.clip(index, 0, size - 1)


def brighten(x: Array, delta: Array, low: float, high: float) -> Array:
    """Images x (n, ...), delta (n) -> x + delta, cut to `low` and `high`; a NaN stays NaN.

    Examples
    --------
    >>> brighten(np.array([[0.0, 200.0, 250.0]]), np.array([25.5]), 0, 255)
    array([[ 25.5, 225.5, 255. ]])
    """
    return _between(x + _of_each(delta, x), low, high)


def brighten_backward(dy: Array, y: Array, low: float, high: float) -> Array:
    """Gradient of `brighten`, or of `contrast` without its means, from its y: dy, or 0 where y was cut.

    Examples
    --------
    >>> brighten_backward(np.array([[1.0, 2.0, 3.0]]), np.array([[25.5, 225.5, 255.0]]), 0, 255)
    array([[1., 2., 0.]])
    """
    return np.where((y > dy.dtype.type(low)) & (y < dy.dtype.type(high)), dy, dy.dtype.type(0))


def contrast(x: Array, factor: Array, low: float = -np.inf, high: float = np.inf) -> Array:
    """Images x (n, h, w, c), factor (n) -> (x - m) * factor + m, cut to `low` and `high`.

    m is the mean of the image's channel. It is summed in float64: chains of 64 terms for each of 8
    interleaved pixels (p, p + 8, p + 16, …), chains of 256 of these sums, and then all together.

    With dy in place of x and no limits, this is the gradient with respect to x.

    Examples
    --------
    >>> contrast(np.array([10.0, 20.0]).reshape(1, 1, 2, 1), np.array([1.5])).ravel()
    array([ 7.5, 22.5])
    """
    n, height, width, channels = x.shape
    pixels = height * width
    padded = np.zeros((n, -(-pixels // (BESIDE * CHAIN * CHAINS)) * CHAINS * CHAIN * BESIDE, channels))
    padded[:, :pixels] = x.reshape(n, pixels, channels)
    chains = padded.reshape(n, -1, CHAINS, CHAIN, BESIDE, channels)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = _in_order(_in_order(_in_order(chains, 3), 2), 1)
        while sums.shape[1] > 1:
            half = sums.shape[1] // 2
            sums = sums[:, :half] + sums[:, half:]
        means = (sums / pixels).astype(x.dtype).reshape(n, 1, 1, channels)
        y = (x - means) * _of_each(factor, x) + means
    return _between(y, low, high)


def mix(x: Array, partner: Array, weight: Array) -> Array:
    """Images x (n, ...), partner (n), weight (n) -> weight * x + (1 - weight) * x[partner].

    Examples
    --------
    >>> mix(np.array([[0.0], [8.0]]), np.array([1, 0]), np.array([0.75, 1.0])).ravel()
    array([2., 8.])
    """
    first = _of_each(weight, x)
    return first * x + (x.dtype.type(1) - first) * x[partner]


def paste(x: Array, source: Array, partner: Array, box: Array) -> Array:
    """Images x (n, h, w, c), source (m, h, w, c) -> x, but ``source[partner]`` in the box of each.

    `box` (n, 4) holds the first row, one past the last row, the first column, one past the last column.

    Examples
    --------
    >>> x = np.arange(6.0).reshape(1, 2, 3, 1)
    >>> paste(x, -x, np.array([0]), np.array([[1, 2, 0, 2]]))[0, :, :, 0]
    array([[ 0.,  1.,  2.],
           [-3., -4.,  5.]])
    """
    y = x.copy()
    for image, other, (top, bottom, left, right) in zip(y, source[partner], box, strict=True):
        image[top:bottom, left:right] = other[top:bottom, left:right]
    return y


def crop(x: Array, corner: Array, size: tuple[int, int]) -> Array:
    """Images x (n, h, w, c), corner (n, 2) -> parts of this size; the corner is their first pixel.

    Examples
    --------
    >>> crop(np.arange(6).reshape(1, 2, 3, 1), np.array([[0, 1]]), (2, 2)).ravel()
    array([1, 2, 4, 5])
    """
    height, width = size
    return np.stack(
        [image[top : top + height, left : left + width] for image, (top, left) in zip(x, corner, strict=True)]
    )


def crop_backward(dy: Array, corner: Array, size: tuple[int, int]) -> Array:
    """Gradient dy (n, oh, ow, c) of `crop` -> dx (n, h, w, c) of that size (h, w), zero around the part.

    Examples
    --------
    >>> crop_backward(np.ones((1, 1, 2, 1)), np.array([[0, 1]]), (2, 3))[0, :, :, 0]
    array([[0., 1., 1.],
           [0., 0., 0.]])
    """
    n, height, width, channels = dy.shape
    dx = np.zeros((n, *size, channels), dy.dtype)
    for image, part, (top, left) in zip(dx, dy, corner, strict=True):
        image[top : top + height, left : left + width] = part
    return dx


def _between(y: Array, low: float, high: float) -> Array:
    least, most = y.dtype.type(low), y.dtype.type(high)
    return np.where(y > most, most, np.where(y < least, least, y))


def _of_each(numbers: Array, x: Array) -> Array:
    """Return the numbers, one for each image, in x's dtype and with x's rank."""
    return numbers.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def _in_order(terms: Array, axis: int) -> Array:
    """Return the sum along an axis, from the first term to the last."""
    first, *others = np.moveaxis(terms, axis, 0)
    return functools.reduce(np.add, others, first + 0.0)  # a sum begins with 0, so it is never -0
