/* few_taps/gradient.h: the weight gradient of convolutions of few taps.
 *
 *   sums[t, f] = sum over outputs m of x[input of m + at[t]] * dy[m, f],
 *   sums[taps, f] = sum over outputs m of dy[m, f]
 *
 * The sums of few_taps/sums.h stay in registers while the outputs pass by, in blocks of 2x2 outputs, row
 * after row within a block.  2x2 max pooling visits its windows in the same order.  There only one of the
 * four outputs has a gradient.  For every filter, the input of the output that argmax names is picked
 * (`quads` holds the four side by side), and one product replaces four, three of which would add zero.  Both
 * ways give the same bits if x is finite: a chain of sums has at most PASS_BLOCKS blocks, and whole rows of
 * them if they fit; windows are cut as blocks are.
 *
 * sums: for each vector of filters, as few_taps/forward.h has them, (taps + 1, LANES). */
#undef PLACES
#undef PICK
#undef FEW_BYTES
#undef PASS_BLOCKS
#define FEW_BYTES 8192 /* of dy in a pass: enough that storing the sums takes little time */
#define PASS_BLOCKS 64 /* blocks of 2x2 outputs in one chain */

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
/* Each double is permuted as two floats. */
#undef PLACES
#define PLACES(v) ((v) * 2 + (((v) * 2 + 1) << 32))
#define PICK(q, places) ((vec)_mm256_permutevar8x32_ps( \
    _mm256_castpd_ps(_mm256_loadu_pd(q)), (__m256i)(places)))
#else
INLINE vec NAME(pick)(const REAL *q, ivec places) {
    /* In one expression: GCC would otherwise write lane after lane to memory. */
#if REAL_BITS == 32
    return (vec){q[places[0] & 3], q[places[1] & 3], q[places[2] & 3], q[places[3] & 3]};
#else
    return (vec){q[places[0] & 3], q[places[1] & 3]};
#endif
}
#define PICK(q, places) NAME(pick)((q), (places))
#endif

/* dy of LANES filters, or of `filters` if ragged; zero where argmax is 255 (nothing).  *places gets the
 * places for PICK. */
