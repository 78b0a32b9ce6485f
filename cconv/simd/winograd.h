/* winograd.h: the transforms of Winograd's minimal filtering F(4x4, 3x3) and of its weight
 * gradient F(3x3, 4x4), vectorised over channels.
 *
 *   y  = A^T [(G g G^T) * (B^T d B)] A          a 6x6 tile d of the input, a 3x3 kernel g
 *   dg = P^T [(Q e Q^T) * (B^T d B)] P          a 4x4 tile e of dy
 *
 * (Winograd 1980; Lavin & Gray 2016, "Fast algorithms for convolutional neural networks").  36
 * products take the place of 144.  The interpolation points are 0, +-a, +-b and infinity with
 * a = 1/sqrt(2), b = sqrt(2): as a*b = 1 they keep the coefficients small, and the error is a
 * few times below that of the usual +-1, +-2 (Barabasz et al. 2020, "Error analysis and
 * improving the accuracy of Winograd convolution").  With M(x) = x (x^2 - 1/2) (x^2 - 2):
 *   row p of B^T   coefficients of M(x) / (x - p);         at infinity of M(x)
 *   row p of G     (1, p, p^2) / N(p), N(p) = M'(p);       at infinity (0, 0, 1)
 *   column p of A^T  (1, p, p^2, p^3);                     at infinity (0, 0, 0, 1)
 * Q has rows (1, p, p^2, p^3), P^T columns (1, p, p^2) / N(p).
 * N(0) = 1, N(+-a) = -3/2, N(+-b) = 6.
 *
 * Every channel goes through the same operations in the same order, so the width of a vector
 * changes nothing. */

#define WINOGRAD_A ((REAL)0.70710678118654752440)
#define WINOGRAD_B ((REAL)1.41421356237309504880)

/* 1-D: t = B^T d */
static inline __attribute__((always_inline)) void NAME(wino_bt)(const vec *d, vec *t) {
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B);
    const vec neg = SPLAT((REAL)-2.5), two = SPLAT((REAL)-2), half = SPLAT((REAL)-0.5);
    const vec even_a = FMA(two, d[2], d[4]), odd_a = FMA(a, d[3], -(b * d[1]));
    const vec even_b = FMA(half, d[2], d[4]), odd_b = FMA(b, d[3], -(a * d[1]));
    t[0] = FMA(neg, d[2], d[0] + d[4]);
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = FMA(neg, d[3], d[1] + d[5]);
}

/* 1-D: t = Q e, without scales */
static inline __attribute__((always_inline)) void NAME(wino_q)(const vec *e, vec *t) {
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B), half = SPLAT((REAL)0.5);
    const vec two = SPLAT((REAL)2), a3 = SPLAT(WINOGRAD_A / 2), b3 = SPLAT(WINOGRAD_B * 2);
    const vec even_a = FMA(half, e[2], e[0]), odd_a = FMA(a3, e[3], a * e[1]);
    const vec even_b = FMA(two, e[2], e[0]), odd_b = FMA(b3, e[3], b * e[1]);
    t[0] = e[0];
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = e[3];
}

/* 1-D: t = A^T m */
static inline __attribute__((always_inline)) void NAME(wino_at)(const vec *m, vec *t) {
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B), half = SPLAT((REAL)0.5);
    const vec two = SPLAT((REAL)2), a3 = SPLAT(WINOGRAD_A / 2), b3 = SPLAT(WINOGRAD_B * 2);
    const vec even_a = m[1] + m[2], odd_a = m[1] - m[2];
    const vec even_b = m[3] + m[4], odd_b = m[3] - m[4];
    t[0] = m[0] + (even_a + even_b);
    t[1] = FMA(b, odd_b, a * odd_a);
    t[2] = FMA(two, even_b, half * even_a);
    t[3] = FMA(b3, odd_b, FMA(a3, odd_a, m[5]));
}

/* 1-D: t = G g */
static inline __attribute__((always_inline)) void NAME(wino_g)(const vec *g, vec *t) {
    const vec half = SPLAT((REAL)0.5), two = SPLAT((REAL)2);
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B);
    const vec na = SPLAT((REAL)(-1 / 1.5)), nb = SPLAT((REAL)(1 / 6.0));
    const vec even_a = FMA(half, g[2], g[0]), odd_a = a * g[1];
    const vec even_b = FMA(two, g[2], g[0]), odd_b = b * g[1];
    t[0] = g[0];
    t[1] = na * (even_a + odd_a);
    t[2] = na * (even_a - odd_a);
    t[3] = nb * (even_b + odd_b);
    t[4] = nb * (even_b - odd_b);
    t[5] = g[2];
}

