"""Rows x (m, c), normalised or scaled channel by channel: one function per kernel, arguments already checked.

Sums are in float64 over chunks of rows that depend on shapes alone, added in their order.
"""

from typing import NamedTuple

import numpy as np

from cconv.kernels import normalization as loops
from cconv.ops.run import Run
from cconv.threads import threads_for

Array = np.ndarray

CHUNK = 16_384  # elements of a task: some tens of microseconds of work


def _rows(x: Array) -> int:
    """Rows of a task."""
    return max(1, CHUNK // x.shape[1])


def _partial(x: Array, run: Run) -> Array:
    chunks, c = -(-x.shape[0] // _rows(x)), x.shape[1]
    return run.scratch(chunks * 2 * c * 8).view(np.float64).reshape(chunks, 2, c)


def sums(x: Array, run: Run) -> Array:
    """Rows x (m, c) -> in scratch (chunks, 2, c), float64: sums of x - x[0] and of its squares.

    Because x[0] is subtracted, they do not cancel where the mean is large.
    """
    partial = _partial(x, run)
    run.call(loops.statistics, x[np.newaxis], partial[np.newaxis], _rows(x), threads_for(x.size))
    return partial


def statistics(x: Array, run: Run) -> tuple[Array, Array]:
    """Rows x (m, c) -> mean, variance (c) in float64."""
    total, squares = sums(x, run).sum(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinities pass
        distance = total / len(x)
        return x[0] + distance, np.maximum(squares / len(x) - distance * distance, 0)


def apply(x: Array, mean: Array, scale: Array, shift: Array, cap: float, run: Run, tag: str = "y") -> Array:
    """Rows x (m, c), mean, scale, shift (c) -> y (m, c) = (x - mean) * scale + shift, then ReLU up to `cap`.

    If `cap` is 0 there is no ReLU; if it is infinite, the ReLU is not cut.
    """
    y = run.empty(tag, x.shape, x.dtype)
    vectors = (v[np.newaxis] for v in (mean, scale, shift))
    run.call(loops.apply, x[np.newaxis], *vectors, cap, y[np.newaxis], _rows(x), threads_for(x.size))
    return y


class Normalized(NamedTuple):
    """What was computed from rows x (m, c): (x - mean) * scale + shift, each (c), then a ReLU up to `cap`."""

    mean: Array
    scale: Array
    shift: Array
    cap: float = 0.0


def gradient_sums(dy: Array, x: Array, what: Normalized, run: Run) -> Array:
    """Rows dy, x (m, c) -> in scratch (chunks, 2, c), float64: sums of dz and of dz * (x - mean).

    dz is dy in front of the ReLU, if there is one.
    """
    partial = _partial(x, run)
    vectors = (v[np.newaxis] for v in what[:3])
    how = (what.cap, partial[np.newaxis], _rows(x), threads_for(x.size))
    run.call(loops.gradient_sums, dy[np.newaxis], x[np.newaxis], *vectors, *how)
    return partial


def input_gradient(dy: Array, x: Array, what: Normalized, slope: Array, less: Array, run: Run) -> Array:
    """Rows dy, x (m, c), slope, less (c) -> dx (m, c) = dz * scale - (x - mean) * slope - less.

    dz is as in `gradient_sums`.
    """
    dx = run.empty("dx", dy.shape, dy.dtype)
    mean, scale, shift, slope, less = (v[np.newaxis] for v in (*what[:3], slope, less))
    arrays = dy[np.newaxis], x[np.newaxis], mean, scale, shift, what.cap, slope, less, dx[np.newaxis]
    run.call(loops.input_gradient, *arrays, _rows(x), threads_for(x.size))
    return dx


def scale_gradient(dy: Array, x: Array, mean: Array, run: Run) -> Array:
    """Rows dy, x (m, c), mean (c) -> (c): the sums of dy * (x - mean), in the dtype of x."""
    partial = gradient_sums(dy, x, Normalized(mean, mean, mean), run)
    both = run.empty("dscale", (2, x.shape[1]), x.dtype)
    run.call(loops.add_chunks, partial, both)
    return both[1]
