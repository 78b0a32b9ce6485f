"""Layers of several inputs: sums, products and maxima element by element, scaled channels, copied columns.

The output of an elementwise function may be one of its inputs.
"""

from collections.abc import Callable
from typing import Any

from cconv.kernels import merging as loops
from cconv.ops.run import Array, Run
from cconv.threads import threads_for


def _each(kernel: Callable[..., Any], tag: str, out: Array | None, run: Run | None, *arrays: Array) -> Array:
    """Return out, or a new array `tag`, after the kernel has written to it from arrays of one shape."""
    run = run or Run()
    x = arrays[0]
    y = run.empty(tag, x.shape, x.dtype) if out is None else out
    run.call(kernel, *(array.reshape(-1) for array in (*arrays, y)), threads_for(x.size))
    return y


def add(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: a + b."""
    return _each(loops.add, "y", out, run, a, b)


def add_relu(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: max(a + b, 0), NaN passes."""
    return _each(loops.add_relu, "y", out, run, a, b)


def subtract(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: a - b."""
    return _each(loops.subtract, "y", out, run, a, b)


def multiply(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: a * b."""
    return _each(loops.multiply, "y", out, run, a, b)


def divide(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: a / b."""
    return _each(loops.divide, "y", out, run, a, b)


def maximum(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: the larger one, NaN where one is NaN."""
    return _each(loops.maximum, "y", out, run, a, b)


def minimum(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: the smaller one, NaN where one is NaN."""
    return _each(loops.minimum, "y", out, run, a, b)


def larger_share(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: 1 where a > b, 1/2 where a = b, else 0."""
    return _each(loops.larger_share, "dx", out, run, a, b)


def negative(x: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: -x."""
    return _each(loops.negative, "dx", out, run, x)


def divide_by(x: Array, divisor: float, out: Array | None = None, run: Run | None = None) -> Array:
    """Any shape -> the same: x / divisor."""
    run = run or Run()
    y = run.empty("dx", x.shape, x.dtype) if out is None else out
    run.call(loops.divide_by, x.reshape(-1), y.reshape(-1), divisor, threads_for(x.size))
    return y


def scale_channels(x: Array, scale: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """x (n, p, c), scale (n, c) -> y (n, p, c) = x * scale, pixel by pixel."""
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype) if out is None else out
    run.call(loops.scale_channels, x, scale, y, threads_for(x.size))
    return y


def product_sums(a: Array, b: Array, out: Array | None = None, run: Run | None = None) -> Array:
    """Add up a * b, both (n, p, c), over p -> (n, c): the gradient of `scale_channels` for its scale."""
    run = run or Run()
    n, p, c = a.shape
    chunks = loops.product_sums_chunks(p)
    sums = run.empty("dx", (n, c), a.dtype) if out is None else out
    partial = run.scratch(n * chunks * c * a.itemsize).view(a.dtype).reshape(n, chunks, c)
    run.call(loops.product_sums, a, b, partial, sums, threads_for(a.size))
    return sums


def copy_columns(x: Array, first: int, y: Array, to: int, columns: int, run: Run | None = None) -> None:
    """x (m, c1), y (m, c2): copy columns of x, from `first` on, to those of y from `to` on."""
    run = run or Run()
    run.call(loops.copy_columns, x, first, y, to, columns, threads_for(x.shape[0] * columns))
