# The sum of the direct weight gradient, over blocks of the outputs of a batch:
#
#     dkernel[u, v, k, f] = sum over images, i, j of
#                               x[i*sh + u*dh - top, j*sw + v*dw - left, k] * dy[i, j, f]
#
# A block is some whole images, or a band of rows of one image, that fit into the cache.  A unit is one
# kernel row u of one group (and one column v, if the taps of a row are not contiguous), and a slice of its
# taps.  A task computes one part of the blocks for one share of the units, some blocks at a time: a group.
# If a part is one group, the sum of the group is that of the part; otherwise groups are added exactly.
#
# A chain of products ends after about CHAIN_OUTPUTS outputs.  The sums of GROUP_OUTPUTS outputs, or a few
# more, are added exactly (simd/rows/long_sum.h), and so are those of the bias.  Bands that reach over the
# image are copied, with zeros around them, into the thread's scratch.
cimport cython
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from cconv._kernels cimport (
    CCONV_ACCUMULATE,
    CCONV_BLOCK_BYTES,
    CHAIN_OUTPUTS,
    GROUP_OUTPUTS,
    Region,
    add_parts,
    add_whole,
    cconv_rows_of,
    cconv_sum,
    copy_padded,
    product,
)
from cconv._passes cimport ENOUGH_TASKS, Pass
from cconv._pools cimport Pooling, unpool
from cconv._sizes cimport ceil_div, least, most, size


cdef enum:
    BLOCK_BYTES = 307200     # most bytes of a block
    PARTIAL_BYTES = 8388608  # most bytes of the sums of all parts


cdef struct Sum:
    Pass p                   # the forward pass
    size n                   # images in all
    bint pooled              # whether dy is the gradient behind a max pooling
    Pooling pooling          # that pooling
    size band, bands         # output rows of a block, blocks of an image
    size images, blocks      # images of a block (1 if a block is a band), all blocks
    size group               # blocks of a group
    bint settles             # whether a part has several groups
    size parts, shares       # of the blocks, of the units: tasks are their product
    size columns             # kernel columns v that are units of their own
    size taps, slice, slices  # rows of dkernel in a kernel row or tap, in a unit; units of a row
    size units
    size kernel              # elements of dkernel


cdef inline size band_size(const Pass *p, size rows) noexcept nogil:
    # Elements of a band of input, with its padding, for `rows` output rows.
    cdef size height = (rows - 1) * p.sh + p.dh * (p.kh - 1) + 1
    return height * ((p.columns - 1) * p.sw + p.dw * (p.kw - 1) + 1) * p.c


cdef inline const cython.floating *band_of(
    const cython.floating *x,   # IN   (h, w, c)
    const Pass *p, size i, size rows,
    cython.floating *scratch,   # OUT  band_size(p, rows), if a copy is needed
    size *stride,               # OUT  elements from an input row to the next
) noexcept nogil:
    # Points to what tap (0, 0) of output row i, column 0 sees, for `rows` output rows.
    cdef size first = i * p.sh - p.top
    cdef size height = (rows - 1) * p.sh + p.dh * (p.kh - 1) + 1
    cdef size columns = (p.columns - 1) * p.sw + p.dw * (p.kw - 1) + 1
    if first >= 0 and first + height <= p.h and p.left <= 0 and columns - p.left <= p.w:
        stride[0] = p.w * p.c
        return x + (first * p.w - p.left) * p.c
    copy_padded(x, p.h, p.w, p.c, Region(first, height, p.left, columns), scratch)
    stride[0] = columns * p.c
    return scratch


cdef inline Sum gradient_sum(Pass p, size n, bint pooled, size item) noexcept nogil:
    cdef Sum s
    s.p, s.n, s.pooled = p, n, pooled
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


cdef inline size block_size(const Sum *s) noexcept nogil:
    # Elements of scratch of a block: its copy, if needed, and its dy, if that was pooled.
    cdef size pixels = s.band * s.p.columns if s.pooled else 0
    return s.images * (band_size(&s.p, s.band) + pixels * s.p.groups * s.p.fg)


# What a unit reads of a block: the number of images and output rows, and their distances in the input.
cdef struct Block:
    size images, rows, columns
    size stride, image_stride   # elements from an input row, and an image, to the next


