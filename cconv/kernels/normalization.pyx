# normalization.pyx: normalisation of samples x (n, m, c), m pixels and c channels each, by numbers that
# each sample has for each channel: statistics, both passes.  A batch normalisation has one sample, the
# rows of the batch.
#
# Sums run in double over chunks of rows that are cut from shapes alone; the caller adds the chunks
# in their order.  All is plain C without FMA, bound by memory, so no instruction set has a version
# of its own and all give the same bits; a ReLU, forward and back, is simd/activations/map.h's on a chunk in
# the cache.  Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport INFINITY

from cconv._kernels cimport cconv_rows_of

ctypedef Py_ssize_t size


cdef void chunk_statistics(
    size m, size c, const floating *x, const floating *origin, double *sums, double *squares
) noexcept nogil:
    # x (m, c), origin (c) -> sums, squares (c) of x - origin
    cdef size i, j
    cdef double d
    for j in range(c):
        sums[j] = 0
        squares[j] = 0
    for i in range(m):
        for j in range(c):
            d = <double> x[i * c + j] - <double> origin[j]
            sums[j] += d
            squares[j] += d * d


def statistics(
    const floating[:, :, ::1] x,  # IN
    double[:, :, :, ::1] partial,  # OUT
    size rows, int threads,
):
    # x (n, m, c) -> partial (n, ceil(m / rows), 2, c): sums and sums of squares of x - x[:, :1]
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = partial.shape[1], s, k, t
    for t in prange(n * chunks, schedule='static', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        chunk_statistics(min(rows, m - k * rows), c, &x[s, k * rows, 0], &x[s, 0, 0], &partial[s, k, 0, 0],
                         &partial[s, k, 1, 0])


cdef void chunk_apply(
    size m, size c, const floating *x, const floating *mean, const floating *scale, const floating *shift,
    double cap, floating *y
) noexcept nogil:
    # x (m, c), mean, scale, shift (c) -> y (m, c)
    cdef size i, j
    for i in range(m):
        for j in range(c):
            y[i * c + j] = (x[i * c + j] - mean[j]) * scale[j] + shift[j]
    if cap == INFINITY:
        cconv_rows_of(sizeof(floating)).relu(m * c, y, NULL, y, 0)
    elif cap:
        cconv_rows_of(sizeof(floating)).clipped_relu(m * c, y, NULL, y, cap)


def apply(
    const floating[:, :, ::1] x,  # IN
    const floating[:, ::1] mean,  # IN
    const floating[:, ::1] scale,  # IN
    const floating[:, ::1] shift,  # IN
    double cap,
    floating[:, :, ::1] y,  # OUT
    size rows, int threads,
):
    # x (n, m, c), mean, scale, shift (n, c) -> y (n, m, c) = (x - mean) scale + shift, then a ReLU that ends
    # at `cap`; none if that is 0
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = (m + rows - 1) // rows, s, k, t
    for t in prange(n * chunks, schedule='static', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        chunk_apply(min(rows, m - k * rows), c, &x[s, k * rows, 0], &mean[s, 0], &scale[s, 0], &shift[s, 0],
                    cap, &y[s, k * rows, 0])


cdef void chunk_gradient_sums(
    size m, size c, const floating *dy, const floating *x, const floating *mean, double *sums,
    double *products
) noexcept nogil:
    # dy, x (m, c), mean (c) -> sums (c) of dy, products (c) of dy (x - mean)
    cdef size i, j
    for j in range(c):
        sums[j] = 0
        products[j] = 0
    for i in range(m):
        for j in range(c):
            sums[j] += dy[i * c + j]
            products[j] += <double> dy[i * c + j] * (<double> x[i * c + j] - <double> mean[j])


def gradient_sums(
    const floating[:, :, ::1] dy,  # IN
    const floating[:, :, ::1] x,  # IN
    const floating[:, ::1] mean,  # IN
    double[:, :, :, ::1] partial,  # OUT
    size rows, int threads,
):
    # dy, x (n, m, c), mean (n, c) -> partial (n, ceil(m / rows), 2, c): sums of dy and of dy (x - mean)
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = partial.shape[1], s, k, t
    for t in prange(n * chunks, schedule='static', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        chunk_gradient_sums(min(rows, m - k * rows), c, &dy[s, k * rows, 0], &x[s, k * rows, 0], &mean[s, 0],
                            &partial[s, k, 0, 0], &partial[s, k, 1, 0])


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


cdef void rectifier_back(
    size n, const floating *dy, const floating *y, floating *dx, double cap
) noexcept nogil:
    # dy, y (n) behind a ReLU that ends at `cap` -> dx (n)
    if cap == INFINITY:
        cconv_rows_of(sizeof(floating)).relu_backward(n, dy, y, dx, 0)
    else:
        cconv_rows_of(sizeof(floating)).clipped_relu_backward(n, dy, y, dx, cap)


def relu_gradient_sums(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] y,  # IN
    const floating[:, ::1] x,  # IN
    const floating[::1] mean,  # IN
    floating[:, ::1] dx,  # OUT
    double[:, :, ::1] partial,  # OUT
    double cap, size rows, int threads,
):
    # dy, y (m, c) behind a ReLU that ends at `cap` -> dx (m, c), the gradient in front of it, and its
    # gradient_sums(...)
    cdef size m = x.shape[0], c = x.shape[1], t, count
    for t in prange(partial.shape[0], schedule='static', num_threads=threads, nogil=True):
        count = min(rows, m - t * rows)
        rectifier_back(count * c, &dy[t * rows, 0], &y[t * rows, 0], &dx[t * rows, 0], cap)
        chunk_gradient_sums(count, c, <const floating *> &dx[t * rows, 0], &x[t * rows, 0], &mean[0],
                            &partial[t, 0, 0], &partial[t, 1, 0])


cdef void chunk_input_gradient(
    size m, size c, const floating *dy, const floating *x, const floating *mean, const floating *scale,
    const floating *slope, const floating *shift, floating *dx
) noexcept nogil:
    # dy, x (m, c), mean, scale, slope, shift (c) -> dx (m, c), which may be dy
    cdef size i, j
    for i in range(m):
        if dy == dx:
            # Said with one pointer, so that the compiler sees that no element waits for another.
            for j in range(c):
                dx[i * c + j] = dx[i * c + j] * scale[j] - (x[i * c + j] - mean[j]) * slope[j] - shift[j]
        else:
            for j in range(c):
                dx[i * c + j] = dy[i * c + j] * scale[j] - (x[i * c + j] - mean[j]) * slope[j] - shift[j]


def input_gradient(
    const floating[:, :, ::1] dy,  # IN
    const floating[:, :, ::1] x,  # IN
    const floating[:, ::1] mean,  # IN
    const floating[:, ::1] scale,  # IN
    const floating[:, ::1] slope,  # IN
    const floating[:, ::1] shift,  # IN
    floating[:, :, ::1] dx,  # OUT
    size rows, int threads,
):
    # dy, x (n, m, c), mean, scale, slope, shift (n, c) -> dx (n, m, c) = dy scale - (x - mean) slope -
    # shift; dx may be dy
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = (m + rows - 1) // rows, s, k, t
    for t in prange(n * chunks, schedule='static', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks
        chunk_input_gradient(min(rows, m - k * rows), c, &dy[s, k * rows, 0], &x[s, k * rows, 0],
                             &mean[s, 0], &scale[s, 0], &slope[s, 0], &shift[s, 0], &dx[s, k * rows, 0])
