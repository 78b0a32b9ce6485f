/* winograd/along_rows.h: 5x5 convolutions, and 3x3 ones of few channels, by Winograd's algorithm along the
 * rows.
 *
 * Four outputs side by side are a product of polynomials.  Its values at 4 + width - 1 points determine
 * it; kernel rows and channels add up before the way back:
 *
 *   v = B^T d            of the input under a tile, once for all filters: 8 values
 *   u = G g              of each row of the kernel
 *   m = sum of v * u     over channels and kernel rows, the filters in the lanes
 *   y = A^T m            then ReLU; m[1] begins with the bias, because the point 1 adds it to each output
 *
 * The points are 0, +-1, +-2, +-1/2 and infinity, for 3x3 without +-1/2.  For 5x5 that is 40
 * multiply-adds, and 6 more and 10 additions for the way back, where direct sums take 100.  Two rows of a
 * tile go together: they share the values of the input, and 2x2 max pooling happens in the registers.
 * `winograd/along_rows_points.h` has the matrices, `reference/winograd.py` the same in NumPy.
 *
 * There are at least as many filters as a vector has lanes; the last vector overlaps the one before.
 * packed: for each vector of filters its bias (LANES), then (channels, height, 8, LANES).
 * tiles: (rows, tiles of a row, channels, 8). */
#include "winograd/along_rows_points.h"
#undef AT_ONCE
#undef IN_TURN
#undef HALF
#undef HALF_LANES
#undef HALF_FMA

/* Where registers are enough, the sums of all points grow at once; otherwise one half after the other. */
#if defined(ISA_AVX512) || defined(__aarch64__)
#define AT_ONCE(...) __VA_ARGS__
#define IN_TURN(...)
#else
#define AT_ONCE(...)
#define IN_TURN(...) __VA_ARGS__
#endif
#ifndef LOW
#define LOW(DO) DO(0) DO(7) DO(1) DO(2)
#define HIGH(DO) DO(3) DO(4) DO(5) DO(6)
#define EACH_POINT(DO) LOW(DO) HIGH(DO)
#endif

/* Vectors of no more than 8 lanes, for the points of a tile. */
#if defined(ISA_AVX512) && REAL_BITS == 32
typedef REAL NAME(half) __attribute__((vector_size(32), aligned(sizeof(REAL)), may_alias));
#define HALF NAME(half)
#define HALF_FMA(a, b, c) ((HALF)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#else
#define HALF NAME(unaligned)
#define HALF_FMA(a, b, c) ((HALF)FMA((vec)(a), (vec)(b), (vec)(c)))
#endif
#define HALF_LANES ((ptrdiff_t)(sizeof(HALF) / sizeof(REAL)))

/* Packs one vector of filters; kernel (height, taps, channels, filters) points to that vector. */
INLINE REAL *NAME(along_rows_pack_vector)(const int taps, const cconv_along_rows *s,
                                           const REAL *kernel, REAL *to) {
    const ptrdiff_t filters = s->filters, row = taps * s->channels * filters;
    for (ptrdiff_t k = 0; k < s->channels; k++)
        for (ptrdiff_t u = 0; u < s->height; u++)
            for (ptrdiff_t p = 0; p < 8; p++, to += LANES) {
                const REAL *const g = taps == 5 ? NAME(along_rows_g5)[p] : NAME(along_rows_g3)[p];
                vec sum = {0};
                for (ptrdiff_t t = 0; t < taps; t++) {
                    const vec tap = LOAD(kernel + u * row + (t * s->channels + k) * filters);
                    sum = FMA(SPLAT(g[t]), tap, sum);
                }
                STORE(to, sum);
            }
    return to;
}

