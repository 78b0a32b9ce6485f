# _winograd.pyx: 3x3 convolutions of stride 1 by Winograd's minimal filtering, as parallel loops
# over the transforms of simd/winograd.h and the products of simd/product.h.
#
# Forward (and the input gradient, which is the same with the kernel flipped and transposed):
#
#     y = A^T [(G g G^T) * (B^T d B)] A     for every 6x6 tile d of the input, 4x4 tile of the output
#
# The kernel is transformed once: u (36, c, f), packed by blocks of filters.  A task takes a batch
# of tiles, as many as keep the cache, transforms all their channels to v (36, tiles, c), and for
# each block of filters multiplies 36 times, m = v u, and transforms m (36, tiles, filters) back.
#
# Weight gradient:
#
#     dg = P^T [sum over tiles of (Q e Q^T) * (B^T d B)] P
#
# The sum over tiles is taken between the transforms: s (36, c, f) += v^T w.  The tiles are split
# into parts by shapes alone, each with an s of its own; they are added in order and transformed
# once.
#
# Kernels check nothing and allocate nothing; `ops.py` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from cconv._kernels cimport (
    CCONV_ACCUMULATE,
    CCONV_BLOCK_BYTES,
    block_width,
    cconv_current,
    cconv_sum,
    cconv_tile,
    cconv_winograd,
    ceil_div,
    column_sums,
    least,
    most,
    packed_row,
    product,
    size,
)

cdef size TILES_BYTES = 262144     # of the transformed input of a task
cdef size SUM_BYTES = 458752       # of the transformed x and dy of a part
cdef size SLICE = 64               # most channels, and filters, of a slice of the weight gradient
cdef size PARTIAL_BYTES = 4194304  # of the sums of all parts
cdef size PAD = 16                 # elements between points: strides of 4096 bytes share cache sets


cdef inline const cconv_winograd *transforms(size item) noexcept nogil:
    return cconv_current().f32.winograd if item == 4 else cconv_current().f64.winograd


cdef struct Tiles:
    size h, w, c             # input image
    size oh, ow, f           # output image
    size top, left           # zeros before the input image
    size down, across        # tiles of an image
    size count, batch        # tiles in all, tiles a task
    size v, m                # elements from one point to the next, of v and of m
    size width               # filters of a block


