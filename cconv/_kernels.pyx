# _kernels.pyx: convolution as parallel loops over the micro-kernel of
# simd/product/product.h, and the choice of the instruction set.
#
# Design.  A pass computes, for a grid of output positions (i, j),
#
#     y[i, j, f] = sum over u, v, k of  x[i*sh + u*dh - top, j*sw + v*dw - left, k] * b[u, v, k, f]
#
# with x zero outside the image.  The forward convolution is one pass.  The input gradient is one
# pass over dy for each of the sh*sw phases (i + top) mod sh, (j + left) mod sw of the input
# pixels: the taps that reach a phase form a smaller, flipped kernel of stride 1.  Nothing is
# scattered, so no two tasks write the same element.
#
# A task is one band of output rows of one image and some blocks of filters: the input band and
# one block of the kernel (32 float or 16 double filters) stay in the L2 cache.  Padding is never
# written or multiplied: the taps that fall outside the image are left out, by rows for whole
# rows, and for the few columns at the edges by tiles that run down the column.  How the work is
# cut never changes a bit: every output element is one chain of sums inside the micro-kernel.
#
# The weight gradient sums over the batch, so there the cut matters: the batch is split into
# parts by shapes alone, each part sums into an array of its own, and the parts are added in order.
# A chain of products ends after about CHAIN_OUTPUTS outputs; the sums of GROUP_OUTPUTS outputs, or a few
# more, are added exactly (simd/rows/long_sum.h), as are those of the bias.
# It copies bands that reach past the image, with zeros around them, into the thread's scratch.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
import os

cimport cython
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from cconv._pools cimport Pooling, forget_not_positive, pool_windows, unpool
from cconv._rows cimport cconv_pool

cdef extern from "system/probe.h" nogil:
    int cconv_probe(int threads, size_t stack)

cdef extern from "window.h" nogil:
    void window_inner(Py_ssize_t n, Py_ssize_t k, Py_ssize_t stride, Py_ssize_t before, Py_ssize_t dilation,
                      Py_ssize_t count, Py_ssize_t slack, Py_ssize_t *lo, Py_ssize_t *hi)
    void window_reach(Py_ssize_t first, Py_ssize_t n, Py_ssize_t k, Py_ssize_t dilation, Py_ssize_t *lo,
                      Py_ssize_t *hi)

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define CCONV_OPENMP _OPENMP
    #else
    #define CCONV_OPENMP 0
    static int omp_get_max_threads(void) { return 1; }
    #endif
    #if defined(__clang__)
    #define CCONV_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define CCONV_COMPILER "gcc " __VERSION__
    #else
    #define CCONV_COMPILER "unknown"
    #endif
    """
    int CCONV_OPENMP
    const char *CCONV_COMPILER
    int omp_get_max_threads() nogil

# Bytes of input that a task walks over, of a block of the weight gradient, and of its private sums.
cdef size BAND_BYTES = 131072
cdef size BLOCK_BYTES = 307200
cdef size PARTIAL_BYTES = 8388608
cdef size ENOUGH_TASKS = 32  # to keep many threads busy evenly
cdef size FEW_TASKS = 8       # the bands of a few images are cut until there are so many

cdef cconv_isa _isa


# ---- the instruction set -----------------------------------------------------------------------

cdef const cconv_isa *cconv_current() noexcept nogil:
    return &_isa


cdef list names_of(const char *(*name)(int)):
    cdef list names = []
    while name(len(names)) != NULL:
        names.append(name(len(names)).decode())
    return names


def available_isas():
    """Names of the instruction sets that this machine runs, best first."""
    return names_of(cconv_available)


def _choose_isa():
    given = os.environ.get("CCONV_ISA", "").strip()
    name = given.lower().encode(errors="backslashreplace")
    cdef const char *wanted = NULL
    if name:
        wanted = name
    cdef int status = cconv_choose(wanted, &_isa)
    if status:
        *others, last = names_of(cconv_known)
        allowed = f"{', '.join(others)} or {last}" if others else last
        shown = given if len(given) <= 40 else given[:40] + "..."
        raise ImportError(
            f"CCONV_ISA must be {allowed}, or empty for the best that this machine runs "
            f"({', '.join(available_isas())}), got {shown!r}{', which it does not' if status == -2 else ''}"
        )


_choose_isa()


def isa():
    """Name of the instruction set in use."""
    return _isa.name.decode()


def compiler():
    """Name and version of the compiler that built the kernels."""
    return CCONV_COMPILER.decode()


def has_openmp():
    """Whether the kernels were built with OpenMP."""
    return CCONV_OPENMP != 0


def openmp_version():
    """Date of the OpenMP specification that the compiler implements (yyyymm), 0 without OpenMP."""
    return CCONV_OPENMP


def omp_max_threads():
    """OpenMP's own thread limit for the calling thread, which threadpoolctl lowers."""
    return omp_get_max_threads()


# ---- what the system gives ---------------------------------------------------------------------

