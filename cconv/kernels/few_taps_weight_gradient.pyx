# few_taps_weight_gradient.pyx: the gradient of kernel and bias of convolutions of few taps.
#
# The weight gradient runs over blocks, which are bands of an even number of output rows of one image.  They
# are split into parts by shapes alone; each part sums into its own array, and the parts are added in order.
# Chains of products end after at most CHAIN_OUTPUTS outputs.  If a part has more than GROUP_OUTPUTS
# outputs, the sums of groups of about that size are added exactly (simd/rows/long_sum.h).  2x2 max pooling
# takes the same blocks, parts and order, with one product where the gradient before pooling has four (see
# simd/few_taps/gradient.h): both give the same bits if x is finite.  Other poolings first spread their
# gradient over the thread's scratch.
#
# scratch: the sums of the parts, each few_taps_room(taps + 1), and what was lost in rounding them; then each
# thread's sums of a group, its copy of the input of a block, and its quads, or the block's gradient before
# pooling.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid

from libc.string cimport memset

from cconv._kernels cimport (
    GROUP_OUTPUTS,
    add_parts,
    add_whole,
    cconv_few_taps_walk,
    cconv_join,
    cconv_rows_of,
    crew_of_process,
)
from cconv._pools cimport Pooling, halves, pool_windows, unpool
from cconv._rows cimport cconv_pool
from cconv._sizes cimport Window, ceil_div, images_of, images_shaped, least, most, size, window_of
from cconv.kernels.few_taps_bands cimport (
    ENOUGH_TASKS,
    FewTaps,
    copy_size,
    extent,
    few_taps_of,
    geometry,
    height,
    input_of,
    packed_size,
    walk_of,
)

cconv_join(crew_of_process())

cdef enum:
    PARTIAL_BYTES = 8388608   # most bytes of the sums of all parts


