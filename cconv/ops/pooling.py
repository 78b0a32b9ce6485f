"""Max and average pooling, im2col and col2im."""

from cconv.geometry.shapes import Window, argmax_cache
from cconv.kernels import pooling as loops
from cconv.ops.run import Array, Run
from cconv.threads import threads_for


def max_pool2d(x: Array, window: Window, run: Run | None = None) -> tuple[Array, Array]:
    """Pool x (n, h, w, c) -> y, argmax (n, oh, ow, c)."""
    run = run or Run()
    shape = (x.shape[0], *window.output_size, x.shape[3])
    y = run.empty("y", shape, x.dtype)
    argmax = run.empty("argmax", shape, argmax_cache(window)[0])
    run.call(loops.max_pool, x, y, argmax, window.arguments, threads_for(x.size))
    return y, argmax


def max_pool2d_backward(dy: Array, argmax: Array, window: Window, run: Run | None = None) -> Array:
    """Spread dy, argmax (n, oh, ow, c) -> dx (n, h, w, c)."""
    run = run or Run()
    dx = run.empty("dx", (dy.shape[0], *window.input_size, dy.shape[3]), dy.dtype)
    run.call(loops.max_pool_backward, dy, argmax, dx, window.arguments, threads_for(dx.size))
    return dx


def average_pool2d(x: Array, window: Window, count_include_pad: bool, run: Run | None = None) -> Array:
    """Pool x (n, h, w, c) -> y (n, oh, ow, c)."""
    run = run or Run()
    y = run.empty("y", (x.shape[0], *window.output_size, x.shape[3]), x.dtype)
    run.call(loops.average_pool, x, y, window.arguments, count_include_pad, threads_for(x.size))
    return y


def average_pool2d_backward(
    dy: Array, window: Window, count_include_pad: bool, run: Run | None = None
) -> Array:
    """Spread dy (n, oh, ow, c) -> dx (n, h, w, c)."""
    run = run or Run()
    dx = run.empty("dx", (dy.shape[0], *window.input_size, dy.shape[3]), dy.dtype)
    oh, ow = window.output_size
    weights = run.scratch(oh * ow * dy.itemsize).view(dy.dtype).reshape(oh, ow)
    options = (window.arguments, count_include_pad, threads_for(dx.size))
    run.call(loops.average_pool_backward, dy, dx, weights, *options)
    return dx


def im2col(x: Array, window: Window, run: Run | None = None) -> Array:
    """Copy x (n, h, w, c) -> col (n * oh * ow, kh * kw * c)."""
    run = run or Run()
    n, _, _, c = x.shape
    (oh, ow), (kh, kw) = window.output_size, window.kernel_size
    col = run.empty("col", (n * oh * ow, kh * kw * c), x.dtype)
    run.call(loops.im2col, x, col, window.output_size, window.arguments, threads_for(col.size))
    return col


def col2im(col: Array, n: int, channels: int, window: Window, run: Run | None = None) -> Array:
    """Add up col (n * oh * ow, kh * kw * c) -> x (n, h, w, c): every pixel is the sum over its places."""
    run = run or Run()
    x = run.empty("x", (n, *window.input_size, channels), col.dtype)
    run.call(loops.col2im, col, x, window.output_size, window.arguments, threads_for(col.size))
    return x
