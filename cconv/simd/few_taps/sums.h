/* few_taps/sums.h: the sums of few_taps/gradient.h, for one vector of filters, or two, and some taps.  With
 * HALF_VECTORS for up to half a vector: that helps processors whose multipliers are half as wide as their
 * vectors.
 *
 * Up to MOST_TAPS sums stay in registers while some outputs pass by: one load of dy, and one fused
 * multiply-add a tap.  They begin from zero and are then added to those in memory. */
#undef MOST_TAPS
#undef PAIR_TAPS
#undef EACH_TAP
#undef SUM_LANES
#undef GET_DY
#undef OPEN_SUM
#undef PUT_SUM
#undef ADD_TO
#undef TAPS
#undef TAP

#if defined(HALF_VECTORS)
#define SUM_LANES (2 * LANES) /* the other half is not used */
#else
#define SUM_LANES LANES
#endif

#if defined(ISA_AVX512)
#define MOST_TAPS 25
#elif defined(__aarch64__)
#define MOST_TAPS 24
#else
#define MOST_TAPS 10
#define PAIR_TAPS 5 /* at once for two vectors of filters: each input is broadcast once for both */
#endif
/* Starts with the last tap, so that a switch can begin at any tap. */
#define EACH_TAP(DO) DO(24) DO(23) DO(22) DO(21) DO(20) DO(19) DO(18) DO(17) DO(16) DO(15) DO(14) \
    DO(13) DO(12) DO(11) DO(10) DO(9) DO(8) DO(7) DO(6) DO(5) DO(4) DO(3) DO(2) DO(1) DO(0)

/* Declares, and stores, the sum of tap t. */
#define OPEN_SUM(t) vec c##t = {0};
#define PUT_SUM(t) if (t < MOST_TAPS && t < taps) ADD_TO(sums + t * SUM_LANES, c##t)
/* p += v; if `first`, p holds no numbers yet, and counts as zero */
#define ADD_TO(p, v) { \
        vec old_ = {0}; \
        if (!first) old_ = LOAD(p); \
        STORE((p), old_ + v); }
/* The statements for every tap. */
#define TAPS(DO) switch (taps) { EACH_TAP(DO) default: break; }
#define TAP(t, ...) case t + 1: if (t < MOST_TAPS) { __VA_ARGS__; } __attribute__((fallthrough));

/* The sums of `taps` taps from `at` on for one vector of filters; dy (rows, columns) points to that vector;
 * sums (taps, SUM_LANES), bias (LANES).  ragged: the vector is not full; ahead: what is prefetched. */
static inline __attribute__((always_inline)) void NAME(few_taps_sum)(
        const int ragged, const cconv_few_taps_walk *s, const ptrdiff_t *at, ptrdiff_t taps,
        ptrdiff_t rows, ptrdiff_t columns, const REAL *x, const REAL *dy, cconv_ahead *ahead,
        const int first, REAL *sums, REAL *bias) {
    const ptrdiff_t filters = s->filters, down = s->wide * filters, column = s->column;
    const tail last = TAIL(ragged ? filters : LANES);
    vec of_dy = {0};
    EACH_TAP(OPEN_SUM)
#define GET_DY(p) (ragged ? LOAD_TAIL(p, last) : LOAD(p))
    for (ptrdiff_t i = 0; i < rows; i += 2) {
        const ptrdiff_t high = rows - i < 2 ? 1 : 2, pairs = high == 2 ? columns / 2 : 0;
        const REAL *a = x + i * s->row, *b = a + column, *c = a + s->row, *d = c + column;
        const REAL *g = dy + i * down;
        for (ptrdiff_t j = 0; j < pairs; j++) {
            cconv_fetch(ahead);
            const vec ga = GET_DY(g), gb = GET_DY(g + filters);
            const vec gc = GET_DY(g + down), gd = GET_DY(g + down + filters);
            of_dy += ga + gb + gc + gd; /* its chain has a quarter of the terms */
#define BLOCK_(t) TAP(t, const ptrdiff_t tap = at[t]; c##t = FMA(SPLAT(a[tap]), ga, c##t); \
                      c##t = FMA(SPLAT(b[tap]), gb, c##t); c##t = FMA(SPLAT(c[tap]), gc, c##t); \
                      c##t = FMA(SPLAT(d[tap]), gd, c##t))
            TAPS(BLOCK_)
#undef BLOCK_
            a += 2 * column, b += 2 * column, c += 2 * column, d += 2 * column;
            g += 2 * filters;
        }
        for (ptrdiff_t j = 2 * pairs; j < columns; j++, a += column, g += filters)
            for (ptrdiff_t u = 0; u < high; u++) {
                const REAL *const one = a + u * s->row;
                const vec value = GET_DY(g + u * down);
                of_dy += value;
#define OUTPUT(t) TAP(t, c##t = FMA(SPLAT(one[at[t]]), value, c##t))
                TAPS(OUTPUT)
#undef OUTPUT
            }
    }
    ADD_TO(bias, of_dy)
    EACH_TAP(PUT_SUM)
}