/* 1-D: t = P^T s */
static inline __attribute__((always_inline)) void NAME(wino_p)(const vec *s, vec *t) {
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B);
    const vec half = SPLAT((REAL)0.5), two = SPLAT((REAL)2);
    const vec na = SPLAT((REAL)(-1 / 1.5)), nb = SPLAT((REAL)(1 / 6.0));
    const vec even_a = na * (s[1] + s[2]), odd_a = na * (s[1] - s[2]);
    const vec even_b = nb * (s[3] + s[4]), odd_b = nb * (s[3] - s[4]);
    t[0] = s[0] + (even_a + even_b);
    t[1] = FMA(b, odd_b, a * odd_a);
    t[2] = FMA(two, even_b, FMA(half, even_a, s[5]));
}

/* 2-D: the 1-D transform of every column, then of every row: (in, in) -> (out, out). */
#define WINOGRAD_2D(function, transform, in, out) \
    static inline __attribute__((always_inline)) void NAME(function)(const vec *d, vec *t) { \
        vec half[out * in], column[in], to[out]; \
        for (int j = 0; j < in; j++) { \
            for (int i = 0; i < in; i++) column[i] = d[i * in + j]; \
            NAME(transform)(column, to); \
            for (int i = 0; i < out; i++) half[i * in + j] = to[i]; \
        } \
        for (int i = 0; i < out; i++) NAME(transform)(half + i * in, t + i * out); \
    }
WINOGRAD_2D(wino_q2, wino_q, 4, 6)
WINOGRAD_2D(wino_at2, wino_at, 6, 4)
WINOGRAD_2D(wino_g2, wino_g, 3, 6)
WINOGRAD_2D(wino_p2, wino_p, 6, 3)
#undef WINOGRAD_2D

/* Calls body(t) for each vector of channels from c on, with the load and store that fit. */
#define EACH_VECTOR(channels, body) \
    { \
        ptrdiff_t c = 0; \
        tail last = TAIL(LANES); \
        for (; c + LANES <= (channels); c += LANES) body(0) \
        if (c < (channels)) { \
            last = TAIL((channels) - c); \
            body(1) \
        } \
    }
#define TAKE(p, ragged) ((ragged) ? LOAD_TAIL((p), last) : LOAD(p))
#define GIVE(p, v, ragged) { if (ragged) { STORE_TAIL((p), last, (v)); } else { STORE((p), (v)); } }

/* A 6x6 tile of the input, zeros outside the image -> (36, channels).  x is where row 0, column 0
 * of the tile would lie.  The columns are transformed for one or two rows of the result at a
 * time: reading the tile again is cheaper than keeping 36 vectors in memory between two passes. */
static inline __attribute__((always_inline)) void NAME(input_to_points)(
        const int whole, const cconv_tile *t, const REAL *x, REAL *v) {
    const vec a = SPLAT(WINOGRAD_A), b = SPLAT(WINOGRAD_B);
    const vec neg = SPLAT((REAL)-2.5), two = SPLAT((REAL)-2), half = SPLAT((REAL)-0.5);
#define AT(i, j) (whole ? TAKE(x + (i) * t->row + (j) * t->column + c, ragged_) : d[(i) * 6 + (j)])
#define PUT_ROW(i, r) \
        NAME(wino_bt)(r, w); \
        for (int j = 0; j < 6; j++) GIVE(v + ((i) * 6 + j) * t->point + c, w[j], ragged_)
#define TWO_ROWS(i, even, odd3, odd1) \
        for (int j = 0; j < 6; j++) { \
            const vec e = FMA(even, AT(2, j), AT(4, j)), o = FMA(odd3, AT(3, j), -(odd1 * AT(1, j))); \
            r[j] = e + o; \
            q[j] = e - o; \
        } \
        PUT_ROW(i, r) \
        PUT_ROW((i) + 1, q)
#define ONE_ROW(i, first, middle, last_) \
        for (int j = 0; j < 6; j++) r[j] = FMA(neg, AT(middle, j), AT(first, j) + AT(last_, j)); \
        PUT_ROW(i, r)
#define BODY(ragged) { \
        const int ragged_ = ragged; \
        vec d[36], r[6], q[6], w[6]; \
        if (!whole) \
            for (int i = 0; i < 6; i++) \
                for (int j = 0; j < 6; j++) { \
                    d[i * 6 + j] = (vec){0}; \
                    if (i >= t->r0 && i < t->r1 && j >= t->c0 && j < t->c1) \
                        d[i * 6 + j] = TAKE(x + i * t->row + j * t->column + c, ragged_); \
                } \
        ONE_ROW(0, 0, 2, 4) \
        TWO_ROWS(1, two, a, b) \
        TWO_ROWS(3, half, b, a) \
        ONE_ROW(5, 1, 3, 5) \
    }
    EACH_VECTOR(t->channels, BODY)
