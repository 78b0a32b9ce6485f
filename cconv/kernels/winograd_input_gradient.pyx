# winograd_input_gradient.pyx: the input gradient by tiles of dy; `winograd.pyx` has the formulas.
#
# A task is a range of rows of tiles.  If it begins within an image, its first row also adds to rows of x
# that the task before writes.  These shares are kept aside, and added when all tasks are done.
cimport cython
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memset

from cconv._kernels cimport (
    CCONV_MAYBE_TINY,
    CCONV_MAYBE_UNEVEN,
    behind,
    cconv_join,
    cconv_rows_of,
    cconv_seam,
    cconv_usual,
    cconv_winograd,
    crew_of_process,
)
from cconv._sizes cimport Images, ceil_div, images_of, images_shaped, least, most, size
from cconv.kernels.uneven cimport EVEN, Block, Seen, Weak, direct_sums, unseen, weak_by_kernel
from cconv.kernels.winograd_tiles cimport (
    Spot,
    Tiles,
    block_of,
    count_taps,
    cut,
    examine,
    given_at,
    kernel_tasks,
    levels_at,
    patch_at,
    nothing_yet,
    places,
    products,
    rounded,
    spot_of,
    step,
    thread_size,
    tiles_of,
    transforms,
    weak_at,
)

cconv_join(crew_of_process())


cdef struct Back:
    Tiles t                  # x of the forward pass is dx, y is dy
    size over                # pixels by which neighbours overlap
    size carry, aside        # elements that a row of tiles, and a task, keep for the overlap
    size wide, high          # the part of dx that tiles reach; the rest is zero
    const void *dy           # (n, yh, yw, f)
    const unsigned char *argmax
    const void *kernel       # (taps, taps, c, f)
    const void *positive     # (n, h, w, c) or NULL
    void *dx                 # (n, h, w, c)


cdef Back back_of(const cconv_winograd *wino, Images dy, bint pooled, Images dx, origin, size item,
                  int threads):
    # origin: (top, left) padding.
    cdef Back b
    b.t = tiles_of(wino, dx, False, dy, pooled)
    b.t.top, b.t.left = origin
    b.t.swapped = True
    cut(&b.t, item, threads, True)
    b.over = wino.taps - 1
    b.carry = b.over * (wino.out + b.over) * b.t.width
    b.aside = rounded(b.over * dx.w * dx.c)
    b.high = least(dx.h, b.t.down * wino.out + b.over - b.t.top)
    b.wide = least(dx.w, b.t.across * wino.out + b.over - b.t.left)
    return b


cdef size back_each(const Back *b, size item) noexcept nogil:
    # Elements of scratch of a thread: those of `thread_size`, and what rows of tiles carry.
    return thread_size(&b.t, item) + b.t.blocks * b.carry


cdef void clear_rest(cython.floating *dx, const Back *b) noexcept nogil:
    # Clears the part of an image that no tile reaches.
    cdef const Tiles *t = &b.t
    cdef size i
    for i in range(b.high):
        memset(dx + (i * t.x.w + b.wide) * t.x.c, 0, (t.x.w - b.wide) * t.x.c * sizeof(cython.floating))
    memset(dx + b.high * t.x.w * t.x.c, 0, (t.x.h - b.high) * t.x.w * t.x.c * sizeof(cython.floating))


cdef inline Seen seen_back(const Tiles *t, const Spot *at) noexcept nogil:
    # What the pixels of x see of a tile of dy.  Pixels that see every tap see them in several tiles.
    cdef Seen s
    cdef size taps = t.wino.taps, i = t.top - at.x.r0, j = t.left - at.x.c0
    s.sums, s.pixels, s.taps, s.sign = t.wino.out + taps - 1, t.wino.out, taps, -1
    s.rows = s.columns = s.sums
    s.r0, s.r1, s.c0, s.c1 = 0, at.y.r1, 0, at.y.c1
    s.whole_r0, s.whole_r1 = taps - 1 - i, t.out_h - i
    s.whole_c0, s.whole_c1 = taps - 1 - j, t.out_w - j
    return s


cdef void give_shares(
    const Back *b, Spot *s,  # IN, OUT  where the tile lies
    Weak weak, int level, size block,
    cython.floating *spare,  # OUT  as in `thread_size`
) noexcept nogil:
    # As `give_direct`: what a tile of dy adds to pixels of x that see little of the tile.
    cdef Tiles *t = <Tiles *>&b.t
    cdef Seen seen = seen_back(t, s)
    cdef Block columns = block_of(t, block)
    cdef cython.floating *given = spare + given_at(t)
    cdef cython.floating *patch = spare + patch_at(t)
    weak = weak_by_kernel(&seen, weak, level)
    s.x.weak, s.x.empty, s.x.given = weak.weak, weak.empty, given
    if weak.weak == weak.empty:
        return
    s.y.channels, s.y.argmax = t.depth, places(b.argmax, s.y_at)
    t.wino.patch(&s.y, seen.pixels, <const cython.floating *>b.dy + s.y_at, patch)
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
    # Tiles from `first` on; the task begins with tile `start`.
    cdef Tiles *t = <Tiles *>&b.t
    cdef size c = block * t.width, i, at
    cdef int level = <int>spare[levels_at(t) + block]
    cdef cython.floating *dx = <cython.floating *>b.dx
    cdef cconv_seam seam
    cdef Spot spot = spot_of(t, first)
    spot.x.channels, spot.x.point, spot.x.argmax = least(t.width, t.columns - c), t.m, NULL
    seam.carry = carry
    for i in range(first, first + count):
        at = spot.x_at + c
        seam.first, seam.last = spot.across == 0, spot.across + 1 == t.across
        seam.add = spot.down > 0 and i >= start + t.across
        seam.top = dx + at
        if spot.down > 0 and not seam.add:
            seam.top = aside + (c - spot.x.c0 * t.x.c)
        spot.x.positive = behind(<const cython.floating *>b.positive, at)
        if weak[i - first].weak or level != EVEN:
            give_shares(b, &spot, weak[i - first], level, block, spare)
        t.wino.scatter(&spot.x, &seam, m + (i - first) * t.width, dx + at)
        step(t, &spot)


