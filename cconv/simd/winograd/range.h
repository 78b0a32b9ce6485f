/* winograd/range.h: how much the values of a tile, or of a kernel, differ in size.
 *
 * Winograd's algorithm mixes the values of a tile, so the rounding errors of its largest reach
 * outputs that never see it.  A tile is even if all its outputs see values of about its size; it is left
 * to the algorithm.  `kernels/uneven.pxd` decides about the others.
 *
 * The look at every tile must be cheap.  This glance takes one multiply-add for each value, for the sum of
 * squares in every lane, and a comparison with the tiles before, which needs no sum over lanes.  It may
 * take an even tile for an uneven one, never the other way round.  So the width of a vector, which
 * changes its sums, changes no result: the decision uses largest absolute values, which are exact. */
#undef RANGE_LIMIT
#undef RANGE_TINY
#undef RANGE_LEAST
#undef ABSOLUTE
#if REAL_BITS == 32
#define RANGE_LEAST ((REAL)0x1p-149) /* above zero */
#define RANGE_LIMIT ((REAL)0x1p60)
#define RANGE_TINY ((REAL)0x1p-60)
#define ABSOLUTE(v) ((vec)((ivec)(v) & ((ivec){0} + INT32_MAX)))
#else
#define RANGE_LEAST ((REAL)0x1p-1074)
#define RANGE_LIMIT ((REAL)0x1p500)
#define RANGE_TINY ((REAL)0x1p-500)
#define ABSOLUTE(v) ((vec)((ivec)(v) & ((ivec){0} + INT64_MAX)))
#endif

INLINE int NAME(any_lane)(mask m) {
#if defined(ISA_AVX512)
    return m != 0;
#elif defined(ISA_AVX2)
    return M_(movemask)(m) != 0;
#else
    int any = 0;
    for (ptrdiff_t l = 0; l < LANES; l++) any |= m[l] != 0;
    return any;
#endif
}

INLINE REAL NAME(largest_lane)(vec v) {
    FOLD_LANES(MAX2, v);
    return v[0];
}

/* The look at a tile that differs from those before it: the sums of squares of its cells, and of all of it.
 * Returns CCONV_MAYBE_UNEVEN if the tile is out of range, or if in some cell that counts no value may be
 * larger than the tile's largest / CCONV_WINOGRAD_RANGE (with t->squares: CCONV_OUTPUT_RANGE times that).
 * Adds CCONV_MAYBE_TINY if perhaps no value is above RANGE_TINY. */
static __attribute__((noinline)) int NAME(wino_suspect)(const vec *cell, ptrdiff_t pixels,
                                                        const cconv_tile *t) {
    const vec high = SPLAT(RANGE_LIMIT * RANGE_LIMIT);
    if (NAME(any_lane)(NOT_(LT(cell[4], high)))) return CCONV_MAYBE_UNEVEN; /* NaN too */
    const REAL top = NAME(largest_lane)(cell[4]);
    if (t->squares) *t->squares = (double)top;
    if (top < RANGE_TINY * RANGE_TINY) return CCONV_MAYBE_TINY;
    /* `terms` bounds the terms of a cell's sum; the whole tile has at most 36 times as many.  An eighth is
     * added for the rounding of the sum. */
    const REAL terms = (REAL)1.125 * (REAL)(pixels * ((t->channels + LANES - 1) / LANES));
    const REAL range = (REAL)CCONV_WINOGRAD_RANGE / (t->squares ? CCONV_OUTPUT_RANGE : 1);
    const REAL share = terms / (range * range);
    const int tiny = top <= RANGE_TINY * RANGE_TINY * 36 * terms ? CCONV_MAYBE_TINY : 0;
    if (2 * top < RANGE_LIMIT * RANGE_LIMIT) {
        /* A tile that passes by these bounds must surely have values above RANGE_TINY. */
        const REAL enough = 2 * top * share;
        t->usual->top = (double)(2 * top);
        t->usual->enough = enough > RANGE_TINY * RANGE_TINY * terms ? (double)enough : __builtin_inf();
    }
    for (int k = 0; k < 4; k++)
        if (t->cells >> k & 1 && NAME(largest_lane)(cell[k]) < top * share)
            return tiny | CCONV_MAYBE_UNEVEN;
    return tiny;
}

/* The quick look at a tile like those before it, else the look above.  cell: the sums of squares of four
 * cells of at most `pixels` pixels each, then that of the whole tile. */
INLINE int NAME(wino_glance)(const vec *cell, ptrdiff_t pixels, const cconv_tile *t) {
    if (!NAME(any_lane)(NOT_(LE(cell[4], SPLAT((REAL)t->usual->top))))) {
        if (t->squares) *t->squares = NAME(any_lane)(LT((vec){0}, cell[4])) ? t->usual->top : 0;
        vec low = SPLAT(INFINITY_);
        for (int k = 0; k < 4; k++)
            if (t->cells >> k & 1) low = MIN2(low, cell[k]);
        if (NAME(any_lane)(LE(SPLAT((REAL)t->usual->enough), low))) return 0;
        if (t->squares) return CCONV_MAYBE_UNEVEN;
    }
    return NAME(wino_suspect)(cell, pixels, t);
}

