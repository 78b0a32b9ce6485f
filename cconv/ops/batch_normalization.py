"""Rows x (m, c), each channel normalised by its statistics over the batch, or by the moving ones."""

from typing import NamedTuple

import numpy as np

from cconv.kernels import batch_normalization as between
from cconv.kernels import normalization as loops
from cconv.ops import normalization, shards
from cconv.ops.run import SERIAL_WORK, Array, Run
from cconv.threads import threads_for


class Scales(NamedTuple):
    """What normalises channels: y = (x - mean) * scale + shift; inverse, in float64, is 1 / deviation."""

    mean: Array
    scale: Array
    shift: Array
    inverse: Array


class Slopes(NamedTuple):
    """Gradients of gamma and beta, and dx = dy * scale - (x - mean) * slope - shift, each (c)."""

    dgamma: Array
    dbeta: Array
    slope: Array
    shift: Array


def of_batch(
    x: Array,
    gamma: Array | None,
    beta: Array | None,
    moving: tuple[Array, Array],
    momentum: float,
    epsilon: float,
    run: Run,
) -> Scales:
    """Rows x (m, c), gamma, beta (c) -> what normalises them; updates the moving mean and variance."""
    if run.cut is None:
        partial, first, m = normalization.sums(x, run), x[0], len(x)
    else:
        partial, first, m = sums_by_shard(x, run)
    mean, scale, shift = (run.empty(tag, x.shape[1:], x.dtype) for tag in ("mean", "scale", "shift"))
    inverse = run.empty("inverse", x.shape[1:], np.float64)
    made = Scales(mean, scale, shift, inverse)
    run.call(between.statistics, partial, first, m, gamma, beta, epsilon, momentum, *moving, *made)
    return made


def of_moving(
    gamma: Array | None, beta: Array | None, moving: tuple[Array, Array], epsilon: float, run: Run
) -> Scales:
    """Return what normalises by the moving mean and variance (c), with gamma, beta (c)."""
    mean, variance = moving
    scale, shift = (run.empty(tag, mean.shape, mean.dtype) for tag in ("scale", "shift"))
    inverse = run.empty("inverse", mean.shape, np.float64)
    if run.training:  # until the backward pass another use of the layer may change the moving mean
        mean = run.empty("mean", mean.shape, mean.dtype)
        run.call(np.copyto, mean, moving[0])
    run.call(between.kept_statistics, variance, gamma, beta, epsilon, scale, shift, inverse)
    return Scales(mean, scale, shift, inverse)


def fold(
    weights: tuple[Array | None, Array | None],
    moving: tuple[Array, Array],
    epsilon: float,
    kernel: Array | None,
    bias: Array | None,
    run: Run,
) -> tuple[Array, Array, Array | None]:
    """Gamma, beta, moving mean and variance (c), bias (c), kernel (…, c) -> scale, shift (c), folded (…, c).

    The normalisation of x kernel + bias is x folded + shift; folded is kernel * scale.
    """
    mean = moving[0]
    scale, shift = (run.empty(tag, mean.shape, mean.dtype) for tag in ("scale", "shift"))
    rows = folded = None
    if kernel is not None:
        rows = kernel.reshape(-1, len(mean))
        folded = run.empty("folded", rows.shape, mean.dtype)
    threads = threads_for(0 if rows is None else rows.size, SERIAL_WORK)
    run.call(between.fold, *moving, *weights, epsilon, rows, bias, folded, scale, shift, threads)
    return scale, shift, None if kernel is None or folded is None else folded.reshape(kernel.shape)


def sums_by_shard(x: Array, run: Run) -> tuple[Array, Array, int]:
    """Rows x (m, c) of this process's samples -> partial (S, 2, c), first (c), number of rows of the batch.

    partial: the sums of x - first and of its squares over each shard; first: the first row of the batch.
    """
    cut, each = run.cut, len(x) // max(len(run.cut.here), 1)
    moments = shards.begin("moments", 3, x.shape[1], run)
    for shard in cut.filled:
        part = x[cut.rows(shard, each)]
        run.call(np.copyto, moments[shard, 0], part[0])
        run.call(loops.add_chunks, normalization.sums(part, run), moments[shard, 1:])
    shards.gather(moments, run)
    partial = run.empty("partial", (cut.shards, 2, x.shape[1]), np.float64)
    first = run.empty("first", x.shape[1:], x.dtype)
    rows = np.diff(cut.bounds)[:, np.newaxis] * float(each)
    run.call(_from_first, moments, rows, partial, first)
    return partial, first, cut.total * each


def _from_first(moments: Array, rows: Array, partial: Array, first: Array) -> None:
    """Moments (S, 3, c), rows (S, 1) -> partial (S, 2, c), first (c): sums of distances from the first row.

    The moments of a shard are its own first row, and the sums of distances from it and of their squares.
    """
    own, sums, squares = moments[:, 0], moments[:, 1], moments[:, 2]
    begin = int(np.argmax(rows > 0))
    first[...] = own[begin]
    with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinities pass
        apart = own - own[begin]
        partial[:, 0] = sums + rows * apart
        partial[:, 1] = squares + apart * (2.0 * sums + rows * apart)
    partial[rows[:, 0] == 0] = 0.0


def gradient_sums(dy: Array, x: Array, what: normalization.Normalized, run: Run) -> tuple[Array, int]:
    """Rows dy, x (m, c) -> `normalization.gradient_sums`, by shard if `run.cut`, and rows of the batch."""
    cut = run.cut
    if cut is None:
        return normalization.gradient_sums(dy, x, what, run), len(x)
    each = len(x) // max(len(cut.here), 1)
    partial = shards.begin("products", 2, x.shape[1], run)
    for shard in cut.filled:
        rows = cut.rows(shard, each)
        run.call(loops.add_chunks, normalization.gradient_sums(dy[rows], x[rows], what, run), partial[shard])
    shards.gather(partial, run)
    return partial, cut.total * each


def slopes(partial: Array, m: int, scales: Scales, run: Run) -> Slopes:
    """Partial (chunks, 2, c) of `normalization.gradient_sums` over m rows -> the slopes."""
    scale = scales.scale
    found = [run.empty(tag, scale.shape, scale.dtype) for tag in ("dgamma", "dbeta", "slope", "back shift")]
    run.call(between.slopes, partial, scale, scales.inverse, m, *found)
    return Slopes(*found)