static void NAME(along_rows_pack)(const cconv_along_rows *s, const void *kernel, const void *bias,
                                   void *packed) {
    REAL *to = packed;
    for (ptrdiff_t v = 0; v < NAME(few_taps_vectors)(s->filters); v++) {
        const ptrdiff_t j = NAME(few_taps_vector)(s->filters, v);
        const REAL *const from = (const REAL *)kernel + j;
        vec row = {0};
        if (bias) row = LOAD((const REAL *)bias + j);
        STORE(to, row);
        to += LANES;
        if (s->taps == 5) to = NAME(along_rows_pack_vector)(5, s, from, to);
        else to = NAME(along_rows_pack_vector)(3, s, from, to);
    }
}

INLINE void NAME(along_rows_transform)(const int taps, const cconv_along_rows *s, ptrdiff_t rows,
                                        ptrdiff_t stride, const REAL *x, REAL *to) {
    const REAL(*const b)[8] = taps == 5 ? NAME(along_rows_b5) : NAME(along_rows_b3);
    const ptrdiff_t channels = s->channels;
    for (ptrdiff_t i = 0; i < rows; i++, x += stride)
        for (ptrdiff_t t = 0; t < s->tiles; t++)
            for (ptrdiff_t k = 0; k < channels; k++, to += 8) {
                const REAL *const d = x + t * 4 * channels + k;
                for (ptrdiff_t p = 0; p < 8; p += HALF_LANES) {
                    HALF sum = {0};
#define ADD_(j) if (j < taps + 3) \
        sum = HALF_FMA(d[j * channels] - (HALF){0}, *(const HALF *)(b[j] + p), sum);
                    ADD_(0) ADD_(1) ADD_(2) ADD_(3) ADD_(4) ADD_(5) ADD_(6) ADD_(7)
#undef ADD_
                    *(HALF *)(to + p) = sum;
                }
            }
}

static void NAME(along_rows_input)(const cconv_along_rows *s, ptrdiff_t rows, ptrdiff_t stride,
                                    const void *x, void *tiles) {
    if (s->taps == 5) NAME(along_rows_transform)(5, s, rows, stride, x, tiles);
    else NAME(along_rows_transform)(3, s, rows, stride, x, tiles);
}

/* Where the outputs, or windows, of a tile go. */
typedef struct {
    ptrdiff_t have; /* columns that are left from there on */
    ptrdiff_t down; /* elements of y to the second row; 0 if there is none */
    REAL *y;
    uint8_t *argmax;
} NAME(along_rows_place);

/* Stores what two rows of a tile, y and z, give: outputs or windows. */
INLINE void NAME(along_rows_give)(const int pooled, const ptrdiff_t filters, const int mode,
                                   NAME(along_rows_place) place, vec y0, vec y1, vec y2, vec y3, vec z0,
                                   vec z1, vec z2, vec z3) {
    if (!pooled) {
#define GIVE_PIXEL(i) if (place.have > i) { \
            if (mode & CCONV_FEW_TAPS_RELU) y##i = RELU(y##i), z##i = RELU(z##i); \
            STORE(place.y + i * filters, y##i); \
            if (place.down) STORE(place.y + i * filters + place.down, z##i); }
        GIVE_PIXEL(0) GIVE_PIXEL(1) GIVE_PIXEL(2) GIVE_PIXEL(3)
#undef GIVE_PIXEL
        return;
    }
#define GIVE_WINDOW(may_be_nan, to, v0, v1, v2, v3) { \
        where_lanes where; \
        const vec best = NAME(few_taps_largest)(may_be_nan, mode, v0, v1, v2, v3, &where); \
        STORE(place.y + (to), best); \
        GIVE_PLACES(place.argmax + (to), LANES, where); }
#define GIVE_WINDOWS(may_be_nan) { \
        GIVE_WINDOW(may_be_nan, 0, y0, y1, z0, z1) \
        if (place.have > 1) GIVE_WINDOW(may_be_nan, filters, y2, y3, z2, z3) }
    const vec sum = ((y0 + y1) + (y2 + y3)) + ((z0 + z1) + (z2 + z3));
    if (__builtin_expect(ANY(NAN_(sum)), 0)) GIVE_WINDOWS(1) else GIVE_WINDOWS(0)
#undef GIVE_WINDOWS
#undef GIVE_WINDOW
}

