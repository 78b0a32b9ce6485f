/* lanes/kernels.h: convolutions with few filters, across images.
 *
 * With 6 filters a vector along the filters is mostly empty.  Here the lanes of a vector are the
 * images of a group: each value of x is a vector, each weight a broadcast scalar, and every lane is
 * used, whatever the sizes of the image.  x is transposed to (pixels, channels, images), and y back.
 *
 * Every output is the sum of product/product.h, cut into the same chains in the same order u, v, channel,
 * with the bias added to the last one: both give the same bits. */
#include "window.h"
#include "product/chains.h"

#undef GROUP
#define GROUP ((ptrdiff_t)(CCONV_GROUP_BYTES / sizeof(REAL)))

static void NAME(lanes_gather)(ptrdiff_t count, ptrdiff_t image, ptrdiff_t n, const void *images,
                               void *to) {
    const REAL *x = images;
    REAL *group = to;
    for (ptrdiff_t e = 0; e < n; e += LANES) {
        const ptrdiff_t here = n - e < LANES ? n - e : LANES;
        const tail last = TAIL(here);
        for (ptrdiff_t first = 0; first < GROUP; first += LANES) {
            vec a[LANES];
            for (ptrdiff_t i = 0; i < LANES; i++) {
                const REAL *p = x + (first + i) * image + e;
                if (first + i >= count) a[i] = (vec){0};
                else if (here < LANES) a[i] = LOAD_TAIL(p, last);
                else a[i] = LOAD(p);
            }
            NAME(transpose)(a);
            for (ptrdiff_t i = 0; i < LANES; i++)
                if (i < here) STORE(group + (e + i) * GROUP + first, a[i]);
        }
    }
}

static void NAME(lanes_scatter)(ptrdiff_t count, ptrdiff_t image, ptrdiff_t n, const void *from,
                                void *images) {
    const REAL *group = from;
    REAL *y = images;
    for (ptrdiff_t e = 0; e < n; e += LANES) {
        const ptrdiff_t here = n - e < LANES ? n - e : LANES;
        const tail last = TAIL(here);
        for (ptrdiff_t first = 0; first < GROUP; first += LANES) {
            vec a[LANES];
            for (ptrdiff_t i = 0; i < LANES; i++)
                a[i] = i < here ? LOAD(group + (e + i) * GROUP + first) : (vec){0};
            NAME(transpose)(a);
            for (ptrdiff_t i = 0; i < LANES; i++) {
                REAL *p = y + (first + i) * image + e;
                if (first + i >= count) continue;
                if (here < LANES) { STORE_TAIL(p, last, a[i]); }
                else { STORE(p, a[i]); }
            }
        }
    }
}

/* ---- outputs ---- */

/* Outputs of a row that are in registers, with n filters. */
#undef LANES_WIDE
#if defined(ISA_AVX512) || defined(__aarch64__)
#define LANES_WIDE(n) ((n) <= 6 ? 4 : 3)
#else
#define LANES_WIDE(n) ((n) <= 4 ? 3 : (n) <= 6 ? 2 : 1)
#endif

#undef EACH_FILTER
#define EACH_FILTER(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* The sum over all taps, as _passes.pxd describes it for the tiles, without what an output does not see
 * of it: it sees the taps from (u0, v0) to (u1, v1). */
static inline cconv_sum NAME(lanes_sum)(const cconv_lanes_shape *d, ptrdiff_t u0, ptrdiff_t u1,
                                        ptrdiff_t v0, ptrdiff_t v1) {
    const ptrdiff_t pixel = d->c * GROUP, taps = d->c * d->f;
    const int runs = d->dw == 1; /* the taps of a kernel row are one run */
    cconv_sum s = {d->kh, runs ? 1 : d->kw, runs ? d->kw * d->c : d->c,
                   .aq = d->dh * d->w * pixel, .ar = d->dw * pixel, .ak = GROUP,
                   .bq = d->kw * taps, .br = taps, .bk = d->f};
    cconv_cut(&s);
    s.q = u1 - u0, s.q0 = u0;
    if (runs) s.k = (v1 - v0) * d->c, s.k0 = v0 * d->c;
    else s.r = v1 - v0, s.r0 = v0;
    return s;
}

/* One chain of `count` outputs, `step` apart in x, for one vector of images.  `add`: to y. */
static inline __attribute__((always_inline)) void NAME(lanes_points)(
        const int f, const int count, const cconv_lanes_shape *d, const cconv_sum *s, const REAL *x,
        const REAL *kernel, const REAL *bias, REAL *y, int relu, int add) {
    const ptrdiff_t step = d->sw * d->c * GROUP;
#define DECLARE(i) vec a##i##0 = {0}, a##i##1 = {0}, a##i##2 = {0}, a##i##3 = {0};
    EACH_FILTER(DECLARE)
#undef DECLARE
    for (ptrdiff_t q = 0; q < s->q; q++) {
        for (ptrdiff_t r = 0; r < s->r; r++) {
            const REAL *p = x + q * s->aq + r * s->ar, *k = kernel + q * s->bq + r * s->br;
            for (ptrdiff_t left = s->k; left > 0; left--, p += GROUP, k += f) {
                const vec x0 = LOAD(p);
                vec x1 = x0, x2 = x0, x3 = x0;
                if (count > 1) x1 = LOAD(p + step);
                if (count > 2) x2 = LOAD(p + 2 * step);
                if (count > 3) x3 = LOAD(p + 3 * step);
#define ADD(i) if (i < f) { \
                    const vec s_ = SPLAT(k[i]); \
                    a##i##0 = FMA(x0, s_, a##i##0); \
                    if (count > 1) a##i##1 = FMA(x1, s_, a##i##1); \
                    if (count > 2) a##i##2 = FMA(x2, s_, a##i##2); \
                    if (count > 3) a##i##3 = FMA(x3, s_, a##i##3); }
                EACH_FILTER(ADD)
#undef ADD
            }
        }
    }
    if (add) {
#define ADD_OLD(i, t) if (t < count) a##i##t += LOAD(y + (t * f + i) * GROUP);
#define ADD_OLD_FILTER(i) if (i < f) { ADD_OLD(i, 0) ADD_OLD(i, 1) ADD_OLD(i, 2) ADD_OLD(i, 3) }
        EACH_FILTER(ADD_OLD_FILTER)
#undef ADD_OLD_FILTER
#undef ADD_OLD
    }
#define FINISH(i, t) if (t < count) { \
        if (bias) a##i##t += beta_; \
        if (relu) a##i##t = RELU(a##i##t); \
        STORE(y + (t * f + i) * GROUP, a##i##t); }
#define FINISH_FILTER(i) if (i < f) { \
        const vec beta_ = bias ? SPLAT(bias[i]) : (vec){0}; \
        FINISH(i, 0) FINISH(i, 1) FINISH(i, 2) FINISH(i, 3) }
    EACH_FILTER(FINISH_FILTER)
#undef FINISH_FILTER
#undef FINISH
}

