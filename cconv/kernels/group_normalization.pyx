# group_normalization.pyx: what comes between the sums of channels (normalization.pyx) and the normalisation
# of groups of channels: a few numbers for each channel of a sample, in double.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport sqrt

from cconv._kernels cimport cconv_join, crew_of_process
from cconv.kernels.chunks cimport size

cconv_join(crew_of_process())


cdef double group_moments(
    size chunks, size m, size c, size d, const double *partial, const floating *origin, double *mean
) noexcept nogil:
    # partial (chunks, 2, c), origin (c), from the group's first channel on, d channels -> mean, the variance
    cdef size j, k
    cdef double average, total = 0, inside = 0, between = 0, sums, squares, shift
    # Adds the variances of the channels, of m pixels each, and the variance of their means.  Distances are to
    # the first channel's mean, so that they do not cancel.
    cdef double first = 0
    for j in range(d):
        sums = 0
        squares = 0
        for k in range(chunks):
            sums = sums + partial[2 * k * c + j]
            squares = squares + partial[(2 * k + 1) * c + j]
        average = sums / <double> m
        inside = inside + max(squares / <double> m - average * average, 0)
        average = average + <double> origin[j]
        if j == 0:
            first = average
        shift = average - first
        total = total + shift
        between = between + shift * shift
    total = total / <double> d
    mean[0] = first + total
    return inside / <double> d + max(between / <double> d - total * total, 0)


cdef void sample_statistics(
    size chunks, size m, size c, size groups, double epsilon, const double *partial, const floating *origin,
    const floating *gamma, const floating *beta, floating *mean, floating *scale, floating *shift,
    double *inverse
) noexcept nogil:
    cdef size d = c // groups, g, j
    cdef double centre, variance
    for g in range(groups):
        variance = group_moments(chunks, m, c, d, partial + g * d, origin + g * d, &centre)
        inverse[g] = 1 / sqrt(variance + epsilon)
        for j in range(g * d, g * d + d):
            mean[j] = <floating> centre
            scale[j] = <floating> (inverse[g] if gamma == NULL else inverse[g] * <double> gamma[j])
            shift[j] = <floating> 0 if beta == NULL else beta[j]


def statistics(
    const double[:, :, :, ::1] partial,  # IN
    const floating[:, :, ::1] x,  # IN
    const floating[::1] gamma,  # IN, None
    const floating[::1] beta,  # IN, None
    double epsilon,
    floating[:, ::1] mean,  # OUT
    floating[:, ::1] scale,  # OUT
    floating[:, ::1] shift,  # OUT
    double[:, ::1] inverse,  # OUT
    int threads,
):
    # partial (n, chunks, 2, c) of normalization.statistics of x (n, m, c), gamma, beta (c) -> mean, scale,
    # shift (n, c), inverse (n, groups): y = (x - mean) scale + shift
    cdef size n = x.shape[0], m = x.shape[1], c = x.shape[2], chunks = partial.shape[1], s
    cdef const floating *factors = NULL
    cdef const floating *offsets = NULL
    if gamma is not None:
        factors = &gamma[0]
    if beta is not None:
        offsets = &beta[0]
    for s in prange(n, schedule='dynamic', num_threads=threads, nogil=True):
        sample_statistics(chunks, m, c, inverse.shape[1], epsilon, &partial[s, 0, 0, 0], &x[s, 0, 0], factors,
                          offsets, &mean[s, 0], &scale[s, 0], &shift[s, 0], &inverse[s, 0])


cdef void sample_slopes(
    size chunks, size m, size c, size groups, double *partial, const floating *gamma, const double *inverse,
    floating *slope, floating *shift
) noexcept nogil:
    # partial (chunks, 2, c): the first chunk gets the sum of all
    cdef size d = c // groups, g, j, k
    cdef double total, product, factor, number = <double> m * <double> d
    for k in range(1, chunks):
        for j in range(2 * c):
            partial[j] = partial[j] + partial[2 * k * c + j]
    for g in range(groups):
        total = 0
        product = 0
        for j in range(g * d, g * d + d):
            factor = 1 if gamma == NULL else <double> gamma[j]
            total = total + factor * partial[j]
            product = product + factor * partial[c + j]
        for j in range(g * d, g * d + d):
            slope[j] = <floating> (inverse[g] * inverse[g] * inverse[g] * product / number)
            shift[j] = <floating> (inverse[g] * total / number)


def slopes(
    double[:, :, :, ::1] partial,  # IN, OUT
    const double[:, ::1] inverse,  # IN
    size m,
    floating[:, ::1] slope,  # OUT
    floating[:, ::1] shift,  # OUT
    floating[::1] dgamma,  # OUT
    floating[::1] dbeta,  # OUT
    const floating[::1] gamma,  # IN, None
    int threads,
):
    # partial (n, chunks, 2, c) of normalization.gradient_sums, gamma (c), inverse (n, groups), m pixels ->
    # dgamma, dbeta (c); slope, shift (n, c): dx = dy scale - (x - mean) slope - shift
    cdef size n = partial.shape[0], chunks = partial.shape[1], c = partial.shape[3], s, j
    cdef size groups = inverse.shape[1]
    cdef const floating *factors = NULL
    cdef double total, product
    if gamma is not None:
        factors = &gamma[0]
    with nogil:
        for s in prange(n, schedule='dynamic', num_threads=threads):
            sample_slopes(chunks, m, c, groups, &partial[s, 0, 0, 0], factors, &inverse[s, 0], &slope[s, 0],
                          &shift[s, 0])
        for j in range(c):
            total = 0
            product = 0
            for s in range(n):
                total = total + partial[s, 0, 0, j]
                product = product + partial[s, 0, 1, j] * inverse[s, j // (c // groups)]
            dgamma[j] = <floating> product
            dbeta[j] = <floating> total
