"""Convolutions of few taps, and Winograd's algorithm along the rows, which shares their bands."""

from cconv.geometry.algorithms import Convolution
from cconv.geometry.shapes import Window, geometry_of
from cconv.kernels import few_taps as loops
from cconv.kernels import few_taps_weight_gradient as gradients
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
    along_rows: bool = False,
) -> None:
    """x (n, h, w, c), kernel (kh, kw, c, f), bias (f) or None -> y (n, oh, ow, f)."""
    how = (geometry_of(what.window), along_rows)
    sizes = (x.shape, kernel.shape, what.window.output_size)
    count = loops.forward_scratch(*sizes, *how, x.itemsize, threads)
    run.call(loops.forward, x, kernel, bias, y, *how, relu, scratch_for(run, count, x.dtype), threads)


def pool_forward(
    what: Convolution,
    pool: Window,
    x: Array,
    kernel: Array,
    bias: Array | None,
    y: Array,
    argmax: Array,
    relu: bool,
    run: Run,
    threads: int,
    along_rows: bool = False,
) -> None:
    """As `forward`, with max pooling -> y, argmax (n, poh, pow, f)."""
    how = (what.window.output_size, geometry_of(what.window), along_rows)
    count = loops.pool_forward_scratch(x.shape, kernel.shape, *how, x.itemsize, threads)
    scratch = scratch_for(run, count, x.dtype)
    options = (*how, relu, pool.arguments)
    run.call(loops.pool_forward, x, kernel, bias, y, argmax, *options, scratch, threads)


def weight_gradient(
    what: Convolution, dy: Array, x: Array, dkernel: Array, dbias: Array, run: Run, threads: int
) -> None:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (kh, kw, c, f), dbias (f)."""
    how, sizes = geometry_of(what.window), (x.shape, dkernel.shape, what.window.output_size)
    count = gradients.weight_gradient_scratch(*sizes, how, False, dy.itemsize, threads)
    scratch = scratch_for(run, count, dy.dtype)
    run.call(gradients.weight_gradient, dy, x, dkernel, dbias, how, scratch, threads)


def pool_weight_gradient(
    what: Convolution,
    pool: Window,
    dy: Array,
    argmax: Array,
    x: Array,
    dkernel: Array,
    dbias: Array,
    run: Run,
    threads: int,
) -> None:
    """As `weight_gradient`, of dy, argmax (n, poh, pow, f) behind max pooling."""
    how = (what.window.output_size, geometry_of(what.window))
    count = gradients.weight_gradient_scratch(x.shape, dkernel.shape, *how, True, dy.itemsize, threads)
    arrays, options = (dy, argmax, x, dkernel, dbias), (*how, pool.arguments)
    run.call(gradients.pool_weight_gradient, *arrays, *options, scratch_for(run, count, dy.dtype), threads)
