"""Rows x (m, c), each channel normalised by its statistics over the batch, or by those that were kept."""

from typing import NamedTuple

import numpy as np

from cconv.kernels import batch_normalization as between
from cconv.ops import normalization
from cconv.ops.run import Array, Run


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
    """Rows x (m, c), gamma, beta (c) -> what normalises them; the moving mean and variance move."""
    partial = normalization.sums(x, run)
    mean, scale, shift = (run.empty(tag, x.shape[1:], x.dtype) for tag in ("mean", "scale", "shift"))
    inverse = run.empty("inverse", x.shape[1:], np.float64)
    made = Scales(mean, scale, shift, inverse)
    run.call(between.statistics, partial, x, gamma, beta, epsilon, momentum, *moving, *made)
    return made


def of_moving(
    gamma: Array | None, beta: Array | None, moving: tuple[Array, Array], epsilon: float, run: Run
) -> Scales:
    """Return what normalises by the moving averages, mean and variance (c); gamma, beta (c)."""
    mean, variance = moving
    scale, shift = (run.empty(tag, mean.shape, mean.dtype) for tag in ("scale", "shift"))
    inverse = run.empty("inverse", mean.shape, np.float64)
    run.call(between.kept_statistics, variance, gamma, beta, epsilon, scale, shift, inverse)
    return Scales(mean, scale, shift, inverse)


def slopes(partial: Array, m: int, scales: Scales, run: Run) -> Slopes:
    """Partial (chunks, 2, c) of `normalization.gradient_sums` of m rows -> what they give."""
    scale = scales.scale
    found = [run.empty(tag, scale.shape, scale.dtype) for tag in ("dgamma", "dbeta", "slope", "back shift")]
    run.call(between.slopes, partial, scale, scales.inverse, m, *found)
    return Slopes(*found)
