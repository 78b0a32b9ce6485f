# _winograd.pyx: convolutions of stride 1 by Winograd's minimal filtering, as parallel loops over the
# transforms of simd/winograd.h and the products of simd/product.h.
#
# Forward:
#
#     y = A^T [(G g G^T) * (B^T d B)] A    for every tile d of the input, `out` x `out` of the output
#
# with n = out + taps - 1.  The kernel is transformed to u (n^2, c, f), packed by blocks of filters,
# tiles to v (n^2, tiles, c); n^2 products m = v u give m (n^2, tiles, filters of a block), which is
# transformed back.  What is cut into tasks depends on the size of u, and on no result: every
# output is one chain of sums over c.
#
#     by tiles    Each thread transforms the kernel for itself, since waiting for each other would
#                 cost it more, and takes batches of tiles that fit its cache.  Given memory that
#                 lasts, they use the u that was kept there and compare the kernel with a copy
#                 meanwhile, each its share; only where it turns out to be another one is u made
#                 anew, and y too.
#     by blocks   A u larger than the cache would be read from memory again for every batch.  The
#                 threads share v of as many tiles as the outer cache holds, and a task is a block
#                 of filters, whose kernel it transforms.
#
# The input gradient is the same with the kernel flipped and transposed.  Where dy has fewer tiles
# than x, as behind a convolution without padding, its transpose takes fewer products: the
# gradient d' of a whole tile of the input, e being a tile of dy,
#
#     d' = B [(G g G^T) * (Q e Q^T)] B^T
#
# of which neighbours overlap and add up.  Every value is the sum over the upper row of tiles plus
# that over the lower, each from left to right: one sum, wherever rows are cut into tasks.
#
# Weight gradient:
#
#     dg = P^T [sum over tiles of (Q e Q^T) * (B^T d B)] P
#
# The sum over tiles is taken between the transforms: s (n^2, c, f) += v^T w.  The tiles are split
# into parts by shapes alone, each with an s of its own; they are added in order and transformed
# once.  A chain of products ends with a batch of tiles; a part of more than about GROUP_OUTPUTS tiles
# adds what so many give exactly (simd/long_sum.h), as each adds the bias.
#
# Max pooling of 2x2 pixels behind the convolution cuts tiles of even width into whole windows: the
# output's transform then writes the pooled tile and its argmax, and the gradients' transforms
# spread the pooled gradient tile by tile.  The image between the two is nowhere in memory.
#
# Kernels check nothing and allocate nothing; `ops.py` hands them arrays and scratch.
cimport cython
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memcmp, memcpy, memset

from cconv._kernels cimport (
    CCONV_ACCUMULATE,
    CCONV_BLOCK_BYTES,
    GROUP_OUTPUTS,
    add_whole,
    behind,
    block_width,
    cconv_current,
    cconv_rows_of,
    cconv_seam,
    cconv_sum,
    cconv_tile,
    cconv_winograd,
    ceil_div,
    least,
    most,
    product,
    size,
    transpose,
)
from cconv._rows cimport cconv_rows

cdef size TILES_BYTES = 262144     # of the transformed input of a task
cdef size SUM_BYTES = 458752       # of the transformed x and dy of a part
cdef size SLICE = 64               # most channels, and filters, of a slice of the weight gradient
cdef size TILES_OF_BIAS = 16      # whose sums of dy are one chain
cdef size PARTIAL_BYTES = 4194304  # of the sums of all parts
cdef size KERNEL_BYTES = 4194304   # of a transformed kernel, above which a task is a block of filters
cdef size SHARED_BYTES = 6291456   # of the transformed input that those tasks share
cdef size GROUP = 64               # most tiles of a product
cdef size STRIP = 16               # channels whose kernels are transformed together
cdef size PAD = 16                 # elements between points: strides of 4096 bytes share cache sets
cdef size HEAD = 16                # elements in front of what is kept
cdef size GLANCE_BYTES = 1024      # of a kernel that are compared before anything is computed


cdef const cconv_winograd *transforms(size out, size taps, size item) noexcept nogil:
    cdef const cconv_winograd *found = cconv_current().f64.winograd
    if item == 4:
        found = cconv_current().f32.winograd
    while found.out != out or found.taps != taps:
        found += 1
    return found


cdef struct Tiles:
    const cconv_winograd *wino
    size square              # points of a tile
    size xh, xw, c           # images of the convolution's input, as they are in memory
    size yh, yw, f           # of its output
    int xs, ys               # 1 where those are pooled: of half the height and width; else 0
    size top, left           # zeros before the input image
    size down, across        # tiles of an image
    size depth, columns      # channels of v; of m: c and f, or f and c where dy is transformed
    size count, batch        # tiles in all; tiles whose v is in memory at a time
    size group               # tiles whose m is
    size u, v, m             # elements from one point to the next, of u, v and m
    size width, blocks       # filters of a block; blocks
    size strips              # strips of the channels
    bint by_blocks           # whether a task is a block of filters, or a batch of tiles
    size splits              # tasks of a batch and block


