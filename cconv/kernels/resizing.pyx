# resizing.pyx: images of another size, whose pixels lie at or between those of the input.
#
# Along an axis an output lies at or between two neighbours.  `at` is the first of them, `share` the weight
# of the second (geometry/sampling.py); with share 0 the second is not read.  A task is one row of pixels of
# the result: gradients are gathered, in the order of the outputs, and nothing is written twice.  The sums
# of gradients are in double.  All is plain C without FMA, and bound by memory.  So no instruction set has
# its own version, and all give the same bits.  Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset

from cconv._kernels cimport cconv_join, crew_of_process

cconv_join(crew_of_process())

cdef extern from "system/control.h" nogil:  # setup.py puts CCONV_CONTROL in front of every thread's work
    pass

ctypedef Py_ssize_t size


cdef const floating *between_rows(
    size n, const floating *upper, double share, size next_row, floating *blend
) noexcept nogil:
    # upper (n), and the row next_row elements behind -> the row between them: upper itself, or blend (n)
    cdef size j
    cdef floating b = <floating> share, a = <floating> (1 - share)
    cdef const floating *lower = upper + next_row
    if share == 0:
        return upper
    for j in range(n):
        blend[j] = a * upper[j] + b * lower[j]
    return blend


cdef void along_row(
    size w, size c, const floating *row, const long long *at, const double *share, floating *y
) noexcept nogil:
    # row (…, c), at, share (w) -> y (w, c)
    cdef size j, k
    cdef floating a, b
    cdef const floating *pixel
    for j in range(w):
        pixel = row + at[j] * c
        if share[j] == 0:
            memcpy(y + j * c, pixel, c * sizeof(floating))
            continue
        b, a = <floating> share[j], <floating> (1 - share[j])
        for k in range(c):
            y[j * c + k] = a * pixel[k] + b * pixel[c + k]


def resize(
    const floating[:, :, :, ::1] x,  # IN
    const long long[::1] rows_at,  # IN
    const double[::1] rows_share,  # IN
    const long long[::1] columns_at,  # IN
    const double[::1] columns_share,  # IN
    floating[:, :, :, ::1] y,  # OUT
    floating[:, ::1] scratch,  # OUT
    int threads,
):
    # x (n, h, w, c), rows_… (oh), columns_… (ow) -> y (n, oh, ow, c); scratch (threads, w * c)
    cdef size w = x.shape[2], c = x.shape[3], oh = y.shape[1], ow = y.shape[2], t, i
    cdef const floating *row
    with nogil:
        for t in prange(x.shape[0] * oh, schedule='dynamic', num_threads=threads):
            i = t % oh
            row = between_rows(w * c, &x[t // oh, rows_at[i], 0, 0], rows_share[i], w * c,
                               &scratch[threadid(), 0])
            along_row(ow, c, row, &columns_at[0], &columns_share[0], &y[t // oh, i, 0, 0])


cdef double part_of(size place, long long at, double share) noexcept nogil:
    # The weight of pixel `place` in an output between `at` and the next pixel.
    return 1 - share if at == place else share


cdef void add_row(size n, double part, const floating *dy, bint first, double *sums) noexcept nogil:
    # sums (n) += part * dy (n), or = that if `first`
    cdef size j
    if first:
        for j in range(n):
            sums[j] = part * dy[j]
    else:
        for j in range(n):
            sums[j] += part * dy[j]


cdef void gather_row(
    size w, size c, const double *sums, const long long *at, const double *share, const long long *reach,
    double *pixel, floating *dx
) noexcept nogil:
    # sums (…, c), reach (w, 2): first output that uses a pixel, and one past the last -> dx (w, c)
    cdef size j, o, k
    cdef double part
    for j in range(w):
        memset(pixel, 0, c * sizeof(double))
        for o in range(reach[2 * j], reach[2 * j + 1]):
            part = part_of(j, at[o], share[o])
            for k in range(c):
                pixel[k] += part * sums[o * c + k]
        for k in range(c):
            dx[j * c + k] = <floating> pixel[k]


def resize_backward(
    const floating[:, :, :, ::1] dy,  # IN
    const long long[::1] rows_at,  # IN
    const double[::1] rows_share,  # IN
    const long long[:, ::1] rows_reach,  # IN
    const long long[::1] columns_at,  # IN
    const double[::1] columns_share,  # IN
    const long long[:, ::1] columns_reach,  # IN
    floating[:, :, :, ::1] dx,  # OUT
    double[:, ::1] scratch,  # OUT
    int threads,
):
    # dy (n, oh, ow, c), …_reach (h or w, 2) -> dx (n, h, w, c); scratch (threads, (ow + 1) * c)
    cdef size h = dx.shape[1], w = dx.shape[2], c = dx.shape[3], ow = dy.shape[2], t, r, o
    cdef double *sums
    with nogil:
        for t in prange(dx.shape[0] * h, schedule='dynamic', num_threads=threads):
            r = t % h
            sums = &scratch[threadid(), 0]
            if rows_reach[r, 0] == rows_reach[r, 1]:
                memset(&dx[t // h, r, 0, 0], 0, w * c * sizeof(floating))
            else:
                for o in range(rows_reach[r, 0], rows_reach[r, 1]):
                    add_row(ow * c, part_of(r, rows_at[o], rows_share[o]), &dy[t // h, o, 0, 0],
                            o == rows_reach[r, 0], sums)
                gather_row(w, c, <const double *> sums, &columns_at[0], &columns_share[0],
                           &columns_reach[0, 0], sums + ow * c, &dx[t // h, r, 0, 0])
