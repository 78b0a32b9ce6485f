# winograd.pyx: convolutions of stride 1 by Winograd's minimal filtering, as parallel loops over the
# transforms of simd/winograd/tiles.h and the products of simd/product/product.h.
#
# Forward:
#
#     y = A^T [(G g G^T) * (B^T d B)] A    for every tile d of the input, `out` x `out` of the output
#
# with n = out + taps - 1.  The kernel is transformed to u (n^2, c, f), packed by blocks of filters, and
# tiles to v (n^2, tiles, c).  n^2 products m = v u give m (n^2, tiles, filters of a block), which is
# transformed back.  How the work is cut into tasks depends on the size of u, and changes no result: every
# output is one chain of sums over c.
#
#     by tiles    Each thread transforms the kernel for itself, because to wait for each other would
#                 take longer, and takes batches of tiles that fit its cache.  If the caller keeps u
#                 from call to call, the threads use that u, and meanwhile each compares its share of
#                 the kernel with a copy.  Only if the kernel turns out to differ, u is made again, and y
#                 too.
#     by blocks   A u larger than the cache would be read from memory again for every batch.  So the
#                 threads share v, of as many tiles as fit into SHARED_BYTES of the outer cache, and a
#                 task is a block of filters, whose kernel it transforms.  Only where the kernel never
#                 changes, u is kept here too: one image of ResNet-18 then takes two thirds of the time.
#
# The input gradient is the same with the kernel flipped and transposed.  If dy has fewer tiles than x, as
# behind a convolution without padding, the transpose of the algorithm takes fewer products.  It gives the
# gradient d' of a whole tile of the input from a tile e of dy:
#
#     d' = B [(G g G^T) * (Q e Q^T)] B^T
#
# Neighbouring d' overlap and add up.  Every value is the sum over the upper row of tiles plus the sum over
# the lower row, each from left to right.  So it is one sum, wherever rows are cut into tasks.
#
# Weight gradient:
#
#     dg = P^T [sum over tiles of (Q e Q^T) * (B^T d B)] P
#
# The sum over tiles is taken between the transforms: s (n^2, c, f) += v^T w.  The tiles are split
# into parts by shapes alone, each with its own s; these are added in order, and transformed
# once.  A chain of products ends with a batch of tiles.  A part of more than about GROUP_OUTPUTS outputs
# adds the sums of groups of that size exactly (simd/rows/long_sum.h).  Sums of the bias are always added so.
#
# Max pooling of 2x2 pixels behind the convolution cuts tiles of even width into whole windows: the
# output's transform then writes the pooled tile and its argmax, and the gradients' transforms
# spread the pooled gradient tile by tile.  The image between the two never exists in memory.
#
# Where the values of a tile differ so much that the rounding errors of some would spoil outputs that see
# only others, or are not finite, the sums of these outputs are computed directly (`kernels/uneven.pxd`).
# The transforms of the input notice such tiles; the transform back uses the sums that it is given.  The
# weight gradient leaves such tiles out of the sum, and adds them directly at the end.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memcmp, memcpy

from cconv._kernels cimport behind, cconv_join, cconv_winograd, crew_of_process
from cconv._sizes cimport Images, ceil_div, images_of, images_shaped, least, size
from cconv.kernels.uneven cimport EVEN, Block, Seen, Weak, direct_sums, weak_by_kernel
from cconv.kernels.winograd_tiles cimport (
    Spot,
    Tiles,
    block_of,
    count_taps,
    cut,
    given_at,
    kernel_task,
    kernel_tasks,
    level_of_block,
    levels_at,
    patch_at,
    places,
    products,
    rounded,
    seen_of,
    sizes_at,
    sizes_size,
    spot_of,
    step,
    thread_size,
    tiles_in,
    tiles_of,
    transforms,
    u_size,
    weak_at,
    weak_size,
)

cconv_join(crew_of_process())

cdef enum:
    HEAD = 16                # elements in front of the kept u
    GLANCE_BYTES = 1024      # bytes of a kernel that are compared before anything is computed


