/* depthwise/kernels.h: convolutions with one filter a channel, and the gradient of their weights.
 *
 * Vectors lie along the channels, so every tap is a product of vectors: nothing is broadcast.  Each loaded
 * value of x gives one product for each output in registers that sees it.
 *
 * For 3x3 kernels of stride 1 or 2, the nine taps (or, in the gradient, their nine sums) and two
 * rows of outputs stay in registers, and every vector of x is loaded once for all outputs of the tile.
 * Pixels outside the image are left out: a tile may reach over the image by one column on either side, and
 * by any number of rows.  Kernels of stride 1 that are 5 or 7 taps wide keep the taps of a row and several
 * outputs in registers, and load every vector of x once for all of these outputs.  Other kernels take several
 * outputs of a row for each load of a tap.
 *
 * Forward, every output is one chain of fused multiply-adds in the order u, v that starts from
 * zero; bias is added at the end.  A tile that would reach over the end of a row starts earlier, over
 * outputs that exist already: they get the same bits again.  In the gradient every sum is one
 * chain over some pixels in the order i, j, added to what is there; the bias takes four at a time. */
#include "window.h"

/* Outputs in a row of a 3x3 tile: they and the taps have to fit into the registers. */
#undef DEPTH_WIDE
#if defined(ISA_AVX512) || defined(__aarch64__)
#define DEPTH_WIDE 4
#else
#define DEPTH_WIDE 2
#endif
/* Channels, in elements, that a row of tiles takes at once: their taps stay in the L1 cache. */
#undef DEPTH_CHANNELS
#define DEPTH_CHANNELS 128

/* Which pixels of a tile are outside the image: its first column, its last column, its row r. */
#undef DEPTH_BEFORE
#undef DEPTH_BEHIND
#undef DEPTH_ROW
#define DEPTH_BEFORE 1
#define DEPTH_BEHIND 2
#define DEPTH_ROW(r) (4 << (r))

#undef GET
#undef PUT
#undef GIVE
#define GET(p) (ragged ? LOAD_TAIL((p), last) : LOAD(p))
#define PUT(p, v) { if (ragged) { STORE_TAIL((p), last, (v)); } else { STORE((p), (v)); } }
#define GIVE(p, v) PUT((p), GET(p) + (v))

/* DO(u, v) for the taps of a 3x3 kernel; PICK names one by constants. */
#undef EACH_TAP
#undef PICK
#define EACH_TAP(DO) \
    DO(0, 0) DO(0, 1) DO(0, 2) DO(1, 0) DO(1, 1) DO(1, 2) DO(2, 0) DO(2, 1) DO(2, 2)
#define PICK(u, v) ((u) == 0 ? ((v) == 0 ? k00 : (v) == 1 ? k01 : k02) : \
                    (u) == 1 ? ((v) == 0 ? k10 : (v) == 1 ? k11 : k12) : \
                               ((v) == 0 ? k20 : (v) == 1 ? k21 : k22))

/* Two rows of DEPTH_WIDE outputs, one vector of channels. */
static inline __attribute__((always_inline)) void NAME(depth_tile)(
        const int stride, const int ragged, tail last, const cconv_depth *d, int outside,
        const REAL *x, const REAL *kernel, const REAL *bias, REAL *y, int relu) {
    const ptrdiff_t c = d->c, row = d->w * c, tap = d->tap;
    const int columns = (DEPTH_WIDE - 1) * stride + 3;
#define DECLARE(u, v) const vec k##u##v = GET(kernel + (3 * u + v) * tap);
    EACH_TAP(DECLARE)
#undef DECLARE
    vec a00 = {0}, a01 = {0}, a02 = {0}, a03 = {0}, a10 = {0}, a11 = {0}, a12 = {0}, a13 = {0};
#define ADD(o, t, r, q) { \
        const int u_ = (r) - (o) * stride, v_ = (q) - (t) * stride; \
        if (t < DEPTH_WIDE && u_ >= 0 && u_ < 3 && v_ >= 0 && v_ < 3) \
            a##o##t = FMA(x_, PICK(u_, v_), a##o##t); }
#define COLUMN(r, q) \
    if (q < columns && (q > 0 || !(outside & DEPTH_BEFORE)) && \
        (q < columns - 1 || !(outside & DEPTH_BEHIND))) { \
        const vec x_ = GET(p_ + q * c); \
        ADD(0, 0, r, q) ADD(0, 1, r, q) ADD(0, 2, r, q) ADD(0, 3, r, q) \
        ADD(1, 0, r, q) ADD(1, 1, r, q) ADD(1, 2, r, q) ADD(1, 3, r, q) }
#define ROW(r) if (r < stride + 3 && !(outside & DEPTH_ROW(r))) { \
        const REAL *p_ = x + r * row; \
        COLUMN(r, 0) COLUMN(r, 1) COLUMN(r, 2) COLUMN(r, 3) COLUMN(r, 4) \
        COLUMN(r, 5) COLUMN(r, 6) COLUMN(r, 7) COLUMN(r, 8) }
    ROW(0) ROW(1) ROW(2) ROW(3) ROW(4)
