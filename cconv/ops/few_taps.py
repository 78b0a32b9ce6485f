"""Convolutions of few taps, and Winograd's algorithm along the rows, which shares their bands."""

from cconv.kernels import few_taps as loops
from cconv.kernels import few_taps_weight_gradient as gradients
from cconv.ops.passes import Pass
from cconv.ops.run import Array


def forward(
    this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, relu: bool, along_rows: bool = False
) -> None:
    """x (n, h, w, c), kernel (kh, kw, c, f), bias (f) or None -> y (n, oh, ow, f)."""
    how = (this.geometry, along_rows)
    sizes = (x.shape, kernel.shape, this.conv_size)
    count = loops.forward_scratch(*sizes, *how, x.itemsize, this.threads)
    this.run.call(loops.forward, x, kernel, bias, y, *how, relu, this.scratch(count, x), this.threads)


def pool_forward(
    this: Pass,
    x: Array,
    kernel: Array,
    bias: Array | None,
    y: Array,
    argmax: Array,
    relu: bool,
    along_rows: bool = False,
) -> None:
    """As `forward`, then max pooling -> y, argmax (n, poh, pow, f)."""
    how = (this.conv_size, this.geometry, along_rows)
    count = loops.pool_forward_scratch(x.shape, kernel.shape, *how, x.itemsize, this.threads)
    scratch = this.scratch(count, x)
    options = (*how, relu, this.pooling)
    this.run.call(loops.pool_forward, x, kernel, bias, y, argmax, *options, scratch, this.threads)


def weight_gradient(this: Pass, dy: Array, x: Array, dkernel: Array, dbias: Array) -> None:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (kh, kw, c, f), dbias (f)."""
    how, sizes = this.geometry, (x.shape, dkernel.shape, this.conv_size)
    count = gradients.weight_gradient_scratch(*sizes, how, False, dy.itemsize, this.threads)
    scratch = this.scratch(count, dy)
    this.run.call(gradients.weight_gradient, dy, x, dkernel, dbias, how, scratch, this.threads)


def pool_weight_gradient(
    this: Pass, dy: Array, argmax: Array, x: Array, dkernel: Array, dbias: Array
) -> None:
    """As `weight_gradient`, from dy, argmax (n, poh, pow, f) behind max pooling."""
    how = (this.conv_size, this.geometry)
    count = gradients.weight_gradient_scratch(x.shape, dkernel.shape, *how, True, dy.itemsize, this.threads)
    arrays, options = (dy, argmax, x, dkernel, dbias), (*how, this.pooling)
    this.run.call(gradients.pool_weight_gradient, *arrays, *options, this.scratch(count, dy), this.threads)
