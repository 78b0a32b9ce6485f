/* normalization/columns.h: rows x (m, c) and one number for each column: sums of each column, in double,
 * row by row; the normalisation with a ReLU behind it, and its gradient.
 *
 * The sums of COLUMN_ROWS rows stay in registers, for a vector of columns or two at a time, and all rows of a
 * sum are added in their order.  Nothing is fused, so that every instruction set gives the same bits.  The
 * ReLU is cut at `cap`; if cap is 0, there is no ReLU. */
#undef COLUMN_ROWS
#undef FETCH_AHEAD
#undef ONE_BY_ONE
#undef HALF_LANES
#undef column_vec
#undef LOAD_WIDE
#undef SUM_AT
#undef IS_PASSED
#undef PASSED
#undef NORMAL

#define COLUMN_ROWS 8
/* Rows are read vector by vector, which the processor does not recognize as a stream, so this is prefetched:
 * 4 kB take as long as memory to answer. */
#define FETCH_AHEAD(p) __builtin_prefetch((const char *)(p) + 4096)
/* In a loop over i: the compiler would make vectors of a few last columns, in more code than all the rest. */
#define ONE_BY_ONE(i) __asm__("" : "+r"(i))
typedef double NAME(column_vec) __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef double NAME(column_unaligned)
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(double)), may_alias));
typedef REAL NAME(column_narrow) __attribute__((
    vector_size(VECTOR_BYTES / sizeof(double) * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
#define column_vec NAME(column_vec)
#define HALF_LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(double)))
/* HALF_LANES numbers as doubles.  GCC would convert whole vectors piece by piece. */
#if REAL_BITS == 32 && defined(ISA_AVX512)
#define LOAD_WIDE(p) ((column_vec)_mm512_cvtps_pd(_mm256_loadu_ps(p)))
#elif REAL_BITS == 32 && defined(ISA_AVX2)
#define LOAD_WIDE(p) ((column_vec)_mm256_cvtps_pd(_mm_loadu_ps(p)))
#else
#define LOAD_WIDE(p) __builtin_convertvector(*(const NAME(column_narrow) *)(p), column_vec)
#endif
#define SUM_AT(p) (*(NAME(column_unaligned) *)(p))

/* sums (c) of x (m, c) - origin (c), and of its squares */
static void NAME(column_moments)(ptrdiff_t m, ptrdiff_t c, const void *x_, const void *origin_,
                                 double *sums, double *squares) {
    const REAL *origin = origin_;
    for (ptrdiff_t j = 0; j < c; j++) sums[j] = squares[j] = 0;
    for (ptrdiff_t i = 0; i < m; i += COLUMN_ROWS) {
        const REAL *x = (const REAL *)x_ + i * c;
        const ptrdiff_t rows = m - i < COLUMN_ROWS ? m - i : COLUMN_ROWS;
        ptrdiff_t j = 0;
        for (; j + HALF_LANES <= c; j += HALF_LANES) {
            const column_vec from = LOAD_WIDE(origin + j);
            column_vec sum = SUM_AT(sums + j), square = SUM_AT(squares + j);
            const REAL *p = x + j;
            for (ptrdiff_t r = 0; r < rows; r++, p += c) {
                FETCH_AHEAD(p);
                const column_vec d = LOAD_WIDE(p) - from;
                sum += d;
                square += d * d;
            }
            SUM_AT(sums + j) = sum;
            SUM_AT(squares + j) = square;
        }
        for (; j < c; j++)
            for (ptrdiff_t r = 0; r < rows; r++) {
                ONE_BY_ONE(r);
                const double d = (double)x[r * c + j] - (double)origin[j];
                sums[j] += d;
                squares[j] += d * d;
            }
    }
}

#define NORMAL(x, mean, scale, shift) (((x) - (mean)) * (scale) + (shift))

/* y (m, c) = (x (m, c) - mean (c)) * scale (c) + shift (c), then a ReLU */
static void NAME(normalize_columns)(ptrdiff_t m, ptrdiff_t c, const void *x_, const void *mean_,
                                    const void *scale_, const void *shift_, double cap, void *y_) {
    const REAL *x = x_, *mean = mean_, *scale = scale_, *shift = shift_, most = (REAL)cap;
    REAL *y = y_;
    for (ptrdiff_t r = 0; r < m; r++, x += c, y += c) {
        ptrdiff_t j = 0;
        for (; j + LANES <= c; j += LANES) {
            const vec v = NORMAL(LOAD(x + j), LOAD(mean + j), LOAD(scale + j), LOAD(shift + j));
            STORE(y + j, cap == 0 ? v : (vec)MIN2(SPLAT(most), RELU(v)));
        }
        for (; j < c; j++) {
            ONE_BY_ONE(j);
            const REAL v = NORMAL(x[j], mean[j], scale[j], shift[j]), cut = v < 0 ? 0 : v;
            y[j] = cap == 0 ? v : most < cut ? most : cut;
        }
    }
}

/* dy in front of the ReLU: dy where 0 < v < cap, else 0; an infinite cap cuts nothing */
#define PASSED(dy, v) BLEND(LT(zero, v), BLEND(LT(v, most), dy, zero), zero)
#define IS_PASSED(v) (0 < (v) && ((v) < (REAL)cap || cap == INFINITY_))

/* dy (LANES) in front of the ReLU at x; if there is no ReLU, dy itself */
INLINE vec NAME(behind_relu)(const REAL *dy, const REAL *x, const REAL *mean, const REAL *scale,
                             const REAL *shift, const double cap) {
    const vec zero = {0}, most = SPLAT((REAL)cap);
    if (cap == 0) return LOAD(dy);
    const vec v = NORMAL(LOAD(x), LOAD(mean), LOAD(scale), LOAD(shift));
    return cap == INFINITY_ ? BLEND(LT(zero, v), LOAD(dy), zero) : PASSED(LOAD(dy), v);
}

/* the same for one number */
INLINE REAL NAME(one_behind_relu)(REAL dy, REAL x, REAL mean, REAL scale, REAL shift, double cap) {
    return cap == 0 || IS_PASSED(NORMAL(x, mean, scale, shift)) ? dy : 0;
}

/* For LANES columns: adds d (rows), rows `step` apart, to sums, and d (x - mean) to products. */
INLINE void NAME(products_of)(ptrdiff_t rows, ptrdiff_t c, ptrdiff_t step, const REAL *d, const REAL *x,
                              const REAL *mean, double *sums, double *products) {
    const ptrdiff_t next = LANES - HALF_LANES; /* 0 for doubles */
    const column_vec mean0 = LOAD_WIDE(mean), mean1 = LOAD_WIDE(mean + next);
    column_vec sum0 = SUM_AT(sums), sum1 = SUM_AT(sums + next);
    column_vec product0 = SUM_AT(products), product1 = SUM_AT(products + next);
    for (ptrdiff_t r = 0; r < rows; r++, d += step, x += c) {
        const column_vec d0 = LOAD_WIDE(d);
        sum0 += d0;
        product0 += d0 * (LOAD_WIDE(x) - mean0);
        if (!next) continue;
        const column_vec d1 = LOAD_WIDE(d + next);
        sum1 += d1;
        product1 += d1 * (LOAD_WIDE(x + next) - mean1);
    }
    SUM_AT(sums) = sum0;
    SUM_AT(products) = product0;
    if (!next) return;
    SUM_AT(sums + next) = sum1;
    SUM_AT(products + next) = product1;
}

/* sums (c) of dy (m, c) in front of the ReLU, and products (c): sums of that times x (m, c) - mean (c) */
static void NAME(column_products)(ptrdiff_t m, ptrdiff_t c, const void *dy_, const void *x_,
                                  const void *mean_, const void *scale_, const void *shift_,
                                  double cap, double *sums, double *products) {
    const REAL *mean = mean_, *scale = scale_, *shift = shift_;
    REAL stage[COLUMN_ROWS * LANES];
    for (ptrdiff_t j = 0; j < c; j++) sums[j] = products[j] = 0;
    for (ptrdiff_t i = 0; i < m; i += COLUMN_ROWS) {
        const REAL *x = (const REAL *)x_ + i * c, *dy = (const REAL *)dy_ + i * c;
        const ptrdiff_t rows = m - i < COLUMN_ROWS ? m - i : COLUMN_ROWS;
        ptrdiff_t j = 0;
        for (; j + LANES <= c; j += LANES) {
            for (ptrdiff_t r = 0; r < rows; r++) {
                FETCH_AHEAD(x + r * c + j);
                FETCH_AHEAD(dy + r * c + j);
            }
            if (cap != 0)
                for (ptrdiff_t r = 0; r < rows; r++)
                    STORE(stage + r * LANES,
                          NAME(behind_relu)(dy + r * c + j, x + r * c + j, mean + j, scale + j,
                                            shift + j, cap));
            NAME(products_of)(rows, c, cap == 0 ? c : LANES, cap == 0 ? dy + j : stage, x + j, mean + j,
                              sums + j, products + j);
        }
        for (; j < c; j++)
            for (ptrdiff_t r = 0; r < rows; r++) {
                ONE_BY_ONE(r);
                const REAL one = x[r * c + j];
                const double d = (double)NAME(one_behind_relu)(dy[r * c + j], one, mean[j],
                                                               cap == 0 ? 0 : scale[j],
                                                               cap == 0 ? 0 : shift[j], cap);
                sums[j] += d;
                products[j] += d * ((double)one - (double)mean[j]);
            }
    }
}

/* dx (m, c) = d * scale (c) - (x (m, c) - mean (c)) * slope (c) - less (c), where d is dy (m, c) in front of
 * the ReLU; dx may be dy.  shift (c) is that of the normalisation, and serves the ReLU alone. */
static void NAME(columns_backward)(ptrdiff_t m, ptrdiff_t c, const void *dy_, const void *x_,
                                   const void *mean_, const void *scale_, const void *shift_,
                                   double cap, const void *slope_, const void *less_, void *dx_) {
    const REAL *dy = dy_, *x = x_, *mean = mean_, *scale = scale_, *shift = shift_;
    const REAL *slope = slope_, *less = less_;
    REAL *dx = dx_;
    for (ptrdiff_t r = 0; r < m; r++, dy += c, x += c, dx += c) {
        ptrdiff_t j = 0;
        for (; j + LANES <= c; j += LANES) {
            const vec g = NAME(behind_relu)(dy + j, x + j, mean + j, scale + j, shift + j, cap);
            STORE(dx + j, g * LOAD(scale + j) - (LOAD(x + j) - LOAD(mean + j)) * LOAD(slope + j) -
                              LOAD(less + j));
        }
        for (; j < c; j++) {
            ONE_BY_ONE(j);
            const REAL g = NAME(one_behind_relu)(dy[j], x[j], mean[j], scale[j],
                                                 cap == 0 ? 0 : shift[j], cap);
            dx[j] = g * scale[j] - (x[j] - mean[j]) * slope[j] - less[j];
        }
    }
}