#undef ROW
#undef COLUMN
#undef ADD
    vec beta = {0};
    if (bias) beta = GET(bias);
#define FINISH(o, t) if (t < DEPTH_WIDE) { \
        REAL *p_ = y + o * d->row + t * d->column; \
        vec v_ = a##o##t; \
        if (bias) v_ += beta; \
        if (relu) v_ = RELU(v_); \
        PUT(p_, v_) }
    FINISH(0, 0) FINISH(0, 1) FINISH(0, 2) FINISH(0, 3)
    FINISH(1, 0) FINISH(1, 1) FINISH(1, 2) FINISH(1, 3)
#undef FINISH
}

/* The channels from <= k < to of a tile. */
#define TILE_CHANNELS(stride) \
    static __attribute__((noinline)) void NAME(depth_tile_##stride)( \
            const cconv_depth *d, int outside, ptrdiff_t from, ptrdiff_t to, const REAL *x, \
            const REAL *kernel, const REAL *bias, REAL *y, int relu) { \
        ptrdiff_t k = from; \
        for (; k + LANES <= to; k += LANES) \
            NAME(depth_tile)(stride, 0, TAIL(LANES), d, outside, x + k, kernel + k, \
                             bias ? bias + k : bias, y + k, relu); \
        if (k < to) \
            NAME(depth_tile)(stride, 1, TAIL(to - k), d, outside, x + k, kernel + k, \
                             bias ? bias + k : bias, y + k, relu); \
    }
TILE_CHANNELS(1)
TILE_CHANNELS(2)
#undef TILE_CHANNELS

/* `count` outputs of a row, which see the same taps (nu, nv), one vector of channels. */
static inline __attribute__((always_inline)) void NAME(depth_points)(
        const int count, const int ragged, tail last, const cconv_depth *d, ptrdiff_t nu,
        ptrdiff_t nv, const REAL *x, const REAL *kernel, const REAL *bias, REAL *y, int relu) {
    const ptrdiff_t step = d->sw * d->c, next = d->dw * d->c;
    vec a0 = {0}, a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
    for (ptrdiff_t u = 0; u < nu; u++) {
        const REAL *p = x + u * d->dh * d->w * d->c, *k = kernel + u * d->kw * d->tap;
        for (ptrdiff_t v = 0; v < nv; v++, p += next, k += d->tap) {
            const vec tap = GET(k);
#define ADD(t) if (t < count) a##t = FMA(GET(p + t * step), tap, a##t);
            ADD(0) ADD(1) ADD(2) ADD(3) ADD(4) ADD(5) ADD(6) ADD(7)
#undef ADD
        }
    }
    vec beta = {0};
    if (bias) beta = GET(bias);
#define FINISH(t) if (t < count) { \
        REAL *p_ = y + t * d->column; \
        if (bias) a##t += beta; \
        if (relu) a##t = RELU(a##t); \
        PUT(p_, a##t) }
    FINISH(0) FINISH(1) FINISH(2) FINISH(3) FINISH(4) FINISH(5) FINISH(6) FINISH(7)
#undef FINISH
}

/* `count` outputs (i, j), (i, j + 1), ... that see the same taps. */
#define POINTS(count) { \
    ptrdiff_t k = from; \
    for (; k + LANES <= to; k += LANES) \
        NAME(depth_points)(count, 0, TAIL(LANES), d, u1 - u0, v1 - v0, x + k, kernel + k, \
                           bias ? bias + k : bias, y + k, relu); \
    if (k < to) \
        NAME(depth_points)(count, 1, TAIL(to - k), d, u1 - u0, v1 - v0, x + k, kernel + k, \
                           bias ? bias + k : bias, y + k, relu); }
