"""Pooling, activations, softmax, dropout and sums: one function per kernel, arguments already checked.

The part of `ops` that is not convolution or dense; the same rules hold. Where `run` is None the
arrays are fresh.
"""

import numpy as np

from cconv import _elementwise, _pooling
from cconv.checks import argmax_cache
from cconv.run import WORD, Run
from cconv.shapes import Window
from cconv.threads import threads_for

Array = np.ndarray

SERIAL_COSTLY = 8_192  # elements that are worth more threads, for exp and its kin, and Philox


def max_pool2d(x: Array, window: Window, run: Run | None = None) -> tuple[Array, Array]:
    """Pool x (n, h, w, c) -> y, argmax (n, oh, ow, c)."""
    run = run or Run()
    shape = (x.shape[0], *window.output_size, x.shape[3])
    y = run.empty("y", shape, x.dtype)
    argmax = run.empty("argmax", shape, argmax_cache(window)[0])
    run.call(_pooling.max_pool, x, y, argmax, *window.arguments, threads_for(x.size))
    return y, argmax


def max_pool2d_backward(dy: Array, argmax: Array, window: Window, run: Run | None = None) -> Array:
    """Spread dy, argmax (n, oh, ow, c) -> dx (n, h, w, c)."""
    run = run or Run()
    dx = run.empty("dx", (dy.shape[0], *window.input_size, dy.shape[3]), dy.dtype)
    run.call(_pooling.max_pool_backward, dy, argmax, dx, *window.arguments, threads_for(dx.size))
    return dx


def average_pool2d(x: Array, window: Window, count_include_pad: bool, run: Run | None = None) -> Array:
    """Pool x (n, h, w, c) -> y (n, oh, ow, c)."""
    run = run or Run()
    y = run.empty("y", (x.shape[0], *window.output_size, x.shape[3]), x.dtype)
    run.call(_pooling.average_pool, x, y, *window.arguments, count_include_pad, threads_for(x.size))
    return y


def average_pool2d_backward(
    dy: Array, window: Window, count_include_pad: bool, run: Run | None = None
) -> Array:
    """Spread dy (n, oh, ow, c) -> dx (n, h, w, c)."""
    run = run or Run()
    dx = run.empty("dx", (dy.shape[0], *window.input_size, dy.shape[3]), dy.dtype)
    oh, ow = window.output_size
    weights = run.scratch(oh * ow * dy.itemsize).view(dy.dtype).reshape(oh, ow)
    options = (*window.arguments, count_include_pad, threads_for(dx.size))
    run.call(_pooling.average_pool_backward, dy, dx, weights, *options)
    return dx


def im2col(x: Array, window: Window, run: Run | None = None) -> Array:
    """Copy x (n, h, w, c) -> col (n * oh * ow, kh * kw * c)."""
    run = run or Run()
    n, _, _, c = x.shape
    (oh, ow), (kh, kw) = window.output_size, window.kernel_size
    col = run.empty("col", (n * oh * ow, kh * kw * c), x.dtype)
    run.call(_pooling.im2col, x, col, window.output_size, *window.arguments, threads_for(col.size))
    return col


def col2im(col: Array, n: int, channels: int, window: Window, run: Run | None = None) -> Array:
    """Add up col (n * oh * ow, kh * kw * c) -> x (n, h, w, c), every pixel the sum of its places."""
    run = run or Run()
    x = run.empty("x", (n, *window.input_size, channels), col.dtype)
    run.call(_pooling.col2im, col, x, window.output_size, *window.arguments, threads_for(col.size))
    return x


def relu(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: max(x, 0), NaN passes."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(_elementwise.relu, x.reshape(-1), y.reshape(-1), threads_for(x.size))
    return y


def relu_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy where y > 0, else 0."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(_elementwise.relu_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1), threads_for(y.size))
    return dx


def leaky_relu(x: Array, slope: float, run: Run | None = None) -> Array:
    """Any shape -> the same: x where x > 0, else slope * x."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(_elementwise.leaky_relu, x.reshape(-1), y.reshape(-1), slope, threads_for(x.size))
    return y


def leaky_relu_backward(dy: Array, y: Array, slope: float, run: Run | None = None) -> Array:
    """Any shape -> the same: dy where y > 0, else slope * dy; slope is at least 0."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    arrays = dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
    run.call(_elementwise.leaky_relu_backward, *arrays, slope, threads_for(y.size))
    return dx


def sigmoid(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: 1 / (1 + exp(-x))."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(_elementwise.sigmoid, x.reshape(-1), y.reshape(-1), threads_for(x.size, SERIAL_COSTLY))
    return y


def sigmoid_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy * y * (1 - y)."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(
        _elementwise.sigmoid_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1), threads_for(y.size)
    )
    return dx


