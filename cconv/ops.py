"""One function per kernel: arguments already checked, arrays from `run`, the thread count chosen.

Every array is C-contiguous, of native byte order, aligned to its item, and float32 or float64,
one dtype a call; `functional` and the boundary of a model make it so. Layers call these
functions and never the kernels. Kernels are called by `run.call`, so that a plan can repeat the
calls without what stands around them.
"""

import numpy as np

from cconv import _dense, _depthwise, _elementwise, _first, _kernels, _lanes, _winograd
from cconv.algorithms import (
    choose,
    choose_forward,
    gradient_tiled,
    lanes_across,
    scatters_tiles,
    winograd_tile,
)
from cconv.run import Run
from cconv.shapes import Window
from cconv.threads import threads_for

Array = np.ndarray

# Multiply-adds under which a parallel region costs more than it saves.
SERIAL_WORK = 300_000
# Bytes from one pixel of dy to the next from which on laying dy out pays: they meet in the first cache.
FAR_PIXELS = 2048


def _scratch(run: Run, count: int, dtype: np.dtype) -> Array:
    return run.scratch(max(count, 1) * dtype.itemsize).view(dtype)


def _geometry(window: Window) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    origin = (window.pads[0][0], window.pads[1][0])
    return window.strides, origin, window.dilation


def _winograd_into(
    y: Array,
    y_argmax: Array | None,
    x: Array,
    x_argmax: Array | None,
    kernel: Array,
    bias: Array | None,
    window: Window,
    relu: bool,
    gradient: bool,
    run: Run,
    threads: int,
    positive: Array | None = None,
) -> None:
    """Convolve x into y by Winograd's algorithm; with an argmax it is a pooled image.

    The input gradient is the convolution of dy, padded the other way round, with the flipped kernel.
    `positive` is as in `conv2d_input_gradient`.
    """
    taps, origin = window.kernel_size[0], _geometry(window)[1]
    tile = winograd_tile(window, window.input_size if gradient else window.output_size)
    if gradient:
        origin = taps - 1 - origin[0], taps - 1 - origin[1]
    pooled = x_argmax is not None, y_argmax is not None
    count = _winograd.forward_scratch(
        x.shape, pooled[0], y.shape, pooled[1], tile, taps, gradient, x.itemsize, threads
    )
    scratch = _scratch(run, count, x.dtype)
    lasting = 0 if gradient else _winograd.kept_size(kernel.shape, tile, x.itemsize)
    kept = run.kept((kernel.shape, tile), lasting, x.dtype) if lasting else None
    arrays = x, x_argmax, kernel, bias, y, y_argmax, positive, window.output_size
    options = tile, *origin, relu, gradient
    run.call(_winograd.forward, *arrays, *options, kept, scratch, threads)


def _winograd_input_gradient(
    dx: Array,
    dy: Array,
    argmax: Array | None,
    kernel: Array,
    window: Window,
    run: Run,
    threads: int,
    positive: Array | None,
) -> None:
    if not scatters_tiles(window, dx.shape[3], dy.shape[3]):
        _winograd_into(dx, None, dy, argmax, kernel, None, window, False, True, run, threads, positive)
        return
    taps, tile = window.kernel_size[0], winograd_tile(window, window.output_size)
    count = _winograd.input_gradient_scratch(
        dy.shape, argmax is not None, dx.shape, tile, taps, dy.itemsize, threads
    )
    scratch, origin = _scratch(run, count, dy.dtype), _geometry(window)[1]
    arrays = dy, argmax, kernel, positive, dx, window.output_size
    run.call(_winograd.input_gradient, *arrays, tile, *origin, scratch, threads)


def _winograd_weight_gradient(
    dy: Array,
    argmax: Array | None,
    x: Array,
    dkernel: Array,
    dbias: Array,
    window: Window,
    run: Run,
    threads: int,
) -> None:
    size, taps = window.output_size, window.kernel_size[0]
    tile = winograd_tile(window, size)
    count = _winograd.weight_gradient_scratch(x.shape, dy.shape, size, tile, taps, dy.itemsize, threads)
    scratch, origin = _scratch(run, count, dy.dtype), _geometry(window)[1]
    run.call(_winograd.weight_gradient, dy, argmax, x, dkernel, dbias, size, tile, *origin, scratch, threads)


