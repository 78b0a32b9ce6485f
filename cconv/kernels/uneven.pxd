# Weak sums, in which Winograd's algorithm would round too much, and how they are computed directly.
#
# The algorithm mixes the values of a tile.  The rounding errors of its largest value reach all
# its outputs, also those that see only small values; a value that is not finite makes all of them NaN.
# An output is *weak* if the largest value that it sees is more than CCONV_WINOGRAD_RANGE times smaller than
# the largest of the tile.  Its sum over taps and channels is computed directly, and replaces that of the
# algorithm in the transform back.  Every output of a tile, or of a kernel, that is out of range is weak
# too.  The kernel counts as well: an output is weak if padding keeps it from taps that may be more than
# CCONV_WINOGRAD_RANGE times larger than those it sees.
#
# All this depends only on the values of a tile and of the kernel.
cimport cython

from cconv._kernels cimport CCONV_WINOGRAD_RANGE, cconv_sum, product, transpose
from cconv._sizes cimport least, most, size

cdef struct Weak:
    unsigned long long weak    # a bit for each output of a tile
    unsigned long long empty   # those of them that see only zeros

# The levels of a kernel.  EVEN: as usual; UNEVEN: some taps are much larger than others; WILD: out of range.
cdef enum:
    EVEN, UNEVEN, WILD


# From largest_of on, products might overflow where direct sums would not.  Up to tiny_of, every value counts
# as zero.  Both are for float32 and float64.
cdef inline double largest_of(size item) noexcept nogil:
    return 2.0 ** 60 if item == 4 else 2.0 ** 500


cdef inline double tiny_of(size item) noexcept nogil:
    return 2.0 ** -60 if item == 4 else 2.0 ** -500


cdef inline double largest_tap(size item) noexcept nogil:
    return 2.0 ** 40 if item == 4 else 2.0 ** 400


# Where the sums of a tile lie.  Sum (i, j) of `sums` x `sums` adds up pixels (i + sign u, j + sign v) over
# the taps (u, v).  The patch has `pixels` x `pixels` pixels; its rows r0 <= r < r1 and columns c0 <= c < c1
# are inside the image.
cdef struct Seen:
    size sums, pixels, taps, sign
    size rows, columns           # sums that are wanted
    size r0, r1, c0, c1
    size whole_r0, whole_r1      # sums in these rows and columns see every tap
    size whole_c0, whole_c1


cdef inline size first_tap(size i, size sign, size taps, size r0, size r1) noexcept nogil:
    # The first tap of sum i that is inside; `last_tap`: one past the last.
    return most(r0 - i, 0) if sign > 0 else most(i - r1 + 1, 0)


cdef inline size last_tap(size i, size sign, size taps, size r0, size r1) noexcept nogil:
    return least(r1 - i, taps) if sign > 0 else least(i - r0 + 1, taps)


cdef inline Weak unseen(const Seen *s) noexcept nogil:
    # For sums that see pixels above and to the left: the sums that see nothing of the tile.
    cdef Weak found
    cdef size rows = s.r1 + s.taps - 1 if s.r1 > 0 else 0, columns = s.c1 + s.taps - 1 if s.c1 > 0 else 0
    cdef unsigned long long one = 1
    cdef size i
    found.weak = 0
    for i in range(s.rows):
        found.weak |= ((one << s.sums) - (one << least(columns, s.sums) if i < rows else 1)) << (i * s.sums)
    found.empty = found.weak
    return found


cdef inline Weak weak_by_kernel(const Seen *s, Weak found, int level) noexcept nogil:
    # Adds the sums that this kernel makes weak.  Infinity times zero is not zero, so WILD leaves none empty.
    cdef size i, j
    if level == WILD:
        found.empty = 0
    for i in range(s.rows):
        for j in range(s.columns):
            if level == WILD or (level == UNEVEN and not (
                    s.whole_r0 <= i < s.whole_r1 and s.whole_c0 <= j < s.whole_c1)):
                found.weak |= <unsigned long long>1 << (i * s.sums + j)
    return found


cdef inline double least_tap(const Seen *s, const double *x, const double *dy) noexcept nogil:
    # The least, over the taps, of the largest product of x (pixels, pixels) with dy (sums, sums).
    cdef double found = -1, best
    cdef size u, v, i, j
    for u in range(s.taps):
        for v in range(s.taps):
            best = 0
            for i in range(most(s.r0 - u, 0), least(s.rows, s.r1 - u)):
                for j in range(most(s.c0 - v, 0), least(s.columns, s.c1 - v)):
                    best = max(best, x[(i + u) * s.pixels + j + v] * dy[i * s.sums + j])
            found = best if found < 0 else min(found, best)
    return found


cdef inline bint is_moderate(double squares, double dy_squares, size item) noexcept nogil:
    # Whether surely no value is out of range.  The arguments bound the squares of all values.
    cdef double high = largest_of(item) * largest_of(item)
    return squares < high and dy_squares < high


