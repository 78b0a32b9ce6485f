/* pooling/windows.h: pooling, im2col and their gradients, one row of pixels of one image at a time.
 *
 * Every output row is written by one call and every element once: the gradients gather from the
 * Every output row is written by one call, and every element once.  The gradients gather from the
 * windows that cover a pixel (oy, then ox ascending), so windows may overlap and nothing has to
 * be zeroed first.  Vectors run along the channels.  Where the channels are no multiple of a vector,
 * the last vector overlaps the one before and writes the same values again. */
#undef MAX_BYTES
#undef MAX_WIDE
#undef AVERAGE
#undef COLUMNS
#undef AHEAD
#undef IS_SHORT

/* what a window does; constant wherever the functions below are inlined */
#define MAX_BYTES 0 /* argmax in uint8 */
#define MAX_WIDE 1  /* argmax in int32 */
#define AVERAGE 2
#define COLUMNS 3
#define AHEAD 1 /* while pooling computes row oy, it prefetches the pixels of row oy + AHEAD */

#ifndef CCONV_POOL_SPANS
#define CCONV_POOL_SPANS
typedef struct {
    ptrdiff_t first, last;
} cconv_span;

/* Of the taps 0 <= k < count, those with lo <= start + k * step < hi: first <= k < last. */
static inline cconv_span taps_inside(ptrdiff_t start, ptrdiff_t count, ptrdiff_t step,
                                     ptrdiff_t lo, ptrdiff_t hi) {
    ptrdiff_t first = start < lo ? lo - start : 0, last = hi > start ? hi - start : 0;
    if (step != 1) {
        first = (first + step - 1) / step;
        last = (last + step - 1) / step;
    }
    if (first > count) first = count;
    if (last > count) last = count;
    return (cconv_span){first, last > first ? last : first};
}

/* The tap of a window that lies `distance` pixels behind its start, or -1 between two taps. */
static inline ptrdiff_t tap_at(ptrdiff_t distance, ptrdiff_t step) {
    if (step == 1) return distance;
    return distance % step ? -1 : distance / step;
}

static inline int inside_two(cconv_span span) { return span.first == 0 && span.last == 2; }

/* How many pixels of a window count for its average: those inside the (padded) input. */
static inline ptrdiff_t counted(cconv_span inside, ptrdiff_t start, ptrdiff_t count, ptrdiff_t step,
                                ptrdiff_t before, ptrdiff_t n, ptrdiff_t after, int include_pad) {
    if (include_pad) inside = taps_inside(start, count, step, -before, n + after);
    return inside.last - inside.first;
}
#endif

/* lanes (n <= LANES) of argmax at element `at` */
INLINE ivec NAME(load_places)(const int kind, const void *argmax, ptrdiff_t at, ptrdiff_t n) {
    if (kind == MAX_BYTES) return NAME(load_bytes)((const uint8_t *)argmax + at, n);
    ivec v = {0};
    for (ptrdiff_t l = 0; l < n; l++) v[l] = ((const int32_t *)argmax)[at + l];
    return v;
}

INLINE void NAME(store_places)(const int kind, void *argmax, ptrdiff_t at, ptrdiff_t n, ivec v) {
    if (kind == MAX_BYTES) NAME(store_bytes)((uint8_t *)argmax + at, n, v);
    else for (ptrdiff_t l = 0; l < n; l++) ((int32_t *)argmax)[at + l] = (int32_t)v[l];
}

/* The sum of a window of more than CCONV_ONE_CHAIN taps, as pool_lanes reads them. */
static __attribute__((noinline)) vec NAME(large_window)(const cconv_pool *p, const REAL *x,
                                                        ptrdiff_t rows, ptrdiff_t columns,
                                                        ptrdiff_t n) {
    const tail last = TAIL(n);
    const ptrdiff_t right = p->dw * p->c, down = p->dh * p->w * p->c;
    vec sum = {0}, lost = {0}, chain = {0};
    ptrdiff_t room = CCONV_CHAIN; /* terms that the chain still takes */
    for (ptrdiff_t u = 0; u < rows; u++, x += down) {
        const REAL *from = x;
        for (ptrdiff_t left = columns, some; left > 0; left -= some) {
            some = left < room ? left : room;
            if (n == LANES) for (ptrdiff_t v = 0; v < some; v++, from += right) chain += LOAD(from);
            else for (ptrdiff_t v = 0; v < some; v++, from += right) chain += LOAD_TAIL(from, last);
            room -= some;
            if (room > 0) continue;
            ADD_EXACTLY(sum, lost, chain);
            chain = (vec){0};
            room = CCONV_CHAIN;
        }
    }
    ADD_EXACTLY(sum, lost, chain);
    return WHOLE_SUM(sum, lost);
}

