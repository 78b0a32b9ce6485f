# A pass of the direct convolution: how it is cut into tasks, and what a task does.
#
# It computes, for a grid of output positions (i, j),
#
#     y[i, j, f] = sum over u, v, k of  x[i*sh + u*dh - top, j*sw + v*dw - left, k] * b[u, v, k, f]
#
# with x zero outside the image.  A task is one band of output rows of one image and some blocks of
# filters: the input band and one block of the kernel (32 float or 16 double filters) stay in the L2
# cache.  Padding is never written or multiplied: taps outside the image are left out.  That is done by
# rows, and for the few columns at the edges by stretches that run down the column.  How the
# work is cut never changes a bit: the chains of every output element begin and end where those of the sum
# over all taps do.
cimport cython
from cython.parallel cimport prange

from cconv._kernels cimport CCONV_CUT, behind, block_width, cconv_cut, cconv_sum, pack, product
from cconv._sizes cimport Images, Window, ceil_div, least, most, size

cdef extern from "window.h" nogil:
    void window_inner(Py_ssize_t n, Py_ssize_t k, Py_ssize_t stride, Py_ssize_t before, Py_ssize_t dilation,
                      Py_ssize_t count, Py_ssize_t slack, Py_ssize_t *lo, Py_ssize_t *hi)
    void window_reach(Py_ssize_t first, Py_ssize_t n, Py_ssize_t k, Py_ssize_t dilation, Py_ssize_t *lo,
                      Py_ssize_t *hi)


cdef enum:
    BAND_BYTES = 131072  # of the input of a task
    ENOUGH_TASKS = 32    # enough to keep many threads busy evenly
    FEW_TASKS = 8        # tasks into which the bands of a few images are cut


cdef struct Pass:
    size h, w, c                  # input image
    size kh, kw, sh, sw, dh, dw   # taps, strides, dilation
    size top, left                # zeros before the image; if negative: pixels that are skipped
    size rows, columns            # grid of output positions
    size first, row, column       # where position (0, 0) lies in an output image, and the steps
    size image                    # elements of an output image
    size groups, cg, fg           # channels of a group, in and out
    size width                    # columns of a block of the packed kernel
    size top_rows, low_rows       # rows top_rows <= i < low_rows see no padding above or below,
    size left_columns, right_columns  # and columns likewise none on the left or right
    size band, bands              # output rows of a task, tasks of an image
    size splits                   # parts of the (group, block) pairs; each part is a task
    int mode                      # of the micro-kernel


