"""Weak outputs, in which Winograd's algorithm would round too much; direct sums replace them.

The algorithm mixes the values of a tile. So the rounding errors of its largest value reach all its outputs,
also those that see only small values; a value that is not finite spoils them all. An output is *weak* if
the tile's largest value is out of range, or more than `RANGE` times the largest that the output sees. Its sum
is computed directly. Only the tile decides. ::

    weak = max |tile| > RANGE * max |pixels that the output sees|     or     max |tile| >= LIMITS

So the error of an output is at most a small number times
eps * RANGE * (max |x| of what it sees) * (sum |kernel| of its filter).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

RANGE = 256.0
# What is out of range, and what counts as zero, by item size; wider items have the limits of float64.
LIMITS = {4: 2.0**60, 8: 2.0**500}
TINY = {4: 2.0**-60, 8: 2.0**-500}


def sizes_of(pixels: np.ndarray) -> np.ndarray:
    """Return the largest absolute value of each pixel (..., channels), infinity if one is NaN."""
    sizes = np.max(np.abs(pixels.astype(np.float64)), axis=-1)
    return np.where(np.isnan(sizes), np.inf, sizes)


def _seen(sizes: np.ndarray, taps: int) -> np.ndarray:
    """Return the largest value that each output sees; sizes (..., rows, columns) -> (..., rows, columns)."""
    return np.max(sliding_window_view(sizes, (taps, taps), axis=(-2, -1)), axis=(-2, -1))


def weak_outputs(tiles: np.ndarray, taps: int) -> np.ndarray:
    """Return which outputs (..., out, out) of tiles (..., size, size, channels) are weak.

    Examples
    --------
    >>> tile = np.ones((6, 6, 1))
    >>> tile[0, 0] = -9999
    >>> weak_outputs(tile, 3).astype(int)
    array([[0, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 1, 1, 1]])
    """
    sizes, item = sizes_of(tiles), min(tiles.dtype.itemsize, 8)
    top = np.max(sizes, axis=(-2, -1), keepdims=True)
    return (top > TINY[item]) & ((top >= LIMITS[item]) | (top > RANGE * _seen(sizes, taps)))


def plain_sums(tiles: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return the direct sums (..., out, out, f) of tiles (..., size, size, c), kernel (taps, taps, c, f)."""
    windows = sliding_window_view(tiles, kernel.shape[:2], axis=(-3, -2))
    return np.einsum("...cuv,uvcf->...f", windows, kernel)


def stands_apart(tile: np.ndarray, dtile: np.ndarray, inside: np.ndarray) -> bool:
    """Whether a weight gradient leaves a tile out of its sum, and adds its products directly.

    tile (size, size, c) of x, dtile (out, out, f) of dy; inside (size, size): which pixels of the tile are
    not padding. The tile is left out if some tap sees much less of x and dy than another: if its largest
    product of a pixel of each is less than 1 / `RANGE` of max |tile| * max |dtile|.
    """
    x, dy, item, out = sizes_of(tile), sizes_of(dtile), min(tile.dtype.itemsize, 8), len(dtile)
    top, dtop = x.max(), dy.max()
    if max(top, dtop) >= LIMITS[item]:
        return True
    if min(top, dtop) <= TINY[item]:
        return False
    products = np.where(inside, x, 0.0)
    shifts = range(len(x) - out + 1)
    seen = min(np.max(products[u : u + out, v : v + out] * dy) for u in shifts for v in shifts)
    return bool(top * dtop > RANGE * seen)