/* Whether the average over rows x columns taps is one chain. */
#define IS_SHORT(rows, columns)                                                                 \
    (((rows).last - (rows).first) * ((columns).last - (columns).first) <= CCONV_ONE_CHAIN)

/* One window over n <= LANES channels.  x: its first pixel inside the input; rows, columns:
 * its taps inside; weight: of the average. */
INLINE void NAME(pool_lanes)(const int kind, const int ragged, const cconv_pool *p, const REAL *x,
                             const ptrdiff_t kw, cconv_span rows, cconv_span columns, REAL weight,
                             ptrdiff_t n, ptrdiff_t at, REAL *y, void *argmax) {
    const tail last = TAIL(ragged ? n : LANES);
    const ptrdiff_t right = p->dw * p->c, down = p->dh * p->w * p->c;
    vec best = {0};
    ivec place = {0};
    if (kind == AVERAGE && !IS_SHORT(rows, columns)) {
        best = NAME(large_window)(p, x, rows.last - rows.first, columns.last - columns.first, n);
        rows.last = rows.first;
    }
    if (kind != AVERAGE) {
        /* The first tap is taken as it is, so that it wins even if it is -inf. */
        const ptrdiff_t first = rows.first * kw + columns.first;
        best = ragged ? LOAD_TAIL(x, last) : LOAD(x);
        place = (ivec){0} + (kind == MAX_BYTES ? (uint8_t)first : (int32_t)first);
    }
    for (ptrdiff_t u = rows.first; u < rows.last; u++, x += down) {
        const REAL *from = x;
        for (ptrdiff_t v = columns.first; v < columns.last; v++, from += right) {
            const vec value = ragged ? LOAD_TAIL(from, last) : LOAD(from);
            if (kind == AVERAGE) {
                best += value;
            } else {
                /* Stay at a NaN, or at what is not less.  A NaN that comes compares false: it wins. */
                const mask stay = OR(LE(value, best), NAN_(best));
                const ivec here = (ivec){0} + (kind == MAX_BYTES ? (uint8_t)(u * kw + v)
                                                                 : (int32_t)(u * kw + v));
                best = BLEND(stay, best, value);
                place = (ivec)BLEND(stay, (vec)place, (vec)here);
            }
        }
    }
    if (kind == AVERAGE) best /= weight;
    else NAME(store_places)(kind, argmax, at, ragged ? n : LANES, place);
    if (ragged) { STORE_TAIL(y + at, last, best); } else { STORE(y + at, best); }
}

/* y, argmax (c): one window over all channels */
INLINE void NAME(pool_pixel)(const int kind, const cconv_pool *p, const REAL *x, const ptrdiff_t kw,
                             cconv_span rows, cconv_span columns, REAL weight, REAL *y,
                             void *argmax) {
    const ptrdiff_t c = p->c;
    if (c < LANES) {
        NAME(pool_lanes)(kind, 1, p, x, kw, rows, columns, weight, c, 0, y, argmax);
        return;
    }
    for (ptrdiff_t j = 0; j < c; j += LANES) {
        const ptrdiff_t k = j + LANES <= c ? j : c - LANES;
        NAME(pool_lanes)(kind, 0, p, x + k, kw, rows, columns, weight, LANES, k, y, argmax);
    }
}