static __attribute__((noinline)) void NAME(depth_some)(
        int count, const cconv_depth *d, ptrdiff_t i, ptrdiff_t j, ptrdiff_t from, ptrdiff_t to,
        const REAL *x, const REAL *kernel, const REAL *bias, REAL *y, int relu) {
    const ptrdiff_t row = i * d->sh - d->top, column = j * d->sw - d->left;
    ptrdiff_t u0, u1, v0, v1;
    window_reach(row, d->h, d->kh, d->dh, &u0, &u1);
    window_reach(column, d->w, d->kw, d->dw, &v0, &v1);
    x += ((row + u0 * d->dh) * d->w + column + v0 * d->dw) * d->c;
    kernel += (u0 * d->kw + v0) * d->tap;
    y += i * d->row + j * d->column;
    if (count == 8) POINTS(8)
    else if (count == 4) POINTS(4)
    else POINTS(1)
}
#undef POINTS

/* `count` outputs of a row of a kernel `width` taps wide, one vector of channels; its rows 0 <= u < nu, and the
 * columns lo <= q < hi of x behind the first that it sees, are inside the image. */
static inline __attribute__((always_inline)) void NAME(depth_line)(
        const int width, const int count, const cconv_depth *d, ptrdiff_t nu,
        ptrdiff_t lo, ptrdiff_t hi, const REAL *x, const REAL *kernel, const REAL *bias, REAL *y, int relu) {
    const ptrdiff_t c = d->c;
    vec sums[8] = {{0}}, taps[7];
    for (ptrdiff_t u = 0; u < nu; u++) {
        const REAL *p = x + u * d->dh * d->w * c, *k = kernel + u * d->kw * d->tap;
        UNROLL for (int v = 0; v < width; v++) taps[v] = LOAD(k + v * d->tap);
        UNROLL for (int q = 0; q < count - 1 + width; q++, p += c) {
            if (q < lo || q >= hi) continue;
            const vec x_ = LOAD(p);
            UNROLL for (int t = 0; t < count; t++) {
                const int v = q - t;
                if (v >= 0 && v < width) sums[t] = FMA(x_, taps[v], sums[t]);
            }
        }
    }
    UNROLL for (int t = 0; t < count; t++) {
        if (bias) sums[t] += LOAD(bias);
        if (relu) sums[t] = RELU(sums[t]);
        STORE(y + t * d->column, sums[t]);
    }
}

/* The channels from <= k < to of such outputs, whole vectors. */
#define LINE(width, count) \
    static __attribute__((noinline)) void NAME(depth_line_##width##count)( \
            const cconv_depth *d, ptrdiff_t nu, ptrdiff_t lo, ptrdiff_t hi, ptrdiff_t from, ptrdiff_t to, \
            const REAL *x, const REAL *kernel, const REAL *bias, REAL *y, int relu) { \
        for (ptrdiff_t k = from; k < to; k += LANES) \
            NAME(depth_line)(width, count, d, nu, lo, hi, x + k, kernel + k, \
                             bias ? bias + k : bias, y + k, relu); \
    }
LINE(5, 8)
LINE(5, 4)
LINE(7, 8)
LINE(7, 4)
#undef LINE

static int NAME(depth_has_lines)(const cconv_depth *d) {
    return d->dw == 1 && d->sw == 1 && d->columns >= 4 && (d->kw == 5 || d->kw == 7);
}

/* The outputs of row i, channels from <= k < to, whole vectors; at least four outputs.  The last ones may be
 * computed twice: they get the same bits again. */
static void NAME(depth_lines)(const cconv_depth *d, ptrdiff_t i, ptrdiff_t from, ptrdiff_t to, const REAL *x,
                              const REAL *kernel, const REAL *bias, REAL *y, int relu) {
    const ptrdiff_t row = i * d->sh - d->top;
    const int count = d->columns >= 8 ? 8 : 4;
    ptrdiff_t u0, u1;
    window_reach(row, d->h, d->kh, d->dh, &u0, &u1);
    kernel += u0 * d->kw * d->tap;
    for (ptrdiff_t j = 0; j < d->columns; j += count) {
        if (j > d->columns - count) j = d->columns - count;
        const ptrdiff_t column = j - d->left;
        (d->kw == 7 ? (count == 8 ? NAME(depth_line_78) : NAME(depth_line_74))
                    : (count == 8 ? NAME(depth_line_58) : NAME(depth_line_54)))(
            d, u1 - u0, -column, d->w - column, from, to,
            x + ((row + u0 * d->dh) * d->w + column) * d->c, kernel, bias, y + i * d->row + j * d->column, relu);
    }
}

