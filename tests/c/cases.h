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

/* The sum of product/product.h with its terms as they are written there. */
static void NAME(product_case)(const NAME(table) *table, ptrdiff_t m, ptrdiff_t n, ptrdiff_t q,
                               ptrdiff_t r, ptrdiff_t k, int mode) {
    const ptrdiff_t block = CCONV_BLOCK_BYTES / sizeof(REAL);
    cconv_sum s = {.q = q, .r = r, .k = k, .ak = 1, .bk = block, .cm = n + 1};
    s.ar = k * s.ak + 1, s.aq = r * s.ar + 2, s.am = q * s.aq + 3;
    s.br = k * s.bk, s.bq = r * s.br, s.bn = q * s.bq;
    REAL *a = NAME(numbers)(m * s.am + 1, 1), *bias = NAME(numbers)(n, 2);
    REAL *b = NAME(numbers)((n + block - 1) / block * s.bn, 3);
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
                NAME(product_case)(table, m, widths[w], 1 + m % 2, 1 + m % 3, 1 + (m + mode) % 6, mode);
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
        free(x), free(y), free(z);
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

static void NAME(check)(const NAME(table) *table) {
    NAME(products)(table);
    NAME(functions)(table->rows);
    NAME(others)(table->rows);
    NAME(pools)(table->rows);
}
