/* rows_dropout.h: dropout with counter-based random numbers: Philox4x32-10 (Salmon et al. 2011,
 * "Parallel random numbers: as easy as 1, 2, 3").
 *
 * Element e of a sample is word e % 4 of the draw of counter (e / 4, sample, step, layer), so
 * that it does not depend on batches, chunks or threads. */

#ifndef CCONV_PHILOX
#define CCONV_PHILOX
enum { CCONV_DRAWS = 16 }; /* counters drawn side by side: 64 elements */

/* words (64): those of counters first ... first + 16 */
static void philox(const cconv_draw *draw, uint32_t first, uint32_t *words) {
    uint32_t c0[CCONV_DRAWS], c1[CCONV_DRAWS], c2[CCONV_DRAWS], c3[CCONV_DRAWS];
    uint32_t k0 = draw->key[0], k1 = draw->key[1];
    for (uint32_t i = 0; i < CCONV_DRAWS; i++) {
        c0[i] = first + i;
        c1[i] = draw->sample;
        c2[i] = draw->step;
        c3[i] = draw->layer;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < CCONV_DRAWS; i++) {
            const uint64_t a = (uint64_t)c0[i] * 0xD2511F53u, b = (uint64_t)c2[i] * 0xCD9E8D57u;
            c0[i] = (uint32_t)(b >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint32_t)b;
            c2[i] = (uint32_t)(a >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint32_t)a;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < CCONV_DRAWS; i++) {
        words[4 * i] = c0[i];
        words[4 * i + 1] = c1[i];
        words[4 * i + 2] = c2[i];
        words[4 * i + 3] = c3[i];
    }
}
#endif

/* y (n) = kept x (n) * scale, bits (ceil(n / 8)): which were kept, lowest bit first */
static void NAME(dropout)(ptrdiff_t first, ptrdiff_t n, const cconv_draw *draw, double scale_,
                          const void *x_, void *y_, uint8_t *bits) {
    const REAL *x = x_, scale = (REAL)scale_;
    REAL *y = y_;
    const uint32_t threshold = draw->threshold;
    for (ptrdiff_t j = 0; j < n; j += 64) {
        const ptrdiff_t count = n - j < 64 ? n - j : 64;
        uint32_t words[64];
        uint8_t kept[64] = {0};
        philox(draw, (uint32_t)((first + j) / 4), words);
        for (ptrdiff_t l = 0; l < count; l++) kept[l] = words[l] >= threshold;
        for (ptrdiff_t l = 0; l < count; l++) {
            const REAL v = x[j + l] * scale;
            y[j + l] = words[l] >= threshold ? v : 0;
        }
        for (ptrdiff_t byte = 0; 8 * byte < count; byte++) {
            unsigned packed = 0;
            for (int bit = 0; bit < 8; bit++) packed |= (unsigned)kept[8 * byte + bit] << bit;
            bits[j / 8 + byte] = (uint8_t)packed;
        }
    }
}

/* dx (n) = kept dy (n) * scale */
static void NAME(dropout_backward)(ptrdiff_t n, double scale_, const void *dy_, const uint8_t *bits,
                                   void *dx_) {
    const REAL *dy = dy_, scale = (REAL)scale_;
    REAL *dx = dx_;
    ptrdiff_t j = 0;
    for (; j + 8 <= n; j += 8) {
        const unsigned byte = bits[j / 8];
        for (int bit = 0; bit < 8; bit++) {
            const REAL v = dy[j + bit] * scale;
            dx[j + bit] = byte & (1u << bit) ? v : 0;
        }
    }
    for (; j < n; j++) dx[j] = bits[j / 8] >> (j % 8) & 1 ? dy[j] * scale : 0;
}