/* y, argmax (ow, c): row oy of the pooling of image x (h, w, c) */
INLINE void NAME(pool_row)(const int kind, const cconv_pool *p, ptrdiff_t oy, const REAL *x,
                           int include_pad, REAL *y, void *argmax) {
    const ptrdiff_t c = p->c, top = oy * p->sh - p->top;
    const cconv_span rows = taps_inside(top, p->kh, p->dh, 0, p->h);
    const ptrdiff_t high = counted(rows, top, p->kh, p->dh, p->top, p->h, p->bottom, include_pad);
    /* Windows read several rows at once, so the hardware does not see a stream.  Prefetch the next
     * rows in the order in which they lie in memory. */
    const uintptr_t band = (uintptr_t)(p->sh * p->w * c) * sizeof(REAL);
    const uintptr_t share = band / (uintptr_t)p->ow + 1; /* of a window */
    uintptr_t line = (uintptr_t)x + (uintptr_t)(oy + AHEAD) * band, asked = line;
#define ASK(windows) { \
        asked += (uintptr_t)(windows) * share; \
        for (; line < asked; line += 64) __builtin_prefetch((const char *)line, 0, 2); }
    const int pairs = kind == MAX_BYTES && overlapping(p) && inside_two(rows);
    for (ptrdiff_t ox = 0; ox < p->ow; ox++) {
        const ptrdiff_t left = ox * p->sw - p->left, at = ox * c;
        const cconv_span columns = taps_inside(left, p->kw, p->dw, 0, p->w);
        ASK(1)
        if (pairs && inside_two(columns)) { /* so do all windows up to the last pixel */
            const ptrdiff_t count = p->w - 1 - left;
            ASK(count - 1)
            NAME(overlap_row)(count, c, p->w * c, x + (top * p->w + left) * c, y + at,
                              (uint8_t *)argmax + at);
            ox += count - 1;
            continue;
        }
        if (rows.first == rows.last || columns.first == columns.last) { /* nothing but padding */
            for (ptrdiff_t j = 0; j < c; j++) {
                y[at + j] = kind == AVERAGE ? 0 : -INFINITY_;
                if (kind == MAX_BYTES) ((uint8_t *)argmax)[at + j] = 255;
                if (kind == MAX_WIDE) ((int32_t *)argmax)[at + j] = -1;
            }
            continue;
        }
        const REAL weight = kind != AVERAGE ? 1 : (REAL)(high *
            counted(columns, left, p->kw, p->dw, p->left, p->w, p->right, include_pad));
#if defined(ISA_AVX512)
        const ptrdiff_t fit = (p->w - left) / 2, alike = fit < p->ow - ox ? fit : p->ow - ox;
        if (kind == AVERAGE && NAME(is_narrow)(p) && IS_SHORT(rows, columns) && left >= 0 &&
            alike * c >= LANES) {
            ASK(alike - 1)
            NAME(narrow_averages)(alike, c, rows.last - rows.first, p->dh * p->w * c,
                                  x + ((top + rows.first * p->dh) * p->w + left) * c, weight,
                                  y + at);
            ox += alike - 1;
            continue;
        }
#endif
        const REAL *from =
            x + ((top + rows.first * p->dh) * p->w + left + columns.first * p->dw) * c;
        const cconv_span two = {0, 2};
        void *places = kind == AVERAGE ? 0 : (char *)argmax + at * (kind == MAX_BYTES ? 1 : 4);
        if (p->kw == 2 && inside_two(rows) && inside_two(columns)) /* the same, unrolled */
            NAME(pool_pixel)(kind, p, from, 2, two, two, weight, y + at, places);
        else
            NAME(pool_pixel)(kind, p, from, p->kw, rows, columns, weight, y + at, places);
    }
#undef ASK
}

/* What the window (oy, ox) gives to n <= LANES channels of its tap (u, v).
 * dy (oh, ow, c), or col (oh, ow, kh, kw, c) */
INLINE vec NAME(gather_term)(const int kind, const int ragged, tail last, const cconv_pool *p,
                             ptrdiff_t window, ptrdiff_t u, ptrdiff_t v, const REAL *dy,
                             const void *argmax, const REAL *weights, ptrdiff_t n, ptrdiff_t j) {
    const ptrdiff_t at = kind == COLUMNS ? (window * p->kh + u) * p->kw + v : window;
    const REAL *from = dy + at * p->c + j;
    vec term = ragged ? LOAD_TAIL(from, last) : LOAD(from);
    if (kind == AVERAGE) term *= weights[window];
    if (kind == MAX_BYTES || kind == MAX_WIDE) {
        const ivec here = (ivec){0} + (kind == MAX_BYTES ? (uint8_t)(u * p->kw + v)
                                                         : (int32_t)(u * p->kw + v));
        const ivec place = NAME(load_places)(kind, argmax, at * p->c + j, ragged ? n : LANES);
        term = BLEND(IEQ(place, here), term, (vec){0});
    }
    return term;
}

