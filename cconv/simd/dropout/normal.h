/* dropout/normal.h: normal numbers from the words of Philox, by the transform of Box and Muller 1958, "A
 * note on the generation of random normal deviates".
 *
 * Elements 4 k ... 4 k + 3 of a sample come from the four words of the draw of counter (k, sample, step,
 * layer): the first two elements from the first two words, the others from the last two.  With
 * u = (word + 1/2) / 2^32 of the first word of a pair, the angle 2 pi word / 2^32 of the second, and
 * r = sqrt(-2 log u), the even element is r cos(angle), the odd one r sin(angle). */

#ifndef CCONV_NORMAL
#define CCONV_NORMAL
/* words (4, 16): the words of the 16 counters from `first` on, word by word */
static void philox_fill(const philox *p, uint32_t first, uint32_t words_[4][DRAWS]) {
    words place;
    for (int l = 0; l < WORDS; l++) place[l] = first + (uint32_t)l;
    for (int i = 0; i < DRAWS; i += 2 * WORDS, place += 2 * WORDS) {
        couple c[4];
        philox_words(p, EACH(place, place + WORDS), c);
        for (int word = 0; word < 4; word++)
            for (int l = 0; l < WORDS; l++) {
                words_[word][i + l] = (uint32_t)c[word].a[l];
                words_[word][i + WORDS + l] = (uint32_t)c[word].b[l];
            }
    }
}
#endif

/* Taylor's series of sin(t) / t and cos(t) in t^2, |t| <= pi/4; further terms would change nothing. */
INLINE vec NAME(small_sine)(vec t) {
    static const REAL series[] = {
#if REAL_BITS == 64
        (REAL)(-1 / 1307674368000.0), (REAL)(1 / 6227020800.0), (REAL)(-1 / 39916800.0),
#endif
        (REAL)(1 / 362880.0), (REAL)(-1 / 5040.0), (REAL)(1 / 120.0), (REAL)(-1 / 6.0)};
    const vec z = t * t;
    vec q = SPLAT(series[0]);
    for (size_t j = 1; j < sizeof series / sizeof *series; j++) q = FMA(q, z, SPLAT(series[j]));
    return FMA(t * z, q, t);
}

INLINE vec NAME(small_cosine)(vec t) {
    static const REAL series[] = {
#if REAL_BITS == 64
        (REAL)(1 / 20922789888000.0), (REAL)(-1 / 87178291200.0), (REAL)(1 / 479001600.0),
#endif
        (REAL)(-1 / 3628800.0), (REAL)(1 / 40320.0), (REAL)(-1 / 720.0), (REAL)(1 / 24.0), (REAL)-0.5};
    const vec z = t * t;
    vec q = SPLAT(series[0]);
    for (size_t j = 1; j < sizeof series / sizeof *series; j++) q = FMA(q, z, SPLAT(series[j]));
    return FMA(z, q, SPLAT((REAL)1));
}

/* even, odd (16): the two normal numbers of each pair of words */
static void NAME(box_muller)(const uint32_t *first, const uint32_t *second, REAL *even, REAL *odd) {
    REAL u[DRAWS], t[DRAWS], cosine_sign[DRAWS], sine_sign[DRAWS], swapped[DRAWS];
    for (int k = 0; k < DRAWS; k++) {
        /* angle = (quarter + rest / 2^30) pi/2, |rest| <= 2^29: only integers are converted */
        const uint32_t quarter = (second[k] + (1u << 29)) >> 30;
        const int32_t rest = (int32_t)(second[k] - (quarter << 30));
        u[k] = ((REAL)first[k] + (REAL)0.5) * (REAL)0x1p-32;
        t[k] = (REAL)rest * (REAL)(1.5707963267948966 * 0x1p-30);
        swapped[k] = (REAL)(quarter & 1);
        cosine_sign[k] = quarter == 1 || quarter == 2 ? -1 : 1;
        sine_sign[k] = quarter & 2 ? -1 : 1;
    }
    for (ptrdiff_t i = 0; i < DRAWS; i += LANES) {
        const vec radius = SQRT((REAL)-2 * NAME(log)(LOAD(u + i)));
        const vec s = NAME(small_sine)(LOAD(t + i)), c = NAME(small_cosine)(LOAD(t + i));
        const mask swap = LT(SPLAT((REAL)0), LOAD(swapped + i));
        STORE(even + i, radius * LOAD(cosine_sign + i) * BLEND(swap, s, c));
        STORE(odd + i, radius * LOAD(sine_sign + i) * BLEND(swap, c, s));
    }
}

/* out (n): the n elements of one sample from `first` on, a multiple of 64 */
static void NAME(normal)(ptrdiff_t first, ptrdiff_t n, const cconv_draw *draw, void *out_) {
    REAL *out = out_, made[4][DRAWS];
    uint32_t drawn[4][DRAWS];
    const philox p = philox_of(draw);
    for (ptrdiff_t j = 0; j < n; j += 4 * DRAWS) {
        const ptrdiff_t left = n - j < 4 * DRAWS ? n - j : 4 * DRAWS;
        philox_fill(&p, (uint32_t)((first + j) / 4), drawn);
        NAME(box_muller)(drawn[0], drawn[1], made[0], made[1]);
        NAME(box_muller)(drawn[2], drawn[3], made[2], made[3]);
        for (ptrdiff_t e = 0; e < left; e++) out[j + e] = made[e % 4][e / 4];
    }
}
