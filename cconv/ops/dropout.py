"""Dropout and random noise, keyed by sample and step."""

import math

import numpy as np

from cconv.kernels import dropout as loops
from cconv.ops.run import SERIAL_COSTLY, WORD, Array, Run
from cconv.threads import threads_for

Shape = tuple[int, ...]


def dropout(x: Array, rate: float, layer: int, run: Run, seed: int | None = None) -> tuple[Array, Array]:
    """Drop elements of x (n, …) -> y of its shape, bits (n, ceil(elements of a sample / 8)), lowest first.

    An element is kept if its random word is at least rate * 2**32, and scaled by 1 / (1 - rate). The
    words' key is `seed`, or the run's seed.
    """
    flat = x.reshape(x.shape[0], -1)
    y = run.empty("y", x.shape, x.dtype)
    bits = run.empty("bits", (x.shape[0], -(-flat.shape[1] // 8)), np.uint8)
    key = (run.seed if seed is None else seed) % WORD**2, layer % WORD
    options = (run.draw_key, key, int(rate * WORD), 1 / (1 - rate), threads_for(x.size, SERIAL_COSTLY))
    run.call(loops.dropout, flat, y.reshape(flat.shape), bits, *options)
    return y, bits


def dropout_backward(dy: Array, bits: Array, rate: float, run: Run | None = None) -> Array:
    """Drop the elements of dy (n, …) that the forward pass dropped, by its bits -> dx of dy's shape."""
    run = run or Run()
    dx = run.empty("dx", dy.shape, dy.dtype)
    flat = dy.reshape(dy.shape[0], -1)
    factor, threads = 1 / (1 - rate), threads_for(dy.size)
    run.call(loops.dropout_backward, flat, bits, dx.reshape(flat.shape), factor, threads)
    return dx


def kept(shape: Shape, rate: float, layer: int, dtype: np.dtype, run: Run, seed: int | None = None) -> Array:
    """Draw which elements of a batch of this shape dropout keeps -> 1 for those, 0 for the others."""
    ones, drawn = run.empty("ones", shape, dtype), run.empty("drawn", shape, dtype)
    bits = run.empty("bits", (shape[0], -(-math.prod(shape[1:]) // 8)), np.uint8)
    key = (run.seed if seed is None else seed) % WORD**2, layer % WORD
    run.call(np.copyto, ones, 1)
    flat = ones.reshape(shape[0], -1), drawn.reshape(shape[0], -1)
    options = (run.draw_key, key, int(rate * WORD), 1.0, threads_for(ones.size, SERIAL_COSTLY))
    run.call(loops.dropout, *flat, bits, *options)
    return drawn


def keep(x: Array, kept: Array, scale: float, shift: float, other: float, run: Run, tag: str = "y") -> Array:
    """x (n, a, b, c), kept (n, a, c) -> y = x * scale + shift where kept is not 0, else `other`."""
    y = run.empty(tag, x.shape, x.dtype)
    run.call(loops.keep, x, kept, scale, shift, other, y, threads_for(x.size))
    return y


def normal(
    shape: Shape,
    mean: float,
    stddev: float,
    layer: int,
    dtype: np.dtype,
    run: Run,
    seed: int | None = None,
) -> Array:
    """Draw normal numbers of this mean and standard deviation for a batch of this shape."""
    out = run.empty("noise", shape, dtype)
    key = (run.seed if seed is None else seed) % WORD**2, layer % WORD
    options = run.draw_key, key, mean, stddev, threads_for(out.size, SERIAL_COSTLY)
    run.call(loops.normal, out.reshape(shape[0], -1), *options)
    return out
