# layer_normalization.pyx: rows x (m, n), each normalised by its own statistics: both passes.
#
# A row of at most PIECE elements stays in the cache and is done at once.  A longer row is cut into pieces,
# whose statistics are added in their order, in double.  Sums along a row are those of simd/rows/rows.h.
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport sqrt
from libc.string cimport memset

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv._rows cimport cconv_rows
from cconv.kernels.chunks cimport size

cconv_join(crew_of_process())

cdef enum:
    PIECE = 8192     # elements
    MOST_ROWS = 256  # rows whose gradients of the weights are added one after the other
    LAYER = 0     # (x - mean) / sqrt(variance + epsilon)
    SCALING = 1   # x / sqrt(variance + epsilon)
    RMS = 2       # x / sqrt(mean of the squares + epsilon)
    UNIT = 3      # x / sqrt(sum of the squares), times at most 1 / epsilon


def pieces_chunks(size n):
    # Pieces of a row of n elements.
    return (n + PIECE - 1) // PIECE


def rows_chunks(size m, size n):
    # Parts of m rows of n; each part adds up the gradients of the weights by itself.
    return (m + rows_of_task(n) - 1) // rows_of_task(n)


cdef inline size rows_of_task(size n) noexcept nogil:
    return min(MOST_ROWS, max(16, PIECE // n))


cdef inline size piece_of(size n, size k) noexcept nogil:
    # elements of the k-th piece of a row of n
    return min(PIECE, n - k * PIECE)


cdef inline const void *part_of(const void *weights, size start) noexcept nogil:
    # the weights from byte `start` on, or NULL
    if weights == NULL:
        return NULL
    return <const char *> weights + start


cdef void finish(size n, int rule, double epsilon, const double *moments, double *statistics) noexcept nogil:
    # moments (pieces, 2): means and sums of squared distances -> statistics (2): mean and 1 / deviation;
    # statistics may be the moments of a single piece
    cdef size pieces = (n + PIECE - 1) // PIECE, k
    cdef double mean = 0, squares = 0, distance
    for k in range(pieces):
        mean = mean + moments[2 * k] * <double> piece_of(n, k)
    mean = mean / <double> n if pieces > 1 else moments[0]
    for k in range(pieces):
        distance = moments[2 * k] - mean
        squares = squares + (moments[2 * k + 1] + <double> piece_of(n, k) * distance * distance)
    statistics[0] = mean
    if rule == UNIT:
        # NaN stays NaN.
        statistics[1] = 1 / epsilon if squares <= epsilon * epsilon else 1 / sqrt(squares)
    else:
        if squares < 0:
            squares = 0
        statistics[1] = 1 / sqrt(squares / <double> n + epsilon)


cdef void rows_forward(
    const cconv_rows *rows, size m, size n, int rule, double epsilon, const void *x, const void *gamma,
    const void *beta, double *statistics, void *y
) noexcept nogil:
    cdef size i
    rows.moments(m, n, x, rule <= SCALING, statistics)
    for i in range(m):
        finish(n, rule, epsilon, statistics + 2 * i, statistics + 2 * i)
    rows.normalize(m, n, x, gamma, beta, statistics, rule == LAYER, y)


def normalize(
    const floating[:, ::1] x,  # IN
    const floating[::1] gamma,  # IN, None
    const floating[::1] beta,  # IN, None
    int rule, double epsilon,
    double[:, ::1] statistics,  # OUT
    double[:, :, ::1] moments,  # OUT, scratch
    floating[:, ::1] y,  # OUT
    int threads,
):
    # x (m, n), gamma, beta (n) -> y (m, n), statistics (m, 2): mean and 1 / deviation; moments
    # (m, pieces_chunks(n), 2), for rows of more than one piece
    cdef size m = x.shape[0], n = x.shape[1], item = sizeof(floating), t, s, k
    cdef size pieces = (n + PIECE - 1) // PIECE, rows_each = max(1, PIECE // n)
    cdef const cconv_rows *rows = cconv_rows_of(item)
    cdef const floating *scale = NULL
    cdef const floating *shift = NULL
    if gamma is not None:
        scale = &gamma[0]
    if beta is not None:
        shift = &beta[0]
    with nogil:
        if pieces == 1:
            for t in prange((m + rows_each - 1) // rows_each, schedule='dynamic', num_threads=threads):
                rows_forward(rows, min(rows_each, m - t * rows_each), n, rule, epsilon, &x[t * rows_each, 0],
                             scale, shift, &statistics[t * rows_each, 0], &y[t * rows_each, 0])
        else:
            for t in prange(m * pieces, schedule='dynamic', num_threads=threads):
                s = t // pieces
                k = t % pieces
                rows.moments(1, piece_of(n, k), &x[s, k * PIECE], rule <= SCALING, &moments[s, k, 0])
            for s in range(m):
                finish(n, rule, epsilon, &moments[s, 0, 0], &statistics[s, 0])
            for t in prange(m * pieces, schedule='dynamic', num_threads=threads):
                s = t // pieces
                k = t % pieces
                rows.normalize(1, piece_of(n, k), &x[s, k * PIECE],
                               part_of(scale, k * PIECE * item), part_of(shift, k * PIECE * item),
                               &statistics[s, 0], rule == LAYER, &y[s, k * PIECE])


cdef void slopes(
    size n, int rule, double epsilon, const double *statistics, const double *sums, double *slope
) noexcept nogil:
    # sums (pieces, 2) of dy gamma and dy gamma (x - mean) of a row -> slope (2): dx = dy gamma inverse
    # - (x - mean) slope[0] - slope[1]; slope may be the sums of a single piece
    cdef size k
    cdef double total = 0, product = 0, inverse = statistics[1]
    for k in range((n + PIECE - 1) // PIECE):
        total = total + sums[2 * k]
        product = product + sums[2 * k + 1]
    slope[1] = inverse * total / <double> n if rule == LAYER else 0
    if rule == SCALING:
        product = product + statistics[0] * total
    if rule == UNIT:
        slope[0] = 0 if inverse >= 1 / epsilon else inverse * inverse * inverse * product
    else:
        slope[0] = inverse * inverse * inverse * product / <double> n


cdef void rows_backward(
    const cconv_rows *rows, size m, size n, int rule, double epsilon, const void *dy, const void *x,
    const void *gamma, const double *statistics, void *dx
) noexcept nogil:
    # at most MOST_ROWS rows
    cdef size i
    cdef double[2 * MOST_ROWS] sums
    rows.normalize_sums(m, n, dy, x, gamma, statistics, sums)
    for i in range(m):
        slopes(n, rule, epsilon, statistics + 2 * i, sums + 2 * i, sums + 2 * i)
    rows.normalize_backward(m, n, dy, x, gamma, statistics, sums, dx)


cdef void rows_weights(
    const cconv_rows *rows, size m, size n, size whole, size item, int rule, const void *dy, const void *x,
    const double *statistics, char *sums
) noexcept nogil:
    # n columns of m rows, `whole` apart -> sums (2, whole): dgamma and dbeta of these rows
    memset(sums, 0, n * item)
    memset(sums + whole * item, 0, n * item)
    rows.normalize_weights(m, n, whole, dy, x, statistics, rule == LAYER, sums, sums + whole * item)


def normalize_backward(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] x,  # IN
    const floating[::1] gamma,  # IN, None
    int rule, double epsilon,
    const double[:, ::1] statistics,  # IN
    double[:, :, ::1] sums,  # OUT, scratch
    floating[:, :, ::1] weights,  # OUT, None
    floating[:, ::1] dx,  # OUT, None
    int threads,
):
    # dy, x (m, n), gamma (n), statistics (m, 2) of `normalize` -> dx (m, n), and weights (rows_chunks(m, n),
    # 2, n): dgamma and dbeta of each part; sums (m, pieces_chunks(n), 2), for rows of more than one piece
    cdef size m = x.shape[0], n = x.shape[1], item = sizeof(floating), t, s, k, each = rows_of_task(n)
    cdef size pieces = (n + PIECE - 1) // PIECE, parts = (m + each - 1) // each
    cdef const cconv_rows *rows = cconv_rows_of(item)
    cdef const floating *scale = NULL
    cdef bint learns = weights is not None, goes_on = dx is not None
    if gamma is not None:
        scale = &gamma[0]
    with nogil:
        if pieces == 1:
            for t in prange(parts, schedule='dynamic', num_threads=threads):
                if learns:
                    rows_weights(rows, min(each, m - t * each), n, n, item, rule,
                                 &dy[t * each, 0], &x[t * each, 0], &statistics[t * each, 0],
                                 <char *> &weights[t, 0, 0])
                if goes_on:
                    rows_backward(rows, min(each, m - t * each), n, rule, epsilon, &dy[t * each, 0],
                                  &x[t * each, 0], scale, &statistics[t * each, 0], &dx[t * each, 0])
        else:
            if learns:
                for t in prange(parts * pieces, schedule='dynamic', num_threads=threads):
                    s = t // pieces
                    k = t % pieces
                    rows_weights(rows, min(each, m - s * each), piece_of(n, k), n, item, rule,
                                 &dy[s * each, k * PIECE], &x[s * each, k * PIECE],
                                 &statistics[s * each, 0], <char *> &weights[s, 0, k * PIECE])
            if goes_on:
                for t in prange(m * pieces, schedule='dynamic', num_threads=threads):
                    s = t // pieces
                    k = t % pieces
                    rows.normalize_sums(1, piece_of(n, k), &dy[s, k * PIECE], &x[s, k * PIECE],
                                        part_of(scale, k * PIECE * item), &statistics[s, 0], &sums[s, k, 0])
                for t in prange(m * pieces, schedule='dynamic', num_threads=threads):
                    piece_backward(rows, n, t % pieces, item, rule, epsilon,
                                   <const char *> &dy[t // pieces, 0], <const char *> &x[t // pieces, 0],
                                   scale, &statistics[t // pieces, 0],
                                   &sums[t // pieces, 0, 0], <char *> &dx[t // pieces, 0])


cdef void piece_backward(
    const cconv_rows *rows, size n, size k, size item, int rule, double epsilon, const char *dy,
    const char *x, const void *gamma, const double *statistics, const double *sums, char *dx
) noexcept nogil:
    # the k-th piece of one row
    cdef size start = k * PIECE * item
    cdef double[2] slope
    slopes(n, rule, epsilon, statistics, sums, slope)
    rows.normalize_backward(1, piece_of(n, k), dy + start, x + start, part_of(gamma, start), statistics,
                            slope, dx + start)