/* Channels from c on of the pixel, or window, `at` of a tile; zeros for a window whose gradient does not
 * pass the ReLU. */
INLINE vec NAME(wino_values)(const int pooled, const int ragged, const cconv_tile *t, const REAL *x,
                             ptrdiff_t at, ptrdiff_t c) {
    const ptrdiff_t lanes = ragged ? t->channels - c : LANES;
    const vec v = ragged ? LOAD_TAIL(x + at + c, TAIL(lanes)) : LOAD(x + at + c);
    if (!pooled) return v;
    const ivec place = NAME(load_bytes)(t->argmax + at + c, lanes);
    return BLEND(IEQ(place, (ivec){0} + 255), (vec){0}, v);
}

/* Whether some channel of this pixel, or window, is at least `least`, or NaN. */
INLINE int NAME(wino_pixel)(const int pooled, const cconv_tile *t, const REAL *x, ptrdiff_t at,
                            vec least) {
    ptrdiff_t c = 0;
    for (; c + LANES <= t->channels; c += LANES) {
        const vec v = NAME(wino_values)(pooled, 0, t, x, at, c);
        if (NAME(any_lane)(NOT_(LT(ABSOLUTE(v), least)))) return 1;
    }
    if (c == t->channels) return 0;
    const vec v = NAME(wino_values)(pooled, 1, t, x, at, c);
    return NAME(any_lane)(NOT_(LT(ABSOLUTE(v), least)));
}

INLINE int NAME(wino_region_reaches)(const int pooled, const cconv_tile *t, const ptrdiff_t *region,
                                     const REAL *x, vec least, int all) {
    const ptrdiff_t column = t->column, columns = region[3] - region[2];
    ptrdiff_t from = region[0] * t->row + region[2] * column;
    for (ptrdiff_t i = region[0]; i < region[1]; i++, from += t->row)
        for (ptrdiff_t j = 0, at = from; j < columns; j++, at += column)
            if (NAME(wino_pixel)(pooled, t, x, at, least) != all) return !all;
    return all;
}

/* Whether all, or any, of the pixels (r0 <= i < r1, c0 <= j < c1) of a tile have a channel of at least
 * `least`, or above zero.  All of them are in memory.  Of a pooled tile the same for windows. */
static int NAME(wino_reaches)(const cconv_tile *t, const ptrdiff_t *region, const void *x, double least,
                              int all) {
    const vec enough = SPLAT(least > 0 ? (REAL)least : RANGE_LEAST);
    return t->argmax ? NAME(wino_region_reaches)(1, t, region, x, enough, all)
                     : NAME(wino_region_reaches)(0, t, region, x, enough, all);
}

/* The largest absolute value of such a region, infinity where one is NaN. */
INLINE REAL NAME(wino_region_top)(const int pooled, const cconv_tile *t, const ptrdiff_t *region,
                                  const REAL *x) {
    vec most = {0}, bad = {0};
    for (ptrdiff_t i = region[0]; i < region[1]; i++)
        for (ptrdiff_t j = region[2]; j < region[3]; j++)
            for (ptrdiff_t c = 0; c < t->channels; c += LANES) {
                const ptrdiff_t at = i * t->row + j * t->column;
                const vec v = c + LANES <= t->channels ? NAME(wino_values)(pooled, 0, t, x, at, c)
                                                       : NAME(wino_values)(pooled, 1, t, x, at, c);
                most = MAX2(most, ABSOLUTE(v));
                bad = FMA(v, (vec){0}, bad);
            }
    return NAME(any_lane)(NAN_(bad)) ? INFINITY_ : NAME(largest_lane)(most);
}

static double NAME(wino_top)(const cconv_tile *t, const ptrdiff_t *region, const void *x) {
    return (double)(t->argmax ? NAME(wino_region_top)(1, t, region, x)
                              : NAME(wino_region_top)(0, t, region, x));
}

/* Sets of pixels, or of sums, of a tile: (i, j) is bit 8 i + j. */
INLINE uint64_t NAME(wino_pixels)(const cconv_tile *t, const ptrdiff_t *region, const REAL *x,
                                  REAL least) {
    uint64_t found = 0;
    for (ptrdiff_t i = region[0]; i < region[1]; i++)
        for (ptrdiff_t j = region[2]; j < region[3]; j++)
            found |= (uint64_t)NAME(wino_pixel)(0, t, x, i * t->row + j * t->column, SPLAT(least))
                     << (8 * i + j);
    return found;
}

