/* activations/smooth.h: SiLU, GELU, ELU and similar functions, and their derivatives, the factors of dy.
 *
 * All are made of the polynomials of functions.h and one more, for the tail of the normal
 * distribution.  They reach their limits at the infinities, where products such as -inf * 0 would be
 * NaN.  They keep their digits where they are small: no two nearly equal numbers are subtracted.
 * tests/test_kernels_smooth.py holds their errors. */
#undef NO_TAIL
#undef NO_EXPM1
#undef UPPER_BITS
#undef LARGE_
#if REAL_BITS == 32
#define NO_TAIL 15.0f    /* beyond it the tail of the normal distribution is zero */
#define NO_EXPM1 -18.0f  /* below it exp(x) - 1 is -1 */
#define UPPER_BITS 12    /* low bits of the mantissa that are cleared, so that the square is exact */
#else
#define NO_TAIL 40.0
#define NO_EXPM1 -38.0
#define UPPER_BITS 27
#endif
#define LARGE_ ((REAL)0x1p100) /* replaces infinity in products whose other factor is zero */

#undef BELOW_ZERO
#define BELOW_ZERO(x) LT(x, SPLAT((REAL)0))

/* max(x, -LARGE_) */
INLINE vec NAME(not_too_low)(vec x) { return MAX2(SPLAT(-LARGE_), x); }

/* the same for both signs */
INLINE vec NAME(not_too_large)(vec x) { return MIN2(SPLAT(LARGE_), NAME(not_too_low)(x)); }

/* log(1 + e) for 0 <= e <= 1.  Where 1 + e > sqrt(2), (1 + e) / 2 is taken as 1 + f. */
INLINE vec NAME(log1p_of_unit)(vec e) {
    const mask upper = LT(SPLAT((REAL)0.41421356237309505), e);
    const vec f = BLEND(upper, (e - 1) * (REAL)0.5, e);
    return NAME(log_of_parts)(f, BLEND(upper, SPLAT((REAL)1), SPLAT((REAL)0)));
}

/* exp(x) - 1 for x <= 0, accurate also near zero; x > 0 counts as zero. */
INLINE vec NAME(expm1_below)(vec x) {
    vec t;
    const vec p = NAME(reduced_expm1)(MAX2(SPLAT(NO_EXPM1), MIN2(SPLAT((REAL)0), x)), &t);
    return NAME(expm1_of_parts)(p, t);
}

/* Φ(-a) = exp(-a^2 / 2) M(a) for a >= 0, the tail of the normal distribution; *bell is the exponential.
 * M(a) = exp(a^2 / 2) erfc(a / √2) / 2 is a polynomial in (a - c) / (a + c), divided by a + c.  It was
 * fitted with an error of 2^-26.2 up to a = 14.5 in float, and of 2^-56.2 up to 39 in double.  The mapping is
 * that of Shepherd & Laframboise 1981, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x".  The square is
 * taken in two parts, since the exponential turns its absolute error into a relative one. */
INLINE vec NAME(normal_tail)(vec a, vec *bell) {
#if REAL_BITS == 32
    enum { CENTRE = 4 };
    static const REAL mills[] = {
        -0x1.01ea14p-13f, 0x1.988772p-13f, 0x1.9b62dcp-10f, -0x1.cdd786p-9f, -0x1.ed4daep-8f,
        0x1.eed98cp-5f, -0x1.7dffc6p-3f, 0x1.8c6d8ep-2f, -0x1.373e3ap-1f, 0x1.82b4bcp-1f};
#else
    enum { CENTRE = 5 };
    static const REAL mills[] = {
        -0x1.5d26340ff95b4p-33, 0x1.e1dfd082669c9p-30, 0x1.074d17a738a6p-27, -0x1.4002f2e969bbcp-27,
        -0x1.1b383be38249ep-24, 0x1.6b23b1c1c1515p-25, 0x1.d114e6bba97ap-22, -0x1.697020b9644f5p-22,
        -0x1.73af4afacfcbap-19, 0x1.0b2760d8b1777p-18, 0x1.17dd44798bf8cp-16, -0x1.a170d475ef56ep-15,
        -0x1.f21467ad6278dp-15, 0x1.1daf1d4d75665p-11, -0x1.a25037c87b0ecp-11, -0x1.88590eaafa38ap-9,
        0x1.54b4d4f4b669dp-6, -0x1.1b1c254c9a2e6p-4, 0x1.51f6329f0187bp-3, -0x1.410ed5f875a7ap-2,
        0x1.fb31653876f8fp-2, -0x1.54ad03f27ca17p-1, 0x1.89d3abe1f95aep-1};
#endif
    const vec upper = (vec)((uvec)a >> UPPER_BITS << UPPER_BITS), half = SPLAT((REAL)0.5);
    const vec high = -half * (upper * upper), low = -half * ((a - upper) * (a + upper));
    vec t;
    NAME(rest_of_exponent)(high + low, &t);
    const vec k = t - ROUND;
    const vec rest = FMA(k, SPLAT(-LN2_LOW), FMA(k, SPLAT(-LN2_HIGH), high) + low);
    *bell = NAME(times_power)(NAME(expm1_of_rest)(rest) + 1, t);
    const vec u = (a - CENTRE) / (a + CENTRE);
    vec m = SPLAT(mills[0]);
    for (size_t j = 1; j < sizeof mills / sizeof *mills; j++) m = FMA(m, u, SPLAT(mills[j]));
    return *bell * (m / (a + CENTRE));
}

