# _elementwise.pyx: elementwise functions, softmax, dropout and optimizer steps as parallel loops
# over simd/rows_*.h.
#
# Tasks are chunks of about CHUNK elements, cut from shapes alone.  What is elementwise does not
# depend on them; sums over rows have chunks of COLUMN_ROWS rows, added in a fixed tree.  Large
# outputs go past the caches, a stage at a time (simd/rows_stream.h).
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport parallel, prange
from libc.string cimport memcpy

from cconv._kernels cimport cconv_rows_of
from cconv._rows cimport (
    CCONV_STAGE_BYTES, CCONV_STREAM_BYTES, cconv_draw, cconv_map, cconv_row_map, cconv_rows, cconv_stage,
    cconv_update,
)

ctypedef Py_ssize_t size

cdef size CHUNK = 8192  # elements; a multiple of 64, which is what a dropout draws at once
cdef size COLUMN_ROWS = 64  # rows of a partial sum of columns


cdef bint streams_out(size bytes, size item) noexcept nogil:
    # whether an output of so many bytes goes past the caches
    return bytes >= CCONV_STREAM_BYTES and cconv_rows_of(item).stream != NULL


cdef void each(
    cconv_map *f, size n, const void *a, const void *b, void *out, double s, size item, int threads
) noexcept nogil:
    # out (n) = f(a (n), b (n) or NULL, s)
    cdef bint streams = streams_out(n * item, item)
    cdef size chunk = CCONV_STAGE_BYTES // item if streams else CHUNK, t, start
    with parallel(num_threads=threads):
        for t in prange((n + chunk - 1) // chunk, schedule='static'):
            start = t * chunk
            map_chunk(f, min(chunk, n - start), <const char *> a + start * item,
                      <const char *> b + start * item if b != NULL else NULL, <char *> out + start * item, s,
                      item, streams)
        if streams:
            cconv_rows_of(item).streamed()


cdef void map_chunk(
    cconv_map *f, size n, const void *a, const void *b, void *out, double s, size item, bint streams
) noexcept nogil:
    cdef cconv_stage stage
    f(n, a, b, stage.bytes if streams else out, s)
    if streams:
        cconv_rows_of(item).stream(n, stage.bytes, out)


cdef size rows_at_once(size n, size elements) noexcept nogil:
    # rows of n that make a task: whole vectors of them, about `elements` in all
    return 16 * max(1, elements // (16 * n))


cdef void each_row(
    cconv_row_map *f, size m, size n, const void *a, const void *b, void *out, size item, int threads
) noexcept nogil:
    # out (m, n) = f(a (m, n), b (m, n) or NULL), row by row
    cdef bint streams = streams_out(m * n * item, item) and 16 * n * item <= CCONV_STAGE_BYTES
    cdef size rows = rows_at_once(n, CCONV_STAGE_BYTES // item if streams else CHUNK), t, start
    with parallel(num_threads=threads):
        for t in prange((m + rows - 1) // rows, schedule='static'):
            start = t * rows * n
            row_chunk(f, min(rows, m - t * rows), n, <const char *> a + start * item,
                      <const char *> b + start * item if b != NULL else NULL, <char *> out + start * item,
                      item, streams)
        if streams:
            cconv_rows_of(item).streamed()


cdef void row_chunk(
    cconv_row_map *f, size m, size n, const void *a, const void *b, void *out, size item, bint streams
) noexcept nogil:
    cdef cconv_stage stage
    f(m, n, a, b, stage.bytes if streams else out)
    if streams:
        cconv_rows_of(item).stream(m * n, stage.bytes, out)


def relu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = 0 where x < 0, else x
    with nogil:
        each(cconv_rows_of(sizeof(floating)).relu, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def relu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, y (n) -> dx (n) = dy where y > 0
    with nogil:
        each(cconv_rows_of(sizeof(floating)).relu_backward, y.shape[0], &dy[0], &y[0], &dx[0], 0,
             sizeof(floating), threads)


def leaky_relu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    double slope, int threads,
):
    # x (n) -> y (n) = x where x > 0, else slope * x
    with nogil:
        each(cconv_rows_of(sizeof(floating)).leaky_relu, x.shape[0], &x[0], NULL, &y[0], slope,
             sizeof(floating), threads)


def leaky_relu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    double slope, int threads,
):
    # dy, y (n) -> dx (n) = dy where y > 0, else slope * dy
    with nogil:
        each(cconv_rows_of(sizeof(floating)).leaky_relu_backward, y.shape[0], &dy[0], &y[0], &dx[0], slope,
             sizeof(floating), threads)


def sigmoid(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = 1 / (1 + exp(-x))
    with nogil:
        each(cconv_rows_of(sizeof(floating)).sigmoid, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def sigmoid_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, y (n) -> dx (n) = dy * y * (1 - y)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).sigmoid_backward, y.shape[0], &dy[0], &y[0], &dx[0], 0,
             sizeof(floating), threads)


def tanh(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).tanh, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def tanh_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, y (n) -> dx (n) = dy * (1 - y^2)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).tanh_backward, y.shape[0], &dy[0], &y[0], &dx[0], 0,
             sizeof(floating), threads)


def exp(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).exp, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def log(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).log, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def softmax(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] y,  # OUT
    int threads,
):
    # x (m, n) -> y (m, n), along the rows
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).softmax, x.shape[0], x.shape[1], &x[0, 0], NULL, &y[0, 0],
                 sizeof(floating), threads)


