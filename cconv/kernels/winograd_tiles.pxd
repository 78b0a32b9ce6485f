# What the passes by Winograd's algorithm share: tiles and their places, transforms, products, kernels.
cimport cython
from libc.math cimport INFINITY

from cconv._kernels cimport (
    CCONV_MAYBE_UNEVEN,
    block_width,
    cconv_current,
    cconv_sum,
    cconv_tile,
    cconv_usual,
    cconv_winograd,
    product,
    transpose,
)
from cconv._sizes cimport Images, ceil_div, least, most, size
from cconv.kernels.uneven cimport Block, Seen, Weak, level_of


cdef enum:
    TILES_BYTES = 98304      # of the transformed input of a task
    BACK_BYTES = 262144      # the same where tiles of dy go back to x
    KERNEL_BYTES = 4194304   # if a transformed kernel is larger, a task is a block of filters
    SHARED_BYTES = 6291456   # of the transformed input that those tasks share
    GROUP = 64               # most tiles of a product
    STRIP = 16               # channels whose kernels are transformed together
    PAD = 16                 # extra elements between points: strides of 4096 bytes share cache sets


cdef inline const cconv_winograd *transforms(size out, size taps, size item) noexcept nogil:
    cdef const cconv_winograd *found = cconv_current().f64.winograd
    if item == 4:
        found = cconv_current().f32.winograd
    while found.out != out or found.taps != taps:
        found += 1
    return found


# A convolution, or its gradient, by tiles: the images, how they are cut, and what is in memory at one time.
cdef struct Tiles:
    const cconv_winograd *wino
    size square              # points of a tile
    Images x, y              # input and output of the convolution, as they are in memory
    int xs, ys               # 1 if x, or y, is pooled (half the height and width), else 0
    size top, left           # zeros before the input image
    size oh, ow              # the output that is cut into tiles
    size down, across        # tiles of an image
    size in_h, in_w          # sizes of the convolution's input and output, as if nothing
    size out_h, out_w        # were pooled
    size least_u, least_v    # fewest rows, columns of taps that an output, or pixel of dx, sees
    size depth, columns      # channels of v and of m: c and f, or f and c if dy is transformed
    size count, batch        # all tiles; tiles whose v is in memory at one time
    size group               # tiles whose m is in memory at one time
    size u, v, m             # elements from one point to the next, of u, v and m
    size width, blocks       # filters of a block; blocks
    size strips              # strips of the channels
    bint swapped, flipped    # whether the kernel's channels are swapped; its taps flipped
    bint by_blocks           # whether a task is a block of filters, or a batch of tiles
    size splits              # tasks of a batch and block


cdef inline size least_taps(size taps, size before, size after, size extent, bint back) noexcept nogil:
    # How many taps every output (back: every pixel of x) sees at least, on an axis padded by before, after.
    if extent < taps:
        return 1
    if back:
        return most(least(least(before, after) + 1, taps), 1)
    return most(taps - most(most(before, after), 0), 1)


cdef inline Tiles tiles_of(
    const cconv_winograd *wino, Images x, bint x_pooled, Images y, bint y_pooled,
) noexcept nogil:
    # Tiles without padding, with the kernel as it is, that cover all of the output; `cut` cuts them.
    cdef Tiles t
    t.wino = wino
    t.square = (wino.out + wino.taps - 1) * (wino.out + wino.taps - 1)
    t.x, t.xs, t.y, t.ys = x, x_pooled, y, y_pooled
    t.top, t.left, t.oh, t.ow = 0, 0, y.h << y_pooled, y.w << y_pooled
    t.swapped = t.flipped = False
    return t