cdef void gradients_in(
    const Back *b,
    Weak *weak,              # OUT  (count)
    size first, size count,
    cython.floating *v,      # OUT  (n^2, batch, depth)
    cython.floating *patch,  # OUT  (out^2, depth)
) noexcept nogil:
    # Transforms tiles of dy.
    cdef Tiles *t = <Tiles *>&b.t
    cdef const cython.floating *dy = <const cython.floating *>b.dy
    cdef size i
    cdef Seen seen
    cdef Spot spot = spot_of(t, first)
    cdef cconv_usual usual = nothing_yet()
    cdef bint dropped
    cdef int glance
    spot.y.channels, spot.y.point, spot.y.usual = t.depth, t.v, &usual
    for i in range(count):
        spot.y.argmax = places(b.argmax, spot.y_at)
        weak[i].weak = weak[i].empty = 0
        # Pixels that pooling drops count as zeros of dy, because such zeros would have been examined.
        dropped = t.ys and (spot.y.r1 < t.wino.out or spot.y.c1 < t.wino.out)
        glance = t.wino.gradient(&spot.y, dy + spot.y_at, v + i * t.depth, NULL)
        if glance or dropped:
            seen = seen_back(t, &spot)
            if glance & CCONV_MAYBE_UNEVEN or (dropped and glance & CCONV_MAYBE_TINY):
                weak[i] = examine(&seen, t.wino, &spot.y, dy + spot.y_at, patch)
            elif dropped:
                weak[i] = unseen(&seen)
        step(t, &spot)


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
    cdef Weak *weak = <Weak *>(spare + weak_at(t))
    for i in range(first, stop):
        if i % t.down == 0:
            clear_rest(<cython.floating *>b.dx + i // t.down * t.x.h * t.x.w * t.x.c, b)
    first, stop = start, stop * t.across
    while first < stop:
        count = least(t.batch, stop - first)
        gradients_in(b, weak, first, count, v, spare + patch_at(t))
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
    # Adds what the first row of tiles of a task gives to the rows above its own.
    cdef const Tiles *t = &b.t
    cdef size i, first = row % t.down * t.wino.out - t.top
    cdef cython.floating *dx = <cython.floating *>b.dx + row // t.down * t.x.h * t.x.w * t.x.c
    for i in range(most(first, 0), least(first + b.over, t.x.h)):
        cconv_rows_of(sizeof(cython.floating)).add(
            b.wide * t.x.c, aside + (i - first) * t.x.w * t.x.c, NULL, dx + i * t.x.w * t.x.c, 0)


cdef void scatter_rows(const Back *b, cython.floating *scratch, int threads) noexcept nogil:
    cdef Tiles *t = <Tiles *>&b.t
    cdef size each = back_each(b, sizeof(cython.floating)), rows = ceil_div(t.count, t.across), i
    cdef cython.floating *u = scratch + threads * b.aside
    cdef cython.floating *m = u + t.square * t.blocks * t.u
    cdef cython.floating *v = m + t.square * t.m
    cdef cython.floating *spare = v + t.square * t.v
    cdef cython.floating *carry = u + thread_size(t, sizeof(cython.floating))
    with parallel(num_threads=threads):
        kernel_tasks(<const cython.floating *>b.kernel, u + threadid() * each, t,
                     spare + threadid() * each)
        for i in prange(threads, schedule="dynamic"):
            scatter_task(b, <const cython.floating *>(u + threadid() * each), i * rows // threads,
                         (i + 1) * rows // threads, m + threadid() * each, v + threadid() * each,
                         carry + threadid() * each, scratch + i * b.aside, spare + threadid() * each)
    for i in range(1, threads):
        if i * rows // threads % t.down > 0 and i * rows // threads < (i + 1) * rows // threads:
            add_aside(b, <const cython.floating *>(scratch + i * b.aside), i * rows // threads)


def input_gradient_scratch(dy_shape, bint pooled, dx_shape, size tile, size taps, size item, int threads):
    """Return the elements of scratch that `input_gradient` takes on `threads` threads."""
    cdef Back b = back_of(transforms(tile, taps, item), images_shaped(dy_shape), pooled,
                          images_shaped(dx_shape), (0, 0), item, threads)
    return threads * (b.aside + back_each(&b, item))


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
    """Gradient of a convolution with respect to its input, by tiles of dy.

    With `argmax`, dy is the gradient of the pooled output.  With `positive`, dx is zero where `positive` is
    not above zero.
    """
    cdef bint pooled = argmax is not None
    cdef const cconv_winograd *wino = transforms(tile, kernel.shape[0], sizeof(cython.floating))
    cdef Back b = back_of(wino, images_of(dy.shape), pooled, images_of(dx.shape), origin,
                          sizeof(cython.floating), threads)
    count_taps(&b.t, dx.shape[1], dx.shape[2], conv_size[0], conv_size[1], True)
    b.dy, b.kernel, b.dx = &dy[0, 0, 0, 0], &kernel[0, 0, 0, 0], &dx[0, 0, 0, 0]
    b.argmax, b.positive = NULL, NULL
    if pooled:
        b.argmax = &argmax[0, 0, 0, 0]
    if positive is not None:
        b.positive = &positive[0, 0, 0, 0]
    with nogil:
        scatter_rows(&b, &scratch[0], threads)
