/* few_taps/forward.h: convolutions of few taps, alone or with 2x2 max pooling behind them.
 *
 *   y[m, f] = sum over t of x[input of output m + at[t]] * kernel[t, f],   then bias, ReLU
 *
 * With few taps the micro-kernel of product/product.h spends most of its time around the sums.  Here one
 * call runs over the outputs of many rows.  A tile takes outputs across the ends of rows, one table of
 * distances replaces the loops over kernel rows, columns and channels, and pooling happens in the
 * registers.  Every output is the same chain of sums as there: over t from zero, the bias at the
 * end.
 *
 * Where the filters are no multiple of a vector, the last vector overlaps the one before, and both
 * compute the same values.  So only fewer filters than a vector has lanes need masks.  Kernel and bias are
 * packed accordingly: (taps + 1, 2, LANES) for each two vectors, (taps + 1, LANES) for a last single one. */

/* Outputs, and windows, of a tile.  Two vectors of the kernel and a broadcast need registers too. */
#undef TILE_PIXELS
#undef TILE_WINDOWS
#undef EACH_PIXEL
#undef where_lanes
#undef PLACE_IF
#undef ANY
#undef GIVE_PLACES
#if defined(ISA_AVX512) || defined(__aarch64__)
#define TILE_PIXELS 8
#define TILE_WINDOWS 2
#else
#define TILE_PIXELS 6
#define TILE_WINDOWS 1
#endif
#define EACH_PIXEL(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* Vectors of filters; and the first filter of vector v. */
INLINE ptrdiff_t NAME(few_taps_vectors)(ptrdiff_t filters) { return (filters + LANES - 1) / LANES; }

INLINE ptrdiff_t NAME(few_taps_vector)(ptrdiff_t filters, ptrdiff_t v) {
    const ptrdiff_t j = v * LANES;
    return filters < LANES ? 0 : j + LANES <= filters ? j : filters - LANES;
}

static void NAME(few_taps_pack)(ptrdiff_t taps, ptrdiff_t filters, const void *kernel,
                                const void *bias, void *packed) {
    const ptrdiff_t vectors = NAME(few_taps_vectors)(filters);
    const tail last = TAIL(filters < LANES ? filters : LANES);
    for (ptrdiff_t v = 0; v < vectors; v++) {
        const ptrdiff_t j = NAME(few_taps_vector)(filters, v), width = (v | 1) < vectors ? 2 : 1;
        REAL *to = (REAL *)packed + ((v & ~(ptrdiff_t)1) * (taps + 1) + (v & 1)) * LANES;
        for (ptrdiff_t t = 0; t <= taps; t++) {
            const REAL *from = t < taps ? (const REAL *)kernel + t * filters + j
                                        : bias ? (const REAL *)bias + j : 0;
            vec row = {0};
            if (from) row = filters < LANES ? LOAD_TAIL(from, last) : LOAD(from);
            STORE(to + t * width * LANES, row);
        }
    }
}

/* What a call and its tile need to know.  It is volatile, so that it stays in memory.  There are not enough
 * general registers for so many addresses.  GCC would keep them in vector registers, and moving them back
 * waits for all multiply-adds that are queued. */
typedef struct {
    const cconv_few_taps_walk *walk;
    ptrdiff_t count;
    int mode;
    const REAL *x, *packed;
    REAL *y;
    uint8_t *argmax;
    ptrdiff_t next;                                    /* the first output, or window, without a tile */
    const REAL *p0, *p1, *p2, *p3, *p4, *p5, *p6, *p7; /* inputs of the tile's outputs */
    ptrdiff_t vector;                                  /* the first of its vectors of filters */
    const REAL *kernel;                                /* packed, from there on */
    ptrdiff_t to, other;                               /* elements of y to where its first vector goes, */
} volatile NAME(few_taps_job);                            /* and from there to the second */

