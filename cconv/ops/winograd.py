"""Convolutions by Winograd's algorithm, alone or with the max pooling behind them."""

from cconv.geometry.algorithms import Convolution, scatters_tiles, winograd_tile
from cconv.geometry.shapes import Window, geometry_of
from cconv.kernels import winograd, winograd_input_gradient, winograd_weight_gradient
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
    """x (n, h, w, c), kernel (taps, taps, c, f), bias (f) or None -> y (n, oh, ow, f)."""
    _convolve(what, x, kernel, bias, y, None, relu, run, threads)


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
    """As `forward`, with max pooling by windows that lie in one tile each -> y, argmax (n, poh, pow, f)."""
    _convolve(what, x, kernel, bias, y, argmax, relu, run, threads)


def _convolve(
    what: Convolution,
    x: Array,
    kernel: Array,
    bias: Array | None,
    y: Array,
    argmax: Array | None,
    relu: bool,
    run: Run,
    threads: int,
) -> None:
    size, taps = what.window.output_size, what.window.kernel_size[0]
    tile, item = winograd_tile(what.window, size), x.itemsize
    count = winograd.forward_scratch(x.shape, y.shape, argmax is not None, tile, taps, item, threads)
    lasting = winograd.kept_size(kernel.shape, tile, item)
    kept = run.kept((kernel.shape, tile), lasting, x.dtype) if lasting else None
    options = (size, tile, geometry_of(what.window)[1], relu, kept, scratch_for(run, count, x.dtype), threads)
    run.call(winograd.forward, x, kernel, bias, y, argmax, *options)


def input_gradient(
    what: Convolution,
    dy: Array,
    argmax: Array | None,
    kernel: Array,
    dx: Array,
    positive: Array | None,
    run: Run,
    threads: int,
) -> None:
    """dy (n, oh, ow, f), or with `argmax` of what was pooled, kernel (taps, taps, c, f) -> dx."""
    window, (taps, _) = what.window, what.window.kernel_size
    by_dy = scatters_tiles(window, what.channels, what.filters)
    loops = winograd_input_gradient if by_dy else winograd
    tile = winograd_tile(window, window.output_size if by_dy else window.input_size)
    sizes = (dy.shape, argmax is not None, dx.shape, tile, taps, dy.itemsize)
    scratch = scratch_for(run, loops.input_gradient_scratch(*sizes, threads), dy.dtype)
    arrays, how = (dy, argmax, kernel, positive, dx), (window.output_size, tile, geometry_of(window)[1])
    run.call(loops.input_gradient, *arrays, *how, scratch, threads)


def weight_gradient(
    what: Convolution, dy: Array, x: Array, dkernel: Array, dbias: Array, run: Run, threads: int
) -> None:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (taps, taps, c, f), dbias (f)."""
    _sum(what, dy, None, x, dkernel, dbias, run, threads)


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
    _sum(what, dy, argmax, x, dkernel, dbias, run, threads)


def _sum(
    what: Convolution,
    dy: Array,
    argmax: Array | None,
    x: Array,
    dkernel: Array,
    dbias: Array,
    run: Run,
    threads: int,
) -> None:
    loops, size, taps = winograd_weight_gradient, what.window.output_size, what.window.kernel_size[0]
    tile, origin = winograd_tile(what.window, size), geometry_of(what.window)[1]
    count = loops.weight_gradient_scratch(x.shape, dy.shape, size, tile, taps, dy.itemsize, threads)
    arrays, scratch = (dy, argmax, x, dkernel, dbias), scratch_for(run, count, dy.dtype)
    run.call(loops.weight_gradient, *arrays, size, tile, origin, scratch, threads)
