/* first_gradient.h: the weight gradient of convolutions of few taps.
 *
 *   sums[t, f] = sum over outputs m of x[input of m + at[t]] * dy[m, f],
 *   sums[taps, f] = that of dy
 *
 * The sums of one vector of filters and up to MOST_TAPS taps stay in registers while the outputs
 * pass by: one load of dy and one fused multiply-add a tap.  The outputs go by in blocks of 2x2,
 * row after row within a block, so that 2x2 max pooling visits its windows in the same order: there
 * only one of four outputs has a gradient, so the input of the one that argmax names is picked for
 * every filter (`quads` has the four side by side) and one product stands for four, three of which
 * would add zero.  Both give the same bits, as long as x is finite.
 *
 * sums: for each vector of filters, as first.h has them, (taps + 1, LANES). */
#undef MOST_TAPS
#undef EACH_TAP
#undef PLACES
#undef PICK
#if defined(ISA_AVX512)
#define MOST_TAPS 25
#elif defined(__aarch64__)
#define MOST_TAPS 24
#else
#define MOST_TAPS 10
#endif
/* from the last on, so that a switch can begin anywhere */
#define EACH_TAP(DO) DO(24) DO(23) DO(22) DO(21) DO(20) DO(19) DO(18) DO(17) DO(16) DO(15) DO(14) \
    DO(13) DO(12) DO(11) DO(10) DO(9) DO(8) DO(7) DO(6) DO(5) DO(4) DO(3) DO(2) DO(1) DO(0)

/* PICK(q, places): q[places[lane]] for every lane, of four values; PLACES prepares places. */
#define PLACES(v) (v)
#if defined(ISA_AVX512) && REAL_BITS == 32
#define PICK(q, places) \
    ((vec)_mm512_permutexvar_ps((__m512i)(places), _mm512_castps128_ps512(_mm_loadu_ps(q))))
#elif defined(ISA_AVX512)
#define PICK(q, places) \
    ((vec)_mm512_permutexvar_pd((__m512i)(places), _mm512_castpd256_pd512(_mm256_loadu_pd(q))))
#elif defined(ISA_AVX2) && REAL_BITS == 32
#define PICK(q, places) \
    ((vec)_mm256_permutevar_ps(_mm256_broadcast_ps((const __m128 *)(q)), (__m256i)(places)))
#elif defined(ISA_AVX2)
/* the two halves of each double */
#undef PLACES
#define PLACES(v) ((v) * 2 + (((v) * 2 + 1) << 32))
#define PICK(q, places) ((vec)_mm256_permutevar8x32_ps( \
    _mm256_castpd_ps(_mm256_loadu_pd(q)), (__m256i)(places)))
#else
INLINE vec NAME(pick)(const REAL *q, ivec places) {
    vec v;
    for (ptrdiff_t l = 0; l < LANES; l++) v[l] = q[places[l]];
    return v;
}
#define PICK(q, places) NAME(pick)((q), (places))
#endif

/* The sums of `taps` taps and their registers. */
#define DECLARE(t) vec c##t = {0};
#define FETCH(t) if (t < MOST_TAPS && t < taps) c##t = LOAD(sums + t * LANES);
#define KEEP(t) if (t < MOST_TAPS && t < taps) STORE(sums + t * LANES, c##t);
/* The statements for every tap. */
#define TAPS(DO) switch (taps) { EACH_TAP(DO) default: break; }
#define TAP(t, ...) case t + 1: if (t < MOST_TAPS) { __VA_ARGS__; } __attribute__((fallthrough));

/* `taps` taps, from `at` on, of one vector of filters; dy from that vector on; sums (taps, LANES),
 * bias (LANES).  ragged: it is not full; ahead: bytes of dy's rows nobody has asked for yet. */
