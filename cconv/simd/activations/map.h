/* activations/map.h: elementwise functions and sums of rows. */

/* y (n) = max(0, x (n)); NaN passes */
static void NAME(relu_row)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *x = a;
    REAL *y = out;
    (void)b, (void)s;
    MAP(n, const vec v = GET(x); PUT(y, RELU(v)));
}

/* dx (n) = dy (n) where y (n) > 0 */
static void NAME(relu_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *dy = a, *y = b;
    REAL *dx = out;
    const vec zero = {0};
    (void)s;
    MAP(n, PUT(dx, BLEND(LT(zero, GET(y)), GET(dy), zero)));
}

/* y (n) = min(max(0, x (n)), cap); NaN passes */
static void NAME(clipped_relu)(ptrdiff_t n, const void *a, const void *b, void *out, double cap) {
    const REAL *x = a;
    REAL *y = out;
    const vec most = SPLAT((REAL)cap);
    (void)b;
    MAP(n, const vec v = GET(x); PUT(y, MIN2(most, RELU(v))));
}

/* dx (n) = dy (n) where 0 < y (n) < cap */
static void NAME(clipped_relu_backward)(ptrdiff_t n, const void *a, const void *b, void *out,
                                        double cap) {
    const REAL *dy = a, *y = b;
    REAL *dx = out;
    const vec zero = {0}, most = SPLAT((REAL)cap);
    MAP(n, const vec v = GET(y);
        PUT(dx, BLEND(LT(zero, v), BLEND(LT(v, most), GET(dy), zero), zero)));
}

/* y (n) = x where x > 0, else slope * x */
static void NAME(leaky_relu)(ptrdiff_t n, const void *a, const void *b, void *out, double slope) {
    const REAL *x = a;
    REAL *y = out;
    const vec zero = {0};
    if (slope == 0) { /* 0 * -inf would be NaN */
        NAME(relu_row)(n, a, b, out, 0);
        return;
    }
    MAP(n, const vec v = GET(x); PUT(y, BLEND(LT(zero, v), v, v * (REAL)slope)));
}

/* dx (n) = dy where x (n) > 0, else slope * dy */
static void NAME(leaky_relu_backward)(ptrdiff_t n, const void *a, const void *b, void *out,
                                      double slope) {
    const REAL *dy = a, *x = b;
    REAL *dx = out;
    const vec zero = {0};
    if (slope == 0) {
        NAME(relu_backward)(n, a, b, out, 0);
        return;
    }
    MAP(n, const vec g = GET(dy); PUT(dx, BLEND(LT(zero, GET(x)), g, g * (REAL)slope)));
}

/* y (n) = f(x (n)) */
#undef UNARY
#define UNARY(f)                                                                                \
    static void NAME(f##_row)(ptrdiff_t n, const void *a, const void *b, void *out, double s) { \
        const REAL *x = a;                                                                      \
        REAL *y = out;                                                                          \
        (void)b, (void)s;                                                                       \
        MAP(n, PUT(y, NAME(f)(GET(x))));                                                        \
    }
UNARY(exp)
UNARY(log)
UNARY(sigmoid)
UNARY(tanh)

/* dx (n) = dy (n) * y * (1 - y), y (n) = sigmoid(x) */
static void NAME(sigmoid_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *dy = a, *y = b;
    REAL *dx = out;
    (void)s;
    MAP(n, const vec v = GET(y); PUT(dx, GET(dy) * (v * (1 - v))));
}

/* dx (n) = dy (n) * (1 - y^2), y (n) = tanh(x) */
static void NAME(tanh_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *dy = a, *y = b;
    REAL *dx = out;
    (void)s;
    MAP(n, const vec v = GET(y); PUT(dx, GET(dy) * ((1 - v) * (1 + v))));
}

/* out (n) += a (n) */
static void NAME(add_row)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *x = a;
    REAL *y = out;
    (void)b, (void)s;
    MAP(n, PUT(y, GET(y) + GET(x)));
}

/* the sum of x (n) */
static double NAME(row_sum)(ptrdiff_t n, const void *x_) {
    const REAL *x = x_;
    vec sum;
    ROW_SUM(sum, n, GET(x));
    return sum[0];
}

/* out (n) = sums of the columns of x (rows, n), added row by row */
static void NAME(column_sums)(ptrdiff_t rows, ptrdiff_t n, const void *x_, void *out_) {
    const REAL *x = x_;
    REAL *out = out_;
    MAP(n,
        vec sum = {0};
        for (ptrdiff_t r = 0; r < rows; r++) sum += GET(x + r * n);
        PUT(out, sum));
}
