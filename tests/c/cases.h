/* cases.h: what micro_kernels.c checks, for one real type.  Included once per type, which defines
 * REAL, LOOSE (the tolerance of a sum, relative to its absolute products), CLOSE (of a function of
 * one value, relative to it) and NAME(name). */

/* n numbers from -1 to 1 with full mantissas, the same on every machine (splitmix64) */
static REAL *NAME(numbers)(ptrdiff_t n, uint64_t seed) {
    REAL *x = malloc((size_t)n * sizeof(REAL));
    for (ptrdiff_t i = 0; i < n; i++) {
        uint64_t z = (seed << 32) + (uint64_t)(i + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        x[i] = (REAL)((double)(z >> 11) / 4503599627370496.0 - 1);
    }
    return x;
}

/* The sum of product/product.h with its terms as they are written there.  apart: B lies as it is given to a
 * layer, in rows, not in blocks of columns. */
static void NAME(product_case)(const NAME(table) *table, ptrdiff_t m, ptrdiff_t n, ptrdiff_t q,
                               ptrdiff_t r, ptrdiff_t k, int mode, int apart) {
    const ptrdiff_t block = CCONV_BLOCK_BYTES / sizeof(REAL);
    cconv_sum s = {.q = q, .r = r, .k = k, .ak = 1, .bk = apart ? n + 5 : block, .cm = n + 1};
    s.ar = k * s.ak + 1, s.aq = r * s.ar + 2, s.am = q * s.aq + 3;
    s.br = k * s.bk, s.bq = r * s.br, s.bn = apart ? block : q * s.bq;
    REAL *a = NAME(numbers)(m * s.am + 1, 1), *bias = NAME(numbers)(n, 2);
    REAL *b = NAME(numbers)(apart ? q * s.bq + n : (n + block - 1) / block * s.bn, 3);
    REAL *c = NAME(numbers)(m * s.cm, 4), *old = NAME(numbers)(m * s.cm, 4);
    table->product(&s, m, n, a, b, c, bias, mode);
    for (ptrdiff_t i = 0; i < m; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = bias[j], size = fabs(sum);
            if (mode & CCONV_ACCUMULATE) sum += old[i * s.cm + j], size += fabs(old[i * s.cm + j]);
            for (ptrdiff_t t = 0; t < q * r * k; t++) {
                const ptrdiff_t u = t / (r * k), v = t / k % r, w = t % k;
                const double term =
                    (double)a[i * s.am + u * s.aq + v * s.ar + w * s.ak] *
                    b[j / block * s.bn + u * s.bq + v * s.br + w * s.bk + j % block];
                sum += term, size += fabs(term);
            }
            if (mode & CCONV_RELU && sum < 0) sum = 0;
            CHECK(fabs(c[i * s.cm + j] - sum) <= LOOSE * size, "product %td x %td, mode %d: %g for %g",
                  i, j, mode, c[i * s.cm + j], sum);
        }
        CHECK(c[i * s.cm + n] == old[i * s.cm + n], "product wrote behind row %td of %td", i, n);
    }
    digest(c, (size_t)(m * s.cm) * sizeof(REAL));
    free(a), free(b), free(c), free(old), free(bias);
}