/* Places of a vector of windows: bytes where there are instructions for bytes. */
#if defined(ISA_AVX512)
#define where_lanes __m128i
#define PLACE_IF(m, i, old) _mm_mask_mov_epi8((old), (__mmask16)(m), _mm_set1_epi8((char)(i)))
#define ANY(m) ((m) != 0)
INLINE void NAME(give_places)(uint8_t *p, ptrdiff_t n, where_lanes v) {
    if (n < LANES) _mm_mask_storeu_epi8(p, TAIL(n), v);
    else if (LANES == 16) _mm_storeu_si128((__m128i *)p, v);
    else _mm_storel_epi64((__m128i *)p, v);
}
#define GIVE_PLACES(p, n, v) NAME(give_places)((p), (n), (v))
#else
#define where_lanes ivec
#define PLACE_IF(m, i, old) ((ivec)BLEND((m), (vec)((ivec){0} + (i)), (vec)(old)))
#if defined(ISA_AVX2)
#define ANY(m) (M_(movemask)(m) != 0)
#else
INLINE int NAME(few_taps_any)(mask m) {
    int any = 0;
    for (ptrdiff_t l = 0; l < LANES; l++) any |= m[l] != 0;
    return any;
}
#define ANY(m) NAME(few_taps_any)(m)
#endif
#define GIVE_PLACES(p, n, v) NAME(store_bytes)((p), (n), (v))
#endif

/* The largest of the four values of a window, chosen as in pooling/windows.h: the first of several, or the
 * first NaN.  With ReLU as if each value had passed it: if none is above zero, it is the zero of v0. */