/* Two rows of a tile, one vector of filters. */
INLINE void NAME(along_rows_two)(const int taps, const int pooled, const cconv_along_rows *s,
                                  const REAL *tile, const REAL *packed, const int mode,
                                  const unsigned weak, const REAL *given,
                                  NAME(along_rows_place) place) {
    const ptrdiff_t row = s->tiles * s->channels * 8, height = s->height;
#define DECLARE(p) vec a##p = {0}, b##p = {0}, w##p;
    EACH_POINT(DECLARE)
#undef DECLARE
    a1 = b1 = LOAD(packed);
    /* A row of the kernel is kept for the second row of outputs, which needs it one input row later. */
#define ONLY(p) if (taps == 5 || (p != 5 && p != 6))
#define BEGIN(p) ONLY(p) w##p = LOAD(w + p * LANES), a##p = FMA(SPLAT(v[p]), w##p, a##p);
#define BOTH(p) ONLY(p) { \
        const vec s_ = SPLAT(v[p]); \
        b##p = FMA(s_, w##p, b##p); \
        w##p = LOAD(w + p * LANES); \
        a##p = FMA(s_, w##p, a##p); }
#define END(p) ONLY(p) b##p = FMA(SPLAT(v[p]), w##p, b##p);
#define SUM(EACH) { \
        const REAL *w = packed + LANES, *v; \
        for (ptrdiff_t k = 0; k < s->channels; k++) { \
            v = tile + k * 8; \
            EACH(BEGIN) \
            w += 8 * LANES; \
            for (ptrdiff_t u = height - 1; u > 0; u--, w += 8 * LANES) { \
                v += row; \
                EACH(BOTH) \
            } \
            v += row; \
            EACH(END) \
        } }
    const vec two = SPLAT((REAL)2), four = SPLAT((REAL)4), eight = SPLAT((REAL)8);
    const vec half = SPLAT((REAL)0.5), quarter = SPLAT((REAL)0.25), eighth = SPLAT((REAL)0.125);
#define BACK(t, p, q, x1, x2, x3) { \
        const vec even = p + q, odd = p - q; \
        t##0 += even; \
        t##1 = FMA(x1, odd, t##1); \
        t##2 = FMA(x2, even, t##2); \
        t##3 = FMA(x3, odd, t##3); }
    AT_ONCE(SUM(EACH_POINT))
    IN_TURN(SUM(LOW))
    vec y1 = a1 - a2, y2 = a1 + a2, y0 = a0 + y2, y3 = a7 + y1;
    vec z1 = b1 - b2, z2 = b1 + b2, z0 = b0 + z2, z3 = b7 + z1;
    IN_TURN(SUM(HIGH))
    BACK(y, a3, a4, two, four, eight)
    BACK(z, b3, b4, two, four, eight)
    if (taps == 5) {
        BACK(y, a5, a6, half, quarter, eighth)
        BACK(z, b5, b6, half, quarter, eighth)
    }
    if (__builtin_expect(weak != 0, 0)) {
        /* An output that sees only zeros is the bias. */
        const vec bias = LOAD(packed);
#define TAKE_GIVEN(i) \
        if (weak >> (8 + i) & 1) y##i = bias; \
        else if (weak >> i & 1) y##i = LOAD(given + i * s->filters); \
        if (weak >> (12 + i) & 1) z##i = bias; \
        else if (weak >> (4 + i) & 1) z##i = LOAD(given + (4 + i) * s->filters);
        TAKE_GIVEN(0) TAKE_GIVEN(1) TAKE_GIVEN(2) TAKE_GIVEN(3)
#undef TAKE_GIVEN
    }