INLINE void NAME(first_sum)(const int ragged, const cconv_first_walk *s, const ptrdiff_t *at,
                            ptrdiff_t taps, ptrdiff_t rows, const REAL *x, const REAL *dy,
                            const ptrdiff_t ahead, const int first, REAL *sums, REAL *bias) {
    const ptrdiff_t filters = s->filters, down = s->columns * filters, column = s->column;
    const tail last = TAIL(ragged ? filters : LANES);
    vec of_dy = {0};
    EACH_TAP(DECLARE)
    if (!first) {
        of_dy = LOAD(bias);
        EACH_TAP(FETCH)
    }
#define GET_DY(p) (ragged ? LOAD_TAIL(p, last) : LOAD(p))
    for (ptrdiff_t i = 0; i < rows; i += 2) {
        const ptrdiff_t high = rows - i < 2 ? 1 : 2, pairs = high == 2 ? s->columns / 2 : 0;
        const REAL *a = x + i * s->row, *b = a + column, *c = a + s->row, *d = c + column;
        const REAL *g = dy + i * down;
        /* Two rows at a time hide the stream from the hardware: ask for the next two. */
        for (ptrdiff_t line = 0; line < ahead; line += 64)
            __builtin_prefetch((const char *)(uintptr_t)((uintptr_t)g + (uintptr_t)(ahead + line)),
                               0, 2);
        for (ptrdiff_t j = 0; j < pairs; j++) {
            const vec ga = GET_DY(g), gb = GET_DY(g + filters);
            const vec gc = GET_DY(g + down), gd = GET_DY(g + down + filters);
            of_dy = of_dy + ga + gb + gc + gd;
#define BLOCK_(t) TAP(t, const ptrdiff_t tap = at[t]; c##t = FMA(SPLAT(a[tap]), ga, c##t); \
                      c##t = FMA(SPLAT(b[tap]), gb, c##t); c##t = FMA(SPLAT(c[tap]), gc, c##t); \
                      c##t = FMA(SPLAT(d[tap]), gd, c##t))
            TAPS(BLOCK_)
#undef BLOCK_
            a += 2 * column, b += 2 * column, c += 2 * column, d += 2 * column;
            g += 2 * filters;
        }
        for (ptrdiff_t j = 2 * pairs; j < s->columns; j++, a += column, g += filters)
            for (ptrdiff_t u = 0; u < high; u++) {
                const REAL *const one = a + u * s->row;
                const vec value = GET_DY(g + u * down);
                of_dy += value;
#define OUTPUT(t) TAP(t, c##t = FMA(SPLAT(one[at[t]]), value, c##t))
                TAPS(OUTPUT)
#undef OUTPUT
            }
    }
    STORE(bias, of_dy);
    EACH_TAP(KEEP)
}

/* The same behind 2x2 max pooling: x is quads; dy, argmax (rows, columns, filters) its windows'. */
INLINE void NAME(first_pooled_sum)(const int ragged, const cconv_first_walk *s, const ptrdiff_t *at,
                                   ptrdiff_t taps, ptrdiff_t rows, const REAL *x, const REAL *dy,
                                   const uint8_t *argmax, const int first, REAL *sums, REAL *bias) {
    const ptrdiff_t filters = s->filters;
    const tail last = TAIL(ragged ? filters : LANES);
    vec of_dy = {0};
    EACH_TAP(DECLARE)
    if (!first) {
        of_dy = LOAD(bias);
        EACH_TAP(FETCH)
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *quads = x + i * s->row;
        for (ptrdiff_t j = 0; j < s->columns; j++) {
            ivec places = NAME(load_bytes)(argmax, ragged ? filters : LANES);
            const mask none = IEQ(places, (ivec){0} + 255);
            const vec value = BLEND(none, (vec){0}, GET_DY(dy));
            places = (ivec)BLEND(none, (vec){0}, (vec)places);
            places = PLACES(places);
            of_dy += value;
#define WINDOW(t) TAP(t, c##t = FMA(PICK(quads + at[t], places), value, c##t))
            TAPS(WINDOW)
#undef WINDOW
            quads += s->column, dy += filters, argmax += filters;
        }
    }
    STORE(bias, of_dy);
    EACH_TAP(KEEP)
}
#undef GET_DY
#undef DECLARE
#undef FETCH
#undef KEEP
#undef TAPS
#undef TAP