def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    relu: bool,
    run: Run,
    algorithm: str = "auto",
    scale: Array | None = None,
) -> Array:
    """x (n, h, w, c), kernel (kh, kw, c // groups, f), bias (f) or None -> y (n, oh, ow, f).

    A pointwise convolution may be given a `scale` (f), which its output takes in front of the bias.
    """
    channels, filters = x.shape[3], kernel.shape[3]
    shape = (x.shape[0], *window.output_size, filters)
    y = run.empty("y", shape, x.dtype)
    chosen = choose_forward(window, groups, channels, filters, algorithm)
    if chosen == "pointwise":
        _dense_into(y.reshape(-1, filters), x.reshape(-1, channels), kernel[0, 0], scale, bias, relu, run)
        return y
    strides, origin, dilation = _geometry(window)
    threads = threads_for(y.size * kernel[..., 0].size, SERIAL_WORK)
    if chosen == "depthwise":
        scratch = _scratch(run, _depthwise.packed_scratch(kernel.shape), x.dtype)
        run.call(_depthwise.forward, x, kernel, bias, y, strides, origin, dilation, relu, scratch, threads)
        return y
    if chosen == "winograd":
        _winograd_into(y, None, x, None, kernel, bias, window, relu, False, run, threads)
        return y
    across = lanes_across(window, len(x), channels, filters, groups, x.itemsize)
    if across:
        how = (strides, origin, dilation, across == "rows")
        count = _lanes.forward_scratch(x.shape, kernel.shape, shape, *how, x.itemsize, threads)
        scratch = _scratch(run, count, x.dtype)
        run.call(_lanes.forward, x, kernel, bias, y, *how, relu, scratch, threads)
        return y
    if chosen in ("first", "rows"):
        how = (strides, origin, dilation, chosen == "rows")
        count = _first.forward_scratch(x.shape, kernel.shape, shape, *how, x.itemsize, threads)
        scratch = _scratch(run, count, x.dtype)
        run.call(_first.forward, x, kernel, bias, y, *how, relu, scratch, threads)
        return y
    count = _kernels.conv2d_forward_scratch(
        x.shape, kernel.shape, shape, strides, origin, dilation, groups, x.itemsize
    )
    scratch = _scratch(run, count, x.dtype)
    run.call(
        _kernels.conv2d_forward, x, kernel, bias, y, strides, origin, dilation, groups, relu, scratch, threads
    )
    return y


def conv2d_input_gradient(
    dy: Array,
    kernel: Array,
    window: Window,
    groups: int,
    in_channels: int,
    run: Run,
    algorithm: str = "auto",
    positive: Array | None = None,
) -> Array:
    """dy (n, oh, ow, f), kernel (kh, kw, c // groups, f) -> dx (n, h, w, c).

    Where x came from ReLU, it may be given as `positive`: dx is then the gradient before that, zero
    where x is not above zero.
    """
    filters = dy.shape[3]
    dx = run.empty("dx", (dy.shape[0], *window.input_size, in_channels), dy.dtype)
    tiled = gradient_tiled(window, in_channels, filters)
    chosen = choose(window, groups, in_channels, filters, algorithm, tiled)
    threads = threads_for(dy.size * kernel[..., 0].size, SERIAL_WORK)
    if chosen == "winograd":
        _winograd_input_gradient(dx, dy, None, kernel, window, run, threads, positive)
        return dx
    if chosen == "pointwise":
        _dense_input_gradient_into(dx.reshape(-1, in_channels), dy.reshape(-1, filters), kernel[0, 0], run)
    else:
        _direct_input_gradient_into(dx, dy, kernel, window, groups, run, threads, chosen)
    return _where_positive(dx, positive, run)