# What a call works on; for the input gradient x is dy, and y is dx.
cdef struct Pass:
    Tiles t
    const void *x            # (n, xh, xw, c)
    const unsigned char *x_argmax
    const void *kernel       # (taps, taps, c, f); for the input gradient (taps, taps, f, c)
    const void *bias         # (f) or NULL
    void *y                  # (n, yh, yw, f)
    unsigned char *y_argmax
    const void *positive     # (n, yh, yw, f) or NULL
    bint relu
    bint lasting             # whether the kernel never changes


cdef void give_direct(
    const Pass *p, Spot *s,  # IN, OUT  where the tile lies
    Weak weak, int level, size block,
    cython.floating *spare,  # OUT  as in `thread_size`
) noexcept nogil:
    # Computes the weak outputs of a tile directly, and gives them to the output's transform.
    cdef Tiles *t = <Tiles *>&p.t
    cdef Seen seen = seen_of(t, s)
    cdef Block b = block_of(t, block)
    cdef cython.floating *given = spare + given_at(t)
    cdef cython.floating *patch = spare + patch_at(t)
    weak = weak_by_kernel(&seen, weak, level)
    s.y.weak, s.y.empty, s.y.given = weak.weak, weak.empty, given
    if weak.weak == weak.empty:
        return
    s.x.channels, s.x.argmax = t.x.c, places(p.x_argmax, s.x_at)
    t.wino.patch(&s.x, seen.pixels, <const cython.floating *>p.x + s.x_at, patch)
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
    # Computes the outputs of tiles for a block of filters; level: of the block's kernel.
    cdef Tiles *t = <Tiles *>&p.t
    cdef const cython.floating *positive = <const cython.floating *>p.positive
    cdef const cython.floating *bias = behind(<const cython.floating *>p.bias, block * t.width)
    cdef cython.floating *y = <cython.floating *>p.y
    cdef size f = block * t.width, at, i
    cdef Spot spot = spot_of(t, first)
    spot.y.channels, spot.y.point = least(t.width, t.y.c - f), t.m
    products(v, u, t, count, spot.y.channels, m)
    for i in range(count):
        at = spot.y_at + f
        spot.y.argmax, spot.y.positive = places(p.y_argmax, at), behind(positive, at)
        if weak[i].weak or level != EVEN:
            give_direct(p, &spot, weak[i], level, block, spare)
        t.wino.output(&spot.y, m + i * t.width, y + at, bias, p.relu)
        step(t, &spot)


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
    cdef Weak *weak = <Weak *>(spare + weak_at(t))
    tiles_in(<const cython.floating *>p.x, p.x_argmax, v, weak, t, first, count,
             spare + patch_at(t))
    for j in range(t.blocks):
        tiles_out(p, <const cython.floating *>v, u + j * t.square * t.u, weak, first, count, j,
                  <int>levels[j], m, spare)


cdef void block_task(
    const Pass *p, const cython.floating *v,  # IN   (n^2, batch, c)
    const Weak *weak,                         # IN   (batch)
    const cython.floating *kept,              # IN   kept_size(...), or NULL: then the kernel is transformed
    size first, size block, size split,
    cython.floating *u,                       # OUT  (n^2, c, width)
    cython.floating *m,                       # OUT  (n^2, group, width)
    cython.floating *spare,                   # OUT  as in `thread_size`
) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size count = least(t.batch, t.count - first), stop = (split + 1) * count // t.splits, i
    cdef cython.floating *sizes = spare + sizes_at(t)
    cdef const cython.floating *known = u
    cdef int level
    if kept != NULL:
        known, level = kept + HEAD + block * t.square * t.u, <int>kept[kept_levels_at(t) + block]
    else:
        for i in range(t.strips):
            kernel_task(<const cython.floating *>p.kernel, u, t, block, i, spare, sizes)
        level = level_of_block(t, block, <const cython.floating *>sizes)
    i = split * count // t.splits
    while i < stop:
        tiles_out(p, v + i * t.x.c, known, weak + i, first + i, least(t.group, stop - i), block, level, m,
                  spare)
        i += t.group


cdef inline size shared_size(const Tiles *t, size item) noexcept nogil:
    # Elements of scratch that the threads share if tasks are blocks: v, and which outputs are weak.
    return t.square * t.v + weak_size(t, item) if t.by_blocks else 0


