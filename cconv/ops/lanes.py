"""Convolutions of few filters: the images, or the rows of one image, lie in the lanes of vectors."""

from cconv.kernels import lanes as loops
from cconv.ops.passes import Pass
from cconv.ops.run import Array


def forward(
    this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, relu: bool, of_rows: bool = False
) -> None:
    """x (n, h, w, c), kernel (kh, kw, c, f), bias (f) or None -> y (n, oh, ow, f)."""
    how = (this.geometry, of_rows)
    count = loops.forward_scratch(x.shape, kernel.shape, y.shape, *how, x.itemsize, this.threads)
    this.run.call(loops.forward, x, kernel, bias, y, *how, relu, this.scratch(count, x), this.threads)


def input_gradient(this: Pass, dy: Array, kernel: Array, dx: Array) -> None:
    """dy (n, oh, ow, f), kernel (kh, kw, c, f) -> dx (n, h, w, c)."""
    how = this.geometry
    count = loops.input_gradient_scratch(dy.shape, kernel.shape, dx.shape, how, dy.itemsize, this.threads)
    this.run.call(loops.input_gradient, dy, kernel, dx, how, this.scratch(count, dy), this.threads)


def average_pool_forward(
    this: Pass,
    x: Array,
    kernel: Array,
    bias: Array | None,
    y: Array,
    activation: str,
    count_include_pad: bool,
) -> None:
    """As `forward`, then an activation and average pooling -> y (n, poh, pow, f)."""
    how = (this.conv_size[1], this.geometry)
    sizes = (x.shape, kernel.shape, y.shape, *how, this.pooling)
    scratch = this.scratch(loops.pool_forward_scratch(*sizes, x.itemsize, this.threads), x)
    options = (*how, activation, this.pooling, count_include_pad)
    this.run.call(loops.pool_forward, x, kernel, bias, y, *options, scratch, this.threads)
