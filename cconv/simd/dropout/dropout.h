/* dropout/dropout.h: dropout with counter-based random numbers: Philox4x32-10 (Salmon et al. 2011,
 * "Parallel random numbers: as easy as 1, 2, 3").
 *
 * Element e of a sample is word e % 4 of the draw of counter (e / 4, sample, step, layer), so
 * that it does not depend on batches, chunks or threads. */

#ifndef CCONV_PHILOX
#define CCONV_PHILOX

/* Words in the low halves of 64-bit lanes: one instruction gives their whole products.  The high halves
 * may hold anything. */
typedef uint64_t words __attribute__((vector_size(VECTOR_BYTES), may_alias));
enum { WORDS = VECTOR_BYTES / 8, DRAWS = 16, ROUNDS = 10 }; /* WORDS counters in a vector */
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u

static inline words multiply(words a, uint32_t m) {
    const words b = (words){0} + m;
#if defined(ISA_AVX512)
    return (words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(ISA_AVX2)
    return (words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (words)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xFFFFFFFFu) * b;
#endif
}

/* a ^ b ^ c */
static inline words exclusive(words a, words b, words c) {
#if defined(ISA_AVX512)
    return (words)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
    return a ^ b ^ c;
#endif
}

/* What the draws of one sample share.  The products of the first two rounds with words that do not depend
 * on the element are computed once: `once` and `twice` are their halves. */
typedef struct {
    uint64_t keys[ROUNDS][2];
    uint64_t high_once, low_once, high_twice, low_twice, layer;
    uint32_t threshold;
} philox;

static philox philox_of(const cconv_draw *draw) {
    philox p = {.layer = draw->layer, .threshold = draw->threshold};
    uint32_t k0 = draw->key[0], k1 = draw->key[1];
    for (int round = 0; round < ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        p.keys[round][0] = k0;
        p.keys[round][1] = k1;
    }
    const uint64_t once = (uint64_t)draw->step * PHILOX_M1;
    p.high_once = (once >> 32) ^ draw->sample ^ p.keys[0][0]; /* c0 after the first round */
    p.low_once = (uint32_t)once;                              /* c1 */
    const uint64_t twice = p.high_once * PHILOX_M0;
    p.high_twice = twice >> 32; /* of c2 after the second round */
    p.low_twice = (uint32_t)twice;
    return p;
}

/* Two draws side by side, statement by statement: a draw is one long chain, and the processor does
 * not look far enough ahead to find the next one by itself. */
typedef struct {
    words a, b;
} couple;
#define EACH(expression_a, expression_b) ((couple){expression_a, expression_b})
static inline couple times(couple c, uint32_t m) {
    return EACH(multiply(c.a, m), multiply(c.b, m));
}
/* high words of `product` ^ c ^ d */
static inline couple mixed(couple product, couple c, words d) {
    return EACH(exclusive(product.a >> 32, c.a, d), exclusive(product.b >> 32, c.b, d));
}

/* The four words of each counter. */
static inline __attribute__((always_inline)) void philox_words(const philox *p, couple counter,
                                                               couple out[4]) {
    const words zero = {0};
#define SAME(number) EACH(zero + (number), zero + (number))
    const couple once = times(counter, PHILOX_M0);
    const couple second = times(mixed(once, SAME(p->layer), zero + p->keys[0][1]), PHILOX_M1);
    const words key = zero + p->keys[1][1], high = zero + p->high_twice;
    couple c0 = mixed(second, SAME(p->low_once), zero + p->keys[1][0]), c1 = second;
    couple c2 = EACH(exclusive(once.a, high, key), exclusive(once.b, high, key));
    couple c3 = SAME(p->low_twice);
#undef SAME
    UNROLL for (int round = 2; round < ROUNDS; round++) {
        const couple a = times(c0, PHILOX_M0), b = times(c2, PHILOX_M1);
        c0 = mixed(b, c1, zero + p->keys[round][0]);
        c1 = b;
        c2 = mixed(a, c3, zero + p->keys[round][1]);
        c3 = a;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* Bit 4 k + w: whether word w of the k-th of WORDS counters reaches the threshold.  Two pairs of words
 * of each counter are put side by side.  Unpacking takes every other counter, so the lanes hold the
 * counters in the order of LANE_COUNTER. */
#if defined(ISA_AVX512)
#define LANE_COUNTER {0, 4, 1, 5, 2, 6, 3, 7}
static inline uint64_t reached(const words c[4], uint32_t threshold) {
    const __m512i least = _mm512_set1_epi32((int)threshold);
    const __m512i front = _mm512_mask_blend_epi32(0xAAAA, (__m512i)c[0], (__m512i)(c[1] << 32));
    const __m512i back = _mm512_mask_blend_epi32(0xAAAA, (__m512i)c[2], (__m512i)(c[3] << 32));
    return (uint64_t)_mm512_cmpge_epu32_mask(_mm512_unpacklo_epi64(front, back), least) |
           (uint64_t)_mm512_cmpge_epu32_mask(_mm512_unpackhi_epi64(front, back), least) << 16;
}
#elif defined(ISA_AVX2)
#define LANE_COUNTER {0, 2, 1, 3}
static inline uint64_t reached_eight(__m256i w, __m256i least) {
    return (unsigned)_mm256_movemask_ps((__m256)_mm256_cmpeq_epi32(_mm256_max_epu32(w, least), w));
}
static inline uint64_t reached(const words c[4], uint32_t threshold) {
    const __m256i least = _mm256_set1_epi32((int)threshold);
    const __m256i front = _mm256_blend_epi32((__m256i)c[0], (__m256i)(c[1] << 32), 0xAA);
    const __m256i back = _mm256_blend_epi32((__m256i)c[2], (__m256i)(c[3] << 32), 0xAA);
    return reached_eight(_mm256_unpacklo_epi64(front, back), least) |
           reached_eight(_mm256_unpackhi_epi64(front, back), least) << 8;
}
#else
#define LANE_COUNTER {0, 1}
static inline uint64_t reached(const words c[4], uint32_t threshold) {
    uint64_t bits = 0;
    for (int l = 0; l < WORDS; l++)
        for (int word = 0; word < 4; word++)
            bits |= (uint64_t)((uint32_t)c[word][l] >= threshold) << (4 * l + word);
    return bits;
}
#endif

/* Bit i: whether word i of the draws of the 16 counters from `first` on reaches the threshold. */
static inline __attribute__((always_inline)) uint64_t philox_bits(const philox *p, uint32_t first) {
    uint64_t kept = 0;
    words place = (words)LANE_COUNTER + first;
    for (int i = 0; i < DRAWS; i += 2 * WORDS, place += 2 * WORDS) {
        couple c[4];
        philox_words(p, EACH(place, place + WORDS), c);
        const words a[4] = {c[0].a, c[1].a, c[2].a, c[3].a};
        const words b[4] = {c[0].b, c[1].b, c[2].b, c[3].b};
        kept |= (reached(a, p->threshold) | reached(b, p->threshold) << (4 * WORDS)) << (4 * i);
    }
    return kept;
}
#endif

/* The lanes whose bit is set in the lowest LANES bits. */
INLINE mask NAME(named_lanes)(uint64_t bits) {
#if defined(ISA_AVX512)
    return (mask)bits;
#else
    ivec place = {0};
    for (ptrdiff_t l = 0; l < LANES; l++) place[l] = 1 << l;
    return IEQ(((ivec){0} + (uint8_t)bits) & place, place);
#endif
}

/* dx (n) = kept dy (n) * scale, n <= 64 */
INLINE void NAME(keep)(ptrdiff_t n, uint64_t kept, double scale, const REAL *dy, REAL *dx) {
    const vec zero = {0};
    MAP(n, PUT(dx, BLEND(NAME(named_lanes)(kept >> i), GET(dy) * (REAL)scale, zero)));
}

/* dx (n) = kept dy (n) * scale; bits (ceil(n / 8)), lowest bit first */
static void NAME(dropout_backward)(ptrdiff_t n, double scale, const void *dy_, const uint8_t *bits,
                                   void *dx_) {
    const REAL *dy = dy_;
    REAL *dx = dx_;
    uint64_t kept = 0; /* x86 and arm64 are little-endian */
    ptrdiff_t j = 0;
    for (; j + 64 <= n; j += 64) {
        __builtin_memcpy(&kept, bits + j / 8, 8);
        NAME(keep)(64, kept, scale, dy + j, dx + j);
    }
    if (j == n) return;
    __builtin_memcpy(&kept, bits + j / 8, (size_t)(n - j + 7) / 8);
    NAME(keep)(n - j, kept, scale, dy + j, dx + j);
}

/* y (n) = kept x (n) * scale, bits (ceil(n / 8)): which were kept, lowest bit first */
static void NAME(dropout)(ptrdiff_t first, ptrdiff_t n, const cconv_draw *draw, double scale,
                          const void *x_, void *y_, uint8_t *bits) {
    const REAL *x = x_;
    REAL *y = y_;
    const philox p = philox_of(draw);
    ptrdiff_t j = 0;
    for (; j + 64 <= n; j += 64) {
        const uint64_t kept = philox_bits(&p, (uint32_t)((first + j) / 4));
        __builtin_memcpy(bits + j / 8, &kept, 8);
        NAME(keep)(64, kept, scale, x + j, y + j);
    }
    if (j == n) return;
    const uint64_t left = ((uint64_t)1 << (n - j)) - 1;
    const uint64_t kept = philox_bits(&p, (uint32_t)((first + j) / 4)) & left;
    __builtin_memcpy(bits + j / 8, &kept, (size_t)(n - j + 7) / 8);
    NAME(keep)(n - j, kept, scale, x + j, y + j);
}
