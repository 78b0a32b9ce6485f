"""Convolutions with one filter for each channel."""

from cconv.kernels import depthwise as loops
from cconv.ops.behind import NOTHING, Behind
from cconv.ops.passes import Pass
from cconv.ops.run import Array


def forward(
    this: Pass, x: Array, kernel: Array, bias: Array | None, y: Array, relu: bool, last: Behind = NOTHING
) -> None:
    """x (n, h, w, c), kernel (kh, kw, 1, c), bias (c) or None -> y (n, oh, ow, c), then what follows."""
    scratch = this.scratch(loops.packed_scratch(kernel.shape), x)
    how = this.geometry, relu, *last.arguments(y)
    this.run.call(loops.forward, x, kernel, bias, y, *how, scratch, this.threads)


def input_gradient(this: Pass, dy: Array, kernel: Array, dx: Array) -> None:
    """dy (n, oh, ow, c), kernel (kh, kw, 1, c) -> dx (n, h, w, c)."""
    scratch = this.scratch(loops.packed_scratch(kernel.shape), dy)
    this.run.call(loops.input_gradient, dy, kernel, dx, this.geometry, scratch, this.threads)


def weight_gradient(this: Pass, dy: Array, x: Array, dkernel: Array, dbias: Array) -> None:
    """dy (n, oh, ow, c), x (n, h, w, c) -> dkernel (kh, kw, 1, c), dbias (c)."""
    scratch = this.scratch(loops.weight_gradient_scratch(dy.shape, dkernel.shape), dy)
    this.run.call(loops.weight_gradient, dy, x, dkernel, dbias, this.geometry, scratch, this.threads)
