/* normalization/rows.h: rows that are normalised by statistics of their own, forward and back.
 *
 * The mean of a row is a double.  It is subtracted in two steps: the REAL next to it, then the rest.  So a
 * row far from zero loses nothing in the difference.  Short rows are done LANES at once (rows/few.h), with
 * the same bits as alone.  statistics (m, 2) are mean and 1 / deviation. */
#undef CENTRED
#undef WEIGHED
#undef IN_ROW
#undef NORMALIZED
#undef WHOLE

#define CENTRED(p) ((GET(p) - high) - low)
#define WHOLE(p) LOAD((p) + i)
#define WEIGHED(p) (gamma ? (vec)(GET(p) * GET(gamma)) : (vec)(GET(p)))
/* 0 behind the row's end, where GET gives zeros. */
#define IN_ROW(v) (RAGGED ? (vec)((v) * LOAD_TAIL(NAME(ones), last)) : (vec)(v))
static const REAL NAME(ones)[64 / sizeof(REAL)] = {
    1, 1, 1, 1, 1, 1, 1, 1,
#if REAL_BITS == 32
    1, 1, 1, 1, 1, 1, 1, 1,
#endif
};

INLINE vec NAME(square)(vec v) { return v * v; }

INLINE void NAME(moments_one)(ptrdiff_t n, const REAL *x, int centred, double *out) {
    const vec low = {0};
    vec sum = {0}, rest = {0}, squares;
    double lacking = 0;
    if (centred) ROW_SUM(sum, n, GET(x));
    const REAL mean = (REAL)(sum[0] / (REAL)n);
    const vec high = SPLAT(mean);
    if (centred) {
        ROW_SUM(rest, n, IN_ROW(CENTRED(x)));
        lacking = (double)rest[0] / (double)n;
    }
    ROW_SUM(squares, n, NAME(square)(IN_ROW(CENTRED(x))));
    out[0] = (double)mean + lacking;
    out[1] = (double)squares[0] - (double)n * lacking * lacking;
}

INLINE void NAME(moments_few)(ptrdiff_t n, const ivec *row_of, const REAL *x, int centred,
                              double *out) {
    REAL distances[FEW_MOST * LANES];
    vec mean = {0}, rest = {0};
    if (centred) mean = NAME(few_fold)(NAME(ADD_UP), x, 0, n) / SPLAT((REAL)n);
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(distances + v * LANES, LOAD(x + v * LANES) - OF_ROW(mean, row_of[v]));
    if (centred) rest = NAME(few_fold)(NAME(ADD_UP), distances, 0, n);
    const vec squares = NAME(few_fold)(NAME(ADD_UP), distances, distances, n);
    for (ptrdiff_t l = 0; l < LANES; l++) {
        const double lacking = (double)rest[l] / (double)n;
        out[2 * l] = (double)mean[l] + lacking;
        out[2 * l + 1] = (double)squares[l] - (double)n * lacking * lacking;
    }
}

/* out (m, 2): for each row of x (m, n) its mean, and the sum of the squared distances from the mean.
 * Without `centred` the mean is 0.  Distances are measured from the rounded mean; their own mean corrects
 * it. */
static void NAME(moments)(ptrdiff_t m, ptrdiff_t n, const void *x_, int centred, double *out) {
    const REAL *x = x_;
    FEW(NAME(moments_few)(n, row_of, x + r * n, centred, out + 2 * r),
        NAME(moments_one)(n, x + r * n, centred, out + 2 * r));
}

/* The weights (n) repeated for LANES rows, as their elements lie; NULL stays NULL. */
INLINE const REAL *NAME(of_few)(ptrdiff_t m, ptrdiff_t n, const REAL *weights, REAL *space) {
    if (!weights || n > FEW_MOST || m < LANES) return weights;
    for (ptrdiff_t r = 0; r < LANES; r++)
        for (ptrdiff_t i = 0; i < n; i++) space[r * n + i] = weights[i];
    return space;
}

/* One number for each of LANES rows, from every other double: the REAL next to it, then the rest. */
INLINE vec NAME(lane_numbers)(const double *numbers) {
    REAL lanes[LANES];
    for (ptrdiff_t l = 0; l < LANES; l++) lanes[l] = (REAL)numbers[2 * l];
    return LOAD(lanes);
}
INLINE vec NAME(lane_rests)(const double *numbers) {
    REAL lanes[LANES];
    for (ptrdiff_t l = 0; l < LANES; l++)
        lanes[l] = (REAL)(numbers[2 * l] - (double)(REAL)numbers[2 * l]);
    return LOAD(lanes);
}

