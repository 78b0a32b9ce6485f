# images.pyx: rows of a data set gathered into a batch, and images flipped and sampled, over
# simd/images/convert.h and simd/images/sample.h.
#
# A task is one image, and nothing is written twice.  The thread that prepares batches in the background
# calls these with one thread: they then run without OpenMP, which would give that thread a team of its own.
# Kernels check nothing and allocate nothing.
#
# Shapes: x, y, dx, dy (n, h, w, c); at (n, 2, w + h), see simd/images/sample.h.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_rows_of
from cconv._rows cimport cconv_rows, cconv_sampling

ctypedef Py_ssize_t size

cdef extern from *:
    """
    #define CCONV_LINE 64
    #define CCONV_AHEAD 4096 /* bytes, behind which the processor has seen what is read */
    static void cconv_prefetch(const unsigned char *row, Py_ssize_t n) {
        for (Py_ssize_t i = 0; i < n && i < CCONV_AHEAD; i += CCONV_LINE) __builtin_prefetch(row + i);
    }
    """
    void cconv_prefetch(const unsigned char *row, size n) noexcept nogil


def gather(
    const unsigned char[:, :] source,  # IN
    const long long[::1] order,  # IN, or None for all rows in their order
    floating[:, ::1] out,  # OUT
    int kind, size item, size channels, double scale, double offset,
):
    # source (n, bytes of p items of that kind and size), order (m) -> out (m, p) = source * scale + offset;
    # the items of a row are (channels, p / channels) in the source and the other way round in out
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size m = out.shape[0], pixels = out.shape[1] // channels, t, k
    cdef const long long *number = NULL
    cdef const unsigned char *row
    if order is not None:
        number = &order[0]
    with nogil:
        for t in range(m):
            if number != NULL and t + 1 < m:
                cconv_prefetch(&source[number[t + 1], 0], source.shape[1])
            row = &source[number[t] if number != NULL else t, 0]
            for k in range(channels):
                rows.convert(pixels, kind, item, row + k * pixels * item, scale, offset, channels, &out[t, k])


def flip(
    const floating[:, :, :, ::1] x,  # IN
    const unsigned char[:, ::1] flips,  # IN
    floating[:, :, :, ::1] y,  # OUT
    int threads,
):
    # x (n, h, w, c), flips (n, 2): whether the rows, and the columns, are reversed -> y (n, h, w, c)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.flip(h, w, c, flips[t, 0], flips[t, 1], &x[t, 0, 0, 0], &y[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='static', num_threads=threads):
                rows.flip(h, w, c, flips[t, 0], flips[t, 1], &x[t, 0, 0, 0], &y[t, 0, 0, 0])


cdef cconv_sampling sampling(size h, size w, size c, middle, int fill, bint bilinear, double value):
    cdef cconv_sampling p
    p.h, p.w, p.c = h, w, c
    p.middle = middle
    p.fill, p.bilinear, p.value = fill, bilinear, value
    return p


def sample(
    const floating[:, :, :, ::1] x,  # IN
    const double[:, :, ::1] at,  # IN
    floating[:, :, :, ::1] y,  # OUT
    middle, int fill, bint bilinear, double value, int threads,
):
    # x (n, h, w, c), at (n, 2, w + h) -> y (n, h, w, c)
    cdef cconv_sampling p = sampling(x.shape[1], x.shape[2], x.shape[3], middle, fill, bilinear, value)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.sample(&p, &at[t, 0, 0], &x[t, 0, 0, 0], &y[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='static', num_threads=threads):
                rows.sample(&p, &at[t, 0, 0], &x[t, 0, 0, 0], &y[t, 0, 0, 0])


def sample_backward(
    const floating[:, :, :, ::1] dy,  # IN
    const double[:, :, ::1] at,  # IN
    floating[:, :, :, ::1] dx,  # OUT
    middle, int fill, bint bilinear, int threads,
):
    # dy (n, h, w, c), at (n, 2, w + h) -> dx (n, h, w, c)
    cdef cconv_sampling p = sampling(dy.shape[1], dy.shape[2], dy.shape[3], middle, fill, bilinear, 0)
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = dy.shape[0], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.sample_backward(&p, &at[t, 0, 0], &dy[t, 0, 0, 0], &dx[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='static', num_threads=threads):
                rows.sample_backward(&p, &at[t, 0, 0], &dy[t, 0, 0, 0], &dx[t, 0, 0, 0])