INLINE vec NAME(few_taps_largest)(const int may_be_nan, const int mode, vec v0, vec v1, vec v2, vec v3,
                                  where_lanes *place) {
    vec best = v0;
    where_lanes where = {0};
#define AGAINST(i) { \
        const mask goes = may_be_nan ? NOT_(OR(LE(v##i, best), NAN_(best))) : LT(best, v##i); \
        best = BLEND(goes, v##i, best); \
        where = PLACE_IF(goes, i, where); }
    AGAINST(1) AGAINST(2) AGAINST(3)
#undef AGAINST
    if (mode & CCONV_FEW_TAPS_RELU) {
        best = BLEND(LE(best, ((vec){0})), RELU(v0), best);
        where = PLACE_IF(NOT_(LT(((vec){0}), best)), 255, where);
    }
    *place = where;
    return best;
}

/* Up to two vectors of filters of `pixels` outputs.  y (pixels, filters), or with `pooled` y and
 * argmax (pixels / 4, filters). */
INLINE void NAME(few_taps_tile)(const int pixels, const int width, const int ragged, const int pooled,
                                NAME(few_taps_job) *job) {
#define DECLARE(i) vec c##i##0 = {0}, c##i##1 = {0}; \
    const REAL *const p##i = pixels > i ? job->p##i : 0;
    EACH_PIXEL(DECLARE)
#undef DECLARE
    const ptrdiff_t *at = job->walk->at;
    const REAL *b = job->kernel;
    for (ptrdiff_t taps = job->walk->taps; taps > 0; taps--) {
        const ptrdiff_t tap = *at++;
        const vec b0 = LOAD(b), b1 = width == 2 ? LOAD(b + LANES) : b0;
        b += width * LANES;
#define STEP(i) if (pixels > i) { \
            const vec s_ = SPLAT(p##i[tap]); \
            c##i##0 = FMA(s_, b0, c##i##0); \
            if (width == 2) c##i##1 = FMA(s_, b1, c##i##1); }
        EACH_PIXEL(STEP)
#undef STEP
    }
    const int mode = job->mode;
    if (mode & CCONV_FEW_TAPS_BIAS) {
        const vec b0 = LOAD(b), b1 = width == 2 ? LOAD(b + LANES) : b0;
#define ADD_BIAS(i) c##i##0 += b0; c##i##1 += b1;
        EACH_PIXEL(ADD_BIAS)
#undef ADD_BIAS
    }
    const ptrdiff_t filters = job->walk->filters, to = job->to, other = job->other;
    REAL *const y = job->y + to;
    uint8_t *const argmax = job->argmax + to;
    const tail last = TAIL(ragged ? filters : LANES);
#define GIVE(p, v) if (ragged) { STORE_TAIL(p, last, v); } else { STORE(p, v); }
    if (!pooled) {
#define GIVE_PIXEL(i) if (pixels > i) { \
            if (mode & CCONV_FEW_TAPS_RELU) c##i##0 = RELU(c##i##0), c##i##1 = RELU(c##i##1); \
            GIVE(y + i * filters, c##i##0) \
            if (width == 2) STORE(y + i * filters + other, c##i##1); }
        EACH_PIXEL(GIVE_PIXEL)
#undef GIVE_PIXEL
        return;
    }
#define GIVE_WINDOW(may_be_nan, to, i0, i1, i2, i3, h) { \
        where_lanes where; \
        const vec best = NAME(few_taps_largest)( \
            may_be_nan, mode, c##i0##h, c##i1##h, c##i2##h, c##i3##h, &where); \
        GIVE(y + (to), best) \
        GIVE_PLACES(argmax + (to), ragged ? filters : LANES, where); }
#define GIVE_WINDOWS(may_be_nan) { \
        GIVE_WINDOW(may_be_nan, 0, 0, 1, 2, 3, 0) \
        if (width == 2) GIVE_WINDOW(may_be_nan, other, 0, 1, 2, 3, 1) \
        if (pixels == 8) { \
            GIVE_WINDOW(may_be_nan, filters, 4, 5, 6, 7, 0) \
            if (width == 2) GIVE_WINDOW(may_be_nan, filters + other, 4, 5, 6, 7, 1) \
        } }
    /* Comparisons compete with multiply-adds for a unit, additions do not: one test of the sum finds NaN. */
    vec sum = c00;
#define ADD_UP(i) sum += c##i##0 + c##i##1;
    EACH_PIXEL(ADD_UP)
#undef ADD_UP
    if (__builtin_expect(ANY(NAN_(sum)), 0)) GIVE_WINDOWS(1) else GIVE_WINDOWS(0)
#undef GIVE_WINDOWS
#undef GIVE_WINDOW
#undef GIVE
}

/* All filters of a tile; its first output, or window, is i. */
INLINE void NAME(few_taps_tiles)(const int pixels, const int pooled, NAME(few_taps_job) *job,
                                 ptrdiff_t i) {
    job->kernel = job->packed;
    job->to = i * job->walk->filters;
    if (job->walk->filters < LANES) {
        NAME(few_taps_tile)(pixels, 1, 1, pooled, job);
        return;
    }
    for (job->vector = 0; job->vector < NAME(few_taps_vectors)(job->walk->filters); job->vector += 2) {
        const ptrdiff_t filters = job->walk->filters, v = job->vector;
        const ptrdiff_t j = NAME(few_taps_vector)(filters, v);
        job->to = i * filters + j;
        if (j + LANES == filters) {
            NAME(few_taps_tile)(pixels, 1, 0, pooled, job);
        } else {
            job->other = NAME(few_taps_vector)(filters, v + 1) - j;
            NAME(few_taps_tile)(pixels, 2, 0, pooled, job);
            job->kernel += 2 * (job->walk->taps + 1) * LANES;
        }
    }
}

/* All outputs, or windows, in tiles of `each`; the last tile begins earlier, so that it is full. */
INLINE void NAME(few_taps_outputs)(const int each, const int pooled, NAME(few_taps_job) *job) {
    for (job->next = 0; job->next < job->count; job->next += each) {
        const ptrdiff_t i = job->next + each > job->count ? job->count - each : job->next;
        const ptrdiff_t *const input = job->walk->inputs + i;
        const REAL *const x = job->x;
        if (pooled) {
            const ptrdiff_t right = job->walk->column, down = job->walk->row;
            const REAL *p = x + input[0];
            job->p0 = p, job->p1 = p + right, job->p2 = p + down, job->p3 = p + right + down;
            if (each == 2) {
                p = x + input[1];
                job->p4 = p, job->p5 = p + right, job->p6 = p + down, job->p7 = p + right + down;
            }
        } else {
#define PLACE(k) if (each > k) job->p##k = x + input[k];
            EACH_PIXEL(PLACE)
#undef PLACE
        }
        NAME(few_taps_tiles)(pooled ? 4 * each : each, pooled, job, i);
    }
}

static void NAME(few_taps_forward)(const cconv_few_taps_walk *s, ptrdiff_t count, const void *x,
                                   const void *packed, int mode, void *y) {
    /* argmax has to move along with y, and is never used */
    NAME(few_taps_job) job = {
        .walk = s, .count = count, .mode = mode, .x = x, .packed = packed, .y = y, .argmax = y};
    if (count < TILE_PIXELS) NAME(few_taps_outputs)(1, 0, &job);
    else NAME(few_taps_outputs)(TILE_PIXELS, 0, &job);
}

static void NAME(few_taps_pooled)(const cconv_few_taps_walk *s, ptrdiff_t count, const void *x,
                                  const void *packed, int mode, void *y, uint8_t *argmax) {
    NAME(few_taps_job) job = {
        .walk = s, .count = count, .mode = mode, .x = x, .packed = packed, .y = y,
        .argmax = argmax};
    if (count < TILE_WINDOWS) NAME(few_taps_outputs)(1, 1, &job);
    else NAME(few_taps_outputs)(TILE_WINDOWS, 1, &job);
}
