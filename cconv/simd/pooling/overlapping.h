/* pooling/overlapping.h: 2x2 max pooling with stride 1 and its gradient, one row of pixels at a time.
 *
 * Windows overlap by a column, which stays in registers: a row loads every vector once.  Results,
 * argmax (a byte: 2 * row + column) and the order of every sum are those of pooling/windows.h, which
 * does the windows that see padding.  Vectors run along the channels. */
#undef PLACES
#undef PLACES_LOAD
#undef PLACES_ARE
#undef ADD_WHERE

#ifndef CCONV_POOL_OVERLAP
#define CCONV_POOL_OVERLAP
/* Whether a window begins at every pixel.  The stride alone does not tell: a single window has stride 1. */
static inline int overlapping(const cconv_pool *p) {
    return p->kh == 2 && p->kw == 2 && p->sh == 1 && p->sw == 1 && p->dh == 1 && p->dw == 1 &&
           p->oh == p->top + p->h + p->bottom - 1 && p->ow == p->left + p->w + p->right - 1;
}

/* Pixels in a chunk, of c * size bytes each.  A chunk finishes a vector of channels of all its pixels
 * before the next vector.  Few pixels, because memory is fastest when read in order; not one, because each
 * chunk loads its first column anew. */
static inline ptrdiff_t together(ptrdiff_t c, ptrdiff_t size) {
    return c * size > 256 ? 2 : 512 / (c * size);
}
#endif

/* PLACES: LANES of argmax, in the type that compares fastest.
 * ADD_WHERE: sum + term where m holds.  Elsewhere sum + 0 is the same, as no sum is -0. */
#if defined(ISA_AVX512)
#define PLACES __m128i
#if REAL_BITS == 32
#define PLACES_LOAD(p, n)                                                                       \
    ((n) == LANES ? _mm_loadu_si128((const __m128i *)(p)) : _mm_maskz_loadu_epi8(TAIL(n), (p)))
#else
#define PLACES_LOAD(p, n)                                                                       \
    ((n) == LANES ? _mm_loadl_epi64((const __m128i *)(p)) : _mm_maskz_loadu_epi8(TAIL(n), (p)))
#endif
#define PLACES_ARE(places, k) ((mask)_mm_cmpeq_epi8_mask((places), _mm_set1_epi8(k)))
#define ADD_WHERE(m, sum, term) ((vec)M_(mask_add)((sum), (m), (sum), (term)))
#else
#define PLACES ivec
#define PLACES_LOAD(p, n) NAME(load_bytes)((p), (n))
#define PLACES_ARE(places, k) IEQ(places, (ivec){0} + (k))
#define ADD_WHERE(m, sum, term) ((sum) + BLEND((m), (term), (vec){0}))
#endif

/* argmax (n): 0 or 1 where the upper row wins (stay), else 2 or 3; upper, lower: where the left pixel
 * of that row wins over the right one */
INLINE void NAME(store_winners)(uint8_t *argmax, ptrdiff_t n, mask stay, mask upper, mask lower) {
#if defined(ISA_AVX512)
    const __m128i above = _mm_mask_blend_epi8(upper, _mm_set1_epi8(1), _mm_setzero_si128());
    const __m128i below = _mm_mask_blend_epi8(lower, _mm_set1_epi8(3), _mm_set1_epi8(2));
    const __m128i places = _mm_mask_blend_epi8(stay, below, above);
    if (n < LANES) _mm_mask_storeu_epi8(argmax, TAIL(n), places);
#if REAL_BITS == 32
    else _mm_storeu_si128((__m128i *)argmax, places);
#else
    else _mm_storel_epi64((__m128i *)argmax, places);
#endif
#else
    const ivec zero = {0};
    const vec above = BLEND(upper, (vec)zero, (vec)(zero + 1));
    const vec below = BLEND(lower, (vec)(zero + 2), (vec)(zero + 3));
    NAME(store_bytes)(argmax, n, (ivec)BLEND(stay, above, below));
#endif
}

/* y, argmax (count, c): n <= LANES channels of `count` windows side by side; x: the first one's
 * upper left pixel, rows `down` apart.  The first of several maxima wins, or the first NaN. */
INLINE void NAME(overlap_lanes)(const int ragged, ptrdiff_t count, ptrdiff_t c, ptrdiff_t down,
                                const REAL *x, ptrdiff_t n, REAL *y, uint8_t *argmax) {
    const tail last = TAIL(ragged ? n : LANES);
    vec upper_left = ragged ? LOAD_TAIL(x, last) : LOAD(x);
    vec lower_left = ragged ? LOAD_TAIL(x + down, last) : LOAD(x + down);
    mask upper_nan = NAN_(upper_left), lower_nan = NAN_(lower_left);
    for (; count; count--, y += c, argmax += c) {
        x += c;
        const vec upper_right = ragged ? LOAD_TAIL(x, last) : LOAD(x);
        const vec lower_right = ragged ? LOAD_TAIL(x + down, last) : LOAD(x + down);
        const mask upper_next = NAN_(upper_right), lower_next = NAN_(lower_right);
            /* Stay at a NaN, or at what is not less.  A NaN on the right compares false: it wins. */
        const mask upper_stays = OR(LE(upper_right, upper_left), upper_nan);
        const mask lower_stays = OR(LE(lower_right, lower_left), lower_nan);
        const vec upper = BLEND(upper_stays, upper_left, upper_right);
        const vec lower = BLEND(lower_stays, lower_left, lower_right);
        const mask stay = OR(LE(lower, upper), OR(upper_nan, upper_next));
        const vec best = BLEND(stay, upper, lower);
        if (ragged) { STORE_TAIL(y, last, best); } else { STORE(y, best); }
        NAME(store_winners)(argmax, ragged ? n : LANES, stay, upper_stays, lower_stays);
        upper_left = upper_right;
        lower_left = lower_right;
        upper_nan = upper_next;
        lower_nan = lower_next;
    }
}

