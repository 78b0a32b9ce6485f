/* rows_softmax.h: softmax, its logarithm and the cross-entropy of one row. */

/* the largest of x (n), NaN aside */
INLINE REAL NAME(row_max)(ptrdiff_t n, const REAL *x) {
    REAL most = -INFINITY_;
    ptrdiff_t j = 0;
    if (n >= LANES) {
        vec top = SPLAT(most);
        for (; j + LANES <= n; j += LANES) top = MAX2(LOAD(x + j), top);
        for (ptrdiff_t l = 0; l < LANES; l++) most = top[l] > most ? top[l] : most;
    }
    for (; j < n; j++) most = x[j] > most ? x[j] : most;
    return most;
}

/* e (n) = exp(x (n) - most); returns the sum of e */
INLINE REAL NAME(row_exp)(ptrdiff_t n, const REAL *x, REAL most, REAL *e) {
    REAL sum;
    MAP(n, PUT(e, NAME(exp)(GET(x) - most)));
    ROW_SUM(sum, n, GET(e));
    return sum;
}

/* y (n) = softmax(x (n)) */
static void NAME(softmax)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *x = a;
    REAL *y = out;
    (void)b, (void)s;
    const REAL sum = NAME(row_exp)(n, x, NAME(row_max)(n, x), y);
    MAP(n, PUT(y, GET(y) / sum));
}

/* dx (n) = y (dy - sum(dy y)), y (n) = softmax(x) */
static void NAME(softmax_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *dy = a, *y = b;
    REAL *dx = out, dot;
    (void)s;
    ROW_SUM(dot, n, GET(dy) * GET(y));
    MAP(n, PUT(dx, GET(y) * (GET(dy) - dot)));
}

/* y (n) = x (n) - log sum exp x */
static void NAME(log_softmax)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *x = a, most = NAME(row_max)(n, x);
    REAL *y = out;
    (void)b, (void)s;
    const vec rest = NAME(log)(SPLAT(NAME(row_exp)(n, x, most, y)));
    MAP(n, PUT(y, GET(x) - most - rest));
}

/* dx (n) = dy - exp(y) sum(dy), y (n) = log_softmax(x) */
static void NAME(log_softmax_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *dy = a, *y = b;
    REAL *dx = out, sum;
    (void)s;
    ROW_SUM(sum, n, GET(dy));
    MAP(n, PUT(dx, GET(dy) - NAME(exp)(GET(y)) * sum));
}

/* Returns weight * loss of logits (n) against target (n), or against class `label` if target is
 * NULL; dlogits (n) = scale * gradient of the loss. */
static double NAME(cross_entropy)(ptrdiff_t n, const void *logits, const void *target_,
                                  ptrdiff_t label, double weight, double scale_, void *dlogits) {
    const REAL *x = logits, *target = target_, most = NAME(row_max)(n, x), scale = (REAL)scale_;
    REAL *d = dlogits, total, loss;
    const REAL sum = NAME(row_exp)(n, x, most, d), rest = NAME(log)(SPLAT(sum))[0];
    if (!target) {
        const REAL p = d[label] / sum;
        MAP(n, PUT(d, GET(d) / sum * scale));
        d[label] = (p - 1) * scale;
        return weight * (double)(rest - (x[label] - most));
    }
    const vec zero = {0};
    ROW_SUM(total, n, GET(target));
    /* A class of probability 0 adds nothing, even where its logit is -inf. */
    ROW_SUM(loss, n, BLEND(EQ(GET(target), zero), zero, GET(target) * (rest - (GET(x) - most))));
    MAP(n, PUT(d, (GET(d) / sum * total - GET(target)) * scale));
    return weight * (double)loss;
}