#define POINTS(f) \
    static __attribute__((noinline)) void NAME(lanes_one_##f)( \
            const cconv_lanes_shape *d, const cconv_sum *s, const REAL *x, const REAL *kernel, \
            const REAL *bias, REAL *y, int relu, int add) { \
        for (ptrdiff_t g = 0; g < GROUP; g += LANES) \
            NAME(lanes_points)(f, 1, d, s, x + g, kernel, bias, y + g, relu, add); \
    } \
    static __attribute__((noinline)) void NAME(lanes_some_##f)( \
            const cconv_lanes_shape *d, const cconv_sum *s, const REAL *x, const REAL *kernel, \
            const REAL *bias, REAL *y, int relu, int add) { \
        for (ptrdiff_t g = 0; g < GROUP; g += LANES) \
            NAME(lanes_points)(f, LANES_WIDE(f), d, s, x + g, kernel, bias, y + g, relu, add); \
    }
POINTS(1) POINTS(2) POINTS(3) POINTS(4) POINTS(5) POINTS(6) POINTS(7) POINTS(8)
#undef POINTS

typedef void (*NAME(lanes_function))(const cconv_lanes_shape *, const cconv_sum *, const REAL *,
                                     const REAL *, const REAL *, REAL *, int, int);
#define OF(f) {NAME(lanes_one_##f), NAME(lanes_some_##f)}
static const NAME(lanes_function) NAME(lanes_functions)[8][2] = {OF(1), OF(2), OF(3), OF(4),
                                                                 OF(5), OF(6), OF(7), OF(8)};
#undef OF

/* The sum s, chain by chain. */
static inline void NAME(lanes_chains)(NAME(lanes_function) points, const cconv_lanes_shape *d,
                                      const cconv_sum *s, const REAL *x, const REAL *kernel,
                                      const REAL *bias, REAL *y, int relu) {
    if (cconv_is_one_chain(s)) {
        points(d, s, x, kernel, bias, y, relu, 0);
        return;
    }
    for (cconv_chain c = cconv_first_chain(s);; cconv_next_chain(s, &c)) {
        points(d, &c.part, x + c.q * s->aq + c.r * s->ar + c.k * s->ak,
               kernel + c.q * s->bq + c.r * s->br + c.k * s->bk, c.last ? bias : NULL, y,
               c.last && relu, !c.first);
        if (c.last) return;
    }
}

static void NAME(lanes_row)(const cconv_lanes_shape *d, ptrdiff_t i, ptrdiff_t first, const void *group,
                            const void *kernel_, const void *biases, void *to, int relu) {
    const REAL *x = group, *kernel = kernel_;
    REAL *y = to;
    const ptrdiff_t row = i * d->sh - d->top, wide = LANES_WIDE(d->f);
    ptrdiff_t lo, hi, u0, u1, v0, v1, seen0 = -1, seen1 = -1; /* columns of taps that the sum s sees */
    cconv_sum s;
    window_inner(d->w, d->kw, d->sw, d->left, d->dw, d->columns, 0, &lo, &hi);
    window_reach(row, d->h, d->kh, d->dh, &u0, &u1);
    for (ptrdiff_t j = 0; j < d->columns;) {
        /* Where fewer are left, start earlier: some outputs get the same bits again. */
        const int some = j >= lo && j < hi && hi - lo >= wide;
        if (some && j > hi - wide) j = hi - wide;
        const ptrdiff_t column = j * d->sw - d->left;
        window_reach(column, d->w, d->kw, d->dw, &v0, &v1);
        const REAL *from = x + ((row + u0 * d->dh - first) * d->w + column + v0 * d->dw) * d->c * GROUP;
        const REAL *weights = kernel + (u0 * d->kw + v0) * d->c * d->f;
        if (v0 != seen0 || v1 != seen1) {
            seen0 = v0, seen1 = v1;
            s = NAME(lanes_sum)(d, u0, u1, v0, v1);
        }
        NAME(lanes_chains)(NAME(lanes_functions)[d->f - 1][some], d, &s, from, weights, biases,
                           y + j * d->f * GROUP, relu);
        j += some ? wide : 1;
    }
}

static const cconv_lanes NAME(lanes_table) = {NAME(lanes_gather), NAME(lanes_scatter), NAME(lanes_row)};
