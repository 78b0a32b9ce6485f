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
# Where the values of a tile lie so far apart that those of some outputs would drown in the rounding
# errors of others, or are not finite, the sums of these outputs are taken directly (`_uneven.pxd`).
# The transforms of the input notice such tiles; the way back takes the sums that it is given.  In the
# weight gradient such tiles are left out of the sum, and added directly in the end.
#
# Kernels check nothing and allocate nothing; `ops.py` hands them arrays and scratch.
cimport cython
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memchr, memcmp, memcpy, memset

from cconv._kernels cimport (
    CCONV_ACCUMULATE,
    CCONV_BLOCK_BYTES,
    CCONV_MAYBE_TINY,
    CCONV_MAYBE_UNEVEN,
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
from cconv._uneven cimport (
    EVEN,
    Block,
    Seen,
    Weak,
    direct_sums,
    is_uneven,
    level_of,
    unseen,
    weak_by_kernel,
    weak_sums,
)

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
    size oh, ow              # the output that is cut into tiles
    size down, across        # tiles of an image
    size in_h, in_w          # the convolution that is computed, as if nothing were pooled: of what
    size out_h, out_w        # size its input and output are
    size least_u, least_v    # rows and columns of taps that any output, or pixel of dx, sees at least
    size depth, columns      # channels of v; of m: c and f, or f and c where dy is transformed
    size count, batch        # tiles in all; tiles whose v is in memory at a time
    size group               # tiles whose m is
    size u, v, m             # elements from one point to the next, of u, v and m
    size width, blocks       # filters of a block; blocks
    size strips              # strips of the channels
    bint by_blocks           # whether a task is a block of filters, or a batch of tiles
    size splits              # tasks of a batch and block


cdef inline size least_taps(size taps, size before, size after, size extent, bint back) noexcept nogil:
    # Of an axis padded by `before` and `after`, how many taps an output sees at least; back: a pixel of x.
    if extent < taps:
        return 1
    if back:
        return most(least(least(before, after) + 1, taps), 1)
    return most(taps - most(most(before, after), 0), 1)


cdef Tiles tiles_of(const cconv_winograd *wino, size images, size xh, size xw, size c, bint x_pooled,
                    size yh, size yw, size f, bint y_pooled, size oh, size ow, size top, size left,
                    size item, int threads, bint back) noexcept nogil:
    # oh, ow: the output that is cut into tiles; back: from y to x.
    cdef Tiles t
    t.wino = wino
    t.square = (wino.out + wino.taps - 1) * (wino.out + wino.taps - 1)
    t.xh, t.xw, t.c, t.xs, t.yh, t.yw, t.f, t.ys = xh, xw, c, x_pooled, yh, yw, f, y_pooled
    t.top, t.left, t.oh, t.ow = top, left, oh, ow
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


cdef void count_taps(Tiles *t, size in_h, size in_w, size out_h, size out_w, bint back) noexcept nogil:
    # Rows and columns that pooling drops have no tiles, but which sums are weak is as with them.
    cdef size taps = t.wino.taps
    t.in_h, t.in_w, t.out_h, t.out_w = in_h, in_w, out_h, out_w
    t.least_u = least_taps(taps, t.top, out_h - 1 + taps - in_h - t.top, in_h, back)
    t.least_v = least_taps(taps, t.left, out_w - 1 + taps - in_w - t.left, in_w, back)


cdef inline int cells_of(size rows, size columns) noexcept nogil:
    # A bit for each quarter of a tile that has outputs, where so many rows and columns are left.
    return (1 | (2 if columns > 2 else 0) | (4 if rows > 2 else 0) | (8 if rows > 2 and columns > 2 else 0))


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
    # The outputs of a 2x2 tile all see the same pixels: simd/winograd.h.
    x.cells = 1 if t.wino.out == 2 else cells_of(t.oh - i, t.ow - j)
    x.corners = y.corners = 0
    x.weak = y.weak = x.empty = y.empty = 0


cdef inline unsigned char *places(const unsigned char *argmax, size at) noexcept nogil:
    # argmax + at, and NULL for NULL.
    if argmax == NULL:
        return NULL
    return <unsigned char *>argmax + at


cdef inline Seen seen_of(const Tiles *t, const cconv_tile *x, const cconv_tile *y) noexcept nogil:
    # What the outputs of a tile see of its input.
    cdef Seen s
    cdef size n = t.wino.out + t.wino.taps - 1
    s.sums, s.pixels, s.taps, s.sign = t.wino.out, n, t.wino.taps, 1
    s.rows, s.columns = y.r1, y.c1
    s.r0, s.r1, s.c0, s.c1 = most(x.r0, 0), least(x.r1, n), most(x.c0, 0), least(x.c1, n)
    s.whole_r0, s.whole_r1 = x.r0, x.r0 + t.in_h - t.wino.taps + 1
    s.whole_c0, s.whole_c1 = x.c0, x.c0 + t.in_w - t.wino.taps + 1
    return s


cdef Weak examine(
    const Seen *s, const cconv_winograd *wino, const cconv_tile *t,
    const cython.floating *x,   # IN   where the tile lies
    cython.floating *patch,     # OUT  (pixels, pixels, channels)
) noexcept nogil:
    # Which of a tile's sums are weak.
    cdef double[36] sizes
    wino.patch(t, s.pixels, x, patch)
    wino.sizes(s.pixels * s.pixels, t.channels, patch, &sizes[0])
    return weak_sums(s, &sizes[0], sizeof(cython.floating))


cdef void tiles_in(
    const cython.floating *x,      # IN   (n, xh, xw, c)
    const unsigned char *argmax,   # IN   of x where that is pooled, or NULL
    cython.floating *v,            # OUT  (n^2, batch, c), from the first of these tiles on
    Weak *weak,                    # OUT  (count)
    Tiles *t, size first, size count,
    cython.floating *patch,        # OUT  (n^2, c)
) noexcept nogil:
    cdef size i, x_at = 0, y_at = 0
    cdef cconv_tile from_, to
    cdef Seen seen
    from_.channels, from_.point = t.c, t.v
    for i in range(count):
        place(t, first + i, &from_, &to, &x_at, &y_at)
        from_.argmax = places(argmax, x_at)
        weak[i].weak = weak[i].empty = 0
        if t.wino.input(&from_, x + x_at, v + i * t.c) & CCONV_MAYBE_UNEVEN:
            seen = seen_of(t, &from_, &to)
            weak[i] = examine(&seen, t.wino, &from_, x + x_at, patch)


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


cdef void kernel_task(
    const cython.floating *kernel,  # IN   (taps, taps, depth, columns); swapped: (taps, taps, columns, depth)
    cython.floating *u,             # OUT  (n^2, depth, width) of the block: a strip of its depth
    const Tiles *t, size block, size strip, bint swapped, bint flipped,
    cython.floating *scratch,       # OUT  strip_size(t, swapped)
    cython.floating *sizes,         # OUT  (taps, taps, filters), after the last strip; or NULL
) noexcept nogil:
    cdef size f = block * t.width, filters = least(t.width, t.columns - f), taps = t.wino.taps * t.wino.taps
    cdef size first = strip * STRIP, stop = least(first + STRIP, t.depth), i, k
    if not swapped:
        for k in range(first, stop):
            t.wino.kernel(filters, t.depth * t.columns, flipped, t.u, kernel + k * t.columns + f,
                          u + k * t.width)
        if sizes != NULL:
            t.wino.kernel_sizes(taps, stop - first, filters, t.depth * t.columns, t.columns, first == 0,
                                kernel + first * t.columns + f, sizes)
        return
    for i in range(taps):
        transpose(stop - first, filters, t.depth, t.width, kernel + (i * t.columns + f) * t.depth + first,
                  scratch + i * STRIP * t.width)
    for k in range(first, stop):
        t.wino.kernel(filters, STRIP * t.width, flipped, t.u, scratch + (k - first) * t.width,
                      u + k * t.width)
    if sizes != NULL:
        t.wino.kernel_sizes(taps, stop - first, filters, STRIP * t.width, t.width, first == 0, scratch, sizes)


cdef size strip_size(const Tiles *t, bint swapped) noexcept nogil:
    # Elements of scratch that `kernel_task` takes.
    return t.wino.taps * t.wino.taps * STRIP * t.width if swapped else 0


# What a thread has beside u, v and m: a strip of the kernel, sums that are given, a tile as it is, the
# largest values of a kernel's block, what each block's are like, and which outputs of its tiles are weak.

cdef inline size rounded(size count) noexcept nogil:
    return ceil_div(count, PAD) * PAD


cdef inline size given_at(const Tiles *t, bint swapped) noexcept nogil:
    return strip_size(t, swapped)


cdef inline size patch_at(const Tiles *t, bint swapped) noexcept nogil:
    return given_at(t, swapped) + t.square * t.width


cdef inline size sizes_at(const Tiles *t, bint swapped) noexcept nogil:
    return patch_at(t, swapped) + t.square * t.depth


cdef inline size levels_at(const Tiles *t, bint swapped) noexcept nogil:
    return sizes_at(t, swapped) + sizes_size(t)


cdef inline size weak_at(const Tiles *t, bint swapped) noexcept nogil:
    return levels_at(t, swapped) + rounded(t.blocks)


cdef inline size sizes_size(const Tiles *t) noexcept nogil:
    return rounded(t.wino.taps * t.wino.taps * t.width)


cdef inline size weak_size(const Tiles *t, size item) noexcept nogil:
    return rounded(t.batch * <size>sizeof(Weak) // item)


cdef size thread_size(const Tiles *t, bint gradient, size item) noexcept nogil:
    # Elements of scratch of a thread: u, m, v and the weak where they are not shared, and the rest.
    cdef size own = t.u + t.m if t.by_blocks else t.blocks * t.u + t.m + t.v
    return t.square * own + weak_at(t, gradient) + (0 if t.by_blocks else weak_size(t, item))


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


cdef Block block_of(const Tiles *t, size block, bint swapped, bint flipped) noexcept nogil:
    cdef Block b
    b.taps, b.depth, b.columns = t.wino.taps, t.depth, t.columns
    b.first, b.width = block * t.width, t.width
    b.count = least(t.width, t.columns - b.first)
    b.swapped, b.flipped, b.strip_depth = swapped, flipped, STRIP
    return b


cdef void give_direct(
    const Pass *p, cconv_tile *x, cconv_tile *y,  # IN, OUT  where the tile lies
    size x_at, Weak weak, int level, size block,
    cython.floating *spare,                       # OUT  as in `thread_size`
) noexcept nogil:
    # Take the sums of a tile's weak outputs directly, and give them to the output's transform.
    cdef Tiles *t = <Tiles *>&p.t
    cdef Seen seen = seen_of(t, x, y)
    cdef Block b = block_of(t, block, p.gradient, p.gradient)
    cdef cython.floating *given = spare + given_at(t, p.gradient)
    cdef cython.floating *patch = spare + patch_at(t, p.gradient)
    weak = weak_by_kernel(&seen, weak, level)
    y.weak, y.empty, y.given = weak.weak, weak.empty, given
    if weak.weak == weak.empty:
        return
    x.channels, x.argmax = t.c, places(p.x_argmax, x_at)
    t.wino.patch(x, seen.pixels, <const cython.floating *>p.x + x_at, patch)
    direct_sums(&seen, &b, weak, <const cython.floating *>patch, <const cython.floating *>p.kernel, given,
                spare)


cdef void tiles_out(
    const Pass *p,
    const cython.floating *v,     # IN   (n^2, batch, c), from the first of these tiles on
    const cython.floating *u,     # IN   (n^2, c, width) of the block
    const Weak *weak,             # IN   (count)
    size first, size count, size block, int level,
    cython.floating *m,           # OUT  (n^2, group, width)
    cython.floating *spare,       # OUT  as in `thread_size`
) noexcept nogil:
    # Outputs of tiles for a block of filters, whose kernel is of that level.
    cdef Tiles *t = <Tiles *>&p.t
    cdef const cython.floating *positive = <const cython.floating *>p.positive
    cdef const cython.floating *bias = behind(<const cython.floating *>p.bias, block * t.width)
    cdef cython.floating *y = <cython.floating *>p.y
    cdef size f = block * t.width, i, x_at = 0, y_at = 0
    cdef cconv_tile from_, to
    to.channels, to.point = least(t.width, t.f - f), t.m
    products(v, u, t, count, to.channels, m)
    for i in range(count):
        place(t, first + i, &from_, &to, &x_at, &y_at)
        to.argmax, to.positive = places(p.y_argmax, y_at + f), behind(positive, y_at + f)
        if weak[i].weak or level != EVEN:
            give_direct(p, &from_, &to, x_at, weak[i], level, block, spare)
        t.wino.output(&to, m + i * t.width, y + y_at + f, bias, p.relu)


cdef void tiles_task(
    const Pass *p, const cython.floating *u,  # IN   (blocks, n^2, c, width)
    const cython.floating *levels,            # IN   (blocks)
    size first,
    cython.floating *v,                       # OUT  (n^2, batch, c)
    cython.floating *m,                       # OUT  (n^2, group, width)
    cython.floating *spare,                   # OUT  as in `thread_size`
) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size count = least(t.batch, t.count - first), j
    cdef Weak *weak = <Weak *>(spare + weak_at(t, p.gradient))
    tiles_in(<const cython.floating *>p.x, p.x_argmax, v, weak, t, first, count,
             spare + patch_at(t, p.gradient))
    for j in range(t.blocks):
        tiles_out(p, <const cython.floating *>v, u + j * t.square * t.u, weak, first, count, j,
                  <int>levels[j], m, spare)


cdef inline int level_of_block(
    const Tiles *t, size block, const cython.floating *sizes,  # IN   (taps, taps, filters)
) noexcept nogil:
    # What the values of a block of the kernel are like.
    return level_of(sizes, t.wino.taps, t.wino.taps, t.least_u, t.least_v,
                    least(t.width, t.columns - block * t.width))


cdef void block_task(
    const Pass *p, const cython.floating *v,  # IN   (n^2, batch, c)
    const Weak *weak,                         # IN   (batch)
    size first, size block, size split,
    cython.floating *u,                       # OUT  (n^2, c, width)
    cython.floating *m,                       # OUT  (n^2, group, width)
    cython.floating *spare,                   # OUT  as in `thread_size`
) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size count = least(t.batch, t.count - first), stop = (split + 1) * count // t.splits, i
    cdef cython.floating *sizes = spare + sizes_at(t, p.gradient)
    cdef int level
    for i in range(t.strips):
        kernel_task(<const cython.floating *>p.kernel, u, t, block, i, p.gradient, p.gradient, spare, sizes)
    level = level_of_block(t, block, <const cython.floating *>sizes)
    i = split * count // t.splits
    while i < stop:
        tiles_out(p, v + i * t.c, <const cython.floating *>u, weak + i, first + i, least(t.group, stop - i),
                  block, level, m, spare)
        i += t.group


cdef inline size shared_size(const Tiles *t, size item) noexcept nogil:
    # Elements of scratch that the threads share where tasks are blocks: v, and which outputs are weak.
    return t.square * t.v + weak_size(t, item) if t.by_blocks else 0


cdef void pass_by_blocks(const Pass *p, cython.floating *scratch, int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size item = sizeof(cython.floating), each = thread_size(t, p.gradient, item), first = 0, i
    cdef const cython.floating *v = scratch
    cdef Weak *weak = <Weak *>(scratch + t.square * t.v)
    cdef cython.floating *u = scratch + shared_size(t, item)
    cdef cython.floating *m = u + t.square * t.u
    cdef cython.floating *spare = m + t.square * t.m
    cdef cython.floating *patch = spare + patch_at(t, p.gradient)
    while first < t.count:
        for i in prange(least(t.batch, t.count - first), num_threads=threads, schedule="static"):
            tiles_in(<const cython.floating *>p.x, p.x_argmax, scratch + i * t.c, weak + i, t, first + i, 1,
                     patch + threadid() * each)
        for i in prange(t.blocks * t.splits, num_threads=threads, schedule="static"):
            block_task(p, v, weak, first, i // t.splits, i % t.splits, u + threadid() * each,
                       m + threadid() * each, spare + threadid() * each)
        first = first + t.batch


cdef void kernel_tasks(
    const cython.floating *kernel,  # IN   as `kernel_task`
    cython.floating *u,             # OUT  (blocks, n^2, depth, width)
    const Tiles *t, bint swapped, bint flipped,
    cython.floating *spare,         # OUT  as in `thread_size`: the levels of the blocks
) noexcept nogil:
    cdef size i, j
    cdef cython.floating *sizes = spare + sizes_at(t, swapped)
    for j in range(t.blocks):
        for i in range(t.strips):
            kernel_task(kernel, u + j * t.square * t.u, t, j, i, swapped, flipped, spare, sizes)
        spare[levels_at(t, swapped) + j] = level_of_block(t, j, <const cython.floating *>sizes)


cdef void pass_by_tiles(const Pass *p, cython.floating *scratch, int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size each = thread_size(t, p.gradient, sizeof(cython.floating)), i
    cdef const cython.floating *known = scratch
    cdef cython.floating *m = scratch + u_size(t)
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *spare = v + t.square * t.v
    cdef const cython.floating *levels = spare + levels_at(t, p.gradient)
    with parallel(num_threads=threads):
        kernel_tasks(<const cython.floating *>p.kernel, scratch + threadid() * each, t, p.gradient,
                     p.gradient, spare + threadid() * each)
        for i in prange(ceil_div(t.count, t.batch), schedule="static"):
            tiles_task(p, known + threadid() * each, levels + threadid() * each, i * t.batch,
                       v + threadid() * each, m + threadid() * each, spare + threadid() * each)


# What is kept of a kernel from one call to the next: whether there is anything, 1 or 0, in the first of
# HEAD elements; u; the largest values of its blocks and what these are like; the kernel that it was
# made of.

cdef inline size u_size(const Tiles *t) noexcept nogil:
    return t.square * t.blocks * t.u


cdef inline size kernel_size(const Tiles *t) noexcept nogil:
    return t.wino.taps * t.wino.taps * t.depth * t.columns


cdef inline size copy_at(const Tiles *t) noexcept nogil:
    return kept_levels_at(t) + rounded(t.blocks)


cdef inline size kept_levels_at(const Tiles *t) noexcept nogil:
    return HEAD + u_size(t) + t.blocks * sizes_size(t)


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
                    i // t.strips, i % t.strips, False, False, <cython.floating *>NULL,
                    <cython.floating *>NULL)
    for i in prange(t.blocks, num_threads=threads, schedule="static"):
        keep_level(t, i, kept)
    kept[0] = 1


cdef void keep_level(const Tiles *t, size block, cython.floating *kept) noexcept nogil:
    cdef size taps = t.wino.taps * t.wino.taps, filters = least(t.width, t.columns - block * t.width)
    cdef cython.floating *sizes = kept + HEAD + u_size(t) + block * sizes_size(t)
    t.wino.kernel_sizes(taps, t.depth, filters, t.depth * t.columns, t.columns, True,
                        kept + copy_at(t) + block * t.width, sizes)
    kept[kept_levels_at(t) + block] = level_of_block(t, block, <const cython.floating *>sizes)


cdef bint pass_with_kept(
    const Pass *p,
    const cython.floating *kept,  # IN   kept_size(...)
    cython.floating *scratch, int threads,
) noexcept nogil:
    # Whether the kernel was the one that is kept; if not, y is worth nothing.
    cdef Tiles *t = <Tiles *>&p.t
    cdef size each = thread_size(t, False, sizeof(cython.floating)), tasks = ceil_div(t.count, t.batch)
    cdef size n = kernel_size(t), i, changed = 0
    cdef cython.floating *m = scratch + u_size(t)
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *spare = v + t.square * t.v
    for i in prange(tasks, num_threads=threads, schedule="static"):
        changed += differs(p, kept, i * n // tasks, (i + 1) * n // tasks)
        tiles_task(p, kept + HEAD, kept + kept_levels_at(t), i * t.batch, v + threadid() * each,
                   m + threadid() * each, spare + threadid() * each)
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
    return shared_size(&t, item) + threads * thread_size(&t, gradient, item)


def forward(
    const cython.floating[:, :, :, ::1] x,         # IN   (n, h, w, c)
    const unsigned char[:, :, :, ::1] x_argmax,    # IN   (n, h, w, c) where x is a pooled gradient, or None
    const cython.floating[:, :, :, ::1] kernel,    # IN   (taps, taps, c, f); gradient: (taps, taps, f, c)
    const cython.floating[::1] bias,               # IN   (f) or None
    cython.floating[:, :, :, ::1] y,               # OUT  (n, oh, ow, f)
    unsigned char[:, :, :, ::1] y_argmax,          # OUT  (n, oh, ow, f) where y is to be pooled, or None
    const cython.floating[:, :, :, ::1] positive,  # IN   (n, oh, ow, f), what ReLU gave, or None
    conv_size,                                     # (height, width) of y, or of x, where it is not pooled
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
    if gradient:
        count_taps(&p.t, conv_size[0], conv_size[1], y.shape[1], y.shape[2], False)
    else:
        count_taps(&p.t, x.shape[1], x.shape[2], conv_size[0], conv_size[1], False)
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
    b.aside = rounded(b.over * w * c)
    b.high = least(h, b.t.down * tile + b.over - top)
    b.wide = least(w, b.t.across * tile + b.over - left)
    return b


cdef size back_each(const Back *b, size item) noexcept nogil:
    # Elements of scratch of a thread: as `thread_size`, and what rows of tiles carry.
    return thread_size(&b.t, True, item) + b.t.blocks * b.carry


cdef void clear_rest(cython.floating *dx, const Back *b) noexcept nogil:
    # Of an image, what no tile reaches.
    cdef const Tiles *t = &b.t
    cdef size i
    for i in range(b.high):
        memset(dx + (i * t.xw + b.wide) * t.c, 0, (t.xw - b.wide) * t.c * sizeof(cython.floating))
    memset(dx + b.high * t.xw * t.c, 0, (t.xh - b.high) * t.xw * t.c * sizeof(cython.floating))


cdef inline Seen seen_back(const Tiles *t, const cconv_tile *x, const cconv_tile *y) noexcept nogil:
    # What the pixels of x see of a tile of dy.  Those that see every tap do so in several tiles.
    cdef Seen s
    cdef size taps = t.wino.taps, i = t.top - x.r0, j = t.left - x.c0
    s.sums, s.pixels, s.taps, s.sign = t.wino.out + taps - 1, t.wino.out, taps, -1
    s.rows = s.columns = s.sums
    s.r0, s.r1, s.c0, s.c1 = 0, y.r1, 0, y.c1
    s.whole_r0, s.whole_r1 = taps - 1 - i, t.out_h - i
    s.whole_c0, s.whole_c1 = taps - 1 - j, t.out_w - j
    return s


cdef void give_shares(
    const Back *b, cconv_tile *x, cconv_tile *y,  # IN, OUT  where the tile lies
    size y_at, Weak weak, int level, size block,
    cython.floating *spare,                       # OUT  as in `thread_size`
) noexcept nogil:
    # As `give_direct`: what a tile of dy gives to pixels of x that see little of it.
    cdef Tiles *t = <Tiles *>&b.t
    cdef Seen seen = seen_back(t, x, y)
    cdef Block columns = block_of(t, block, True, False)
    cdef cython.floating *given = spare + given_at(t, True)
    cdef cython.floating *patch = spare + patch_at(t, True)
    weak = weak_by_kernel(&seen, weak, level)
    x.weak, x.empty, x.given = weak.weak, weak.empty, given
    if weak.weak == weak.empty:
        return
    y.channels, y.argmax = t.depth, places(b.argmax, y_at)
    t.wino.patch(y, seen.pixels, <const cython.floating *>b.dy + y_at, patch)
    direct_sums(&seen, &columns, weak, <const cython.floating *>patch, <const cython.floating *>b.kernel,
                given, spare)


cdef void scatter_block(
    const Back *b,
    const cython.floating *m,  # IN   (n^2, group, width) of the block
    const Weak *weak,          # IN   (count)
    size first, size start, size count, size block,
    cython.floating *carry,    # IN, OUT  (n, over, width) of the block
    cython.floating *aside,    # OUT  (over, w, c)
    cython.floating *spare,    # OUT  as in `thread_size`
) noexcept nogil:
    # Tiles from `first` on of a task that begins with tile `start`.
    cdef Tiles *t = <Tiles *>&b.t
    cdef size c = block * t.width, i, row, x_at = 0, y_at = 0
    cdef int level = <int>spare[levels_at(t, True) + block]
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
        if weak[i - first].weak or level != EVEN:
            give_shares(b, &from_, &to, y_at, weak[i - first], level, block, spare)
        t.wino.scatter(&from_, &seam, m + (i - first) * t.width, dx + x_at)


cdef void gradients_in(
    const Back *b,
    Weak *weak,              # OUT  (count)
    size first, size count,
    cython.floating *v,      # OUT  (n^2, batch, depth)
    cython.floating *patch,  # OUT  (out^2, depth)
) noexcept nogil:
    # Transform tiles of dy.
    cdef Tiles *t = <Tiles *>&b.t
    cdef const cython.floating *dy = <const cython.floating *>b.dy
    cdef size i, x_at = 0, y_at = 0
    cdef cconv_tile from_, to
    cdef Seen seen
    cdef bint dropped
    cdef int glance
    to.channels, to.point = t.depth, t.v
    for i in range(count):
        place(t, first + i, &from_, &to, &x_at, &y_at)
        to.argmax, to.corners = places(b.argmax, y_at), 1
        weak[i].weak = weak[i].empty = 0
        seen = seen_back(t, &from_, &to)
        # What pooling drops has no gradient, as zeros of dy, which would have been examined.
        dropped = t.ys and (to.r1 < t.wino.out or to.c1 < t.wino.out)
        glance = t.wino.gradient(&to, dy + y_at, v + i * t.depth, NULL)
        if glance & CCONV_MAYBE_UNEVEN or (dropped and glance & CCONV_MAYBE_TINY):
            weak[i] = examine(&seen, t.wino, &to, dy + y_at, patch)
        elif dropped:
            weak[i] = unseen(&seen)


cdef void scatter_task(
    const Back *b, const cython.floating *u,  # IN   (blocks, n^2, depth, width)
    size first, size stop,
    cython.floating *m,                       # OUT  (n^2, group, width)
    cython.floating *v,                       # OUT  (n^2, batch, depth)
    cython.floating *carry,                   # OUT  (blocks, n, over, width)
    cython.floating *aside,                   # OUT  (over, w, c)
    cython.floating *spare,                   # IN, OUT  as in `thread_size`
) noexcept nogil:
    # Rows first <= row < stop of tiles.
    cdef Tiles *t = <Tiles *>&b.t
    cdef size start = first * t.across, i, j, count
    cdef Weak *weak = <Weak *>(spare + weak_at(t, True))
    for i in range(first, stop):
        if i % t.down == 0:
            clear_rest(<cython.floating *>b.dx + i // t.down * t.xh * t.xw * t.c, b)
    first, stop = start, stop * t.across
    while first < stop:
        count = least(t.batch, stop - first)
        gradients_in(b, weak, first, count, v, spare + patch_at(t, True))
        for j in range(t.blocks):
            products(<const cython.floating *>v, u + j * t.square * t.u, t, count,
                     least(t.width, t.columns - j * t.width), m)
            scatter_block(b, <const cython.floating *>m, weak, first, start, count, j, carry + j * b.carry,
                          aside, spare)
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
    cdef size each = back_each(b, sizeof(cython.floating)), rows = ceil_div(t.count, t.across), i
    cdef cython.floating *u = scratch + threads * b.aside
    cdef cython.floating *m = u + t.square * t.blocks * t.u
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *spare = v + t.square * t.v
    cdef cython.floating *carry = u + thread_size(t, True, sizeof(cython.floating))
    with parallel(num_threads=threads):
        kernel_tasks(<const cython.floating *>b.kernel, u + threadid() * each, t, True, False,
                     spare + threadid() * each)
        for i in prange(threads, schedule="static"):
            scatter_task(b, <const cython.floating *>(u + threadid() * each), i * rows // threads,
                         (i + 1) * rows // threads, m + threadid() * each, v + threadid() * each,
                         carry + threadid() * each, scratch + i * b.aside, spare + threadid() * each)
    for i in range(1, threads):
        if i * rows // threads % t.down > 0 and i * rows // threads < (i + 1) * rows // threads:
            add_aside(b, <const cython.floating *>(scratch + i * b.aside), i * rows // threads)


def input_gradient_scratch(dy_shape, bint pooled, dx_shape, size tile, size taps, size item, int threads):
    """Elements of scratch that `input_gradient` takes on so many threads."""
    n, oh, ow, f = dy_shape
    n, h, w, c = dx_shape
    cdef Back b = back_of(tile, taps, n, oh, ow, f, pooled, h, w, c, 0, 0, item, threads)
    return threads * (b.aside + back_each(&b, item))


def input_gradient(
    const cython.floating[:, :, :, ::1] dy,        # IN   (n, oh, ow, f)
    const unsigned char[:, :, :, ::1] argmax,      # IN   (n, oh, ow, f) where dy is pooled, or None
    const cython.floating[:, :, :, ::1] kernel,    # IN   (taps, taps, c, f)
    const cython.floating[:, :, :, ::1] positive,  # IN   (n, h, w, c), what ReLU gave, or None
    cython.floating[:, :, :, ::1] dx,              # OUT  (n, h, w, c)
    conv_size,                                     # (height, width) of dy where it is not pooled
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
    count_taps(&b.t, dx.shape[1], dx.shape[2], conv_size[0], conv_size[1], True)
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
# as they would be with their zeros, where x is finite.  Uneven tiles are left out too, and marked;
# their products are added to what all the others give, tile by tile.

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


cdef inline size patches_size(const Sum *s) noexcept nogil:
    # Elements of scratch for a tile of x and one of dy as they are.
    return rounded(s.t.square * s.cs + s.t.wino.out * s.t.wino.out * s.fs)


cdef inline size settling_size(const Sum *s) noexcept nogil:
    # Elements of scratch for the sum of a group and what is lost, where a part has several groups.
    return 2 * s.each if s.settles else 0


cdef inline size marks_size(const Sum *s, size item) noexcept nogil:
    # Elements of scratch for a byte for each slice and tile.
    return rounded(ceil_div(s.slices * s.t.count, item))


cdef bint stands_apart(
    const Sum *s, const cconv_tile *x_tile, const cconv_tile *y_tile,
    const cython.floating *x, const cython.floating *dy,  # IN   where the tiles lie
    cython.floating *patches,                             # OUT  patches_size(s)
) noexcept nogil:
    cdef const cconv_winograd *wino = s.t.wino
    cdef size n = wino.out + wino.taps - 1, out = wino.out
    cdef double[36] x_sizes
    cdef double[16] dy_sizes
    cdef Seen seen = seen_of(&s.t, x_tile, y_tile)
    wino.patch(x_tile, n, x, patches)
    wino.sizes(n * n, x_tile.channels, patches, &x_sizes[0])
    wino.patch(y_tile, out, dy, patches)
    wino.sizes(out * out, y_tile.channels, patches, &dy_sizes[0])
    return is_uneven(&seen, &x_sizes[0], x_tile.cells, &dy_sizes[0], sizeof(cython.floating))


cdef void add_apart(
    const cython.floating *x, const cython.floating *dy, const unsigned char *argmax,  # IN   as `sum_task`
    const unsigned char *apart,  # IN   (tiles) of the slice
    cython.floating *dkernel,    # IN, OUT  (taps, taps, c, f)
    Sum *s, size slice,
    cython.floating *patches,    # OUT  patches_size(s)
) noexcept nogil:
    # Add the products of the tiles that were left out, for one slice.
    cdef size k = (slice // s.across) * s.cs, j = (slice % s.across) * s.fs, i, x_at = 0, y_at = 0
    cdef size n = s.t.wino.out + s.t.wino.taps - 1
    cdef cython.floating *second = patches + s.t.square * s.cs
    cdef cconv_tile from_, to
    from_.channels, to.channels = least(s.cs, s.t.c - k), least(s.fs, s.t.f - j)
    from_.argmax = NULL
    for i in range(s.t.count):
        if not apart[i]:
            continue
        place(&s.t, i, &from_, &to, &x_at, &y_at)
        to.argmax = places(argmax, y_at + j)
        s.t.wino.patch(&from_, n, x + x_at + k, patches)
        s.t.wino.patch(&to, s.t.wino.out, dy + y_at + j, second)
        add_tile(s, &from_, &to, <const cython.floating *>patches, <const cython.floating *>second,
                 dkernel + k * s.t.f + j)


cdef void add_tile(
    const Sum *s, const cconv_tile *x_tile, const cconv_tile *y_tile,
    const cython.floating *x,   # IN   (n, n, channels)
    const cython.floating *dy,  # IN   (out, out, filters)
    cython.floating *dkernel,   # IN, OUT  (taps, taps, c, f), from the slice's first channel and filter on
) noexcept nogil:
    cdef size out = s.t.wino.out, taps = s.t.wino.taps, n = out + taps - 1, u, v, i, j
    cdef cconv_sum sums
    sums.r, sums.ar, sums.br, sums.am, sums.cm = 1, 0, 0, 1, s.t.f
    sums.ak, sums.bk = x_tile.channels, y_tile.channels
    sums.aq, sums.bq = n * sums.ak, out * sums.bk
    sums.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    for u in range(taps):
        for v in range(taps):
            i, j = most(x_tile.r0 - u, 0), most(x_tile.c0 - v, 0)
            sums.q = least(y_tile.r1, x_tile.r1 - u) - i
            sums.k = least(y_tile.c1, x_tile.c1 - v) - j
            if sums.q > 0 and sums.k > 0:
                product(&sums, sums.ak, sums.bk, x + ((i + u) * n + j + v) * sums.ak,
                        dy + (i * out + j) * sums.bk, dkernel + (u * taps + v) * s.t.c * s.t.f,
                        <const cython.floating *>NULL, CCONV_ACCUMULATE)


cdef size batch_to_points(
    const cython.floating *x,      # IN   (n, xh, xw, c), from the slice's first channel on
    const cython.floating *dy,     # IN   (n, yh, yw, f), from the slice's first filter on
    const unsigned char *argmax,   # IN   of dy where that is pooled, or NULL
    cython.floating *biases,       # IN, OUT  (3, f) += the sum of dy: zeros, sums, what was lost; or NULL
    Sum *s, size first, size count, size channels, size filters,
    cython.floating *v,            # OUT  (n^2, tiles, channels)
    cython.floating *w,            # OUT  (n^2, tiles, filters)
    unsigned char *apart,          # OUT  (count): whether a tile is left out as uneven
    cython.floating *patches,      # OUT  patches_size(s)
) noexcept nogil:
    # Transform the tiles from `first` on; returns how many are in the sum.
    cdef cconv_tile from_, to
    cdef size i, x_at = 0, y_at = 0, kept = 0
    cdef int glance
    from_.channels, from_.point, from_.argmax = channels, s.t.v, NULL
    to.channels, to.point = filters, s.w
    for i in range(first, first + count):
        # Where a chain ends depends on the tile's place alone, and not on which of them have a gradient.
        if biases != NULL and i > first and (i - first) % TILES_OF_BIAS == 0:
            add_bias(biases, s.t.f, filters)
        place(&s.t, i, &from_, &to, &x_at, &y_at)
        apart[i - first] = 0
        if to.r1 <= 0 or to.c1 <= 0:
            continue
        to.argmax = places(argmax, y_at)
        if s.t.wino.out == 2:
            from_.cells = 15
        glance = s.t.wino.input(&from_, x + x_at, v + kept * channels)
        glance |= s.t.wino.gradient(&to, dy + y_at, w + kept * filters, biases)
        if glance & CCONV_MAYBE_UNEVEN and stands_apart(s, &from_, &to, x + x_at, dy + y_at, patches):
            apart[i - first] = 1
            continue
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
    unsigned char *apart,         # OUT  (tiles) of this slice
    Sum *s, size part, size slice,
    cython.floating *scratch,     # OUT  v, w, settling_size(s), patches_size(s): gradient_each
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
                                 least(t.batch, stop - first), channels, filters, scratch, w,
                                 apart + first, group + settling_size(s))
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
    unsigned char *apart,      # OUT  (tiles) of this slice
    Sum *s, size slice,
    cython.floating *scratch,  # OUT  the sum (n^2, cs, fs), then as `sum_task`
) noexcept nogil:
    # All of one slice, where there is one part.
    cdef size k = (slice // s.across) * s.cs, j = (slice % s.across) * s.fs, i
    sum_task(x, dy, argmax, scratch, biases, apart, s, 0, slice, scratch + s.each)
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
    return s.t.square * (s.t.v + s.w) + (s.each if s.parts == 1 else 0) + settling_size(s) + patches_size(s)


def weight_gradient_scratch(x_shape, dy_shape, conv_size, size tile, size taps, size item, int threads):
    """Elements of scratch that `weight_gradient` takes on so many threads."""
    n, h, w, c = x_shape
    n, yh, yw, f = dy_shape
    cdef Sum s = gradient_sum(tile, taps, n, h, w, c, yh, yw, f, False, conv_size, 0, 0, item)
    return gradient_shared(&s) + threads * gradient_each(&s) + marks_size(&s, item)


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
    cdef unsigned char *apart = <unsigned char *>(rest + threads * each)
    cdef const unsigned char *windows = NULL
    if pooled:
        windows = &argmax[0, 0, 0, 0]
    with nogil:
        if s.parts == 1:
            for i in prange(s.slices, num_threads=threads, schedule="static"):
                slice_task(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], windows, &dkernel[0, 0, 0, 0], biases,
                           apart + i * s.t.count, &s, i, rest + threadid() * each)
        else:
            for i in prange(s.parts * s.slices, num_threads=threads, schedule="static"):
                part, slice = i // s.slices, i % s.slices
                sum_task(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], windows, sums + part * s.whole + slice * s.each,
                         biases + part * 3 * f, apart + slice * s.t.count, &s, part, slice,
                         rest + threadid() * each)
            for i in prange(s.t.c, num_threads=threads, schedule="static"):
                finish_task(sums, &dkernel[0, 0, 0, 0], &s, i)
        add_whole(&dbias[0], biases + f, biases + 2 * f, s.parts, f, 3 * f, sizeof(cython.floating), 1)
        if memchr(apart, 1, s.slices * s.t.count) != NULL:
            for i in prange(s.slices, num_threads=threads, schedule="static"):
                add_apart(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], windows, apart + i * s.t.count,
                          &dkernel[0, 0, 0, 0], &s, i, rest + threadid() * each)
