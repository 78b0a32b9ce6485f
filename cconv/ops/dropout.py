"""Dropout, keyed by sample and step."""

import numpy as np

from cconv.kernels import dropout as loops
from cconv.ops.run import SERIAL_COSTLY, WORD, Array, Run
from cconv.threads import threads_for


def dropout(x: Array, rate: float, layer: int, run: Run, seed: int | None = None) -> tuple[Array, Array]:
    """Drop elements of x (n, …) -> y of its shape, bits (n, ceil(elements of a sample / 8)), lowest first.

    An element is kept where its random word is at least rate * 2**32, and scaled by 1 / (1 - rate). The
    words' key is `seed`, or the run's own.
    """
    flat = x.reshape(x.shape[0], -1)
    y = run.empty("y", x.shape, x.dtype)
    bits = run.empty("bits", (x.shape[0], -(-flat.shape[1] // 8)), np.uint8)
    key = (run.seed if seed is None else seed) % WORD**2, layer % WORD
    options = (run.draw_key, key, int(rate * WORD), 1 / (1 - rate), threads_for(x.size, SERIAL_COSTLY))
    run.call(loops.dropout, flat, y.reshape(flat.shape), bits, *options)
    return y, bits


def dropout_backward(dy: Array, bits: Array, rate: float, run: Run | None = None) -> Array:
    """Drop the same elements of dy (n, …) by the bits of the forward pass -> dx of dy's shape."""
    run = run or Run()
    dx = run.empty("dx", dy.shape, dy.dtype)
    flat = dy.reshape(dy.shape[0], -1)
    factor, threads = 1 / (1 - rate), threads_for(dy.size)
    run.call(loops.dropout_backward, flat, bits, dx.reshape(flat.shape), factor, threads)
    return dx
