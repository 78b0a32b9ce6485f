/* first_gradient.h: the weight gradient of convolutions of few taps.
 *
 *   sums[t, f] = sum over outputs m of x[input of m + at[t]] * dy[m, f],
 *   sums[taps, f] = that of dy
 *
 * The sums of first_sum.h stay in registers while the outputs pass by.  They go by in blocks of 2x2,
 * row after row within a block, so that 2x2 max pooling visits its windows in the same order: there
 * only one of four outputs has a gradient, so the input of the one that argmax names is picked for
 * every filter (`quads` has the four side by side) and one product stands for four, three of which
 * would add zero.  Both give the same bits, as long as x is finite.
 *
 * sums: for each vector of filters, as first.h has them, (taps + 1, LANES). */
#undef PLACES
#undef PICK
#undef FEW_BYTES
#define FEW_BYTES 8192 /* of dy: enough that taking and putting the sums is little */

/* PICK(q, places): q[places[lane] % 4] for every lane, of four values; PLACES prepares places. */
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
    /* In one go: GCC would put lane after lane by way of memory. */
#if REAL_BITS == 32
    return (vec){q[places[0] & 3], q[places[1] & 3], q[places[2] & 3], q[places[3] & 3]};
#else
    return (vec){q[places[0] & 3], q[places[1] & 3]};
#endif
}
#define PICK(q, places) NAME(pick)((q), (places))
#endif

/* dy of LANES filters, or of the first, ragged; zero where argmax is 255, nothing.  The places are
 * for PICK. */
INLINE vec NAME(picked)(const int ragged, ptrdiff_t filters, const REAL *dy, const uint8_t *argmax,
                        ivec *places) {
    const tail last = TAIL(ragged ? filters : LANES);
#if defined(ISA_AVX512)
    /* On bytes, which take a quarter of the time of vectors. */
#if REAL_BITS == 32
    const __m128i bytes = ragged ? _mm_maskz_loadu_epi8(last, argmax)
                                 : _mm_loadu_si128((const __m128i *)argmax);
    *places = (ivec)_mm512_cvtepu8_epi32(_mm_and_si128(bytes, _mm_set1_epi8(3)));
#else
    const __m128i bytes = ragged ? _mm_maskz_loadu_epi8(last, argmax)
                                 : _mm_loadl_epi64((const __m128i *)argmax);
    *places = (ivec)_mm512_cvtepu8_epi64(_mm_and_si128(bytes, _mm_set1_epi8(3)));
#endif
    const tail some = (tail)_mm_cmpneq_epu8_mask(bytes, _mm_set1_epi8(-1));
    return LOAD_TAIL(dy, ragged ? (tail)(some & last) : some);
#else
    const ivec bytes = NAME(load_bytes)(argmax, ragged ? filters : LANES);
    *places = PLACES(bytes);
    return BLEND(IEQ(bytes, (ivec){0} + 255), (vec){0}, GET_DY(dy));
#endif
}

/* first_sum behind 2x2 max pooling: x is quads; dy, argmax (rows, columns, filters) its windows'. */
INLINE void NAME(first_pooled_sum)(const int ragged, const cconv_first_walk *s, const ptrdiff_t *at,
                                   ptrdiff_t taps, ptrdiff_t rows, const REAL *x, const REAL *dy,
                                   const uint8_t *argmax, cconv_ahead *ahead, const int first,
                                   REAL *sums, REAL *bias) {
    const ptrdiff_t filters = s->filters;
    vec of_dy = {0};
    EACH_TAP(OPEN_SUM)
    if (!first) {
        of_dy = LOAD(bias);
        EACH_TAP(TAKE_SUM)
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *quads = x + i * s->row;
        for (ptrdiff_t j = 0; j < s->columns; j++) {
            cconv_fetch(ahead);
            cconv_fetch(ahead + 1);
            ivec places;
            const vec value = NAME(picked)(ragged, filters, dy, argmax, &places);
            of_dy += value;
#define WINDOW(t) TAP(t, c##t = FMA(PICK(quads + at[t], places), value, c##t))
            TAPS(WINDOW)
#undef WINDOW
            quads += s->column, dy += filters, argmax += filters;
        }
    }
    STORE(bias, of_dy);
    EACH_TAP(PUT_SUM)
}

INLINE ptrdiff_t NAME(first_chunks)(ptrdiff_t taps, ptrdiff_t most) {
    return (taps + most - 1) / most;
}

