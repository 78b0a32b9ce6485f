"""Convolutions by Winograd's algorithm, alone or with the max pooling behind them."""

from cconv.geometry.algorithms import scatters_tiles, winograd_tile
from cconv.kernels import winograd, winograd_input_gradient, winograd_weight_gradient
from cconv.ops.passes import Pass
from cconv.ops.run import Array


def forward(this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, relu: bool) -> None:
    """x (n, h, w, c), kernel (taps, taps, c, f), bias (f) or None -> y (n, oh, ow, f)."""
    _convolve(this, x, kernel, bias, y, None, relu)


def pool_forward(
    this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, argmax: Array, relu: bool
) -> None:
    """As `forward`, then max pooling by windows that lie in one tile each -> y, argmax (n, poh, pow, f)."""
    _convolve(this, x, kernel, bias, y, argmax, relu)


def _convolve(
    this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, argmax: Array | None, relu: bool
) -> None:
    size, taps = this.conv_size, this.what.window.kernel_size[0]
    tile, item = winograd_tile(this.what.window, size), x.itemsize
    count = winograd.forward_scratch(x.shape, y.shape, argmax is not None, tile, taps, item, this.threads)
    lasting = this.run.lasting
    size_kept = winograd.kept_size(kernel.shape, tile, item, lasting)
    kept = this.run.kept((kernel.shape, tile, lasting), size_kept, x.dtype) if size_kept else None
    how, memory = (size, tile, this.geometry[1], relu), (kept, lasting, this.scratch(count, x))
    this.run.call(winograd.forward, x, kernel, bias, y, argmax, *how, *memory, this.threads)


def input_gradient(
    this: Pass, dy: Array, argmax: Array | None, kernel: Array, dx: Array, positive: Array | None
) -> None:
    """dy (n, oh, ow, f), or pooled dy and its `argmax`, kernel (taps, taps, c, f) -> dx (n, h, w, c)."""
    window, (taps, _) = this.what.window, this.what.window.kernel_size
    by_dy = scatters_tiles(window, this.what.channels, this.what.filters)
    loops = winograd_input_gradient if by_dy else winograd
    tile = winograd_tile(window, window.output_size if by_dy else window.input_size)
    sizes = (dy.shape, argmax is not None, dx.shape, tile, taps, dy.itemsize)
    scratch = this.scratch(loops.input_gradient_scratch(*sizes, this.threads), dy)
    arrays, how = (dy, argmax, kernel, positive, dx), (window.output_size, tile, this.geometry[1])
    this.run.call(loops.input_gradient, *arrays, *how, scratch, this.threads)


def weight_gradient(this: Pass, dy: Array, x: Array, dkernel: Array, dbias: Array) -> None:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (taps, taps, c, f), dbias (f)."""
    _sum(this, dy, None, x, dkernel, dbias)


def pool_weight_gradient(
    this: Pass, dy: Array, argmax: Array, x: Array, dkernel: Array, dbias: Array
) -> None:
    """As `weight_gradient`, from dy, argmax (n, poh, pow, f) behind max pooling."""
    _sum(this, dy, argmax, x, dkernel, dbias)


def _sum(this: Pass, dy: Array, argmax: Array | None, x: Array, dkernel: Array, dbias: Array) -> None:
    loops, size, taps = winograd_weight_gradient, this.conv_size, this.what.window.kernel_size[0]
    tile, origin = winograd_tile(this.what.window, size), this.geometry[1]
    count = loops.weight_gradient_scratch(x.shape, dy.shape, size, tile, taps, dy.itemsize, this.threads)
    arrays, scratch = (dy, argmax, x, dkernel, dbias), this.scratch(count, dy)
    this.run.call(loops.weight_gradient, *arrays, size, tile, origin, scratch, this.threads)
