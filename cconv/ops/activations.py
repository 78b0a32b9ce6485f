"""ReLU, sigmoid, tanh and the softmaxes, and their gradients."""

import math

from cconv.kernels import activations as loops
from cconv.ops.run import SERIAL_COSTLY, Array, Run
from cconv.threads import threads_for


def relu(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: max(x, 0), NaN passes."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.relu, x.reshape(-1), y.reshape(-1), threads_for(x.size))
    return y


def relu_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy where y > 0, else 0."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(loops.relu_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1), threads_for(y.size))
    return dx


def clipped_relu(x: Array, cap: float, run: Run | None = None) -> Array:
    """Any shape -> the same: max(x, 0), at most cap; NaN passes."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.clipped_relu, x.reshape(-1), y.reshape(-1), cap, threads_for(x.size))
    return y


def clipped_relu_backward(dy: Array, y: Array, cap: float, run: Run | None = None) -> Array:
    """Any shape -> the same: dy where 0 < y < cap, else 0."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    arrays = dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
    run.call(loops.clipped_relu_backward, *arrays, cap, threads_for(y.size))
    return dx


def rectifier_backward(dy: Array, y: Array, cap: float, run: Run | None = None) -> Array:
    """Any shape -> the same: dy where 0 < y < cap, else 0; an infinite cap cuts nothing."""
    return relu_backward(dy, y, run) if math.isinf(cap) else clipped_relu_backward(dy, y, cap, run)


def leaky_relu(x: Array, slope: float, run: Run | None = None) -> Array:
    """Any shape -> the same: x where x > 0, else slope * x."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.leaky_relu, x.reshape(-1), y.reshape(-1), slope, threads_for(x.size))
    return y


def leaky_relu_backward(dy: Array, y: Array, slope: float, run: Run | None = None) -> Array:
    """Any shape -> the same: dy where y > 0, else slope * dy; slope is at least 0."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    arrays = dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
    run.call(loops.leaky_relu_backward, *arrays, slope, threads_for(y.size))
    return dx


def sigmoid(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: 1 / (1 + exp(-x))."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.sigmoid, x.reshape(-1), y.reshape(-1), threads_for(x.size, SERIAL_COSTLY))
    return y


def sigmoid_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy * y * (1 - y)."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(loops.sigmoid_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1), threads_for(y.size))
    return dx


def tanh(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.tanh, x.reshape(-1), y.reshape(-1), threads_for(x.size, SERIAL_COSTLY))
    return y


def tanh_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy * (1 - y**2)."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(loops.tanh_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1), threads_for(y.size))
    return dx


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def softmax(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same, along the last axis."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.softmax, _rows(x), _rows(y), threads_for(x.size, SERIAL_COSTLY))
    return y


def softmax_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: y * (dy - sum(dy * y))."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(loops.softmax_backward, _rows(dy), _rows(y), _rows(dx), threads_for(y.size))
    return dx


def log_softmax(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same, along the last axis: x - log(sum(exp(x)))."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(loops.log_softmax, _rows(x), _rows(y), threads_for(x.size, SERIAL_COSTLY))
    return y


def log_softmax_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy - exp(y) * sum(dy)."""
    run = run or Run()
    dx = run.empty("dx", y.shape, y.dtype)
    run.call(loops.log_softmax_backward, _rows(dy), _rows(y), _rows(dx), threads_for(y.size, SERIAL_COSTLY))
    return dx


def where_positive(dx: Array, positive: Array | None, run: Run) -> Array:
    """Return dx, set to zero where `positive`, if given, is not above zero."""
    if positive is not None:
        flat = dx.reshape(-1)
        run.call(loops.relu_backward, flat, positive.reshape(-1), flat, threads_for(dx.size))
    return dx