INLINE vec NAME(picked)(const int ragged, ptrdiff_t filters, const REAL *dy, const uint8_t *argmax,
                        ivec *places) {
    const tail last = TAIL(ragged ? filters : LANES);
#if defined(ISA_AVX512)
    /* The comparison is on bytes, and takes a quarter of the time of vectors. */
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

/* few_taps_sum behind 2x2 max pooling: x is quads; dy, argmax (rows, columns, filters) belong to windows. */
INLINE void NAME(few_taps_pooled_sum)(const int ragged, const cconv_few_taps_walk *s,
                                      const ptrdiff_t *at, ptrdiff_t taps, ptrdiff_t rows,
                                      ptrdiff_t columns, const REAL *x, const REAL *dy,
                                      const uint8_t *argmax, cconv_ahead *ahead, const int first,
                                      REAL *sums, REAL *bias) {
    const ptrdiff_t filters = s->filters, skip = (s->wide - columns) * filters;
    vec of_dy = {0};
    EACH_TAP(OPEN_SUM)
    for (ptrdiff_t i = 0; i < rows; i++, dy += skip, argmax += skip) {
        const REAL *quads = x + i * s->row;
        for (ptrdiff_t j = 0; j < columns; j++) {
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
    ADD_TO(bias, of_dy)
    EACH_TAP(PUT_SUM)
}

INLINE ptrdiff_t NAME(few_taps_chunks)(ptrdiff_t taps, ptrdiff_t most) {
    return (taps + most - 1) / most;
}

#if defined(PAIR_TAPS)
/* All taps of two vectors of filters; the second lies `other` elements of dy behind the first. */
INLINE void NAME(few_taps_pairs)(const cconv_few_taps_walk *s, ptrdiff_t rows, ptrdiff_t columns,
                                 const REAL *x, const REAL *dy, ptrdiff_t other, cconv_ahead *ahead,
                                 int first, REAL *sums) {
    const ptrdiff_t taps = s->taps, chunks = NAME(few_taps_chunks)(taps, PAIR_TAPS);
    const ptrdiff_t apart = (taps + 1) * LANES;
    for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
        const ptrdiff_t t = chunk * taps / chunks, count = (chunk + 1) * taps / chunks - t;
        REAL *const bias = sums + taps * LANES;
        if (chunk) /* only the first chunk sums dy */
            NAME(few_taps_pair)(0, s, s->at + t, count, rows, columns, x, dy, other, ahead, first,
                                sums + t * LANES, apart, bias);
        else
            NAME(few_taps_pair)(1, s, s->at + t, count, rows, columns, x, dy, other, ahead, first,
                                sums + t * LANES, apart, bias);
    }
}
#endif

/* All taps and filters over the outputs of one chain of sums, up to MOST_TAPS taps at a time; if argmax is
 * NULL, nothing is pooled. */
INLINE void NAME(few_taps_pass)(const int ragged, const int half, const cconv_few_taps_walk *s,
                                ptrdiff_t rows, ptrdiff_t columns, const REAL *x, const REAL *dy,
                                const uint8_t *argmax, cconv_ahead *ahead, int first, REAL *sums) {
    const ptrdiff_t filters = s->filters, taps = s->taps, vectors = NAME(few_taps_vectors)(filters);
    const ptrdiff_t chunks = NAME(few_taps_chunks)(taps, MOST_TAPS);
    ptrdiff_t v = 0;
    (void)half;
#if defined(PAIR_TAPS)
    if (!ragged && !argmax)
        for (; v + 2 <= vectors; v += 2, sums += 2 * (taps + 1) * LANES) {
            const ptrdiff_t j = NAME(few_taps_vector)(filters, v);
            NAME(few_taps_pairs)(s, rows, columns, x, dy + j, NAME(few_taps_vector)(filters, v + 1) - j,
                                 ahead, first, sums);
        }
#endif
    for (; v < vectors; v++, sums += (taps + 1) * LANES) {
        const ptrdiff_t j = NAME(few_taps_vector)(filters, v);
        for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
            const ptrdiff_t t = chunk * taps / chunks, count = (chunk + 1) * taps / chunks - t;
            /* The first chunk sums dy.  The others do so too, but their sum is not used. */
            REAL again[LANES] = {0}, *const bias = chunk ? again : sums + taps * LANES;
            if (argmax)
                NAME(few_taps_pooled_sum)(ragged, s, s->at + t, count, rows, columns, x, dy + j,
                                          argmax + j, ahead, first, sums + t * LANES, bias);
#if defined(HALF_TILES)
            else if (half)
                NAME(half_few_taps_sum)(1, s, s->at + t, count, rows, columns, x, dy, ahead, first,
                                     sums + t * LANES, bias);
#endif
            else
                NAME(few_taps_sum)(ragged, s, s->at + t, count, rows, columns, x, dy + j, ahead, first,
                                   sums + t * LANES, bias);
        }
    }
}

/* How many times few_taps_pass walks over the same outputs. */
INLINE ptrdiff_t NAME(few_taps_walks)(const int ragged, const cconv_few_taps_walk *s, int pooled) {
    const ptrdiff_t vectors = NAME(few_taps_vectors)(s->filters);
    const ptrdiff_t chunks = NAME(few_taps_chunks)(s->taps, MOST_TAPS);
#if defined(PAIR_TAPS)
    const ptrdiff_t pairs = ragged || pooled ? 0 : vectors / 2;
    return pairs * NAME(few_taps_chunks)(s->taps, PAIR_TAPS) + (vectors - 2 * pairs) * chunks;
#else
    (void)ragged, (void)pooled;
    return vectors * chunks;
#endif
}

/* All outputs, in passes: each some rows, or parts of two rows if they are long.  All taps and filters see
 * the outputs of a pass before the next pass, which comes from memory meanwhile. */
INLINE void NAME(few_taps_sums)(const int ragged, const int half, const cconv_few_taps_walk *s,
                                ptrdiff_t rows, const REAL *x, const REAL *dy, const uint8_t *argmax,
                                int first, REAL *sums) {
    const ptrdiff_t filters = s->filters, down = s->wide * filters, side = argmax ? 1 : 2;
    const ptrdiff_t whole = s->columns / side, blocks = whole ? whole : 1; /* of 2x2 outputs, in a row */
    const ptrdiff_t most = rows == 1 && !argmax ? PASS_BLOCKS / 2 : PASS_BLOCKS;
    const ptrdiff_t parts = (blocks + most - 1) / most; /* of a row: at most `most` blocks each */
    const ptrdiff_t each = (blocks + parts - 1) / parts * side; /* outputs, or windows, of a part */
    const ptrdiff_t few = 1 + FEW_BYTES / (2 * blocks * filters * (ptrdiff_t)sizeof(REAL));
    const ptrdiff_t fit = parts > 1 ? 1 : most / blocks, at_once = side * (few < fit ? few : fit);
    const ptrdiff_t walks = NAME(few_taps_walks)(ragged, s, argmax != 0);
    ptrdiff_t i = 0;
    do { /* also without rows: then the sums must become zero if `first` */
        const ptrdiff_t some = rows - i < at_once ? rows - i : at_once;
        int more = 1; /* whether these rows have more parts */
        for (ptrdiff_t start = 0, stop; more; start = stop) {
            stop = start + each + 2 * side > s->columns ? s->columns : start + each;
            more = stop < s->columns;
            /* The next pass: the next part of these rows, or the next rows. */
            const ptrdiff_t at = i * down + start * filters;
            const ptrdiff_t next = more ? i * down + stop * filters : (i + some) * down;
            const ptrdiff_t high = parts > 1 ? some : 1;
            const ptrdiff_t wide = parts > 1 ? (stop - start) * filters : some * down;
            /* Two rows at a time hide the stream from the hardware. */
            const ptrdiff_t steps = some * (stop - start), size = (ptrdiff_t)sizeof(REAL);
            const ptrdiff_t calls = walks * (argmax ? steps : steps / 4 + 1);
            cconv_ahead ahead[2] = {
                cconv_ask((const void *)((uintptr_t)dy + (uintptr_t)(next * size)), high,
                          wide * size, down * size, calls),
                cconv_ask((const void *)((uintptr_t)argmax + (uintptr_t)next), high,
                          argmax ? wide : 0, down, calls)};
            NAME(few_taps_pass)(ragged, half, s, some, stop - start,
                                x + i * s->row + start * s->column, dy + at,
                                argmax ? argmax + at : argmax, ahead, first, sums);
            first = 0;
        }
        i += some;
    } while (i < rows);
}

static void NAME(few_taps_gradient)(const cconv_few_taps_walk *s, ptrdiff_t rows, const void *x,
                                    const void *dy, int first, void *sums) {
#if defined(HALF_TILES)
    if (s->filters <= LANES / 2) NAME(few_taps_sums)(1, 1, s, rows, x, dy, 0, first, sums);
    else
#endif
    if (s->filters < LANES) NAME(few_taps_sums)(1, 0, s, rows, x, dy, 0, first, sums);
    else NAME(few_taps_sums)(0, 0, s, rows, x, dy, 0, first, sums);
}

static void NAME(few_taps_pooled_gradient)(const cconv_few_taps_walk *s, ptrdiff_t rows,
                                           const void *quads, const void *dy, const uint8_t *argmax,
                                           int first, void *sums) {
    if (s->filters < LANES) NAME(few_taps_sums)(1, 0, s, rows, quads, dy, argmax, first, sums);
    else NAME(few_taps_sums)(0, 0, s, rows, quads, dy, argmax, first, sums);
}

static void NAME(few_taps_quads)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t row, ptrdiff_t right,
                                 ptrdiff_t down, const void *x, void *quads) {
    REAL *restrict q = quads;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *a = (const REAL *)x + i * row, *b = a + down;
        for (ptrdiff_t k = 0; k < n; k++, q += 4)
            q[0] = a[k], q[1] = a[k + right], q[2] = b[k], q[3] = b[k + right];
    }
}

static void NAME(few_taps_unpack)(ptrdiff_t taps, ptrdiff_t filters, const void *sums, void *dkernel,
                                  void *dbias) {
    const ptrdiff_t vectors = NAME(few_taps_vectors)(filters),
                    width = filters < LANES ? filters : LANES;
    const REAL *from = sums;
    for (ptrdiff_t v = 0; v < vectors; v++)
        for (ptrdiff_t t = 0; t <= taps; t++, from += LANES) {
            REAL *to = t < taps ? (REAL *)dkernel + t * filters : (REAL *)dbias;
            to += NAME(few_taps_vector)(filters, v);
            for (ptrdiff_t l = 0; l < width; l++) to[l] = from[l];
        }
}

static const cconv_few_taps NAME(few_taps) = {
    NAME(few_taps_pack), NAME(few_taps_forward), NAME(few_taps_pooled), NAME(along_rows_pack),
    NAME(along_rows_input), NAME(along_rows_weak), NAME(along_rows_forward),
    NAME(along_rows_pooled),
    NAME(few_taps_gradient), NAME(few_taps_quads), NAME(few_taps_pooled_gradient),
    NAME(few_taps_unpack)};
