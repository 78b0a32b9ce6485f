/* winograd/points.h: the one-dimensional transforms of Winograd's minimal filtering.
 *
 * For points p_0, p_1, ... and infinity, N(p) = M'(p), M(x) = the product of x - p over all p:
 *   powers   V e, row p of V (1, p, p^2, ...), at infinity the highest power alone
 *   sums     V^T m
 *   scales   1 / N(p) for each point, at infinity 1
 *   B^T d    row p the coefficients of M(x) / (x - p), at infinity those of M(x)
 *   B m      its transpose
 * `points` counts infinity too and is a constant wherever these are inlined:
 *   4   0, +-1                         N(0) = -1, N(+-1) = 2
 *   6   0, +-a, +-b: a = sqrt(1/2), b = sqrt(2)     N(0) = 1, N(+-a) = -3/2, N(+-b) = 6
 * As a*b = 1, the latter keep the coefficients small, and the error is a few times smaller than with
 * the usual +-1, +-2 (Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd
 * convolution").  Points of opposite sign share their even and odd parts. */
#undef WINOGRAD_A
#undef WINOGRAD_B
#define WINOGRAD_A ((REAL)0.70710678118654752440)
#define WINOGRAD_B ((REAL)1.41421356237309504880)

/* t = V e, `count` powers: 2 or 3 at 4 points, 3 or 4 at 6 */
INLINE void NAME(wino_powers)(const int points, const int count, const vec *e, vec *t) {
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B), half = SPLAT((REAL)0.5);
    const vec two = SPLAT((REAL)2), a3 = SPLAT(WINOGRAD_A / 2), b3 = SPLAT(WINOGRAD_B * 2);
    t[0] = e[0];
    t[points - 1] = e[count - 1];
    if (points == 4) {
        vec even = e[0];
        if (count == 3) even += e[2];
        t[1] = even + e[1];
        t[2] = even - e[1];
        return;
    }
    const vec even_a = FMA(half, e[2], e[0]), even_b = FMA(two, e[2], e[0]);
    vec odd_a = a * e[1], odd_b = b * e[1];
    if (count == 4) {
        odd_a = FMA(a3, e[3], odd_a);
        odd_b = FMA(b3, e[3], odd_b);
    }
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
}

/* t = V^T m */
INLINE void NAME(wino_sums)(const int points, const int count, const vec *m, vec *t) {
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B), half = SPLAT((REAL)0.5);
    const vec two = SPLAT((REAL)2), a3 = SPLAT(WINOGRAD_A / 2), b3 = SPLAT(WINOGRAD_B * 2);
    const vec even_a = m[1] + m[2], odd_a = m[1] - m[2];
    if (points == 4) {
        t[0] = m[0] + even_a;
        t[1] = odd_a;
        if (count == 2) t[1] += m[3];
        if (count == 3) t[2] = even_a + m[3];
        return;
    }
    const vec even_b = m[3] + m[4], odd_b = m[3] - m[4];
    t[0] = m[0] + (even_a + even_b);
    t[1] = FMA(b, odd_b, a * odd_a);
    if (count == 3) t[2] = FMA(two, even_b, FMA(half, even_a, m[5]));
    if (count == 4) t[2] = FMA(two, even_b, half * even_a);
    if (count == 4) t[3] = FMA(b3, odd_b, FMA(a3, odd_a, m[5]));
}

/* t[p] /= N(p) */
INLINE void NAME(wino_scales)(const int points, vec *t) {
    const vec half = SPLAT((REAL)0.5), na = SPLAT((REAL)(-1 / 1.5)), nb = SPLAT((REAL)(1 / 6.0));
    if (points == 4) t[0] = -t[0];
    t[1] *= points == 4 ? half : na;
    t[2] *= points == 4 ? half : na;
    if (points == 6) {
        t[3] *= nb;
        t[4] *= nb;
    }
}

/* Two rows of B^T d: for pair 0 the first and the last row, for pair i those of the i-th two points of
 * opposite sign. */
INLINE void NAME(wino_input)(const int points, const int pair, const vec *d, vec *one, vec *other) {
    const vec neg = SPLAT((REAL)-2.5), two = SPLAT((REAL)-2), half = SPLAT((REAL)-0.5);
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B);
    if (points == 4) {
        *one = pair == 0 ? d[2] - d[0] : d[2] + d[1];
        *other = pair == 0 ? d[3] - d[1] : d[2] - d[1];
    } else if (pair == 0) {
        *one = FMA(neg, d[2], d[0] + d[4]);
        *other = FMA(neg, d[3], d[1] + d[5]);
    } else {
        const vec even = FMA(pair == 1 ? two : half, d[2], d[4]);
        const vec odd = FMA(pair == 1 ? a : b, d[3], -((pair == 1 ? b : a) * d[1]));
        *one = even + odd;
        *other = even - odd;
    }
}
/* t = B m */
INLINE void NAME(wino_input_sums)(const int points, const vec *m, vec *t) {
    const vec neg = SPLAT((REAL)-2.5), two = SPLAT((REAL)-2), half = SPLAT((REAL)-0.5);
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B);
    const vec even_a = m[1] + m[2], odd_a = m[1] - m[2];
    t[points - 1] = m[points - 1];
    if (points == 4) {
        t[0] = -m[0];
        t[1] = odd_a - m[3];
        t[2] = m[0] + even_a;
        return;
    }
    const vec even_b = m[3] + m[4], odd_b = m[3] - m[4];
    t[0] = m[0];
    t[1] = FMA(-b, odd_a, FMA(-a, odd_b, m[5]));
    t[2] = FMA(half, even_b, FMA(two, even_a, neg * m[0]));
    t[3] = FMA(b, odd_b, FMA(a, odd_a, neg * m[5]));
    t[4] = m[0] + (even_a + even_b);
}
/* The numbers of the two rows of a pair. */
#define WINOGRAD_ONE(pair) ((pair) == 0 ? 0 : 2 * (pair) - 1)
#define WINOGRAD_OTHER(pair, points) ((pair) == 0 ? (points) - 1 : 2 * (pair))
