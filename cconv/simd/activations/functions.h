/* activations/functions.h: exp, log, sigmoid and tanh of a vector, from our own polynomials.
 *
 * Largest errors, measured over sweeps of the whole range (tests/test_kernels_math.py): exp stays
 * within 1.1 ulp, log within 0.9, sigmoid and tanh within 2.6, in both types and on every
 * instruction set.
 * libm is not used: its results differ from machine to machine, and it is not vectorised. */
#undef MANTISSA
#undef BIAS
#undef ROUND
#undef LN2_HIGH
#undef LN2_LOW
#undef EXP_LOW
#undef EXP_HIGH
#undef TANH_ONE
#undef SMALLEST

#undef LOG2_E
#define LOG2_E ((REAL)1.4426950408889634)
#if REAL_BITS == 32
#define MANTISSA 23
#define BIAS 127
#define ROUND 0x1.8p23f /* adding it leaves the nearest integer in the low bits */
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440054690583e-4f
#define EXP_LOW -104.0f /* exp is zero below it, and infinite above EXP_HIGH */
#define EXP_HIGH 89.0f
#define TANH_ONE 10.0f
#define SMALLEST 0x1p-126f
#else
#define MANTISSA 52
#define BIAS 1023
#define ROUND 0x1.8p52
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define EXP_LOW -746.0
#define EXP_HIGH 710.0
#define TANH_ONE 20.0
#define SMALLEST 0x1p-1022
#endif

/* exp(r) - 1 = r + r^2 q(r) for |r| <= ln(2)/2; q, a polynomial fitted over that range, adds 0.03 ulp
 * to exp(r) in float and nothing in double. */
INLINE vec NAME(expm1_of_rest)(vec r) {
    static const REAL q_of_r[] = {
#if REAL_BITS == 32
        0x1.6ac144p-10f, 0x1.123da6p-7f, 0x1.555858p-5f, 0x1.55548cp-3f, 0x1.fffffcp-2f
#else
        0x1.1f83e60635211p-29, 0x1.af5f405f2d8ddp-26, 0x1.27e4d14214a1ep-22, 0x1.71ddf8044cbb8p-19,
        0x1.a01a01ab146fep-16, 0x1.a01a01b007662p-13, 0x1.6c16c16c1577cp-10, 0x1.111111110f64ep-7,
        0x1.5555555555557p-5, 0x1.5555555555559p-3, 0.5
#endif
    };
    vec q = SPLAT(q_of_r[0]);
    for (size_t j = 1; j < sizeof q_of_r / sizeof *q_of_r; j++) q = FMA(q, r, SPLAT(q_of_r[j]));
    return FMA(r * r, q, r);
}

/* x = k ln 2 + r with |r| <= ln(2)/2.  Returns r.  The low bits of *t hold k, and *t - ROUND is k. */
INLINE vec NAME(rest_of_exponent)(vec x, vec *t) {
    *t = FMA(x, SPLAT(LOG2_E), SPLAT(ROUND));
    const vec k = *t - ROUND;
    return FMA(k, SPLAT(-LN2_LOW), FMA(k, SPLAT(-LN2_HIGH), x));
}

INLINE vec NAME(reduced_expm1)(vec x, vec *t) {
    return NAME(expm1_of_rest)(NAME(rest_of_exponent)(x, t));
}

/* p 2^k, with k from `rest_of_exponent`, rounded once where it is subnormal.  Without an
 * instruction for it, the power of two is applied in two halves, the first of which is exact. */
INLINE vec NAME(times_power)(vec p, vec t) {
#if defined(ISA_AVX512)
    return (vec)M_(scalef)(p, t - ROUND);
#else
    const uvec k = (uvec)t - (uvec)SPLAT(ROUND), half = ((k + 4096) >> 1) - 2048;
    return p * (vec)((half + BIAS) << MANTISSA) * (vec)((k - half + BIAS) << MANTISSA);
#endif
}

