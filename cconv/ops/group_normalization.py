"""Groups of channels of samples x (n, m, c), each normalised by its own statistics."""

import numpy as np

from cconv.kernels import group_normalization as between
from cconv.kernels import normalization as loops
from cconv.ops.normalization import CHUNK
from cconv.ops.run import SERIAL_COSTLY, Array, Run
from cconv.threads import threads_for


def _rows(x: Array) -> int:
    """Pixels of a task."""
    return max(1, CHUNK // x.shape[2])


def _partial(x: Array, run: Run) -> Array:
    n, m, c = x.shape
    chunks = -(-m // _rows(x))
    return (
        run.scratch(max(n, 1) * chunks * 2 * c * 8)
        .view(np.float64)[: n * chunks * 2 * c]
        .reshape(n, chunks, 2, c)
    )


def normalize(
    x: Array, gamma: Array | None, beta: Array | None, groups: int, epsilon: float, run: Run
) -> tuple[Array, Array, Array, Array]:
    """Normalize x (n, m, c), gamma, beta (c) -> y (n, m, c), and what `normalize_backward` needs.

    That is mean and scale of each channel (n, c), and 1 / deviation of each group (n, groups) in float64.
    """
    n, _, c = x.shape
    y = run.empty("y", x.shape, x.dtype)
    mean, scale, shift = (run.empty(tag, (n, c), x.dtype) for tag in ("mean", "scale", "shift"))
    inverse = run.empty("inverse", (n, groups), np.float64)
    partial, rows, threads = _partial(x, run), _rows(x), threads_for(x.size)
    run.call(loops.statistics, x, partial, rows, threads)
    few = threads_for(partial.size, SERIAL_COSTLY)
    run.call(between.statistics, partial, x, gamma, beta, epsilon, mean, scale, shift, inverse, few)
    run.call(loops.apply, x, mean, scale, shift, 0.0, y, rows, threads)
    return y, mean, scale, inverse


def normalize_backward(
    dy: Array,
    x: Array,
    gamma: Array | None,
    mean: Array,
    scale: Array,
    inverse: Array,
    run: Run,
    need_dx: bool = True,
) -> tuple[Array | None, Array, Array]:
    """dy, x (n, m, c), gamma (c), what `normalize` kept -> dx (n, m, c), dgamma, dbeta (c)."""
    n, m, c = x.shape
    slope, shift = (run.empty(tag, (n, c), x.dtype) for tag in ("slope", "back shift"))
    dgamma, dbeta = (run.empty(tag, (c,), x.dtype) for tag in ("dgamma", "dbeta"))
    partial, rows, threads = _partial(x, run), _rows(x), threads_for(x.size)
    run.call(loops.gradient_sums, dy, x, mean, scale, scale, 0.0, partial, rows, threads)
    few = threads_for(partial.size, SERIAL_COSTLY)
    run.call(between.slopes, partial, inverse, m, slope, shift, dgamma, dbeta, gamma, few)
    if not need_dx:
        return None, dgamma, dbeta
    dx = run.empty("dx", x.shape, x.dtype)
    run.call(loops.input_gradient, dy, x, mean, scale, scale, 0.0, slope, shift, dx, rows, threads)
    return dx, dgamma, dbeta
