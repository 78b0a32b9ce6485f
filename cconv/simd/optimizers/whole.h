/* optimizers/whole.h: rules whose step depends on an array as a whole: Adafactor and Lamb.
 *
 * The sums here are in double and have few terms; the caller adds them up in a fixed order. */
#undef STAGE

#define STAGE 256 /* terms that are added at once, in 16 chains, as in `squares` */

/* sum += the squares of n terms; `term` is a vector of them, and i runs from `first` on. */
#define TERM_SQUARES(sum, n, term)                                                              \
    for (ptrdiff_t first = 0; first < (n); first += STAGE) {                                    \
        const ptrdiff_t few = (n) - first < STAGE ? (n) - first : STAGE;                        \
        REAL stage[STAGE];                                                                      \
        MAP(few, PUT(stage, term));                                                             \
        sum += NAME(squares)(few, stage);                                                       \
    }

/* For a tile (rows, n) of a gradient, whose rows are `stride` apart: the sum of squares of each row
 * (rows) and of each column (n). */
static void NAME(tile_squares)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, const void *g_,
                               double *row_sums, double *columns) {
    for (ptrdiff_t j = 0; j < n; j++) columns[j] = 0;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *g = (const REAL *)g_ + i * stride;
        row_sums[i] = NAME(squares)(n, g);
        for (ptrdiff_t j = 0; j < n; j++) columns[j] += (double)g[j] * (double)g[j];
    }
}

/* out (n) = keep out + (1 - keep) (sums (n) / count + epsilon); returns the sum of out */
static double NAME(decayed_means)(ptrdiff_t n, const double *sums, double count, double keep,
                                  double epsilon, void *out_) {
    REAL *out = out_;
    double chains[16] = {0};
    for (ptrdiff_t i = 0; i < n; i++) {
        out[i] = (REAL)(keep * (double)out[i] + (1 - keep) * (sums[i] / count + epsilon));
        chains[i % 16] += (double)out[i];
    }
    for (int half = 8; half; half /= 2)
        for (int k = 0; k < half; k++) chains[k] += chains[k + half];
    return chains[0];
}

/* The factor of row i for the second moments of the columns: r (rows) / its mean, or 1 without r. */
static inline REAL NAME(row_share)(const REAL *r, ptrdiff_t i, double mean) {
    return r ? (REAL)((double)r[i] / mean) : (REAL)1;
}

/* Sum of the squares of g / sqrt(r / mean c), for a tile as above */
static double NAME(tile_updates)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, const void *g_,
                                 const void *r, const void *c_, double mean) {
    const REAL *c = c_;
    double sum = 0;
    for (ptrdiff_t j = 0; j < rows; j++) {
        const REAL *g = (const REAL *)g_ + j * stride;
        const vec share = SPLAT(NAME(row_share)(r, j, mean));
        double row = 0;
        TERM_SQUARES(row, n, GET(g + first) / SQRT(share * GET(c + first)));
        sum += row;
    }
    return sum;
}

/* p -= rate g / sqrt(r / mean c), for a tile as above */
static void NAME(tile_step)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, void *p_,
                            const void *g_, const void *r, const void *c_, double mean,
                            double rate) {
    const REAL *c = c_;
    const vec down = SPLAT((REAL)-rate);
    for (ptrdiff_t j = 0; j < rows; j++) {
        REAL *p = (REAL *)p_ + j * stride;
        const REAL *g = (const REAL *)g_ + j * stride;
        const vec share = SPLAT(NAME(row_share)(r, j, mean));
        MAP(n, PUT(p, FMA(down, GET(g) / SQRT(share * GET(c)), GET(p))));
    }
}

/* Sum of the squares of m / (sqrt(v) + epsilon) over n elements */
static double NAME(lamb_updates)(ptrdiff_t n, const void *m_, const void *v_, double epsilon) {
    const REAL *m = m_, *v = v_;
    const vec above = SPLAT((REAL)epsilon);
    double sum = 0;
    TERM_SQUARES(sum, n, GET(m + first) / (SQRT(GET(v + first)) + above));
    return sum;
}

/* p -= rate m / (sqrt(v) + epsilon), with a rate for each array */
static void NAME(lamb)(ptrdiff_t n, void *p_, const void *grad, void *m_, void *v_, void *third,
                       const double *hyper) {
    REAL *p = p_;
    const REAL *m = m_, *v = v_;
    const vec rate = HYPER(1), epsilon = HYPER(2);
    (void)grad, (void)third;
    MAP(n, PUT(p, GET(p) - rate * GET(m) / (SQRT(GET(v)) + epsilon)));
}
#undef TERM_SQUARES
