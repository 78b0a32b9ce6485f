"""Rows of a data set are gathered, and images changed: one function per kernel, arguments already checked."""

from typing import NamedTuple

import numpy as np

from cconv.kernels import images as loops
from cconv.ops.run import Run
from cconv.threads import threads_for

Array = np.ndarray

# Numbers that a data set may hold, in the order of simd/rows/table.h; a bool is a byte.
KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")
FILLS = ("reflect", "wrap", "nearest", "constant")
INTERPOLATIONS = ("bilinear", "nearest")

SERIAL_PIXELS = 2_048  # with fewer sampled pixels, a parallel region costs more than it saves

_kinds = {np.dtype(kind): number for number, kind in enumerate(KINDS)} | {np.dtype(bool): 0}


class Sampling(NamedTuple):
    """How images are sampled: see `cconv.reference.sample`."""

    middle: tuple[float, float]
    fill_mode: str
    interpolation: str
    fill_value: float


def rows_of(source: Array) -> Array | None:
    """Return the memory of a data set (n, ...) as bytes (n, row), for `gather_rows`, or None.

    Each row must be one piece of native, aligned items; the rows themselves may lie anywhere. Otherwise
    the result is None.

    Examples
    --------
    >>> rows_of(np.zeros((6, 2, 3), np.int16)[::2]).shape
    (3, 12)
    """
    if source.dtype not in _kinds or not source.dtype.isnative or not source.flags.aligned:
        return None
    if not source[:1].flags.c_contiguous:
        return None
    return np.lib.stride_tricks.as_strided(
        source[:1].reshape(-1).view(np.ndarray).view(np.uint8),
        (len(source), source[:1].nbytes),
        (source.strides[0], 1),
        writeable=False,
    )


def gather_rows(
    source: Array,
    kind: np.dtype,
    order: Array | None,
    out: Array,
    rescale: tuple[float, float] | None = None,
    channels: int = 1,
) -> Array:
    """Bytes source (n, row) of items of that kind, order (m) or None -> out (m, ...), which is returned.

    With more than one channel, rows of the source are (channels, pixels), those of out (pixels, channels).
    """
    scale, offset = (1.0, 0.0) if rescale is None else rescale
    loops.gather(
        source,
        None if order is None else order.astype(np.int64, copy=False),
        out.reshape(len(out), -1),
        _kinds[kind],
        kind.itemsize,
        channels,
        scale,
        offset or -0.0,  # + -0.0 keeps even a negative zero as it is
    )
    return out


def flip(x: Array, flips: Array, tag: str, run: Run) -> Array:
    """Images x (n, h, w, c), flips (n, 2) of bytes: whether rows, columns are reversed -> y (n, h, w, c)."""
    y = run.empty(tag, x.shape, x.dtype)
    run.call(loops.flip, x, flips, y, threads_for(x.size))
    return y


def sample(x: Array, at: Array, how: Sampling, run: Run, size: tuple[int, int] | None = None) -> Array:
    """Images x (n, h, w, c), at (n, 2, ow + oh) -> y (n, oh, ow, c); `size`: (oh, ow), default (h, w)."""
    y = run.empty("y", (len(x), *(size or x.shape[1:3]), x.shape[-1]), x.dtype)
    fill, bilinear = FILLS.index(how.fill_mode), how.interpolation == "bilinear"
    threads = threads_for(y.size, SERIAL_PIXELS)
    run.call(loops.sample, x, at, y, how.middle, fill, bilinear, how.fill_value, threads)
    return y


def sample_backward(
    dy: Array, at: Array, how: Sampling, run: Run, size: tuple[int, int] | None = None
) -> Array:
    """Gradient dy and `at` of `sample`, and the images' `size`, if it is not that of dy -> dx."""
    dx = run.empty("dx", (len(dy), *(size or dy.shape[1:3]), dy.shape[-1]), dy.dtype)
    fill, bilinear = FILLS.index(how.fill_mode), how.interpolation == "bilinear"
    threads = threads_for(dy.size, SERIAL_PIXELS)
    run.call(loops.sample_backward, dy, at, dx, how.middle, fill, bilinear, threads)
    return dx


def brighten(x: Array, delta: Array, limits: tuple[float, float], run: Run) -> Array:
    """Images x (n, ...), delta (n) -> y (n, ...) = x + delta, cut to `limits` (low, high)."""
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.brighten, _flat(x), delta, _flat(y), *limits, threads_for(x.size))
    return y


def brighten_backward(dy: Array, y: Array, limits: tuple[float, float], run: Run) -> Array:
    """Gradient dy and outputs y (n, ...) of `brighten` -> dx (n, ...): dy where low < y < high, else 0."""
    dx = run.empty("dx", dy.shape, dy.dtype)
    run.call(loops.brighten_backward, _flat(dy), _flat(y), _flat(dx), *limits, threads_for(dy.size))
    return dx


def contrast(x: Array, factor: Array, limits: tuple[float, float], tag: str, run: Run) -> Array:
    """Images x (n, h, w, c), factor (n) -> y = (x - mean of the channel) * factor + mean, cut to `limits`."""
    y = run.empty(tag, x.shape, x.dtype)
    shape = (len(x), -1, x.shape[-1])
    run.call(loops.contrast, x.reshape(shape), factor, y.reshape(shape), *limits, threads_for(x.size))
    return y


def mix(x: Array, partner: Array, weight: Array, run: Run) -> Array:
    """Images or labels x (n, ...), partner (n), weight (n) -> weight * x + (1 - weight) * x[partner]."""
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.mix, _flat(x), partner, weight, _flat(y), threads_for(x.size))
    return y


def paste(x: Array, source: Array, partner: Array, box: Array, tag: str, run: Run) -> Array:
    """Images x, source (.., h, w, c) -> x, but source[partner] in the box (n, 4): see `reference.paste`."""
    y = run.empty(tag, x.shape, x.dtype)
    run.call(loops.paste, x, source, partner, box, y, threads_for(x.size))
    return y


def crop(x: Array, corner: Array, size: tuple[int, int], run: Run) -> Array:
    """Images x (n, h, w, c), corner (n, 2) -> y (n, *size, c), whose first pixel is at the corner."""
    y = run.empty("y", (len(x), *size, x.shape[-1]), x.dtype)
    run.call(loops.crop, x, corner, y, threads_for(y.size))
    return y


def crop_backward(dy: Array, corner: Array, size: tuple[int, int], run: Run) -> Array:
    """Gradient dy (n, oh, ow, c) of `crop`, corner (n, 2), the images' `size` -> dx (n, *size, c)."""
    dx = run.empty("dx", (len(dy), *size, dy.shape[-1]), dy.dtype)
    run.call(loops.crop_backward, dy, corner, dx, threads_for(dx.size))
    return dx


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1)