cdef void pass_by_blocks(const Pass *p, cython.floating *kept, cython.floating *scratch,
                         int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size item = sizeof(cython.floating), each = thread_size(t, item), first = 0, i
    cdef const cython.floating *v = scratch
    cdef Weak *weak = <Weak *>(scratch + t.square * t.v)
    cdef cython.floating *u = scratch + shared_size(t, item)
    cdef cython.floating *m = u + t.square * t.u
    cdef cython.floating *spare = m + t.square * t.m
    cdef cython.floating *patch = spare + patch_at(t)
    if kept != NULL and kept[0] != 1:
        keep_kernel(p, kept, threads)
    while first < t.count:
        for i in prange(least(t.batch, t.count - first), num_threads=threads, schedule="dynamic"):
            tiles_in(<const cython.floating *>p.x, p.x_argmax, scratch + i * t.x.c, weak + i, t, first + i, 1,
                     patch + threadid() * each)
        for i in prange(t.blocks * t.splits, num_threads=threads, schedule="dynamic"):
            block_task(p, v, weak, <const cython.floating *>kept, first, i // t.splits, i % t.splits,
                       u + threadid() * each, m + threadid() * each, spare + threadid() * each)
        first = first + t.batch


cdef void pass_by_tiles(const Pass *p, cython.floating *scratch, int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&p.t
    cdef size each = thread_size(t, sizeof(cython.floating)), i
    cdef const cython.floating *known = scratch
    cdef cython.floating *m = scratch + u_size(t)
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *spare = v + t.square * t.v
    cdef const cython.floating *levels = spare + levels_at(t)
    with parallel(num_threads=threads):
        kernel_tasks(<const cython.floating *>p.kernel, scratch + threadid() * each, t,
                     spare + threadid() * each)
        for i in prange(ceil_div(t.count, t.batch), schedule="dynamic"):
            tiles_task(p, known + threadid() * each, levels + threadid() * each, i * t.batch,
                       v + threadid() * each, m + threadid() * each, spare + threadid() * each)


# What is kept of a kernel from one call to the next: HEAD elements, whose first is 1 if anything is kept,
# else 0; u; the largest values of its blocks, and their levels; unless the kernel never changes, a copy of
# it, from which u was made.

cdef inline size kernel_size(const Tiles *t) noexcept nogil:
    return t.wino.taps * t.wino.taps * t.depth * t.columns


cdef inline size copy_at(const Tiles *t) noexcept nogil:
    return kept_levels_at(t) + rounded(t.blocks)


cdef inline size kept_levels_at(const Tiles *t) noexcept nogil:
    return HEAD + u_size(t) + t.blocks * sizes_size(t)


cdef inline bint differs(const Pass *p, const cython.floating *kept, size first, size stop) noexcept nogil:
    # Whether these elements of the kernel differ, in any bit, from those of the copy.
    return not p.lasting and memcmp(<const cython.floating *>p.kernel + first,
                                    kept + copy_at(&p.t) + first,
                                    (stop - first) * sizeof(cython.floating)) != 0


cdef void keep_kernel(
    const Pass *p,
    cython.floating *kept,  # OUT  kept_size(...)
    int threads,
) noexcept nogil:
    # If there is a copy, u is made from it: the two belong together, even if somebody writes into the kernel
    # meanwhile.
    cdef const Tiles *t = &p.t
    cdef const cython.floating *kernel = <const cython.floating *>p.kernel
    cdef size i
    if not p.lasting:
        memcpy(kept + copy_at(t), kernel, kernel_size(t) * sizeof(cython.floating))
        kernel = kept + copy_at(t)
    for i in prange(t.blocks * t.strips, num_threads=threads, schedule="dynamic"):
        kernel_task(kernel, kept + HEAD + i // t.strips * t.square * t.u, t,
                    i // t.strips, i % t.strips, <cython.floating *>NULL,
                    <cython.floating *>NULL)
    for i in prange(t.blocks, num_threads=threads, schedule="dynamic"):
        keep_level(t, kernel, i, kept)
    kept[0] = 1


cdef void keep_level(const Tiles *t, const cython.floating *kernel, size block,
                     cython.floating *kept) noexcept nogil:
    cdef size taps = t.wino.taps * t.wino.taps, filters = least(t.width, t.columns - block * t.width)
    cdef cython.floating *sizes = kept + HEAD + u_size(t) + block * sizes_size(t)
    t.wino.kernel_sizes(taps, t.depth, filters, t.depth * t.columns, t.columns, True,
                        kernel + block * t.width, sizes)
    kept[kept_levels_at(t) + block] = level_of_block(t, block, <const cython.floating *>sizes)


cdef bint pass_with_kept(
    const Pass *p,
    const cython.floating *kept,  # IN   kept_size(...)
    cython.floating *scratch, int threads,
) noexcept nogil:
    # Returns whether the kernel equals the copy; if not, y is not valid.
    cdef Tiles *t = <Tiles *>&p.t
    cdef size each = thread_size(t, sizeof(cython.floating)), tasks = ceil_div(t.count, t.batch)
    cdef size n = kernel_size(t), i, changed = 0
    cdef cython.floating *m = scratch + u_size(t)
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *spare = v + t.square * t.v
    for i in prange(tasks, num_threads=threads, schedule="dynamic"):
        changed += differs(p, kept, i * n // tasks, (i + 1) * n // tasks)
        tiles_task(p, kept + HEAD, kept + kept_levels_at(t), i * t.batch, v + threadid() * each,
                   m + threadid() * each, spare + threadid() * each)
    return changed == 0


cdef void pass_by_kept(const Pass *p, cython.floating *kept, cython.floating *scratch,
                       int threads) noexcept nogil:
    # If a kernel was trained, its first GLANCE_BYTES nearly always differ; if only later ones do, y is made
    # twice.
    cdef size glance = least(GLANCE_BYTES // sizeof(cython.floating), kernel_size(&p.t))
    if kept[0] != 1 or differs(p, kept, 0, glance):
        keep_kernel(p, kept, threads)
    if not pass_with_kept(p, kept, scratch, threads):
        keep_kernel(p, kept, threads)
        pass_with_kept(p, kept, scratch, threads)


def kept_size(kernel_shape, size tile, size item, bint lasting):
    """Return how many elements `forward` keeps of a kernel, or 0; the first must be 0 at the first call.

    `lasting`: whether the kernel never changes.
    """
    taps, _, c, f = kernel_shape
    cdef Tiles t = tiles_of(transforms(tile, taps, item), Images(1, tile, tile, c), False,
                            Images(1, tile, tile, f), False)
    cut(&t, item, 1, False)
    if lasting:
        return copy_at(&t)
    return 0 if t.by_blocks else copy_at(&t) + kernel_size(&t)


cdef Pass pass_of(const cconv_winograd *wino, Images x, bint x_pooled, Images y, bint y_pooled, origin,
                  size item, int threads):
    # A pass that has no arrays yet; origin: (top, left) padding.
    cdef Pass p
    p.t = tiles_of(wino, x, x_pooled, y, y_pooled)
    p.t.top, p.t.left = origin
    cut(&p.t, item, threads, False)
    p.x_argmax, p.bias, p.y_argmax, p.positive, p.relu = NULL, NULL, NULL, NULL, False
    p.lasting = False
    return p


cdef Pass gradient_pass_of(const cconv_winograd *wino, Images dy, bint pooled, Images dx, origin, size item,
                           int threads):
    # The pass of the input gradient: of dy, with the opposite padding and the flipped kernel.
    cdef Pass p = pass_of(wino, dy, pooled, dx, False, origin, item, threads)
    p.t.top, p.t.left = wino.taps - 1 - p.t.top, wino.taps - 1 - p.t.left
    p.t.swapped = p.t.flipped = True
    return p


cdef size scratch_of(const Tiles *t, size item, int threads) noexcept nogil:
    return shared_size(t, item) + threads * thread_size(t, item)


cdef void run(const Pass *p, cython.floating *kept, cython.floating *scratch, int threads) noexcept nogil:
    # kept: as in `forward`, or NULL.
    if p.t.by_blocks:
        pass_by_blocks(p, kept, scratch, threads)
    elif kept != NULL:
        pass_by_kept(p, kept, scratch, threads)
    else:
        pass_by_tiles(p, scratch, threads)


def forward_scratch(x_shape, y_shape, bint pooled, size tile, size taps, size item, int threads):
    """Return the elements of scratch that `forward` takes on `threads` threads; `pooled`: whether y is."""
    cdef Pass p = pass_of(transforms(tile, taps, item), images_shaped(x_shape), False, images_shaped(y_shape),
                          pooled, (0, 0), item, threads)
    return scratch_of(&p.t, item, threads)


def forward(
    const cython.floating[:, :, :, ::1] x,         # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,    # IN   (taps, taps, c, f)
    const cython.floating[::1] bias,               # IN   (f) or None
    cython.floating[:, :, :, ::1] y,               # OUT  (n, oh, ow, f)
    unsigned char[:, :, :, ::1] argmax,            # OUT  (n, oh, ow, f) if y is to be pooled, or None
    conv_size,                                     # (height, width) of y before pooling
    size tile, origin, bint relu,                  # origin: (top, left) padding
    cython.floating[::1] kept,                     # IN, OUT  kept_size(...), from call to call, or None
    bint lasting,                                  # whether the kernel is the same at every call
    cython.floating[::1] scratch,                  # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`, by tiles of `tile` x `tile` outputs.

    With `argmax`, y is pooled.  If the same kernel comes again with the same `kept`, it is not transformed
    again; if it is `lasting` it is not even compared.
    """
    cdef const cconv_winograd *wino = transforms(tile, kernel.shape[0], sizeof(cython.floating))
    cdef Pass p = pass_of(wino, images_of(x.shape), False, images_of(y.shape), argmax is not None, origin,
                          sizeof(cython.floating), threads)
    cdef cython.floating *known = NULL
    count_taps(&p.t, x.shape[1], x.shape[2], conv_size[0], conv_size[1], False)
    p.x, p.kernel, p.y, p.relu = &x[0, 0, 0, 0], &kernel[0, 0, 0, 0], &y[0, 0, 0, 0], relu
    p.lasting = lasting
    if bias is not None:
        p.bias = &bias[0]
    if argmax is not None:
        p.y_argmax = &argmax[0, 0, 0, 0]
    if kept is not None:
        known = &kept[0]
    with nogil:
        run(&p, known, &scratch[0], threads)


def input_gradient_scratch(dy_shape, bint pooled, dx_shape, size tile, size taps, size item, int threads):
    """Return the elements of scratch that `input_gradient` takes on `threads` threads."""
    cdef Pass p = gradient_pass_of(transforms(tile, taps, item), images_shaped(dy_shape), pooled,
                                   images_shaped(dx_shape), (0, 0), item, threads)
    return scratch_of(&p.t, item, threads)


def input_gradient(
    const cython.floating[:, :, :, ::1] dy,        # IN   (n, oh, ow, f)
    const unsigned char[:, :, :, ::1] argmax,      # IN   (n, oh, ow, f) if dy is pooled, or None
    const cython.floating[:, :, :, ::1] kernel,    # IN   (taps, taps, c, f)
    const cython.floating[:, :, :, ::1] positive,  # IN   (n, h, w, c), the ReLU's output, or None
    cython.floating[:, :, :, ::1] dx,              # OUT  (n, h, w, c)
    conv_size,                                     # (height, width) of dy before pooling
    size tile, origin,                             # origin: (top, left) padding of the convolution
    cython.floating[::1] scratch,                  # OUT  input_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its input: a convolution of dy, by tiles of dx.

    With `argmax`, dy is the gradient of the pooled output.  With `positive`, dx is zero where `positive` is
    not above zero.
    """
    cdef const cconv_winograd *wino = transforms(tile, kernel.shape[0], sizeof(cython.floating))
    cdef Pass p = gradient_pass_of(wino, images_of(dy.shape), argmax is not None, images_of(dx.shape), origin,
                                   sizeof(cython.floating), threads)
    count_taps(&p.t, conv_size[0], conv_size[1], dx.shape[1], dx.shape[2], False)
    p.x, p.kernel, p.y = &dy[0, 0, 0, 0], &kernel[0, 0, 0, 0], &dx[0, 0, 0, 0]
    if argmax is not None:
        p.x_argmax = &argmax[0, 0, 0, 0]
    if positive is not None:
        p.positive = &positive[0, 0, 0, 0]
    with nogil:
        run(&p, <cython.floating *>NULL, &scratch[0], threads)