/* n <= LANES channels of pixel (iy, ix) of a gradient: the sum over the windows that cover it. */
INLINE vec NAME(gather_lanes)(const int kind, const int ragged, const cconv_pool *p, ptrdiff_t iy,
                              ptrdiff_t ix, cconv_span rows, cconv_span columns, const REAL *dy,
                              const void *argmax, const REAL *weights, ptrdiff_t n, ptrdiff_t j) {
    const tail last = TAIL(ragged ? n : LANES);
    vec sum = {0};
    for (ptrdiff_t oy = rows.first; oy < rows.last; oy++) {
        const ptrdiff_t u = tap_at(iy + p->top - oy * p->sh, p->dh);
        if (u < 0) continue;
        for (ptrdiff_t ox = columns.first; ox < columns.last; ox++) {
            const ptrdiff_t v = tap_at(ix + p->left - ox * p->sw, p->dw);
            if (v < 0) continue;
            sum += NAME(gather_term)(kind, ragged, last, p, oy * p->ow + ox, u, v, dy, argmax,
                                     weights, n, j);
        }
    }
    return sum;
}

/* The same where there may be more than CCONV_ONE_CHAIN windows. */
INLINE vec NAME(gather_chains)(const int kind, const int ragged, const cconv_pool *p, ptrdiff_t iy,
                               ptrdiff_t ix, cconv_span rows, cconv_span columns, const REAL *dy,
                               const void *argmax, const REAL *weights, ptrdiff_t n, ptrdiff_t j) {
    const tail last = TAIL(ragged ? n : LANES);
    vec sum = {0}, lost = {0}, chain = {0};
    ptrdiff_t room = CCONV_CHAIN; /* windows that the chain still takes */
    for (ptrdiff_t oy = rows.first; oy < rows.last; oy++) {
        const ptrdiff_t u = tap_at(iy + p->top - oy * p->sh, p->dh);
        if (u < 0) continue;
        for (ptrdiff_t ox = columns.first; ox < columns.last;) {
            const ptrdiff_t stop = ox + room < columns.last ? ox + room : columns.last;
            room -= stop - ox;
            for (; ox < stop; ox++) {
                const ptrdiff_t v = tap_at(ix + p->left - ox * p->sw, p->dw);
                if (v < 0) continue;
                chain += NAME(gather_term)(kind, ragged, last, p, oy * p->ow + ox, u, v, dy, argmax,
                                           weights, n, j);
            }
            if (room) continue;
            ADD_EXACTLY(sum, lost, chain);
            chain = (vec){0};
            room = CCONV_CHAIN;
        }
    }
    ADD_EXACTLY(sum, lost, chain);
    return WHOLE_SUM(sum, lost);
}

/* n <= LANES channels of `taps` neighbouring pixels of a gradient that only one window covers.
 * at: the window's element of dy and argmax, or of col; place: what argmax is for the first pixel. */
INLINE void NAME(spread_lanes)(const int kind, const int ragged, ptrdiff_t c, const REAL *dy,
                               const void *argmax, ptrdiff_t at, ptrdiff_t place, ptrdiff_t taps,
                               REAL weight, ptrdiff_t n, REAL *dx) {
    const tail last = TAIL(ragged ? n : LANES);
    const vec zero = {0};
    vec term = ragged ? LOAD_TAIL(dy + at, last) : LOAD(dy + at);
    ivec places = {0};
    if (kind == AVERAGE) term *= weight;
    if (kind != AVERAGE && kind != COLUMNS)
        places = NAME(load_places)(kind, argmax, at, ragged ? n : LANES);
    for (ptrdiff_t v = 0; v < taps; v++, place++, dx += c) {
        vec value = term;
        if (kind == COLUMNS && v)
            value = ragged ? LOAD_TAIL(dy + at + v * c, last) : LOAD(dy + at + v * c);
        if (kind == MAX_BYTES) value = BLEND(IEQ(places, (ivec){0} + (uint8_t)place), term, zero);
        if (kind == MAX_WIDE) value = BLEND(IEQ(places, (ivec){0} + (int32_t)place), term, zero);
        if (ragged) { STORE_TAIL(dx, last, value); } else { STORE(dx, value); }
    }
}

/* dx (w, c): row iy of the gradient, where windows are dense and do not overlap: every pixel lies
 * in one of them or in none, so dy is read once and spread. */