static void NAME(products)(const NAME(table) *table) {
    static const ptrdiff_t widths[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (ptrdiff_t m = 1; m <= 17; m++)
            for (int mode = 0; mode < 4; mode++)
                NAME(product_case)(table, m, widths[w], 1 + m % 2, 1 + m % 3, 1 + (m + mode) % 6, mode, 0);
}

/* Many rows, and sums of no term, of one chain and of several: of whole runs and of parts of one. */
static void NAME(long_products)(const NAME(table) *table) {
    static const ptrdiff_t terms[][3] = {{0, 1, 5}, {2, 1, 96}, {2, 1, 127}, {1, 3, 70}, {5, 3, 31}, {1, 1, 600}};
    static const ptrdiff_t rows[] = {25, 49, 97}, widths[] = {32, 67};
    for (size_t t = 0; t < sizeof terms / sizeof *terms; t++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
                for (int apart = 0; apart < 2; apart++)
                    NAME(product_case)(table, rows[i], widths[w], terms[t][0], terms[t][1], terms[t][2],
                                       (int)(t + i + w) % 4, apart);
}

/* Functions of one value against libm. */
static void NAME(functions)(const cconv_rows *rows) {
    const struct {
        cconv_map *map;
        double (*truth)(double);
        const char *name;
        double times; /* CLOSE */
    } known[] = {{rows->exp, exp, "exp", 1}, {rows->log, log, "log", 1}, {rows->tanh, tanh, "tanh", 1},
                 {rows->sigmoid, sigmoid, "sigmoid", 1}, {rows->relu, relu, "relu", 1},
                 {rows->silu, silu, "silu", 2}, {rows->softplus, softplus, "softplus", 1},
                 {rows->softsign, softsign, "softsign", 1},
                 {rows->mish, mish, "mish", 2}, {rows->selu, selu, "selu", 1}};
    for (size_t f = 0; f < sizeof known / sizeof *known; f++)
        for (ptrdiff_t n = 1; n < 70; n++) {
            REAL *x = NAME(numbers)(n, 5), *y = NAME(numbers)(n + 1, 6), behind = y[n];
            for (ptrdiff_t i = 0; i < n; i++) x[i] = known[f].truth == log ? 9 * fabs(x[i]) : 30 * x[i];
            known[f].map(n, x, NULL, y, 0);
            for (ptrdiff_t i = 0; i < n; i++) {
                const double truth = known[f].truth(x[i]);
                const double allowed = known[f].times * CLOSE * fabs(truth) + NO_LONGER_NORMAL;
                CHECK(fabs(y[i] - truth) <= allowed, "%s(%g): %.17g for %.17g", known[f].name, x[i], y[i],
                      truth);
            }
            CHECK(y[n] == behind, "%s wrote behind %td elements", known[f].name, n);
            digest(y, (size_t)n * sizeof(REAL));
            free(x), free(y);
        }
}

/* The digest of the rest: sums along a row, square roots, comparisons, Philox. */
static void NAME(others)(const cconv_rows *rows) {
    static const double hyper[] = {0.1, 0.01, 0.1, 0.001, 1e-7};
    const cconv_draw draw = {3, 5, 7, {11, 13}, 1u << 31};
    for (ptrdiff_t n = 1; n < 140; n++) {
        REAL *x = NAME(numbers)(n, 7), *y = NAME(numbers)(n, 8), *z = NAME(numbers)(n, 9);
        uint8_t bits[18] = {0};
        const double sum = rows->sum(n, x);
        digest(&sum, sizeof sum);
        rows->gelu(n, x, NULL, y, 0); /* libm's erfc of a rounded argument is no measure for its tail */
        digest(y, (size_t)n * sizeof(REAL));
        rows->gelu_backward(n, x, y, y, 0);
        digest(y, (size_t)n * sizeof(REAL));
        rows->softmax(1, n, x, NULL, y);
        double total = 0;
        for (ptrdiff_t i = 0; i < n; i++) total += y[i];
        CHECK(fabs(total - 1) <= LOOSE, "softmax of %td: sum %.17g", n, total);
        digest(y, (size_t)n * sizeof(REAL));
        for (ptrdiff_t i = 0; i < n; i++) z[i] *= z[i];
        rows->adam(n, x, y, y, z, NULL, hyper);
        rows->adagrad(n, x, y, z, NULL, NULL, hyper);
        digest(x, (size_t)n * sizeof(REAL));
        rows->dropout(0, n, &draw, 2.0, x, y, bits);
        digest(y, (size_t)n * sizeof(REAL));
        digest(bits, sizeof bits);
        rows->normal(0, n, &draw, y);
        for (ptrdiff_t i = 0; i < n; i++) CHECK(fabs(y[i]) < 6.8, "normal number %g", y[i]);
        digest(y, (size_t)n * sizeof(REAL));
        free(x), free(y), free(z);
    }
}

/* Rows that are normalised, and back: sums of dx and of what it is weighed by are zero. */
static void NAME(normalized)(const cconv_rows *rows) {
    for (ptrdiff_t n = 2; n < 140; n++) {
        REAL *x = NAME(numbers)(n, 13), *y = NAME(numbers)(n + 1, 14), *dy = NAME(numbers)(n, 15);
        REAL *z = NAME(numbers)(n, 16), behind = y[n];
        double moments[2], mean = 0, squares = 0, sums[2], total = 0, size = 0;
        for (ptrdiff_t i = 0; i < n; i++) x[i] += 10, mean += x[i] / (double)n;
        for (ptrdiff_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
        rows->moments(1, n, x, 1, moments);
        CHECK(fabs(moments[0] - mean) <= LOOSE, "mean of %td: %g for %g", n, moments[0], mean);
        CHECK(fabs(moments[1] - squares) <= 20 * LOOSE * squares, "squares of %td: %g for %g", n, moments[1],
              squares);
        const double inverse = 1 / sqrt(moments[1] / (double)n);
        double slope[2];
        moments[1] = inverse;
        rows->normalize(1, n, x, NULL, NULL, moments, 1, y);
        for (ptrdiff_t i = 0; i < n; i++) total += y[i] * y[i];
        CHECK(fabs(total - (double)n) <= 20 * LOOSE * n, "squares of a row of %td: %g", n, total);
        digest(y, (size_t)n * sizeof(REAL));
        rows->normalize_sums(1, n, dy, x, NULL, moments, sums);
        slope[0] = inverse * inverse * inverse * sums[1] / (double)n;
        slope[1] = inverse * sums[0] / (double)n;
        rows->normalize_backward(1, n, dy, x, NULL, moments, slope, y);
        total = 0;
        for (ptrdiff_t i = 0; i < n; i++) total += y[i], size += fabs(y[i]);
        CHECK(fabs(total) <= 20 * LOOSE * (size + inverse), "dx of %td: sum %g of %g", n, total, size);
        CHECK(y[n] == behind, "normalize wrote behind %td elements", n);
        digest(y, (size_t)n * sizeof(REAL));
        rows->normalize_weights(1, n, n, dy, x, moments, 1, y, z);
        digest(y, (size_t)n * sizeof(REAL));
        digest(z, (size_t)n * sizeof(REAL));
        free(x), free(y), free(z), free(dy);
    }
}

/* Columns of rows (m, c): the bits of one column alone, whatever lies beside it. */
static void NAME(columns)(const cconv_rows *rows) {
    for (ptrdiff_t c = 1; c < 70; c += c < 20 ? 1 : 7) {
        const ptrdiff_t m = 21;
        REAL *x = NAME(numbers)(m * c, 31), *dy = NAME(numbers)(m * c, 32), *v = NAME(numbers)(5 * c, 33);
        REAL *y = NAME(numbers)(m * c + 1, 34), *dx = NAME(numbers)(m * c + 1, 35), one[21], back[21];
        double *sums = malloc((size_t)(4 * c) * sizeof(double)), alone[4];
        const REAL behind = y[m * c], after = dx[m * c];
        for (int mode = 0; mode < 3; mode++) {
            const double cap = mode == 0 ? 0 : mode == 1 ? 0.5 : __builtin_inf();
            rows->column_moments(m, c, x, v, sums, sums + c);
            rows->normalize_columns(m, c, x, v, v + c, v + 2 * c, cap, y);
            rows->column_products(m, c, dy, x, v, v + c, v + 2 * c, cap, sums + 2 * c, sums + 3 * c);
            rows->columns_backward(m, c, dy, x, v, v + c, v + 2 * c, cap, v + 3 * c, v + 4 * c, dx);
            for (ptrdiff_t j = 0; j < c; j++) {
                REAL column[21], slopes[21];
                for (ptrdiff_t r = 0; r < m; r++) column[r] = x[r * c + j], slopes[r] = dy[r * c + j];
                rows->column_moments(m, 1, column, v + j, alone, alone + 1);
                rows->column_products(m, 1, slopes, column, v + j, v + c + j, v + 2 * c + j, cap, alone + 2,
                                      alone + 3);
                rows->normalize_columns(m, 1, column, v + j, v + c + j, v + 2 * c + j, cap, one);
                rows->columns_backward(m, 1, slopes, column, v + j, v + c + j, v + 2 * c + j, cap,
                                       v + 3 * c + j, v + 4 * c + j, back);
                for (int k = 0; k < 4; k++)
                    CHECK(alone[k] == sums[k * c + j], "sum %d of column %td of %td", k, j, c);
                for (ptrdiff_t r = 0; r < m; r++)
                    CHECK(one[r] == y[r * c + j] && back[r] == dx[r * c + j], "column %td of %td", j, c);
            }
            CHECK(y[m * c] == behind && dx[m * c] == after, "columns wrote behind %td", c);
            digest(sums, (size_t)(4 * c) * sizeof(double));
            digest(y, (size_t)(m * c) * sizeof(REAL));
            digest(dx, (size_t)(m * c) * sizeof(REAL));
        }
        free(x), free(dy), free(v), free(y), free(dx), free(sums);
    }
}

/* Pooling of one image, and back: every channel count, windows that overlap and hang over. */
static void NAME(pools)(const cconv_rows *rows) {
    for (ptrdiff_t c = 1; c < 40; c++) {
        const cconv_pool p = {5, 6, c, 3, 3, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
        REAL *x = NAME(numbers)(5 * 6 * c, 10), *y = NAME(numbers)(3 * 3 * c, 11);
        REAL *dx = NAME(numbers)(5 * 6 * c, 12), given = 0, taken = 0;
        uint8_t *argmax = malloc((size_t)(3 * 3 * c));
        for (ptrdiff_t row = 0; row < 3; row++)
            rows->max_pool(&p, row, x, y + row * 3 * c, argmax + row * 3 * c, 0);
        for (ptrdiff_t row = 0; row < 5; row++)
            rows->max_pool_backward(&p, row, y, argmax, 0, dx + row * 6 * c);
        for (ptrdiff_t i = 0; i < 3 * 3 * c; i++) given += y[i];
        for (ptrdiff_t i = 0; i < 5 * 6 * c; i++) taken += dx[i];
        CHECK(fabs(given - taken) <= 9 * c * LOOSE, "max_pool of %td channels: %g in, %g back", c, given, taken);
        digest(y, (size_t)(3 * 3 * c) * sizeof(REAL));
        digest(argmax, (size_t)(3 * 3 * c));
        digest(dx, (size_t)(5 * 6 * c) * sizeof(REAL));
        free(x), free(y), free(dx), free(argmax);
    }
}

/* Two rows merged: element by element, rows scaled, products of rows added, columns copied. */
static void NAME(merged)(const cconv_rows *rows) {
    cconv_map *const maps[] = {rows->plus, rows->plus_relu, rows->minus, rows->times, rows->over,
                               rows->larger, rows->smaller, rows->larger_share};
    enum { MAPS = sizeof maps / sizeof *maps, HIGH = 3 };
    for (ptrdiff_t n = 1; n < 150; n++) {
        REAL *a = NAME(numbers)(HIGH * n, 13), *b = NAME(numbers)(HIGH * n, 14);
        REAL *y = NAME(numbers)(HIGH * n + 1, 15), behind = y[HIGH * n];
        b[n / 2] = a[n / 2]; /* a pair that is equal */
        for (int f = 0; f < MAPS; f++) {
            maps[f](n, a, b, y, 0);
            for (ptrdiff_t i = 0; i < n; i++) {
                const REAL u = a[i], v = b[i], sum = u + v;
                const REAL truth[MAPS] = {sum, sum > 0 ? sum : 0, u - v, u * v, u / v, u > v ? u : v,
                                          u < v ? u : v, u > v ? 1 : u == v ? (REAL)0.5 : 0};
                CHECK(y[i] == truth[f], "map %d of %td: %g for %g", f, n, y[i], truth[f]);
            }
        }
        rows->over_number(n, a, NULL, y, 3);
        for (ptrdiff_t i = 0; i < n; i++) CHECK(y[i] == a[i] / 3, "%g / 3: %g", a[i], y[i]);
        rows->negative(n, a, NULL, y, 0);
        for (ptrdiff_t i = 0; i < n; i++) CHECK(y[i] == -a[i], "-%g: %g", a[i], y[i]);
        rows->scale_rows(HIGH, n, a, b, y);
        for (ptrdiff_t i = 0; i < HIGH * n; i++)
            CHECK(y[i] == a[i] * b[i % n], "scaled %td of %td: %g", i, n, y[i]);
        CHECK(y[HIGH * n] == behind, "scale_rows wrote behind %td elements", HIGH * n);
        rows->product_sums(HIGH, n, a, b, y);
        for (ptrdiff_t i = 0; i < n; i++) {
            double sum = 0, size = 0;
            for (ptrdiff_t r = 0; r < HIGH; r++) {
                sum += (double)a[r * n + i] * b[r * n + i];
                size += fabs((double)a[r * n + i] * b[r * n + i]);
            }
            CHECK(fabs(y[i] - sum) <= LOOSE * size, "products of column %td: %g for %g", i, y[i], sum);
        }
        digest(y, (size_t)n * sizeof(REAL));
        rows->copy_rows(HIGH, n, a, n, y, n);
        CHECK(memcmp(y, a, (size_t)(HIGH * n) * sizeof(REAL)) == 0, "rows of %td copied", n);
        if (n > 1) {
            rows->copy_rows(HIGH, 1, a + n - 1, n, y, n);
            for (ptrdiff_t r = 0; r < HIGH; r++) {
                CHECK(y[r * n] == a[r * n + n - 1], "last of row %td of %td copied", r, n);
                CHECK(y[r * n + 1] == a[r * n + 1], "copy_rows wrote behind a column of row %td", r);
            }
        }
        CHECK(y[HIGH * n] == behind, "copy_rows wrote behind %td elements", HIGH * n);
        free(a), free(b), free(y);
    }
}

/* Many short rows at once: each has the bits that it has alone, and nothing else is written. */
static void NAME(normalized_rows)(const cconv_rows *rows) {
    enum { HIGH = 37 };
    for (ptrdiff_t n = 1; n < 20; n++) {
        const ptrdiff_t size = HIGH * n;
        REAL *x = NAME(numbers)(size, 17), *dy = NAME(numbers)(size, 18), *gamma = NAME(numbers)(n, 19);
        REAL *beta = NAME(numbers)(n, 20), *y = NAME(numbers)(size + 1, 21), behind = y[size];
        REAL *alone = NAME(numbers)(n, 22);
        double statistics[2 * HIGH], sums[2 * HIGH], one[2];
        for (int centred = 0; centred < 2; centred++)
            for (int weights = 0; weights < 4; weights++) {
                const REAL *scale = weights & 1 ? gamma : NULL, *shift = weights & 2 ? beta : NULL;
                rows->moments(HIGH, n, x, centred, statistics);
                for (ptrdiff_t r = 0; r < HIGH; r++) {
                    rows->moments(1, n, x + r * n, centred, one);
                    CHECK(memcmp(one, statistics + 2 * r, sizeof one) == 0, "row %td of %td", r, n);
                }
                rows->normalize(HIGH, n, x, scale, shift, statistics, centred, y);
                for (ptrdiff_t r = 0; r < HIGH; r++) {
                    rows->normalize(1, n, x + r * n, scale, shift, statistics + 2 * r, centred, alone);
                    CHECK(memcmp(alone, y + r * n, (size_t)n * sizeof(REAL)) == 0, "row %td of %td", r, n);
                }
                rows->normalize_sums(HIGH, n, dy, x, scale, statistics, sums);
                for (ptrdiff_t r = 0; r < HIGH; r++) {
                    rows->normalize_sums(1, n, dy + r * n, x + r * n, scale, statistics + 2 * r, one);
                    CHECK(memcmp(one, sums + 2 * r, sizeof one) == 0, "sums of row %td of %td", r, n);
                }
                rows->normalize_backward(HIGH, n, dy, x, scale, statistics, sums, y);
                for (ptrdiff_t r = 0; r < HIGH; r++) {
                    rows->normalize_backward(1, n, dy + r * n, x + r * n, scale, statistics + 2 * r,
                                             sums + 2 * r, alone);
                    CHECK(memcmp(alone, y + r * n, (size_t)n * sizeof(REAL)) == 0, "dx %td of %td", r, n);
                }
                CHECK(y[size] == behind, "written behind %td rows of %td", (ptrdiff_t)HIGH, n);
                digest(y, (size_t)size * sizeof(REAL));
            }
        memset(y, 0, (size_t)n * sizeof(REAL)), memset(alone, 0, (size_t)n * sizeof(REAL));
        rows->normalize_weights(HIGH, n, n, dy, x, statistics, 1, y, alone);
        digest(y, (size_t)n * sizeof(REAL)), digest(alone, (size_t)n * sizeof(REAL));
        for (ptrdiff_t r = 0; r < HIGH; r++)
            for (ptrdiff_t i = 0; i < n; i++) alone[i] -= dy[r * n + i];
        for (ptrdiff_t i = 0; i < n; i++) CHECK(fabs(alone[i]) <= HIGH * LOOSE, "dbeta %td: %g", i, alone[i]);
        free(x), free(dy), free(gamma), free(beta), free(y), free(alone);
    }
}

static void NAME(check)(const NAME(table) *table) {
    NAME(products)(table);
    NAME(long_products)(table);
    NAME(functions)(table->rows);
    NAME(others)(table->rows);
    NAME(normalized)(table->rows);
    NAME(columns)(table->rows);
    NAME(normalized_rows)(table->rows);
    NAME(pools)(table->rows);
    NAME(merged)(table->rows);
}
