# merging.pyx: layers of several inputs: sums, products and maxima element by element, scaled channels, and
# copied columns.
#
# Only the sums of products depend on how they are cut: chunks of SUM_ROWS rows, added in a fixed tree.
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport parallel, prange
from libc.string cimport memcpy

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv._rows cimport CCONV_STAGE_BYTES, cconv_rows, cconv_stage
from cconv.kernels.chunks cimport CHUNK, each, streams_out

cconv_join(crew_of_process())

ctypedef Py_ssize_t size

cdef size SUM_ROWS = 64  # rows of a partial sum of products
cdef size LEAST_STREAMED = 1024  # bytes: shorter pieces of a row do not bypass the caches


def add(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n) = a + b; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).plus, y.shape[0], &a[0], &b[0], &y[0], 0, sizeof(floating),
             threads)


def add_relu(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n) = max(0, a + b), NaN passes; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).plus_relu, y.shape[0], &a[0], &b[0], &y[0], 0, sizeof(floating),
             threads)


def subtract(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n) = a - b; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).minus, y.shape[0], &a[0], &b[0], &y[0], 0, sizeof(floating),
             threads)


def multiply(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n) = a * b; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).times, y.shape[0], &a[0], &b[0], &y[0], 0, sizeof(floating),
             threads)


def divide(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n) = a / b; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).over, y.shape[0], &a[0], &b[0], &y[0], 0, sizeof(floating),
             threads)


def divide_by(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    double divisor, int threads,
):
    # x (n) -> y (n) = x / divisor; y may be x
    with nogil:
        each(cconv_rows_of(sizeof(floating)).over_number, y.shape[0], &x[0], NULL, &y[0], divisor,
             sizeof(floating), threads)


def negative(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = -x; y may be x
    with nogil:
        each(cconv_rows_of(sizeof(floating)).negative, y.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def maximum(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n) the larger one, NaN where one is NaN; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).larger, y.shape[0], &a[0], &b[0], &y[0], 0, sizeof(floating),
             threads)


def minimum(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n) the smaller one, NaN where one is NaN; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).smaller, y.shape[0], &a[0], &b[0], &y[0], 0, sizeof(floating),
             threads)


def larger_share(
    const floating[::1] a,  # IN
    const floating[::1] b,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # a, b (n) -> y (n): 1 where a > b, 1/2 where a = b, else 0; y may be a or b
    with nogil:
        each(cconv_rows_of(sizeof(floating)).larger_share, y.shape[0], &a[0], &b[0], &y[0], 0,
             sizeof(floating), threads)


cdef void scale_task(
    size m, size n, const floating *x, const floating *scale, floating *y, bint streams
) noexcept nogil:
    # x (m, n), scale (n) -> y (m, n); a stage of rows at a time if y bypasses the caches
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef cconv_stage stage
    cdef size some, start = 0
    if not streams:
        rows.scale_rows(m, n, x, scale, y)
        return
    while start < m:
        some = min(m - start, CCONV_STAGE_BYTES // (n * <size> sizeof(floating)))
        rows.scale_rows(some, n, x + start * n, scale, stage.bytes)
        rows.stream(some * n, stage.bytes, y + start * n)
        start = start + some


def scale_channels(
    const floating[:, :, ::1] x,  # IN
    const floating[:, ::1] scale,  # IN
    floating[:, :, ::1] y,  # OUT
    int threads,
):
    # x (n, p, c), scale (n, c) -> y (n, p, c) = x * scale, pixel by pixel; y may be x
    cdef size p = x.shape[1], c = x.shape[2], pixels = max(1, CHUNK // c), chunks = (p + pixels - 1) // pixels
    cdef size t, i, start
    cdef bint streams = streams_out(x.shape[0] * p * c * <size> sizeof(floating), sizeof(floating)) and (
        c * <size> sizeof(floating) <= CCONV_STAGE_BYTES)
    with nogil, parallel(num_threads=threads):
        for t in prange(x.shape[0] * chunks, schedule='dynamic'):
            i = t // chunks
            start = t % chunks * pixels
            scale_task(min(pixels, p - start), c, &x[i, start, 0], &scale[i, 0], &y[i, start, 0], streams)
        if streams:
            cconv_rows_of(sizeof(floating)).streamed()


def product_sums_chunks(size p):
    # Rows of the scratch that the sums of p products need.
    return (p + SUM_ROWS - 1) // SUM_ROWS


cdef void add_tree(size chunks, size c, floating *partial, floating *sums) noexcept nogil:
    # partial (chunks, c) -> sums (c): neighbours are added, then pairs of neighbours, and so on
    cdef size gap = 1, t
    while gap < chunks:
        t = 0
        while t + gap < chunks:
            cconv_rows_of(sizeof(floating)).add(c, partial + (t + gap) * c, NULL, partial + t * c, 0)
            t = t + 2 * gap
        gap = 2 * gap
    memcpy(sums, partial, c * sizeof(floating))


def product_sums(
    const floating[:, :, ::1] a,  # IN
    const floating[:, :, ::1] b,  # IN
    floating[:, :, ::1] partial,  # OUT, scratch
    floating[:, ::1] sums,  # OUT
    int threads,
):
    # a, b (n, p, c) -> sums (n, c) over p of a * b; partial (n, product_sums_chunks(p), c)
    cdef size p = a.shape[1], c = a.shape[2], chunks = partial.shape[1], t, i, start
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil, parallel(num_threads=threads):
        for t in prange(a.shape[0] * chunks, schedule='dynamic'):
            i = t // chunks
            start = t % chunks * SUM_ROWS
            rows.product_sums(min(SUM_ROWS, p - start), c, &a[i, start, 0], &b[i, start, 0],
                              &partial[i, t % chunks, 0])
        for i in prange(a.shape[0], schedule='dynamic'):
            add_tree(chunks, c, &partial[i, 0, 0], &sums[i, 0])


cdef void copy_task(
    size m, size n, const floating *x, size x_step, floating *y, size y_step, bint streams
) noexcept nogil:
    # copies n columns of m rows
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size r
    if not streams:
        rows.copy_rows(m, n, x, x_step, y, y_step)
        return
    for r in range(m):
        rows.stream(n, x + r * x_step, y + r * y_step)


def copy_columns(
    const floating[:, ::1] x,  # IN
    size first,
    floating[:, ::1] y,  # OUT
    size to,
    size columns, int threads,
):
    # x (m, c1), y (m, c2): columns first, first + 1, ... of x -> columns to, to + 1, ... of y; other
    # columns of y stay
    cdef size m = x.shape[0], rows = max(1, CHUNK // columns), pieces = (columns + CHUNK - 1) // CHUNK
    cdef size t, row, at
    cdef bint streams = streams_out(m * columns * <size> sizeof(floating), sizeof(floating)) and (
        columns * <size> sizeof(floating) >= LEAST_STREAMED)
    with nogil, parallel(num_threads=threads):
        for t in prange((m + rows - 1) // rows * pieces, schedule='dynamic'):
            row = t // pieces * rows
            at = t % pieces * CHUNK
            copy_task(min(rows, m - row), min(CHUNK, columns - at), &x[row, first + at], x.shape[1],
                      &y[row, to + at], y.shape[1], streams)
        if streams:
            cconv_rows_of(sizeof(floating)).streamed()
