# prelu.pyx: the rectifier with learned slopes, one for each column, as parallel loops over chunks of rows.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv._rows cimport cconv_rows

cconv_join(crew_of_process())

ctypedef Py_ssize_t size


cdef size CHUNK = 8192  # elements of a task, about


def prelu(
    const floating[:, ::1] x,  # IN
    const floating[::1] alpha,  # IN
    floating[:, ::1] y,  # OUT
    int threads,
):
    # x (m, n), alpha (n) -> y (m, n) = x where x > 0, else alpha * x
    cdef size m = x.shape[0], n = x.shape[1], t, step = max(1, CHUNK // n)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil:
        for t in prange((m + step - 1) // step, schedule='dynamic', num_threads=threads):
            rows.prelu(min(step, m - t * step), n, &x[t * step, 0], &alpha[0], &y[t * step, 0])


def prelu_backward(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] x,  # IN
    const floating[::1] alpha,  # IN
    floating[:, ::1] dx,  # OUT
    floating[:, ::1] dalpha,  # OUT
    int threads,
):
    # dy, x (m, n), alpha (n) -> dx (m, n) = dy where x > 0, else alpha * dy;
    # dalpha (m, n) = 0 where x > 0, else dy * x; the sums of its columns are the gradient of the slopes
    cdef size m = x.shape[0], n = x.shape[1], t, step = max(1, CHUNK // n)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil:
        for t in prange((m + step - 1) // step, schedule='dynamic', num_threads=threads):
            rows.prelu_backward(min(step, m - t * step), n, &dy[t * step, 0], &x[t * step, 0], &alpha[0],
                                &dx[t * step, 0], &dalpha[t * step, 0])