#if defined(PAIR_TAPS)
_Static_assert(PAIR_TAPS == 5, "EACH_OF_PAIR has as many");
#define EACH_OF_PAIR(DO) DO(4) DO(3) DO(2) DO(1) DO(0)

/* few_taps_sum for two full vectors of filters, `other` elements of dy and `apart` of sums apart; the bias
 * only if sums_dy. */
INLINE void NAME(few_taps_pair)(const int sums_dy, const cconv_few_taps_walk *s, const ptrdiff_t *at,
                                ptrdiff_t taps, ptrdiff_t rows, ptrdiff_t columns, const REAL *x,
                                const REAL *dy, ptrdiff_t other, cconv_ahead *ahead, const int first,
                                REAL *sums, ptrdiff_t apart, REAL *bias) {
    const ptrdiff_t filters = s->filters, down = s->wide * filters, column = s->column;
    vec of_dy0 = {0}, of_dy1 = {0};
#define OPEN_PAIR(t) vec c##t##0 = {0}, c##t##1 = {0};
    EACH_OF_PAIR(OPEN_PAIR)
#undef OPEN_PAIR
    /* Where there are fewer taps, the first is summed again in vain: that is cheaper than a test. */
#define PLACE_OF(t) const ptrdiff_t at##t = at[t < taps ? t : 0];
    EACH_OF_PAIR(PLACE_OF)
#undef PLACE_OF
#define OF_TAP(t) { \
        const vec s_ = SPLAT(p_[at##t]); \
        c##t##0 = FMA(s_, g0, c##t##0); \
        c##t##1 = FMA(s_, g1, c##t##1); }
#define OUTPUT(p, g) { \
        const REAL *const p_ = p; \
        const vec g0 = LOAD(g), g1 = LOAD((g) + other); \
        if (sums_dy) quad0 += g0, quad1 += g1; \
        EACH_OF_PAIR(OF_TAP) }
    for (ptrdiff_t i = 0; i < rows; i += 2) {
        const ptrdiff_t high = rows - i < 2 ? 1 : 2, pairs = high == 2 ? columns / 2 : 0;
        const REAL *a = x + i * s->row, *c = a + s->row, *g = dy + i * down;
        for (ptrdiff_t j = 0; j < pairs; j++) {
            cconv_fetch(ahead);
            vec quad0 = {0}, quad1 = {0};
            OUTPUT(a, g)
            OUTPUT(a + column, g + filters)
            OUTPUT(c, g + down)
            OUTPUT(c + column, g + down + filters)
            if (sums_dy) of_dy0 += quad0, of_dy1 += quad1;
            a += 2 * column, c += 2 * column, g += 2 * filters;
        }
        for (ptrdiff_t j = 2 * pairs; j < columns; j++, a += column, g += filters)
            for (ptrdiff_t u = 0; u < high; u++) {
                vec quad0 = {0}, quad1 = {0};
                OUTPUT(a + u * s->row, g + u * down)
                if (sums_dy) of_dy0 += quad0, of_dy1 += quad1;
            }
    }
#undef OUTPUT
#undef OF_TAP
    if (sums_dy) {
        ADD_TO(bias, of_dy0)
        ADD_TO(bias + apart, of_dy1)
    }
#define PUT_PAIR(t) if (t < taps) { \
        ADD_TO(sums + t * LANES, c##t##0) \
        ADD_TO(sums + apart + t * LANES, c##t##1) }
    EACH_OF_PAIR(PUT_PAIR)
#undef PUT_PAIR
}
#undef EACH_OF_PAIR
#endif
