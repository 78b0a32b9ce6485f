/* winograd/along_rows_weak.h: which outputs of Winograd's algorithm along the rows are taken
 * directly, and how.
 *
 * As in `kernels/uneven.pxd`, an output is weak where its tile has a value more than CCONV_WINOGRAD_RANGE
 * times larger than what the output sees, or a value out of range.  Here a tile is four outputs side by
 * side; outputs of different rows are not mixed. */

#undef SQUARES
#define SQUARES 4 /* pairs of rows whose squares are kept */

/* |v|; where NaN may occur (not finite), NaN counts as infinity. */
INLINE vec NAME(along_rows_size)(const int finite, vec v) {
    return finite ? ABSOLUTE(v) : BLEND(NAN_(v), SPLAT(INFINITY_), ABSOLUTE(v));
}

/* The largest absolute value of a pixel of LANES channels or more. */
INLINE REAL NAME(along_rows_wide_pixel)(const int finite, ptrdiff_t channels, const REAL *x, vec *bad) {
    vec most = {0};
    for (ptrdiff_t k = 0; k < channels; k += LANES) { /* the last vector overlaps the one before */
        const vec v = LOAD(x + (k + LANES <= channels ? k : channels - LANES));
        most = MAX2(most, NAME(along_rows_size)(finite, v));
        *bad = FMA(v, (vec){0}, *bad);
    }
    return NAME(largest_lane)(most);
}

/* x (columns, channels) -> size (columns): the largest absolute value of each pixel.  Returns whether
 * all values are numbers; if not, the sizes have to be computed again without `finite`. */
INLINE int NAME(along_rows_row_sizes)(const int finite, ptrdiff_t columns, ptrdiff_t channels,
                                      const REAL *x, REAL *size) {
    const ptrdiff_t count = columns * channels;
    vec bad = {0};
    if (channels >= LANES) {
        for (ptrdiff_t j = 0; j < columns; j++)
            size[j] = NAME(along_rows_wide_pixel)(finite, channels, x + j * channels, &bad);
        return !NAME(any_lane)(NAN_(bad));
    }
    ptrdiff_t pixel = 0;
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        REAL all[LANES];
        vec most = {0};
        for (ptrdiff_t k = 0; k < channels && i + k < count; k++) {
            const ptrdiff_t left = count - i - k;
            const vec v = left >= LANES ? LOAD(x + i + k) : LOAD_TAIL(x + i + k, TAIL(left));
            most = MAX2(most, NAME(along_rows_size)(finite, v));
            bad = FMA(v, (vec){0}, bad);
        }
        if (channels == 1 && count - i >= LANES) {
            STORE(size + i, most);
            pixel = i + LANES;
            continue;
        }
        STORE(all, most);
        for (; pixel * channels < i + LANES && pixel < columns; pixel++)
            size[pixel] = all[pixel * channels - i];
    }
    return !NAME(any_lane)(NAN_(bad));
}

/* size (rows + height - 1, columns) -> (rows, columns): the largest value that an output row sees in each
 * column. */
INLINE void NAME(along_rows_column_sizes)(ptrdiff_t rows, ptrdiff_t height, ptrdiff_t columns,
                                          REAL *size) {
    for (ptrdiff_t r = 0; r < rows; r++, size += columns)
        for (ptrdiff_t j = 0; j < columns; j += LANES) {
            const int ragged = columns - j < LANES;
            const tail last = TAIL(ragged ? columns - j : LANES);
            vec most = ragged ? LOAD_TAIL(size + j, last) : LOAD(size + j);
            for (ptrdiff_t u = 1; u < height; u++) {
                const REAL *from = size + u * columns + j;
                most = MAX2(most, ragged ? LOAD_TAIL(from, last) : LOAD(from));
            }
            if (ragged) STORE_TAIL(size + j, last, most);
            else STORE(size + j, most);
        }
}

/* Whether all tiles that begin in one of the LANES columns from `size` on are even.  Some columns are seen
 * by all outputs of a tile, or by one half of them; these must hold a value that is large enough. */
INLINE int NAME(along_rows_all_even)(const int taps, const REAL *size) {
    vec top = LOAD(size);
    for (int i = 1; i < taps + 3; i++) top = MAX2(top, LOAD(size + i));
    vec least = MAX2(LOAD(size + 3), LOAD(size + 4));
    if (taps == 3) least = MIN2(MAX2(LOAD(size + 1), LOAD(size + 2)), least);
    const vec most = MIN2(least * SPLAT((REAL)CCONV_WINOGRAD_RANGE), SPLAT(RANGE_LIMIT / 2));
    return !NAME(any_lane)(NOT_(LE(top, MAX2(most, SPLAT(RANGE_TINY)))));
}

/* Of the four outputs from column j on: a bit for each weak one, and 8 bits higher for each that is weak
 * and sees only zeros. */
