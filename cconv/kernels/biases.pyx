# biases.pyx: a bias, and ReLU, behind what was computed without them.
#
# Plain C, bound by memory, so no instruction set has a version of its own; ReLU is
# simd/activations/map.h's on a chunk in the cache.  Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process

cconv_join(crew_of_process())

ctypedef Py_ssize_t size


cdef void chunk_bias(size m, size c, const floating *bias, bint relu, floating *y) noexcept nogil:
    cdef size i, j
    if bias != NULL:
        for i in range(m):
            for j in range(c):
                y[i * c + j] += bias[j]
    if relu:
        cconv_rows_of(sizeof(floating)).relu(m * c, y, NULL, y, 0)


def add_bias(
    floating[:, ::1] y,  # IN, OUT
    const floating[::1] bias,  # IN, or None
    bint relu, size rows, int threads,
):
    # y (m, c) += bias (c), then ReLU if `relu`
    cdef size m = y.shape[0], c = y.shape[1], t
    cdef const floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    with nogil:
        for t in prange((m + rows - 1) // rows, schedule='dynamic', num_threads=threads):
            chunk_bias(min(rows, m - t * rows), c, beta, relu, &y[t * rows, 0])
