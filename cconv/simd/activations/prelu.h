/* activations/prelu.h: the rectifier with slopes that are learned, one a column. */

/* The least columns of a piece: of shorter rows, several are taken at once. */
enum { NAME(PRELU_PIECE) = 256 };

/* Fills `wide` with as many copies of alpha (n) as fit, and returns their number.  Where a row is long
 * enough, returns 1 and sets *from = alpha. */
INLINE ptrdiff_t NAME(repeat_alpha)(ptrdiff_t n, const REAL *alpha, REAL *wide, const REAL **from) {
    const ptrdiff_t times = NAME(PRELU_PIECE) / n;
    *from = alpha;
    if (times < 2) return 1;
    for (ptrdiff_t r = 0; r < times; r++)
        for (ptrdiff_t i = 0; i < n; i++) wide[r * n + i] = alpha[i];
    *from = wide;
    return times;
}

/* y (rows, n) = x where x > 0, else alpha (n) * x */
static void NAME(prelu)(ptrdiff_t rows, ptrdiff_t n, const void *x_, const void *alpha_, void *y_) {
    REAL wide[NAME(PRELU_PIECE)];
    const REAL *alpha;
    const ptrdiff_t times = NAME(repeat_alpha)(n, alpha_, wide, &alpha);
    const vec zero = {0};
    for (ptrdiff_t r = 0; r < rows; r += times) {
        const REAL *x = (const REAL *)x_ + r * n;
        REAL *y = (REAL *)y_ + r * n;
        const ptrdiff_t piece = (rows - r < times ? rows - r : times) * n;
        MAP(piece, const vec v = GET(x); PUT(y, BLEND(LT(zero, v), v, v * GET(alpha))));
    }
}

/* dx (rows, n) = dy where x > 0, else alpha (n) * dy; dalpha (rows, n) = 0 where x > 0, else dy * x */
static void NAME(prelu_backward)(ptrdiff_t rows, ptrdiff_t n, const void *dy_, const void *x_,
                                 const void *alpha_, void *dx_, void *dalpha_) {
    REAL wide[NAME(PRELU_PIECE)];
    const REAL *alpha;
    const ptrdiff_t times = NAME(repeat_alpha)(n, alpha_, wide, &alpha);
    const vec zero = {0};
    for (ptrdiff_t r = 0; r < rows; r += times) {
        const REAL *dy = (const REAL *)dy_ + r * n, *x = (const REAL *)x_ + r * n;
        REAL *dx = (REAL *)dx_ + r * n, *dalpha = (REAL *)dalpha_ + r * n;
        const ptrdiff_t piece = (rows - r < times ? rows - r : times) * n;
        MAP(piece, const vec g = GET(dy); const vec v = GET(x); const mask above = LT(zero, v);
            PUT(dx, BLEND(above, g, g * GET(alpha)));
            PUT(dalpha, BLEND(above, zero, g * v)));
    }
}