INLINE void NAME(spread_row)(const int kind, const cconv_pool *p, ptrdiff_t iy, const REAL *dy,
                             const void *argmax, const REAL *weights, REAL *dx) {
    const ptrdiff_t c = p->c, oy = (iy + p->top) / p->sh, u = iy + p->top - oy * p->sh;
    ptrdiff_t done = 0; /* pixels of the row */
    for (ptrdiff_t ox = 0; oy < p->oh && u < p->kh && ox < p->ow; ox++) {
        const ptrdiff_t left = ox * p->sw - p->left, window = oy * p->ow + ox;
        const cconv_span columns = taps_inside(left, p->kw, 1, 0, p->w);
        if (columns.first == columns.last) continue;
        for (; done < left; done++) for (ptrdiff_t j = 0; j < c; j++) dx[done * c + j] = 0;
        const ptrdiff_t place = u * p->kw + columns.first, taps = columns.last - columns.first;
        const ptrdiff_t at = (kind == COLUMNS ? window * p->kh * p->kw + place : window) * c;
        const REAL weight = kind == AVERAGE ? weights[window] : 1;
#if defined(ISA_AVX512)
        const ptrdiff_t fit = (p->w - left) / 2, alike = fit < p->ow - ox ? fit : p->ow - ox;
        if (kind == AVERAGE && NAME(is_narrow)(p) && left >= 0 && alike * c >= LANES) {
            NAME(narrow_spread)(alike, c, dy + at, weight, dx + done * c);
            done += 2 * alike;
            ox += alike - 1;
            continue;
        }
#endif
        if (c < LANES)
            NAME(spread_lanes)(kind, 1, c, dy, argmax, at, place, taps, weight, c, dx + done * c);
        else
            for (ptrdiff_t j = 0; j < c; j += LANES) {
                const ptrdiff_t k = j + LANES <= c ? j : c - LANES;
                NAME(spread_lanes)(kind, 0, c, dy, argmax, at + k, place, taps, weight, LANES,
                                   dx + done * c + k);
            }
        done += taps;
    }
    for (; done < p->w; done++) for (ptrdiff_t j = 0; j < c; j++) dx[done * c + j] = 0;
}

/* dx (w, c): row iy of the gradient, from the windows of these rows; long_sums: more than CCONV_ONE_CHAIN
 * windows may cover a pixel. */
INLINE void NAME(gather_pixels)(const int kind, const int long_sums, const cconv_pool *p,
                                ptrdiff_t iy, cconv_span rows, const REAL *dy, const void *argmax,
                                const REAL *weights, REAL *dx) {
    const ptrdiff_t c = p->c, reach_w = (p->kw - 1) * p->dw;
    cconv_span columns = {0, 0};
#define GATHER(ragged, n, j)                                                                    \
    (long_sums ? NAME(gather_chains)(kind, ragged, p, iy, ix, rows, columns, dy, argmax,        \
                                     weights, n, j)                                             \
               : NAME(gather_lanes)(kind, ragged, p, iy, ix, rows, columns, dy, argmax,         \
                                    weights, n, j))
    for (ptrdiff_t ix = 0; ix < p->w; ix++, dx += c) {
        while (columns.last < p->ow && columns.last * p->sw <= ix + p->left) columns.last++;
        while (columns.first * p->sw + reach_w < ix + p->left) columns.first++;
        if (c < LANES) {
            const vec sum = GATHER(1, c, 0);
            STORE_TAIL(dx, TAIL(c), sum);
            continue;
        }
        for (ptrdiff_t j = 0; j < c; j += LANES) {
            const ptrdiff_t k = j + LANES <= c ? j : c - LANES;
            const vec sum = GATHER(0, LANES, k);
            STORE(dx + k, sum);
        }
    }
#undef GATHER
}

/* dx (w, c): row iy of the gradient */
INLINE void NAME(gather_row)(const int kind, const cconv_pool *p, ptrdiff_t iy, const REAL *dy,
                             const void *argmax, const REAL *weights, REAL *dx) {
    if (p->dh == 1 && p->dw == 1 && p->sh >= p->kh && p->sw >= p->kw) {
        NAME(spread_row)(kind, p, iy, dy, argmax, weights, dx);
        return;
    }
    if (kind == MAX_BYTES && overlapping(p)) {
        NAME(meet_row)(p, iy, dy, argmax, dx);
        return;
    }
    const ptrdiff_t reach_h = (p->kh - 1) * p->dh, most = (p->kw - 1) * p->dw / p->sw + 1;
    const ptrdiff_t y_end = (iy + p->top) / p->sh + 1, y_gap = iy + p->top - reach_h;
    const cconv_span rows = {y_gap > 0 ? (y_gap + p->sh - 1) / p->sh : 0,
                             y_end < p->oh ? y_end : p->oh};
    const cconv_span columns = {0, most < p->ow ? most : p->ow}; /* no pixel has more */
    if (IS_SHORT(rows, columns))
        NAME(gather_pixels)(kind, 0, p, iy, rows, dy, argmax, weights, dx);
    else
        NAME(gather_pixels)(kind, 1, p, iy, rows, dy, argmax, weights, dx);
}