/* x / (1 + exp(-x)) */
INLINE vec NAME(silu)(vec x) { return NAME(not_too_low)(x) * NAME(sigmoid)(x); }

INLINE vec NAME(silu_slope)(vec x) {
    const vec other = NAME(sigmoid)(-x); /* 1 - sigmoid(x) */
    return NAME(sigmoid)(x) * (NAME(not_too_large)(x) * other + 1);
}

/* x Φ(x) */
INLINE vec NAME(gelu)(vec x) {
    const vec a = MIN2(SPLAT(NO_TAIL), NAME(magnitude)(x));
    vec bell;
    const vec tail_ = NAME(normal_tail)(a, &bell);
    return BLEND(BELOW_ZERO(x), -a * tail_, x * (1 - tail_));
}

/* Φ(x) + x exp(-x^2 / 2) / √(2π) */
INLINE vec NAME(gelu_slope)(vec x) {
    const vec a = MIN2(SPLAT(NO_TAIL), NAME(magnitude)(x));
    vec bell;
    const vec tail_ = NAME(normal_tail)(a, &bell), more = a * (bell * (REAL)0.39894228040143268);
    return BLEND(BELOW_ZERO(x), tail_ - more, (1 - tail_) + more);
}

/* x (1 + tanh(√(2/π) (x + 0.044715 x^3))) / 2, which is x sigmoid(2 √(2/π) (x + 0.044715 x^3)) */
#undef GELU_1
#undef GELU_3
#define GELU_1 ((REAL)1.5957691216057308)
#define GELU_3 ((REAL)0.07135481627260025)
INLINE vec NAME(gelu_tanh)(vec x) {
    const vec a = MIN2(SPLAT(NO_TAIL), NAME(magnitude)(x));
    const vec e = NAME(exp_bounded)(-a * FMA(a * a, SPLAT(GELU_3), SPLAT(GELU_1)));
    return BLEND(BELOW_ZERO(x), -a * e, x) / (1 + e);
}

INLINE vec NAME(gelu_tanh_slope)(vec x) {
    const vec a = MIN2(SPLAT(NO_TAIL), NAME(magnitude)(x)), square = a * a;
    const vec e = NAME(exp_bounded)(-a * FMA(square, SPLAT(GELU_3), SPLAT(GELU_1)));
    const vec inner = a * FMA(square, SPLAT(3 * GELU_3), SPLAT(GELU_1)), s = 1 / (1 + e), other = e * s;
    return BLEND(BELOW_ZERO(x), other * (1 - inner * s), s * (1 + inner * other));
}

/* log(1 + exp(x)) */
INLINE vec NAME(softplus)(vec x) {
    const vec e = NAME(exp_bounded)(-NAME(magnitude)(x));
    return MAX2(SPLAT((REAL)0), x) + NAME(log1p_of_unit)(e);
}

INLINE vec NAME(softplus_slope)(vec x) { return NAME(sigmoid)(x); }

/* x / (1 + |x|) */
INLINE vec NAME(softsign)(vec x) {
    const vec v = NAME(not_too_large)(x);
    return v / (1 + NAME(magnitude)(v));
}

INLINE vec NAME(softsign_slope)(vec x) {
    const vec q = 1 / (1 + NAME(magnitude)(x));
    return q * q;
}

/* x tanh(log(1 + exp(x))) = x n / (n + 2) with n = exp(x) (exp(x) + 2).  For x > 0 numerator and denominator
 * are divided by exp(2x), so that nothing overflows. */
INLINE vec NAME(mish)(vec x) {
    const vec e = NAME(exp_bounded)(-NAME(magnitude)(x));
    const mask below = BELOW_ZERO(x);
    const vec n = BLEND(below, e * (e + 2), 1 + 2 * e), rest = BLEND(below, SPLAT((REAL)2), 2 * e * e);
    return NAME(not_too_low)(x) * (n / (n + rest));
}

