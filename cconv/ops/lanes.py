"""Convolutions of few filters: images, or the rows of an image, lie in the lanes of vectors."""

from cconv.geometry.algorithms import Convolution
from cconv.geometry.shapes import Window, geometry_of
from cconv.kernels import lanes as loops
from cconv.ops.run import Array, Run, scratch_for


def forward(
    what: Convolution,
    x: Array,
    kernel: Array,
    bias: Array | None,
    y: Array,
    relu: bool,
    run: Run,
    threads: int,
    of_rows: bool = False,
) -> None:
    """x (n, h, w, c), kernel (kh, kw, c, f), bias (f) or None -> y (n, oh, ow, f)."""
    how = (geometry_of(what.window), of_rows)
    count = loops.forward_scratch(x.shape, kernel.shape, y.shape, *how, x.itemsize, threads)
    run.call(loops.forward, x, kernel, bias, y, *how, relu, scratch_for(run, count, x.dtype), threads)


def input_gradient(what: Convolution, dy: Array, kernel: Array, dx: Array, run: Run, threads: int) -> None:
    """dy (n, oh, ow, f), kernel (kh, kw, c, f) -> dx (n, h, w, c)."""
    how = geometry_of(what.window)
    count = loops.input_gradient_scratch(dy.shape, kernel.shape, dx.shape, how, dy.itemsize, threads)
    run.call(loops.input_gradient, dy, kernel, dx, how, scratch_for(run, count, dy.dtype), threads)


def average_pool_forward(
    what: Convolution,
    pool: Window,
    x: Array,
    kernel: Array,
    bias: Array | None,
    y: Array,
    activation: str,
    count_include_pad: bool,
    run: Run,
    threads: int,
) -> None:
    """As `forward`, with an activation and average pooling -> y (n, poh, pow, f)."""
    how = (what.window.output_size[1], geometry_of(what.window))
    sizes = (x.shape, kernel.shape, y.shape, *how, pool.arguments)
    scratch = scratch_for(run, loops.pool_forward_scratch(*sizes, x.itemsize, threads), x.dtype)
    options = (*how, activation, pool.arguments, count_include_pad)
    run.call(loops.pool_forward, x, kernel, bias, y, *options, scratch, threads)
