"""Rows x (m, n), each normalised by its own statistics, arguments already checked."""

from typing import NamedTuple

import numpy as np

from cconv.kernels import layer_normalization as loops
from cconv.kernels import sums
from cconv.ops.run import Array, Run
from cconv.threads import threads_for

# The numbers of the kernel's rules.
RULES = {"layer": 0, "scaling": 1, "rms": 2, "unit": 3}


class Rule(NamedTuple):
    """How a row is normalised.

    ``"layer"``: by its mean and deviation; ``"scaling"``: by its deviation alone; ``"rms"``: by the root of
    its mean square; ``"unit"``: by its length, or by `epsilon` if that is larger.
    """

    name: str
    epsilon: float


def normalize(x: Array, gamma: Array | None, beta: Array | None, rule: Rule, run: Run) -> tuple[Array, Array]:
    """Rows x (m, n), gamma, beta (n) -> y (m, n), and float64 (m, 2): mean and 1 / deviation of each row."""
    y, statistics = run.empty("y", x.shape, x.dtype), run.empty("statistics", (len(x), 2), np.float64)
    options = RULES[rule.name], rule.epsilon, statistics, _pairs(x, run), y, threads_for(x.size)
    run.call(loops.normalize, x, gamma, beta, *options)
    return y, statistics


def normalize_backward(
    dy: Array, x: Array, gamma: Array | None, statistics: Array, rule: Rule, run: Run, need_dx: bool = True
) -> Array | None:
    """Rows dy, x (m, n), gamma (n), statistics of the forward pass (m, 2) -> dx (m, n)."""
    if not need_dx:
        return None
    dx = run.empty("dx", x.shape, x.dtype)
    _back(dy, x, gamma, statistics, rule, None, dx, run)
    return dx


def normalize_gradients(
    dy: Array, x: Array, gamma: Array | None, statistics: Array, rule: Rule, run: Run, need_dx: bool = True
) -> tuple[Array | None, Array, Array]:
    """Rows dy, x (m, n), gamma (n), statistics of the forward pass -> dx (m, n), dgamma, dbeta (n)."""
    m, n = x.shape
    dx = run.empty("dx", x.shape, x.dtype) if need_dx else None
    parts = loops.rows_chunks(m, n)
    weights = run.empty("parts", (parts, 2, n), x.dtype)
    _back(dy, x, gamma, statistics, rule, weights, dx, run)
    both = run.empty("dgamma, dbeta", (2 * n,), x.dtype)
    flat, chunks = weights.reshape(parts, 2 * n), sums.column_sums_chunks(parts)
    partial = run.scratch(max(chunks, 1) * 2 * n * x.itemsize).view(x.dtype).reshape(-1, 2 * n)
    run.call(sums.column_sums, flat, partial, both, threads_for(flat.size))
    return dx, both[:n], both[n:]


def _back(
    dy: Array,
    x: Array,
    gamma: Array | None,
    statistics: Array,
    rule: Rule,
    weights: Array | None,
    dx: Array | None,
    run: Run,
) -> None:
    options = RULES[rule.name], rule.epsilon, statistics, _pairs(x, run), weights, dx, threads_for(x.size)
    run.call(loops.normalize_backward, dy, x, gamma, *options)


def _pairs(x: Array, run: Run) -> Array:
    """Return scratch for two numbers of each piece of each row."""
    pieces = loops.pieces_chunks(x.shape[1])
    return run.scratch(max(len(x), 1) * pieces * 16).view(np.float64).reshape(-1, pieces, 2)
