/* merging/merging.h: layers of several inputs, for elements and rows of arrays. */

/* out (n) = f of a, b (n), element by element; out may be a or b */
#undef BINARY
#define BINARY(name, value)                                                                     \
    static void NAME(name)(ptrdiff_t n, const void *a_, const void *b_, void *out_, double s) { \
        const REAL *a = a_, *b = b_;                                                            \
        REAL *out = out_;                                                                       \
        (void)s;                                                                                \
        MAP(n, const vec u = GET(a); const vec v = GET(b); PUT(out, value));                    \
    }
BINARY(plus, u + v)
BINARY(plus_relu, RELU(u + v))
BINARY(minus, u - v)
BINARY(times, u * v)
BINARY(over, u / v)
/* NaN where one of them is: MIN2 and MAX2 return the second operand then */
BINARY(larger, BLEND(NAN_(u), u, MAX2(u, v)))
BINARY(smaller, BLEND(NAN_(u), u, MIN2(u, v)))
/* 1 where a is larger, 1/2 where both are equal, else 0, also for NaN */
BINARY(larger_share, BLEND(LT(v, u), SPLAT((REAL)1), BLEND(EQ(u, v), SPLAT((REAL)0.5), (vec){0})))

/* out (n) = a (n) / s; out may be a */
static void NAME(over_number)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *x = a;
    REAL *y = out;
    const vec divisor = SPLAT((REAL)s);
    (void)b;
    MAP(n, PUT(y, GET(x) / divisor));
}

/* out (n) = -a (n) */
static void NAME(negative)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *x = a;
    REAL *y = out;
    (void)b, (void)s;
    MAP(n, PUT(y, -GET(x)));
}

/* out (m, n) = a (m, n) times b (n) in every row */
static void NAME(scale_rows)(ptrdiff_t m, ptrdiff_t n, const void *a, const void *b, void *out) {
    const REAL *x = a, *scale = b;
    REAL *y = out;
    if (n == 1) {
        const vec one = SPLAT(scale[0]);
        MAP(m, PUT(y, GET(x) * one));
        return;
    }
    for (ptrdiff_t r = 0; r < m; r++, x += n, y += n) MAP(n, PUT(y, GET(x) * GET(scale)));
}

/* sums of x * y over the rows of x, y (m, n), for `vectors` vectors of columns; they stay in registers */
INLINE void NAME(product_block)(ptrdiff_t m, ptrdiff_t n, int vectors, const REAL *x, const REAL *y,
                                REAL *sums) {
    vec parts[8] = {{0}};
    for (ptrdiff_t r = 0; r < m; r++, x += n, y += n)
        for (int s = 0; s < vectors; s++)
            parts[s] = FMA(LOAD(x + s * LANES), LOAD(y + s * LANES), parts[s]);
    for (int s = 0; s < vectors; s++) STORE(sums + s * LANES, parts[s]);
}

/* out (n) = sums over the rows of a (m, n) times b (m, n), added row by row; if there is one column, it is
 * added as a row is.  The rows are read once for each block of columns. */
static void NAME(product_sums)(ptrdiff_t m, ptrdiff_t n, const void *a, const void *b, void *out) {
    const REAL *x = a, *y = b;
    REAL *sums = out;
    ptrdiff_t done = 0;
    if (n == 1) {
        vec sum;
        ROW_SUM(sum, m, GET(x) * GET(y));
        sums[0] = sum[0];
        return;
    }
    for (; done + 8 * LANES <= n; done += 8 * LANES)
        NAME(product_block)(m, n, 8, x + done, y + done, sums + done);
    if (done + 4 * LANES <= n) {
        NAME(product_block)(m, n, 4, x + done, y + done, sums + done);
        done += 4 * LANES;
    }
    if (done + 2 * LANES <= n) {
        NAME(product_block)(m, n, 2, x + done, y + done, sums + done);
        done += 2 * LANES;
    }
    x += done, y += done, sums += done;
    MAP(n - done,
        vec sum = {0};
        for (ptrdiff_t r = 0; r < m; r++) sum = FMA(GET(x + r * n), GET(y + r * n), sum);
        PUT(sums, sum));
}

/* to = the first n numbers of each of m rows of `from`; rows of from are `from_step` apart, of to `step` */
static void NAME(copy_rows)(ptrdiff_t m, ptrdiff_t n, const void *from_, ptrdiff_t from_step,
                            void *to_, ptrdiff_t step) {
    const REAL *from = from_;
    REAL *to = to_;
    for (ptrdiff_t r = 0; r < m; r++, from += from_step, to += step) MAP(n, PUT(to, GET(from)));
}
