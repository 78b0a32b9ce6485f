# batch_normalization.pyx: what comes between the sums over a batch's channels (normalization.pyx) and its
# normalisation: a few numbers for each channel, in double, from chunks in their order.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport sqrt

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv.kernels.chunks cimport size

cconv_join(crew_of_process())


cdef enum:
    CHUNK = 1 << 14  # elements of a kernel that a task scales, about


cdef void add_in_order(size chunks, size c, double *partial) noexcept nogil:
    # partial (chunks, 2, c): the first chunk gets the sum of all
    cdef size j, k
    for k in range(1, chunks):
        for j in range(2 * c):
            partial[j] = partial[j] + partial[2 * k * c + j]


def statistics(
    double[:, :, ::1] partial,  # IN, OUT
    const floating[::1] first,  # IN
    size m,
    const floating[::1] gamma,  # IN, None
    const floating[::1] beta,  # IN, None
    double epsilon, double momentum,
    floating[::1] moving_mean,  # IN, OUT
    floating[::1] moving_variance,  # IN, OUT
    floating[::1] mean,  # OUT
    floating[::1] scale,  # OUT
    floating[::1] shift,  # OUT
    double[::1] inverse,  # OUT
):
    # partial (chunks, 2, c): sums of x - first and of its squares over m rows; first, gamma, beta (c) ->
    # mean, scale, shift, inverse = 1 / deviation (c): y = (x - mean) scale + shift.  Updates moving averages.
    cdef size c = first.shape[0], j
    cdef double rows = <double> m, distance, average, variance
    cdef const floating *factors = NULL
    cdef const floating *offsets = NULL
    if gamma is not None:
        factors = &gamma[0]
    if beta is not None:
        offsets = &beta[0]
    with nogil:
        add_in_order(partial.shape[0], c, &partial[0, 0, 0])
        for j in range(c):
            distance = partial[0, 0, j] / rows
            average = <double> first[j] + distance
            variance = partial[0, 1, j] / rows - distance * distance
            variance = 0 if variance < 0 else variance
            moving_mean[j] = <floating> (
                <double> (<floating> momentum * moving_mean[j]) + (1 - momentum) * average
            )
            moving_variance[j] = <floating> (
                <double> (<floating> momentum * moving_variance[j]) + (1 - momentum) * variance
            )
            inverse[j] = 1 / sqrt(variance + epsilon)
            mean[j] = <floating> average
            scale[j] = <floating> (inverse[j] if factors == NULL else inverse[j] * <double> factors[j])
            shift[j] = <floating> 0 if offsets == NULL else offsets[j]


def fold(
    const floating[::1] moving_mean,  # IN
    const floating[::1] moving_variance,  # IN
    const floating[::1] gamma,  # IN, None
    const floating[::1] beta,  # IN, None
    double epsilon,
    const floating[:, ::1] kernel,  # IN, None
    const floating[::1] bias,  # IN, None
    floating[:, ::1] folded,  # OUT, None
    floating[::1] scale,  # OUT
    floating[::1] shift,  # OUT
    int threads,
):
    # moving_mean, moving_variance, gamma, beta, bias (c), kernel (m, c) -> scale, shift (c), folded (m, c):
    # what is normalised behind x kernel + bias is x folded + shift, with folded = kernel * scale.
    cdef size c = moving_mean.shape[0], m = 0, each, j, t
    cdef const floating *factors = NULL
    cdef const floating *offsets = NULL
    cdef const floating *given = NULL
    if gamma is not None:
        factors = &gamma[0]
    if beta is not None:
        offsets = &beta[0]
    if bias is not None:
        given = &bias[0]
    if kernel is not None:
        m = kernel.shape[0]
    each = CHUNK // c + 1
    with nogil:
        for j in range(c):
            scale[j] = <floating> 1 / <floating> sqrt(<double> (moving_variance[j] + <floating> epsilon))
            if factors != NULL:
                scale[j] = scale[j] * factors[j]
            shift[j] = -moving_mean[j] * scale[j]
            if offsets != NULL:
                shift[j] = shift[j] + offsets[j]
            if given != NULL:
                shift[j] = given[j] * scale[j] + shift[j]
        for t in prange((m + each - 1) // each, num_threads=threads, schedule="dynamic"):
            cconv_rows_of(sizeof(floating)).scale_rows(
                each if (t + 1) * each < m else m - t * each, c, &kernel[t * each, 0], &scale[0],
                &folded[t * each, 0])


def kept_statistics(
    const floating[::1] moving_variance,  # IN
    const floating[::1] gamma,  # IN, None
    const floating[::1] beta,  # IN, None
    double epsilon,
    floating[::1] scale,  # OUT
    floating[::1] shift,  # OUT
    double[::1] inverse,  # OUT
):
    # gamma, beta, moving_variance (c) -> scale, shift, inverse (c):
    # y = (x - moving_mean) scale + shift
    cdef size c = moving_variance.shape[0], j
    cdef floating of_one
    cdef const floating *factors = NULL
    cdef const floating *offsets = NULL
    if gamma is not None:
        factors = &gamma[0]
    if beta is not None:
        offsets = &beta[0]
    with nogil:
        for j in range(c):
            of_one = <floating> 1 / <floating> sqrt(<double> (moving_variance[j] + <floating> epsilon))
            inverse[j] = <double> of_one
            scale[j] = of_one if factors == NULL else of_one * factors[j]
            shift[j] = <floating> 0 if offsets == NULL else offsets[j]


def slopes(
    double[:, :, ::1] partial,  # IN, OUT
    const floating[::1] scale,  # IN
    const double[::1] inverse,  # IN
    size m,
    floating[::1] dgamma,  # OUT
    floating[::1] dbeta,  # OUT
    floating[::1] slope,  # OUT
    floating[::1] shift,  # OUT
):
    # partial (chunks, 2, c): of normalization.gradient_sums over m rows; scale, inverse (c) -> dgamma, dbeta,
    # slope, shift (c): dx = dy scale - (x - mean) slope - shift
    cdef size c = scale.shape[0], j
    cdef double sums, products, factor
    with nogil:
        add_in_order(partial.shape[0], c, &partial[0, 0, 0])
        for j in range(c):
            sums = partial[0, 0, j]
            products = partial[0, 1, j]
            factor = <double> scale[j]
            dgamma[j] = <floating> (products * inverse[j])
            dbeta[j] = <floating> sums
            slope[j] = <floating> (factor * inverse[j] * inverse[j] * products / <double> m)
            shift[j] = <floating> (factor * sums / <double> m)
