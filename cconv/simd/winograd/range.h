/* winograd/range.h: how far the values of a tile, or of a kernel, lie apart.
 *
 * Winograd's algorithm mixes the values of a tile, so the rounding errors of its largest reach
 * outputs that never see it.  A tile whose outputs all see values of about its size is left to
 * the algorithm; `kernels/uneven.pxd` decides about the others.
 *
 * The look at every tile must be cheap: one multiply-add for each value, for the sum of squares
 * in every lane.  It may take an even tile for an uneven one, never the other way round, so the
 * width of a vector decides nothing: that is done by largest absolute values, which are exact. */
#undef RANGE_LIMIT
#undef RANGE_TINY
#undef ABSOLUTE
#if REAL_BITS == 32
#define RANGE_LIMIT ((REAL)0x1p60)
#define RANGE_TINY ((REAL)0x1p-60)
#define ABSOLUTE(v) ((vec)((ivec)(v) & ((ivec){0} + INT32_MAX)))
#else
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

/* Sums of squares of a tile: of four cells of at most `pixels` pixels each, of the rest; `cells`: a
 * bit for each cell that counts.  Returns CCONV_MAYBE_UNEVEN if one of these may
 * have nothing that is larger than the tile's largest value over CCONV_WINOGRAD_RANGE, or if the
 * tile is out of range; and CCONV_MAYBE_TINY if no value may be above RANGE_TINY. */
static __attribute__((noinline)) int NAME(wino_suspect)(const vec *cell, int cells,
                                                        ptrdiff_t pixels, const cconv_tile *t) {
    const ptrdiff_t channels = t->channels;
    const vec total = ((cell[0] + cell[1]) + (cell[2] + cell[3])) + cell[4];
    const vec high = SPLAT(RANGE_LIMIT * RANGE_LIMIT);
    if (NAME(any_lane)(NOT_(LT(total, high)))) return CCONV_MAYBE_UNEVEN; /* NaN too */
    const REAL top = NAME(largest_lane)(total);
    if (t->squares) { /* a weight gradient looks at nothing else */
        *t->squares = (double)top;
        return 0;
    }
    if (top < RANGE_TINY * RANGE_TINY) return CCONV_MAYBE_TINY;
    /* A cell's sum has so many terms, all of the tile at most 36 times as many; an eighth for its own
     * rounding. */
    const REAL terms = (REAL)(pixels * ((channels + LANES - 1) / LANES)) * (REAL)1.125;
    const int tiny = top <= RANGE_TINY * RANGE_TINY * 36 * terms ? CCONV_MAYBE_TINY : 0;
    const REAL enough = top * (terms / (REAL)(CCONV_WINOGRAD_RANGE * CCONV_WINOGRAD_RANGE));
    vec low = high;
    for (int k = 0; k < 4; k++)
        if (cells >> k & 1) low = MIN2(low, cell[k]);
    if (NAME(any_lane)(LE(SPLAT(enough), low))) return tiny;
    for (int k = 0; k < 4; k++) {
        const REAL largest = NAME(largest_lane)(cell[k]);
        if (cells >> k & 1 && largest < enough)
            return tiny | CCONV_MAYBE_UNEVEN;
    }
    return tiny;
}

/* Whether all pixels, or any, of rows r0 <= i < r1 and columns c0 <= j < c1 of a tile have a value of at
 * least `least` in some channel; all these pixels are in memory. */
static int NAME(wino_reaches)(const cconv_tile *t, const ptrdiff_t *region, const void *x, double least,
                              int all) {
    const vec enough = SPLAT((REAL)least);
    for (ptrdiff_t i = region[0]; i < region[1]; i++)
        for (ptrdiff_t j = region[2]; j < region[3]; j++) {
            const REAL *from = (const REAL *)x + i * t->row + j * t->column;
            int seen = 0;
            for (ptrdiff_t c = 0; c < t->channels && !seen; c += LANES) {
                const ptrdiff_t left = t->channels - c;
                const vec v = left >= LANES ? LOAD(from + c) : LOAD_TAIL(from + c, TAIL(left));
                seen = NAME(any_lane)(LE(enough, ABSOLUTE(v)));
            }
            if (seen != all) return seen;
        }
    return all;
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

/* g (taps, rows, channels), taps `tap` and rows `row` apart, channels no more than a block; size
 * (taps, channels) = the largest absolute value over the rows, and over what is there unless
 * `first`; infinity where one is not a finite number. */
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
