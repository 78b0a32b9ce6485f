/* activations/softmax.h: softmax, its logarithm and the cross-entropy of rows.
 *
 * Rows of at most FEW_MOST numbers are done LANES at once (rows/few.h); longer rows, and those left
 * over, one by one.  Both ways give the same bits: the same tree of sums, the same operations
 * on elements.  Lanes behind the end of a row are -inf, whose exp is 0. */

/* the largest of x (n) in every lane; NaN is passed over */
INLINE vec NAME(row_max)(ptrdiff_t n, const REAL *x) {
    vec most = SPLAT(-INFINITY_);
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) most = MAX2(LOAD(x + j), most);
    if (j < n) most = MAX2(NAME(first_lanes)(x + j, 0, n - j, -INFINITY_), most);
    FOLD_LANES(MAX2, most);
    return most;
}

/* e (n) = exp(x (n) - most); returns the sum of e in every lane */
INLINE vec NAME(row_exp)(ptrdiff_t n, const REAL *x, vec most, REAL *e) {
    const ptrdiff_t chain = NAME(row_chain)(n);
    vec parts[PARTS] = {{0}}, sums[PARTS] = {{0}}, lost[PARTS] = {{0}};
    ptrdiff_t j = 0;
    for (ptrdiff_t stop = chain; j + BLOCK <= n; j += BLOCK) {
        if (j == stop) {
            END_CHAINS(parts, sums, lost);
            stop += chain;
        }
        for (int s = 0; s < PARTS; s++) {
            const vec v = NAME(exp_bounded)(LOAD(x + j + s * LANES) - most);
            STORE(e + j + s * LANES, v);
            parts[s] += v;
        }
    }
    for (int s = 0; s < PARTS && j < n; s++, j += LANES) {
        const ptrdiff_t left = n - j < LANES ? n - j : LANES;
        const vec v = NAME(exp_bounded)(NAME(first_lanes)(x + j, 0, left, -INFINITY_) - most);
        STORE_TAIL(e + j, TAIL(left), v);
        parts[s] += v;
    }
    if (n <= chain) return NAME(fold)(parts);
    END_CHAINS(parts, sums, lost);
    return NAME(fold_chains)(sums, lost);
}

INLINE void NAME(softmax_few)(ptrdiff_t n, const ivec *row_of, const REAL *x, REAL *y) {
    const vec most = NAME(few_fold)(NAME(LARGEST), x, 0, n);
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(y + v * LANES, NAME(exp_bounded)(LOAD(x + v * LANES) - OF_ROW(most, row_of[v])));
    const vec share = 1 / NAME(few_fold)(NAME(ADD_UP), y, 0, n);
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(y + v * LANES, LOAD(y + v * LANES) * OF_ROW(share, row_of[v]));
}

INLINE void NAME(softmax_one)(ptrdiff_t n, const REAL *x, REAL *y) {
    const vec share = 1 / NAME(row_exp)(n, x, NAME(row_max)(n, x), y);
    MAP(n, PUT(y, GET(y) * share));
}

/* y (m, n) = softmax of the rows of x (m, n) */
static void NAME(softmax)(ptrdiff_t m, ptrdiff_t n, const void *a, const void *b, void *out) {
    const REAL *x = a;
    REAL *y = out;
    (void)b;
    FEW(NAME(softmax_few)(n, row_of, x + r * n, y + r * n),
        NAME(softmax_one)(n, x + r * n, y + r * n));
}

INLINE void NAME(softmax_backward_few)(ptrdiff_t n, const ivec *row_of, const REAL *dy,
                                       const REAL *y, REAL *dx) {
    const vec dot = NAME(few_fold)(NAME(ADD_UP), dy, y, n);
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(dx + v * LANES,
              LOAD(y + v * LANES) * (LOAD(dy + v * LANES) - OF_ROW(dot, row_of[v])));
}

INLINE void NAME(softmax_backward_one)(ptrdiff_t n, const REAL *dy, const REAL *y, REAL *dx) {
    vec dot;
    ROW_SUM(dot, n, GET(dy) * GET(y));
    MAP(n, PUT(dx, GET(y) * (GET(dy) - dot)));
}

/* dx (m, n) = y (dy - sum(dy y)), the rows of y (m, n) = softmax(x) */
static void NAME(softmax_backward)(ptrdiff_t m, ptrdiff_t n, const void *a, const void *b,
                                   void *out) {
    const REAL *dy = a, *y = b;
    REAL *dx = out;
    FEW(NAME(softmax_backward_few)(n, row_of, dy + r * n, y + r * n, dx + r * n),
        NAME(softmax_backward_one)(n, dy + r * n, y + r * n, dx + r * n));
}

INLINE void NAME(log_softmax_few)(ptrdiff_t n, const ivec *row_of, const REAL *x, REAL *y) {
    const vec most = NAME(few_fold)(NAME(LARGEST), x, 0, n);
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(y + v * LANES, NAME(exp_bounded)(LOAD(x + v * LANES) - OF_ROW(most, row_of[v])));
    const vec rest = NAME(log)(NAME(few_fold)(NAME(ADD_UP), y, 0, n));
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(y + v * LANES,
              LOAD(x + v * LANES) - OF_ROW(most, row_of[v]) - OF_ROW(rest, row_of[v]));
}

INLINE void NAME(log_softmax_one)(ptrdiff_t n, const REAL *x, REAL *y) {
    const vec most = NAME(row_max)(n, x), rest = NAME(log)(NAME(row_exp)(n, x, most, y));
    MAP(n, PUT(y, GET(x) - most - rest));
}

/* y (m, n) = x (m, n) - log sum exp x of its row */
static void NAME(log_softmax)(ptrdiff_t m, ptrdiff_t n, const void *a, const void *b, void *out) {
    const REAL *x = a;
    REAL *y = out;
    (void)b;
    FEW(NAME(log_softmax_few)(n, row_of, x + r * n, y + r * n),
        NAME(log_softmax_one)(n, x + r * n, y + r * n));
}

INLINE void NAME(log_softmax_backward_few)(ptrdiff_t n, const ivec *row_of, const REAL *dy,
                                           const REAL *y, REAL *dx) {
    const vec sum = NAME(few_fold)(NAME(ADD_UP), dy, 0, n);
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(dx + v * LANES,
              LOAD(dy + v * LANES) - NAME(exp)(LOAD(y + v * LANES)) * OF_ROW(sum, row_of[v]));
}

INLINE void NAME(log_softmax_backward_one)(ptrdiff_t n, const REAL *dy, const REAL *y, REAL *dx) {
    vec sum;
    ROW_SUM(sum, n, GET(dy));
    MAP(n, PUT(dx, GET(dy) - NAME(exp)(GET(y)) * sum));
}

/* dx (m, n) = dy - exp(y) sum(dy), the rows of y (m, n) = log_softmax(x) */
static void NAME(log_softmax_backward)(ptrdiff_t m, ptrdiff_t n, const void *a, const void *b,
                                       void *out) {
    const REAL *dy = a, *y = b;
    REAL *dx = out;
    FEW(NAME(log_softmax_backward_few)(n, row_of, dy + r * n, y + r * n, dx + r * n),
        NAME(log_softmax_backward_one)(n, dy + r * n, y + r * n, dx + r * n));
}