/* y, argmax (count, c): windows side by side, the first at pixel x; rows are `down` apart */
INLINE void NAME(overlap_row)(ptrdiff_t count, ptrdiff_t c, ptrdiff_t down, const REAL *x, REAL *y,
                              uint8_t *argmax) {
    if (c < LANES) {
        NAME(overlap_lanes)(1, count, c, down, x, c, y, argmax);
        return;
    }
    const ptrdiff_t chunk = together(c, sizeof(REAL));
    for (ptrdiff_t done = 0; done < count; done += chunk) {
        const ptrdiff_t some = count - done < chunk ? count - done : chunk;
        for (ptrdiff_t j = 0; j < c; j += LANES) {
            const ptrdiff_t k = done * c + (j + LANES <= c ? j : c - LANES);
            NAME(overlap_lanes)(0, some, c, down, x + k, LANES, y + k, argmax + k);
        }
    }
}

/* dx (w, c): n <= LANES channels of pixels first ... past - 1 of one row of a gradient.  It comes from two
 * rows of windows of dy, argmax (ow, c): first those that begin a row above and see the pixels with their
 * lower taps, then those that begin at the row; dy and argmax point to the latter.  above, at: whether
 * there are such windows. */
INLINE void NAME(meet_lanes)(const int above, const int at, const int ragged, const cconv_pool *p,
                             const REAL *dy, const uint8_t *argmax, ptrdiff_t first, ptrdiff_t past,
                             ptrdiff_t n, REAL *dx) {
    const tail last = TAIL(ragged ? n : LANES);
    const ptrdiff_t c = p->c, up = p->ow * c, left = p->left + first;
    const ptrdiff_t lanes = ragged ? n : LANES, wanted = p->left + past;
    const ptrdiff_t end = wanted < p->ow ? wanted : p->ow;
    ptrdiff_t ox = left ? left - 1 : 0;
    vec sum, term_above = {0}, term_at = {0};
    mask right_above = {0}, right_at = {0}; /* of the window to the left */
    dy += ox * c;
    argmax += ox * c;
    dx += first * c;
    for (; ox < end; ox++, dy += c, argmax += c) {
        mask left_above = {0}, left_at = {0}, next_above = {0}, next_at = {0};
        vec here_above = {0}, here_at = {0};
        if (above) {
            const PLACES places = PLACES_LOAD(argmax - up, lanes);
            left_above = PLACES_ARE(places, 2);
            next_above = PLACES_ARE(places, 3);
            here_above = ragged ? LOAD_TAIL(dy - up, last) : LOAD(dy - up);
        }
        if (at) {
            const PLACES places = PLACES_LOAD(argmax, lanes);
            left_at = PLACES_ARE(places, 0);
            next_at = PLACES_ARE(places, 1);
            here_at = ragged ? LOAD_TAIL(dy, last) : LOAD(dy);
        }
        if (ox >= left) {
            sum = (vec){0};
            if (above) sum = ADD_WHERE(right_above, sum, term_above);
            if (above) sum = ADD_WHERE(left_above, sum, here_above);
            if (at) sum = ADD_WHERE(right_at, sum, term_at);
            if (at) sum = ADD_WHERE(left_at, sum, here_at);
            if (ragged) { STORE_TAIL(dx, last, sum); } else { STORE(dx, sum); }
            dx += c;
        }
        term_above = here_above;
        term_at = here_at;
        right_above = next_above;
        right_at = next_at;
    }
    if (end < wanted) { /* the last pixel, at which no window begins */
        sum = (vec){0};
        if (above) sum = ADD_WHERE(right_above, sum, term_above);
        if (at) sum = ADD_WHERE(right_at, sum, term_at);
        if (ragged) { STORE_TAIL(dx, last, sum); } else { STORE(dx, sum); }
    }
}

INLINE void NAME(meet_rows)(const int above, const int at, const cconv_pool *p, const REAL *dy,
                            const uint8_t *argmax, REAL *dx) {
    const ptrdiff_t c = p->c;
    if (c < LANES) {
        NAME(meet_lanes)(above, at, 1, p, dy, argmax, 0, p->w, c, dx);
        return;
    }
    const ptrdiff_t chunk = together(c, sizeof(REAL));
    for (ptrdiff_t first = 0; first < p->w; first += chunk) {
        const ptrdiff_t past = first + chunk < p->w ? first + chunk : p->w;
        for (ptrdiff_t j = 0; j < c; j += LANES) {
            const ptrdiff_t k = j + LANES <= c ? j : c - LANES;
            NAME(meet_lanes)(above, at, 0, p, dy + k, argmax + k, first, past, LANES, dx + k);
        }
    }
}

/* dx (w, c): row iy of the gradient of one image from dy, argmax (oh, ow, c) */
INLINE void NAME(meet_row)(const cconv_pool *p, ptrdiff_t iy, const REAL *dy, const uint8_t *argmax,
                           REAL *dx) {
    const ptrdiff_t oy = iy + p->top, start = oy * p->ow * p->c;
    dy += start;
    argmax += start;
    if (oy == 0) NAME(meet_rows)(0, 1, p, dy, argmax, dx);
    else if (oy == p->oh) NAME(meet_rows)(1, 0, p, dy, argmax, dx);
    else NAME(meet_rows)(1, 1, p, dy, argmax, dx);
}