cdef inline void chain_product(
    const cython.floating *a, const cython.floating *dy, cython.floating *dkernel, cconv_sum *t,
    const Block *block, size taps, size filters, int mode,
) noexcept nogil:
    # Sums the outputs of a block in chains of about CHAIN_OUTPUTS: whole images, rows, or pieces of a row.
    cdef size images = block.images, rows = block.rows, columns = block.columns, image = rows * columns
    cdef size across = ceil_div(columns, ceil_div(columns, CHAIN_OUTPUTS))
    cdef size down = least(most((CHAIN_OUTPUTS + columns // 2) // columns, 1), rows)
    cdef size deep = least(most((CHAIN_OUTPUTS + image // 2) // image, 1), images), n, i, j, k
    for n in range(ceil_div(images, deep) * ceil_div(rows, down) * ceil_div(columns, across)):
        k, i = n % ceil_div(columns, across) * across, n // ceil_div(columns, across)
        j, i = i % ceil_div(rows, down) * down, i // ceil_div(rows, down) * deep
        t.q, t.r, t.k = least(deep, images - i), least(down, rows - j), least(across, columns - k)
        if across == columns and t.ar == columns * t.ak:  # 1x1: an image is contiguous
            t.k, t.r = t.r * t.k, 1
        product(t, taps, filters, a + i * t.aq + j * t.ar + k * t.ak, dy + i * t.bq + j * t.br + k * t.bk,
                dkernel, <const cython.floating *>NULL, mode)
        mode = CCONV_ACCUMULATE


cdef inline size unit_at(const Sum *s, size unit, size *u, size *v, size *g, size *first) noexcept nogil:
    # Sets kernel row, column, group and first tap of a unit; returns where its sums lie in dkernel.
    first[0] = (unit % s.slices) * s.slice
    unit = unit // s.slices
    v[0], unit = unit % s.columns, unit // s.columns
    u[0], g[0] = unit % s.p.kh, unit // s.p.kh
    return (((u[0] * s.p.kw + v[0]) * s.p.cg + first[0]) * s.p.groups + g[0]) * s.p.fg


cdef inline void unit_product(
    const cython.floating *a,          # IN   input of the block
    const cython.floating *dy,         # IN   (images, rows, columns, f) of the block
    cython.floating *dkernel,          # OUT  (kh, kw, cg, f)
    const Sum *s, const Block *block, size unit, int mode,
) noexcept nogil:
    # One unit over one block.
    cdef const Pass *p = &s.p
    cdef size f = p.groups * p.fg, u = 0, v = 0, g = 0, first = 0
    cdef size at = unit_at(s, unit, &u, &v, &g, &first)
    cdef cconv_sum t
    t.aq, t.bq = block.image_stride, block.rows * p.columns * f
    t.ar, t.br = p.sh * block.stride, p.columns * f
    t.ak, t.bk = p.sw * p.c, f
    t.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    t.am, t.cm = 1, f
    chain_product(a + u * p.dh * block.stride + v * p.dw * p.c + g * p.cg + first, dy + g * p.fg,
                  dkernel + at, &t, block, least(s.slice, s.taps - first), p.fg, mode)


cdef inline void settle(
    const cython.floating *group,  # IN  (kh, kw, cg, f); the first one lies in sums, and nothing is lost yet
    cython.floating *sums, cython.floating *lost,  # IN, OUT  the same
    const Sum *s, size share,
) noexcept nogil:
    # sums, lost += group, exactly, for the units of this share.
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


cdef inline void block_task(
    const cython.floating *x, const cython.floating *dy,
    cython.floating *dkernel,          # OUT  (kh, kw, cg, f)
    cython.floating *biases,           # IN, OUT  (2, f): sums of dy and what was lost; or NULL
    const Sum *s, size number, size share, int mode,
    cython.floating *scratch,          # OUT  block_size(s)
) noexcept nogil:
    # One block, for one share of the units.
    cdef const Pass *p = &s.p
    cdef size f = p.groups * p.fg, unit, i, x_image = p.h * p.w * p.c
    cdef size image = (number // s.bands) * s.images, first = (number % s.bands) * s.band
    cdef Block block = Block(least(s.images, s.n - image), least(s.band, p.rows - first), p.columns, 0, 0)
    cdef const cython.floating *a = band_of(x + image * x_image, p, first, block.rows, scratch, &block.stride)
    cdef const cython.floating *d
    cdef cython.floating *spread
    block.image_stride = x_image if a != scratch else band_size(p, s.band)
    if a == scratch:
        for i in range(1, block.images):
            band_of(x + (image + i) * x_image, p, first, block.rows, scratch + i * block.image_stride,
                    &block.stride)
    if s.pooled:
        spread = scratch + s.images * band_size(p, s.band)
        for i in range(block.images):
            unpool(dy, &s.pooling, image + i, first, block.rows, spread + i * block.rows * p.columns * f)
        d = spread
    else:
        d = dy + ((image * p.rows + first) * p.columns) * f
    for unit in range(share * s.units // s.shares, (share + 1) * s.units // s.shares):
        unit_product(a, d, dkernel, s, &block, unit, mode)
    if biases != NULL:
        cconv_rows_of(sizeof(cython.floating)).add_columns(block.images * block.rows * p.columns, f, f, d,
                                                           biases, biases + f)


cdef inline void sum_task(
    const cython.floating *x, const cython.floating *dy,
    cython.floating *sums,             # OUT  (kh, kw, cg, f) of this part
    cython.floating *lost,             # OUT  the same, if the part settles
    cython.floating *biases,           # IN, OUT  (2, f) of this part, or NULL: another share sums them
    const Sum *s, size part, size share,
    cython.floating *scratch,          # OUT  block_size(s), then (kh, kw, cg, f) if the part settles
) noexcept nogil:
    cdef size start = part * s.blocks // s.parts, stop = (part + 1) * s.blocks // s.parts, b, k
    cdef cython.floating *group = scratch + block_size(s)
    cdef cython.floating *to
    for b in range(start, stop):
        k = b - start
        # The first group is summed in the part's sums themselves.
        to = group if s.settles and k >= s.group else sums
        block_task(x, dy, to, biases, s, b, share, CCONV_ACCUMULATE if k % s.group else 0, scratch)
        if s.settles and ((k + 1) % s.group == 0 or b + 1 == stop):
            settle(<const cython.floating *>to, sums, lost, s, share)


cdef inline size gradient_shared(const Sum *s) noexcept nogil:
    # Elements of scratch that all threads share: for all parts the sums of the bias, (2, f).  Then, if parts
    # settle, for all parts the sums of the kernel and what was lost; if not, the sums of parts 1, 2, ...
    cdef size kernels = 2 * s.parts if s.settles else s.parts - 1
    return s.parts * 2 * s.p.groups * s.p.fg + kernels * s.kernel


cdef inline size gradient_each(const Sum *s) noexcept nogil:
    # Elements of scratch of a thread.
    return block_size(s) + (s.kernel if s.settles else 0)


cdef inline size gradient_scratch(const Sum *s, int threads) noexcept nogil:
    return gradient_shared(s) + threads * gradient_each(s)


cdef inline void weight_gradient(
    const cython.floating *x, const cython.floating *dy, cython.floating *dkernel, cython.floating *dbias,
    const Sum *s,
    cython.floating *scratch,  # OUT  gradient_shared(s), then gradient_each(s) of each thread
    int threads,
) noexcept nogil:
    cdef size f = s.p.groups * s.p.fg, each = gradient_each(s), t, part, share
    cdef size item = sizeof(cython.floating)
    cdef cython.floating *kernels = scratch + s.parts * 2 * f
    cdef cython.floating *lost = kernels + s.parts * s.kernel
    cdef cython.floating *rest = scratch + gradient_shared(s)
    cdef cython.floating *sums
    memset(scratch, 0, s.parts * 2 * f * item)
    for t in prange(s.parts * s.shares, num_threads=threads, schedule="dynamic"):
        part, share = t // s.shares, t % s.shares
        if s.settles:
            sums = kernels + part * s.kernel
        else:
            # Part 0 is summed in the result itself.
            sums = dkernel if part == 0 else kernels + (part - 1) * s.kernel
        sum_task(x, dy, sums, lost + part * s.kernel if s.settles else NULL,
                 scratch + part * 2 * f if share == 0 else NULL, s, part, share, rest + threadid() * each)
    if s.settles:
        add_whole(dkernel, kernels, lost, s.parts, s.kernel, s.kernel, item, threads)
    else:
        add_parts(dkernel, kernels, s.parts - 1, s.kernel, s.kernel, item, threads)
    add_whole(dbias, scratch, scratch + f, s.parts, f, 2 * f, item, 1)