cdef inline bint is_uneven(const Seen *s, const double *x, const double *dy, size item) noexcept nogil:
    # Whether a tile of x (pixels, pixels) and one of dy (sums, sums), given by largest absolute values,
    # must be left out of a weight gradient: to some tap they give much less than to another.
    cdef double x_top = 0, dy_top = 0
    cdef size i
    for i in range(s.pixels * s.pixels):
        x_top = max(x_top, x[i])
    for i in range(s.sums * s.sums):
        dy_top = max(dy_top, dy[i])
    if x_top >= largest_of(item) or dy_top >= largest_of(item):
        return True
    if x_top <= tiny_of(item) or dy_top <= tiny_of(item):
        return False
    return x_top * dy_top > CCONV_WINOGRAD_RANGE * least_tap(s, x, dy)


cdef inline cython.floating largest_tap_of(const cython.floating *sizes, size columns, size across, size u0,
                                           size u1, size v0, size v1) noexcept nogil:
    # Of sizes (.., across, columns), first column: the largest of taps u0 <= u < u1, v0 <= v < v1.
    cdef cython.floating found = 0
    cdef size u, v
    for u in range(u0, u1):
        for v in range(v0, v1):
            found = max(found, sizes[(u * across + v) * columns])
    return found


cdef inline int level_of(const cython.floating *sizes, size down, size across, size rows, size width,
                         size columns) noexcept nogil:
    # sizes (down, across, columns): largest absolute values of taps.  What padding leaves of a kernel
    # includes at least the `rows` x `width` taps of some corner.
    cdef cython.floating high, low
    cdef size k, u, v
    cdef int level = EVEN
    for k in range(columns):
        low = high = largest_tap_of(sizes + k, columns, across, 0, down, 0, across)
        if not high < largest_tap(sizeof(cython.floating)):
            return WILD
        for u in range(2):
            for v in range(2):
                low = min(low, largest_tap_of(sizes + k, columns, across, u * (down - rows),
                                              u * (down - rows) + rows, v * (across - width),
                                              v * (across - width) + width))
        if high > CCONV_WINOGRAD_RANGE * low:
            level = UNEVEN
    return level


# A block of `count` columns, from `first` on, of a kernel (taps, taps, depth, columns), or swapped (taps,
# taps, columns, depth).  In the strip its rows are `width` elements apart.
cdef struct Block:
    size taps, depth, columns
    size first, count, width
    bint swapped, flipped
    size strip_depth             # a swapped kernel is transposed in strips of so much depth


cdef inline void direct_sum(
    const Seen *s, const Block *b, size number, size first, size depth,
    const cython.floating *patch,   # IN   (pixels, pixels, b.depth)
    const cython.floating *kernel,  # IN   of the block: the kernel itself, or the strip
    cython.floating *sum,           # IN, OUT  (b.count)
) noexcept nogil:
    # Adds to sum `number` what `depth` channels from `first` on give.  With first = 0, the sum begins at
    # zero.
    cdef size i = number // s.sums, j = number % s.sums
    cdef size row = b.width if b.swapped else b.columns   # elements from one row of the kernel to the next,
    cdef size tap = row * (b.strip_depth if b.swapped else b.depth)   # and from one tap
    cdef cconv_sum t
    cdef size u = first_tap(i, s.sign, s.taps, s.r0, s.r1), v = first_tap(j, s.sign, s.taps, s.c0, s.c1)
    cdef size rows = last_tap(i, s.sign, s.taps, s.r0, s.r1) - u
    cdef size columns = last_tap(j, s.sign, s.taps, s.c0, s.c1) - v
    cdef size at = (s.taps - 1 - u) * s.taps + s.taps - 1 - v if b.flipped else u * s.taps + v
    t.q, t.r, t.k = most(rows, 0), most(columns, 0), depth
    t.am, t.aq, t.ar, t.ak = 0, s.sign * s.pixels * b.depth, s.sign * b.depth, 1
    t.br, t.bk, t.bn, t.cm = -tap if b.flipped else tap, row, 0, 0
    t.bq = s.taps * t.br
    if t.q == 0 or t.r == 0:
        t.q = t.r = t.k = u = v = at = 0
    product(&t, 1, b.count, patch + ((i + s.sign * u) * s.pixels + j + s.sign * v) * b.depth + first,
            kernel + at * tap, sum, <const cython.floating *>NULL, 1 if first > 0 else 0)


cdef inline void direct_sums(
    const Seen *s, const Block *b, Weak found,
    const cython.floating *patch,   # IN   (pixels, pixels, depth)
    const cython.floating *kernel,  # IN   of the block
    cython.floating *given,         # OUT  (sums, sums, count): those that are weak and not empty
    cython.floating *strip,         # OUT  (taps, taps, strip_depth, width), if swapped
) noexcept nogil:
    cdef size first = 0, depth, p
    cdef size tap = b.depth * b.columns
    while first < b.depth:
        depth = least(b.strip_depth, b.depth - first) if b.swapped else b.depth
        if b.swapped:
            for p in range(b.taps * b.taps):
                transpose(depth, b.count, b.depth, b.width, kernel + p * tap + b.first * b.depth + first,
                          strip + p * b.strip_depth * b.width)
        for p in range(s.rows * s.sums):
            if not (found.weak & ~found.empty) >> p & 1:
                continue
            direct_sum(s, b, p, first, depth, patch,
                       <const cython.floating *>strip if b.swapped else kernel + b.first, given + p * b.count)
        first += depth