/* The outputs j0 <= j < j1 of row i, any kernel. */
static void NAME(depth_row)(const cconv_depth *d, ptrdiff_t i, ptrdiff_t j0, ptrdiff_t j1,
                            ptrdiff_t from, ptrdiff_t to, const REAL *x, const REAL *kernel,
                            const REAL *bias, REAL *y, int relu) {
    ptrdiff_t lo, hi;
    window_inner(d->w, d->kw, d->sw, d->left, d->dw, d->columns, 0, &lo, &hi);
    if (lo < j0) lo = j0;
    if (hi > j1) hi = j1;
    for (ptrdiff_t j = j0; j < j1;) {
        const ptrdiff_t left = j >= lo && j < hi ? hi - j : 1;
        int count = left >= 8 ? 8 : left >= 4 ? 4 : 1;
        if (left > 1 && left < 8 && hi - lo >= 8 && hi - 8 >= lo) j = hi - 8, count = 8;
        else if (left > 1 && left < 4 && hi - lo >= 4) j = hi - 4, count = 4;
        NAME(depth_some)(count, d, i, j, from, to, x, kernel, bias, y, relu);
        j += count;
    }
}

/* Rows i and i + 1, outputs lo <= j < hi, in tiles. */
static void NAME(depth_rows)(const cconv_depth *d, ptrdiff_t i, ptrdiff_t lo, ptrdiff_t hi,
                             ptrdiff_t from, ptrdiff_t to, const REAL *x, const REAL *kernel,
                             const REAL *bias, REAL *y, int relu) {
    const ptrdiff_t row = i * d->sh - d->top;
    const int stride = (int)d->sh, columns = (DEPTH_WIDE - 1) * stride + 3;
    int rows = 0;
    for (int r = 0; r < stride + 3; r++)
        if (row + r < 0 || row + r >= d->h) rows |= DEPTH_ROW(r);
    for (ptrdiff_t j = lo; j < hi; j += DEPTH_WIDE) {
        if (j > hi - DEPTH_WIDE) j = hi - DEPTH_WIDE;
        const ptrdiff_t column = j * stride - d->left;
        const int outside = rows | (column < 0 ? DEPTH_BEFORE : 0) |
                            (column + columns > d->w ? DEPTH_BEHIND : 0);
        (stride == 1 ? NAME(depth_tile_1) : NAME(depth_tile_2))(
            d, outside, from, to, x + (row * d->w + column) * d->c, kernel, bias,
            y + i * d->row + j * d->column, relu);
    }
}

static int NAME(depth_is_tiled)(const cconv_depth *d) {
    return d->kh == 3 && d->kw == 3 && d->dh == 1 && d->dw == 1 && d->sh == d->sw && d->sh <= 2;
}

static void NAME(depth_pass)(const cconv_depth *d, ptrdiff_t first, ptrdiff_t stop, ptrdiff_t from,
                             ptrdiff_t to, const void *x, const void *kernel, const void *bias,
                             void *y, int relu) {
    ptrdiff_t lo, hi, end;
    window_inner(d->w, d->kw, d->sw, d->left, d->dw, d->columns, 1, &lo, &hi);
    const int tiled = NAME(depth_is_tiled)(d) && stop - first >= 2 && hi - lo >= DEPTH_WIDE;
    const int lines = NAME(depth_has_lines)(d);
    for (; from < to; from = end) {
        end = to - from > DEPTH_CHANNELS ? from + DEPTH_CHANNELS : to;
        for (ptrdiff_t i = first; i < stop; i += 1 + tiled) {
            if (!tiled) {
                const ptrdiff_t whole = lines ? from + (end - from) / LANES * LANES : from;
                if (whole > from) NAME(depth_lines)(d, i, from, whole, x, kernel, bias, y, relu);
                if (whole < end) NAME(depth_row)(d, i, 0, d->columns, whole, end, x, kernel, bias, y, relu);
                continue;
            }
            if (i > stop - 2) i = stop - 2;
            NAME(depth_rows)(d, i, lo, hi, from, end, x, kernel, bias, y, relu);
            for (ptrdiff_t o = i; o < i + 2; o++) {
                NAME(depth_row)(d, o, 0, lo, from, end, x, kernel, bias, y, relu);
                NAME(depth_row)(d, o, hi, d->columns, from, end, x, kernel, bias, y, relu);
            }
        }
    }
}

/* ---- gradient of the weights ---- */