INLINE unsigned NAME(along_rows_weak_tile)(const int taps, const cconv_along_rows *s, ptrdiff_t j,
                                           REAL top, const REAL *seen) {
    if (!s->level && top <= RANGE_TINY) return 0;
    const REAL least = top / (REAL)CCONV_WINOGRAD_RANGE;
    unsigned weak = 0;
    for (int i = 0; i < 4 && j + i < s->width; i++) {
        const int partly = j + i < s->c0 || j + i + taps > s->c1;
        if (s->level == 2 || (s->level && partly)
            || (top > RANGE_TINY && (top >= RANGE_LIMIT || seen[i] < least)))
            weak |= (seen[i] == 0 && s->level < 2 ? 0x101u : 1u) << i;
    }
    return weak;
}

/* Reads up to 16 elements behind `size`, whatever they are.  A vector may be narrower than a tile. */
INLINE void NAME(along_rows_weak_row)(const int taps, const cconv_along_rows *s, int shift,
                                      const REAL *size, uint16_t *weak) {
    enum { WIDE = LANES < 4 ? 4 : LANES };
    for (ptrdiff_t t = 0, c = 0; t < s->tiles; c += WIDE) {
        const ptrdiff_t stop = t + WIDE / 4 < s->tiles ? t + WIDE / 4 : s->tiles;
        int even = !s->level;
        for (ptrdiff_t k = 0; k < WIDE && even; k += LANES)
            even = NAME(along_rows_all_even)(taps, size + c + k);
        if (even) {
            t = stop;
            continue;
        }
        REAL top[WIDE], seen[WIDE];
        for (ptrdiff_t k = 0; k < WIDE; k += LANES) {
            const REAL *from = size + c + k;
            vec most = LOAD(from);
            for (int i = 1; i < taps; i++) most = MAX2(most, LOAD(from + i));
            STORE(seen + k, most);
            for (int i = taps; i < taps + 3; i++) most = MAX2(most, LOAD(from + i));
            STORE(top + k, most);
        }
        for (int i = 0; t < stop; t++, i += 4)
            weak[t] |= (uint16_t)(NAME(along_rows_weak_tile)(taps, s, 4 * t, top[i], seen + i)
                                  << shift);
    }
}

/* Whether one of `count` sums of squares reaches `least`; if `pairs` is 2, each is added to the same sum of
 * another pair of rows. */
INLINE int NAME(along_rows_reaches)(ptrdiff_t count, const int pairs, const REAL *values,
                                    const REAL *others, vec least) {
    for (ptrdiff_t k = 0; k < count; k += LANES) {
        const ptrdiff_t left = count - k;
        const tail last = TAIL(left < LANES ? left : LANES);
        vec v = left >= LANES ? LOAD(values + k) : LOAD_TAIL(values + k, last);
        if (pairs == 2) v += left >= LANES ? LOAD(others + k) : LOAD_TAIL(others + k, last);
        if (NAME(any_lane)(LE(least, v))) return 1;
    }
    return 0;
}

/* The quick look uses sums of squares.  For the pair of input rows 2k - 1 and 2k: the sum for each of the
 * `count` values of a row, and in `sums` that of all of them.  Rows before 0 and from `stop` on do not
 * exist. */
INLINE void NAME(along_rows_squares)(const cconv_along_rows *s, ptrdiff_t k, ptrdiff_t stop,
                                     ptrdiff_t count, REAL *squares, REAL *sums) {
    const REAL *const one = (const REAL *)s->x + (2 * k - 1 < 0 ? 0 : 2 * k - 1) * s->stride;
    const int both = k > 0 && 2 * k < stop;
    vec total = {0};
    if (2 * k - 1 < stop)
        for (ptrdiff_t e = 0; e < count; e += LANES) {
            const int ragged = count - e < LANES;
            const tail last = TAIL(ragged ? count - e : LANES);
            const vec v = ragged ? LOAD_TAIL(one + e, last) : LOAD(one + e);
            vec sum = v * v;
            if (both) {
                const REAL *other = one + s->stride + e;
                const vec w = ragged ? LOAD_TAIL(other, last) : LOAD(other);
                sum = FMA(w, w, sum);
            }
            STORE(squares + e, sum);
            total += sum;
        }
    STORE(sums, total);
}

/* A quick look at output rows i and i + 1, i even: whether surely all outputs of every tile see enough.
 * Both rows see `pairs` pairs of input rows.  These and the pair on each side of them bound every value that
 * is mixed.  squares: of the pairs, in turns; sums: from the first of these pairs on. */
