"""Convolutions: `geometry.algorithms` names the algorithm of a pass; the tables here name its functions.

An algorithm's file has its name, with three exceptions: "pointwise" is in `dense.py`, "along_rows" in
`few_taps.py` and "row_lanes" in `lanes.py`.

If x came from a ReLU, an input gradient may be given x as `positive`. dx is then the gradient in front of
the ReLU: zero where x is not above zero.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from cconv.geometry.algorithms import (
    OF_PIXELS,
    Convolution,
    forward_algorithm,
    input_gradient_algorithm,
    pooled_algorithm,
    pooled_weight_gradient_algorithm,
    weight_gradient_algorithm,
)
from cconv.geometry.shapes import Window
from cconv.ops import dense, depthwise, direct, few_taps, gathered, lanes, winograd
from cconv.ops.activations import where_positive
from cconv.ops.behind import NOTHING, Behind, finish
from cconv.ops.passes import Pass
from cconv.ops.run import Array, Run

# Algorithm -> the function that computes a pass with it.
FORWARD: dict[str, Callable[..., None]] = {
    "depthwise": depthwise.forward,
    "winograd": winograd.forward,
    "along_rows": partial(few_taps.forward, along_rows=True),
    "lanes": lanes.forward,
    "row_lanes": partial(lanes.forward, of_rows=True),
    "few_taps": few_taps.forward,
    "direct": direct.forward,
}
POOL_FORWARD: dict[str, Callable[..., None]] = {
    "winograd": winograd.pool_forward,
    "along_rows": partial(few_taps.pool_forward, along_rows=True),
    "few_taps": few_taps.pool_forward,
    "direct": direct.pool_forward,
}
INPUT_GRADIENT: dict[str, Callable[..., None]] = {
    "depthwise": depthwise.input_gradient,
    "gathered": gathered.input_gradient,
    "lanes": lanes.input_gradient,
    "direct": direct.input_gradient,
}
WEIGHT_GRADIENT: dict[str, Callable[..., None]] = {
    "depthwise": depthwise.weight_gradient,
    "gathered": gathered.weight_gradient,
    "winograd": winograd.weight_gradient,
    "few_taps": few_taps.weight_gradient,
    "direct": direct.weight_gradient,
}
POOL_WEIGHT_GRADIENT: dict[str, Callable[..., None]] = {
    "winograd": winograd.pool_weight_gradient,
    "few_taps": few_taps.pool_weight_gradient,
    "direct": direct.pool_weight_gradient,
}


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
    tag: str = "y",
    last: Behind = NOTHING,
) -> Array:
    """x (n, h, w, c), kernel (kh, kw, c // groups, f), bias (f) or None -> y (n, oh, ow, f).

    With an algorithm of `OF_PIXELS` there may be a `scale` (f): outputs are scaled before the bias is added.
    `tag` is the run's name for y, and `last` what follows, in the same pass if the algorithm can do that.
    """
    channels, filters = x.shape[3], kernel.shape[3]
    what = Convolution(window, groups, channels, filters, x.itemsize, algorithm)
    y = run.empty(tag, (len(x), *window.output_size, filters), x.dtype)
    chosen = forward_algorithm(what, len(x))
    if chosen in OF_PIXELS:
        this = Pass.of(what, len(x), run)
        pixels = x.reshape(-1, channels) if chosen == "pointwise" else gathered.seen(this, x)
        dense.dense_into(y.reshape(-1, filters), pixels, kernel[0, 0], scale, bias, relu, run, last)
    elif chosen == "depthwise":
        depthwise.forward(Pass.of(what, len(x), run), x, kernel, bias, y, relu, last)
    else:
        FORWARD[chosen](Pass.of(what, len(x), run), x, kernel, bias, y, relu)
        finish(y, last, run)
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
    tag: str = "dx",
) -> Array:
    """dy (n, oh, ow, f), kernel (kh, kw, c // groups, f) -> dx (n, h, w, c), called `tag` by the run."""
    what = Convolution(window, groups, in_channels, dy.shape[3], dy.itemsize, algorithm)
    dx = run.empty(tag, (len(dy), *window.input_size, in_channels), dy.dtype)
    if input_gradient_into(what, dy, kernel, dx, run, positive) == "winograd":
        return dx  # winograd has already used `positive`
    return where_positive(dx, positive, run)


def input_gradient_into(
    what: Convolution, dy: Array, kernel: Array, dx: Array, run: Run, positive: Array | None = None
) -> str:
    """Compute dx, and return the algorithm; `positive` is only used by "winograd"."""
    chosen, this = input_gradient_algorithm(what, len(dy)), Pass.of(what, len(dy), run)
    if chosen == "winograd":
        winograd.input_gradient(this, dy, None, kernel, dx, positive)
    elif chosen == "pointwise":
        rows = dx.reshape(-1, what.channels), dy.reshape(-1, what.filters)
        dense.dense_input_gradient_into(*rows, kernel[0, 0], run)
    else:
        INPUT_GRADIENT[chosen](this, dy, kernel, dx)
    return chosen


def _gradients(what: Convolution, dy: Array, run: Run) -> tuple[Array, Array]:
    shape = (*what.window.kernel_size, what.channels // what.groups, what.filters)
    return run.empty("dkernel", shape, dy.dtype), run.empty("dbias", (what.filters,), dy.dtype)


def conv2d_weight_gradient(
    dy: Array, x: Array, window: Window, groups: int, run: Run, algorithm: str = "auto"
) -> tuple[Array, Array]:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (kh, kw, c // groups, f), dbias (f)."""
    what = Convolution(window, groups, x.shape[3], dy.shape[3], dy.itemsize, algorithm)
    dkernel, dbias = _gradients(what, dy, run)
    chosen = weight_gradient_algorithm(what)
    if chosen == "pointwise":
        rows = dy.reshape(-1, what.filters), x.reshape(-1, what.channels)
        dense.dense_weight_gradient_into(dkernel[0, 0], dbias, *rows, run)
    else:
        WEIGHT_GRADIENT[chosen](Pass.of(what, len(dy), run), dy, x, dkernel, dbias)
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
    """Max pooling of `conv2d`, whose output never exists as a whole -> y, argmax (n, poh, pow, f).

    With `relu`, the argmax of a y that is not above zero is 255 ("nothing"), which passes no gradient.
    """
    what = Convolution(window, groups, x.shape[3], kernel.shape[3], x.itemsize, algorithm)
    shape = (len(x), *pool.output_size, what.filters)
    y, argmax = run.empty("y", shape, x.dtype), run.empty("argmax", shape, np.uint8)
    this = Pass.of(what, len(x), run, pool)
    POOL_FORWARD[pooled_algorithm(what)](this, x, kernel, bias, y, argmax, relu)
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
    """Average pooling of an activation of `conv2d`; both exist only in parts -> y (n, poh, pow, f).

    For convolutions whose algorithm is "lanes", and for windows that `average_pool_fits` accepts.
    """
    what = Convolution(window, 1, x.shape[3], kernel.shape[3], x.itemsize)
    y = run.empty("y", (len(x), *pool.output_size, what.filters), x.dtype)
    this = Pass.of(what, len(x), run, pool)
    lanes.average_pool_forward(this, x, kernel, bias, y, activation, count_include_pad)
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
    """dy, argmax (n, poh, pow, f) -> dx (n, h, w, c) of `conv2d_max_pool`, by Winograd's algorithm."""
    what = Convolution(window, 1, in_channels, dy.shape[3], dy.itemsize, "winograd")
    dx = run.empty("dx", (len(dy), *window.input_size, in_channels), dy.dtype)
    winograd.input_gradient(Pass.of(what, len(dy), run), dy, argmax, kernel, dx, positive)
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
    what = Convolution(window, groups, x.shape[3], dy.shape[3], dy.itemsize, algorithm)
    dkernel, dbias = _gradients(what, dy, run)
    compute = POOL_WEIGHT_GRADIENT[pooled_weight_gradient_algorithm(what)]
    compute(Pass.of(what, len(dy), run, pool), dy, argmax, x, dkernel, dbias)
    return dkernel, dbias