/* One vector of channels of a 3x3 kernel of this stride, over columns left <= j < right of some
 * rows.  Outputs lo <= j < hi reach over the image by one column at most, as in a tile. */
static inline __attribute__((always_inline)) void NAME(depth_sums)(
        const int stride, const int ragged, tail last, const cconv_depth *d, ptrdiff_t first,
        ptrdiff_t stop, ptrdiff_t left, ptrdiff_t right, ptrdiff_t lo, ptrdiff_t hi, const REAL *x,
        const REAL *dy, REAL *dkernel, REAL *dbias) {
    const ptrdiff_t c = d->c, row = d->w * c, tap = d->tap;
#define DECLARE(u, v) vec k##u##v = {0};
    EACH_TAP(DECLARE)
#undef DECLARE
    vec beta = {0};
    for (ptrdiff_t i = first; i < stop; i++) {
        const ptrdiff_t r = i * stride - d->top;
        int rows = 0;
        for (int u = 0; u < 3; u++)
            if (r + u < 0 || r + u >= d->h) rows |= 1 << u;
        for (ptrdiff_t j = left; j < right;) {
            const ptrdiff_t q = j * stride - d->left;
            const REAL *p = x + r * row + q * c, *e = dy + (i * d->columns + j) * c;
#define ADD(u, v, n, q) { \
        const int t_ = (q) - v; \
        if (t_ >= 0 && t_ % stride == 0 && t_ / stride < n) \
            k##u##v = FMA(x_, t_ < stride ? e0 : t_ < 2 * stride ? e1 : t_ < 3 * stride ? e2 : e3, \
                          k##u##v); }
#define COLUMN(u, n, q) \
    if (q < (n - 1) * stride + 3 && !(q == 0 && outside & DEPTH_BEFORE) && \
        !(q == (n - 1) * stride + 2 && outside & DEPTH_BEHIND) && \
        !(n == 1 && q == 1 && outside & DEPTH_ROW(0))) { \
        const vec x_ = GET(p_ + q * c); \
        ADD(u, 0, n, q) ADD(u, 1, n, q) ADD(u, 2, n, q) }
#define ROW(u, n) if (!(rows & 1 << u)) { \
        const REAL *p_ = p + u * row; \
        COLUMN(u, n, 0) COLUMN(u, n, 1) COLUMN(u, n, 2) COLUMN(u, n, 3) COLUMN(u, n, 4) \
        COLUMN(u, n, 5) COLUMN(u, n, 6) COLUMN(u, n, 7) COLUMN(u, n, 8) }
            if (j >= lo && j + 4 <= hi && j + 4 <= right) {
                const int outside = (q < 0 ? DEPTH_BEFORE : 0) |
                                    (q + 3 * stride + 2 >= d->w ? DEPTH_BEHIND : 0);
                const vec e0 = GET(e), e1 = GET(e + c), e2 = GET(e + 2 * c), e3 = GET(e + 3 * c);
                ROW(0, 4) ROW(1, 4) ROW(2, 4)
                beta += (e0 + e1) + (e2 + e3);
                j += 4;
            } else { /* one output, whose middle column may be outside too */
                const int outside = (q < 0 || q >= d->w ? DEPTH_BEFORE : 0) |
                                    (q + 2 < 0 || q + 2 >= d->w ? DEPTH_BEHIND : 0) |
                                    (q + 1 < 0 || q + 1 >= d->w ? DEPTH_ROW(0) : 0);
                const vec e0 = GET(e), e1 = e0, e2 = e0, e3 = e0;
                ROW(0, 1) ROW(1, 1) ROW(2, 1)
                beta += e0;
                j++;
            }
#undef ROW
#undef COLUMN
#undef ADD
        }
    }
#define ADD_TAP(u, v) GIVE(dkernel + (3 * u + v) * tap, k##u##v)
    EACH_TAP(ADD_TAP)
#undef ADD_TAP
    GIVE(dbias, beta)
}

/* `count` taps (u, v), (u, v + 1), ... of any kernel, one vector of channels, over columns left <= j
 * < right of some rows. */