def probe_threads(int threads, size_t stack):
    """0 if the calling thread may have a team of so many, itself among them; else the errno of the refusal.

    `stack`: bytes of the stack of each, 0 for the system's default.
    """
    cdef int error
    with nogil:
        error = cconv_probe(threads, stack)
    return error


# ---- views -------------------------------------------------------------------------------------

cdef object view_of(array, const cython.floating *kind):
    cdef const cython.floating[::1] one
    cdef const cython.floating[:, ::1] two
    cdef const cython.floating[:, :, ::1] three
    cdef const cython.floating[:, :, :, ::1] four
    if array.ndim == 1:
        one = array
        return one
    if array.ndim == 2:
        two = array
        return two
    if array.ndim == 3:
        three = array
        return three
    four = array
    return four


def view(array):
    """An array of reals, C-contiguous and of 1 to 4 axes, as what kernels make of it at every call."""
    if array.itemsize == 4:
        return view_of(array, <const float *> NULL)
    return view_of(array, <const double *> NULL)


# ---- a pass ----------------------------------------------------------------------------------------

cdef struct Pass:
    size h, w, c                  # input image
    size kh, kw, sh, sw, dh, dw   # taps, strides, dilation
    size top, left                # zeros before the image; negative: pixels that are passed over
    size rows, columns            # grid of output positions
    size first, row, column       # where position (0, 0) lies in an output image, and the steps
    size image                    # elements of an output image
    size groups, cg, fg           # channels of a group, in and out
    size width                    # columns of a block of the packed kernel
    size top_rows, low_rows       # first row and first column that see no padding,
    size left_columns, right_columns  # and the first behind them that do
    size band, bands              # output rows a task, tasks an image
    size splits                   # parts of the (group, block) pairs, each a task of its own
    int mode                      # of the micro-kernel


cdef void cut(Pass *p, size images, size item) noexcept nogil:
    # How a pass is cut into tasks, and which positions see no padding.
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


cdef void taps(Pass *p, cconv_sum *s) noexcept nogil:
    # The sum over all taps (u, v, k) of a pass.
    s.q, s.aq = p.kh, p.dh * p.w * p.c
    if p.groups == 1 and p.dw == 1:  # the taps of a kernel row are one run of the input
        s.r, s.k, s.ar, s.ak, s.br, s.bk = 1, p.kw * p.c, 0, 1, 0, p.width
    else:
        s.r, s.k, s.ar, s.ak, s.br, s.bk = p.kw, p.cg, p.dw * p.c, 1, p.cg * p.width, p.width
    s.bq = p.kw * p.cg * p.width
    s.bn = s.q * s.bq


cdef void tile_task(
    const cython.floating *x,       # IN   (h, w, c), from the group's first channel on
    const cython.floating *packed,  # IN   one block (kh, kw, cg, width)
    const cython.floating *bias,    # IN   (filters) or NULL
    cython.floating *y,             # OUT  one image, from the block's first filter on
    Pass *p, cconv_sum s, size filters, size i, size j, size m, bint down,
) noexcept nogil:
    # m positions from (i, j) on, along the row or down the column, that see the same taps.
    cdef size u0 = 0, u1 = 0, v0 = 0, v1 = 0
    window_reach(i * p.sh - p.top, p.h, p.kh, p.dh, &u0, &u1)
    window_reach(j * p.sw - p.left, p.w, p.kw, p.dw, &v0, &v1)
    packed += u0 * s.bq + v0 * p.cg * p.width
    s.q = u1 - u0
    if s.r == 1 and s.k == p.kw * p.c:
        s.k = (v1 - v0) * p.c
    else:
        s.r = v1 - v0
    s.am = p.sh * p.w * p.c if down else p.sw * p.c
    s.cm = p.row if down else p.column
    product(&s, m, filters, x + ((i * p.sh - p.top + u0 * p.dh) * p.w + j * p.sw - p.left + v0 * p.dw) * p.c,
            packed, y + i * p.row + j * p.column, bias, p.mode)


