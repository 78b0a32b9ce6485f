/* optimizers/passes.h: what an optimizer does with gradients before its rule, and with weights before or
 * after it.  Each is one pass that writes out (n), from x (n) and another array w (n), which may be out;
 * hyper[1] is a number of the array itself. */
#undef PASS

#define PASS(name, setup, value)                                                                \
    static void NAME(name)(ptrdiff_t n, void *out_, const void *x_, void *w_, void *second,     \
                           void *third, const double *hyper) {                                  \
        REAL *out = out_;                                                                       \
        const REAL *x = x_, *w = w_;                                                            \
        setup;                                                                                  \
        (void)w, (void)second, (void)third, (void)hyper;                                        \
        MAP(n, const vec g = GET(x); PUT(out, value));                                          \
    }

/* out += x */
PASS(accumulate, , GET(out) + g)

/* out = x + hyper[1] w */
PASS(penalize, const vec l2 = HYPER(1), FMA(l2, GET(w), g))

/* out = hyper[1] x */
PASS(scale, const vec factor = HYPER(1), factor * g)

/* out = x, cut to -limit ... limit; NaN stays */
PASS(clip, const vec limit = HYPER(2),
     BLEND(NAN_(g), g, MIN2(limit, MAX2(-limit, g))))

/* out = momentum out + (1 - momentum) x */
PASS(average, const vec momentum = HYPER(2); const vec rest = HYPER(3),
     FMA(momentum, GET(out), rest * g))

/* Sum of x^2 over x (n), in double: 16 chains, whose sums are added in a tree. */
#undef DOUBLES
#define DOUBLES (VECTOR_BYTES / 8)
typedef double NAME(doubles) __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL NAME(few_reals)
    __attribute__((vector_size(DOUBLES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
static double NAME(squares)(ptrdiff_t n, const void *x_) {
    const REAL *x = x_;
    NAME(doubles) chains[16 / DOUBLES] = {{0}};
    double sums[16];
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) {
        UNROLL
        for (int k = 0; k < 16 / DOUBLES; k++) {
            const NAME(doubles) g = __builtin_convertvector(
                *(const NAME(few_reals) *)(x + i + k * DOUBLES), NAME(doubles));
            chains[k] += g * g;
        }
    }
    __builtin_memcpy(sums, chains, sizeof(sums));
    for (int k = 0; i < n; i++, k++) sums[k] += (double)x[i] * (double)x[i];
    for (int half = 8; half; half /= 2)
        for (int k = 0; k < half; k++) sums[k] += sums[k + half];
    return sums[0];
}
