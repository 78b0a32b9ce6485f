"""The rectifier with learned slopes, and its gradients."""

from cconv.kernels import prelu as loops
from cconv.ops.run import Array, Run
from cconv.ops.sums import column_sums
from cconv.threads import threads_for


def prelu(x: Array, alpha: Array, run: Run | None = None) -> Array:
    """Any shape -> the same: x where x > 0, else alpha * x; alpha (as its elements) has x's last axes."""
    run = run or Run()
    y, rows = run.empty("y", x.shape, x.dtype), (-1, alpha.size)
    run.call(loops.prelu, x.reshape(rows), alpha.reshape(-1), y.reshape(rows), threads_for(x.size))
    return y


def prelu_backward(dy: Array, x: Array, alpha: Array, run: Run | None = None) -> tuple[Array, Array]:
    """Any shape -> dx, the same, and dalpha (alpha.size): summed over the elements that share a slope."""
    run = run or Run()
    dx, shares = run.empty("dx", x.shape, x.dtype), run.empty("shares", x.shape, x.dtype)
    rows = (-1, alpha.size)
    arrays = dy.reshape(rows), x.reshape(rows), alpha.reshape(-1), dx.reshape(rows), shares.reshape(rows)
    run.call(loops.prelu_backward, *arrays, threads_for(x.size))
    return dx, column_sums(arrays[-1], run)