cdef Tiles tiles_of(size n, size h, size w, size c, size oh, size ow, size f, size top, size left,
                    size item) noexcept nogil:
    cdef Tiles t
    t.h, t.w, t.c, t.oh, t.ow, t.f, t.top, t.left = h, w, c, oh, ow, f, top, left
    t.down, t.across = ceil_div(oh, 4), ceil_div(ow, 4)
    t.count = n * t.down * t.across
    t.batch = least(most(TILES_BYTES // (36 * c * item), 8), 64)
    t.batch = least(t.batch - t.batch % 8, t.count)
    t.width = block_width(f, item)
    t.v, t.m = t.batch * c + PAD, t.batch * t.width + PAD
    return t


cdef inline void place(Tiles *t, size tile, size *image, cconv_tile *x, cconv_tile *y) noexcept nogil:
    # Where a tile lies in its image: of the input (6x6 from x.row, x.column on), of the output (4x4).
    cdef size within = tile % (t.down * t.across), i = 4 * (within // t.across), j = 4 * (within % t.across)
    image[0] = tile // (t.down * t.across)
    x.row, x.column = t.w * t.c, t.c
    x.r0, x.r1, x.c0, x.c1 = t.top - i, t.h + t.top - i, t.left - j, t.w + t.left - j
    y.row, y.column = t.ow * t.f, t.f
    y.r0, y.r1, y.c0, y.c1 = 0, least(4, t.oh - i), 0, least(4, t.ow - j)


# Element of the image where row 0, column 0 of a tile lies, which may be outside the image.
cdef inline size input_offset(Tiles *t, size image, const cconv_tile *x) noexcept nogil:
    return ((image * t.h - x.r0) * t.w - x.c0) * t.c


cdef inline size output_offset(Tiles *t, size image, size tile) noexcept nogil:
    cdef size within = tile % (t.down * t.across)
    return ((image * t.oh + 4 * (within // t.across)) * t.ow + 4 * (within % t.across)) * t.f


cdef void tiles_task(
    const cython.floating *x,     # IN   (n, h, w, c)
    const cython.floating *u,     # IN   (blocks, 36, c, width)
    const cython.floating *bias,  # IN   (f) or NULL
    cython.floating *y,           # OUT  (n, oh, ow, f)
    Tiles *t, size first, bint relu,
    cython.floating *scratch,     # OUT  v (36, batch, c), then m (36, batch, width)
) noexcept nogil:
    cdef const cconv_winograd *wino = transforms(sizeof(cython.floating))
    cdef size count = least(t.batch, t.count - first), i, j, p, image = 0
    cdef cython.floating *m = scratch + 36 * t.v
    cdef const cython.floating *b
    cdef cconv_tile from_, to
    cdef cconv_sum s
    s.q, s.aq, s.bq, s.r, s.ar, s.br = 1, 0, 0, 1, 0, 0
    s.k, s.am, s.ak, s.bk, s.bn, s.cm = t.c, t.c, 1, t.width, 0, t.width
    for i in range(count):
        place(t, first + i, &image, &from_, &to)
        from_.channels, from_.point = t.c, t.v
        wino.input(&from_, x + input_offset(t, image, &from_), scratch + i * t.c)
    for j in range(ceil_div(t.f, t.width)):
        to.channels = least(t.width, t.f - j * t.width)
        for p in range(36):
            product(&s, count, to.channels, <const cython.floating *>(scratch + p * t.v),
                    u + (j * 36 + p) * t.c * t.width, m + p * t.m, <const cython.floating *>NULL, 0)
        b = bias
        if b != NULL:
            b = b + j * t.width
        for i in range(count):
            place(t, first + i, &image, &from_, &to)
            to.channels, to.point = least(t.width, t.f - j * t.width), t.m
            wino.output(&to, m + i * t.width, y + output_offset(t, image, first + i) + j * t.width, b, relu)


cdef void transpose_task(
    const cython.floating *kernel,  # IN   one tap (c, f)
    cython.floating *transposed,    # OUT  (f, c)
    size c, size f,
) noexcept nogil:
    cdef size i, j
    for i in range(c):
        for j in range(f):
            transposed[j * c + i] = kernel[i * f + j]


cdef void kernel_task(
    const cython.floating *kernel,  # IN   (3, 3, c, f), from input channel k on
    cython.floating *u,             # OUT  (blocks, 36, c, width), from input channel k on
    Tiles *t, bint flip,
) noexcept nogil:
    cdef size j
    for j in range(ceil_div(t.f, t.width)):
        transforms(sizeof(cython.floating)).kernel(
            least(t.width, t.f - j * t.width), t.c * t.f, flip, t.c * t.width, kernel + j * t.width,
            u + j * 36 * t.c * t.width)


def forward_scratch(x_shape, y_shape, bint gradient, size item, int threads):
    """Elements of scratch that `forward` takes on so many threads."""
    n, h, w, c = x_shape
    cdef Tiles t = tiles_of(n, h, w, c, y_shape[1], y_shape[2], y_shape[3], 0, 0, item)
    return 36 * t.c * packed_row(t.f, item) + (9 * t.c * t.f if gradient else 0) + threads * 36 * (t.v + t.m)


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (3, 3, c, f); for the gradient (3, 3, f, c)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    size top, size left, bint relu, bint gradient,
    cython.floating[::1] scratch,                # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`.

    With `gradient` x is dy, y is dx, and the kernel is flipped and its channels are swapped.
    """
    cdef Tiles t = tiles_of(x.shape[0], x.shape[1], x.shape[2], x.shape[3], y.shape[1], y.shape[2],
                            y.shape[3], top, left, sizeof(cython.floating))
    cdef size i, each = 36 * (t.v + t.m)
    cdef cython.floating *u = &scratch[0]
    cdef cython.floating *rest = u + 36 * t.c * packed_row(t.f, sizeof(cython.floating))
    cdef const cython.floating *g = &kernel[0, 0, 0, 0]
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    with nogil:
        if gradient:
            g = rest
            for i in prange(9, num_threads=threads, schedule="static"):
                transpose_task(&kernel[i // 3, i % 3, 0, 0], rest + i * t.c * t.f, t.f, t.c)
            rest = rest + 9 * t.c * t.f
        for i in prange(t.c, num_threads=threads, schedule="static"):
            kernel_task(g + i * t.f, u + i * t.width, &t, gradient)
        for i in prange(ceil_div(t.count, t.batch), num_threads=threads, schedule="static"):
            tiles_task(&x[0, 0, 0, 0], <const cython.floating *>u, beta, &y[0, 0, 0, 0], &t, i * t.batch,
                       relu, rest + threadid() * each)


# ---- weight gradient -------------------------------------------------------------------------------
#
# A task sums one part of the tiles for one slice of the channels and one of the filters, so that
# its sum stays in the cache; slices of the same part transform the same tiles again.

cdef struct Sum:
    Tiles t
    size w                   # elements from one point to the next, of w
    size cs, fs              # channels and filters of a slice
    size across, slices      # slices of the filters; in all
    size parts               # of the tiles
    size each, whole         # elements of the sum of a slice, of a part: its slices, then dbias (f)


cdef Sum sum_of(Tiles t, size item) noexcept nogil:
    cdef Sum s
    s.t = t
    s.cs = least(t.c, ceil_div(ceil_div(t.c, ceil_div(t.c, SLICE)), 16) * 16)
    s.fs = least(t.f, ceil_div(ceil_div(t.f, ceil_div(t.f, SLICE)), 16) * 16)
    s.across = ceil_div(t.f, s.fs)
    s.slices = ceil_div(t.c, s.cs) * s.across
    s.t.batch = least(most(SUM_BYTES // (36 * (s.cs + s.fs) * item), 8), t.count)
    s.t.v, s.w = s.t.batch * s.cs + PAD, s.t.batch * s.fs + PAD
    s.each = 36 * s.cs * s.fs
    s.whole = s.slices * s.each + t.f
    s.parts = 1
    while (s.parts < 16 and s.parts * 2 * s.t.batch <= t.count
           and s.parts * 2 * s.whole * item <= PARTIAL_BYTES):
        s.parts *= 2
    return s


cdef void sum_task(
    const cython.floating *x,   # IN   (n, h, w, c)
    const cython.floating *dy,  # IN   (n, oh, ow, f)
    cython.floating *total,     # OUT  (36, channels, fs) of this part and slice
    cython.floating *dbias,     # OUT  (f) of this part, or NULL: another slice sums it
    Sum *s, size part, size slice,
    cython.floating *scratch,   # OUT  v (36, batch, cs), then w (36, batch, fs)
) noexcept nogil:
    cdef const cconv_winograd *wino = transforms(sizeof(cython.floating))
    cdef Tiles *t = &s.t
    cdef size first = part * t.count // s.parts, stop = (part + 1) * t.count // s.parts, start = first
    cdef size k = (slice // s.across) * s.cs, j = (slice % s.across) * s.fs
    cdef size channels = least(s.cs, t.c - k), filters = least(s.fs, t.f - j), i, p, count, image = 0
    cdef cython.floating *w = scratch + 36 * t.v
    cdef const cython.floating *d
    cdef cconv_tile from_, to
    cdef cconv_sum sums
    sums.q, sums.aq, sums.bq, sums.r, sums.ar, sums.br = 1, 0, 0, 1, 0, 0
    sums.am, sums.ak, sums.bk, sums.cm = 1, channels, filters, s.fs
    sums.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    if dbias != NULL:
        memset(dbias, 0, t.f * sizeof(cython.floating))
    while first < stop:
        count = least(t.batch, stop - first)
        for i in range(count):
            place(t, first + i, &image, &from_, &to)
            from_.channels, from_.point, to.channels, to.point = channels, t.v, filters, s.w
            d = dy + output_offset(t, image, first + i)
            wino.input(&from_, x + input_offset(t, image, &from_) + k, scratch + i * channels)
            wino.gradient(&to, d + j, w + i * filters)
            if dbias != NULL and (first + i) % t.across == 0:  # whole rows, the tiles' beside it too
                column_sums(d, to.r1 * t.ow, t.f, dbias, CCONV_ACCUMULATE)
        sums.k = count
        for p in range(36):
            product(&sums, channels, filters, <const cython.floating *>(scratch + p * t.v),
                    <const cython.floating *>(w + p * s.w), total + p * s.cs * s.fs,
                    <const cython.floating *>NULL, CCONV_ACCUMULATE if first > start else 0)
        first += count


cdef void finish_task(
    cython.floating *sums,     # IN   (parts, slices, 36, cs, fs), parts s.whole apart; part 0 is used up
    cython.floating *dkernel,  # OUT  (3, 3, c, f)
    Sum *s, size k,
) noexcept nogil:
    # The kernel's gradient for input channel k.
    cdef size j, p, part, i, filters, point = s.cs * s.fs
    cdef cython.floating *row
    for j in range(s.across):
        row = sums + ((k // s.cs) * s.across + j) * s.each + (k % s.cs) * s.fs
        filters = least(s.fs, s.t.f - j * s.fs)
        for part in range(1, s.parts):
            for p in range(36):
                for i in range(filters):
                    row[p * point + i] += row[part * s.whole + p * point + i]
        transforms(sizeof(cython.floating)).kernel_gradient(filters, point, s.t.c * s.t.f, row,
                                                            dkernel + k * s.t.f + j * s.fs)


def weight_gradient_scratch(x_shape, dy_shape, size item, int threads):
    """Elements of scratch that `weight_gradient` takes on so many threads."""
    n, h, w, c = x_shape
    cdef Sum s = sum_of(tiles_of(n, h, w, c, dy_shape[1], dy_shape[2], dy_shape[3], 0, 0, item), item)
    return s.parts * s.whole + threads * 36 * (s.t.v + s.w)


def weight_gradient(
    const cython.floating[:, :, :, ::1] dy,  # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] x,   # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,   # OUT  (3, 3, c, f)
    cython.floating[::1] dbias,              # OUT  (f)
    size top, size left,
    cython.floating[::1] scratch,            # OUT  weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its kernel and bias."""
    cdef Sum s = sum_of(tiles_of(x.shape[0], x.shape[1], x.shape[2], x.shape[3], dy.shape[1], dy.shape[2],
                                 dy.shape[3], top, left, sizeof(cython.floating)), sizeof(cython.floating))
    cdef size i, k, part, slice, each = 36 * (s.t.v + s.w)
    cdef cython.floating *sums = &scratch[0]
    cdef cython.floating *rest = sums + s.parts * s.whole
    cdef cython.floating *biases = sums + s.slices * s.each
    with nogil:
        for i in prange(s.parts * s.slices, num_threads=threads, schedule="static"):
            part, slice = i // s.slices, i % s.slices
            sum_task(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], sums + part * s.whole + slice * s.each,
                     biases + part * s.whole if slice == 0 else NULL, &s, part, slice,
                     rest + threadid() * each)
        for i in prange(s.t.c, num_threads=threads, schedule="static"):
            finish_task(sums, &dkernel[0, 0, 0, 0], &s, i)
        for k in range(s.t.f):
            dbias[k] = biases[k]
            for i in range(1, s.parts):
                dbias[k] += biases[i * s.whole + k]