cdef inline size parts_of(const FewTaps *g, size item) noexcept nogil:
    cdef size most_parts = most(PARTIAL_BYTES // (packed_size(g, item) * item), 1)
    return least(least(g.n * g.bands, ENOUGH_TASKS), most_parts)


cdef inline size block_size(const FewTaps *g, bint pooled) noexcept nogil:
    cdef size quads = 4 * height(g, g.band) * g.stride
    return copy_size(g) + (most(quads, g.band * g.columns * g.f) if pooled else 0)


cdef cconv_few_taps_walk quads_walk(const FewTaps *g, const cconv_pool *p, size *count) noexcept nogil:
    # The walk by windows over the quads of an input row; `count`: how many quads.
    cdef FewTaps q = g[0]
    cdef cconv_few_taps_walk s
    cdef size k
    count[0] = (extent(2 * p.ow, g.sw, g.kw, g.dw) - g.sw) * g.c
    q.stride = count[0]
    s = walk_of(&q)
    for k in range(s.taps):
        s.at[k] *= 4
    s.row, s.column, s.columns = 8 * s.row, 8 * s.column, p.ow
    return s


# A part of the sum: where the sums of its groups go, and the outputs that the current group has.
cdef struct Part:
    void *group    # (room)
    void *sums     # (room): group is added to sums and lost, exactly
    void *lost     # (room), or NULL: then the part is one group, which is its sums
    size room, outputs


cdef inline bint settles(const FewTaps *g, size parts) noexcept nogil:
    # Whether a part has several groups.
    return ceil_div(g.n * g.bands, parts) * g.band * g.columns > GROUP_OUTPUTS


cdef void end_group(Part *part, size item) noexcept nogil:
    if part.lost == NULL:
        return
    if part.outputs:
        cconv_rows_of(item).add_exactly(part.room, part.group, part.sums, part.lost)
    part.outputs = 0


cdef void block_sums(
    Part *part, cconv_few_taps_walk *s,
    const cython.floating *a,        # IN   the input, or its quads
    const cython.floating *dy,       # IN   (rows, columns, f), or pooled
    const unsigned char *argmax,     # IN   with dy, of windows of 2x2 outputs; or NULL
    size rows, size columns,         # outputs
) noexcept nogil:
    # In pieces of about GROUP_OUTPUTS outputs at most.
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
                few_taps_of(item).pooled_gradient(
                    s, high // side, a + i // side * s.row + j // side * s.column, dy + at, argmax + at,
                    part.outputs == 0, part.group)
            else:
                few_taps_of(item).gradient(s, high, a + i * s.row + j * s.column, dy + at, part.outputs == 0,
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
    cython.floating *lost,         # OUT  the same, or NULL if the part does not settle
    const FewTaps *g, const Pooling *pooling, size number,
    cython.floating *scratch,      # OUT  packed_size(g), then block_size(g)
) noexcept nogil:
    # Computes part `number`.
    cdef Part part
    cdef size item = sizeof(cython.floating), b, image, i, j, rows, count = 0
    cdef size blocks = g.n * g.bands, parts = parts_of(g, item), room = packed_size(g, item)
    cdef const cconv_pool *p = &pooling.windows
    cdef bint pooled = pooling.argmax != NULL, picks = pooled and halves(p)
    cdef size each = p.oh * p.ow * g.f if pooled else g.rows * g.columns * g.f
    cdef cconv_few_taps_walk s = quads_walk(g, p, &count) if picks else walk_of(g)
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
    for b in range(number * blocks // parts, (number + 1) * blocks // parts):
        image, i = b // g.bands, b % g.bands * g.band
        rows = least(g.band, g.rows - i)
        a = input_of(x, g, image, i, rows, copy)
        if picks:
            if rows > 1:
                few_taps_of(item).quads(height(g, rows // 2 * 2) - g.sh, count, g.stride, g.sw * g.c,
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
    const FewTaps *g, const Pooling *pooling, cython.floating *scratch, int threads,
) noexcept nogil:
    cdef size item = sizeof(cython.floating), parts = parts_of(g, item), room = packed_size(g, item)
    cdef size each = room + block_size(g, pooling.argmax != NULL), t
    cdef cython.floating *lost = scratch + parts * room
    cdef cython.floating *rest = lost + parts * room
    for t in prange(parts, num_threads=threads, schedule="dynamic"):
        part_task(x, dy, scratch + t * room, lost + t * room if settles(g, parts) else NULL, g, pooling, t,
                  rest + threadid() * each)
    if settles(g, parts):
        add_whole(scratch, scratch, lost, parts, room, room, item, threads)
    else:
        add_parts(scratch, scratch + room, parts - 1, room, room, item, threads)
    few_taps_of(item).unpack(g.kh * g.kw * g.c, g.f, scratch, dkernel, dbias)


def weight_gradient_scratch(x_shape, kernel_shape, conv_size, window, bint pooled, size item, int threads):
    """Return the elements of scratch of `weight_gradient`, or of its pooled form, on `threads` threads."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef FewTaps g = geometry(images_shaped(x_shape), kernel_shape[3], conv_size, w, False, item)
    cdef size room = packed_size(&g, item)
    return 2 * parts_of(&g, item) * room + threads * (room + block_size(&g, pooled))


def weight_gradient(
    const cython.floating[:, :, :, ::1] dy,   # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] x,    # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,    # OUT  (kh, kw, c, f)
    cython.floating[::1] dbias,               # OUT  (f)
    window,                                   # (strides, origin, dilation)
    cython.floating[::1] scratch,             # OUT  weight_gradient_scratch(...)
    int threads,
):
    """Gradient of forward(...) with respect to its kernel and bias."""
    cdef Window w = window_of(dkernel.shape[0], dkernel.shape[1], window)
    cdef FewTaps g = geometry(images_of(x.shape), dkernel.shape[3], (dy.shape[1], dy.shape[2]), w, False,
                              sizeof(cython.floating))
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
    conv_size, window,                         # of the convolution: (oh, ow), (strides, origin, dilation)
    pool,                                      # (kernel_size, strides, pads, dilation) of the pooling
    cython.floating[::1] scratch,              # OUT  weight_gradient_scratch(..., pooled=True)
    int threads,
):
    """Gradient of pool_forward(...) with respect to the kernel and bias."""
    cdef Window w = window_of(dkernel.shape[0], dkernel.shape[1], window)
    cdef FewTaps g = geometry(images_of(x.shape), dkernel.shape[3], conv_size, w, False,
                              sizeof(cython.floating))
    cdef Pooling pooling
    pooling.windows = pool_windows(g.rows, g.columns, g.f, dy.shape[1], dy.shape[2], pool)
    pooling.argmax = &argmax[0, 0, 0, 0]
    with nogil:
        sum_parts(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dkernel[0, 0, 0, 0], &dbias[0], &g, &pooling, &scratch[0],
                  threads)