#undef BODY
#undef AT
#undef PUT_ROW
#undef TWO_ROWS
#undef ONE_ROW
}

static void NAME(winograd_input)(const cconv_tile *t, const void *x, void *v) {
    if (t->r0 <= 0 && t->c0 <= 0 && t->r1 >= 6 && t->c1 >= 6)
        NAME(input_to_points)(1, t, x, v);
    else
        NAME(input_to_points)(0, t, x, v);
}

/* A 4x4 tile of dy, zeros outside the image -> (36, channels). */
static void NAME(winograd_gradient)(const cconv_tile *t, const void *image, void *points) {
    const REAL *dy = image;
    REAL *w = points;
#define BODY(ragged) { \
        vec d[16], to[36]; \
        for (int i = 0; i < 4; i++) \
            for (int j = 0; j < 4; j++) { \
                d[i * 4 + j] = (vec){0}; \
                if (i < t->r1 && j < t->c1) \
                    d[i * 4 + j] = TAKE(dy + i * t->row + j * t->column + c, ragged); \
            } \
        NAME(wino_q2)(d, to); \
        for (int p = 0; p < 36; p++) GIVE(w + p * t->point + c, to[p], ragged) \
    }
    EACH_VECTOR(t->channels, BODY)
#undef BODY
}

/* m (36, channels) -> y (4, 4, channels), the part inside. */
static void NAME(winograd_output)(const cconv_tile *t, const void *points, void *image,
                                  const void *beta, int relu) {
    const REAL *m = points, *bias = beta;
    REAL *y = image;
#define BODY(ragged) { \
        vec d[36], o[16]; \
        for (int p = 0; p < 36; p++) d[p] = TAKE(m + p * t->point + c, ragged); \
        NAME(wino_at2)(d, o); \
        vec b = {0}; \
        if (bias) b = TAKE(bias + c, ragged); \
        for (int i = 0; i < 4; i++) \
            for (int j = 0; j < 4; j++) { \
                if (i < t->r0 || i >= t->r1 || j < t->c0 || j >= t->c1) continue; \
                vec out = o[i * 4 + j]; \
                if (bias) out += b; \
                if (relu) out = RELU(out); \
                GIVE(y + i * t->row + j * t->column + c, out, ragged) \
            } \
    }
    EACH_VECTOR(t->channels, BODY)
#undef BODY
}

/* g (3, 3, channels) -> u (36, channels) */
static void NAME(winograd_kernel)(ptrdiff_t channels, ptrdiff_t tap, int flip, ptrdiff_t point,
                                  const void *kernel, void *points) {
    const REAL *g = kernel;
    REAL *u = points;
#define BODY(ragged) { \
        vec d[9], w[36]; \
        for (int k = 0; k < 9; k++) d[k] = TAKE(g + (flip ? 8 - k : k) * tap + c, ragged); \
        NAME(wino_g2)(d, w); \
        for (int p = 0; p < 36; p++) GIVE(u + p * point + c, w[p], ragged) \
    }
    EACH_VECTOR(channels, BODY)
#undef BODY
}

/* s (36, channels) -> dg (3, 3, channels) */
static void NAME(winograd_kernel_gradient)(ptrdiff_t channels, ptrdiff_t point, ptrdiff_t tap,
                                           const void *points, void *kernel) {
    const REAL *s = points;
    REAL *dg = kernel;
#define BODY(ragged) { \
        vec d[36], o[9]; \
        for (int p = 0; p < 36; p++) d[p] = TAKE(s + p * point + c, ragged); \
        NAME(wino_p2)(d, o); \
        for (int k = 0; k < 9; k++) GIVE(dg + k * tap + c, o[k], ragged) \
    }
    EACH_VECTOR(channels, BODY)
#undef BODY
}
#undef EACH_VECTOR
#undef TAKE
#undef GIVE
#undef WINOGRAD_A
#undef WINOGRAD_B

static const cconv_winograd NAME(winograd) = {
    NAME(winograd_input), NAME(winograd_gradient), NAME(winograd_output), NAME(winograd_kernel),
    NAME(winograd_kernel_gradient)};