/* y, argmax (ow, c): row oy of image x (h, w, c) */
static void NAME(max_pool)(const cconv_pool *p, ptrdiff_t oy, const void *x, void *y, void *argmax,
                           int wide) {
    if (wide) NAME(pool_row)(MAX_WIDE, p, oy, x, 0, y, argmax);
    else NAME(pool_row)(MAX_BYTES, p, oy, x, 0, y, argmax);
}

/* dx (w, c): row iy of one image from dy, argmax (oh, ow, c) */
static void NAME(max_pool_backward)(const cconv_pool *p, ptrdiff_t iy, const void *dy,
                                    const void *argmax, int wide, void *dx) {
    if (wide) NAME(gather_row)(MAX_WIDE, p, iy, dy, argmax, 0, dx);
    else NAME(gather_row)(MAX_BYTES, p, iy, dy, argmax, 0, dx);
}

/* y (ow, c): row oy of image x (h, w, c) */
static void NAME(average_pool)(const cconv_pool *p, ptrdiff_t oy, const void *x, int include_pad,
                               void *y) {
    NAME(pool_row)(AVERAGE, p, oy, x, include_pad, y, 0);
}

/* weights (ow): 1 / pixels counted, of the windows of row oy; 0 where a window counts none */
static void NAME(average_weights)(const cconv_pool *p, ptrdiff_t oy, int include_pad,
                                  void *weights_) {
    REAL *weights = weights_;
    const ptrdiff_t top = oy * p->sh - p->top;
    const cconv_span rows = taps_inside(top, p->kh, p->dh, 0, p->h);
    const ptrdiff_t high = counted(rows, top, p->kh, p->dh, p->top, p->h, p->bottom, include_pad);
    for (ptrdiff_t ox = 0; ox < p->ow; ox++) {
        const ptrdiff_t left = ox * p->sw - p->left;
        const cconv_span columns = taps_inside(left, p->kw, p->dw, 0, p->w);
        const ptrdiff_t count =
            high * counted(columns, left, p->kw, p->dw, p->left, p->w, p->right, include_pad);
        weights[ox] = count ? 1 / (REAL)count : 0;
    }
}

/* dx (w, c): row iy of one image from dy (oh, ow, c), weights (oh, ow) */
static void NAME(average_pool_backward)(const cconv_pool *p, ptrdiff_t iy, const void *dy,
                                        const void *weights, void *dx) {
    NAME(gather_row)(AVERAGE, p, iy, dy, 0, weights, dx);
}

/* to (n) = from (n), or zeros if from is NULL */
INLINE REAL *NAME(append)(REAL *to, const REAL *from, ptrdiff_t n) {
    if (from) for (ptrdiff_t j = 0; j < n; j++) to[j] = from[j];
    else for (ptrdiff_t j = 0; j < n; j++) to[j] = 0;
    return to + n;
}

/* col (ow, kh, kw, c): the windows of row oy of image x (h, w, c), zeros for padding */
static void NAME(im2col)(const cconv_pool *p, ptrdiff_t oy, const void *x_, void *col_) {
    const REAL *x = x_;
    REAL *col = col_;
    const ptrdiff_t c = p->c, top = oy * p->sh - p->top;
    for (ptrdiff_t ox = 0; ox < p->ow; ox++) {
        const ptrdiff_t left = ox * p->sw - p->left;
        const cconv_span columns = taps_inside(left, p->kw, p->dw, 0, p->w);
        for (ptrdiff_t u = 0; u < p->kh; u++) {
            const ptrdiff_t iy = top + u * p->dh;
            if (iy < 0 || iy >= p->h) {
                col = NAME(append)(col, 0, p->kw * c);
                continue;
            }
            col = NAME(append)(col, 0, columns.first * c);
            const REAL *from = x + (iy * p->w + left + columns.first * p->dw) * c;
            const ptrdiff_t taps = columns.last - columns.first;
            if (p->dw == 1) col = NAME(append)(col, from, taps * c);
            else
                for (ptrdiff_t v = 0; v < taps; v++)
                    col = NAME(append)(col, from + v * p->dw * c, c);
            col = NAME(append)(col, 0, (p->kw - columns.last) * c);
        }
    }
}

/* x (w, c): row iy of one image, the sum of its places in col (oh, ow, kh, kw, c) */
static void NAME(col2im)(const cconv_pool *p, ptrdiff_t iy, const void *col, void *x) {
    NAME(gather_row)(COLUMNS, p, iy, col, 0, 0, x);
}
