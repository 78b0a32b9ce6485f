/* rows_math.h: exp, log, sigmoid and tanh of a vector, from our own polynomials.
 *
 * Largest errors, measured over sweeps of the whole range (tests/test_kernels_math.py): exp and log
 * stay within 1.1 ulp, sigmoid and tanh within 2.6 ulp, in both types and on every instruction set.
 * No libm: its results differ from machine to machine, and it is not vectorised. */
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
#define EXP_LOW -104.0f /* exp is zero there and infinite at EXP_HIGH */
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

/* x = k ln 2 + r with |r| <= ln(2)/2: returns exp(r) - 1 from its Taylor series. */
INLINE vec NAME(reduced_expm1)(vec x, uvec *k) {
    static const REAL taylor[] = {
#if REAL_BITS == 64
        1.6059043836821613e-10, 2.08767569878681e-9, 2.505210838544172e-8, 2.7557319223985888e-7,
        2.7557319223985893e-6, 2.48015873015873e-5,
#endif
        (REAL)1.984126984126984e-4, (REAL)1.3888888888888889e-3, (REAL)8.333333333333333e-3,
        (REAL)4.1666666666666664e-2, (REAL)0.16666666666666666, (REAL)0.5};
    const vec t = FMA(x, SPLAT(LOG2_E), SPLAT(ROUND)), n = t - ROUND;
    *k = (uvec)t - (uvec)SPLAT(ROUND);
    vec r = FMA(n, SPLAT(-LN2_HIGH), x);
    r = FMA(n, SPLAT(-LN2_LOW), r);
    vec q = SPLAT(taylor[0]);
    for (size_t j = 1; j < sizeof taylor / sizeof *taylor; j++) q = FMA(q, r, SPLAT(taylor[j]));
    return FMA(r * r, q, r);
}

/* exp(x); a power of two is applied in two halves, so that subnormal results come out. */
INLINE vec NAME(exp)(vec x) {
    uvec k;
    x = MAX2(SPLAT(EXP_LOW), MIN2(SPLAT(EXP_HIGH), x));
    const vec p = NAME(reduced_expm1)(x, &k) + 1;
    const uvec half = ((k + 4096) >> 1) - 2048;
    return p * (vec)((half + BIAS) << MANTISSA) * (vec)((k - half + BIAS) << MANTISSA);
}

/* log(x) = e ln 2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2), by the series of
 * log(1 + f) = 2 atanh(f / (2 + f)), arranged as in fdlibm's e_log.c. */
INLINE vec NAME(log)(vec x) {
    static const REAL series[] = {
#if REAL_BITS == 64
        2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
#endif
        (REAL)(2.0 / 11), (REAL)(2.0 / 9), (REAL)(2.0 / 7), (REAL)(2.0 / 5), (REAL)(2.0 / 3)};
    const mask tiny = LT(x, SPLAT(SMALLEST));
    const vec scaled = BLEND(tiny, x * (REAL)((uint64_t)1 << MANTISSA), x);
    const uvec root = (uvec)SPLAT((REAL)0.70710678118654752), one = (uvec)SPLAT((REAL)1);
    const uvec bits = (uvec)scaled - root + one; /* so that its exponent is e */
    const uvec exponent = (bits >> MANTISSA) - BIAS;
    const vec e = (vec)(exponent + (uvec)SPLAT(ROUND)) - ROUND -
                  BLEND(tiny, SPLAT((REAL)MANTISSA), SPLAT((REAL)0));
    const vec f = (vec)((bits << (REAL_BITS - MANTISSA) >> (REAL_BITS - MANTISSA)) + root) - 1;
    const vec s = f / (f + 2), z = s * s, half = (REAL)0.5 * f * f;
    vec q = SPLAT(series[0]);
    for (size_t j = 1; j < sizeof series / sizeof *series; j++) q = FMA(q, z, SPLAT(series[j]));
    const vec low = FMA(s, FMA(z, q, half), e * LN2_LOW);
    vec y = FMA(e, SPLAT(LN2_HIGH), f - (half - low));
    y = BLEND(EQ(x, SPLAT(INFINITY_)), x, y);
    y = BLEND(EQ(x, SPLAT((REAL)0)), SPLAT(-INFINITY_), y);
    return BLEND(LE(SPLAT((REAL)0), x), y, (x - x) / (x - x)); /* NaN below zero and for NaN */
}

/* |x| */
INLINE vec NAME(magnitude)(vec x) { return (vec)((uvec)x & ~(uvec)SPLAT((REAL)-0.0)); }

/* 1 / (1 + exp(-x)), through exp(-|x|), which cannot overflow. */
INLINE vec NAME(sigmoid)(vec x) {
    const vec e = NAME(exp)(-NAME(magnitude)(x));
    return BLEND(LT(x, SPLAT((REAL)0)), e, SPLAT((REAL)1)) / (e + 1);
}

/* tanh|x| = E / (E + 2) with E = exp(2|x|) - 1, which keeps its digits near zero. */
INLINE vec NAME(tanh)(vec x) {
    uvec k;
    const vec a = MIN2(SPLAT(TANH_ONE), NAME(magnitude)(x));
    const vec p = NAME(reduced_expm1)(a + a, &k);
    const vec two_k = (vec)((k + BIAS) << MANTISSA);
    const vec e = FMA(two_k, p, two_k - 1), y = e / (e + 2);
    return (vec)((uvec)y | ((uvec)x & (uvec)SPLAT((REAL)-0.0)));
}