/* A distance v from the mean, times factor and gamma, plus beta; gamma and beta may be NULL */
#define NORMALIZED(v, get)                                                                      \
    (gamma ? beta ? (vec)FMA((v) * factor, get(gamma), get(beta))                               \
                  : (vec)((v) * factor * get(gamma))                                            \
           : beta ? (vec)FMA((v), factor, get(beta)) : (vec)((v) * factor))

INLINE void NAME(normalize_one)(ptrdiff_t n, const REAL *x, const REAL *gamma, const REAL *beta,
                                double mean, double inverse, REAL *y) {
    const vec high = SPLAT((REAL)mean), low = SPLAT((REAL)(mean - (double)(REAL)mean));
    const vec factor = SPLAT((REAL)inverse);
    MAP(n, PUT(y, NORMALIZED(CENTRED(x), GET)));
}

INLINE void NAME(normalize_few)(ptrdiff_t n, const ivec *row_of, const REAL *x, const REAL *gamma,
                                const REAL *beta, const double *statistics, int centred, REAL *y) {
    const vec none = {0}, factors = NAME(lane_numbers)(statistics + 1);
    const vec highs = centred ? NAME(lane_numbers)(statistics) : none;
    const vec lows = centred ? NAME(lane_rests)(statistics) : none;
    for (ptrdiff_t v = 0, i = 0; v < n; v++, i += LANES) {
        const vec high = OF_ROW(highs, row_of[v]), low = OF_ROW(lows, row_of[v]);
        const vec factor = OF_ROW(factors, row_of[v]);
        STORE(y + i, NORMALIZED((LOAD(x + i) - high) - low, WHOLE));
    }
}

/* y (m, n) = (x (m, n) - mean) * inverse * gamma (n) + beta (n); gamma or beta may be NULL; without
 * `centred` no mean is subtracted */
static void NAME(normalize)(ptrdiff_t m, ptrdiff_t n, const void *x_, const void *gamma_,
                            const void *beta_, const double *statistics, int centred, void *y_) {
    const REAL *x = x_, *gamma = gamma_, *beta = beta_;
    REAL *y = y_, scales[FEW_MOST * LANES], shifts[FEW_MOST * LANES];
    const REAL *gammas = NAME(of_few)(m, n, gamma, scales), *betas = NAME(of_few)(m, n, beta, shifts);
    FEW(NAME(normalize_few)(n, row_of, x + r * n, gammas, betas, statistics + 2 * r, centred, y + r * n),
        NAME(normalize_one)(n, x + r * n, gamma, beta, centred ? statistics[2 * r] : 0,
                            statistics[2 * r + 1], y + r * n));
}

INLINE void NAME(normalize_sums_one)(ptrdiff_t n, const REAL *dy, const REAL *x, const REAL *gamma,
                                     double mean, double *sums) {
    const vec high = SPLAT((REAL)mean), low = SPLAT((REAL)(mean - (double)(REAL)mean));
    vec sum, product;
    ROW_SUM(sum, n, WEIGHED(dy));
    ROW_SUM(product, n, WEIGHED(dy) * CENTRED(x));
    sums[0] = (double)sum[0];
    sums[1] = (double)product[0];
}

INLINE void NAME(normalize_sums_few)(ptrdiff_t n, const ivec *row_of, const REAL *dy, const REAL *x,
                                     const REAL *gamma, const double *statistics, double *sums) {
    const vec highs = NAME(lane_numbers)(statistics), lows = NAME(lane_rests)(statistics);
    REAL weighed[FEW_MOST * LANES], distances[FEW_MOST * LANES];
    for (ptrdiff_t v = 0, i = 0; v < n; v++, i += LANES) {
        const vec high = OF_ROW(highs, row_of[v]), low = OF_ROW(lows, row_of[v]);
        STORE(weighed + i, gamma ? (vec)(LOAD(dy + i) * LOAD(gamma + i)) : LOAD(dy + i));
        STORE(distances + i, (LOAD(x + i) - high) - low);
    }
    const vec sum = NAME(few_fold)(NAME(ADD_UP), weighed, 0, n);
    const vec product = NAME(few_fold)(NAME(ADD_UP), weighed, distances, n);
    for (ptrdiff_t l = 0; l < LANES; l++) {
        sums[2 * l] = (double)sum[l];
        sums[2 * l + 1] = (double)product[l];
    }
}