static inline __attribute__((always_inline)) void NAME(depth_taps)(
        const int count, const int ragged, tail last, const cconv_depth *d, ptrdiff_t first,
        ptrdiff_t stop, ptrdiff_t left, ptrdiff_t right, ptrdiff_t u, ptrdiff_t v, const REAL *x,
        const REAL *dy, REAL *dkernel) {
    const ptrdiff_t c = d->c, next = d->dw * c, origin = v * d->dw - d->left;
    ptrdiff_t lo, hi;
    window_inner(d->w, count, d->sw, -origin, d->dw, d->columns, 0, &lo, &hi);
    dkernel += (u * d->kw + v) * d->tap;
    vec k0 = {0}, k1 = {0}, k2 = {0}, k3 = {0};
    for (ptrdiff_t i = first; i < stop; i++) {
        const ptrdiff_t r = i * d->sh - d->top + u * d->dh;
        if (r < 0 || r >= d->h) continue;
        for (ptrdiff_t j = left; j < right; j++) {
            const ptrdiff_t q = j * d->sw + origin;
            const REAL *p = x + (r * d->w + q) * c;
            const vec e = GET(dy + (i * d->columns + j) * c);
            const int inside = j >= lo && j < hi;
#define ADD(t) \
    if (t < count && (inside || (q + t * d->dw >= 0 && q + t * d->dw < d->w))) \
        k##t = FMA(GET(p + t * next), e, k##t);
            ADD(0) ADD(1) ADD(2) ADD(3)
#undef ADD
        }
    }
    GIVE(dkernel, k0)
    if (count > 1) GIVE(dkernel + d->tap, k1)
    if (count > 2) GIVE(dkernel + 2 * d->tap, k2)
    if (count > 2) GIVE(dkernel + 3 * d->tap, k3)
}

/* One vector of channels of any kernel, over columns left <= j < right of some rows. */
static inline __attribute__((always_inline)) void NAME(depth_any_sums)(
        const int ragged, tail last, const cconv_depth *d, ptrdiff_t first, ptrdiff_t stop,
        ptrdiff_t left, ptrdiff_t right, const REAL *x, const REAL *dy, REAL *dkernel,
        REAL *dbias) {
    for (ptrdiff_t u = 0; u < d->kh; u++) {
        ptrdiff_t v = 0;
#define SOME_TAPS(n) NAME(depth_taps)(n, ragged, last, d, first, stop, left, right, u, v, x, dy, dkernel)
        for (; v + 4 <= d->kw; v += 4) SOME_TAPS(4);
        if (v + 2 <= d->kw) {
            SOME_TAPS(2);
            v += 2;
        }
        if (v < d->kw) SOME_TAPS(1);
#undef SOME_TAPS
    }
    vec beta = {0};
    for (ptrdiff_t i = first; i < stop; i++) {
        const REAL *e = dy + (i * d->columns + left) * d->c;
        ptrdiff_t j = left;
        for (; j + 4 <= right; j += 4, e += 4 * d->c)
            beta += (GET(e) + GET(e + d->c)) + (GET(e + 2 * d->c) + GET(e + 3 * d->c));
        for (; j < right; j++, e += d->c) beta += GET(e);
    }
    GIVE(dbias, beta)
}

#define SUMS(ragged, last) { \
    if (!tiled) \
        NAME(depth_any_sums)(ragged, last, d, first, stop, left, right, x + k, dy + k, \
                             dkernel + k, dbias + k); \
    else if (d->sh == 1) \
        NAME(depth_sums)(1, ragged, last, d, first, stop, left, right, lo, hi, x + k, dy + k, \
                         dkernel + k, dbias + k); \
    else \
        NAME(depth_sums)(2, ragged, last, d, first, stop, left, right, lo, hi, x + k, dy + k, \
                         dkernel + k, dbias + k); }
static void NAME(depth_gradient)(const cconv_depth *d, ptrdiff_t first, ptrdiff_t stop,
                                 ptrdiff_t left, ptrdiff_t right, ptrdiff_t from, ptrdiff_t to,
                                 const void *images, const void *gradients, void *kernels,
                                 void *biases) {
    const REAL *x = images, *dy = gradients;
    REAL *dkernel = kernels, *dbias = biases;
    const int tiled = NAME(depth_is_tiled)(d);
    ptrdiff_t lo, hi, k = from;
    window_inner(d->w, d->kw, d->sw, d->left, d->dw, d->columns, 1, &lo, &hi);
    for (; k + LANES <= to; k += LANES) SUMS(0, TAIL(LANES))
    if (k < to) SUMS(1, TAIL(to - k))
}
#undef SUMS
#undef EACH_TAP
#undef PICK
#undef GET
#undef PUT
#undef GIVE

static const cconv_depthwise NAME(depthwise) = {NAME(depth_pass), NAME(depth_gradient)};
