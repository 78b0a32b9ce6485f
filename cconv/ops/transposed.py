"""Transposed convolutions: forward is the input gradient of a convolution, backward is the convolution.

The window is that of the convolution.  Its input is y here, and its output is x.
"""

from cconv.geometry.algorithms import Convolution, input_gradient_algorithm
from cconv.geometry.shapes import Window
from cconv.kernels import biases
from cconv.ops import direct
from cconv.ops.activations import where_positive
from cconv.ops.convolution import conv2d, conv2d_weight_gradient, input_gradient_into
from cconv.ops.passes import Pass
from cconv.ops.run import Array, Run
from cconv.ops.sums import column_sums
from cconv.threads import threads_for

CHUNK = 16_384  # elements of a task: some tens of microseconds of work


def conv2d_transpose(
    x: Array, kernel: Array, bias: Array | None, window: Window, groups: int, relu: bool, run: Run
) -> Array:
    """x (n, h, w, c), kernel (kh, kw, f // groups, c), bias (f) or None -> y (n, oh, ow, f)."""
    filters = kernel.shape[2] * groups
    what = Convolution(window, groups, filters, x.shape[3], x.itemsize)
    y = run.empty("y", (len(x), *window.input_size, filters), x.dtype)
    if input_gradient_algorithm(what, len(x)) == "direct":
        direct.input_gradient(Pass.of(what, len(x), run), x, kernel, y, bias, relu)
    else:
        input_gradient_into(what, x, kernel, y, run)
        add_bias(y.reshape(-1, filters), bias, relu, run)
    return y


def add_bias(y: Array, bias: Array | None, relu: bool, run: Run) -> None:
    """y (m, f) += bias (f) or nothing, then ReLU if `relu`."""
    if bias is not None or relu:
        rows = max(1, CHUNK // y.shape[1])
        run.call(biases.add_bias, y, bias, relu, rows, threads_for(y.size))


def conv2d_transpose_input_gradient(
    dy: Array, kernel: Array, window: Window, groups: int, run: Run, positive: Array | None = None
) -> Array:
    """dy (n, oh, ow, f), kernel (kh, kw, f // groups, c) -> dx (n, h, w, c).

    `positive` is that of `conv2d_input_gradient`.
    """
    dx = conv2d(dy, kernel, None, window, groups, False, run, tag="dx")
    return where_positive(dx, positive, run)


def conv2d_transpose_weight_gradient(
    dy: Array, x: Array, window: Window, groups: int, run: Run
) -> tuple[Array, Array]:
    """dy (n, oh, ow, f), x (n, h, w, c) -> dkernel (kh, kw, f // groups, c), dbias (f)."""
    dkernel, _ = conv2d_weight_gradient(x, dy, window, groups, run)
    return dkernel, column_sums(dy.reshape(-1, dy.shape[3]), run)