/* The sums that see one of these pixels.  Sum (i, j) sees pixels (i + u, j + v) for all taps (u, v); if
 * `back`, where there are more sums than pixels, (i - u, j - v). */
INLINE uint64_t NAME(wino_seeing)(uint64_t pixels, ptrdiff_t taps, int back) {
    const uint64_t whole = pixels;
    for (ptrdiff_t k = 1; k < taps; k++) pixels |= back ? whole << k : whole >> k;
    const uint64_t rows = pixels;
    for (ptrdiff_t k = 8; k < 8 * taps; k += 8) pixels |= back ? rows << k : rows >> k;
    return pixels;
}

/* The first `rows` rows and `columns` columns of a set; in the result (i, j) is bit sums * i + j. */
INLINE uint64_t NAME(wino_packed)(uint64_t set, ptrdiff_t sums, ptrdiff_t rows, ptrdiff_t columns) {
    uint64_t packed = 0;
    if (columns <= 0) return 0;
    for (ptrdiff_t i = 0; i < rows; i++)
        packed |= (set >> (8 * i) & (((uint64_t)1 << columns) - 1)) << (sums * i);
    return packed;
}

/* Which of the sums (sums, sums) of a tile (pixels, pixels) that is not pooled are weak, and which of them
 * see zeros only: `kernels/uneven.pxd`. */
static void NAME(wino_weak)(const cconv_tile *t, ptrdiff_t pixels, ptrdiff_t sums, ptrdiff_t rows,
                            ptrdiff_t columns, const void *x, unsigned long long *weak,
                            unsigned long long *empty) {
    const int back = sums > pixels;
    const ptrdiff_t taps = (back ? sums - pixels : pixels - sums) + 1;
    const ptrdiff_t region[4] = {t->r0 > 0 ? t->r0 : 0, t->r1 < pixels ? t->r1 : pixels,
                                 t->c0 > 0 ? t->c0 : 0, t->c1 < pixels ? t->c1 : pixels};
    const REAL top = NAME(wino_region_top)(0, t, region, x);
    uint64_t seen = 0;
    *weak = *empty = 0;
    if (top <= RANGE_TINY) return;
    if (top < RANGE_LIMIT) {
        seen = NAME(wino_pixels)(t, region, x, top / (REAL)CCONV_WINOGRAD_RANGE);
        seen = NAME(wino_seeing)(seen, taps, back);
    }
    *weak = NAME(wino_packed)(~seen, sums, rows, columns);
    if (!*weak) return;
    seen |= NAME(wino_seeing)(NAME(wino_pixels)(t, region, x, RANGE_LEAST), taps, back);
    *empty = NAME(wino_packed)(~seen, sums, rows, columns);
}

/* x (pixels, channels) -> the largest absolute value of each pixel, infinity where one is NaN */
static void NAME(wino_sizes)(ptrdiff_t pixels, ptrdiff_t channels, const void *x, double *size) {
    const REAL *from = x;
    for (ptrdiff_t p = 0; p < pixels; p++, from += channels) {
        vec most = {0}, bad = {0};
        for (ptrdiff_t c = 0; c < channels; c += LANES) {
            const vec v = channels - c >= LANES ? LOAD(from + c)
                                                : LOAD_TAIL(from + c, TAIL(channels - c));
            most = MAX2(most, ABSOLUTE(v));
            bad = FMA(v, (vec){0}, bad);
        }
        size[p] = NAME(any_lane)(NAN_(bad)) ? __builtin_inf() : (double)NAME(largest_lane)(most);
    }
}

/* g (taps, rows, channels), taps `tap` and rows `row` apart, channels no more than a block -> size
 * (taps, channels): the largest absolute value over the rows and, unless `first`, over what size already
 * holds; infinity where a value is not finite. */
static void NAME(wino_kernel_sizes)(ptrdiff_t taps, ptrdiff_t rows, ptrdiff_t channels,
                                    ptrdiff_t tap, ptrdiff_t row, int first, const void *g,
                                    void *size) {
    for (ptrdiff_t t = 0; t < taps; t++)
        for (ptrdiff_t c = 0; c < channels; c += LANES) {
            const REAL *from = (const REAL *)g + t * tap + c;
            REAL *to = (REAL *)size + t * channels + c;
            const int ragged = channels - c < LANES;
            const tail last = TAIL(ragged ? channels - c : LANES);
            vec most = {0}, bad = {0};
            if (!first) most = ragged ? LOAD_TAIL(to, last) : LOAD(to);
            for (ptrdiff_t k = 0; k < rows; k++, from += row) {
                const vec v = ragged ? LOAD_TAIL(from, last) : LOAD(from);
                most = MAX2(most, ABSOLUTE(v));
                bad = FMA(v, (vec){0}, bad);
            }
            most = BLEND(NAN_(bad), SPLAT(INFINITY_), most);
            if (ragged) STORE_TAIL(to, last, most);
            else STORE(to, most);
        }
}
