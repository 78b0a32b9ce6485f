# losses.pyx: cross-entropy of logits and its gradient, and the sum of losses.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv.kernels.chunks cimport CHUNK, rows_at_once, size
from cconv._rows cimport cconv_rows

cconv_join(crew_of_process())


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
    #   -> losses (m), each times its weight; dlogits (m, n): the gradient of their mean
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
        for t in prange((m + at_once - 1) // at_once, schedule='dynamic', num_threads=threads):
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
