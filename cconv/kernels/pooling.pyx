# pooling.pyx: pooling, im2col and their gradients as parallel loops over simd/pooling/windows.h.
#
# A task is one row of pixels of one image of the result, so nothing is written twice, and
# the order of every sum is that of the row operation.  Kernels check nothing and allocate nothing.
#
# Shapes: x, dx (n, h, w, c); y, dy, argmax (n, oh, ow, c); col (n * oh * ow, kh * kw * c).
# pool: (kernel_size, strides, pads, dilation); y may reach over the padded input (ceil_mode).
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv._pools cimport pool_windows
from cconv._rows cimport cconv_pool, cconv_rows

cconv_join(crew_of_process())

ctypedef Py_ssize_t size

# argmax: a byte (255: only padding) or, for windows of more than 255 positions, an int (-1: only padding)
ctypedef fused place:
    unsigned char
    int


def max_pool(
    const floating[:, :, :, ::1] x,  # IN
    floating[:, :, :, ::1] y,  # OUT
    place[:, :, :, ::1] argmax,  # OUT
    pool, int threads,
):
    # x (n, h, w, c) -> y, argmax (n, oh, ow, c)
    cdef cconv_pool p = pool_windows(x.shape[1], x.shape[2], x.shape[3], y.shape[1], y.shape[2], pool)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef int wide = sizeof(place) > 1
    cdef size oh = p.oh, t
    with nogil:
        for t in prange(x.shape[0] * oh, schedule='dynamic', num_threads=threads):
            rows.max_pool(&p, t % oh, &x[t // oh, 0, 0, 0], &y[t // oh, t % oh, 0, 0],
                          &argmax[t // oh, t % oh, 0, 0], wide)


def max_pool_backward(
    const floating[:, :, :, ::1] dy,  # IN
    const place[:, :, :, ::1] argmax,  # IN
    floating[:, :, :, ::1] dx,  # OUT
    pool, int threads,
):
    # dy, argmax (n, oh, ow, c) -> dx (n, h, w, c)
    cdef cconv_pool p = pool_windows(dx.shape[1], dx.shape[2], dx.shape[3], dy.shape[1], dy.shape[2], pool)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef int wide = sizeof(place) > 1
    cdef size h = p.h, t
    with nogil:
        for t in prange(dx.shape[0] * h, schedule='dynamic', num_threads=threads):
            rows.max_pool_backward(&p, t % h, &dy[t // h, 0, 0, 0], &argmax[t // h, 0, 0, 0], wide,
                                   &dx[t // h, t % h, 0, 0])


def average_pool(
    const floating[:, :, :, ::1] x,  # IN
    floating[:, :, :, ::1] y,  # OUT
    pool, bint count_include_pad, int threads,
):
    # x (n, h, w, c) -> y (n, oh, ow, c)
    cdef cconv_pool p = pool_windows(x.shape[1], x.shape[2], x.shape[3], y.shape[1], y.shape[2], pool)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size oh = p.oh, t
    with nogil:
        for t in prange(x.shape[0] * oh, schedule='dynamic', num_threads=threads):
            rows.average_pool(&p, t % oh, &x[t // oh, 0, 0, 0], count_include_pad,
                              &y[t // oh, t % oh, 0, 0])


def average_pool_backward(
    const floating[:, :, :, ::1] dy,  # IN
    floating[:, :, :, ::1] dx,  # OUT
    floating[:, ::1] weights,  # OUT, scratch
    pool, bint count_include_pad, int threads,
):
    # dy (n, oh, ow, c) -> dx (n, h, w, c), weights (oh, ow)
    cdef cconv_pool p = pool_windows(dx.shape[1], dx.shape[2], dx.shape[3], dy.shape[1], dy.shape[2], pool)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size h = p.h, oy, t
    with nogil:
        for oy in range(p.oh):
            rows.average_weights(&p, oy, count_include_pad, &weights[oy, 0])
        for t in prange(dx.shape[0] * h, schedule='dynamic', num_threads=threads):
            rows.average_pool_backward(&p, t % h, &dy[t // h, 0, 0, 0], &weights[0, 0],
                                       &dx[t // h, t % h, 0, 0])


def im2col(
    const floating[:, :, :, ::1] x,  # IN
    floating[:, ::1] col,  # OUT
    output_size, pool, int threads,
):
    # x (n, h, w, c) -> col (n * oh * ow, kh * kw * c)
    cdef cconv_pool p = pool_windows(x.shape[1], x.shape[2], x.shape[3], output_size[0], output_size[1], pool)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size oh = p.oh, ow = p.ow, t
    with nogil:
        for t in prange(x.shape[0] * oh, schedule='dynamic', num_threads=threads):
            rows.im2col(&p, t % oh, &x[t // oh, 0, 0, 0], &col[t * ow, 0])


def col2im(
    const floating[:, ::1] col,  # IN
    floating[:, :, :, ::1] x,  # OUT
    output_size, pool, int threads,
):
    # col (n * oh * ow, kh * kw * c) -> x (n, h, w, c): the sum over the places of every pixel
    cdef cconv_pool p = pool_windows(x.shape[1], x.shape[2], x.shape[3], output_size[0], output_size[1], pool)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size h = p.h, windows = p.oh * p.ow, t
    with nogil:
        for t in prange(x.shape[0] * h, schedule='dynamic', num_threads=threads):
            rows.col2im(&p, t % h, &col[(t // h) * windows, 0], &x[t // h, t % h, 0, 0])
