"""1x1 convolutions that step over pixels: dense layers on copies of the pixels that they see."""

from cconv.kernels import pooling as loops
from cconv.ops import dense
from cconv.ops.passes import Pass
from cconv.ops.run import Array
from cconv.threads import threads_for


def input_gradient(this: Pass, dy: Array, kernel: Array, dx: Array) -> None:
    """dy (n, oh, ow, f), kernel (1, 1, c, f) -> dx (n, h, w, c), zero where no output sees the pixel."""
    rows, window = dy.reshape(-1, this.what.filters), this.what.window
    pixels = this.run.empty("seen", (len(rows), this.what.channels), dy.dtype)
    dense.dense_input_gradient_into(pixels, rows, kernel[0, 0], this.run)
    this.run.call(loops.col2im, pixels, dx, window.output_size, window.arguments, threads_for(dx.size))


def weight_gradient(this: Pass, dy: Array, x: Array, dkernel: Array, dbias: Array) -> None:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (1, 1, c, f), dbias (f)."""
    rows = dy.reshape(-1, this.what.filters)
    dense.dense_weight_gradient_into(dkernel[0, 0], dbias, rows, seen(this, x), this.run)


def seen(this: Pass, x: Array) -> Array:
    """Return the pixels of x (n, h, w, c) that the outputs see: (n * oh * ow, c)."""
    (oh, ow), window = this.what.window.output_size, this.what.window
    pixels = this.run.empty("seen", (len(x) * oh * ow, this.what.channels), x.dtype)
    this.run.call(loops.im2col, x, pixels, window.output_size, window.arguments, threads_for(pixels.size))
    return pixels
