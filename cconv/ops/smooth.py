"""SiLU, GELU, ELU and similar functions, and their gradients, which take x."""

from collections.abc import Callable

from cconv.kernels import activations, smooth
from cconv.ops.run import SERIAL_COSTLY, SERIAL_WORK, Array, Run
from cconv.threads import threads_for


def _forward(kernel: Callable[..., None], x: Array, run: Run | None, work: int, *more: float) -> Array:
    run = run or Run()
    y = run.empty("y", x.shape, x.dtype)
    run.call(kernel, x.reshape(-1), y.reshape(-1), *more, threads_for(x.size, work))
    return y


def _backward(
    kernel: Callable[..., None], dy: Array, kept: Array, run: Run | None, work: int, *more: float
) -> Array:
    run = run or Run()
    dx = run.empty("dx", kept.shape, kept.dtype)
    arrays = dy.reshape(-1), kept.reshape(-1), dx.reshape(-1)
    run.call(kernel, *arrays, *more, threads_for(kept.size, work))
    return dx


def silu(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: x / (1 + exp(-x))."""
    return _forward(smooth.silu, x, run, SERIAL_COSTLY)


def silu_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.silu_backward, dy, x, run, SERIAL_COSTLY)


def gelu(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: x * P(N(0, 1) < x)."""
    return _forward(smooth.gelu, x, run, SERIAL_COSTLY)


def gelu_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.gelu_backward, dy, x, run, SERIAL_COSTLY)


def gelu_tanh(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: GELU's approximation with tanh."""
    return _forward(smooth.gelu_tanh, x, run, SERIAL_COSTLY)


def gelu_tanh_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.gelu_tanh_backward, dy, x, run, SERIAL_COSTLY)


def elu(x: Array, alpha: float, run: Run | None = None) -> Array:
    """Any shape -> the same: x where x > 0, else alpha * (exp(x) - 1)."""
    return _forward(smooth.elu, x, run, SERIAL_COSTLY, alpha)


def elu_backward(dy: Array, x: Array, alpha: float, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.elu_backward, dy, x, run, SERIAL_COSTLY, alpha)


def selu(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: 1.0507 * elu(x, 1.6733), with more digits."""
    return _forward(smooth.selu, x, run, SERIAL_COSTLY)


def selu_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.selu_backward, dy, x, run, SERIAL_COSTLY)


def softplus(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: log(1 + exp(x))."""
    return _forward(smooth.softplus, x, run, SERIAL_COSTLY)


def softplus_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.softplus_backward, dy, x, run, SERIAL_COSTLY)


def softsign(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: x / (1 + |x|)."""
    return _forward(smooth.softsign, x, run, SERIAL_WORK)


def softsign_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.softsign_backward, dy, x, run, SERIAL_WORK)


def mish(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: x * tanh(log(1 + exp(x)))."""
    return _forward(smooth.mish, x, run, SERIAL_COSTLY)


def mish_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.mish_backward, dy, x, run, SERIAL_COSTLY)


def hard_sigmoid(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: min(max(x + 3, 0), 6) / 6."""
    return _forward(smooth.hard_sigmoid, x, run, SERIAL_WORK)


def hard_sigmoid_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.hard_sigmoid_backward, dy, x, run, SERIAL_WORK)


def hard_silu(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: x * hard_sigmoid(x)."""
    return _forward(smooth.hard_silu, x, run, SERIAL_WORK)


def hard_silu_backward(dy: Array, x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy times the derivative at x."""
    return _backward(smooth.hard_silu_backward, dy, x, run, SERIAL_WORK)


def exponential(x: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: exp(x)."""
    return _forward(activations.exp, x, run, SERIAL_COSTLY)


def exponential_backward(dy: Array, y: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: dy * y."""
    return _backward(smooth.exponential_backward, dy, y, run, SERIAL_WORK)
