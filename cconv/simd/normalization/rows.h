/* normalization/rows.h: rows that are normalised by statistics of their own, forward and back.
 *
 * The mean of a row is a double, and is taken away in two steps: as the REAL next to it, and what that
 * lacks.  So a row far from zero loses nothing in the difference. */
#undef CENTRED
#undef WEIGHED
#undef IN_ROW

#define CENTRED(p) ((GET(p) - high) - low)
#define WEIGHED(p) (gamma ? (vec)(GET(p) * GET(gamma)) : (vec)(GET(p)))
/* Behind the row's end, where GET gives zeros, 0. */
#define IN_ROW(v) (RAGGED ? (vec)((v) * LOAD_TAIL(NAME(ones), last)) : (vec)(v))
static const REAL NAME(ones)[64 / sizeof(REAL)] = {
    1, 1, 1, 1, 1, 1, 1, 1,
#if REAL_BITS == 32
    1, 1, 1, 1, 1, 1, 1, 1,
#endif
};

INLINE vec NAME(square)(vec v) { return v * v; }

/* out (2): the mean of x (n) and the sum of the squares of its distances to it; without `centred` the
 * mean is 0.  Distances are to the rounded mean; what it lacks is their own mean. */
static void NAME(moments)(ptrdiff_t n, const void *x_, int centred, double *out) {
    const REAL *x = x_;
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

/* y (n) = (x (n) - mean) * inverse * gamma (n) + beta (n); gamma or beta may be NULL */
static void NAME(normalize)(ptrdiff_t n, const void *x_, const void *gamma_, const void *beta_,
                            double mean, double inverse, void *y_) {
    const REAL *x = x_, *gamma = gamma_, *beta = beta_;
    REAL *y = y_;
    const vec high = SPLAT((REAL)mean), low = SPLAT((REAL)(mean - (double)(REAL)mean));
    const vec factor = SPLAT((REAL)inverse);
    if (gamma && beta) {
        MAP(n, PUT(y, FMA(CENTRED(x) * factor, GET(gamma), GET(beta))));
    } else if (gamma) {
        MAP(n, PUT(y, CENTRED(x) * factor * GET(gamma)));
    } else if (beta) {
        MAP(n, PUT(y, FMA(CENTRED(x), factor, GET(beta))));
    } else {
        MAP(n, PUT(y, CENTRED(x) * factor));
    }
}

/* sums (2): of dy (n) gamma, and of dy gamma (x (n) - mean); gamma may be NULL */
static void NAME(normalize_sums)(ptrdiff_t n, const void *dy_, const void *x_, const void *gamma_,
                                 double mean, double *sums) {
    const REAL *dy = dy_, *x = x_, *gamma = gamma_;
    const vec high = SPLAT((REAL)mean), low = SPLAT((REAL)(mean - (double)(REAL)mean));
    vec sum, product;
    ROW_SUM(sum, n, WEIGHED(dy));
    ROW_SUM(product, n, WEIGHED(dy) * CENTRED(x));
    sums[0] = (double)sum[0];
    sums[1] = (double)product[0];
}

/* dbeta (n) += dy (n), dgamma (n) += dy (x (n) - mean) * inverse */
static void NAME(normalize_weights)(ptrdiff_t n, const void *dy_, const void *x_, double mean,
                                    double inverse, void *dgamma_, void *dbeta_) {
    const REAL *dy = dy_, *x = x_;
    REAL *dgamma = dgamma_, *dbeta = dbeta_;
    const vec high = SPLAT((REAL)mean), low = SPLAT((REAL)(mean - (double)(REAL)mean));
    const vec factor = SPLAT((REAL)inverse);
    MAP(n,
        const vec g = GET(dy);
        PUT(dbeta, GET(dbeta) + g);
        PUT(dgamma, FMA(g, CENTRED(x) * factor, GET(dgamma))));
}

/* dx (n) = dy (n) gamma * inverse - (x (n) - mean) * slope - shift; gamma may be NULL */
static void NAME(normalize_backward)(ptrdiff_t n, const void *dy_, const void *x_, const void *gamma_,
                                     double mean, double inverse, double slope, double shift,
                                     void *dx_) {
    const REAL *dy = dy_, *x = x_, *gamma = gamma_;
    REAL *dx = dx_;
    const vec high = SPLAT((REAL)mean), low = SPLAT((REAL)(mean - (double)(REAL)mean));
    const vec factor = SPLAT((REAL)inverse), down = SPLAT((REAL)-slope), less = SPLAT((REAL)-shift);
    MAP(n, PUT(dx, FMA(CENTRED(x), down, FMA(WEIGHED(dy), factor, less))));
}
