/* rows/few.h: rows of few numbers, LANES of them at once.
 *
 * LANES rows of n <= FEW_MOST numbers lie in memory as n whole vectors.  Elementwise steps run over
 * these vectors.  `few_fold` folds each row into its own lane, by the tree of `fold`, so that a row gets
 * the same bits as alone.  `OF_ROW` brings a number of a row back to its elements. */
#undef FEW
#undef FEW_MOST
#undef OF_ROW
#undef SIDE_BY_SIDE

#define FEW_MOST 16

enum { NAME(ADD_UP), NAME(LARGEST) }; /* how numbers are folded */

INLINE vec NAME(two)(const int how, vec a, vec b) {
    if (how == NAME(LARGEST)) return MAX2(a, b);
    return a + b;
}

/* Which row the elements of the n vectors belong to: an index for OF_ROW. */
INLINE void NAME(few_rows)(ptrdiff_t n, ivec *row_of) {
    for (ptrdiff_t v = 0, at = 0, row = 0; v < n; v++)
        for (ptrdiff_t l = 0; l < LANES; l++) {
#if defined(ISA_AVX2) && REAL_BITS == 64
            row_of[v][l] = 2 * row | (2 * row + 1) << 32; /* two floats to a double */
#else
            row_of[v][l] = (int)row;
#endif
            if (++at == n) at = 0, row++;
        }
}

#if defined(ISA_AVX512)
#define OF_ROW(values, rows) ((vec)M_(permutexvar)((__m512i)(rows), (values)))
#elif defined(ISA_AVX2)
#define OF_ROW(values, rows) ((vec)_mm256_permutevar8x32_ps((__m256)(values), (__m256i)(rows)))
#else
INLINE vec NAME(of_row)(vec values, ivec rows) {
    vec v;
    for (ptrdiff_t l = 0; l < LANES; l++) v[l] = values[rows[l]];
    return v;
}
#define OF_ROW(values, rows) NAME(of_row)(values, rows)
#endif

/* The first `count` lanes of a (times those of b, if any), `fill` in the others. */
INLINE vec NAME(first_lanes)(const REAL *a, const REAL *b, ptrdiff_t count, REAL fill) {
    count = count < 0 ? 0 : count > LANES ? LANES : count;
    const tail some = TAIL(count);
#if defined(ISA_AVX512)
    const vec v = (vec)M_(mask_loadu)(SPLAT(fill), some, a);
#elif defined(ISA_AVX2)
    const vec v = BLEND((vec)some, LOAD_TAIL(a, some), SPLAT(fill));
#else
    vec v = SPLAT(fill);
    for (ptrdiff_t l = 0; l < some; l++) v[l] = a[l];
#endif
    if (b) return v * LOAD_TAIL(b, some);
    return v;
}

/* Row r of a (LANES, n), or of a * b if b is not NULL: the vector that `fold` would get as its parts[s]. */
INLINE vec NAME(few_part)(const int how, const REAL *a, const REAL *b, ptrdiff_t n,
                        ptrdiff_t r, ptrdiff_t s) {
    const REAL fill = how == NAME(LARGEST) ? -INFINITY_ : 0;
    vec part = SPLAT(fill);
    for (ptrdiff_t j = s * LANES; j < FEW_MOST; j += BLOCK)
        part = NAME(two)(
            how, part, NAME(first_lanes)(a + r * n + j, b ? b + r * n + j : b, n - j, fill));
    return part;
}

INLINE vec NAME(few_row)(const int how, const REAL *a, const REAL *b, ptrdiff_t n, ptrdiff_t r) {
#define PART(s) NAME(few_part)(how, a, b, n, r, s)
#if PARTS == 1
    return PART(0);
#elif PARTS == 2
    return NAME(two)(how, PART(0), PART(1));
#else
    return NAME(two)(how, NAME(two)(how, PART(0), PART(2)), NAME(two)(how, PART(1), PART(3)));
#endif
#undef PART
}