def softmax_backward(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] y,  # IN
    floating[:, ::1] dx,  # OUT
    int threads,
):
    # dy, y (m, n) -> dx (m, n) = y (dy - sum(dy y))
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).softmax_backward, y.shape[0], y.shape[1], &dy[0, 0],
                 &y[0, 0], &dx[0, 0], sizeof(floating), threads)


def log_softmax(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] y,  # OUT
    int threads,
):
    # x (m, n) -> y (m, n) = x - log(sum(exp(x)))
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).log_softmax, x.shape[0], x.shape[1], &x[0, 0], NULL,
                 &y[0, 0], sizeof(floating), threads)


def log_softmax_backward(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] y,  # IN
    floating[:, ::1] dx,  # OUT
    int threads,
):
    # dy, y (m, n) -> dx (m, n) = dy - exp(y) sum(dy)
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).log_softmax_backward, y.shape[0], y.shape[1], &dy[0, 0],
                 &y[0, 0], &dx[0, 0], sizeof(floating), threads)


def softmax_cross_entropy(
    const floating[:, ::1] logits,  # IN
    const floating[:, ::1] probabilities,  # IN, or None
    const long long[::1] labels,  # IN, or None
    const double[::1] weights,  # IN, or None for ones
    double[::1] losses,  # OUT
    floating[:, ::1] dlogits,  # OUT
    int threads,
):
    # logits, probabilities (m, n), or labels (m); weights (m)
    #   -> losses (m), each times its weight; dlogits (m, n) of their mean
    cdef size m = logits.shape[0], n = logits.shape[1], at_once = rows_at_once(n, CHUNK), t, start
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef const floating *target = NULL
    cdef const long long *label = NULL
    cdef const double *weight = NULL
    if probabilities is not None:
        target = &probabilities[0, 0]
    else:
        label = &labels[0]
    if weights is not None:
        weight = &weights[0]
    with nogil:
        for t in prange((m + at_once - 1) // at_once, schedule='static', num_threads=threads):
            start = t * at_once
            rows.cross_entropy(
                min(at_once, m - start), n, &logits[start, 0], target + start * n if target != NULL else NULL,
                label + start if label != NULL else NULL, weight + start if weight != NULL else NULL, m,
                &losses[start], &dlogits[start, 0])


def total(
    const floating[::1] x,  # IN
):
    # x (n) -> its sum
    cdef double result
    with nogil:
        result = cconv_rows_of(sizeof(floating)).sum(x.shape[0], &x[0])
    return result


def column_sums_chunks(size m):
    # Rows of the scratch of the column sums of m rows.
    return (m + COLUMN_ROWS - 1) // COLUMN_ROWS


def column_sums(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] partial,  # OUT, scratch
    floating[::1] sums,  # OUT
    int threads,
):
    # x (m, n) -> sums (n); partial (column_sums_chunks(m), n)
    cdef size m = x.shape[0], n = x.shape[1], chunks = partial.shape[0], t, gap = 1
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil:
        for t in prange(chunks, schedule='static', num_threads=threads):
            rows.column_sums(min(COLUMN_ROWS, m - t * COLUMN_ROWS), n, &x[t * COLUMN_ROWS, 0], &partial[t, 0])
        while gap < chunks:
            t = 0
            while t + gap < chunks:
                rows.add(n, &partial[t + gap, 0], NULL, &partial[t, 0], 0)
                t = t + 2 * gap
            gap = 2 * gap
        memcpy(&sums[0], &partial[0, 0], n * sizeof(floating))