/* All taps and filters, as many taps at a time as there are registers; argmax: NULL, not pooled. */
INLINE void NAME(first_sums)(const int ragged, const cconv_first_walk *s, ptrdiff_t rows,
                             const REAL *x, const REAL *dy, const uint8_t *argmax, const int first,
                             REAL *sums) {
    const ptrdiff_t filters = s->filters, taps = s->taps, vectors = NAME(first_vectors)(filters);
    const ptrdiff_t chunks = (taps + MOST_TAPS - 1) / MOST_TAPS;
    const ptrdiff_t two_rows = 2 * s->columns * filters * (ptrdiff_t)sizeof(REAL);
    for (ptrdiff_t v = 0; v < vectors; v++, sums += (taps + 1) * LANES) {
        const ptrdiff_t j = NAME(first_vector)(filters, v);
        for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
            const ptrdiff_t t = chunk * taps / chunks, count = (chunk + 1) * taps / chunks - t;
            /* The first chunk sums dy, the others do so in vain. */
            REAL again[LANES] = {0}, *const bias = chunk ? again : sums + taps * LANES;
            REAL *const to = sums + t * LANES;
            if (argmax)
                NAME(first_pooled_sum)(ragged, s, s->at + t, count, rows, x, dy + j, argmax + j,
                                       first, to, bias);
            else
                NAME(first_sum)(ragged, s, s->at + t, count, rows, x, dy + j,
                                v || chunk ? 0 : two_rows, first, to, bias);
        }
    }
}

static void NAME(first_gradient)(const cconv_first_walk *s, ptrdiff_t rows, const void *x,
                                 const void *dy, int first, void *sums) {
    if (s->filters < LANES) NAME(first_sums)(1, s, rows, x, dy, 0, first, sums);
    else NAME(first_sums)(0, s, rows, x, dy, 0, first, sums);
}

static void NAME(first_pooled_gradient)(const cconv_first_walk *s, ptrdiff_t rows,
                                        const void *quads, const void *dy, const uint8_t *argmax,
                                        int first, void *sums) {
    if (s->filters < LANES) NAME(first_sums)(1, s, rows, quads, dy, argmax, first, sums);
    else NAME(first_sums)(0, s, rows, quads, dy, argmax, first, sums);
}

static void NAME(first_quads)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t row, ptrdiff_t right,
                              ptrdiff_t down, const void *x, void *quads) {
    REAL *restrict q = quads;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *a = (const REAL *)x + i * row, *b = a + down;
        for (ptrdiff_t k = 0; k < n; k++, q += 4)
            q[0] = a[k], q[1] = a[k + right], q[2] = b[k], q[3] = b[k + right];
    }
}

static void NAME(first_unpack)(ptrdiff_t taps, ptrdiff_t filters, const void *sums, void *dkernel,
                               void *dbias) {
    const ptrdiff_t vectors = NAME(first_vectors)(filters),
                    width = filters < LANES ? filters : LANES;
    const REAL *from = sums;
    for (ptrdiff_t v = 0; v < vectors; v++)
        for (ptrdiff_t t = 0; t <= taps; t++, from += LANES) {
            REAL *to = t < taps ? (REAL *)dkernel + t * filters : (REAL *)dbias;
            to += NAME(first_vector)(filters, v);
            for (ptrdiff_t l = 0; l < width; l++) to[l] = from[l];
        }
}

static const cconv_first NAME(first) = {
    NAME(first_pack), NAME(first_forward), NAME(first_pooled), NAME(first_tiles_pack),
    NAME(first_tiles_input), NAME(first_tiles_forward), NAME(first_tiles_pooled),
    NAME(first_gradient), NAME(first_quads), NAME(first_pooled_gradient), NAME(first_unpack)};
