"""Direct sums: the micro-kernel on the image itself."""

from cconv import _kernels
from cconv.kernels import direct_pool
from cconv.ops.passes import Pass
from cconv.ops.run import Array


def forward(this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, relu: bool) -> None:
    """x (n, h, w, c), kernel (kh, kw, c // groups, f), bias (f) or None -> y (n, oh, ow, f)."""
    how = (this.geometry, this.what.groups)
    count = _kernels.conv2d_forward_scratch(x.shape, kernel.shape, y.shape, *how, x.itemsize)
    scratch = this.scratch(count, x)
    this.run.call(_kernels.conv2d_forward, x, kernel, bias, y, *how, relu, scratch, this.threads)


def input_gradient(
    this: Pass, dy: Array, kernel: Array, dx: Array, bias: Array | None = None, relu: bool = False
) -> None:
    """dy (n, oh, ow, f), kernel (kh, kw, c // groups, f), bias (c) or None -> dx (n, h, w, c)."""
    count = _kernels.conv2d_input_gradient_scratch(kernel.shape, this.what.groups, dy.itemsize)
    arrays, how = (dy, kernel, bias, dx), (this.geometry, this.what.groups, relu)
    this.run.call(_kernels.conv2d_input_gradient, *arrays, *how, this.scratch(count, dy), this.threads)


def weight_gradient(this: Pass, dy: Array, x: Array, dkernel: Array, dbias: Array) -> None:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (kh, kw, c // groups, f), dbias (f)."""
    how, sizes = (this.geometry, this.what.groups), (x.shape, dkernel.shape, dy.shape)
    count = _kernels.conv2d_weight_gradient_scratch(*sizes, *how, dy.itemsize, this.threads)
    scratch = this.scratch(count, dy)
    this.run.call(_kernels.conv2d_weight_gradient, dy, x, dkernel, dbias, *how, scratch, this.threads)


def pool_forward(
    this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, argmax: Array, relu: bool
) -> None:
    """As `forward`, then max pooling -> y, argmax (n, poh, pow, f)."""
    how = (this.conv_size, this.geometry, this.what.groups)
    count = direct_pool.pool_forward_scratch(x.shape, kernel.shape, *how, x.itemsize, this.threads)
    scratch = this.scratch(count, x)
    options = (*how, relu, this.pooling)
    this.run.call(direct_pool.pool_forward, x, kernel, bias, y, argmax, *options, scratch, this.threads)


def pool_weight_gradient(
    this: Pass, dy: Array, argmax: Array, x: Array, dkernel: Array, dbias: Array
) -> None:
    """As `weight_gradient`, from dy, argmax (n, poh, pow, f) behind max pooling."""
    how = (this.conv_size, this.geometry, this.what.groups)
    count = direct_pool.pool_weight_gradient_scratch(x.shape, dkernel.shape, *how, dy.itemsize, this.threads)
    scratch = this.scratch(count, dy)
    arrays, options = (dy, argmax, x, dkernel, dbias), (*how, this.pooling)
    this.run.call(direct_pool.pool_weight_gradient, *arrays, *options, scratch, this.threads)
