"""Images of another size."""

import numpy as np

from cconv.geometry.sampling import Axis
from cconv.kernels import resizing as loops
from cconv.ops.run import Array, Run
from cconv.threads import threads_for


def resize(x: Array, rows: Axis, columns: Axis, run: Run | None = None) -> Array:
    """Resize x (n, h, w, c) along both axes -> y (n, oh, ow, c)."""
    run = run or Run()
    n, _, width, channels = x.shape
    y = run.empty("y", (n, len(rows.at), len(columns.at), channels), x.dtype)
    threads = threads_for(y.size)
    scratch = run.scratch(threads * width * channels * x.itemsize).view(x.dtype).reshape(threads, -1)
    places = (rows.at, rows.share, columns.at, columns.share)
    run.call(loops.resize, x, *places, y, scratch, threads)
    return y


def resize_backward(dy: Array, rows: Axis, columns: Axis, run: Run | None = None) -> Array:
    """dy (n, oh, ow, c), the axes of `resize` -> dx (n, h, w, c)."""
    run = run or Run()
    n, _, width, channels = dy.shape
    dx = run.empty("dx", (n, rows.size, columns.size, channels), dy.dtype)
    threads = threads_for(dy.size)
    scratch = run.scratch(threads * (width + 1) * channels * 8).view(np.float64).reshape(threads, -1)
    places = [table for axis in (rows, columns) for table in (axis.at, axis.share, axis.reach)]
    run.call(loops.resize_backward, dy, *places, dx, scratch, threads)
    return dx