cdef Tiles tiles_of(const cconv_winograd *wino, size images, size xh, size xw, size c, bint x_pooled,
                    size yh, size yw, size f, bint y_pooled, size oh, size ow, size top, size left,
                    size item, int threads, bint back) noexcept nogil:
    # oh, ow: the output that is cut into tiles; back: from y to x.
    cdef Tiles t
    t.wino = wino
    t.square = (wino.out + wino.taps - 1) * (wino.out + wino.taps - 1)
    t.xh, t.xw, t.c, t.xs, t.yh, t.yw, t.f, t.ys = xh, xw, c, x_pooled, yh, yw, f, y_pooled
    t.top, t.left = top, left
    t.down, t.across = ceil_div(oh, wino.out), ceil_div(ow, wino.out)
    t.count = images * t.down * t.across
    t.depth, t.columns = (f, c) if back else (c, f)
    t.width, t.strips = block_width(t.columns, item), ceil_div(t.depth, STRIP)
    t.blocks = ceil_div(t.columns, t.width)
    t.by_blocks = not back and t.square * c * t.width * t.blocks * item > KERNEL_BYTES
    if t.by_blocks:
        t.batch = most(SHARED_BYTES // (t.square * c * item), 8)
        t.batch = ceil_div(t.count, ceil_div(t.count, t.batch))
    else:
        t.batch = least(most(TILES_BYTES // (t.square * t.depth * item), 8), GROUP)
        t.batch = least(t.batch - t.batch % 8, ceil_div(t.count, threads))
    t.splits = least(ceil_div(t.batch, GROUP), ceil_div(2 * threads, t.blocks))
    t.group = least(GROUP, t.batch)
    t.u, t.v, t.m = t.depth * t.width + PAD, t.batch * t.depth + PAD, t.group * t.width + PAD
    return t


cdef inline void place(Tiles *t, size tile, cconv_tile *x, cconv_tile *y, size *x_at,
                       size *y_at) noexcept nogil:
    # Where a tile lies in its image of the input and of the output: all but channels, point and argmax.
    # x_at and y_at are the elements of its row 0, column 0, which may be outside the image.
    cdef size each = t.down * t.across, image = tile // each, within = tile % each
    cdef size i = t.wino.out * (within // t.across), j = t.wino.out * (within % t.across)
    x.row, x.column = t.xw * t.c, t.c
    x.r0, x.c0 = t.top - i, t.left - j
    x.r1, x.c1 = x.r0 + (t.xh << t.xs), x.c0 + (t.xw << t.xs)
    x_at[0] = ((image * t.xh + ((i - t.top) >> t.xs)) * t.xw + ((j - t.left) >> t.xs)) * t.c
    y.row, y.column = t.yw * t.f, t.f
    y.r0, y.r1 = 0, least(t.wino.out, (t.yh << t.ys) - i)
    y.c0, y.c1 = 0, least(t.wino.out, (t.yw << t.ys) - j)
    y_at[0] = ((image * t.yh + (i >> t.ys)) * t.yw + (j >> t.ys)) * t.f


cdef inline unsigned char *places(const unsigned char *argmax, size at) noexcept nogil:
    # argmax + at, and NULL for NULL.
    if argmax == NULL:
        return NULL
    return <unsigned char *>argmax + at


cdef void tiles_in(
    const cython.floating *x,      # IN   (n, xh, xw, c)
    const unsigned char *argmax,   # IN   of x where that is pooled, or NULL
    cython.floating *v,            # OUT  (n^2, batch, c), from the first of these tiles on
    Tiles *t, size first, size count,
) noexcept nogil:
    cdef size i, x_at = 0, y_at = 0
    cdef cconv_tile from_, to
    from_.channels, from_.point = t.c, t.v
    for i in range(count):
        place(t, first + i, &from_, &to, &x_at, &y_at)
        from_.argmax = places(argmax, x_at)
        t.wino.input(&from_, x + x_at, v + i * t.c)


cdef void products(
    const cython.floating *v,  # IN   (n^2, batch, depth), from the first of these tiles on
    const cython.floating *u,  # IN   (n^2, depth, width) of the block
    const Tiles *t, size count, size columns,
    cython.floating *m,        # OUT  (n^2, group, width)
) noexcept nogil:
    cdef size p
    cdef cconv_sum s
    s.q, s.aq, s.bq, s.r, s.ar, s.br = 1, 0, 0, 1, 0, 0
    s.k, s.am, s.ak, s.bk, s.bn, s.cm = t.depth, t.depth, 1, t.width, 0, t.width
    for p in range(t.square):
        product(&s, count, columns, v + p * t.v, u + p * t.u, m + p * t.m, <const cython.floating *>NULL, 0)


cdef void tiles_out(
    const cython.floating *v,     # IN   (n^2, batch, c), from the first of these tiles on
    const cython.floating *u,     # IN   (n^2, c, width) of the block
    const cython.floating *bias,  # IN   (f) or NULL
    cython.floating *y,           # OUT  (n, yh, yw, f)
    unsigned char *argmax,        # OUT  of y where that is pooled, or NULL
    const cython.floating *positive,  # IN   (n, yh, yw, f) where y is the gradient of ReLU, or NULL
    Tiles *t, size first, size count, size block, bint relu,
    cython.floating *m,           # OUT  (n^2, group, width)
) noexcept nogil:
    cdef size f = block * t.width, i, x_at = 0, y_at = 0
    cdef cconv_tile from_, to
    to.channels, to.point = least(t.width, t.f - f), t.m
    products(v, u, t, count, to.channels, m)
    for i in range(count):
        place(t, first + i, &from_, &to, &x_at, &y_at)
        to.argmax, to.positive = places(argmax, y_at + f), behind(positive, y_at + f)
        t.wino.output(&to, m + i * t.width, y + y_at + f, behind(bias, f), relu)


cdef void kernel_task(
    const cython.floating *kernel,  # IN   (taps, taps, depth, columns); swapped: (taps, taps, columns, depth)
    cython.floating *u,             # OUT  (n^2, depth, width) of the block: a strip of its depth
    const Tiles *t, size block, size strip, bint swapped, bint flipped,
    cython.floating *scratch,       # OUT  strip_size(t, swapped)
) noexcept nogil:
    cdef size f = block * t.width, filters = least(t.width, t.columns - f), taps = t.wino.taps * t.wino.taps
    cdef size first = strip * STRIP, stop = least(first + STRIP, t.depth), i, k
    if not swapped:
        for k in range(first, stop):
            t.wino.kernel(filters, t.depth * t.columns, flipped, t.u, kernel + k * t.columns + f,
                          u + k * t.width)
        return
    for i in range(taps):
        transpose(stop - first, filters, t.depth, t.width, kernel + (i * t.columns + f) * t.depth + first,
                  scratch + i * STRIP * t.width)
    for k in range(first, stop):
        t.wino.kernel(filters, STRIP * t.width, flipped, t.u, scratch + (k - first) * t.width,
                      u + k * t.width)


cdef size strip_size(const Tiles *t, bint swapped) noexcept nogil:
    # Elements of scratch that `kernel_task` takes.
    return t.wino.taps * t.wino.taps * STRIP * t.width if swapped else 0


cdef size thread_size(const Tiles *t, bint gradient) noexcept nogil:
    # Elements of scratch of a thread: u, m, v where it is not shared, and a strip.
    cdef size own = t.u + t.m if t.by_blocks else t.blocks * t.u + t.m + t.v
    return t.square * own + strip_size(t, gradient)


# What a call of `forward` works on.
cdef struct Pass:
    Tiles t
    const void *x            # (n, xh, xw, c)
    const unsigned char *x_argmax
    const void *kernel       # (taps, taps, c, f); with gradient (taps, taps, f, c)
    const void *bias         # (f) or NULL
    void *y                  # (n, yh, yw, f)
    unsigned char *y_argmax
    const void *positive     # (n, yh, yw, f) or NULL
    bint relu, gradient


cdef void tiles_task(
    const Pass *p, const cython.floating *u,  # IN   (blocks, n^2, c, width)
    size first,
    cython.floating *v,                       # OUT  (n^2, batch, c)
    cython.floating *m,                       # OUT  (n^2, group, width)
) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size count = least(t.batch, t.count - first), j
    tiles_in(<const cython.floating *>p.x, p.x_argmax, v, t, first, count)
    for j in range(t.blocks):
        tiles_out(<const cython.floating *>v, u + j * t.square * t.u, <const cython.floating *>p.bias,
                  <cython.floating *>p.y, p.y_argmax, <const cython.floating *>p.positive, t, first, count, j,
                  p.relu, m)


cdef void block_task(
    const Pass *p, const cython.floating *v,  # IN   (n^2, batch, c)
    size first, size block, size split,
    cython.floating *u,                       # OUT  (n^2, c, width)
    cython.floating *m,                       # OUT  (n^2, group, width)
    cython.floating *strip,                   # OUT  strip_size(t, p.gradient)
) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size count = least(t.batch, t.count - first), stop = (split + 1) * count // t.splits, i
    for i in range(t.strips):
        kernel_task(<const cython.floating *>p.kernel, u, t, block, i, p.gradient, p.gradient,
                    strip)
    i = split * count // t.splits
    while i < stop:
        tiles_out(v + i * t.c, <const cython.floating *>u, <const cython.floating *>p.bias,
                  <cython.floating *>p.y, p.y_argmax, <const cython.floating *>p.positive, t, first + i,
                  least(t.group, stop - i), block, p.relu, m)
        i += t.group


cdef void pass_by_blocks(const Pass *p, cython.floating *scratch, int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size each = thread_size(t, p.gradient), first = 0, i
    cdef const cython.floating *v = scratch
    cdef cython.floating *u = scratch + t.square * t.v
    cdef cython.floating *m = u + t.square * t.u
    cdef cython.floating *strip = m + t.square * t.m
    while first < t.count:
        for i in prange(least(t.batch, t.count - first), num_threads=threads, schedule="static"):
            tiles_in(<const cython.floating *>p.x, p.x_argmax, scratch + i * t.c, t, first + i, 1)
        for i in prange(t.blocks * t.splits, num_threads=threads, schedule="static"):
            block_task(p, v, first, i // t.splits, i % t.splits, u + threadid() * each, m + threadid() * each,
                       strip + threadid() * each)
        first = first + t.batch


cdef void kernel_tasks(
    const cython.floating *kernel,  # IN   as `kernel_task`
    cython.floating *u,             # OUT  (blocks, n^2, depth, width)
    const Tiles *t, bint swapped, bint flipped,
    cython.floating *strip,         # OUT  strip_size(t, swapped)
) noexcept nogil:
    cdef size i
    for i in range(t.blocks * t.strips):
        kernel_task(kernel, u + i // t.strips * t.square * t.u, t, i // t.strips, i % t.strips, swapped,
                    flipped, strip)


cdef void pass_by_tiles(const Pass *p, cython.floating *scratch, int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size each = thread_size(t, p.gradient), i
    cdef const cython.floating *known = scratch
    cdef cython.floating *m = scratch + u_size(t)
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *strip = v + t.square * t.v
    with parallel(num_threads=threads):
        kernel_tasks(<const cython.floating *>p.kernel, scratch + threadid() * each, t, p.gradient,
                     p.gradient, strip + threadid() * each)
        for i in prange(ceil_div(t.count, t.batch), schedule="static"):
            tiles_task(p, known + threadid() * each, i * t.batch, v + threadid() * each,
                       m + threadid() * each)


# What is kept of a kernel from one call to the next: whether there is anything, 1 or 0, in the first of
# HEAD elements; u; the kernel that it was made of.

cdef inline size u_size(const Tiles *t) noexcept nogil:
    return t.square * t.blocks * t.u


cdef inline size kernel_size(const Tiles *t) noexcept nogil:
    return t.wino.taps * t.wino.taps * t.depth * t.columns


cdef inline size copy_at(const Tiles *t) noexcept nogil:
    return HEAD + u_size(t)


cdef inline bint differs(const Pass *p, const cython.floating *kept, size first, size stop) noexcept nogil:
    # Whether these elements of the kernel are not, bit for bit, those of the one that is kept.
    return memcmp(<const cython.floating *>p.kernel + first, kept + copy_at(&p.t) + first,
                  (stop - first) * sizeof(cython.floating)) != 0


cdef void keep_kernel(
    const Pass *p,
    cython.floating *kept,  # OUT  kept_size(...)
    int threads,
) noexcept nogil:
    # u is made of the copy: whoever writes into the kernel meanwhile, the two belong together.
    cdef const Tiles *t = &p.t
    cdef cython.floating *copy = kept + copy_at(t)
    cdef size i
    memcpy(copy, p.kernel, kernel_size(t) * sizeof(cython.floating))
    for i in prange(t.blocks * t.strips, num_threads=threads, schedule="static"):
        kernel_task(<const cython.floating *>copy, kept + HEAD + i // t.strips * t.square * t.u, t,
                    i // t.strips, i % t.strips, False, False, <cython.floating *>NULL)
    kept[0] = 1


cdef bint pass_with_kept(
    const Pass *p,
    const cython.floating *kept,  # IN   kept_size(...)
    cython.floating *scratch, int threads,
) noexcept nogil:
    # Whether the kernel was the one that is kept; if not, y is worth nothing.
    cdef Tiles *t = <Tiles *>&p.t
    cdef size each = thread_size(t, False), tasks = ceil_div(t.count, t.batch), n = kernel_size(t)
    cdef size i, changed = 0
    cdef cython.floating *m = scratch + u_size(t)
    cdef cython.floating *v = m + t.square * t.m
    for i in prange(tasks, num_threads=threads, schedule="static"):
        changed += differs(p, kept, i * n // tasks, (i + 1) * n // tasks)
        tiles_task(p, kept + HEAD, i * t.batch, v + threadid() * each, m + threadid() * each)
    return changed == 0


cdef void pass_by_kept(const Pass *p, cython.floating *kept, cython.floating *scratch,
                       int threads) noexcept nogil:
    # A glance at a kernel's beginning tells, nearly always, that it was trained; else y is made twice.
    if kept[0] != 1 or differs(p, kept, 0, least(GLANCE_BYTES // sizeof(cython.floating), kernel_size(&p.t))):
        keep_kernel(p, kept, threads)
    if not pass_with_kept(p, kept, scratch, threads):
        keep_kernel(p, kept, threads)
        pass_with_kept(p, kept, scratch, threads)


def kept_size(kernel_shape, size tile, size item):
    """Elements that `forward` keeps of a kernel, the first of them 0 at the first call; 0: it keeps none."""
    taps, _, c, f = kernel_shape
    cdef Tiles t = tiles_of(transforms(tile, taps, item), 1, tile, tile, c, False, tile, tile, f, False,
                            tile, tile, 0, 0, item, 1, False)
    return 0 if t.by_blocks else copy_at(&t) + kernel_size(&t)


def forward_scratch(x_shape, bint x_pooled, y_shape, bint y_pooled, size tile, size taps, bint gradient,
                    size item, int threads):
    """Elements of scratch that `forward` takes on so many threads."""
    n, h, w, c = x_shape
    n, oh, ow, f = y_shape
    cdef Tiles t = tiles_of(transforms(tile, taps, item), n, h, w, c, x_pooled, oh, ow, f, y_pooled,
                            <size>oh << y_pooled, <size>ow << y_pooled, 0, 0, item, threads, False)
    return (t.square * t.v if t.by_blocks else 0) + threads * thread_size(&t, gradient)


def forward(
    const cython.floating[:, :, :, ::1] x,         # IN   (n, h, w, c)
    const unsigned char[:, :, :, ::1] x_argmax,    # IN   (n, h, w, c) where x is a pooled gradient, or None
    const cython.floating[:, :, :, ::1] kernel,    # IN   (taps, taps, c, f); gradient: (taps, taps, f, c)
    const cython.floating[::1] bias,               # IN   (f) or None
    cython.floating[:, :, :, ::1] y,               # OUT  (n, oh, ow, f)
    unsigned char[:, :, :, ::1] y_argmax,          # OUT  (n, oh, ow, f) where y is to be pooled, or None
    const cython.floating[:, :, :, ::1] positive,  # IN   (n, oh, ow, f), what ReLU gave, or None
    size tile, size top, size left, bint relu, bint gradient,
    cython.floating[::1] kept,                     # IN, OUT  kept_size(...), from call to call, or None
    cython.floating[::1] scratch,                  # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`, by tiles of so many pixels a side.

    With `gradient` x is dy, y is dx, and the kernel is flipped and its channels are swapped.  With
    `y_argmax` y is pooled; with `x_argmax` x is the gradient of what was pooled so.  With `positive`
    y is zero where that is not above zero.  A kernel that is given again, with the same `kept` and no
    `gradient`, is not transformed again.
    """
    cdef const cconv_winograd *wino = transforms(tile, kernel.shape[0], sizeof(cython.floating))
    cdef bint x_pooled = x_argmax is not None, y_pooled = y_argmax is not None
    cdef cython.floating *lasting = NULL
    cdef Pass p
    p.t = tiles_of(wino, x.shape[0], x.shape[1], x.shape[2], x.shape[3], x_pooled, y.shape[1], y.shape[2],
                   y.shape[3], y_pooled, y.shape[1] << y_pooled, y.shape[2] << y_pooled, top, left,
                   sizeof(cython.floating), threads, False)
    p.x, p.kernel, p.y = &x[0, 0, 0, 0], &kernel[0, 0, 0, 0], &y[0, 0, 0, 0]
    p.bias, p.x_argmax, p.y_argmax, p.positive, p.relu, p.gradient = NULL, NULL, NULL, NULL, relu, gradient
    if positive is not None:
        p.positive = &positive[0, 0, 0, 0]
    if bias is not None:
        p.bias = &bias[0]
    if x_pooled:
        p.x_argmax = &x_argmax[0, 0, 0, 0]
    if y_pooled:
        p.y_argmax = &y_argmax[0, 0, 0, 0]
    if kept is not None:
        lasting = &kept[0]
    with nogil:
        if p.t.by_blocks:
            pass_by_blocks(&p, &scratch[0], threads)
        elif lasting != NULL:
            pass_by_kept(&p, lasting, &scratch[0], threads)
        else:
            pass_by_tiles(&p, &scratch[0], threads)


# ---- input gradient by tiles of dy ---------------------------------------------------------------------
#
# A task is a run of rows of tiles.  Where it begins within an image, what its first row adds to
# the rows of x that the task before writes is kept aside, and added when all are done.

cdef struct Back:
    Tiles t                  # x of the forward pass is dx, y is dy
    size over                # pixels by which neighbours overlap
    size carry, aside        # elements of what a row of tiles, and a task, keep for that
    size wide, high          # of dx that tiles reach; the rest is zero
    const void *dy           # (n, yh, yw, f)
    const unsigned char *argmax
    const void *kernel       # (taps, taps, c, f)
    const void *positive     # (n, h, w, c) or NULL
    void *dx                 # (n, h, w, c)


cdef Back back_of(size tile, size taps, size n, size yh, size yw, size f, bint pooled, size h, size w, size c,
                  size top, size left, size item, int threads) noexcept nogil:
    cdef Back b
    b.t = tiles_of(transforms(tile, taps, item), n, h, w, c, False, yh, yw, f, pooled, yh << pooled,
                   yw << pooled, top, left, item, threads, True)
    b.over = taps - 1
    b.carry = b.over * (tile + b.over) * b.t.width
    b.aside = b.over * w * c
    b.high = least(h, b.t.down * tile + b.over - top)
    b.wide = least(w, b.t.across * tile + b.over - left)
    return b


cdef size back_each(const Back *b) noexcept nogil:
    # Elements of scratch of a thread: u, m, v, a strip and what rows of tiles carry.
    return thread_size(&b.t, True) + b.t.blocks * b.carry


cdef void clear_rest(cython.floating *dx, const Back *b) noexcept nogil:
    # Of an image, what no tile reaches.
    cdef const Tiles *t = &b.t
    cdef size i
    for i in range(b.high):
        memset(dx + (i * t.xw + b.wide) * t.c, 0, (t.xw - b.wide) * t.c * sizeof(cython.floating))
    memset(dx + b.high * t.xw * t.c, 0, (t.xh - b.high) * t.xw * t.c * sizeof(cython.floating))


cdef void scatter_block(
    const Back *b,
    const cython.floating *m,  # IN   (n^2, group, width) of the block
    size first, size start, size count, size block,
    cython.floating *carry,    # IN, OUT  (n, over, width) of the block
    cython.floating *aside,    # OUT  (over, w, c)
) noexcept nogil:
    # Tiles from `first` on of a task that begins with tile `start`.
    cdef Tiles *t = <Tiles *>&b.t
    cdef size c = block * t.width, i, row, x_at = 0, y_at = 0
    cdef cython.floating *dx = <cython.floating *>b.dx
    cdef cconv_tile from_, to
    cdef cconv_seam seam
    from_.channels, from_.point, from_.argmax = least(t.width, t.columns - c), t.m, NULL
    seam.carry = carry
    for i in range(first, first + count):
        place(t, i, &from_, &to, &x_at, &y_at)
        x_at += c
        row = i // t.across
        seam.first, seam.last = i % t.across == 0, (i + 1) % t.across == 0
        seam.add = row % t.down > 0 and i >= start + t.across
        seam.top = dx + x_at
        if row % t.down > 0 and not seam.add:
            seam.top = aside + (c - from_.c0 * t.c)
        from_.positive = behind(<const cython.floating *>b.positive, x_at)
        t.wino.scatter(&from_, &seam, m + (i - first) * t.width, dx + x_at)


cdef void scatter_task(
    const Back *b, const cython.floating *u,  # IN   (blocks, n^2, depth, width)
    size first, size stop,
    cython.floating *m,                       # OUT  (n^2, group, width)
    cython.floating *v,                       # OUT  (n^2, batch, depth)
    cython.floating *carry,                   # OUT  (blocks, n, over, width)
    cython.floating *aside,                   # OUT  (over, w, c)
) noexcept nogil:
    # Rows first <= row < stop of tiles.
    cdef Tiles *t = <Tiles *>&b.t
    cdef const cython.floating *dy = <const cython.floating *>b.dy
    cdef size start = first * t.across, i, j, count, x_at = 0, y_at = 0
    cdef cconv_tile from_, to
    for i in range(first, stop):
        if i % t.down == 0:
            clear_rest(<cython.floating *>b.dx + i // t.down * t.xh * t.xw * t.c, b)
    to.channels, to.point = t.depth, t.v
    first, stop = start, stop * t.across
    while first < stop:
        count = least(t.batch, stop - first)
        for i in range(count):
            place(t, first + i, &from_, &to, &x_at, &y_at)
            to.argmax = places(b.argmax, y_at)
            t.wino.gradient(&to, dy + y_at, v + i * t.depth, NULL)
        for j in range(t.blocks):
            products(<const cython.floating *>v, u + j * t.square * t.u, t, count,
                     least(t.width, t.columns - j * t.width), m)
            scatter_block(b, <const cython.floating *>m, first, start, count, j, carry + j * b.carry, aside)
        first += count


cdef void add_aside(
    const Back *b, const cython.floating *aside,  # IN   (over, w, c)
    size row,
) noexcept nogil:
    # Add what the first row of tiles of a task gives to the rows above its own.
    cdef const Tiles *t = &b.t
    cdef size i, first = row % t.down * t.wino.out - t.top
    cdef cython.floating *dx = <cython.floating *>b.dx + row // t.down * t.xh * t.xw * t.c
    for i in range(most(first, 0), least(first + b.over, t.xh)):
        cconv_rows_of(sizeof(cython.floating)).add(
            b.wide * t.c, aside + (i - first) * t.xw * t.c, NULL, dx + i * t.xw * t.c, 0)


cdef void scatter_rows(const Back *b, cython.floating *scratch, int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&b.t
    cdef size each = back_each(b), rows = ceil_div(t.count, t.across), i
    cdef cython.floating *u = scratch + threads * b.aside
    cdef cython.floating *m = u + t.square * t.blocks * t.u
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *strip = v + t.square * t.v
    cdef cython.floating *carry = strip + strip_size(t, True)
    with parallel(num_threads=threads):
        kernel_tasks(<const cython.floating *>b.kernel, u + threadid() * each, t, True, False,
                     strip + threadid() * each)
        for i in prange(threads, schedule="static"):
            scatter_task(b, <const cython.floating *>(u + threadid() * each), i * rows // threads,
                         (i + 1) * rows // threads, m + threadid() * each, v + threadid() * each,
                         carry + threadid() * each, scratch + i * b.aside)
    for i in range(1, threads):
        if i * rows // threads % t.down > 0 and i * rows // threads < (i + 1) * rows // threads:
            add_aside(b, <const cython.floating *>(scratch + i * b.aside), i * rows // threads)


def input_gradient_scratch(dy_shape, bint pooled, dx_shape, size tile, size taps, size item, int threads):
    """Elements of scratch that `input_gradient` takes on so many threads."""
    n, oh, ow, f = dy_shape
    n, h, w, c = dx_shape
    cdef Back b = back_of(tile, taps, n, oh, ow, f, pooled, h, w, c, 0, 0, item, threads)
    return threads * (b.aside + back_each(&b))


def input_gradient(
    const cython.floating[:, :, :, ::1] dy,        # IN   (n, oh, ow, f)
    const unsigned char[:, :, :, ::1] argmax,      # IN   (n, oh, ow, f) where dy is pooled, or None
    const cython.floating[:, :, :, ::1] kernel,    # IN   (taps, taps, c, f)
    const cython.floating[:, :, :, ::1] positive,  # IN   (n, h, w, c), what ReLU gave, or None
    cython.floating[:, :, :, ::1] dx,              # OUT  (n, h, w, c)
    size tile, size top, size left,
    cython.floating[::1] scratch,                  # OUT  input_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its input, by tiles of dy: padded by `top` and `left`.

    With `argmax` dy is the gradient of what was pooled so.  With `positive` dx is zero where that is
    not above zero.
    """
    cdef bint pooled = argmax is not None
    cdef Back b = back_of(tile, kernel.shape[0], dy.shape[0], dy.shape[1], dy.shape[2], dy.shape[3], pooled,
                          dx.shape[1], dx.shape[2], dx.shape[3], top, left, sizeof(cython.floating), threads)
    b.dy, b.kernel, b.dx = &dy[0, 0, 0, 0], &kernel[0, 0, 0, 0], &dx[0, 0, 0, 0]
    b.argmax, b.positive = NULL, NULL
    if pooled:
        b.argmax = &argmax[0, 0, 0, 0]
    if positive is not None:
        b.positive = &positive[0, 0, 0, 0]
    with nogil:
        scatter_rows(&b, &scratch[0], threads)


# ---- weight gradient -------------------------------------------------------------------------------
#
# A task sums one part of the tiles for one slice of the channels and one of the filters, so that
# its sum stays in the cache; slices of the same part transform the same tiles again.  Where there
# is but one part the task also transforms its sum, which nobody else ever sees.  Tiles that
# pooling does not see have no gradient and are left out; the batches, and with them every sum, are
# as they would be with their zeros, where x is finite.

cdef struct Sum:
    Tiles t                  # x of the forward pass, dy in place of y
    size w                   # elements from one point to the next, of w
    size cs, fs              # channels and filters of a slice
    size across, slices      # slices of the filters; in all
    size parts               # of the tiles
    size group               # tiles that are summed before their sum is added exactly
    bint settles             # whether a part has several groups
    size each, whole         # elements of the sum of a slice, of a part: its slices


cdef Sum sum_of(Tiles t, size item) noexcept nogil:
    cdef Sum s
    s.t = t
    s.cs = least(t.c, ceil_div(ceil_div(t.c, ceil_div(t.c, SLICE)), 16) * 16)
    s.fs = least(t.f, ceil_div(ceil_div(t.f, ceil_div(t.f, SLICE)), 16) * 16)
    s.across = ceil_div(t.f, s.fs)
    s.slices = ceil_div(t.c, s.cs) * s.across
    s.t.batch = least(most(SUM_BYTES // (t.square * (s.cs + s.fs) * item), 8), t.count)
    s.t.v, s.w = s.t.batch * s.cs + PAD, s.t.batch * s.fs + PAD
    s.each = t.square * s.cs * s.fs
    s.whole = s.slices * s.each
    s.parts = 1
    while (s.parts < 16 and s.parts * 2 * s.t.batch <= t.count
           and s.parts * 2 * (s.whole + t.f) * item <= PARTIAL_BYTES):
        s.parts *= 2
    s.group = ceil_div(GROUP_OUTPUTS, s.t.batch) * s.t.batch
    s.settles = ceil_div(t.count, s.parts) > s.group
    return s


cdef void add_bias(cython.floating *biases, size f, size filters) noexcept nogil:
    # biases (3, f): a chain of sums, which begins anew, goes to the sums and what was lost.
    cconv_rows_of(sizeof(cython.floating)).add_exactly(filters, biases, biases + f, biases + 2 * f)
    memset(biases, 0, filters * sizeof(cython.floating))


cdef size batch_to_points(
    const cython.floating *x,      # IN   (n, xh, xw, c), from the slice's first channel on
    const cython.floating *dy,     # IN   (n, yh, yw, f), from the slice's first filter on
    const unsigned char *argmax,   # IN   of dy where that is pooled, or NULL
    cython.floating *biases,       # IN, OUT  (3, f) += the sum of dy: zeros, sums, what was lost; or NULL
    Sum *s, size first, size count, size channels, size filters,
    cython.floating *v,            # OUT  (n^2, tiles, channels)
    cython.floating *w,            # OUT  (n^2, tiles, filters)
) noexcept nogil:
    # Transform the tiles from `first` on; returns how many have a gradient.
    cdef cconv_tile from_, to
    cdef size i, x_at = 0, y_at = 0, kept = 0
    from_.channels, from_.point, from_.argmax = channels, s.t.v, NULL
    to.channels, to.point = filters, s.w
    for i in range(first, first + count):
        # Where a chain ends depends on the tile's place alone, and not on which of them have a gradient.
        if biases != NULL and i > first and (i - first) % TILES_OF_BIAS == 0:
            add_bias(biases, s.t.f, filters)
        place(&s.t, i, &from_, &to, &x_at, &y_at)
        if to.r1 <= 0 or to.c1 <= 0:
            continue
        to.argmax = places(argmax, y_at)
        s.t.wino.input(&from_, x + x_at, v + kept * channels)
        s.t.wino.gradient(&to, dy + y_at, w + kept * filters, biases)
        kept += 1
    if biases != NULL:
        add_bias(biases, s.t.f, filters)
    return kept


cdef void sum_task(
    const cython.floating *x,     # IN   (n, xh, xw, c)
    const cython.floating *dy,    # IN   (n, yh, yw, f)
    const unsigned char *argmax,  # IN   of dy where that is pooled, or NULL
    cython.floating *total,       # OUT  (n^2, cs, fs) of this part and slice
    cython.floating *biases,      # OUT  (3, f) of this part: the sums and what was lost behind the first
    Sum *s, size part, size slice,
    cython.floating *scratch,     # OUT  v (n^2, batch, cs), w (n^2, batch, fs), two sums if it settles
) noexcept nogil:
    cdef Tiles *t = &s.t
    cdef size first = part * t.count // s.parts, stop = (part + 1) * t.count // s.parts, start = first
    cdef size k = (slice // s.across) * s.cs, j = (slice % s.across) * s.fs, i, item = sizeof(cython.floating)
    cdef size channels = least(s.cs, t.c - k), filters = least(s.fs, t.f - j), p
    cdef cython.floating *w = scratch + t.square * t.v
    cdef cython.floating *group = w + t.square * s.w
    cdef cython.floating *lost = group + s.each
    cdef cython.floating *to
    cdef cconv_sum sums
    sums.q, sums.aq, sums.bq, sums.r, sums.ar, sums.br = 1, 0, 0, 1, 0, 0
    sums.am, sums.ak, sums.bk, sums.cm = 1, channels, filters, s.fs
    sums.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    biases = biases + j if k == 0 else NULL
    if biases != NULL:
        for i in range(3):
            memset(biases + i * t.f, 0, filters * item)
    while first < stop:
        sums.k = batch_to_points(x + k, dy + j, places(argmax, j), biases, s, first,
                                 least(t.batch, stop - first), channels, filters, scratch, w)
        # The first group sums into the part's sum.
        to = group if first - start >= s.group else total
        for p in range(t.square):
            product(&sums, channels, filters, <const cython.floating *>(scratch + p * t.v),
                    <const cython.floating *>(w + p * s.w), to + p * s.cs * s.fs,
                    <const cython.floating *>NULL, CCONV_ACCUMULATE if (first - start) % s.group else 0)
        first += t.batch
        if s.settles and ((first - start) % s.group == 0 or first >= stop):
            settle(<const cython.floating *>to, total, lost, s, channels, filters, first >= stop)


cdef void settle(
    const cython.floating *group,  # IN   (n^2, cs, fs); the first one lies in sums, and nothing is lost yet
    cython.floating *sums, cython.floating *lost,  # IN, OUT  the same
    const Sum *s, size channels, size filters, bint last,
) noexcept nogil:
    # sums, lost += group, exactly; with the last group sums += lost.
    cdef size item = sizeof(cython.floating), p, k, at
    cdef const cconv_rows *rows = cconv_rows_of(item)
    for p in range(s.t.square):
        for k in range(channels):
            at = (p * s.cs + k) * s.fs
            if group == sums:
                memset(lost + at, 0, filters * item)
            else:
                rows.add_exactly(filters, group + at, sums + at, lost + at)
            if last:
                rows.whole(filters, sums + at, lost + at, sums + at)


cdef void finish_row(
    cython.floating *row,      # IN   (parts, n^2, filters) for one channel, parts s.whole apart; 0 is used up
    cython.floating *dkernel,  # OUT  (taps, taps, filters), taps c * f apart
    const Sum *s, size filters,
) noexcept nogil:
    cdef size p, part, point = s.cs * s.fs
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(cython.floating))
    for part in range(1, s.parts):
        for p in range(s.t.square):
            rows.add(filters, row + part * s.whole + p * point, NULL, row + p * point, 0)
    s.t.wino.kernel_gradient(filters, point, s.t.c * s.t.f, row, dkernel)


cdef void finish_task(
    cython.floating *sums,     # IN   (parts, slices, n^2, cs, fs), parts s.whole apart; part 0 is used up
    cython.floating *dkernel,  # OUT  (taps, taps, c, f)
    const Sum *s, size k,
) noexcept nogil:
    # The kernel's gradient for input channel k.
    cdef size j
    for j in range(s.across):
        finish_row(sums + ((k // s.cs) * s.across + j) * s.each + (k % s.cs) * s.fs,
                   dkernel + k * s.t.f + j * s.fs, s, least(s.fs, s.t.f - j * s.fs))


cdef void slice_task(
    const cython.floating *x, const cython.floating *dy, const unsigned char *argmax,
    cython.floating *dkernel,  # OUT  (taps, taps, c, f)
    cython.floating *biases,   # OUT  (3, f), as `sum_task`
    Sum *s, size slice,
    cython.floating *scratch,  # OUT  the sum (n^2, cs, fs), then as `sum_task`
) noexcept nogil:
    # All of one slice, where there is one part.
    cdef size k = (slice // s.across) * s.cs, j = (slice % s.across) * s.fs, i
    sum_task(x, dy, argmax, scratch, biases, s, 0, slice, scratch + s.each)
    for i in range(least(s.cs, s.t.c - k)):
        finish_row(scratch + i * s.fs, dkernel + (k + i) * s.t.f + j, s, least(s.fs, s.t.f - j))


cdef Sum gradient_sum(
    size tile, size taps, size n, size h, size w, size c, size yh, size yw, size f, bint pooled, conv_size,
    size top, size left, size item,
):
    return sum_of(tiles_of(transforms(tile, taps, item), n, h, w, c, False, yh, yw, f, pooled, conv_size[0],
                           conv_size[1], top, left, item, 1, False), item)


cdef size gradient_shared(const Sum *s) noexcept nogil:
    # Elements of scratch that all threads share: the sums of the bias of each part, (3, f), then those of
    # the kernel, where there are several.
    return s.parts * 3 * s.t.f + (s.parts * s.whole if s.parts > 1 else 0)


cdef size gradient_each(const Sum *s) noexcept nogil:
    # Elements of scratch of a thread.
    return s.t.square * (s.t.v + s.w) + (s.each if s.parts == 1 else 0) + (2 * s.each if s.settles else 0)


def weight_gradient_scratch(x_shape, dy_shape, conv_size, size tile, size taps, size item, int threads):
    """Elements of scratch that `weight_gradient` takes on so many threads."""
    n, h, w, c = x_shape
    n, yh, yw, f = dy_shape
    cdef Sum s = gradient_sum(tile, taps, n, h, w, c, yh, yw, f, False, conv_size, 0, 0, item)
    return gradient_shared(&s) + threads * gradient_each(&s)


def weight_gradient(
    const cython.floating[:, :, :, ::1] dy,    # IN   (n, oh, ow, f)
    const unsigned char[:, :, :, ::1] argmax,  # IN   (n, oh, ow, f) where dy is a pooled gradient, or None
    const cython.floating[:, :, :, ::1] x,     # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,     # OUT  (taps, taps, c, f)
    cython.floating[::1] dbias,                # OUT  (f)
    conv_size,                                 # (height, width) of the convolution's output
    size tile, size top, size left,
    cython.floating[::1] scratch,              # OUT  weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution, or of one that was pooled, with respect to its kernel and bias."""
    cdef bint pooled = argmax is not None
    cdef Sum s = gradient_sum(tile, dkernel.shape[0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
                              dy.shape[1], dy.shape[2], dy.shape[3], pooled, conv_size, top, left,
                              sizeof(cython.floating))
    cdef size i, part, slice, each = gradient_each(&s), f = s.t.f
    cdef cython.floating *biases = &scratch[0]
    cdef cython.floating *sums = biases + s.parts * 3 * f
    cdef cython.floating *rest = biases + gradient_shared(&s)
    cdef const unsigned char *windows = NULL
    if pooled:
        windows = &argmax[0, 0, 0, 0]
    with nogil:
        if s.parts == 1:
            for i in prange(s.slices, num_threads=threads, schedule="static"):
                slice_task(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], windows, &dkernel[0, 0, 0, 0], biases, &s, i,
                           rest + threadid() * each)
        else:
            for i in prange(s.parts * s.slices, num_threads=threads, schedule="static"):
                part, slice = i // s.slices, i % s.slices
                sum_task(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], windows, sums + part * s.whole + slice * s.each,
                         biases + part * 3 * f, &s, part, slice, rest + threadid() * each)
            for i in prange(s.t.c, num_threads=threads, schedule="static"):
                finish_task(sums, &dkernel[0, 0, 0, 0], &s, i)
        add_whole(&dbias[0], biases + f, biases + 2 * f, s.parts, f, 3 * f, sizeof(cython.floating), 1)