def _direct_input_gradient_into(
    dx: Array, dy: Array, kernel: Array, window: Window, groups: int, run: Run, threads: int, chosen: str
) -> None:
    geometry = _geometry(window)
    if chosen == "depthwise":
        scratch = _scratch(run, _depthwise.packed_scratch(kernel.shape), dy.dtype)
        run.call(_depthwise.input_gradient, dy, kernel, dx, *geometry, scratch, threads)
    elif lanes_across(window, len(dy), dy.shape[3], dx.shape[3], groups, dy.itemsize, gradient=True):
        how = geometry[1:]
        count = _lanes.input_gradient_scratch(dy.shape, kernel.shape, dx.shape, *how, dy.itemsize, threads)
        scratch = _scratch(run, count, dy.dtype)
        run.call(_lanes.input_gradient, dy, kernel, dx, *how, scratch, threads)
    else:
        count = _kernels.conv2d_input_gradient_scratch(kernel.shape, groups, dy.itemsize)
        scratch = _scratch(run, count, dy.dtype)
        run.call(_kernels.conv2d_input_gradient, dy, kernel, dx, *geometry, groups, scratch, threads)


def _where_positive(dx: Array, positive: Array | None, run: Run) -> Array:
    """Return dx, set to zero where `positive`, if given, is not above zero."""
    if positive is not None:
        flat = dx.reshape(-1)
        run.call(_elementwise.relu_backward, flat, positive.reshape(-1), flat, threads_for(dx.size))
    return dx