INLINE int NAME(along_rows_surely_even)(const int taps, const cconv_along_rows *s, ptrdiff_t i,
                                        ptrdiff_t turn, const REAL *squares, const REAL *sums) {
    const int pairs = (taps - 1) / 2;
    const ptrdiff_t channels = s->channels;
    vec total = {0};
    for (int k = 0; k < pairs + 2; k++) total += LOAD(sums + k * LANES);
    if (NAME(any_lane)(NOT_(LT(total, SPLAT(RANGE_LIMIT * RANGE_LIMIT))))) return 0;
    const REAL top = NAME(largest_lane)(total);
    if (top < RANGE_TINY * RANGE_TINY) return 1;
    const REAL share = (REAL)1.125 * (REAL)(taps - 1);
    const vec least = SPLAT(top * (share / (REAL)(CCONV_WINOGRAD_RANGE * CCONV_WINOGRAD_RANGE)));
    const REAL *one = squares + (i / 2 + 1) % SQUARES * turn;
    const REAL *other = squares + (i / 2 + 2) % SQUARES * turn;
    for (ptrdiff_t t = 0; t < s->tiles; t++, one += 4 * channels, other += 4 * channels) {
        if (!NAME(along_rows_reaches)(2 * channels, pairs, one + 3 * channels, other + 3 * channels,
                                      least))
            return 0;
        if (taps == 3
            && !NAME(along_rows_reaches)(2 * channels, pairs, one + channels, other + channels, least))
            return 0;
    }
    return 1;
}

/* For `rows` output rows of the input s->x -> weak (pairs of rows, tiles): a bit for each weak one of the
 * eight outputs of two rows of a tile, and 8 bits higher for each of these that sees only zeros. */
INLINE void NAME(along_rows_weak_band)(const int taps, const cconv_along_rows *s, ptrdiff_t rows,
                                       REAL *room, uint16_t *weak) {
    const ptrdiff_t columns = 4 * s->tiles + taps - 1, count = columns * s->channels;
    const ptrdiff_t stop = rows + taps - 1, turn = count + LANES;
    REAL *const sums = room + stop * columns + 16, *const squares = sums + (stop / 2 + 3) * LANES;
    const REAL *const x = s->x;
    ptrdiff_t ready = 0, pairs = 0; /* rows whose largest values, and pairs whose squares, are in room */
    for (ptrdiff_t i = 0; i < rows; i += 2, weak += s->tiles) {
        const ptrdiff_t both = rows - i < 2 ? 1 : 2;
        __builtin_memset(weak, 0, (size_t)s->tiles * sizeof(*weak));
        if (!s->level) {
            for (; pairs < i / 2 + (taps - 1) / 2 + 2; pairs++)
                NAME(along_rows_squares)(s, pairs, stop, count, squares + pairs % SQUARES * turn,
                                         sums + pairs * LANES);
            if (NAME(along_rows_surely_even)(taps, s, i, turn, squares, sums + i / 2 * LANES)) continue;
        }
        for (ready = ready < i ? i : ready; ready < i + taps - 1 + both; ready++) {
            const REAL *from = x + ready * s->stride;
            REAL *to = room + ready * columns;
            if (!NAME(along_rows_row_sizes)(1, columns, s->channels, from, to))
                NAME(along_rows_row_sizes)(0, columns, s->channels, from, to);
        }
        NAME(along_rows_column_sizes)(both, taps, columns, room + i * columns);
        for (int own = 0; own < both; own++)
            NAME(along_rows_weak_row)(taps, s, 4 * own, room + (i + own) * columns, weak);
    }
}

static void NAME(along_rows_weak)(const cconv_along_rows *s, ptrdiff_t rows, void *room,
                                   uint16_t *weak) {
    if (s->taps == 5) NAME(along_rows_weak_band)(5, s, rows, room, weak);
    else NAME(along_rows_weak_band)(3, s, rows, room, weak);
}

/* The weak outputs of two rows of a tile -> given (8, filters), with their bias.  The first of the two rows
 * begins at row i, column j of the input. */
static __attribute__((noinline)) void NAME(along_rows_direct)(
    const cconv_along_rows *s, ptrdiff_t i, ptrdiff_t j, unsigned weak) {
    const ptrdiff_t filters = s->filters, taps = s->taps, channels = s->channels;
    for (ptrdiff_t o = 0; o < 8; o++) {
        if (!(weak >> o & 1)) continue;
        for (ptrdiff_t v = 0; v < NAME(few_taps_vectors)(filters); v++) {
            const ptrdiff_t f = NAME(few_taps_vector)(filters, v);
            vec sum = {0};
            for (ptrdiff_t u = 0; u < s->height; u++) {
                const ptrdiff_t row = i + o / 4 + u;
                if (row < s->r0 || row >= s->r1) continue;
                for (ptrdiff_t t = 0; t < taps; t++) {
                    const ptrdiff_t column = j + o % 4 + t;
                    if (column < s->c0 || column >= s->c1) continue;
                    const REAL *x = (const REAL *)s->x + row * s->stride + column * channels;
                    const REAL *g = (const REAL *)s->kernel + (u * taps + t) * channels * filters;
                    for (ptrdiff_t k = 0; k < channels; k++)
                        sum = FMA(SPLAT(x[k]), LOAD(g + k * filters + f), sum);
                }
            }
            if (s->bias) sum += LOAD((const REAL *)s->bias + f);
            STORE((REAL *)s->given + o * filters + f, sum);
        }
    }
}
