# images.pyx: gathers rows of a data set into a batch, and changes images, with convert.h, sample.h,
# levels.h and patches.h of simd/images.
#
# A task is one image, and nothing is written twice.  The thread that prepares batches in the background
# calls these functions with one thread.  They then run without OpenMP, which would make a team for it.
# Kernels check nothing and allocate nothing.
#
# Shapes: x, dx (n, h, w, c); y, dy of that shape too, or (n, oh, ow, c); at (n, 2, ow + oh), see
# simd/images/sample.h.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv._rows cimport cconv_rows, cconv_sampling

cconv_join(crew_of_process())

ctypedef Py_ssize_t size

cdef extern from *:
    """
    #define CCONV_LINE 64
    #define CCONV_AHEAD 4096 /* bytes of a row that are prefetched; then the processor sees the stream */
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
    # source (n, bytes of p numbers of this kind, `item` bytes each), order (m) -> out (m, p) = source * scale
    # + offset; the numbers of a row are (channels, p / channels) in the source and the other way round in out
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
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.flip(h, w, c, flips[t, 0], flips[t, 1], &x[t, 0, 0, 0], &y[t, 0, 0, 0])


cdef cconv_sampling sampling(
    size h, size w, size c, size oh, size ow, middle, int fill, bint bilinear, double value,
):
    cdef cconv_sampling p
    p.h, p.w, p.c, p.oh, p.ow = h, w, c, oh, ow
    p.middle = middle
    p.fill, p.bilinear, p.value = fill, bilinear, value
    return p


def sample(
    const floating[:, :, :, ::1] x,  # IN
    const double[:, :, ::1] at,  # IN
    floating[:, :, :, ::1] y,  # OUT
    middle, int fill, bint bilinear, double value, int threads,
):
    # x (n, h, w, c), at (n, 2, ow + oh) -> y (n, oh, ow, c)
    cdef cconv_sampling p = sampling(
        x.shape[1], x.shape[2], x.shape[3], y.shape[1], y.shape[2], middle, fill, bilinear, value,
    )
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.sample(&p, &at[t, 0, 0], &x[t, 0, 0, 0], &y[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.sample(&p, &at[t, 0, 0], &x[t, 0, 0, 0], &y[t, 0, 0, 0])


def sample_backward(
    const floating[:, :, :, ::1] dy,  # IN
    const double[:, :, ::1] at,  # IN
    floating[:, :, :, ::1] dx,  # OUT
    middle, int fill, bint bilinear, int threads,
):
    # dy (n, oh, ow, c), at (n, 2, ow + oh) -> dx (n, h, w, c)
    cdef cconv_sampling p = sampling(
        dx.shape[1], dx.shape[2], dx.shape[3], dy.shape[1], dy.shape[2], middle, fill, bilinear, 0,
    )
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = dy.shape[0], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.sample_backward(&p, &at[t, 0, 0], &dy[t, 0, 0, 0], &dx[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.sample_backward(&p, &at[t, 0, 0], &dy[t, 0, 0, 0], &dx[t, 0, 0, 0])


def brighten(
    const floating[:, ::1] x,  # IN
    const double[::1] delta,  # IN
    floating[:, ::1] y,  # OUT
    double low, double high, int threads,
):
    # images x (n, items), delta (n) -> y (n, items) = x + delta, between low and high
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], items = x.shape[1], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.brighten(items, delta[t], low, high, &x[t, 0], &y[t, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.brighten(items, delta[t], low, high, &x[t, 0], &y[t, 0])


def brighten_backward(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] y,  # IN
    floating[:, ::1] dx,  # OUT
    double low, double high, int threads,
):
    # dy, y (n, items) -> dx (n, items): dy where low < y < high, 0 elsewhere
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = dy.shape[0], items = dy.shape[1], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.brighten_backward(items, low, high, &dy[t, 0], &y[t, 0], &dx[t, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.brighten_backward(items, low, high, &dy[t, 0], &y[t, 0], &dx[t, 0])


def contrast(
    const floating[:, :, ::1] x,  # IN
    const double[::1] factor,  # IN
    floating[:, :, ::1] y,  # OUT
    double low, double high, int threads,
):
    # images x (n, pixels, c), factor (n) -> y (n, pixels, c) = (x - mean of the channel) * factor + mean,
    # between low and high
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], pixels = x.shape[1], c = x.shape[2], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.contrast(pixels, c, factor[t], low, high, &x[t, 0, 0], &y[t, 0, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.contrast(pixels, c, factor[t], low, high, &x[t, 0, 0], &y[t, 0, 0])


def mix(
    const floating[:, ::1] x,  # IN
    const long long[::1] partner,  # IN
    const double[::1] weight,  # IN
    floating[:, ::1] y,  # OUT
    int threads,
):
    # x (n, items), partner (n), weight (n) -> y (n, items) = weight * x + (1 - weight) * x[partner]
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], items = x.shape[1], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.mix(items, weight[t], &x[t, 0], &x[partner[t], 0], &y[t, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.mix(items, weight[t], &x[t, 0], &x[partner[t], 0], &y[t, 0])


def paste(
    const floating[:, :, :, ::1] x,  # IN
    const floating[:, :, :, ::1] source,  # IN
    const long long[::1] partner,  # IN
    const long long[:, ::1] box,  # IN
    floating[:, :, :, ::1] y,  # OUT
    int threads,
):
    # x (n, h, w, c), source (m, h, w, c), partner (n), box (n, 4): first row, row behind the last, first
    # column, column behind the last -> y (n, h, w, c): source[partner] in the box, x around it
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.paste(h, w, c, &box[t, 0], &x[t, 0, 0, 0], &source[partner[t], 0, 0, 0], &y[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.paste(h, w, c, &box[t, 0], &x[t, 0, 0, 0], &source[partner[t], 0, 0, 0], &y[t, 0, 0, 0])


def crop(
    const floating[:, :, :, ::1] x,  # IN
    const long long[:, ::1] corner,  # IN
    floating[:, :, :, ::1] y,  # OUT
    int threads,
):
    # x (n, h, w, c), corner (n, 2) -> y (n, oh, ow, c), whose first pixel is at the corner
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = x.shape[0], w = x.shape[2], c = x.shape[3], oh = y.shape[1], ow = y.shape[2], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.crop(w, c, oh, ow, corner[t, 0], corner[t, 1], &x[t, 0, 0, 0], &y[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.crop(w, c, oh, ow, corner[t, 0], corner[t, 1], &x[t, 0, 0, 0], &y[t, 0, 0, 0])


def crop_backward(
    const floating[:, :, :, ::1] dy,  # IN
    const long long[:, ::1] corner,  # IN
    floating[:, :, :, ::1] dx,  # OUT
    int threads,
):
    # dy (n, oh, ow, c), corner (n, 2) -> dx (n, h, w, c): dy from the corner on, 0 around it
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    cdef size n = dx.shape[0], h = dx.shape[1], w = dx.shape[2], c = dx.shape[3]
    cdef size oh = dy.shape[1], ow = dy.shape[2], t
    with nogil:
        if threads == 1:
            for t in range(n):
                rows.crop_backward(
                    h, w, c, oh, ow, corner[t, 0], corner[t, 1], &dy[t, 0, 0, 0], &dx[t, 0, 0, 0])
        else:
            for t in prange(n, schedule='dynamic', num_threads=threads):
                rows.crop_backward(
                    h, w, c, oh, ow, corner[t, 0], corner[t, 1], &dy[t, 0, 0, 0], &dx[t, 0, 0, 0])
