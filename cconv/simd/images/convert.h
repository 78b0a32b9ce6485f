/* images/convert.h: numbers of any kind to REAL, as a batch of a data set is gathered. */

/* Elements that are converted at once, before they are written `step` apart. */
#define TILE 512

#define CONVERT_CASE(kind, TYPE, value)                                                         \
    case kind: {                                                                                \
        const TYPE *from = x;                                                                   \
        for (ptrdiff_t i = 0; i < n; i++) out[i] = (REAL)(value) * scale + offset;              \
    } break;

/* The value of a float16 from its bits.  As bits of a float, its exponent is 112 too small. */
INLINE float NAME(of_half)(uint16_t half) {
    union { uint32_t bits; float value; } u = {(uint32_t)(half & 0x7FFF) << 13};
    u.value *= 0x1p112f;
    u.bits |= ((half & 0x7C00) == 0x7C00 ? 0x7F800000u : 0u) | (uint32_t)(half & 0x8000) << 16;
    return u.value;
}

/* x (n) of this kind -> out (n) = REAL(x) * scale + offset. */
static void NAME(convert_together)(ptrdiff_t n, int kind, const void *x, REAL scale, REAL offset,
                                   REAL *out) {
    switch (kind) {
        CONVERT_CASE(CCONV_U8, uint8_t, from[i])
        CONVERT_CASE(CCONV_I8, int8_t, from[i])
        CONVERT_CASE(CCONV_U16, uint16_t, from[i])
        CONVERT_CASE(CCONV_I16, int16_t, from[i])
        CONVERT_CASE(CCONV_U32, uint32_t, from[i])
        CONVERT_CASE(CCONV_I32, int32_t, from[i])
        CONVERT_CASE(CCONV_U64, uint64_t, from[i])
        CONVERT_CASE(CCONV_I64, int64_t, from[i])
        CONVERT_CASE(CCONV_F16, uint16_t, NAME(of_half)(from[i]))
        CONVERT_CASE(CCONV_F32, float, from[i])
        CONVERT_CASE(CCONV_F64, double, from[i])
    }
}

/* x (n) of this kind, `item` bytes each -> out (n), `step` apart,
 * = REAL(x) * scale + offset, three roundings.  A scale of 1 and an offset of -0 change nothing. */
static void NAME(convert)(ptrdiff_t n, int kind, ptrdiff_t item, const void *x, double scale,
                          double offset, ptrdiff_t step, void *out) {
    REAL tile[TILE], *to = out;
    if (step == 1) {
        NAME(convert_together)(n, kind, x, (REAL)scale, (REAL)offset, to);
        return;
    }
    for (ptrdiff_t start = 0; start < n; start += TILE) {
        const ptrdiff_t count = n - start < TILE ? n - start : TILE;
        NAME(convert_together)(count, kind, (const char *)x + start * item, (REAL)scale,
                               (REAL)offset, tile);
        for (ptrdiff_t i = 0; i < count; i++) to[(start + i) * step] = tile[i];
    }
}

#undef CONVERT_CASE
#undef TILE