def conv2d_weight_gradient(
    dy: Array, x: Array, window: Window, groups: int, run: Run, algorithm: str = "auto"
) -> tuple[Array, Array]:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (kh, kw, c // groups, f), dbias (f)."""
    channels, filters = x.shape[3], dy.shape[3]
    shape = (*window.kernel_size, channels // groups, filters)
    dkernel = run.empty("dkernel", shape, dy.dtype)
    dbias = run.empty("dbias", (filters,), dy.dtype)
    geometry = _geometry(window)
    threads = threads_for(dy.size * dkernel[..., 0].size, SERIAL_WORK)
    chosen = choose(window, groups, channels, filters, algorithm, window.output_size)
    if chosen == "pointwise" and filters * dy.itemsize >= FAR_PIXELS:
        flat = dy.reshape(-1, filters), x.reshape(-1, channels)
        _dense_weight_gradient_into(dkernel[0, 0], dbias, *flat, run)
        return dkernel, dbias
    if chosen == "depthwise":
        scratch = _scratch(run, _depthwise.weight_gradient_scratch(dy.shape, shape), dy.dtype)
        run.call(_depthwise.weight_gradient, dy, x, dkernel, dbias, *geometry, scratch, threads)
        return dkernel, dbias
    if chosen == "winograd":
        _winograd_weight_gradient(dy, None, x, dkernel, dbias, window, run, threads)
        return dkernel, dbias
    if chosen == "first":
        count = _first.weight_gradient_scratch(
            x.shape, shape, window.output_size, *geometry, dy.itemsize, threads, False
        )
        scratch = _scratch(run, count, dy.dtype)
        run.call(_first.weight_gradient, dy, x, dkernel, dbias, *geometry, scratch, threads)
        return dkernel, dbias
    count = _kernels.conv2d_weight_gradient_scratch(
        x.shape, shape, dy.shape, *geometry, groups, dy.itemsize, threads, False
    )
    scratch = _scratch(run, count, dy.dtype)
    run.call(_kernels.conv2d_weight_gradient, dy, x, dkernel, dbias, *geometry, groups, scratch, threads)
    return dkernel, dbias


def conv2d_max_pool(
    x: Array,
    kernel: Array,
    bias: Array | None,
    window: Window,
    pool: Window,
    groups: int,
    relu: bool,
    run: Run,
    algorithm: str = "auto",
) -> tuple[Array, Array]:
    """Max pooling of `conv2d`, whose output is never whole -> y (n, poh, pow, f), argmax.

    With `relu` the argmax of a y that is not above zero is 255, nothing, and so passes no gradient.
    """
    shape = (x.shape[0], *pool.output_size, kernel.shape[3])
    y, argmax = run.empty("y", shape, x.dtype), run.empty("argmax", shape, np.uint8)
    geometry, size = _geometry(window), window.output_size
    threads = threads_for(x.shape[0] * size[0] * size[1] * kernel.size, SERIAL_WORK)
    chosen = choose_forward(window, groups, x.shape[3], shape[3], algorithm)
    if chosen == "winograd":
        _winograd_into(y, argmax, x, None, kernel, bias, window, relu, False, run, threads)
        return y, argmax
    if chosen in ("first", "rows"):
        how = (size, *geometry, chosen == "rows")
        count = _first.pool_forward_scratch(x.shape, kernel.shape, *how, x.itemsize, threads)
        scratch = _scratch(run, count, x.dtype)
        windows = (*how, relu, pool.arguments)
        run.call(_first.pool_forward, x, kernel, bias, y, argmax, *windows, scratch, threads)
        return y, argmax
    count = _kernels.conv2d_pool_scratch(x.shape, kernel.shape, size, *geometry, groups, x.itemsize, threads)
    scratch = _scratch(run, count, x.dtype)
    options = (size, *geometry, groups, relu, pool.arguments)
    run.call(_kernels.conv2d_pool_forward, x, kernel, bias, y, argmax, *options, scratch, threads)
    return y, argmax


def conv2d_average_pool(
    x: Array,
    kernel: Array,
    bias: Array | None,
    window: Window,
    activation: str,
    pool: Window,
    count_include_pad: bool,
    run: Run,
) -> Array:
    """Average pooling of an activation of `conv2d`, neither of which is ever whole -> y (n, poh, pow, f).

    For convolutions that have images in their lanes (`lanes_across`), and windows that `average_pool_fits`.
    """
    y = run.empty("y", (x.shape[0], *pool.output_size, kernel.shape[3]), x.dtype)
    columns, windows = window.output_size[1], pool.arguments
    threads = threads_for(len(x) * window.output_size[0] * columns * kernel.size, SERIAL_WORK)
    how = (columns, *_geometry(window))
    count = _lanes.pool_forward_scratch(x.shape, kernel.shape, y.shape, *how, windows, x.itemsize, threads)
    options = (*how, activation, windows, count_include_pad, _scratch(run, count, x.dtype), threads)
    run.call(_lanes.pool_forward, x, kernel, bias, y, *options)
    return y


def conv2d_max_pool_input_gradient(
    dy: Array,
    argmax: Array,
    kernel: Array,
    window: Window,
    in_channels: int,
    run: Run,
    positive: Array | None = None,
) -> Array:
    """dy, argmax (n, poh, pow, f) -> dx (n, h, w, c) of `conv2d_max_pool`, by Winograd's algorithm.

    `positive` is as in `conv2d_input_gradient`.
    """
    dx = run.empty("dx", (dy.shape[0], *window.input_size, in_channels), dy.dtype)
    size = window.output_size
    threads = threads_for(len(dy) * size[0] * size[1] * kernel.size, SERIAL_WORK)
    _winograd_input_gradient(dx, dy, argmax, kernel, window, run, threads, positive)
    return dx


def conv2d_max_pool_weight_gradient(
    dy: Array,
    argmax: Array,
    x: Array,
    window: Window,
    pool: Window,
    groups: int,
    run: Run,
    algorithm: str = "auto",
) -> tuple[Array, Array]:
    """dy, argmax (n, poh, pow, f), x (n, h, w, c) -> dkernel, dbias of `conv2d_max_pool`."""
    n, filters, size = dy.shape[0], dy.shape[3], window.output_size
    shape = (*window.kernel_size, x.shape[3] // groups, filters)
    dkernel = run.empty("dkernel", shape, dy.dtype)
    dbias = run.empty("dbias", (filters,), dy.dtype)
    geometry = _geometry(window)
    threads = threads_for(n * size[0] * size[1] * dkernel.size, SERIAL_WORK)
    chosen = choose(window, groups, x.shape[3], filters, algorithm, size)
    if chosen == "winograd":
        _winograd_weight_gradient(dy, argmax, x, dkernel, dbias, window, run, threads)
        return dkernel, dbias
    if chosen == "first":
        count = _first.weight_gradient_scratch(x.shape, shape, size, *geometry, dy.itemsize, threads, True)
        scratch = _scratch(run, count, dy.dtype)
        arrays = (dy, argmax, x, dkernel, dbias)
        run.call(_first.pool_weight_gradient, *arrays, size, *geometry, pool.arguments, scratch, threads)
        return dkernel, dbias
    full = (n, *size, filters)
    count = _kernels.conv2d_weight_gradient_scratch(
        x.shape, shape, full, *geometry, groups, dy.itemsize, threads, True
    )
    scratch = _scratch(run, count, dy.dtype)
    arrays, options = (dy, argmax, x, dkernel, dbias), (size, *geometry, groups, pool.arguments)
    run.call(_kernels.conv2d_pool_weight_gradient, *arrays, *options, scratch, threads)
    return dkernel, dbias


def dense(
    x: Array, kernel: Array, bias: Array | None, relu: bool, run: Run, scale: Array | None = None
) -> Array:
    """x (m, in), kernel (in, out), scale and bias (out) or None -> y (m, out)."""
    y = run.empty("y", (x.shape[0], kernel.shape[1]), x.dtype)
    _dense_into(y, x, kernel, scale, bias, relu, run)
    return y


def _dense_into(
    y: Array, x: Array, kernel: Array, scale: Array | None, bias: Array | None, relu: bool, run: Run
) -> None:
    threads = threads_for(x.shape[0] * kernel.size, SERIAL_WORK)
    if len(x) == 1 and scale is None:
        sums = _scratch(run, _dense.dense_row_scratch(*kernel.shape), x.dtype)
        run.call(_dense.dense_row, x, kernel, bias, y, relu, sums, threads)
        return
    scratch = None
    if scale is not None or not _dense.dense_in_place(len(y), y.shape[1], x.itemsize):
        scratch = _scratch(run, _dense.dense_scratch(x.itemsize, threads), x.dtype)
    run.call(_dense.dense_forward, x, kernel, scale, bias, y, relu, scratch, threads)


def dense_input_gradient(dy: Array, kernel: Array, run: Run, positive: Array | None = None) -> Array:
    """dy (m, out), kernel (in, out) -> dx (m, in); `positive` (m, in) is as in `conv2d_input_gradient`."""
    dx = run.empty("dx", (dy.shape[0], kernel.shape[0]), dy.dtype)
    _dense_input_gradient_into(dx, dy, kernel, run)
    return _where_positive(dx, positive, run)


def _dense_input_gradient_into(dx: Array, dy: Array, kernel: Array, run: Run) -> None:
    threads = threads_for(dy.shape[0] * kernel.size, SERIAL_WORK)
    scratch = _scratch(run, _dense.dense_scratch(dy.itemsize, threads), dy.dtype)
    run.call(_dense.dense_input_gradient, dy, kernel, dx, scratch, threads)


def _dense_weight_gradient_into(dkernel: Array, dbias: Array, dy: Array, x: Array, run: Run) -> None:
    threads = threads_for(len(x) * dkernel.size, SERIAL_WORK)
    count = _dense.dense_weight_gradient_scratch(len(x), x.shape[1], dy.itemsize, threads)
    scratch = _scratch(run, count, dy.dtype)
    run.call(_dense.dense_weight_gradient, dy, x, dkernel, dbias, scratch, threads)


def dense_weight_gradient(dy: Array, x: Array, run: Run) -> tuple[Array, Array]:
    """dy (m, out), x (m, in) -> dkernel (in, out), dbias (out)."""
    dkernel = run.empty("dkernel", (x.shape[1], dy.shape[1]), dy.dtype)
    dbias = run.empty("dbias", (dy.shape[1],), dy.dtype)
    _dense_weight_gradient_into(dkernel, dbias, dy, x, run)
    return dkernel, dbias