#undef BACK
#undef SUM
#undef END
#undef BOTH
#undef BEGIN
#undef ONLY
    NAME(along_rows_give)(pooled, s->filters, mode, place, y0, y1, y2, y3, z0, z1, z2, z3);
}

/* Two rows of tiles, all filters. */
INLINE void NAME(along_rows_row)(const int taps, const int pooled, const cconv_along_rows *s,
                                  ptrdiff_t i, const REAL *tile, const REAL *packed, const int mode,
                                  NAME(along_rows_place) place) {
    const ptrdiff_t filters = s->filters, vectors = NAME(few_taps_vectors)(filters);
    const ptrdiff_t each = pooled ? 2 : 4;
    const uintptr_t line = (uintptr_t)(s->columns * filters) * sizeof(REAL);
    ptrdiff_t t = 0;
    for (place.have = s->columns; place.have > 0;
         place.have -= each, tile += s->channels * 8, t++) {
        const REAL *kernel = packed;
        const unsigned weak = s->weak ? s->weak[i / 2 * s->tiles + t] : 0;
        const unsigned direct = weak & ~(weak >> 8) & 0xFF;
        if (__builtin_expect(direct != 0, 0)) NAME(along_rows_direct)(s, i, 4 * t, direct);
        /* Two rows at a time hide the stream from the hardware: prefetch the next two. */
        for (ptrdiff_t n = 0; !pooled && n < 4 * filters; n += 64 / (ptrdiff_t)sizeof(REAL)) {
            __builtin_prefetch((const char *)((uintptr_t)(place.y + n) + 2 * line), 1, 2);
            __builtin_prefetch((const char *)((uintptr_t)(place.y + n) + 3 * line), 1, 2);
        }
        for (ptrdiff_t v = 0; v < vectors; v++) {
            const ptrdiff_t j = NAME(few_taps_vector)(filters, v);
            NAME(along_rows_place) at = place;
            at.y += j;
            if (pooled) at.argmax += j;
            NAME(along_rows_two)(taps, pooled, s, tile, kernel, mode, weak,
                                  (const REAL *)s->given + j, at);
            kernel += (1 + s->channels * s->height * 8) * LANES;
        }
        place.y += each * filters;
        if (pooled) place.argmax += each * filters;
    }
}

INLINE void NAME(along_rows_rows)(const int taps, const int pooled, const cconv_along_rows *s,
                                   ptrdiff_t rows, const REAL *tiles, const REAL *packed, int mode,
                                   NAME(along_rows_place) place) {
    const ptrdiff_t line = s->columns * s->filters, row = s->tiles * s->channels * 8;
    for (ptrdiff_t i = 0; i < rows; i += 2, tiles += 2 * row) {
        if (i + 1 == rows) place.down = 0;
        NAME(along_rows_row)(taps, pooled, s, i, tiles, packed, mode, place);
        place.y += pooled ? line : 2 * line;
        if (pooled) place.argmax += line;
    }
}

static void NAME(along_rows_forward)(const cconv_along_rows *s, ptrdiff_t rows, const void *tiles,
                                      const void *packed, int mode, void *y) {
    NAME(along_rows_place) place = {.down = s->columns * s->filters, .y = y};
    if (s->taps == 5) NAME(along_rows_rows)(5, 0, s, rows, tiles, packed, mode, place);
    else NAME(along_rows_rows)(3, 0, s, rows, tiles, packed, mode, place);
}

static void NAME(along_rows_pooled)(const cconv_along_rows *s, ptrdiff_t rows, const void *tiles,
                                     const void *packed, int mode, void *y, uint8_t *argmax) {
    NAME(along_rows_place) place = {.y = y, .argmax = argmax};
    if (s->taps == 5) NAME(along_rows_rows)(5, 1, s, rows, tiles, packed, mode, place);
    else NAME(along_rows_rows)(3, 1, s, rows, tiles, packed, mode, place);
}