def tanh(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(_elementwise.tanh, x.reshape(-1), y.reshape(-1), threads_for(x.size, SERIAL_COSTLY))
    return y


def tanh_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy * (1 - y**2)."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(_elementwise.tanh_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1), threads_for(y.size))
    return dx


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def softmax(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same, along the last axis."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(_elementwise.softmax, _rows(x), _rows(y), threads_for(x.size, SERIAL_COSTLY))
    return y


def softmax_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: y * (dy - sum(dy * y))."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(_elementwise.softmax_backward, _rows(dy), _rows(y), _rows(dx), threads_for(y.size))
    return dx


def log_softmax(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same, along the last axis: x - log(sum(exp(x)))."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(_elementwise.log_softmax, _rows(x), _rows(y), threads_for(x.size, SERIAL_COSTLY))
    return y


def log_softmax_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy - exp(y) * sum(dy)."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(
        _elementwise.log_softmax_backward, _rows(dy), _rows(y), _rows(dx), threads_for(y.size, SERIAL_COSTLY)
    )
    return dx


def softmax_cross_entropy(
    logits: Array, labels_or_probs: Array, sample_weight: Array | None, run: Run | None = None
) -> tuple[float, Array]:
    """Compare logits (m, n) with class numbers int64 (m) or probabilities (m, n) -> loss, dlogits (m, n).

    The loss is the mean over the m samples of weight times cross-entropy.
    """
    run = run or Run()
    m = logits.shape[0]
    dlogits = run.empty("dlogits", logits.shape, logits.dtype)
    losses = run.scratch(m * 8).view(np.float64)
    labels, probabilities = (labels_or_probs, None) if labels_or_probs.ndim == 1 else (None, labels_or_probs)
    if sample_weight is not None:
        sample_weight = np.ascontiguousarray(sample_weight, np.float64)
    arrays = logits, probabilities, labels, sample_weight, losses, dlogits
    run.call(_elementwise.softmax_cross_entropy, *arrays, threads_for(logits.size, SERIAL_COSTLY))
    return _elementwise.total(losses) / m, dlogits


def dropout(x: Array, rate: float, layer: int, run: Run, seed: int | None = None) -> tuple[Array, Array]:
    """Drop elements of x (n, …) -> y of its shape, bits (n, ceil(elements of a sample / 8)), lowest first.

    An element is kept where its random word is at least rate * 2**32, and scaled by 1 / (1 - rate). The
    words' key is `seed`, or the run's own.
    """
    flat = x.reshape(x.shape[0], -1)
    y = run.empty("y", x.shape, x.dtype)
    bits = run.empty("bits", (x.shape[0], -(-flat.shape[1] // 8)), np.uint8)
    key = (run.seed if seed is None else seed) % WORD**2, layer % WORD
    options = (run.draw_key, *key, int(rate * WORD), 1 / (1 - rate), threads_for(x.size, SERIAL_COSTLY))
    run.call(_elementwise.dropout, flat, y.reshape(flat.shape), bits, *options)
    return y, bits


def dropout_backward(dy: Array, bits: Array, rate: float, run: Run | None = None) -> Array:
    """Drop the same elements of dy (n, …) by the bits of the forward pass -> dx of dy's shape."""
    run = run or Run()
    dx = run.empty("dx", dy.shape, dy.dtype)
    flat = dy.reshape(dy.shape[0], -1)
    factor, threads = 1 / (1 - rate), threads_for(dy.size)
    run.call(_elementwise.dropout_backward, flat, bits, dx.reshape(flat.shape), factor, threads)
    return dx


def column_sums(x: Array, run: Run | None = None) -> Array:
    """Add up x (m, n) -> the sums of its columns (n)."""
    run = run or Run()
    m, n = x.shape
    chunks = _elementwise.column_sums_chunks(m)
    sums = run.empty("sums", (n,), x.dtype)
    partial = run.scratch(chunks * n * x.itemsize).view(x.dtype).reshape(chunks, n)
    run.call(_elementwise.column_sums, x, partial, sums, threads_for(x.size))
    return sums
