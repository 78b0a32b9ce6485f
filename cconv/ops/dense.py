"""Dense layers and pointwise convolutions."""

from cconv.kernels import dense as loops
from cconv.ops import merging, shards
from cconv.ops.activations import where_positive
from cconv.ops.behind import NOTHING, Behind, finish
from cconv.ops.run import SERIAL_WORK, Array, Run, scratch_for
from cconv.threads import threads_for

PIECE = 1 << 17  # elements of a kernel's gradient that are summed over shards at once


def dense(
    x: Array,
    kernel: Array,
    bias: Array | None,
    relu: bool,
    run: Run,
    scale: Array | None = None,
    last: Behind = NOTHING,
) -> Array:
    """x (m, in), kernel (in, out), scale and bias (out) or None -> y (m, out), then what follows."""
    y = run.empty("y", (x.shape[0], kernel.shape[1]), x.dtype)
    dense_into(y, x, kernel, scale, bias, relu, run, last)
    return y


def dense_into(
    y: Array,
    x: Array,
    kernel: Array,
    scale: Array | None,
    bias: Array | None,
    relu: bool,
    run: Run,
    last: Behind = NOTHING,
) -> None:
    """y (m, out) = (x (m, in) kernel (in, out)) * scale + bias, ReLU if `relu`, then what follows."""
    threads = threads_for(x.shape[0] * kernel.size, SERIAL_WORK)
    if len(x) == 1 and scale is None:
        sums = scratch_for(run, loops.dense_row_scratch(*kernel.shape), x.dtype)
        run.call(loops.dense_row, x, kernel, bias, y, relu, sums, threads)
        finish(y, last, run)
        return
    size_kept = loops.kept_size(kernel.shape[0], kernel.shape[1], x.itemsize) if run.lasting else 0
    kept = run.kept(("dense", kernel.shape), size_kept, x.dtype) if size_kept else None
    scratch = None
    in_place = scale is None and loops.dense_in_place(len(y), y.shape[1], x.itemsize)
    if kept is None and not in_place:
        scratch = scratch_for(run, loops.dense_scratch(x.itemsize, threads), x.dtype)
    how = *last.arguments(y), kept, scratch, threads
    run.call(loops.dense_forward, x, kernel, scale, bias, y, relu, *how)


def dense_input_gradient(dy: Array, kernel: Array, run: Run, positive: Array | None = None) -> Array:
    """dy (m, out), kernel (in, out) -> dx (m, in); `positive` (m, in) is that of `conv2d_input_gradient`."""
    dx = run.empty("dx", (dy.shape[0], kernel.shape[0]), dy.dtype)
    dense_input_gradient_into(dx, dy, kernel, run)
    return where_positive(dx, positive, run)


def dense_input_gradient_into(dx: Array, dy: Array, kernel: Array, run: Run) -> None:
    """dx (m, in) = dy (m, out) kernel (in, out)^T."""
    threads = threads_for(dy.shape[0] * kernel.size, SERIAL_WORK)
    scratch = scratch_for(run, loops.dense_scratch(dy.itemsize, threads), dy.dtype)
    run.call(loops.dense_input_gradient, dy, kernel, dx, scratch, threads)


def dense_weight_gradient_into(dkernel: Array, dbias: Array, dy: Array, x: Array, run: Run) -> None:
    """dkernel (in, out) = x (m, in)^T dy (m, out); dbias (out) = the sums of dy."""
    threads = threads_for(len(x) * dkernel.size, SERIAL_WORK)
    count = loops.dense_weight_gradient_scratch(len(x), x.shape[1], dy.shape[1], dy.itemsize, threads)
    scratch = scratch_for(run, count, dy.dtype)
    run.call(loops.dense_weight_gradient, dy, x, dkernel, dbias, scratch, threads)


def dense_weight_gradient(dy: Array, x: Array, run: Run) -> tuple[Array, Array]:
    """dy (m, out), x (m, in) -> dkernel (in, out), dbias (out)."""
    dkernel = run.empty("dkernel", (x.shape[1], dy.shape[1]), dy.dtype)
    dbias = run.empty("dbias", (dy.shape[1],), dy.dtype)
    dense_weight_gradient_into(dkernel, dbias, dy, x, run)
    return dkernel, dbias


def dense_weight_gradient_by_shard(dy: Array, x: Array, run: Run) -> tuple[Array, ...]:
    """Sum `dense_weight_gradient` over shards, as `shards.summed` does, but a large kernel by parts of rows.

    So the sums, and the parts that wait to be added, stay in the cache.
    """
    (m, features), units = x.shape, dy.shape[1]
    rows = max(1, PIECE // units)
    if run.cut is None or features < 2 * rows:
        return shards.summed(dense_weight_gradient, (dy, x), run)
    dkernel, dbias = run.empty("dkernel", (features, units), x.dtype), run.empty("dbias", (units,), x.dtype)
    columns, levels = run.empty("columns", (m * rows,), x.dtype), shards.levels_of(run)
    for first in range(0, features, rows):
        count = min(rows, features - first)
        part = columns[: m * count].reshape(m, count)
        merging.copy_columns(x, first, part, 0, count, run)

        def gradient(
            dy: Array, x: Array, level: Run, piece: Array = dkernel[first : first + count]
        ) -> tuple[Array, Array]:
            if level is not levels[0]:
                return dense_weight_gradient(dy, x, level)
            dense_weight_gradient_into(piece, dbias, dy, x, level)
            return piece, dbias

        shards.sum_here(gradient, (dy, part), run.cut, levels)
    shards.begin_sums((dkernel, dbias), run)
    return dkernel, dbias
