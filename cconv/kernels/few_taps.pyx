# few_taps.pyx: convolutions of few taps, as the first of a network are, and Winograd's algorithm along
# the rows, alone or with max pooling behind them, as parallel loops over the kernels of
# simd/few_taps/ and simd/winograd/along_rows.h.
#
# Forward, a task is a band of output rows of one image.  If the windows reach past the image, the
# task copies the band of the input into its thread's scratch with zeros around it: next to the output
# that is little.  Behind 2x2 max pooling of stride 2 a task is a band of rows of windows, and what is
# between the two never leaves the registers; other poolings take one image at a time from the
# thread's scratch.  With `tiled`, Winograd's algorithm along the rows, a task first transforms its
# band of the input, for all filters, into its scratch; zeros fill the last tile of a row.  Outputs that
# rounding errors of larger values beside them would reach are taken directly
# (simd/winograd/along_rows_weak.h).
#
# The weight gradient runs over blocks, bands of an even number of output rows of one image.  They are
# split into parts by shapes alone; each part sums into an array of its own, and the parts are added in
# order.  Chains of products end after at most CHAIN_OUTPUTS outputs.  A part of more than GROUP_OUTPUTS adds
# what about so many give exactly (simd/rows/long_sum.h).  2x2 max pooling takes the same blocks, parts and
# order, with one product where the gradient before pooling has four (see simd/few_taps/gradient.h): both
# give the same bits where x is finite.  Other poolings spread their gradient over the thread's scratch first.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid

from libc.string cimport memset

from cconv._kernels cimport (
    CCONV_FIRST_BIAS,
    CCONV_FIRST_RELU,
    GROUP_OUTPUTS,
    add_parts,
    add_whole,
    cconv_current,
    cconv_first,
    cconv_first_room,
    cconv_first_tiles,
    cconv_first_walk,
    cconv_rows_of,
    cconv_winograd,
    ceil_div,
    copy_padded,
    least,
    most,
    size,
)
from cconv._pools cimport Pooling, forget_not_positive, pool_windows, unpool
from cconv._rows cimport cconv_pool
from cconv.kernels.uneven cimport EVEN, level_of

cdef size BAND_BYTES = 65536        # of input that a task or a block reads
cdef size ENOUGH_TASKS = 32         # to keep many threads busy evenly
cdef size FEWEST_ROWS = 4           # of outputs in a band, were there not enough tasks otherwise,
cdef size FEWEST_PRODUCTS = 200000  # and of products
cdef size PARTIAL_BYTES = 8388608   # of the sums of all parts
cdef size TILE = 4                  # outputs of a tile
cdef size POINTS = 8                # values of its input, transformed


cdef struct First:
    size n, h, w, c, f              # images, input, filters
    size kh, kw, sh, sw, dh, dw     # taps, strides, dilation
    size top, left                  # zeros before the image
    size rows, columns              # of the output
    size band, bands                # output rows a task, tasks an image; even but for the last
    size tiles                      # of an output row, 0: not tiled
    bint padded                     # whether the windows reach past the image
    size wide, stride               # pixels, elements of an input row where it is read


cdef inline const cconv_first *first_of(size item) noexcept nogil:
    return cconv_current().f32.first if item == 4 else cconv_current().f64.first


cdef inline const cconv_winograd *winograd_of(size item) noexcept nogil:
    return cconv_current().f32.winograd if item == 4 else cconv_current().f64.winograd


cdef inline size extent(size outputs, size stride, size taps, size dilation) noexcept nogil:
    # Input pixels along one axis under so many outputs.
    return (outputs - 1) * stride + dilation * (taps - 1) + 1


cdef inline size height(const First *g, size rows) noexcept nogil:
    return extent(rows, g.sh, g.kh, g.dh)


