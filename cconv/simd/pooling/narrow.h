/* pooling/narrow.h: average pooling by windows two pixels wide, side by side, of so few channels that
 * several windows fit into a vector.
 *
 * A row of windows is a sequence of pixels left, right, left, right, of c channels each.  One permutation
 * picks the left pixels of LANES / c windows from two vectors, another the right ones.  In the gradient a
 * permutation puts the value of each window at both pixels.  Each element is the sum of
 * pooling/windows.h, in its order.  AVX-512 permutes two vectors at once; other sets gain nothing by it. */
#undef PERMUTE2

#if REAL_BITS == 32
#define PERMUTE2(a, index, b) ((vec)_mm512_permutex2var_ps((a), (__m512i)(index), (b)))
#else
#define PERMUTE2(a, index, b) ((vec)_mm512_permutex2var_pd((a), (__m512i)(index), (b)))
#endif

/* start, start + 1, ... */
INLINE uvec NAME(counting)(ptrdiff_t start) {
    uvec v = {0};
    for (ptrdiff_t l = 0; l < LANES; l++) v[l] = (unsigned)(start + l);
    return v;
}

INLINE uvec NAME(each)(ptrdiff_t n) { return (uvec){0} + (int)n; }

/* v / c, for v < 2 * LANES and c <= LANES */
INLINE uvec NAME(quotient)(uvec v, ptrdiff_t c) { return v * NAME(each)(4096 / c + 1) >> 12; }

INLINE int NAME(is_narrow)(const cconv_pool *p) {
    return p->kw == 2 && p->sw == 2 && p->dw == 1 && 2 * p->c <= LANES;
}

/* y (count, c): the sums over `rows` rows of count >= LANES / c windows, divided by weight.
 * x: the first pixel; the rows lie `down` apart */
INLINE void NAME(narrow_averages)(ptrdiff_t count, ptrdiff_t c, ptrdiff_t rows, ptrdiff_t down,
                                  const REAL *x, REAL weight, REAL *y) {
    const ptrdiff_t each = LANES / c, n = each * c;
    const uvec first = NAME(counting)(0), left = first + NAME(quotient)(first, c) * NAME(each)(c);
    const uvec right = left + NAME(each)(c);
    const tail some = TAIL(n), rest = TAIL(2 * n - LANES);
    for (ptrdiff_t i = 0; i < count; i += each) {
        const ptrdiff_t at = i + each <= count ? i : count - each; /* the last ones overlap */
        const REAL *from = x + 2 * at * c;
        vec sum = {0};
        for (ptrdiff_t u = 0; u < rows; u++, from += down) {
            const vec a = LOAD(from), b = LOAD_TAIL(from + LANES, rest);
            sum += PERMUTE2(a, left, b);
            sum += PERMUTE2(a, right, b);
        }
        STORE_TAIL(y + at * c, some, sum / weight);
    }
}

/* dx (2 * count, c): dy (count, c) * weight at both pixels of each window, count >= LANES / c */
INLINE void NAME(narrow_spread)(ptrdiff_t count, ptrdiff_t c, const REAL *dy, REAL weight,
                                REAL *dx) {
    const ptrdiff_t each = LANES / c, n = each * c;
    const uvec channels = NAME(each)(c), first = NAME(counting)(0), second = NAME(counting)(LANES);
    /* k / (2c) * c + k % c */
    const uvec low = first - (NAME(quotient)(first, c) - NAME(quotient)(first, 2 * c)) * channels;
    const uvec high =
        second - (NAME(quotient)(second, c) - NAME(quotient)(second, 2 * c)) * channels;
    const tail some = TAIL(n), rest = TAIL(2 * n - LANES);
    for (ptrdiff_t i = 0; i < count; i += each) {
        const ptrdiff_t at = i + each <= count ? i : count - each;
        const vec value = LOAD_TAIL(dy + at * c, some) * weight;
        REAL *to = dx + 2 * at * c;
        STORE(to, PERMUTE2(value, low, value));
        STORE_TAIL(to + LANES, rest, PERMUTE2(value, high, value));
    }
}