#if defined(PAIR_TAPS)
/* All taps of two vectors of filters, the second `other` elements of dy behind the first. */
INLINE void NAME(first_pairs)(const cconv_first_walk *s, ptrdiff_t rows, const REAL *x,
                              const REAL *dy, ptrdiff_t other, cconv_ahead *ahead, int first,
                              REAL *sums) {
    const ptrdiff_t taps = s->taps, chunks = NAME(first_chunks)(taps, PAIR_TAPS);
    const ptrdiff_t apart = (taps + 1) * LANES;
    for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
        const ptrdiff_t t = chunk * taps / chunks, count = (chunk + 1) * taps / chunks - t;
        /* The first chunk sums dy, the others do so in vain. */
        REAL again[2 * LANES] = {0}, *const bias = chunk ? again : sums + taps * LANES;
        NAME(first_pair)(s, s->at + t, count, rows, x, dy, other, ahead, first, sums + t * LANES,
                         apart, bias, bias + (chunk ? LANES : apart));
    }
}
#endif

/* All taps and filters, as many taps at a time as there are registers; argmax: NULL, not pooled.
 * A few rows get all of them before the next ones do, so that these come from memory meanwhile. */
INLINE void NAME(first_sums)(const int ragged, const int half, const cconv_first_walk *s,
                             ptrdiff_t rows, const REAL *x, const REAL *dy, const uint8_t *argmax,
                             int first, REAL *sums) {
    const ptrdiff_t filters = s->filters, taps = s->taps, vectors = NAME(first_vectors)(filters);
    const ptrdiff_t chunks = NAME(first_chunks)(taps, MOST_TAPS), down = s->columns * filters;
    const ptrdiff_t at_once = 2 * (1 + FEW_BYTES / (down * (ptrdiff_t)sizeof(REAL)));
#if defined(PAIR_TAPS)
    const ptrdiff_t pairs = ragged || argmax ? 0 : vectors / 2;
    const ptrdiff_t passes =
        pairs * NAME(first_chunks)(taps, PAIR_TAPS) + (vectors - 2 * pairs) * chunks;
#else
    const ptrdiff_t passes = vectors * chunks;
#endif
    ptrdiff_t i = 0;
    do { /* without rows too: the first sums are to be nothing then */
        const ptrdiff_t some = rows - i < at_once ? rows - i : at_once;
        const REAL *const a = x + i * s->row, *const b = dy + i * down;
        /* Two rows at a time hide the stream from the hardware. */
        const ptrdiff_t calls = passes * (argmax ? some * s->columns : some * s->columns / 4 + 1);
        cconv_ahead ahead[2] = {
            cconv_ask((const void *)((uintptr_t)(b + some * down)), 1,
                      some * down * (ptrdiff_t)sizeof(REAL), 0, calls),
            cconv_ask((const void *)((uintptr_t)argmax + (i + some) * down), 1,
                      argmax ? some * down : 0, 0, calls)};
        REAL *to = sums;
        ptrdiff_t v = 0;
#if defined(PAIR_TAPS)
        for (; v < 2 * pairs; v += 2, to += 2 * (taps + 1) * LANES) {
            const ptrdiff_t j = NAME(first_vector)(filters, v);
            NAME(first_pairs)(s, some, a, b + j, NAME(first_vector)(filters, v + 1) - j, ahead,
                              first, to);
        }
#endif
        for (; v < vectors; v++, to += (taps + 1) * LANES) {
            const ptrdiff_t j = NAME(first_vector)(filters, v);
            for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
                const ptrdiff_t t = chunk * taps / chunks, count = (chunk + 1) * taps / chunks - t;
                /* The first chunk sums dy, the others do so in vain. */
                REAL again[LANES] = {0}, *const bias = chunk ? again : to + taps * LANES;
                if (argmax)
                    NAME(first_pooled_sum)(ragged, s, s->at + t, count, some, a, b + j,
                                           argmax + i * down + j, ahead, first, to + t * LANES,
                                           bias);
#if defined(HALF_TILES)
                else if (half)
                    NAME(half_first_sum)(1, s, s->at + t, count, some, a, b, ahead, first,
                                         to + t * LANES, bias);
#endif
                else
                    NAME(first_sum)(ragged, s, s->at + t, count, some, a, b + j,
                                    ahead, first, to + t * LANES, bias);
            }
        }
        i += some;
        first = 0;
    } while (i < rows);
}

static void NAME(first_gradient)(const cconv_first_walk *s, ptrdiff_t rows, const void *x,
                                 const void *dy, int first, void *sums) {
#if defined(HALF_TILES)
    if (s->filters <= LANES / 2) NAME(first_sums)(1, 1, s, rows, x, dy, 0, first, sums);
    else
#endif
    if (s->filters < LANES) NAME(first_sums)(1, 0, s, rows, x, dy, 0, first, sums);
    else NAME(first_sums)(0, 0, s, rows, x, dy, 0, first, sums);
}

static void NAME(first_pooled_gradient)(const cconv_first_walk *s, ptrdiff_t rows,
                                        const void *quads, const void *dy, const uint8_t *argmax,
                                        int first, void *sums) {
    if (s->filters < LANES) NAME(first_sums)(1, 0, s, rows, quads, dy, argmax, first, sums);
    else NAME(first_sums)(0, 0, s, rows, quads, dy, argmax, first, sums);
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