def dropout(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] y,  # OUT
    unsigned char[:, ::1] bits,  # OUT
    const unsigned int[::1] key,  # IN
    unsigned long long seed, unsigned int layer, unsigned int threshold, double factor, int threads,
):
    # x (m, n), key (2): step, first sample -> y (m, n) = kept x * factor, bits (m, ceil(n / 8))
    cdef size m = x.shape[0], n = x.shape[1], chunks = (n + CHUNK - 1) // CHUNK, t, start
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil:
        for t in prange(m * chunks, schedule='static', num_threads=threads):
            start = t % chunks * CHUNK
            drop_chunk(rows, start, min(CHUNK, n - start), seed, key[1] + <unsigned int> (t // chunks),
                       key[0], layer, threshold, factor, &x[t // chunks, start], &y[t // chunks, start],
                       &bits[t // chunks, start // 8])


cdef void drop_chunk(
    const cconv_rows *rows, size start, size n, unsigned long long seed, unsigned int sample,
    unsigned int step, unsigned int layer, unsigned int threshold, double factor,
    const void *x, void *y, unsigned char *bits
) noexcept nogil:
    # x -> y (n), bits (ceil(n / 8)): elements start ... start + n of one sample
    cdef cconv_draw draw
    draw.sample = sample
    draw.step = step
    draw.layer = layer
    draw.key[0] = <unsigned int> seed
    draw.key[1] = <unsigned int> (seed >> 32)
    draw.threshold = threshold
    rows.dropout(start, n, &draw, factor, x, y, bits)


def dropout_backward(
    const floating[:, ::1] dy,  # IN
    const unsigned char[:, ::1] bits,  # IN
    floating[:, ::1] dx,  # OUT
    double factor, int threads,
):
    # dy (m, n), bits (m, ceil(n / 8)) -> dx (m, n) = kept dy * factor
    cdef size m = dy.shape[0], n = dy.shape[1], chunks = (n + CHUNK - 1) // CHUNK, t, start
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil:
        for t in prange(m * chunks, schedule='static', num_threads=threads):
            start = t % chunks * CHUNK
            rows.dropout_backward(min(CHUNK, n - start), factor, &dy[t // chunks, start],
                                  &bits[t // chunks, start // 8], &dx[t // chunks, start])


cdef cconv_update *rule_of(const cconv_rows *rows, int rule) noexcept nogil:
    # the rules in the order of `ops_optim.RULES`
    cdef cconv_update *rules[7]
    rules[:] = [rows.sgd, rows.momentum, rows.nesterov, rows.adagrad, rows.rmsprop, rows.adadelta, rows.adam]
    return rules[rule]


cdef void update_chunk(
    cconv_update *f, const long long *arrays, const double *l2, const double *numbers, size count, size start,
    size stop, size item
) noexcept nogil:
    # elements start ... stop of all arrays, laid end to end
    cdef double[5] hyper
    cdef size k = 0, first, n
    memcpy(hyper, numbers, count * sizeof(double))
    while arrays[6 * k + 5] <= start:
        k = k + 1
    while start < stop:
        first = start - (arrays[6 * k + 5] - arrays[6 * k + 4])
        n = min(stop, arrays[6 * k + 5]) - start
        hyper[1] = l2[k]
        f(n, <char *> arrays[6 * k] + first * item, <const char *> arrays[6 * k + 1] + first * item,
          <char *> arrays[6 * k + 2] + first * item if arrays[6 * k + 2] else NULL,
          <char *> arrays[6 * k + 3] + first * item if arrays[6 * k + 3] else NULL, hyper)
        start, k = start + n, k + 1


def optimize(
    int rule,
    const long long[:, ::1] arrays,  # IN
    const double[::1] l2,  # IN
    const double[::1] numbers,  # IN
    size item, int threads,
):
    # arrays (k, 6): addresses of param, grad and up to two states, else 0; elements, and their sum so far
    # l2 (k): penalties; numbers: learning rate, a place for the penalty, and those of the rule
    cdef size total = arrays[arrays.shape[0] - 1, 5], t
    cdef cconv_update *f = rule_of(cconv_rows_of(item), rule)
    with nogil:
        for t in prange((total + CHUNK - 1) // CHUNK, schedule='static', num_threads=threads):
            update_chunk(f, &arrays[0, 0], &l2[0], &numbers[0], numbers.shape[0], t * CHUNK,
                         min(t * CHUNK + CHUNK, total), item)