cdef First geometry(x_shape, kernel_shape, conv_size, strides, origin, dilation, size item, bint tiled):
    cdef First g
    cdef size fewest
    g.n, g.h, g.w, g.c = x_shape
    g.kh, g.kw, g.f = kernel_shape[0], kernel_shape[1], kernel_shape[3]
    g.rows, g.columns = conv_size
    g.sh, g.sw = strides
    g.top, g.left = origin
    g.dh, g.dw = dilation
    g.tiles = ceil_div(g.columns, TILE) if tiled else 0
    g.wide = extent(TILE * g.tiles if tiled else g.columns, g.sw, g.kw, g.dw)
    g.padded = g.top > 0 or g.left > 0 or height(&g, g.rows) > g.h or g.wide > g.w
    g.stride = (g.wide if g.padded else g.w) * g.c
    g.band = most(BAND_BYTES // (g.stride * item * g.sh), 2)
    fewest = most(FEWEST_ROWS, FEWEST_PRODUCTS // (g.columns * g.kh * g.kw * g.c * g.f))
    g.band = least(g.band, most(g.rows * g.n // ENOUGH_TASKS, fewest))
    g.band = least(g.band + g.band % 2, g.rows)
    g.bands = ceil_div(g.rows, g.band)
    return g


cdef cconv_first_walk walk_of(const First *g) noexcept nogil:
    cdef cconv_first_walk s
    cdef size u, v, k
    s.taps, s.filters = g.kh * g.kw * g.c, g.f
    s.row, s.column, s.columns = g.sh * g.stride, g.sw * g.c, g.columns
    for u in range(g.kh):
        for v in range(g.kw):
            for k in range(g.c):
                s.at[(u * g.kw + v) * g.c + k] = u * g.dh * g.stride + v * g.dw * g.c + k
    return s


cdef inline size copy_size(const First *g) noexcept nogil:
    # Elements of scratch that the input of a band takes.
    return height(g, g.band) * g.stride if g.padded else 0


cdef const cython.floating *input_of(
    const cython.floating *x,     # IN   (n, h, w, c)
    const First *g, size image, size i, size rows,
    cython.floating *scratch,     # OUT  copy_size(g)
) noexcept nogil:
    # What the first tap of output (i, 0) reads, for so many output rows.
    x += image * g.h * g.w * g.c
    if not g.padded:
        return x + (i * g.sh - g.top) * g.stride - g.left * g.c
    copy_padded(x, g.h, g.w, g.c, i * g.sh - g.top, height(g, rows), g.left, g.wide, scratch)
    return scratch


# ---- forward ---------------------------------------------------------------------------------------
#
# scratch: the packed kernel and bias; what each thread needs; the table `inputs` of the walk.

cdef inline size inputs_size(size count, size item) noexcept nogil:
    # Reals that hold `count` entries of a table on a boundary of its own.
    return ceil_div((count + 1) * <size>sizeof(Py_ssize_t), item)


cdef Py_ssize_t *fill_inputs(void *memory, size rows, size columns, size row, size column) noexcept nogil:
    # Where the inputs of outputs begin, row after row, in memory of inputs_size(rows * columns).
    cdef size past = <size_t>memory % sizeof(Py_ssize_t), i, j
    cdef Py_ssize_t *inputs = <Py_ssize_t *>(<char *>memory + (sizeof(Py_ssize_t) - past if past else 0))
    for i in range(rows):
        for j in range(columns):
            inputs[i * columns + j] = i * row + j * column
    return inputs


cdef inline size packed_size(const First *g, size item) noexcept nogil:
    return cconv_first_room(g.kh * (POINTS if g.tiles else g.kw) * g.c + 1, g.f, item)


cdef inline size tiles_row(const First *g) noexcept nogil:
    # Elements of the transformed input of a row.
    return g.tiles * g.c * POINTS


cdef inline size tiled_size(const First *g) noexcept nogil:
    # Elements of scratch that a band's input takes, transformed, for an even number of rows.
    return height(g, g.band + g.band % 2) * tiles_row(g) if g.tiles else 0


cdef inline size weak_size(const First *g) noexcept nogil:
    # Elements that hold what is weak of a band: 16 bits for each tile of two rows.
    return ceil_div(ceil_div(g.band, 2) * g.tiles, 8) * 4


cdef inline size room_size(const First *g) noexcept nogil:
    # Elements for the largest value of each pixel of a band, and what is read behind them.
    return height(g, g.band) * g.wide + 32


cdef inline size band_size(const First *g) noexcept nogil:
    # Elements of scratch that a band takes: its input, and that transformed; what is weak, what is given
    # in its place, the largest values of two rows.
    cdef size beside = weak_size(g) + 8 * g.f + room_size(g) if g.tiles else 0
    return ceil_div(copy_size(g) + tiled_size(g) + beside, 16) * 16


cdef inline size levels_size(const First *g) noexcept nogil:
    # Elements of scratch for the largest values of the taps.
    return g.kh * g.kw * g.f if g.tiles else 0


cdef inline size begin_size(const First *g, size item) noexcept nogil:
    # Elements of scratch that `begin` takes.
    return most(inputs_size(g.band * g.columns, item), levels_size(g))


cdef struct Sweep:
    # What all tasks of a forward pass have in common.
    First g
    int mode
    size columns               # outputs, or windows, in a row
    cconv_first_walk walk      # not tiled
    cconv_first_tiles tiles    # tiled


cdef int kernel_level(
    const First *g, const cython.floating *kernel,
    cython.floating *sizes,    # OUT  levels_size(g)
) noexcept nogil:
    # Rows of the kernel are not mixed.
    cdef size u, row = g.kw * g.f, right = g.columns - 1 + g.kw - g.w - g.left
    cdef size seen = 1 if g.w < g.kw else most(g.kw - most(most(g.left, right), 0), 1)
    cdef int level = EVEN
    for u in range(g.kh):
        winograd_of(sizeof(cython.floating)).kernel_sizes(g.kw, g.c, g.f, g.c * g.f, g.f, True,
                                                          kernel + u * g.c * row, sizes + u * row)
        level = max(level, level_of(<const cython.floating *>(sizes + u * row), 1, g.kw, 1, seen, g.f))
    return level


cdef void begin(
    Sweep *s,
    const cython.floating *kernel, const cython.floating *bias,
    cython.floating *packed,   # OUT  packed_size(g)
    bint relu, size step, size rows, size columns,
    void *inputs,              # OUT  inputs_size(rows * columns), or levels_size(g) elements
) noexcept nogil:
    # For bands of at most so many rows of outputs, or windows, that are `step` outputs apart.
    cdef size item = sizeof(cython.floating)
    cdef const First *g = &s.g
    s.mode = (CCONV_FIRST_RELU if relu else 0) | (CCONV_FIRST_BIAS if bias != NULL else 0)
    s.columns = columns
    if g.tiles:
        s.tiles.height, s.tiles.taps, s.tiles.channels, s.tiles.filters = g.kh, g.kw, g.c, g.f
        s.tiles.tiles, s.tiles.columns, s.tiles.width = g.tiles, columns, g.columns
        s.tiles.kernel, s.tiles.bias = kernel, bias
        s.tiles.level = kernel_level(g, kernel, <cython.floating *>inputs)
        first_of(item).tiles_pack(&s.tiles, kernel, bias, packed)
    else:
        s.walk = walk_of(g)
        s.walk.inputs = fill_inputs(inputs, rows, columns, step * s.walk.row, step * s.walk.column)
        first_of(item).pack(s.walk.taps, g.f, kernel, bias, packed)


cdef const cython.floating *band_of(
    const cython.floating *x,     # IN   (n, h, w, c)
    const Sweep *s, size image, size i, size rows,
    cython.floating *scratch,     # OUT  band_size(g)
) noexcept nogil:
    # What the kernels read for so many output rows from i on: the input, or its tiles.
    cdef const First *g = &s.g
    cdef const cython.floating *a = input_of(x, g, image, i, rows, scratch)
    cdef size item = sizeof(cython.floating), seen = height(g, rows)
    if not g.tiles:
        return a
    scratch += copy_size(g)
    first_of(item).tiles_input(&s.tiles, seen, g.stride, a, scratch)
    if rows % 2:
        memset(scratch + seen * tiles_row(g), 0, tiles_row(g) * item)
    return scratch


cdef cconv_first_tiles tiles_of_band(
    const cython.floating *x,     # IN   (n, h, w, c)
    const Sweep *s, size image, size i, size rows,
    cython.floating *scratch,     # IN, OUT  band_size(g), as `band_of` left it
) noexcept nogil:
    # What the kernels are told of a band: also which of its outputs are weak.
    cdef const First *g = &s.g
    cdef cconv_first_tiles tiles = s.tiles
    cdef cython.floating *rest = scratch + copy_size(g) + tiled_size(g)
    cdef unsigned short *weak = <unsigned short *>(rest + 8 * g.f + room_size(g))
    if g.padded:
        tiles.x, tiles.stride = scratch, g.stride
    else:
        tiles.x, tiles.stride = x + ((image * g.h + i) * g.w) * g.c, g.stride
    tiles.r0, tiles.r1, tiles.c0, tiles.c1 = g.top - i, g.top - i + g.h, g.left, g.left + g.w
    tiles.given, tiles.weak = rest, weak
    first_of(sizeof(cython.floating)).tiles_weak(&tiles, rows, rest + 8 * g.f, weak)
    return tiles


cdef inline void band_forward(
    const cython.floating *x, const Sweep *s, const cython.floating *packed, size image, size i, size rows,
    cython.floating *y,           # OUT  (rows, columns, f)
    cython.floating *scratch,     # OUT  band_size(g)
) noexcept nogil:
    cdef const cython.floating *a = band_of(x, s, image, i, rows, scratch)
    cdef cconv_first_tiles tiles
    if s.g.tiles:
        tiles = tiles_of_band(x, s, image, i, rows, scratch)
        first_of(sizeof(cython.floating)).tiles_forward(&tiles, rows, a, packed, s.mode, y)
    else:
        first_of(sizeof(cython.floating)).forward(&s.walk, rows * s.columns, a, packed, s.mode, y)


cdef inline void band_pooled(
    const cython.floating *x, const Sweep *s, const cython.floating *packed, size image, size i, size rows,
    cython.floating *y, unsigned char *argmax,  # OUT  (rows, columns, f)
    cython.floating *scratch,                   # OUT  band_size(g)
) noexcept nogil:
    # Rows of 2x2 windows side by side.
    cdef const cython.floating *a = band_of(x, s, image, 2 * i, 2 * rows, scratch)
    cdef cconv_first_tiles tiles
    if s.g.tiles:
        tiles = tiles_of_band(x, s, image, 2 * i, 2 * rows, scratch)
        first_of(sizeof(cython.floating)).tiles_pooled(&tiles, 2 * rows, a, packed, s.mode, y, argmax)
    else:
        first_of(sizeof(cython.floating)).pooled(&s.walk, rows * s.columns, a, packed, s.mode, y, argmax)


def forward_scratch(x_shape, kernel_shape, y_shape, strides, origin, dilation, bint tiled, size item,
                    int threads):
    """Elements of scratch that `forward` takes on so many threads."""
    cdef First g = geometry(x_shape, kernel_shape, y_shape[1:3], strides, origin, dilation, item, tiled)
    return packed_size(&g, item) + threads * band_size(&g) + begin_size(&g, item)


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    strides, origin, dilation, bint tiled, bint relu,
    cython.floating[::1] scratch,                # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`; origin = (top, left) padding.

    `tiled`: by Winograd's algorithm along the rows, for 5x5 and 3x3 kernels, strides and dilation 1.
    """
    cdef size item = sizeof(cython.floating), t, image, i, each
    cdef Sweep s
    cdef First *g = &s.g
    cdef const cython.floating *beta = NULL
    cdef cython.floating *packed = &scratch[0]
    cdef cython.floating *rest
    g[0] = geometry((x.shape[0], x.shape[1], x.shape[2], x.shape[3]),
                    (kernel.shape[0], kernel.shape[1], kernel.shape[2], kernel.shape[3]),
                    (y.shape[1], y.shape[2]), strides, origin, dilation, item, tiled)
    if bias is not None:
        beta = &bias[0]
    with nogil:
        each, rest = band_size(g), packed + packed_size(g, item)
        begin(&s, &kernel[0, 0, 0, 0], beta, packed, relu, 1, g.band, g.columns, rest + threads * each)
        for t in prange(g.n * g.bands, num_threads=threads, schedule="static"):
            image, i = t // g.bands, t % g.bands * g.band
            band_forward(&x[0, 0, 0, 0], &s, packed, image, i, least(g.band, g.rows - i), &y[image, i, 0, 0],
                         rest + threadid() * each)


# ---- forward with max pooling ------------------------------------------------------------------------

cdef inline bint halves(const cconv_pool *p) noexcept nogil:
    # Whether every window has 2x2 outputs of its own, side by side from the corner on.
    return (p.kh == 2 and p.kw == 2 and p.sh == 2 and p.sw == 2 and p.dh == 1 and p.dw == 1 and p.top == 0
            and p.left == 0 and 2 * p.oh <= p.h and 2 * p.ow <= p.w)


cdef void image_task(
    const cython.floating *x,     # IN   (n, h, w, c)
    const Sweep *s, const cython.floating *packed, const cconv_pool *windows, size image,
    cython.floating *y,           # OUT  (poh, pow, f) of one image
    unsigned char *argmax,        # OUT  (poh, pow, f)
    cython.floating *scratch,     # OUT  band_size(g) and the image between, (oh, ow, f)
) noexcept nogil:
    # Any pooling: one image, band by band.
    cdef const First *g = &s.g
    cdef size item = sizeof(cython.floating), b, i, each = windows.ow * windows.c
    cdef cython.floating *between = scratch + band_size(g)
    for b in range(g.bands):
        i = b * g.band
        band_forward(x, s, packed, image, i, least(g.band, g.rows - i), between + i * g.columns * g.f,
                     scratch)
    for i in range(windows.oh):
        cconv_rows_of(item).max_pool(windows, i, between, y + i * each, argmax + i * each, 0)
    if s.mode & CCONV_FIRST_RELU:
        forget_not_positive(y, argmax, windows.oh * each)


def pool_forward_scratch(x_shape, kernel_shape, conv_size, strides, origin, dilation, bint tiled, size item,
                         int threads):
    """Elements of scratch that `pool_forward` takes on so many threads."""
    cdef First g = geometry(x_shape, kernel_shape, conv_size, strides, origin, dilation, item, tiled)
    return (packed_size(&g, item) + threads * (band_size(&g) + g.rows * g.columns * g.f)
            + begin_size(&g, item))


def pool_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, poh, pow, f)
    unsigned char[:, :, :, ::1] argmax,          # OUT  (n, poh, pow, f)
    conv_size, strides, origin, dilation, bint tiled, bint relu,
    pool,                                        # (kernel_size, strides, pads, dilation) of the pooling
    cython.floating[::1] scratch,                # OUT  pool_forward_scratch(...)
    int threads,
):
    """Max pooling of forward(...), whose output has conv_size pixels."""
    cdef size item = sizeof(cython.floating), t, image, i, each, bands, band
    cdef Sweep s
    cdef First *g = &s.g
    cdef const cython.floating *beta = NULL
    cdef cython.floating *packed = &scratch[0]
    cdef cython.floating *rest
    cdef cconv_pool windows
    g[0] = geometry((x.shape[0], x.shape[1], x.shape[2], x.shape[3]),
                    (kernel.shape[0], kernel.shape[1], kernel.shape[2], kernel.shape[3]),
                    conv_size, strides, origin, dilation, item, tiled)
    windows = pool_windows(g.rows, g.columns, g.f, y.shape[1], y.shape[2], pool)
    if bias is not None:
        beta = &bias[0]
    with nogil:
        each, rest = band_size(g) + g.rows * g.columns * g.f, packed + packed_size(g, item)
        if halves(&windows):
            band = g.band // 2
            bands = ceil_div(windows.oh, band)
            begin(&s, &kernel[0, 0, 0, 0], beta, packed, relu, 2, band, windows.ow, rest + threads * each)
            for t in prange(g.n * bands, num_threads=threads, schedule="static"):
                image, i = t // bands, t % bands * band
                band_pooled(&x[0, 0, 0, 0], &s, packed, image, i, least(band, windows.oh - i),
                            &y[image, i, 0, 0], &argmax[image, i, 0, 0], rest + threadid() * each)
        else:
            begin(&s, &kernel[0, 0, 0, 0], beta, packed, relu, 1, g.band, g.columns, rest + threads * each)
            for t in prange(g.n, num_threads=threads, schedule="static"):
                image_task(&x[0, 0, 0, 0], &s, packed, &windows, t, &y[t, 0, 0, 0], &argmax[t, 0, 0, 0],
                           rest + threadid() * each)


# ---- weight gradient -------------------------------------------------------------------------------
#
# scratch: the sums of the parts, each first_room(taps + 1), and what was lost in rounding them; then each
# thread's sums of a group, its copy of the input of a block, and its quads, or the block's gradient before
# pooling.

cdef inline size parts_of(const First *g, size item) noexcept nogil:
    cdef size most_parts = most(PARTIAL_BYTES // (packed_size(g, item) * item), 1)
    return least(least(g.n * g.bands, ENOUGH_TASKS), most_parts)


cdef inline size block_size(const First *g, bint pooled) noexcept nogil:
    cdef size quads = 4 * height(g, g.band) * g.stride
    return copy_size(g) + (most(quads, g.band * g.columns * g.f) if pooled else 0)


cdef cconv_first_walk quads_walk(const First *g, const cconv_pool *p, size *count) noexcept nogil:
    # The walk over the quads of an input row, of which there are `count`, by windows.
    cdef First q = g[0]
    cdef cconv_first_walk s
    cdef size k
    count[0] = (extent(2 * p.ow, g.sw, g.kw, g.dw) - g.sw) * g.c
    q.stride = count[0]
    s = walk_of(&q)
    for k in range(s.taps):
        s.at[k] *= 4
    s.row, s.column, s.columns = 8 * s.row, 8 * s.column, p.ow
    return s


# A part of the sum: where what its groups give goes, and how many outputs the group has by now.
cdef struct Part:
    void *group    # (room)
    void *sums     # (room), added exactly,
    void *lost     # (room), with this; NULL: the part is one group, which is its sums
    size room, outputs


cdef inline bint settles(const First *g, size parts) noexcept nogil:
    # Whether a part has several groups.
    return ceil_div(g.n * g.bands, parts) * g.band * g.columns > GROUP_OUTPUTS


cdef void end_group(Part *part, size item) noexcept nogil:
    if part.lost == NULL:
        return
    if part.outputs:
        cconv_rows_of(item).add_exactly(part.room, part.group, part.sums, part.lost)
    part.outputs = 0


cdef void block_sums(
    Part *part, cconv_first_walk *s,
    const cython.floating *a,        # IN   the input, or its quads
    const cython.floating *dy,       # IN   (rows, columns, f), or pooled
    const unsigned char *argmax,     # IN   with dy, of windows of 2x2 outputs; or NULL
    size rows, size columns,         # outputs
) noexcept nogil:
    # In pieces of at most about GROUP_OUTPUTS outputs.
    cdef size item = sizeof(cython.floating), side = 2 if argmax != NULL else 1, i, j, high, wide
    cdef size across = columns if columns <= GROUP_OUTPUTS else GROUP_OUTPUTS // 2
    cdef size down = most(GROUP_OUTPUTS // columns // 2 * 2, 2), at
    i = 0
    while i < rows:
        high = least(down, rows - i)
        j = 0
        while j < columns:
            wide = least(across, columns - j)
            if columns - j - wide < 2:  # a last column goes with those before it
                wide = columns - j
            s.columns = wide // side
            at = (i // side * s.wide + j // side) * s.filters
            if argmax != NULL:
                first_of(item).pooled_gradient(s, high // side, a + i // side * s.row + j // side * s.column,
                                               dy + at, argmax + at, part.outputs == 0, part.group)
            else:
                first_of(item).gradient(s, high, a + i * s.row + j * s.column, dy + at, part.outputs == 0,
                                        part.group)
            part.outputs += high * wide
            if part.outputs >= GROUP_OUTPUTS:
                end_group(part, item)
            j += wide
        i += high


cdef void part_task(
    const cython.floating *x,      # IN   (n, h, w, c)
    const cython.floating *dy,     # IN   (n, oh, ow, f), or pooled (n, poh, pow, f)
    cython.floating *sums,         # OUT  of this part
    cython.floating *lost,         # OUT  the same, or NULL: it does not settle
    const First *g, const Pooling *pooling, size room, size first, size stop,
    cython.floating *scratch,      # OUT  (room), then block_size(g)
) noexcept nogil:
    cdef Part part
    cdef size item = sizeof(cython.floating), b, image, i, j, rows, count = 0
    cdef const cconv_pool *p = &pooling.windows
    cdef bint pooled = pooling.argmax != NULL, picks = pooled and halves(p)
    cdef size each = p.oh * p.ow * g.f if pooled else g.rows * g.columns * g.f
    cdef cconv_first_walk s = quads_walk(g, p, &count) if picks else walk_of(g)
    cdef cython.floating *copy = scratch + room
    cdef cython.floating *rest = copy + copy_size(g)
    cdef const cython.floating *a
    part.group, part.sums, part.lost, part.room, part.outputs = scratch, sums, lost, room, 0
    if lost == NULL:
        part.group = sums
    else:
        memset(sums, 0, room * item)
        memset(lost, 0, room * item)
    s.wide = p.ow if picks else g.columns
    for b in range(first, stop):
        image, i = b // g.bands, b % g.bands * g.band
        rows = least(g.band, g.rows - i)
        a = input_of(x, g, image, i, rows, copy)
        if picks:
            if rows > 1:
                first_of(item).quads(height(g, rows // 2 * 2) - g.sh, count, g.stride, g.sw * g.c,
                                     g.sh * g.stride, a, rest)
            j = image * each + i // 2 * p.ow * g.f
            block_sums(&part, &s, <const cython.floating *>rest, dy + j, pooling.argmax + j, rows, g.columns)
        elif pooled:
            unpool(dy, pooling, image, i, rows, rest)
            block_sums(&part, &s, a, <const cython.floating *>rest, NULL, rows, g.columns)
        else:
            block_sums(&part, &s, a, dy + image * each + i * g.columns * g.f, NULL, rows, g.columns)
    end_group(&part, item)


cdef void sum_parts(
    const cython.floating *x, const cython.floating *dy, cython.floating *dkernel, cython.floating *dbias,
    const First *g, const Pooling *pooling, cython.floating *scratch, int threads,
) noexcept nogil:
    cdef size item = sizeof(cython.floating), parts = parts_of(g, item), room = packed_size(g, item)
    cdef size blocks = g.n * g.bands, each = room + block_size(g, pooling.argmax != NULL), t
    cdef cython.floating *lost = scratch + parts * room
    cdef cython.floating *rest = lost + parts * room
    for t in prange(parts, num_threads=threads, schedule="static"):
        part_task(x, dy, scratch + t * room, lost + t * room if settles(g, parts) else NULL, g, pooling, room,
                  t * blocks // parts, (t + 1) * blocks // parts, rest + threadid() * each)
    if settles(g, parts):
        add_whole(scratch, scratch, lost, parts, room, room, item, threads)
    else:
        add_parts(scratch, scratch + room, parts - 1, room, room, item, threads)
    first_of(item).unpack(g.kh * g.kw * g.c, g.f, scratch, dkernel, dbias)


def weight_gradient_scratch(x_shape, kernel_shape, conv_size, strides, origin, dilation, size item,
                            int threads, bint pooled):
    """Elements of scratch that `weight_gradient`, or its pooled form, takes on so many threads."""
    cdef First g = geometry(x_shape, kernel_shape, conv_size, strides, origin, dilation, item, False)
    cdef size room = packed_size(&g, item)
    return 2 * parts_of(&g, item) * room + threads * (room + block_size(&g, pooled))


def weight_gradient(
    const cython.floating[:, :, :, ::1] dy,   # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] x,    # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,    # OUT  (kh, kw, c, f)
    cython.floating[::1] dbias,               # OUT  (f)
    strides, origin, dilation,
    cython.floating[::1] scratch,             # OUT  weight_gradient_scratch(...)
    int threads,
):
    """Gradient of forward(...) with respect to its kernel and bias."""
    cdef First g = geometry((x.shape[0], x.shape[1], x.shape[2], x.shape[3]),
                            (dkernel.shape[0], dkernel.shape[1], dkernel.shape[2], dkernel.shape[3]),
                            (dy.shape[1], dy.shape[2]), strides, origin, dilation, sizeof(cython.floating),
                            False)
    cdef Pooling pooling
    pooling.argmax = NULL
    with nogil:
        sum_parts(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dkernel[0, 0, 0, 0], &dbias[0], &g, &pooling, &scratch[0],
                  threads)


def pool_weight_gradient(
    const cython.floating[:, :, :, ::1] dy,    # IN   (n, poh, pow, f)
    const unsigned char[:, :, :, ::1] argmax,  # IN   (n, poh, pow, f), of pool_forward
    const cython.floating[:, :, :, ::1] x,     # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,     # OUT  (kh, kw, c, f)
    cython.floating[::1] dbias,                # OUT  (f)
    conv_size, strides, origin, dilation,
    pool,                                      # (kernel_size, strides, pads, dilation) of the pooling
    cython.floating[::1] scratch,              # OUT  weight_gradient_scratch(..., pooled=True)
    int threads,
):
    """Gradient of pool_forward(...) with respect to the kernel and bias."""
    cdef First g = geometry((x.shape[0], x.shape[1], x.shape[2], x.shape[3]),
                            (dkernel.shape[0], dkernel.shape[1], dkernel.shape[2], dkernel.shape[3]),
                            conv_size, strides, origin, dilation, sizeof(cython.floating), False)
    cdef Pooling pooling
    pooling.windows = pool_windows(g.rows, g.columns, g.f, dy.shape[1], dy.shape[2], pool)
    pooling.argmax = &argmax[0, 0, 0, 0]
    with nogil:
        sum_parts(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dkernel[0, 0, 0, 0], &dbias[0], &g, &pooling, &scratch[0],
                  threads)
