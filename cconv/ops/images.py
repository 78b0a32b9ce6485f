"""Rows of a data set gathered, images flipped and sampled: one function per kernel, arguments checked."""

from typing import NamedTuple

import numpy as np

from cconv.kernels import images as loops
from cconv.ops.run import Run
from cconv.threads import threads_for

Array = np.ndarray

# What a data set may hold, in the order of simd/rows/table.h; a bool is a byte.
KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")
FILLS = ("reflect", "wrap", "nearest", "constant")
INTERPOLATIONS = ("bilinear", "nearest")

SERIAL_PIXELS = 2_048  # sampled, under which a parallel region costs more than it saves

_kinds = {np.dtype(kind): number for number, kind in enumerate(KINDS)} | {np.dtype(bool): 0}


class Sampling(NamedTuple):
    """How images are sampled: see `cconv.reference.sample`."""

    middle: tuple[float, float]
    fill_mode: str
    interpolation: str
    fill_value: float


def rows_of(source: Array) -> Array | None:
    """Return the memory of a data set (n, ...) as bytes (n, row), for `gather_rows`, if it has such.

    Each row must be one piece of native, aligned items; the rows themselves may lie anywhere. None for
    any other memory.

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

    With more than one channel the rows of the source are (channels, pixels), those of out (pixels, channels).
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
        offset or -0.0,  # which leaves even a negative zero as it is
    )
    return out


def flip(x: Array, flips: Array, tag: str, run: Run) -> Array:
    """Images x (n, h, w, c), flips (n, 2) of bytes -> x with the rows, and the columns, reversed."""
    y = run.empty(tag, x.shape, x.dtype)
    loops.flip(x, flips, y, threads_for(x.size))
    return y


def sample(x: Array, at: Array, how: Sampling, run: Run) -> Array:
    """Images x (n, h, w, c), at (n, 2, w + h) -> y (n, h, w, c)."""
    y = run.empty("y", x.shape, x.dtype)
    fill, bilinear = FILLS.index(how.fill_mode), how.interpolation == "bilinear"
    threads = threads_for(x.size, SERIAL_PIXELS)
    loops.sample(x, at, y, how.middle, fill, bilinear, how.fill_value, threads)
    return y


def sample_backward(dy: Array, at: Array, how: Sampling, run: Run) -> Array:
    """Gradient dy (n, h, w, c) of what `sample` returned, at (n, 2, w + h) -> dx (n, h, w, c)."""
    dx = run.empty("dx", dy.shape, dy.dtype)
    fill, bilinear = FILLS.index(how.fill_mode), how.interpolation == "bilinear"
    loops.sample_backward(dy, at, dx, how.middle, fill, bilinear, threads_for(dy.size, SERIAL_PIXELS))
    return dx
