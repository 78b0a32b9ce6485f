# winograd_weight_gradient.pyx: the gradient of kernel and bias; `winograd.pyx` has the formulas.
#
# A task sums one part of the tiles, for one slice of the channels and one of the filters, so that
# its sum stays in the cache; slices of the same part transform the same tiles again.  If there is
# only one part, the task also transforms its sum, which no other task needs.  Tiles that
# pooling does not see have no gradient and are left out.  The batches, and so all sums, are
# the same as with these tiles of zeros, if x is finite.  Uneven tiles are left out too, and marked;
# their products are added to the sum of all the others, tile by tile.
cimport cython
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.string cimport memchr, memset

from cconv._kernels cimport (
    CCONV_ACCUMULATE,
    CCONV_BLOCK_BYTES,
    CCONV_OUTPUT_RANGE,
    CCONV_WINOGRAD_RANGE,
    GROUP_OUTPUTS,
    add_whole,
    cconv_join,
    cconv_rows_of,
    cconv_sum,
    cconv_tile,
    cconv_usual,
    cconv_winograd,
    crew_of_process,
    product,
)
from cconv._rows cimport cconv_rows
from cconv._sizes cimport Images, ceil_div, images_of, images_shaped, least, most, size
from cconv.kernels.uneven cimport Seen, is_moderate, is_uneven, largest_of
from cconv.kernels.winograd_tiles cimport (
    PAD,
    Spot,
    Tiles,
    count_taps,
    cut,
    nothing_yet,
    places,
    rounded,
    seen_of,
    spot_of,
    step,
    tiles_of,
    transforms,
)

cconv_join(crew_of_process())

cdef enum:
    SUM_BYTES = 458752       # of the transformed x and dy of a part
    SLICE = 64               # most channels, and filters, of a slice of the weight gradient
    TILES_OF_CHAIN = 16      # uneven tiles whose products are one chain
    TILES_OF_BIAS = 16      # tiles whose sums of dy are one chain
    PARTIAL_BYTES = 4194304  # most bytes of the sums of all parts


cdef double SLACK = 1.0001  # for the rounding of sums of squares


cdef struct Sum:
    Tiles t                  # of x and, in place of y, dy
    const void *x            # (n, xh, xw, c)
    const void *dy           # (n, yh, yw, f)
    const unsigned char *argmax  # of dy if that is pooled, or NULL
    size w                   # elements from one point to the next, of w
    size cs, fs              # channels and filters of a slice
    size across, slices      # slices of the filters; all slices
    size parts               # of the tiles
    size group               # tiles that are summed before their sum is added exactly
    bint settles             # whether a part has several groups
    size each, whole         # elements of the sum of a slice; of a part, which is all its slices


