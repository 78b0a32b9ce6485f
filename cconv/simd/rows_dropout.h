/* rows_dropout.h: dropout with counter-based random numbers: Philox4x32-10 (Salmon et al. 2011,
 * "Parallel random numbers: as easy as 1, 2, 3").
 *
 * Element e of a sample is word e % 4 of the draw of counter (e / 4, sample, step, layer), so
 * that it does not depend on batches, chunks or threads. */

#ifndef CCONV_PHILOX
#define CCONV_PHILOX

/* Words in the low halves of 64-bit lanes, where one instruction multiplies them in full; what is
 * left in the high halves does no harm and is masked at the end. */
typedef uint64_t words __attribute__((vector_size(VECTOR_BYTES), may_alias));
enum { WORDS = VECTOR_BYTES / 8, DRAWS = 16 }; /* counters in a vector, and for 64 elements */
#define LOW_HALF 0xFFFFFFFFu

static inline words multiply(words a, uint32_t m) {
    const words b = (words){0} + m;
#if defined(ISA_AVX512)
    return (words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(ISA_AVX2)
    return (words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (words)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & LOW_HALF) * b;
#endif
}

/* Whether words reach the threshold: all ones or zero. */
static inline words reached(words a, uint32_t threshold) {
    return (words)((a & LOW_HALF) >= (words){0} + threshold);
}

/* bits (8 bytes): whether the 64 words of counters first ... first + 16 reach the threshold */
static void philox_bits(const cconv_draw *draw, uint32_t first, uint8_t *bits) {
    words place = {0}, kept = {0};
    for (int l = 0; l < WORDS; l++) place[l] = (uint64_t)l;
    for (int i = 0; i < DRAWS; i += WORDS, place += WORDS) {
        words c0 = place + first, c1 = (words){0} + draw->sample;
        words c2 = (words){0} + draw->step, c3 = (words){0} + draw->layer;
        uint32_t k0 = draw->key[0], k1 = draw->key[1];
        for (int round = 0; round < 10; round++) {
            const words a = multiply(c0, 0xD2511F53u), b = multiply(c2, 0xCD9E8D57u);
            c0 = (b >> 32) ^ c1 ^ k0;
            c1 = b;
            c2 = (a >> 32) ^ c3 ^ k1;
            c3 = a;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        const words four = (reached(c0, draw->threshold) & 1) | (reached(c1, draw->threshold) & 2) |
                           (reached(c2, draw->threshold) & 4) | (reached(c3, draw->threshold) & 8);
        kept |= four << (4 * place);
    }
    uint64_t packed = 0;
    for (int l = 0; l < WORDS; l++) packed |= kept[l];
    for (int byte = 0; byte < 8; byte++) bits[byte] = (uint8_t)(packed >> (8 * byte));
}
#endif

/* The lanes i ... i + LANES of n whose bits are set; i is a multiple of LANES. */
INLINE mask NAME(kept)(const uint8_t *bits, ptrdiff_t i, ptrdiff_t n) {
    unsigned word = bits[i / 8] >> (i % 8);
    if (LANES > 8 && n - i > 8) word |= (unsigned)bits[i / 8 + 1] << 8;
#if defined(ISA_AVX512)
    return (mask)word;
#else
    ivec place = {0};
    for (ptrdiff_t l = 0; l < LANES; l++) place[l] = 1 << l;
    return IEQ(((ivec){0} + (uint8_t)word) & place, place);
#endif
}

/* dx (n) = kept dy (n) * scale; bits (ceil(n / 8)), lowest bit first */
static void NAME(dropout_backward)(ptrdiff_t n, double scale, const void *dy_, const uint8_t *bits,
                                   void *dx_) {
    const REAL *dy = dy_;
    REAL *dx = dx_;
    const vec zero = {0};
    MAP(n, PUT(dx, BLEND(NAME(kept)(bits, i, n), GET(dy) * (REAL)scale, zero)));
}

/* y (n) = kept x (n) * scale, bits (ceil(n / 8)): which were kept, lowest bit first */
static void NAME(dropout)(ptrdiff_t first, ptrdiff_t n, const cconv_draw *draw, double scale,
                          const void *x, void *y, uint8_t *bits) {
    for (ptrdiff_t j = 0; j < n; j += 64) {
        uint8_t drawn[8];
        philox_bits(draw, (uint32_t)((first + j) / 4), drawn);
        const ptrdiff_t bytes = n - j < 64 ? (n - j + 7) / 8 : 8;
        if (n - j < 64 && n % 8) drawn[bytes - 1] &= (uint8_t)((1 << n % 8) - 1);
        for (ptrdiff_t byte = 0; byte < bytes; byte++) bits[j / 8 + byte] = drawn[byte];
    }
    NAME(dropout_backward)(n, scale, x, bits, y);
}