/* exp(x) for x <= EXP_HIGH */
INLINE vec NAME(exp_bounded)(vec x) {
    vec t;
    const vec p = NAME(reduced_expm1)(MAX2(SPLAT(EXP_LOW), x), &t) + 1;
    return NAME(times_power)(p, t);
}

INLINE vec NAME(exp)(vec x) { return NAME(exp_bounded)(MIN2(SPLAT(EXP_HIGH), x)); }

/* e ln 2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2), from the series of
 * log(1 + f) = 2 atanh(f / (2 + f)), arranged as in fdlibm's e_log.c. */
INLINE vec NAME(log_of_parts)(vec f, vec e) {
    static const REAL series[] = {
#if REAL_BITS == 64
        2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
#endif
        (REAL)(2.0 / 11), (REAL)(2.0 / 9), (REAL)(2.0 / 7), (REAL)(2.0 / 5), (REAL)(2.0 / 3)};
    const vec s = f / (f + 2), z = s * s, half = (REAL)0.5 * f * f;
    vec q = SPLAT(series[0]);
    for (size_t j = 1; j < sizeof series / sizeof *series; j++) q = FMA(q, z, SPLAT(series[j]));
    const vec low = FMA(s, FMA(z, q, half), e * LN2_LOW);
    return FMA(e, SPLAT(LN2_HIGH), f - (half - low));
}

/* log(x), x = 2^e (1 + f) */
INLINE vec NAME(log)(vec x) {
    const mask tiny = LT(x, SPLAT(SMALLEST));
    const vec scaled = BLEND(tiny, x * (REAL)((uint64_t)1 << MANTISSA), x);
    const uvec root = (uvec)SPLAT((REAL)0.70710678118654752), one = (uvec)SPLAT((REAL)1);
    const uvec bits = (uvec)scaled - root + one; /* the exponent of these bits is e */
    const uvec exponent = (bits >> MANTISSA) - BIAS;
    const vec e = (vec)(exponent + (uvec)SPLAT(ROUND)) - ROUND -
                  BLEND(tiny, SPLAT((REAL)MANTISSA), SPLAT((REAL)0));
    const vec f = (vec)((bits << (REAL_BITS - MANTISSA) >> (REAL_BITS - MANTISSA)) + root) - 1;
    vec y = NAME(log_of_parts)(f, e);
    y = BLEND(EQ(x, SPLAT(INFINITY_)), x, y);
    y = BLEND(EQ(x, SPLAT((REAL)0)), SPLAT(-INFINITY_), y);
    return BLEND(LE(SPLAT((REAL)0), x), y, (x - x) / (x - x)); /* NaN below zero and for NaN */
}

/* |x| */
INLINE vec NAME(magnitude)(vec x) { return (vec)((uvec)x & ~(uvec)SPLAT((REAL)-0.0)); }

/* 1 / (1 + exp(-x)), through exp(-|x|), which cannot overflow. */
INLINE vec NAME(sigmoid)(vec x) {
    const vec e = NAME(exp_bounded)(-NAME(magnitude)(x));
    return BLEND(LT(x, SPLAT((REAL)0)), e, SPLAT((REAL)1)) / (e + 1);
}

/* 2^k (p + 1) - 1, with k from `rest_of_exponent`, where 2^k is a normal number */
INLINE vec NAME(expm1_of_parts)(vec p, vec t) {
    const vec two_k = (vec)(((uvec)t << MANTISSA) + (uvec)SPLAT((REAL)1));
    return FMA(two_k, p, two_k - 1);
}

/* tanh|x| = E / (E + 2) with E = exp(2|x|) - 1, which keeps its digits near zero. */
INLINE vec NAME(tanh)(vec x) {
    vec t;
    const vec a = MIN2(SPLAT(TANH_ONE), NAME(magnitude)(x));
    const vec p = NAME(reduced_expm1)(a + a, &t);
    const vec e = NAME(expm1_of_parts)(p, t), y = e / (e + 2);
    return (vec)((uvec)y | ((uvec)x & (uvec)SPLAT((REAL)-0.0)));
}