cdef Sum sum_of(Tiles t, size item) noexcept nogil:
    cdef Sum s
    s.t = t
    s.cs = least(t.x.c, ceil_div(ceil_div(t.x.c, ceil_div(t.x.c, SLICE)), 16) * 16)
    s.fs = least(t.y.c, ceil_div(ceil_div(t.y.c, ceil_div(t.y.c, SLICE)), 16) * 16)
    s.across = ceil_div(t.y.c, s.fs)
    s.slices = ceil_div(t.x.c, s.cs) * s.across
    s.t.batch = least(most(SUM_BYTES // (t.square * (s.cs + s.fs) * item), 8), t.count)
    s.t.v, s.w = s.t.batch * s.cs + PAD, s.t.batch * s.fs + PAD
    s.each = t.square * s.cs * s.fs
    s.whole = s.slices * s.each
    s.parts = 1
    while (s.parts < 16 and s.parts * 2 * s.t.batch <= t.count
           and s.parts * 2 * (s.whole + t.y.c) * item <= PARTIAL_BYTES):
        s.parts *= 2
    s.group = ceil_div(GROUP_OUTPUTS, s.t.batch) * s.t.batch
    s.settles = ceil_div(t.count, s.parts) > s.group
    return s


# A slice: its first channel and first filter, and the number of each.
cdef struct Slice:
    size c, f, channels, filters


cdef inline Slice slice_of(const Sum *s, size number) noexcept nogil:
    cdef size c = (number // s.across) * s.cs, f = (number % s.across) * s.fs
    return Slice(c, f, least(s.cs, s.t.x.c - c), least(s.fs, s.t.y.c - f))


cdef void add_bias(cython.floating *biases, size f, size filters) noexcept nogil:
    # biases (3, f): adds the chain of sums to the sums and what was lost, and begins a new chain.
    cconv_rows_of(sizeof(cython.floating)).add_exactly(filters, biases, biases + f, biases + 2 * f)
    memset(biases, 0, filters * sizeof(cython.floating))


cdef inline size patches_size(const Sum *s) noexcept nogil:
    # Elements of scratch for one tile of x, one of dy, and the sums of the uneven tiles.
    return tiles_size(s) + 3 * apart_size(s)


cdef inline size tiles_size(const Sum *s) noexcept nogil:
    return rounded(s.t.square * s.cs + s.t.wino.out * s.t.wino.out * s.fs)


cdef inline size apart_size(const Sum *s) noexcept nogil:
    # Elements of the sum of a slice: (taps, taps, cs, fs).
    return rounded(s.t.wino.taps * s.t.wino.taps * s.cs * s.fs)


cdef inline size settling_size(const Sum *s) noexcept nogil:
    # Elements of scratch for the sum of a group and what was lost, if a part has several groups.
    return 2 * s.each if s.settles else 0


cdef inline size marks_size(const Sum *s, size item) noexcept nogil:
    # Elements of scratch that hold a byte for each slice and tile.
    return rounded(ceil_div(s.slices * s.t.count, item))


cdef bint stands_apart(
    const Sum *s, const Spot *at,
    const cython.floating *x, const cython.floating *dy,  # IN   where the tiles lie
    cython.floating *patches,                             # OUT  patches_size(s)
) noexcept nogil:
    cdef const cconv_winograd *wino = s.t.wino
    cdef size n = wino.out + wino.taps - 1, out = wino.out
    cdef double[36] x_sizes
    cdef double[16] dy_sizes
    cdef Seen seen = seen_of(&s.t, at)
    wino.patch(&at.x, n, x, patches)
    wino.sizes(n * n, at.x.channels, patches, &x_sizes[0])
    wino.patch(&at.y, out, dy, patches)
    wino.sizes(out * out, at.y.channels, patches, &dy_sizes[0])
    return is_uneven(&seen, &x_sizes[0], &dy_sizes[0], sizeof(cython.floating))


cdef bint reach(const cconv_winograd *wino, const cconv_tile *t, size side, const size *seen,
                const cython.floating *x, double share, bint all_of_them) noexcept nogil:
    # Whether all, or any, of these pixels or windows reach `share` of the largest value of the tile (`side`
    # pixels wide): first of a bound that usually holds, then of the true largest value.
    cdef size[4] inside
    if wino.reaches(t, seen, x, share * SLACK * sqrt(t.squares[0]), all_of_them):
        return True
    t.usual.top = 0
    if all_of_them and not wino.reaches(t, seen, x, 0, True):  # not even above zero
        return False
    inside[0], inside[1] = most(t.r0, 0), least(t.r1, side)
    inside[2], inside[3] = most(t.c0, 0), least(t.c1, side)
    if t.argmax != NULL:
        inside[1], inside[3] = inside[1] >> 1, inside[3] >> 1
    return wino.reaches(t, seen, x, share * wino.top(t, inside, x), all_of_them)


cdef bint dy_reaches(const Sum *s, const cconv_tile *t, const cython.floating *dy) noexcept nogil:
    # Whether every pixel of a tile of dy, except in its last row and column, is large.  Then every tap sees
    # enough if each quarter of x holds something large: in some quarter, the tap meets only those pixels.
    cdef size side = s.t.wino.out - 1
    cdef size[4] region
    if side < 2 or t.argmax != NULL or t.r1 < side or t.c1 < side:
        return False
    region[0], region[1], region[2], region[3] = 0, side, 0, side
    return s.t.wino.reaches(t, region, dy, SLACK * sqrt(t.squares[0]) / CCONV_OUTPUT_RANGE, True)


cdef bint reaches_all(
    const Sum *s, const Spot *at,
    const cython.floating *x, const cython.floating *dy,  # IN   where the tiles lie
) noexcept nogil:
    # Whether every tap surely sees enough.  A quick look, which may say no where `is_uneven` says no too.
    cdef const cconv_winograd *wino = s.t.wino
    cdef size[4] seen       # rows and columns of x that any tap sees
    cdef size[4] whole      # outputs of dy all of whose taps are inside the image
    cdef double share = 1.0 / CCONV_WINOGRAD_RANGE
    cdef size n = wino.out + wino.taps - 1
    seen[0], seen[1] = most(at.x.r0, 0), least(at.x.r1, at.y.r1 + wino.taps - 1)
    seen[2], seen[3] = most(at.x.c0, 0), least(at.x.c1, at.y.c1 + wino.taps - 1)
    if (seen[0] == 0 and seen[2] == 0 and seen[1] == at.y.r1 + wino.taps - 1
            and seen[3] == at.y.c1 + wino.taps - 1):
        # The largest value of dy meets all taps.
        return reach(wino, &at.x, n, seen, x, share, True)
    whole[0], whole[1] = seen[0], seen[1] - wino.taps + 1
    whole[2], whole[3] = seen[2], seen[3] - wino.taps + 1
    if at.y.argmax != NULL:  # windows all of whose places are such outputs
        whole[0], whole[1] = (whole[0] + 1) >> 1, whole[1] >> 1
        whole[2], whole[3] = (whole[2] + 1) >> 1, whole[3] >> 1
    if whole[0] >= whole[1] or whole[2] >= whole[3]:
        return False
    return (reach(wino, &at.y, wino.out, whole, dy, 1.0 / CCONV_OUTPUT_RANGE, False)
            and reach(wino, &at.x, n, seen, x, CCONV_OUTPUT_RANGE * share, True))


cdef void add_apart(
    const unsigned char *apart,  # IN   (tiles) of the slice
    cython.floating *dkernel,    # IN, OUT  (taps, taps, c, f)
    const Sum *s, Slice of,
    cython.floating *patches,    # OUT  patches_size(s)
) noexcept nogil:
    # Adds the products of the uneven tiles, for one slice: chains of TILES_OF_CHAIN tiles, which are then
    # added exactly.
    cdef size n = s.t.wino.out + s.t.wino.taps - 1, each = apart_size(s), item = sizeof(cython.floating)
    cdef size channels = of.channels, count = 0, i
    cdef const cython.floating *x = <const cython.floating *>s.x + of.c
    cdef const cython.floating *dy = <const cython.floating *>s.dy + of.f
    cdef cython.floating *second = patches + s.t.square * s.cs
    cdef cython.floating *chain = patches + tiles_size(s)
    cdef cython.floating *total = chain + each
    cdef cython.floating *lost = total + each
    cdef const cconv_rows *rows = cconv_rows_of(item)
    cdef Spot spot
    if memchr(apart, 1, s.t.count) == NULL:
        return
    memset(chain, 0, 3 * each * item)
    for i in range(s.t.count):
        if not apart[i]:
            continue
        spot = spot_of(&s.t, i)
        spot.x.channels, spot.x.argmax = channels, NULL
        spot.y.channels, spot.y.argmax = of.filters, places(s.argmax, spot.y_at + of.f)
        s.t.wino.patch(&spot.x, n, x + spot.x_at, patches)
        s.t.wino.patch(&spot.y, s.t.wino.out, dy + spot.y_at, second)
        add_tile(s, &spot, <const cython.floating *>patches, <const cython.floating *>second, chain)
        count += 1
        if count % TILES_OF_CHAIN == 0:
            rows.add_exactly(each, chain, total, lost)
            memset(chain, 0, each * item)
    rows.add_exactly(each, chain, total, lost)
    rows.whole(each, total, lost, total)
    for i in range(s.t.wino.taps * s.t.wino.taps * channels):
        count = i // channels * s.t.x.c + of.c + i % channels
        rows.add(of.filters, total + (i // channels * s.cs + i % channels) * s.fs, NULL,
                 dkernel + count * s.t.y.c + of.f, 0)


cdef void add_tile(
    const Sum *s, const Spot *at,
    const cython.floating *x,   # IN   (n, n, channels)
    const cython.floating *dy,  # IN   (out, out, filters)
    cython.floating *sums_of,   # IN, OUT  (taps, taps, cs, fs)
) noexcept nogil:
    cdef size out = s.t.wino.out, taps = s.t.wino.taps, n = out + taps - 1, u, v, i, j
    cdef cconv_sum sums
    sums.r, sums.ar, sums.br, sums.am, sums.cm = 1, 0, 0, 1, s.fs
    sums.ak, sums.bk = at.x.channels, at.y.channels
    sums.aq, sums.bq = n * sums.ak, out * sums.bk
    sums.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    for u in range(taps):
        for v in range(taps):
            i, j = most(at.x.r0 - u, 0), most(at.x.c0 - v, 0)
            sums.q = least(at.y.r1, at.x.r1 - u) - i
            sums.k = least(at.y.c1, at.x.c1 - v) - j
            if sums.q > 0 and sums.k > 0:
                product(&sums, sums.ak, sums.bk, x + ((i + u) * n + j + v) * sums.ak,
                        dy + (i * out + j) * sums.bk, sums_of + (u * taps + v) * s.cs * s.fs,
                        <const cython.floating *>NULL, CCONV_ACCUMULATE)


cdef size batch_to_points(
    const Sum *s, const Slice *of, size first, size count,
    cython.floating *biases,       # IN, OUT  (3, f) += the sum of dy: zeros, sums, what was lost; or NULL
    cython.floating *v,            # OUT  (n^2, tiles, channels)
    cython.floating *w,            # OUT  (n^2, tiles, filters)
    unsigned char *apart,          # OUT  (count): whether a tile is left out as uneven
    cython.floating *patches,      # OUT  patches_size(s)
) noexcept nogil:
    # Transforms the tiles from `first` on.  Returns how many of them are in the sum.
    cdef const cython.floating *x = <const cython.floating *>s.x + of.c
    cdef const cython.floating *dy = <const cython.floating *>s.dy + of.f
    cdef Spot spot = spot_of(&s.t, first)
    cdef size channels = of.channels, filters = of.filters, i, kept = 0
    cdef double squares = 0, dy_squares = 0
    cdef cconv_usual usual = nothing_yet(), dy_usual = nothing_yet()
    cdef bint even
    cdef int glance
    spot.x.channels, spot.x.point, spot.x.argmax = channels, s.t.v, NULL
    spot.y.channels, spot.y.point = filters, s.w
    spot.x.squares, spot.y.squares, spot.x.usual, spot.y.usual = &squares, &dy_squares, &usual, &dy_usual
    for i in range(count):
        # Where a chain ends depends only on the tile's place, not on which tiles have a gradient.
        if biases != NULL and i > 0 and i % TILES_OF_BIAS == 0:
            add_bias(biases, s.t.y.c, filters)
        if i > 0:
            step(&s.t, &spot)
        apart[i] = 0
        if spot.y.r1 <= 0 or spot.y.c1 <= 0:
            continue
        spot.y.argmax = places(s.argmax, spot.y_at + of.f)
        squares = dy_squares = largest_of(sizeof(cython.floating)) ** 2
        glance = s.t.wino.input(&spot.x, x + spot.x_at, v + kept * channels)
        s.t.wino.gradient(&spot.y, dy + spot.y_at, w + kept * filters, biases)
        # The sums of squares tell: x or dy is zero, or all of x is so large that every tap sees enough.
        even = is_moderate(squares, dy_squares, sizeof(cython.floating)) and (
            squares == 0 or dy_squares == 0
            or (not glance and dy_reaches(s, &spot.y, dy + spot.y_at))
            or reaches_all(s, &spot, x + spot.x_at, dy + spot.y_at))
        if not even and stands_apart(s, &spot, x + spot.x_at, dy + spot.y_at, patches):
            apart[i] = 1
            continue
        kept += 1
    if biases != NULL:
        add_bias(biases, s.t.y.c, filters)
    return kept


cdef void sum_task(
    cython.floating *total,       # OUT  (n^2, cs, fs) of this part and slice
    cython.floating *biases,      # OUT  (3, f) of this part: a chain, the sums, and what was lost
    unsigned char *apart,         # OUT  (tiles) of this slice
    const Sum *s, size part, Slice of,
    cython.floating *scratch,     # OUT  v, w, settling_size(s), patches_size(s): gradient_each
) noexcept nogil:
    # One slice of one part.
    cdef const Tiles *t = &s.t
    cdef size first = part * t.count // s.parts, stop = (part + 1) * t.count // s.parts, start = first
    cdef size channels = of.channels, filters = of.filters, item = sizeof(cython.floating), i, p
    cdef cython.floating *w = scratch + t.square * t.v
    cdef cython.floating *group = w + t.square * s.w
    cdef cython.floating *lost = group + s.each
    cdef cython.floating *to
    cdef cconv_sum sums
    sums.q, sums.aq, sums.bq, sums.r, sums.ar, sums.br = 1, 0, 0, 1, 0, 0
    sums.am, sums.ak, sums.bk, sums.cm = 1, channels, filters, s.fs
    sums.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    biases = biases + of.f if of.c == 0 else NULL
    if biases != NULL:
        for i in range(3):
            memset(biases + i * t.y.c, 0, filters * item)
    while first < stop:
        sums.k = batch_to_points(s, &of, first, least(t.batch, stop - first), biases, scratch, w,
                                 apart + first, group + settling_size(s))
        # The first group is summed in the part's sum itself.
        to = group if first - start >= s.group else total
        for p in range(t.square):
            product(&sums, channels, filters, <const cython.floating *>(scratch + p * t.v),
                    <const cython.floating *>(w + p * s.w), to + p * s.cs * s.fs,
                    <const cython.floating *>NULL, CCONV_ACCUMULATE if (first - start) % s.group else 0)
        first += t.batch
        if s.settles and ((first - start) % s.group == 0 or first >= stop):
            settle(<const cython.floating *>to, total, lost, s, &of, first >= stop)


cdef void settle(
    const cython.floating *group,  # IN   (n^2, cs, fs); the first one lies in sums, and nothing is lost yet
    cython.floating *sums, cython.floating *lost,  # IN, OUT  the same
    const Sum *s, const Slice *of, bint last,
) noexcept nogil:
    # sums, lost += group, exactly; after the last group sums += lost.
    cdef size item = sizeof(cython.floating), p, k, at
    cdef const cconv_rows *rows = cconv_rows_of(item)
    for p in range(s.t.square):
        for k in range(of.channels):
            at = (p * s.cs + k) * s.fs
            if group == sums:
                memset(lost + at, 0, of.filters * item)
            else:
                rows.add_exactly(of.filters, group + at, sums + at, lost + at)
            if last:
                rows.whole(of.filters, sums + at, lost + at, sums + at)


cdef void finish_row(
    cython.floating *row,      # IN   (parts, n^2, filters) of a channel, parts s.whole apart; overwrites 0
    cython.floating *dkernel,  # OUT  (taps, taps, filters), taps c * f apart
    const Sum *s, size filters,
) noexcept nogil:
    cdef size p, part, point = s.cs * s.fs
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(cython.floating))
    for part in range(1, s.parts):
        for p in range(s.t.square):
            rows.add(filters, row + part * s.whole + p * point, NULL, row + p * point, 0)
    s.t.wino.kernel_gradient(filters, point, s.t.x.c * s.t.y.c, row, dkernel)


cdef void finish_task(
    cython.floating *sums,     # IN   (parts, slices, n^2, cs, fs), parts s.whole apart; overwrites 0
    cython.floating *dkernel,  # OUT  (taps, taps, c, f)
    const Sum *s, size k,
) noexcept nogil:
    # The gradient of the kernel for input channel k.
    cdef size j
    for j in range(s.across):
        finish_row(sums + ((k // s.cs) * s.across + j) * s.each + (k % s.cs) * s.fs,
                   dkernel + k * s.t.y.c + j * s.fs, s, least(s.fs, s.t.y.c - j * s.fs))


cdef void slice_task(
    cython.floating *dkernel,  # OUT  (taps, taps, c, f)
    cython.floating *biases,   # OUT  (3, f), as `sum_task`
    unsigned char *apart,      # OUT  (tiles) of this slice
    const Sum *s, Slice of,
    cython.floating *scratch,  # OUT  the sum (n^2, cs, fs), then as `sum_task`
) noexcept nogil:
    # All of one slice, if there is one part.
    cdef size i
    sum_task(scratch, biases, apart, s, 0, of, scratch + s.each)
    for i in range(of.channels):
        finish_row(scratch + i * s.fs, dkernel + (of.c + i) * s.t.y.c + of.f, s, of.filters)


cdef Sum gradient_sum(const cconv_winograd *wino, Images x, Images dy, bint pooled, conv_size, origin,
                      size item):
    # conv_size, origin: (height, width) and (top, left) padding of the convolution.
    cdef Tiles t = tiles_of(wino, x, False, dy, pooled)
    t.oh, t.ow = conv_size
    t.top, t.left = origin
    cut(&t, item, 1, False)
    count_taps(&t, x.h, x.w, t.oh, t.ow, False)
    return sum_of(t, item)


cdef size gradient_shared(const Sum *s) noexcept nogil:
    # Elements of scratch that all threads share: the sums of the bias of each part, (3, f), then those of
    # the kernel if there are several parts.
    return s.parts * 3 * s.t.y.c + (s.parts * s.whole if s.parts > 1 else 0)


cdef size gradient_each(const Sum *s) noexcept nogil:
    # Elements of scratch of a thread.
    return s.t.square * (s.t.v + s.w) + (s.each if s.parts == 1 else 0) + settling_size(s) + patches_size(s)


def weight_gradient_scratch(x_shape, dy_shape, conv_size, size tile, size taps, size item, int threads):
    """Return the elements of scratch that `weight_gradient` takes on `threads` threads."""
    cdef Sum s = gradient_sum(transforms(tile, taps, item), images_shaped(x_shape), images_shaped(dy_shape),
                              False, conv_size, (0, 0), item)
    return gradient_shared(&s) + threads * gradient_each(&s) + marks_size(&s, item)


def weight_gradient(
    const cython.floating[:, :, :, ::1] dy,    # IN   (n, oh, ow, f)
    const unsigned char[:, :, :, ::1] argmax,  # IN   (n, oh, ow, f) if dy is a pooled gradient, or None
    const cython.floating[:, :, :, ::1] x,     # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,     # OUT  (taps, taps, c, f)
    cython.floating[::1] dbias,                # OUT  (f)
    conv_size,                                 # (height, width) of the convolution's output
    size tile, origin,                         # origin: (top, left) padding
    cython.floating[::1] scratch,              # OUT  weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution, or of one that was pooled, with respect to its kernel and bias."""
    cdef const cconv_winograd *wino = transforms(tile, dkernel.shape[0], sizeof(cython.floating))
    cdef bint pooled = argmax is not None
    cdef Sum s = gradient_sum(wino, images_of(x.shape), images_of(dy.shape), pooled, conv_size, origin,
                              sizeof(cython.floating))
    cdef size i, part, slice, each = gradient_each(&s), f = s.t.y.c
    cdef cython.floating *biases = &scratch[0]
    cdef cython.floating *sums = biases + s.parts * 3 * f
    cdef cython.floating *rest = biases + gradient_shared(&s)
    cdef unsigned char *apart = <unsigned char *>(rest + threads * each)
    s.x, s.dy, s.argmax = &x[0, 0, 0, 0], &dy[0, 0, 0, 0], NULL
    if pooled:
        s.argmax = &argmax[0, 0, 0, 0]
    with nogil:
        if s.parts == 1:
            for i in prange(s.slices, num_threads=threads, schedule="dynamic"):
                slice_task(&dkernel[0, 0, 0, 0], biases, apart + i * s.t.count, &s, slice_of(&s, i),
                           rest + threadid() * each)
        else:
            for i in prange(s.parts * s.slices, num_threads=threads, schedule="dynamic"):
                part, slice = i // s.slices, i % s.slices
                sum_task(sums + part * s.whole + slice * s.each, biases + part * 3 * f,
                         apart + slice * s.t.count, &s, part, slice_of(&s, slice), rest + threadid() * each)
            for i in prange(s.t.x.c, num_threads=threads, schedule="dynamic"):
                finish_task(sums, &dkernel[0, 0, 0, 0], &s, i)
        add_whole(&dbias[0], biases + f, biases + 2 * f, s.parts, f, 3 * f, sizeof(cython.floating), 1)
        if memchr(apart, 1, s.slices * s.t.count) != NULL:
            for i in prange(s.slices, num_threads=threads, schedule="dynamic"):
                add_apart(apart + i * s.t.count, &dkernel[0, 0, 0, 0], &s, slice_of(&s, i),
                          rest + threadid() * each)