cdef inline void cut(Tiles *t, size item, int threads, bint back) noexcept nogil:
    # back: tiles go from y to x.
    cdef size bytes = BACK_BYTES if back else TILES_BYTES
    t.down, t.across = ceil_div(t.oh, t.wino.out), ceil_div(t.ow, t.wino.out)
    t.count = t.x.n * t.down * t.across
    t.depth, t.columns = (t.y.c, t.x.c) if back else (t.x.c, t.y.c)
    t.width, t.strips = block_width(t.columns, item), ceil_div(t.depth, STRIP)
    t.blocks = ceil_div(t.columns, t.width)
    t.by_blocks = not back and t.square * t.depth * t.width * t.blocks * item > KERNEL_BYTES
    if t.by_blocks:
        t.batch = most(SHARED_BYTES // (t.square * t.depth * item), 8)
        t.batch = ceil_div(t.count, ceil_div(t.count, t.batch))
    else:
        t.batch = least(most(bytes // (t.square * t.depth * item), 8), GROUP)
        t.batch = least(t.batch - t.batch % 8, ceil_div(t.count, threads))
    t.splits = least(ceil_div(t.batch, GROUP), ceil_div(2 * threads, t.blocks))
    t.group = least(GROUP, t.batch)
    t.u, t.v, t.m = t.depth * t.width + PAD, t.batch * t.depth + PAD, t.group * t.width + PAD


cdef inline void count_taps(Tiles *t, size in_h, size in_w, size out_h, size out_w, bint back) noexcept nogil:
    # Rows and columns that pooling drops have no tiles, but they count when weak sums are chosen.
    cdef size taps = t.wino.taps
    t.in_h, t.in_w, t.out_h, t.out_w = in_h, in_w, out_h, out_w
    t.least_u = least_taps(taps, t.top, out_h - 1 + taps - in_h - t.top, in_h, back)
    t.least_v = least_taps(taps, t.left, out_w - 1 + taps - in_w - t.left, in_w, back)


cdef inline int cells_of(size rows, size columns) noexcept nogil:
    # A bit for each quarter of a tile that has outputs, if `rows` rows and `columns` columns are left.
    return (1 | (2 if columns > 2 else 0) | (4 if rows > 2 else 0) | (8 if rows > 2 and columns > 2 else 0))


# The place of a tile: its image, its row and column of tiles, and its cconv_tile in the image of the input
# and of the output (channels, point and argmax are not set).  x_at and y_at are the elements of the tile's
# row 0, column 0, which may lie outside the image.
cdef struct Spot:
    size image, down, across
    cconv_tile x, y
    size x_at, y_at


cdef inline Spot spot_of(const Tiles *t, size tile) noexcept nogil:
    cdef Spot s
    s.image = tile // (t.down * t.across)
    s.down = tile // t.across - s.image * t.down
    s.across = tile % t.across
    s.x.row, s.x.column, s.y.row, s.y.column = t.x.w * t.x.c, t.x.c, t.y.w * t.y.c, t.y.c
    s.x.squares = s.y.squares = NULL
    s.y.cells = 15
    place(t, &s)
    return s


cdef inline void place(const Tiles *t, Spot *s) noexcept nogil:
    cdef size image = s.image, i = t.wino.out * s.down, j = t.wino.out * s.across
    s.x.r0, s.x.c0 = t.top - i, t.left - j
    s.x.r1, s.x.c1 = s.x.r0 + (t.x.h << t.xs), s.x.c0 + (t.x.w << t.xs)
    s.x_at = ((image * t.x.h + ((i - t.top) >> t.xs)) * t.x.w + ((j - t.left) >> t.xs)) * t.x.c
    s.y.r0 = s.y.c0 = 0
    s.y.r1 = least(t.wino.out, (t.y.h << t.ys) - i)
    s.y_at = ((image * t.y.h + (i >> t.ys)) * t.y.w + (j >> t.ys)) * t.y.c
    end_columns(t, s)


cdef inline void end_columns(const Tiles *t, Spot *s) noexcept nogil:
    # Sets where the tile's columns end, and that no sums are weak.
    cdef size j = t.wino.out * s.across
    s.y.c1 = least(t.wino.out, (t.y.w << t.ys) - j)
    # The outputs of a 2x2 tile all see the same pixels: simd/winograd/tiles.h.
    s.x.cells = 1 if t.wino.out == 2 else cells_of(t.oh - t.wino.out * s.down, t.ow - j)
    s.x.weak = s.y.weak = s.x.empty = s.y.empty = 0


cdef inline void step(const Tiles *t, Spot *s) noexcept nogil:
    # Goes to the next tile.
    s.across += 1
    if s.across == t.across:
        s.across, s.down = 0, s.down + 1
        if s.down == t.down:
            s.down, s.image = 0, s.image + 1
        place(t, s)
        return
    s.x.c0, s.x.c1 = s.x.c0 - t.wino.out, s.x.c1 - t.wino.out
    s.x_at, s.y_at = s.x_at + (t.wino.out >> t.xs) * t.x.c, s.y_at + (t.wino.out >> t.ys) * t.y.c
    end_columns(t, s)


cdef inline cconv_usual nothing_yet() noexcept nogil:
    # cconv_usual before the first tile.
    cdef cconv_usual u
    u.top, u.enough = 0, INFINITY
    return u


cdef inline unsigned char *places(const unsigned char *argmax, size at) noexcept nogil:
    # argmax + at, or NULL if argmax is NULL.
    if argmax == NULL:
        return NULL
    return <unsigned char *>argmax + at


cdef inline Seen seen_of(const Tiles *t, const Spot *at) noexcept nogil:
    # What the outputs of a tile see of its input.
    cdef Seen s
    cdef size n = t.wino.out + t.wino.taps - 1
    s.sums, s.pixels, s.taps, s.sign = t.wino.out, n, t.wino.taps, 1
    s.rows, s.columns = at.y.r1, at.y.c1
    s.r0, s.r1, s.c0, s.c1 = most(at.x.r0, 0), least(at.x.r1, n), most(at.x.c0, 0), least(at.x.c1, n)
    s.whole_r0, s.whole_r1 = at.x.r0, at.x.r0 + t.in_h - t.wino.taps + 1
    s.whole_c0, s.whole_c1 = at.x.c0, at.x.c0 + t.in_w - t.wino.taps + 1
    return s


cdef inline Weak examine(
    const Seen *s, const cconv_winograd *wino, const cconv_tile *t,
    const cython.floating *x,   # IN   where the tile lies
    cython.floating *patch,     # OUT  (pixels, pixels, channels), of a pooled tile
) noexcept nogil:
    # Which of a tile's sums are weak.
    cdef cconv_tile own = t[0]
    cdef Weak found
    if t.argmax != NULL:
        wino.patch(t, s.pixels, x, patch)
        own.argmax = NULL
        own.row, own.column = s.pixels * t.channels, t.channels
        own.r0, own.r1, own.c0, own.c1 = 0, s.pixels, 0, s.pixels
        x = patch
    wino.weak(&own, s.pixels, s.sums, s.rows, s.columns, x, &found.weak, &found.empty)
    return found


cdef inline void tiles_in(
    const cython.floating *x,      # IN   (n, xh, xw, c)
    const unsigned char *argmax,   # IN   of x where that is pooled, or NULL
    cython.floating *v,            # OUT  (n^2, batch, c), from the first of these tiles on
    Weak *weak,                    # OUT  (count)
    Tiles *t, size first, size count,
    cython.floating *patch,        # OUT  (n^2, c)
) noexcept nogil:
    cdef size i
    cdef Seen seen
    cdef Spot spot = spot_of(t, first)
    cdef cconv_usual usual = nothing_yet()
    spot.x.channels, spot.x.point, spot.x.usual = t.x.c, t.v, &usual
    for i in range(count):
        spot.x.argmax = places(argmax, spot.x_at)
        weak[i].weak = weak[i].empty = 0
        if t.wino.input(&spot.x, x + spot.x_at, v + i * t.x.c) & CCONV_MAYBE_UNEVEN:
            seen = seen_of(t, &spot)
            weak[i] = examine(&seen, t.wino, &spot.x, x + spot.x_at, patch)
        step(t, &spot)


cdef inline void products(
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


cdef inline void kernel_task(
    const cython.floating *kernel,  # IN   (taps, taps, depth, columns); swapped: (taps, taps, columns, depth)
    cython.floating *u,             # OUT  (n^2, depth, width) of the block: a strip of its depth
    const Tiles *t, size block, size strip,
    cython.floating *scratch,       # OUT  strip_size(t)
    cython.floating *sizes,         # OUT  (taps, taps, filters), after the last strip; or NULL
) noexcept nogil:
    cdef size f = block * t.width, filters = least(t.width, t.columns - f), taps = t.wino.taps * t.wino.taps
    cdef size first = strip * STRIP, stop = least(first + STRIP, t.depth), i, k
    if not t.swapped:
        for k in range(first, stop):
            t.wino.kernel(filters, t.depth * t.columns, t.flipped, t.u, kernel + k * t.columns + f,
                          u + k * t.width)
        if sizes != NULL:
            t.wino.kernel_sizes(taps, stop - first, filters, t.depth * t.columns, t.columns, first == 0,
                                kernel + first * t.columns + f, sizes)
        return
    for i in range(taps):
        transpose(stop - first, filters, t.depth, t.width, kernel + (i * t.columns + f) * t.depth + first,
                  scratch + i * STRIP * t.width)
    for k in range(first, stop):
        t.wino.kernel(filters, STRIP * t.width, t.flipped, t.u, scratch + (k - first) * t.width,
                      u + k * t.width)
    if sizes != NULL:
        t.wino.kernel_sizes(taps, stop - first, filters, STRIP * t.width, t.width, first == 0, scratch, sizes)


cdef inline size strip_size(const Tiles *t) noexcept nogil:
    # Elements of scratch that `kernel_task` takes.
    return t.wino.taps * t.wino.taps * STRIP * t.width if t.swapped else 0


# The scratch of a thread beside u, v and m: a strip of the kernel, sums that are given, a tile as it is, the
# largest values of a kernel's block, the levels of all blocks, and which outputs of its tiles are weak.

cdef inline size rounded(size count) noexcept nogil:
    return ceil_div(count, PAD) * PAD


cdef inline size given_at(const Tiles *t) noexcept nogil:
    return strip_size(t)


cdef inline size patch_at(const Tiles *t) noexcept nogil:
    return given_at(t) + t.square * t.width


cdef inline size sizes_at(const Tiles *t) noexcept nogil:
    return patch_at(t) + t.square * t.depth


cdef inline size levels_at(const Tiles *t) noexcept nogil:
    return sizes_at(t) + sizes_size(t)


cdef inline size weak_at(const Tiles *t) noexcept nogil:
    return levels_at(t) + rounded(t.blocks)


cdef inline size sizes_size(const Tiles *t) noexcept nogil:
    return rounded(t.wino.taps * t.wino.taps * t.width)


cdef inline size weak_size(const Tiles *t, size item) noexcept nogil:
    return rounded(t.batch * <size>sizeof(Weak) // item)


cdef inline size thread_size(const Tiles *t, size item) noexcept nogil:
    # Elements of scratch of a thread: u, m, and v and weak outputs if they are not shared, and the rest.
    cdef size own = t.u + t.m if t.by_blocks else t.blocks * t.u + t.m + t.v
    return t.square * own + weak_at(t) + (0 if t.by_blocks else weak_size(t, item))


cdef inline Block block_of(const Tiles *t, size block) noexcept nogil:
    cdef Block b
    b.taps, b.depth, b.columns = t.wino.taps, t.depth, t.columns
    b.first, b.width = block * t.width, t.width
    b.count = least(t.width, t.columns - b.first)
    b.swapped, b.flipped, b.strip_depth = t.swapped, t.flipped, STRIP
    return b


cdef inline int level_of_block(
    const Tiles *t, size block, const cython.floating *sizes,  # IN   (taps, taps, filters)
) noexcept nogil:
    # The level of a block of the kernel: EVEN, UNEVEN or WILD.
    return level_of(sizes, t.wino.taps, t.wino.taps, t.least_u, t.least_v,
                    least(t.width, t.columns - block * t.width))


cdef inline void kernel_tasks(
    const cython.floating *kernel,  # IN   as `kernel_task`
    cython.floating *u,             # OUT  (blocks, n^2, depth, width)
    const Tiles *t,
    cython.floating *spare,         # OUT  as in `thread_size`: the levels of the blocks
) noexcept nogil:
    cdef size i, j
    cdef cython.floating *sizes = spare + sizes_at(t)
    for j in range(t.blocks):
        for i in range(t.strips):
            kernel_task(kernel, u + j * t.square * t.u, t, j, i, spare, sizes)
        spare[levels_at(t) + j] = level_of_block(t, j, <const cython.floating *>sizes)


cdef inline size u_size(const Tiles *t) noexcept nogil:
    # Elements of the transformed kernel.
    return t.square * t.blocks * t.u