/* t + x (1 - t) (1 + t) sigmoid(x), where t is the tanh above */
INLINE vec NAME(mish_slope)(vec x) {
    const vec e = NAME(exp_bounded)(-NAME(magnitude)(x));
    const mask below = BELOW_ZERO(x);
    const vec n = BLEND(below, e * (e + 2), 1 + 2 * e), rest = BLEND(below, SPLAT((REAL)2), 2 * e * e);
    const vec t = n / (n + rest), other = rest / (n + rest);
    const vec s = BLEND(below, e, SPLAT((REAL)1)) / (1 + e);
    return t + NAME(not_too_large)(x) * other * ((1 + t) * s);
}

/* min(max(x + 3, 0), 6) / 6 */
INLINE vec NAME(hard_sigmoid)(vec x) {
    return MIN2(SPLAT((REAL)6), MAX2(SPLAT((REAL)0), x + 3)) / 6;
}

INLINE vec NAME(hard_sigmoid_slope)(vec x) {
    const vec inside = BLEND(LT(x, SPLAT((REAL)3)), SPLAT((REAL)(1.0 / 6)), SPLAT((REAL)0));
    const vec slope = BLEND(LT(SPLAT((REAL)-3), x), inside, SPLAT((REAL)0));
    return BLEND(NAN_(x), x, slope);
}

/* x hard_sigmoid(x) */
INLINE vec NAME(hard_silu)(vec x) { return NAME(not_too_low)(x) * NAME(hard_sigmoid)(x); }

INLINE vec NAME(hard_silu_slope)(vec x) {
    const vec inside = BLEND(LT(x, SPLAT((REAL)3)), (2 * x + 3) / 6, SPLAT((REAL)1));
    const vec slope = BLEND(LT(SPLAT((REAL)-3), x), inside, SPLAT((REAL)0));
    return BLEND(NAN_(x), x, slope);
}

/* y (n) = f(x (n)), and dx (n) = dy (n) * f'(x (n)) */
#undef SMOOTH
#define SMOOTH(f)                                                                                    \
    UNARY(f)                                                                                         \
    static void NAME(f##_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double s) { \
        const REAL *dy = a, *x = b;                                                                  \
        REAL *dx = out;                                                                              \
        (void)s;                                                                                     \
        MAP(n, const vec v = GET(x); PUT(dx, GET(dy) * NAME(f##_slope)(v)));                         \
    }
SMOOTH(silu)
SMOOTH(gelu)
SMOOTH(gelu_tanh)
SMOOTH(softplus)
SMOOTH(softsign)
SMOOTH(mish)
SMOOTH(hard_sigmoid)
SMOOTH(hard_silu)

/* scale * x where x > 0, else alpha (exp(x) - 1); alpha includes the scale */
INLINE void NAME(elu_scaled)(ptrdiff_t n, const REAL *x, REAL *y, REAL scale, REAL alpha) {
    const vec zero = {0};
    MAP(n, const vec v = GET(x); PUT(y, BLEND(LT(zero, v), v * scale, NAME(expm1_below)(v) * alpha)));
}

INLINE void NAME(elu_scaled_back)(ptrdiff_t n, const REAL *dy, const REAL *x, REAL *dx, REAL scale,
                                  REAL alpha) {
    const vec zero = {0};
    MAP(n, const vec v = GET(x); const vec slope = NAME(exp_bounded)(MIN2(zero, v)) * alpha;
        PUT(dx, GET(dy) * BLEND(LT(zero, v), SPLAT(scale), slope)));
}

static void NAME(elu)(ptrdiff_t n, const void *a, const void *b, void *out, double alpha) {
    (void)b;
    NAME(elu_scaled)(n, a, out, 1, (REAL)alpha);
}

static void NAME(elu_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double alpha) {
    NAME(elu_scaled_back)(n, a, b, out, 1, (REAL)alpha);
}

/* Klambauer et al. 2017: the fixed point has mean 0 and variance 1 */
#undef SELU_SCALE
#undef SELU_ALPHA
#define SELU_SCALE ((REAL)1.0507009873554804934)
#define SELU_ALPHA ((REAL)1.7580993408473768599) /* includes the scale */

static void NAME(selu)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    (void)b, (void)s;
    NAME(elu_scaled)(n, a, out, SELU_SCALE, SELU_ALPHA);
}

static void NAME(selu_backward)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    (void)s;
    NAME(elu_scaled_back)(n, a, b, out, SELU_SCALE, SELU_ALPHA);
}

/* out (n) = a (n) * b (n); as the gradient of y = exp(x): dx = dy * y */
static void NAME(product_row)(ptrdiff_t n, const void *a, const void *b, void *out, double s) {
    const REAL *x = a, *y = b;
    REAL *z = out;
    (void)s;
    MAP(n, PUT(z, GET(x) * GET(y)));
}