cdef inline void cut(Pass *p, size images, size item) noexcept nogil:
    # Cuts a pass into tasks, and finds the positions that see no padding.
    window_inner(p.h, p.kh, p.sh, p.top, p.dh, p.rows, 0, &p.top_rows, &p.low_rows)
    window_inner(p.w, p.kw, p.sw, p.left, p.dw, p.columns, 0, &p.left_columns, &p.right_columns)
    cdef size input_rows = BAND_BYTES // most(p.w * p.c * item, 1)
    p.band = most((input_rows - p.dh * (p.kh - 1) - 1) // p.sh + 1, 1)
    p.bands = ceil_div(p.rows, p.band)
    p.band = ceil_div(p.rows, p.bands)
    p.bands = ceil_div(p.rows, p.band)
    cdef size pairs = p.groups * ceil_div(p.fg, p.width)
    p.splits = least(pairs, ceil_div(ENOUGH_TASKS, images * p.bands))
    if images * p.bands * p.splits < FEW_TASKS:
        p.band = ceil_div(p.rows, least(ceil_div(FEW_TASKS, images * p.splits), p.rows))
        p.bands = ceil_div(p.rows, p.band)


cdef inline void taps(const Pass *p, cconv_sum *s) noexcept nogil:
    # Describes the sum over all taps (u, v, k) of a pass, and cuts it into chains.
    s.q, s.aq = p.kh, p.dh * p.w * p.c
    if p.groups == 1 and p.dw == 1:  # the taps of a kernel row are contiguous in the input
        s.r, s.k, s.ar, s.ak, s.br, s.bk = 1, p.kw * p.c, 0, 1, 0, p.width
    else:
        s.r, s.k, s.ar, s.ak, s.br, s.bk = p.kw, p.cg, p.dw * p.c, 1, p.cg * p.width, p.width
    s.bq = p.kw * p.cg * p.width
    s.bn = s.q * s.bq
    cconv_cut(s)


# `count` positions from (i, j) on, along the row or down the column, that see the same taps.
cdef struct Stretch:
    size i, j, count
    bint down


cdef inline void stretch_task(
    const cython.floating *x,       # IN   (h, w, c), from the group's first channel on
    const cython.floating *packed,  # IN   one block (kh, kw, cg, width)
    const cython.floating *bias,    # IN   (filters) or NULL
    cython.floating *y,             # OUT  one image, from the block's first filter on
    const Pass *p, cconv_sum s, size filters, Stretch to,
) noexcept nogil:
    cdef size u0 = 0, u1 = 0, v0 = 0, v1 = 0, row = to.i * p.sh - p.top, column = to.j * p.sw - p.left
    window_reach(row, p.h, p.kh, p.dh, &u0, &u1)
    window_reach(column, p.w, p.kw, p.dw, &v0, &v1)
    packed += u0 * s.bq + v0 * p.cg * p.width
    s.q, s.q0 = u1 - u0, u0
    if s.r == 1 and s.k == p.kw * p.c:
        s.k, s.k0 = (v1 - v0) * p.c, v0 * p.c
    else:
        s.r, s.r0 = v1 - v0, v0
    s.am = p.sh * p.w * p.c if to.down else p.sw * p.c
    s.cm = p.row if to.down else p.column
    product(&s, to.count, filters, x + ((row + u0 * p.dh) * p.w + column + v0 * p.dw) * p.c, packed,
            y + to.i * p.row + to.j * p.column, bias, p.mode | CCONV_CUT)


cdef inline void pass_task(
    const cython.floating *x,       # IN   (h, w, c)
    const cython.floating *packed,  # IN   (groups, blocks, kh, kw, cg, width)
    const cython.floating *bias,    # IN   (groups * fg) or NULL
    cython.floating *y,             # OUT  one image
    const Pass *p, size band, size split,
) noexcept nogil:
    cdef size first = band * p.band, stop = least(first + p.band, p.rows)
    cdef size blocks = ceil_div(p.fg, p.width), pairs = p.groups * blocks
    cdef size top = least(most(first, p.top_rows), stop), low = least(most(p.low_rows, top), stop)
    cdef size pair, g, f, i, j, filters
    cdef const cython.floating *a
    cdef const cython.floating *b
    cdef const cython.floating *beta
    cdef cython.floating *to
    cdef cconv_sum s
    taps(p, &s)
    for pair in range(split * pairs // p.splits, (split + 1) * pairs // p.splits):
        g, f = pair // blocks, (pair % blocks) * p.width
        filters = least(p.width, p.fg - f)
        a, b, beta = x + g * p.cg, packed + pair * s.bn, behind(bias, g * p.fg + f)
        to = y + p.first + g * p.fg + f
        if p.left_columns < p.right_columns:
            for i in range(first, stop):
                stretch_task(a, b, beta, to, p, s, filters,
                             Stretch(i, p.left_columns, p.right_columns - p.left_columns, False))
        for j in range(p.columns):
            if p.left_columns <= j < p.right_columns:
                continue
            if top < low:
                stretch_task(a, b, beta, to, p, s, filters, Stretch(top, j, low - top, True))
            for i in range(first, stop):
                if not top <= i < low:
                    stretch_task(a, b, beta, to, p, s, filters, Stretch(i, j, 1, True))


cdef inline Pass forward_pass(Images x, Images y, Window w, size groups, size item) noexcept nogil:
    cdef Pass p
    p.h, p.w, p.c = x.h, x.w, x.c
    p.kh, p.kw, p.sh, p.sw, p.dh, p.dw = w.kh, w.kw, w.sh, w.sw, w.dh, w.dw
    p.top, p.left, p.rows, p.columns = w.top, w.left, y.h, y.w
    p.first, p.row, p.column, p.image = 0, y.w * y.c, y.c, y.h * y.w * y.c
    p.groups, p.cg, p.fg = groups, x.c // groups, y.c // groups
    p.width = block_width(p.fg, item)
    p.mode = 0
    cut(&p, x.n, item)
    return p


cdef inline size forward_packed(const Pass *p) noexcept nogil:
    # Elements of the packed kernel; 0 if the kernel is read as it is.
    if p.groups == 1 and p.fg == p.width:
        return 0
    return p.groups * p.kh * p.kw * p.cg * ceil_div(p.fg, p.width) * p.width


cdef inline void pack_groups(
    const cython.floating *kernel,  # IN   (kh, kw, cg, f)
    cython.floating *packed,        # OUT  forward_packed(p)
    const Pass *p, int threads,
) noexcept nogil:
    cdef size group = forward_packed(p) // p.groups, taps = p.kh * p.kw * p.cg, g
    for g in prange(p.groups, num_threads=threads, schedule="dynamic"):
        pack(kernel + g * p.fg, packed + g * group, False, taps, p.fg, p.groups * p.fg, p.width,
             taps * p.width)
