"""Convolutions of one filter a channel."""

from cconv.geometry.algorithms import Convolution
from cconv.geometry.shapes import geometry_of
from cconv.kernels import depthwise as loops
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
    """x (n, h, w, c), kernel (kh, kw, 1, c), bias (c) or None -> y (n, oh, ow, c)."""
    scratch = scratch_for(run, loops.packed_scratch(kernel.shape), x.dtype)
    run.call(loops.forward, x, kernel, bias, y, geometry_of(what.window), relu, scratch, threads)


def input_gradient(what: Convolution, dy: Array, kernel: Array, dx: Array, run: Run, threads: int) -> None:
    """dy (n, oh, ow, c), kernel (kh, kw, 1, c) -> dx (n, h, w, c)."""
    scratch = scratch_for(run, loops.packed_scratch(kernel.shape), dy.dtype)
    run.call(loops.input_gradient, dy, kernel, dx, geometry_of(what.window), scratch, threads)


def weight_gradient(
    what: Convolution, dy: Array, x: Array, dkernel: Array, dbias: Array, run: Run, threads: int
) -> None:
    """dy (n, oh, ow, c), x (n, h, w, c) -> dkernel (kh, kw, 1, c), dbias (c)."""
    scratch = scratch_for(run, loops.weight_gradient_scratch(dy.shape, dkernel.shape), dy.dtype)
    run.call(loops.weight_gradient, dy, x, dkernel, dbias, geometry_of(what.window), scratch, threads)
