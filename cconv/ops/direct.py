"""Direct sums: the micro-kernel on the image itself."""

from cconv import _kernels
from cconv.geometry.algorithms import Convolution
from cconv.geometry.shapes import Window, geometry_of
from cconv.kernels import direct_pool
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
) -> None:
    """x (n, h, w, c), kernel (kh, kw, c // groups, f), bias (f) or None -> y (n, oh, ow, f)."""
    how = (geometry_of(what.window), what.groups)
    count = _kernels.conv2d_forward_scratch(x.shape, kernel.shape, y.shape, *how, x.itemsize)
    scratch = scratch_for(run, count, x.dtype)
    run.call(_kernels.conv2d_forward, x, kernel, bias, y, *how, relu, scratch, threads)


def input_gradient(what: Convolution, dy: Array, kernel: Array, dx: Array, run: Run, threads: int) -> None:
    """dy (n, oh, ow, f), kernel (kh, kw, c // groups, f) -> dx (n, h, w, c)."""
    count = _kernels.conv2d_input_gradient_scratch(kernel.shape, what.groups, dy.itemsize)
    how = (geometry_of(what.window), what.groups)
    run.call(_kernels.conv2d_input_gradient, dy, kernel, dx, *how, scratch_for(run, count, dy.dtype), threads)


def weight_gradient(
    what: Convolution, dy: Array, x: Array, dkernel: Array, dbias: Array, run: Run, threads: int
) -> None:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (kh, kw, c // groups, f), dbias (f)."""
    how, sizes = (geometry_of(what.window), what.groups), (x.shape, dkernel.shape, dy.shape)
    count = _kernels.conv2d_weight_gradient_scratch(*sizes, *how, dy.itemsize, threads)
    scratch = scratch_for(run, count, dy.dtype)
    run.call(_kernels.conv2d_weight_gradient, dy, x, dkernel, dbias, *how, scratch, threads)


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
) -> None:
    """As `forward`, with max pooling -> y, argmax (n, poh, pow, f)."""
    how = (what.window.output_size, geometry_of(what.window), what.groups)
    count = direct_pool.pool_forward_scratch(x.shape, kernel.shape, *how, x.itemsize, threads)
    scratch = scratch_for(run, count, x.dtype)
    options = (*how, relu, pool.arguments)
    run.call(direct_pool.pool_forward, x, kernel, bias, y, argmax, *options, scratch, threads)


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
    how = (what.window.output_size, geometry_of(what.window), what.groups)
    count = direct_pool.pool_weight_gradient_scratch(x.shape, dkernel.shape, *how, dy.itemsize, threads)
    scratch = scratch_for(run, count, dy.dtype)
    arrays, options = (dy, argmax, x, dkernel, dbias), (*how, pool.arguments)
    run.call(direct_pool.pool_weight_gradient, *arrays, *options, scratch, threads)
