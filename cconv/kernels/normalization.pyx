# normalization.pyx: normalises samples x (n, m, c), of m pixels and c channels each, by numbers that
# each sample has for each channel: statistics, and both passes.  Batch normalisation has one sample, the
# rows of the batch.
#
# Sums run in double over chunks of rows that are cut from shapes alone; the caller adds the chunks
# in their order.  simd/normalization/columns.h does the work of a chunk.  Kernels check nothing and
# allocate nothing.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process

cconv_join(crew_of_process())

ctypedef Py_ssize_t size


def statistics(
    const floating[:, :, ::1] x,  # IN
    double[:, :, :, ::1] partial,  # OUT
    size rows, int threads,
):
    # x (n, m, c) -> partial (n, ceil(m / rows), 2, c): sums and sums of squares of x - x[:, :1]
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = partial.shape[1], s, k, t
    for t in prange(n * chunks, schedule='dynamic', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        cconv_rows_of(sizeof(floating)).column_moments(
            min(rows, m - k * rows), c, &x[s, k * rows, 0], &x[s, 0, 0], &partial[s, k, 0, 0],
            &partial[s, k, 1, 0])


cdef void chunk_apply(
    size m, size c, size apart, const floating *x, const floating *mean, const floating *scale,
    const floating *shift, double cap, floating *y
) noexcept nogil:
    # The rows of x are `apart` elements apart; they go one by one unless they are contiguous.
    cdef size i, rows = m if apart == c else 1
    for i in range(m // rows):
        cconv_rows_of(sizeof(floating)).normalize_columns(rows, c, x + i * apart, mean, scale, shift, cap,
                                                          y + i * c)


def apply(
    const floating[:, :, :] x,  # IN
    const floating[:, ::1] mean,  # IN
    const floating[:, ::1] scale,  # IN
    const floating[:, ::1] shift,  # IN
    double cap,
    floating[:, :, ::1] y,  # OUT
    size rows, int threads,
):
    # x (n, m, c), with contiguous channels, mean, scale, shift (n, c) -> y (n, m, c) =
    # (x - mean) scale + shift, then a ReLU that is cut at `cap`; no ReLU if cap is 0
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = (m + rows - 1) // rows, s, k, t
    cdef size apart = x.strides[1] // <size> sizeof(floating) if m > 1 else c
    for t in prange(n * chunks, schedule='dynamic', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        chunk_apply(min(rows, m - k * rows), c, apart, &x[s, k * rows, 0], &mean[s, 0], &scale[s, 0],
                    &shift[s, 0], cap, &y[s, k * rows, 0])


def gradient_sums(
    const floating[:, :, ::1] dy,  # IN
    const floating[:, :, ::1] x,  # IN
    const floating[:, ::1] mean,  # IN
    const floating[:, ::1] scale,  # IN
    const floating[:, ::1] shift,  # IN
    double cap,
    double[:, :, :, ::1] partial,  # OUT
    size rows, int threads,
):
    # dy, x (n, m, c), mean, scale, shift (n, c) -> partial (n, ceil(m / rows), 2, c): sums of dz and of
    # dz (x - mean), where dz is dy in front of the ReLU of `apply`; without a ReLU scale, shift are not read
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = partial.shape[1], s, k, t
    for t in prange(n * chunks, schedule='dynamic', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        cconv_rows_of(sizeof(floating)).column_products(
            min(rows, m - k * rows), c, &dy[s, k * rows, 0], &x[s, k * rows, 0], &mean[s, 0], &scale[s, 0],
            &shift[s, 0], cap, &partial[s, k, 0, 0], &partial[s, k, 1, 0])


def add_chunks(
    const double[:, :, ::1] partial,  # IN
    floating[:, ::1] sums,  # OUT
):
    # partial (chunks, 2, c) -> sums (2, c), chunk by chunk in order
    cdef size chunks = partial.shape[0], c = partial.shape[2], i, j, k
    cdef double total
    with nogil:
        for i in range(2):
            for j in range(c):
                total = 0
                for k in range(chunks):
                    total = total + partial[k, i, j]
                sums[i, j] = <floating> total


def input_gradient(
    const floating[:, :, ::1] dy,  # IN
    const floating[:, :, ::1] x,  # IN
    const floating[:, ::1] mean,  # IN
    const floating[:, ::1] scale,  # IN
    const floating[:, ::1] shift,  # IN
    double cap,
    const floating[:, ::1] slope,  # IN
    const floating[:, ::1] less,  # IN
    floating[:, :, ::1] dx,  # OUT
    size rows, int threads,
):
    # dy, x (n, m, c), mean, scale, shift, slope, less (n, c) -> dx (n, m, c) = dz scale - (x - mean) slope -
    # less, where dz is dy in front of the ReLU of `apply`; without a ReLU shift is not read; dx may be dy
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = (m + rows - 1) // rows, s, k, t
    for t in prange(n * chunks, schedule='dynamic', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        cconv_rows_of(sizeof(floating)).columns_backward(
            min(rows, m - k * rows), c, &dy[s, k * rows, 0], &x[s, k * rows, 0], &mean[s, 0], &scale[s, 0],
            &shift[s, 0], cap, &slope[s, 0], &less[s, 0], &dx[s, k * rows, 0])
