"""Sums over rows."""

from cconv.kernels import sums as loops
from cconv.ops.run import Array, Run
from cconv.threads import threads_for


def column_sums(x: Array, run: Run | None = None) -> Array:
    """Add up x (m, n) -> the sums of its columns (n)."""
    run = run or Run()
    m, n = x.shape
    chunks = loops.column_sums_chunks(m)
    sums = run.empty("sums", (n,), x.dtype)
    partial = run.scratch(chunks * n * x.itemsize).view(x.dtype).reshape(chunks, n)
    run.call(loops.column_sums, x, partial, sums, threads_for(x.size))
    return sums