/* Each level of the tree halves two vectors of rows and puts the results side by side into one. */
#if defined(ISA_AVX512)
#define SIDE_BY_SIDE(a, b, which) ((vec)_mm512_shuffle_f64x2((__m512d)(a), (__m512d)(b), which))
INLINE vec NAME(halve)(const int how, vec a, vec b) {
    return NAME(two)(how, SIDE_BY_SIDE(a, b, 0x44), SIDE_BY_SIDE(a, b, 0xEE));
}
INLINE vec NAME(quarter)(const int how, vec a, vec b) {
    return NAME(two)(how, SIDE_BY_SIDE(a, b, 0x88), SIDE_BY_SIDE(a, b, 0xDD));
}
#elif defined(ISA_AVX2)
#define SIDE_BY_SIDE(a, b, which) ((vec)_mm256_permute2f128_pd((__m256d)(a), (__m256d)(b), which))
INLINE vec NAME(halve)(const int how, vec a, vec b) {
    return NAME(two)(how, SIDE_BY_SIDE(a, b, 0x20), SIDE_BY_SIDE(a, b, 0x31));
}
#endif
#if REAL_BITS == 32 && (defined(ISA_AVX512) || defined(ISA_AVX2))
INLINE vec NAME(pairs)(const int how, vec a, vec b) {
    return NAME(two)(how, (vec)M_(shuffle)(a, b, 0x44), (vec)M_(shuffle)(a, b, 0xEE));
}
INLINE vec NAME(single)(const int how, vec a, vec b) {
    return NAME(two)(how, (vec)M_(shuffle)(a, b, 0x88), (vec)M_(shuffle)(a, b, 0xDD));
}
#elif defined(ISA_AVX512) || defined(ISA_AVX2)
INLINE vec NAME(single)(const int how, vec a, vec b) {
    return NAME(two)(how, (vec)M_(shuffle)(a, b, 0x00), (vec)M_(shuffle)(a, b, (1 << LANES) - 1));
}
#endif

/* Lane r: the fold of row r of a (LANES, n), or of its products with b (NULL for none). */
INLINE vec NAME(few_fold)(const int how, const REAL *a, const REAL *b, ptrdiff_t n) {
#define ROW(r) NAME(few_row)(how, a, b, n, r)
#if defined(ISA_AVX512) /* rows r, r + d, r + 2 d, r + 3 d, a quarter of a vector each */
#define SPREAD(r, d)                                                                            \
    NAME(quarter)(how, NAME(halve)(how, ROW(r), ROW((r) + (d))),                                \
                  NAME(halve)(how, ROW((r) + 2 * (d)), ROW((r) + 3 * (d))))
#elif defined(ISA_AVX2) /* rows r, r + d, a half each */
#define SPREAD(r, d) NAME(halve)(how, ROW(r), ROW((r) + (d)))
#endif
#if REAL_BITS == 32 && defined(SPREAD)
    const vec first = NAME(pairs)(how, SPREAD(0, 4), SPREAD(1, 4));
    return NAME(single)(how, first, NAME(pairs)(how, SPREAD(2, 4), SPREAD(3, 4)));
#elif defined(SPREAD)
    return NAME(single)(how, SPREAD(0, 2), SPREAD(1, 2));
#else
    vec folded = {0};
    for (ptrdiff_t r = 0; r < LANES; r++) {
        vec row = ROW(r);
        if (how == NAME(LARGEST)) FOLD_LANES(MAX2, row);
        else FOLD_LANES(ADD2, row);
        folded[r] = row[0];
    }
    return folded;
#endif
#undef SPREAD
#undef ROW
}

/* `few` for LANES rows at once, then `one` for every row that is left */
#define FEW(few, one) do {                                                                      \
        ptrdiff_t r = 0;                                                                        \
        if (n <= FEW_MOST && m >= LANES) {                                                      \
            ivec row_of[FEW_MOST];                                                              \
            NAME(few_rows)(n, row_of);                                                          \
            for (; r + LANES <= m; r += LANES) few;                                             \
        }                                                                                       \
        for (; r < m; r++) one;                                                                 \
    } while (0)