/* sums (m, 2): of dy (m, n) gamma, and of dy gamma (x (m, n) - mean), over each row; gamma may be NULL */
static void NAME(normalize_sums)(ptrdiff_t m, ptrdiff_t n, const void *dy_, const void *x_,
                                 const void *gamma_, const double *statistics, double *sums) {
    const REAL *dy = dy_, *x = x_, *gamma = gamma_;
    REAL scales[FEW_MOST * LANES];
    const REAL *gammas = NAME(of_few)(m, n, gamma, scales);
    FEW(NAME(normalize_sums_few)(n, row_of, dy + r * n, x + r * n, gammas, statistics + 2 * r,
                                 sums + 2 * r),
        NAME(normalize_sums_one)(n, dy + r * n, x + r * n, gamma, statistics[2 * r], sums + 2 * r));
}

/* For n columns of m rows that are `whole` apart, row by row: dbeta (n) += dy, dgamma (n) +=
 * dy (x - mean) * inverse; without `centred` no mean is subtracted.  The sums of one vector of columns
 * stay in registers. */
static void NAME(normalize_weights)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t whole, const void *dy_,
                                    const void *x_, const double *statistics, int centred,
                                    void *dgamma_, void *dbeta_) {
    REAL *dgamma = dgamma_, *dbeta = dbeta_;
    const ptrdiff_t each = n <= LANES ? m : 1;
    for (ptrdiff_t start = 0; start < m; start += each)
        MAP(n,
            const REAL *dy = (const REAL *)dy_ + start * whole, *x = (const REAL *)x_ + start * whole;
            vec scaled = GET(dgamma); vec sum = GET(dbeta);
            for (ptrdiff_t r = start; r < start + each; r++, dy += whole, x += whole) {
                const double mean = centred ? statistics[2 * r] : 0;
                const vec high = SPLAT((REAL)mean);
                const vec low = SPLAT((REAL)(mean - (double)(REAL)mean));
                const vec g = GET(dy);
                sum += g;
                scaled = FMA(g, CENTRED(x) * SPLAT((REAL)statistics[2 * r + 1]), scaled);
            }
            PUT(dbeta, sum);
            PUT(dgamma, scaled));
}

INLINE void NAME(normalize_backward_one)(ptrdiff_t n, const REAL *dy, const REAL *x,
                                         const REAL *gamma, const double *statistics,
                                         const double *slope, REAL *dx) {
    const double mean = statistics[0];
    const vec high = SPLAT((REAL)mean), low = SPLAT((REAL)(mean - (double)(REAL)mean));
    const vec factor = SPLAT((REAL)statistics[1]);
    const vec down = SPLAT((REAL)-slope[0]), less = SPLAT((REAL)-slope[1]);
    MAP(n, PUT(dx, FMA(CENTRED(x), down, FMA(WEIGHED(dy), factor, less))));
}

INLINE void NAME(normalize_backward_few)(ptrdiff_t n, const ivec *row_of, const REAL *dy,
                                         const REAL *x, const REAL *gamma, const double *statistics,
                                         const double *slopes, REAL *dx) {
    const vec highs = NAME(lane_numbers)(statistics), lows = NAME(lane_rests)(statistics);
    const vec factors = NAME(lane_numbers)(statistics + 1);
    const vec downs = -NAME(lane_numbers)(slopes), lesses = -NAME(lane_numbers)(slopes + 1);
    for (ptrdiff_t v = 0, i = 0; v < n; v++, i += LANES) {
        const vec high = OF_ROW(highs, row_of[v]), low = OF_ROW(lows, row_of[v]);
        const vec factor = OF_ROW(factors, row_of[v]);
        const vec down = OF_ROW(downs, row_of[v]), less = OF_ROW(lesses, row_of[v]);
        const vec g = gamma ? (vec)(LOAD(dy + i) * LOAD(gamma + i)) : LOAD(dy + i);
        STORE(dx + i, FMA((LOAD(x + i) - high) - low, down, FMA(g, factor, less)));
    }
}

/* dx (m, n) = dy (m, n) gamma * inverse - (x (m, n) - mean) * slope - shift; slopes (m, 2) holds slope and
 * shift; gamma may be NULL */
static void NAME(normalize_backward)(ptrdiff_t m, ptrdiff_t n, const void *dy_, const void *x_,
                                     const void *gamma_, const double *statistics,
                                     const double *slopes, void *dx_) {
    const REAL *dy = dy_, *x = x_, *gamma = gamma_;
    REAL *dx = dx_, scales[FEW_MOST * LANES];
    const REAL *gammas = NAME(of_few)(m, n, gamma, scales);
    FEW(NAME(normalize_backward_few)(n, row_of, dy + r * n, x + r * n, gammas, statistics + 2 * r,
                                     slopes + 2 * r, dx + r * n),
        NAME(normalize_backward_one)(n, dy + r * n, x + r * n, gamma, statistics + 2 * r,
                                     slopes + 2 * r, dx + r * n));
}