cdef void pass_task(
    const cython.floating *x,       # IN   (h, w, c)
    const cython.floating *packed,  # IN   (groups, blocks, kh, kw, cg, width)
    const cython.floating *bias,    # IN   (groups * fg) or NULL
    cython.floating *y,             # OUT  one image
    Pass *p, size band, size split,
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
                tile_task(a, b, beta, to, p, s, filters, i, p.left_columns,
                          p.right_columns - p.left_columns, False)
        for j in range(p.columns):
            if p.left_columns <= j < p.right_columns:
                continue
            if top < low:
                tile_task(a, b, beta, to, p, s, filters, top, j, low - top, True)
            for i in range(first, stop):
                if not top <= i < low:
                    tile_task(a, b, beta, to, p, s, filters, i, j, 1, True)


cdef void run_pass(
    const cython.floating *x, const cython.floating *packed, const cython.floating *bias, cython.floating *y,
    Pass *p, size images, int threads,
) noexcept nogil:
    cdef size t, image, rest, tasks = images * p.bands * p.splits
    for t in prange(tasks, num_threads=threads, schedule="static"):
        image = t // (p.bands * p.splits)
        rest = t % (p.bands * p.splits)
        pass_task(x + image * p.h * p.w * p.c, packed, bias, y + image * p.image, p, rest // p.splits,
                  rest % p.splits)


# ---- convolution -----------------------------------------------------------------------------------

cdef Pass forward_pass(
    size images, size h, size w, size c, size kh, size kw, size groups, size f, size oh, size ow,
    tuple strides, tuple origin, tuple dilation, size item,
):
    cdef Pass p
    p.h, p.w, p.c, p.kh, p.kw = h, w, c, kh, kw
    p.sh, p.sw = strides
    p.top, p.left = origin
    p.dh, p.dw = dilation
    p.rows, p.columns = oh, ow
    p.first, p.row, p.column, p.image = 0, ow * f, f, oh * ow * f
    p.groups, p.cg, p.fg = groups, c // groups, f // groups
    p.width = block_width(p.fg, item)
    p.mode = 0
    cut(&p, images, item)
    return p


cdef size forward_packed(Pass *p) noexcept nogil:
    # Elements of the packed kernel; 0 where the kernel is read as it is.
    if p.groups == 1 and p.fg == p.width:
        return 0
    return p.groups * p.kh * p.kw * p.cg * ceil_div(p.fg, p.width) * p.width


cdef void pack_groups(
    const cython.floating *kernel,  # IN   (kh, kw, cg, f)
    cython.floating *packed,        # OUT  forward_packed(p)
    Pass *p, int threads,
) noexcept nogil:
    cdef size group = forward_packed(p) // p.groups, taps = p.kh * p.kw * p.cg, g
    for g in prange(p.groups, num_threads=threads, schedule="static"):
        pack(kernel + g * p.fg, packed + g * group, False, taps, p.fg, p.groups * p.fg, p.width,
             taps * p.width)


def conv2d_forward_scratch(x_shape, kernel_shape, y_shape, strides, origin, dilation, size groups, size item):
    """Elements of scratch that `conv2d_forward` takes."""
    n, h, w, c = x_shape
    cdef Pass p = forward_pass(n, h, w, c, kernel_shape[0], kernel_shape[1], groups, kernel_shape[3],
                               y_shape[1], y_shape[2], strides, origin, dilation, item)
    return forward_packed(&p)


def conv2d_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c // groups, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    strides, origin, dilation, size groups, bint relu,
    cython.floating[::1] scratch,                # OUT  conv2d_forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`; origin = (top, left) padding."""
    cdef Pass p = forward_pass(x.shape[0], x.shape[1], x.shape[2], x.shape[3], kernel.shape[0],
                               kernel.shape[1], groups, kernel.shape[3], y.shape[1], y.shape[2], strides,
                               origin, dilation, sizeof(cython.floating))
    cdef const cython.floating *packed = &kernel[0, 0, 0, 0]
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    if relu:
        p.mode |= CCONV_RELU
    with nogil:
        if forward_packed(&p):
            pack_groups(packed, &scratch[0], &p, threads)
            packed = &scratch[0]
        run_pass(&x[0, 0, 0, 0], packed, beta, &y[0, 0, 0, 0], &p, x.shape[0], threads)


cdef Phase phase_of(size phase, size n, size k, size stride, size before, size dilation) noexcept nogil:
    # x[i] gets dy[(i + before - u*dilation) / stride] * kernel[u] for every u that divides.
    cdef Phase a
    cdef size common = gcd(stride, dilation), u = 0
    a.first = modulo(phase - before, stride)
    a.count = (n - 1 - a.first) // stride + 1
    a.step, a.dilation = stride // common, dilation // common
    while u < k and modulo(u * dilation - phase, stride):
        u += 1
        if u == a.step:  # no tap of this phase divides
            u = k
    a.tap = u
    a.taps = 0 if u >= k else (k - 1 - u) // a.step + 1
    a.before = (a.taps - 1) * a.dilation - (a.first + before - u * dilation) // stride
    return a


cdef Pass gradient_pass(
    size images, size h, size w, size c, size oh, size ow, size f, size groups, Phase *down, Phase *across,
    size stride_h, size stride_w, size item,
) noexcept nogil:
    # The pass over dy (oh, ow, f) that gives the input pixels of one phase; groups swap their channels.
    cdef Pass p
    p.h, p.w, p.c = oh, ow, f
    p.kh, p.kw, p.sh, p.sw = down.taps, across.taps, 1, 1
    p.dh, p.dw, p.top, p.left = down.dilation, across.dilation, down.before, across.before
    p.rows, p.columns = down.count, across.count
    p.first = (down.first * w + across.first) * c
    p.row, p.column, p.image = stride_h * w * c, stride_w * c, h * w * c
    p.groups, p.cg, p.fg = groups, f // groups, c // groups
    p.width = block_width(p.fg, item)
    p.mode = 0
    cut(&p, images, item)
    return p


cdef void pack_phase(
    const cython.floating *kernel,  # IN   (kh, kw, c // groups, f), kw = kernel_width
    cython.floating *packed,        # OUT  (groups, blocks, taps, taps, f // groups, width)
    Pass *p, Phase *down, Phase *across, size kernel_width, int threads,
) noexcept nogil:
    cdef size count = p.kh * p.kw, block = count * p.cg * p.width, f = p.c
    cdef size group = block * ceil_div(p.fg, p.width), t, u, v, g
    for t in prange(p.groups * count, num_threads=threads, schedule="static"):
        g = t // count
        u = down.tap + (p.kh - 1 - (t % count) // p.kw) * down.step
        v = across.tap + (p.kw - 1 - t % p.kw) * across.step
        pack(kernel + (u * kernel_width + v) * p.fg * f + g * p.cg,
             packed + g * group + (t % count) * p.cg * p.width, True, p.cg, p.fg, f, p.width, block)


cdef void zero_phase(cython.floating *dx, Pass *p, size images, int threads) noexcept nogil:
    # Input pixels that no tap reaches: they lie between strides longer than the kernel.
    cdef size t, j
    cdef cython.floating *row
    for t in prange(images * p.rows, num_threads=threads, schedule="static"):
        row = dx + (t // p.rows) * p.image + p.first + (t % p.rows) * p.row
        for j in range(p.columns):
            memset(row + j * p.column, 0, p.groups * p.fg * sizeof(cython.floating))


def conv2d_input_gradient_scratch(kernel_shape, size groups, size item):
    """Elements of scratch that `conv2d_input_gradient` takes: the packed kernel of one phase at most."""
    kh, kw, cg, f = kernel_shape
    return kh * kw * f * packed_row(cg, item)


def conv2d_input_gradient(
    const cython.floating[:, :, :, ::1] dy,      # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c // groups, f)
    cython.floating[:, :, :, ::1] dx,            # OUT  (n, h, w, c)
    strides, origin, dilation, size groups,
    cython.floating[::1] scratch,                # OUT  conv2d_input_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its input."""
    cdef size kh = kernel.shape[0], kw = kernel.shape[1], f = kernel.shape[3], n = dx.shape[0]
    cdef size h = dx.shape[1], w = dx.shape[2], c = dx.shape[3]
    cdef size sh = strides[0], sw = strides[1], top = origin[0], left = origin[1]
    cdef size dh = dilation[0], dw = dilation[1], i, j
    cdef Phase down, across
    cdef Pass p
    with nogil:
        # Every phase has one of the first pixels, however long the stride.
        for i in range(min(sh, h)):
            down = phase_of(modulo(i + top, sh), h, kh, sh, top, dh)
            for j in range(min(sw, w)):
                across = phase_of(modulo(j + left, sw), w, kw, sw, left, dw)
                p = gradient_pass(n, h, w, c, dy.shape[1], dy.shape[2], f, groups, &down, &across, sh, sw,
                                  sizeof(cython.floating))
                if down.taps == 0 or across.taps == 0:
                    zero_phase(&dx[0, 0, 0, 0], &p, n, threads)
                    continue
                pack_phase(&kernel[0, 0, 0, 0], &scratch[0], &p, &down, &across, kw, threads)
                run_pass(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], <const cython.floating *>NULL,
                         &dx[0, 0, 0, 0], &p, n, threads)


# ---- weight gradient -------------------------------------------------------------------------------
#
#     dkernel[u, v, k, f] = sum over images, i, j of
#                               x[i*sh + u*dh - top, j*sw + v*dw - left, k] * dy[i, j, f]
#
# A block of the sum is some whole images, or a band of rows of one, that fit the cache.  A unit is
# one kernel row u of one group (and one column v, where its taps are not one run) and a slice of
# its taps.  A task sums one part of the blocks for one share of the units, some blocks at a time: a
# group.  Where a part is one group, it is the part's sum; else the groups are added exactly.

cdef struct Sum:
    Pass p                   # the forward pass
    size band, bands         # output rows a block, blocks an image
    size images, blocks      # images a block (1 where a block is a band), blocks in all
    size group               # blocks a group
    bint settles             # whether a part has several groups
    size parts, shares       # of the blocks, of the units: tasks are their product
    size columns             # kernel columns v that are units of their own
    size taps, slice, slices  # rows of dkernel in a kernel row or tap, in a unit; units a row
    size units
    size kernel              # elements of dkernel


cdef inline size band_size(const Pass *p, size rows) noexcept nogil:
    # Elements of a band of input, with its padding, for so many output rows.
    cdef size height = (rows - 1) * p.sh + p.dh * (p.kh - 1) + 1
    return height * ((p.columns - 1) * p.sw + p.dw * (p.kw - 1) + 1) * p.c


cdef const cython.floating *band_of(
    const cython.floating *x,   # IN   (h, w, c)
    Pass *p, size i, size rows,
    cython.floating *scratch,   # OUT  band_size(p, rows), where a copy is needed
    size *stride,               # OUT  elements from an input row to the next
) noexcept nogil:
    # What tap (0, 0) of output row i, column 0 sees, for `rows` output rows.
    cdef size first = i * p.sh - p.top
    cdef size height = (rows - 1) * p.sh + p.dh * (p.kh - 1) + 1
    cdef size columns = (p.columns - 1) * p.sw + p.dw * (p.kw - 1) + 1
    if first >= 0 and first + height <= p.h and p.left <= 0 and columns - p.left <= p.w:
        stride[0] = p.w * p.c
        return x + (first * p.w - p.left) * p.c
    copy_padded(x, p.h, p.w, p.c, first, height, p.left, columns, scratch)
    stride[0] = columns * p.c
    return scratch


cdef Sum gradient_sum(Pass p, size n, size item) noexcept nogil:
    cdef Sum s
    s.p = p
    s.band = p.rows
    while s.band > 1 and (band_size(&p, s.band) * item > BLOCK_BYTES
                          or s.band * p.columns > 2 * GROUP_OUTPUTS):
        s.band = ceil_div(s.band, 2)
    s.bands = ceil_div(p.rows, s.band)
    s.band = ceil_div(p.rows, s.bands)
    s.bands = ceil_div(p.rows, s.band)
    s.images = 1
    if s.bands == 1:
        s.images = most(BLOCK_BYTES // (2 * band_size(&p, s.band) * item), 1)
        s.images = least(least(s.images, most(2 * GROUP_OUTPUTS // (p.rows * p.columns), 1)), n)
    s.blocks = ceil_div(n, s.images) * s.bands
    if p.groups == 1 and p.dw == 1:
        s.columns, s.taps = 1, p.kw * p.cg
    else:
        s.columns, s.taps = p.kw, p.cg
    s.slice = least(s.taps, 64)
    s.slices = ceil_div(s.taps, s.slice)
    s.units = p.kh * s.columns * s.slices * p.groups
    s.kernel = p.kh * p.kw * p.cg * p.groups * p.fg
    s.parts = least(least(s.blocks, ENOUGH_TASKS), most(PARTIAL_BYTES // (s.kernel * item), 1))
    s.shares = least(s.units, ceil_div(ENOUGH_TASKS, s.parts))
    s.group = ceil_div(GROUP_OUTPUTS, s.images * s.band * p.columns)
    s.settles = ceil_div(s.blocks, s.parts) > s.group
    return s


cdef inline size block_size(const Sum *s, bint pooled) noexcept nogil:
    # Elements of scratch that a block takes, where it is copied, and its dy, where that was pooled.
    cdef size pixels = s.band * s.p.columns if pooled else 0
    return s.images * (band_size(&s.p, s.band) + pixels * s.p.groups * s.p.fg)


cdef void chain_product(
    const cython.floating *a, const cython.floating *dy, cython.floating *dkernel, cconv_sum *t,
    size taps, size filters, size images, size rows, size columns, int mode,
) noexcept nogil:
    # The outputs of a block in chains of about CHAIN_OUTPUTS: whole images, rows, or pieces of a row.
    cdef size across = ceil_div(columns, ceil_div(columns, CHAIN_OUTPUTS)), image = rows * columns
    cdef size down = least(most((CHAIN_OUTPUTS + columns // 2) // columns, 1), rows)
    cdef size deep = least(most((CHAIN_OUTPUTS + image // 2) // image, 1), images), n, i, j, k
    for n in range(ceil_div(images, deep) * ceil_div(rows, down) * ceil_div(columns, across)):
        k, i = n % ceil_div(columns, across) * across, n // ceil_div(columns, across)
        j, i = i % ceil_div(rows, down) * down, i // ceil_div(rows, down) * deep
        t.q, t.r, t.k = least(deep, images - i), least(down, rows - j), least(across, columns - k)
        if across == columns and t.ar == columns * t.ak:  # 1x1: an image is one run
            t.k, t.r = t.r * t.k, 1
        product(t, taps, filters, a + i * t.aq + j * t.ar + k * t.ak, dy + i * t.bq + j * t.br + k * t.bk,
                dkernel, <const cython.floating *>NULL, mode)
        mode = CCONV_ACCUMULATE


cdef inline size unit_at(const Sum *s, size unit, size *u, size *v, size *g, size *first) noexcept nogil:
    # Kernel row, column, group and first tap of a unit; returns where its sums lie in dkernel.
    first[0] = (unit % s.slices) * s.slice
    unit = unit // s.slices
    v[0], unit = unit % s.columns, unit // s.columns
    u[0], g[0] = unit % s.p.kh, unit // s.p.kh
    return (((u[0] * s.p.kw + v[0]) * s.p.cg + first[0]) * s.p.groups + g[0]) * s.p.fg


cdef void unit_product(
    const cython.floating *a, size stride, size image_stride,  # IN   input rows and images of the block
    const cython.floating *dy,         # IN   (images, rows, columns, f) of the block
    cython.floating *dkernel,          # OUT  (kh, kw, cg, f)
    Sum *s, size unit, size images, size rows, int mode,
) noexcept nogil:
    # One unit over one block.
    cdef Pass *p = &s.p
    cdef size f = p.groups * p.fg, u = 0, v = 0, g = 0, first = 0
    cdef size at = unit_at(s, unit, &u, &v, &g, &first)
    cdef cconv_sum t
    t.aq, t.bq = image_stride, rows * p.columns * f
    t.ar, t.br = p.sh * stride, p.columns * f
    t.ak, t.bk = p.sw * p.c, f
    t.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    t.am, t.cm = 1, f
    chain_product(a + u * p.dh * stride + v * p.dw * p.c + g * p.cg + first, dy + g * p.fg, dkernel + at, &t,
                  least(s.slice, s.taps - first), p.fg, images, rows, p.columns, mode)


cdef void settle(
    const cython.floating *group,  # IN  (kh, kw, cg, f); the first one lies in sums, and nothing is lost yet
    cython.floating *sums, cython.floating *lost,  # IN, OUT  the same
    const Sum *s, size share,
) noexcept nogil:
    # sums, lost += group, exactly, where the units of this share lie.
    cdef size item = sizeof(cython.floating), f = s.p.groups * s.p.fg, u = 0, v = 0, g = 0, first = 0
    cdef size unit, at, _
    for unit in range(share * s.units // s.shares, (share + 1) * s.units // s.shares):
        at = unit_at(s, unit, &u, &v, &g, &first)
        for _ in range(least(s.slice, s.taps - first)):
            if group == sums:
                memset(lost + at, 0, s.p.fg * item)
            else:
                cconv_rows_of(item).add_exactly(s.p.fg, group + at, sums + at, lost + at)
            at += f


cdef void block_task(
    const cython.floating *x, const cython.floating *dy,
    cython.floating *dkernel,          # OUT  (kh, kw, cg, f)
    cython.floating *biases,           # IN, OUT  (2, f): sums of dy and what was lost; or NULL
    Sum *s, size n, size block, size share, int mode,
    const Pooling *pooling,
    cython.floating *scratch,          # OUT  block_size(s)
) noexcept nogil:
    # One block for one share of the units.
    cdef Pass *p = &s.p
    cdef size f = p.groups * p.fg, unit, i, stride = 0, image_stride, x_image = p.h * p.w * p.c
    cdef size image = (block // s.bands) * s.images, first = (block % s.bands) * s.band
    cdef size images = least(s.images, n - image), rows = least(s.band, p.rows - first)
    cdef const cython.floating *a = band_of(x + image * x_image, p, first, rows, scratch, &stride)
    cdef const cython.floating *d
    image_stride = x_image if a != scratch else band_size(p, s.band)
    if a == scratch:
        for i in range(1, images):
            band_of(x + (image + i) * x_image, p, first, rows, scratch + i * image_stride, &stride)
    if pooling == NULL:
        d = dy + ((image * p.rows + first) * p.columns) * f
    else:
        d = scratch + s.images * band_size(p, s.band)
        for i in range(images):
            unpool(dy, pooling, image + i, first, rows,
                   scratch + s.images * band_size(p, s.band) + i * rows * p.columns * f)
    for unit in range(share * s.units // s.shares, (share + 1) * s.units // s.shares):
        unit_product(a, stride, image_stride, d, dkernel, s, unit, images, rows, mode)
    if biases != NULL:
        cconv_rows_of(sizeof(cython.floating)).add_columns(images * rows * p.columns, f, f, d, biases,
                                                           biases + f)


cdef void sum_task(
    const cython.floating *x, const cython.floating *dy,
    cython.floating *sums,             # OUT  (kh, kw, cg, f) of this part
    cython.floating *lost,             # OUT  the same, if it settles
    cython.floating *biases,           # IN, OUT  (2, f) of this part, or NULL: another share sums them
    Sum *s, size n, size part, size share, const Pooling *pooling,
    cython.floating *group,            # OUT  (kh, kw, cg, f), if it settles
    cython.floating *scratch,          # OUT  block_size(s)
) noexcept nogil:
    cdef size start = part * s.blocks // s.parts, stop = (part + 1) * s.blocks // s.parts, b, k
    cdef cython.floating *to
    for b in range(start, stop):
        k = b - start
        # The first group sums into the part's sums.
        to = group if s.settles and k >= s.group else sums
        block_task(x, dy, to, biases, s, n, b, share, CCONV_ACCUMULATE if k % s.group else 0, pooling,
                   scratch)
        if s.settles and ((k + 1) % s.group == 0 or b + 1 == stop):
            settle(<const cython.floating *>to, sums, lost, s, share)


cdef void add_parts(void *total, const void *parts, size count, size n, size stride, size item,
                    int threads) noexcept nogil:
    # total (n) += parts (count, n), `stride` elements apart, in order.
    cdef size chunk = 4096, t, k
    cdef const cconv_rows *rows = cconv_rows_of(item)
    for t in prange(ceil_div(n, chunk) if count > 0 else 0, num_threads=threads, schedule="static"):
        for k in range(count):
            rows.add(least(chunk, n - t * chunk), <const char *>parts + (k * stride + t * chunk) * item, NULL,
                     <char *>total + t * chunk * item, 0)


cdef void add_whole(void *total, void *sums, void *lost, size count, size n, size stride, size item,
                    int threads) noexcept nogil:
    # total (n) = the parts sums, lost (count, n), `stride` elements apart, of which the first are used up.
    cdef size chunk = 4096, t, k, at, some
    cdef const cconv_rows *rows = cconv_rows_of(item)
    for t in prange(ceil_div(n, chunk), num_threads=threads, schedule="static"):
        at, some = t * chunk * item, least(chunk, n - t * chunk)
        for k in range(1, count):
            rows.add_exactly(some, <char *>sums + k * stride * item + at, <char *>sums + at,
                             <char *>lost + at)
            rows.add(some, <char *>lost + k * stride * item + at, NULL, <char *>lost + at, 0)
        rows.whole(some, <char *>sums + at, <char *>lost + at, <char *>total + at)


cdef inline size gradient_shared(const Sum *s) noexcept nogil:
    # Elements of scratch that all threads share: of all parts the sums of the bias, (2, f), then those of the
    # kernel, and what was lost; where they do not settle, of parts 1, 2, ... and nothing lost.
    cdef size kernels = 2 * s.parts if s.settles else s.parts - 1
    return s.parts * 2 * s.p.groups * s.p.fg + kernels * s.kernel


cdef inline size gradient_each(const Sum *s, bint pooled) noexcept nogil:
    # Elements of scratch of a thread.
    return block_size(s, pooled) + (s.kernel if s.settles else 0)


def conv2d_weight_gradient_scratch(x_shape, kernel_shape, dy_shape, strides, origin, dilation, size groups,
                                   size item, int threads, bint pooled):
    """Elements of scratch that `conv2d_weight_gradient`, or its pooled form, takes on so many threads."""
    n, h, w, c = x_shape
    cdef Pass p = forward_pass(n, h, w, c, kernel_shape[0], kernel_shape[1], groups, kernel_shape[3],
                               dy_shape[1], dy_shape[2], strides, origin, dilation, item)
    cdef Sum s = gradient_sum(p, n, item)
    return gradient_shared(&s) + threads * gradient_each(&s, pooled)


cdef void weight_gradient(
    const cython.floating *x, const cython.floating *dy, cython.floating *dkernel, cython.floating *dbias,
    Sum *s, size n, const Pooling *pooling,
    cython.floating *scratch,  # OUT  gradient_shared(s), then gradient_each(s) of each thread
    int threads,
) noexcept nogil:
    cdef size f = s.p.groups * s.p.fg, each = gradient_each(s, pooling != NULL), t, part, share
    cdef size item = sizeof(cython.floating)
    cdef cython.floating *kernels = scratch + s.parts * 2 * f
    cdef cython.floating *lost = kernels + s.parts * s.kernel
    cdef cython.floating *rest = scratch + gradient_shared(s)
    cdef cython.floating *sums
    memset(scratch, 0, s.parts * 2 * f * item)
    for t in prange(s.parts * s.shares, num_threads=threads, schedule="static"):
        part, share = t // s.shares, t % s.shares
        if s.settles:
            sums = kernels + part * s.kernel
        else:
            # Part 0 sums into the result.
            sums = dkernel if part == 0 else kernels + (part - 1) * s.kernel
        sum_task(x, dy, sums, lost + part * s.kernel if s.settles else NULL,
                 scratch + part * 2 * f if share == 0 else NULL, s, n, part, share, pooling,
                 rest + threadid() * each + block_size(s, pooling != NULL), rest + threadid() * each)
    if s.settles:
        add_whole(dkernel, kernels, lost, s.parts, s.kernel, s.kernel, item, threads)
    else:
        add_parts(dkernel, kernels, s.parts - 1, s.kernel, s.kernel, item, threads)
    add_whole(dbias, scratch, scratch + f, s.parts, f, 2 * f, item, 1)


def conv2d_weight_gradient(
    const cython.floating[:, :, :, ::1] dy,   # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] x,    # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,    # OUT  (kh, kw, c // groups, f)
    cython.floating[::1] dbias,               # OUT  (f)
    strides, origin, dilation, size groups,
    cython.floating[::1] scratch,             # OUT  conv2d_weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its kernel and bias."""
    cdef size n = x.shape[0]
    cdef Pass p = forward_pass(n, x.shape[1], x.shape[2], x.shape[3], dkernel.shape[0], dkernel.shape[1],
                               groups, dy.shape[3], dy.shape[1], dy.shape[2], strides, origin, dilation,
                               sizeof(cython.floating))
    cdef Sum s = gradient_sum(p, n, sizeof(cython.floating))
    with nogil:
        weight_gradient(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dkernel[0, 0, 0, 0], &dbias[0], &s, n, NULL,
                        &scratch[0], threads)


# ---- convolution and max pooling in one sweep ----------------------------------------------------------
#
# The image between the two is never written to memory: a task convolves one image into its
# thread's scratch and pools it there.  With ReLU the argmax of a value that is not above zero
# says "nothing", as for windows of padding: the gradient then needs no mask.  The weight gradient
# spreads the pooled gradient block by block, and is otherwise the one above, bit for bit.

cdef void pooled_task(
    const cython.floating *x, const cython.floating *packed, const cython.floating *bias,
    cython.floating *y,           # OUT  (poh, pow, f) of one image
    unsigned char *argmax,        # OUT  (poh, pow, f)
    Pass *p, const cconv_pool *windows, bint relu,
    cython.floating *scratch,     # OUT  (oh, ow, f)
) noexcept nogil:
    cdef size band, split, i, each = windows.ow * windows.c
    for band in range(p.bands):
        for split in range(p.splits):
            pass_task(x, packed, bias, scratch, p, band, split)
    for i in range(windows.oh):
        cconv_rows_of(sizeof(cython.floating)).max_pool(windows, i, scratch, y + i * each,
                                                        argmax + i * each, 0)
    if relu:
        forget_not_positive(y, argmax, windows.oh * each)


def conv2d_pool_scratch(x_shape, kernel_shape, conv_size, strides, origin, dilation, size groups, size item,
                        int threads):
    """Elements of scratch that `conv2d_pool_forward` takes on so many threads."""
    n, h, w, c = x_shape
    oh, ow = conv_size
    cdef Pass p = forward_pass(n, h, w, c, kernel_shape[0], kernel_shape[1], groups, kernel_shape[3], oh, ow,
                               strides, origin, dilation, item)
    return forward_packed(&p) + threads * p.image


def conv2d_pool_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c // groups, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, poh, pow, f)
    unsigned char[:, :, :, ::1] argmax,          # OUT  (n, poh, pow, f)
    conv_size, strides, origin, dilation, size groups, bint relu,
    pool,                                        # (kernel_size, strides, pads, dilation) of the pooling
    cython.floating[::1] scratch,                # OUT  conv2d_pool_scratch(...)
    int threads,
):
    """Max pooling of conv2d_forward(...), whose output has conv_size pixels."""
    cdef size f = kernel.shape[3], oh = conv_size[0], ow = conv_size[1], i, packed_size
    cdef Pass p = forward_pass(x.shape[0], x.shape[1], x.shape[2], x.shape[3], kernel.shape[0],
                               kernel.shape[1], groups, f, oh, ow, strides, origin, dilation,
                               sizeof(cython.floating))
    cdef cconv_pool windows = pool_windows(oh, ow, f, y.shape[1], y.shape[2], pool)
    cdef const cython.floating *packed = &kernel[0, 0, 0, 0]
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    if relu:
        p.mode |= CCONV_RELU
    with nogil:
        packed_size = forward_packed(&p)
        if packed_size:
            pack_groups(packed, &scratch[0], &p, threads)
            packed = &scratch[0]
        for i in prange(x.shape[0], num_threads=threads, schedule="static"):
            pooled_task(&x[i, 0, 0, 0], packed, beta, &y[i, 0, 0, 0], &argmax[i, 0, 0, 0], &p, &windows, relu,
                        &scratch[0] + packed_size + threadid() * p.image)


def conv2d_pool_weight_gradient(
    const cython.floating[:, :, :, ::1] dy,       # IN   (n, poh, pow, f)
    const unsigned char[:, :, :, ::1] argmax,     # IN   (n, poh, pow, f), of conv2d_pool_forward
    const cython.floating[:, :, :, ::1] x,        # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,        # OUT  (kh, kw, c // groups, f)
    cython.floating[::1] dbias,                   # OUT  (f)
    conv_size, strides, origin, dilation, size groups, pool,
    cython.floating[::1] scratch,                 # OUT  conv2d_weight_gradient_scratch(..., pooled=True)
    int threads,
):
    """Gradient of conv2d_pool_forward(...) with respect to the kernel and bias."""
    cdef size n = x.shape[0], f = dy.shape[3], oh = conv_size[0], ow = conv_size[1]
    cdef Pass p = forward_pass(n, x.shape[1], x.shape[2], x.shape[3], dkernel.shape[0], dkernel.shape[1],
                               groups, f, oh, ow, strides, origin, dilation, sizeof(cython.floating))
    cdef Sum s = gradient_sum(p, n, sizeof(cython.floating))
    cdef Pooling pooling
    pooling.windows = pool_windows(oh, ow, f, dy.shape[1], dy.shape[2], pool)
    pooling.argmax = &argmax[0, 0, 0, 0]
    with nogil:
        weight_gradient(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dkernel[0, 0, 0, 0], &dbias[0], &s, n, &pooling,
                        &scratch[0], threads)
