/* pooling/bytes.h: rows of bytes as vectors of integers of the width of REAL. */

/* n <= LANES bytes to lanes and back; n is the constant LANES for whole vectors */
INLINE ivec NAME(load_bytes)(const uint8_t *p, ptrdiff_t n) {
#if defined(ISA_AVX512) && REAL_BITS == 32
    return (ivec)_mm512_cvtepu8_epi32(n == LANES ? _mm_loadu_si128((const __m128i *)p)
                                                 : _mm_maskz_loadu_epi8(TAIL(n), p));
#elif defined(ISA_AVX512)
    return (ivec)_mm512_cvtepu8_epi64(n == LANES ? _mm_loadl_epi64((const __m128i *)p)
                                                 : _mm_maskz_loadu_epi8(TAIL(n), p));
#else
    uint64_t bytes = 0;
    if (n == LANES) __builtin_memcpy(&bytes, p, LANES); /* x86 and arm64 are little-endian */
    else for (ptrdiff_t l = 0; l < n; l++) bytes |= (uint64_t)p[l] << (8 * l);
#if defined(ISA_AVX2) && REAL_BITS == 32
    return (ivec)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
#elif defined(ISA_AVX2)
    return (ivec)_mm256_cvtepu8_epi64(_mm_cvtsi64_si128((long long)bytes));
#else
    ivec v = {0};
    for (ptrdiff_t l = 0; l < LANES; l++) v[l] = (uint8_t)(bytes >> (8 * l));
    return v;
#endif
#endif
}

INLINE void NAME(store_bytes)(uint8_t *p, ptrdiff_t n, ivec v) {
#if defined(ISA_AVX512)
#if REAL_BITS == 32
    const __m128i bytes = _mm512_cvtepi32_epi8((__m512i)v);
#else
    const __m128i bytes = _mm512_cvtepi64_epi8((__m512i)v);
#endif
    if (n < LANES) _mm_mask_storeu_epi8(p, TAIL(n), bytes);
#if REAL_BITS == 32
    else _mm_storeu_si128((__m128i *)p, bytes);
#else
    else _mm_storel_epi64((__m128i *)p, bytes);
#endif
#elif defined(ISA_AVX2) && REAL_BITS == 32
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)v),
                                          _mm256_extracti128_si256((__m256i)v, 1));
    const __m128i bytes = _mm_packus_epi16(words, words);
    if (n == LANES) {
        _mm_storel_epi64((__m128i *)p, bytes);
    } else {
        const uint64_t packed = (uint64_t)_mm_cvtsi128_si64(bytes);
        for (ptrdiff_t l = 0; l < n; l++) p[l] = (uint8_t)(packed >> (8 * l));
    }
#else
    for (ptrdiff_t l = 0; l < n; l++) p[l] = (uint8_t)v[l];
#endif
}
