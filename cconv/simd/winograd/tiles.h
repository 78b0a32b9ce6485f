/* winograd/tiles.h: the transforms of Winograd's minimal filtering F(out x out, taps x taps) and of its
 * weight gradient F(taps x taps, out x out), vectorised over channels.
 *
 *   y  = A^T [(G g G^T) * (B^T d B)] A       a tile d of the input, out + taps - 1 wide, a kernel g
 *   dg = P^T [(Q e Q^T) * (B^T d B)] P       a tile e of dy, out wide
 *   d' = B [(G g G^T) * (Q e Q^T)] B^T       what e gives to the gradient of d
 *
 * (Winograd 1980; Lavin & Gray 2016, "Fast algorithms for convolutional neural networks").  With
 * the matrices of winograd/points.h, V_k of k powers: A = Q = V_out, and G = P = V_taps with each
 * row divided by N(p).
 *
 *                     products for those of the sum itself
 *   F(4x4, 3x3)       36 for 144
 *   F(2x2, 3x3)       16 for 36
 *   F(3x3, 2x2)       16 for 36
 *
 * Every channel goes through the same operations in the same order, so the width of a vector
 * changes nothing. */
#include "winograd/points.h"
#include "winograd/range.h"

/* Calls body(ragged) for each vector of channels from c on, with the load and store that fit. */
#define EACH_VECTOR(channels, body) EACH_VECTOR_FROM(0, channels, body)
#define EACH_VECTOR_FROM(first, channels, body) \
    { \
        ptrdiff_t c = (first); \
        tail last = TAIL(LANES); \
        for (; c + LANES <= (channels); c += LANES) body(0) \
        if (c < (channels)) { \
            last = TAIL((channels) - c); \
            body(1) \
        } \
    }

/* Hides from the compiler that the stride is the same for every vector.  Otherwise it computes the address
 * of each of a tile's values once and keeps all of them in memory. */
#define OPAQUE(stride) __asm__("" : "+r"(stride));
#define TAKE(p, ragged) ((ragged) ? LOAD_TAIL((p), last) : LOAD(p))
#define GIVE(p, v, ragged) { if (ragged) { STORE_TAIL((p), last, (v)); } else { STORE((p), (v)); } }

/* Where the values of a tile come from; constant wherever the functions below are inlined. */
#undef WHOLE
#undef CLIPPED
#undef POOLED
#define WHOLE 0   /* the image; all of the tile is inside */
#define CLIPPED 1 /* the image; what is outside is zero */
#define POOLED 2  /* the pooled gradient, each value at the place that argmax names */

/* A tile that is not whole, as a patch: row i, column j at SPOT(i, j).  It has a margin for the
 * windows of pooling that reach over the edge of the tile. */
#undef SPOT
#define SPOT(i, j) (((i) + 1) * 8 + (j) + 1)

INLINE void NAME(clipped_patch)(const int size, const int ragged, tail last, const cconv_tile *t,
                                const REAL *x, vec *patch) {
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            vec value = {0};
            if (i >= t->r0 && i < t->r1 && j >= t->c0 && j < t->c1)
                value = TAKE(x + i * t->row + j * t->column, ragged);
            patch[SPOT(i, j)] = value;
        }
}

INLINE void NAME(pooled_patch)(const int size, const int ragged, tail last, ptrdiff_t lanes,
                               const cconv_tile *t, const REAL *x, const uint8_t *argmax,
                               vec *patch) {
    const vec zero = {0};
    /* The first window begins in the tile's first row, or in the row before it. */
    const ptrdiff_t top = t->r0 & 1 ? -1 : 0, left = t->c0 & 1 ? -1 : 0;
    for (ptrdiff_t i = top, from = 0; i < size; i += 2, from += t->row)
        for (ptrdiff_t j = left, at = from; j < size; j += 2, at += t->column) {
            vec value = {0};
            ivec place = {0};
            if (i >= t->r0 && i < t->r1 && j >= t->c0 && j < t->c1) {
                __builtin_prefetch(x + at + size / 2 * t->column); /* the next tile's */
                __builtin_prefetch(argmax + at + size / 2 * t->column);
                value = TAKE(x + at, ragged);
                place = NAME(load_bytes)(argmax + at, lanes);
            }
            UNROLL for (int k = 0; k < 4; k++)
                patch[SPOT(i + k / 2, j + k % 2)] = BLEND(IEQ(place, (ivec){0} + k), value, zero);
        }
}

/* A tile of `size` pixels a side as it is, (size, size, channels), zeros outside the image. */
static void NAME(winograd_patch)(const cconv_tile *t, int size, const void *x, void *to) {
#define BODY(ragged) { \
        vec patch[64]; \
        REAL *const into = (REAL *)to + c; \
        if (t->argmax) \
            NAME(pooled_patch)(size, ragged, last, ragged ? t->channels - c : LANES, t, \
                               (const REAL *)x + c, t->argmax + c, patch); \
        else NAME(clipped_patch)(size, ragged, last, t, (const REAL *)x + c, patch); \
        for (int i = 0; i < size; i++) \
            for (int j = 0; j < size; j++) \
                GIVE(into + (i * size + j) * t->channels, patch[SPOT(i, j)], ragged) \
    }
    EACH_VECTOR(t->channels, BODY)
#undef BODY
}

/* Fills the patch of a tile that is not whole, for the vector of channels from c on. */
#define PATCH(size, ragged) \
    if (source == CLIPPED) NAME(clipped_patch)(size, ragged, last, t, x + c, patch); \
    if (source == POOLED) \
        NAME(pooled_patch)(size, ragged, last, ragged ? t->channels - c : LANES, t, x + c, \
                           t->argmax + c, patch);
/* Row i, column j of the tile; `from` is where the column of the image begins. */
#define AT(i, j, ragged) \
    (source == WHOLE ? TAKE(from + (i) * row, ragged) : patch[SPOT(i, j)])

/* A tile of the input -> (n^2, channels).  x is where row 0, column 0 of the tile would lie.  The
 * columns are transformed for two rows of the result at a time: reading the tile again is cheaper
 * than keeping all of it in memory between two passes.
 *
 * Returns what the glance tells.  The tile's cells, 2x2 pixels each: all outputs in a quarter of the tile see
 * the same four pixels in the middle.  The outputs of a 2x2 tile all see the same four: one cell. */
INLINE int NAME(input_to_points)(const int out, const int n, const int source,
                                  const cconv_tile *t, const REAL *x, REAL *v) {
#define CELL(i, j) \
        ((i) < 1 || (i) > out || (j) < 1 || (j) > out ? 4 + (j) % 2 \
         : out == 2 ? 0 : ((i) > out / 2) * 2 + ((j) > out / 2))
#define PUT_ROW(i, r, ragged) \
        point = t->point; \
        OPAQUE(point) \
        to = v + (i) * n * point + c; \
        UNROLL for (int p = 0; p < n / 2; p++) { \
            vec w0, w1; \
            NAME(wino_input)(n, p, r, &w0, &w1); \
            GIVE(to + WINOGRAD_ONE(p) * point, w0, ragged) \
            GIVE(to + WINOGRAD_OTHER(p, n) * point, w1, ragged) \
        }
#define BODY(ragged) { \
        vec patch[64], part[6] = {{0}}; \
        REAL *to; \
        ptrdiff_t point; \
        PATCH(n, ragged) \
        UNROLL for (int pair = 0; pair < n / 2; pair++) { \
            vec r[6], q[6]; \
            ptrdiff_t row = t->row; \
            OPAQUE(row) \
            UNROLL for (int j = 0; j < n; j++) { \
                vec d[6]; \
                const REAL *from = x + j * t->column + c; \
                UNROLL for (int i = 0; i < n; i++) d[i] = AT(i, j, ragged); \
                if (pair == 0) \
                    UNROLL for (int i = 0; i < n; i++) \
                        part[CELL(i, j)] = FMA(d[i], d[i], part[CELL(i, j)]); \
                if (source == WHOLE && pair == 0 && j >= n - out) /* what only the next tile has */ \
                    UNROLL for (int i = n - out; i < n; i++) \
                        __builtin_prefetch(from + i * row + out * t->column); \
                NAME(wino_input)(n, pair, d, r + j, q + j); \
            } \
            PUT_ROW(WINOGRAD_ONE(pair), r, ragged) \
            PUT_ROW(WINOGRAD_OTHER(pair, n), q, ragged) \
        } \
        UNROLL for (int k = 0; k < 4; k++) cell[k] += part[k]; \
        cell[4] += ((part[0] + part[1]) + (part[2] + part[3])) + (part[4] + part[5]); \
    }
    vec cell[5] = {{0}};
    EACH_VECTOR(t->channels, BODY)
#undef BODY
#undef PUT_ROW
#undef CELL
    return NAME(wino_glance)(cell, 4, t);
}

/* The cells of a tile of dy are the corners of its part inside the image: every pixel of x that sees any of
 * the tile sees one of them.  This function is for a tile that is whole. */
INLINE void NAME(wino_corners)(const int out, const cconv_tile *t, const REAL *x, vec *cell) {
    for (ptrdiff_t c = 0; c < t->channels; c += LANES)
        UNROLL for (int k = 0; k < 4; k++) {
            const REAL *from = x + (k / 2 * t->row + k % 2 * t->column) * (out - 1) + c;
            const vec d = t->channels - c >= LANES ? LOAD(from)
                                                   : LOAD_TAIL(from, TAIL(t->channels - c));
            cell[k] = FMA(d, d, cell[k]);
        }
}

/* A tile of dy -> (n^2, channels).  Returns what the glance tells. */
INLINE int NAME(gradient_to_points)(const int out, const int n, const int source,
                                    const cconv_tile *t, const REAL *x, REAL *w, REAL *dbias) {
#define BODY(ragged) { \
        vec patch[64], half[24], sum = {0}, part[2] = {{0}}; \
        PATCH(out, ragged) \
        ptrdiff_t row = t->row, across = t->column, point = t->point; \
        OPAQUE(row) \
        OPAQUE(across) \
        OPAQUE(point) \
        const REAL *from = x + c; \
        UNROLL for (int j = 0; j < out; j++, from += across) { \
            vec d[4], to[6], column; \
            UNROLL for (int i = 0; i < out; i++) { \
                if (source == WHOLE) \
                    __builtin_prefetch(from + i * row + out * across); \
                d[i] = AT(i, j, ragged); \
                part[i % 2] = FMA(d[i], d[i], part[i % 2]); \
                if (i) column += d[i]; \
                else column = d[i]; \
            } \
            sum += column; \
            NAME(wino_powers)(n, out, d, to); \
            UNROLL for (int i = 0; i < n; i++) half[i * out + j] = to[i]; \
        } \
        UNROLL for (int i = 0; i < n; i++) { \
            vec to[6]; \
            NAME(wino_powers)(n, out, half + i * out, to); \
            UNROLL for (int j = 0; j < n; j++) GIVE(w + (i * n + j) * point + c, to[j], ragged) \
        } \
        if (dbias) GIVE(dbias + c, TAKE(dbias + c, ragged) + sum, ragged) \
        cell[4] += part[0] + part[1]; \
        if (source != WHOLE && !t->squares) \
            for (int k = 0; k < 4; k++) { \
                const vec d = patch[SPOT(k / 2 * bottom, k % 2 * right)]; \
                cell[k] = FMA(d, d, cell[k]); \
            } \
    }
    const ptrdiff_t bottom = t->r1 < 1 ? 0 : t->r1 < out ? t->r1 - 1 : out - 1;
    const ptrdiff_t right = t->c1 < 1 ? 0 : t->c1 < out ? t->c1 - 1 : out - 1;
    vec cell[5] = {{0}};
    EACH_VECTOR(t->channels, BODY)
#undef BODY
    if (source == WHOLE && !t->squares) NAME(wino_corners)(out, t, x, cell);
    return NAME(wino_glance)(cell, 1, t);
}
#undef PATCH
#undef AT

/* Replaces the sums of row i (`count` of them) that are given. */
#undef GIVEN
#define GIVEN(i, count, row, ragged) \
    if (t->weak) \
        UNROLL for (int j = 0; j < count; j++) { \
            if (t->empty >> ((i) * count + j) & 1) row[j] = (vec){0}; \
            else if (t->weak >> ((i) * count + j) & 1) \
                row[j] = TAKE((const REAL *)t->given + ((i) * count + j) * t->channels + c, ragged); \
        }

/* Pools the windows of two rows of a tile, LANES channels each; y, argmax: of the first window. */
INLINE void NAME(pool_rows)(const int out, const int ragged, tail last, ptrdiff_t lanes,
                            const cconv_tile *t, const vec *upper, const vec *lower, int relu,
                            REAL *y, uint8_t *argmax) {
    UNROLL for (int j = 0; j + 1 < out; j += 2) {
        if (j >= t->c1) break;
        const vec value[4] = {upper[j], upper[j + 1], lower[j], lower[j + 1]};
        vec best = value[0];
        ivec place = {0};
        UNROLL for (int k = 1; k < 4; k++) { /* as max pooling does: pooling/windows.h */
            const mask stay = OR(LE(value[k], best), NAN_(best));
            best = BLEND(stay, best, value[k]);
            place = (ivec)BLEND(stay, (vec)place, (vec)((ivec){0} + k));
        }
        if (relu) place = (ivec)BLEND(LT((vec){0}, best), (vec)place, (vec)((ivec){0} + 255));
        GIVE(y + j / 2 * t->column, best, ragged)
        NAME(store_bytes)(argmax + j / 2 * t->column, lanes, place);
    }
}

/* m (n^2, channels) -> y (out, out, channels), the part inside, or its pooled form. */
INLINE void NAME(points_to_output)(const int out, const int n, const int pooled,
                                   const cconv_tile *t, const REAL *m, REAL *y, const REAL *bias,
                                   int relu) {
    const vec low = SPLAT(relu ? 0 : -INFINITY_);
    const ptrdiff_t ahead = out * t->column; /* to the next tile, which is prefetched meanwhile */
#define BODY(ragged) { \
        vec half[24], row[2][4], b = {0}; \
        if (bias) b = TAKE(bias + c, ragged); \
        ptrdiff_t point = t->point; \
        OPAQUE(point) \
        UNROLL for (int j = 0; j < n; j++) { \
            vec d[6], to[4]; \
            const REAL *from = m + j * point + c; \
            UNROLL for (int i = 0; i < n; i++) d[i] = TAKE(from + i * n * point, ragged); \
            NAME(wino_sums)(n, out, d, to); \
            UNROLL for (int i = 0; i < out; i++) half[i * n + j] = to[i]; \
        } \
        UNROLL for (int i = 0; i < out; i++) { \
            if (i >= t->r1) break; \
            NAME(wino_sums)(n, out, half + i * n, row[i % 2]); \
            GIVEN(i, out, row[i % 2], ragged) \
            UNROLL for (int j = 0; j < out; j++) row[i % 2][j] = MAX2(low, row[i % 2][j] + b); \
            if (!pooled) { \
                UNROLL for (int j = 0; j < out; j++) { \
                    if (j >= t->c1) break; \
                    const ptrdiff_t at = i * t->row + j * t->column + c; \
                    vec value = row[i % 2][j]; \
                    if (t->positive) { \
                        const REAL *gave = (const REAL *)t->positive + at; \
                        __builtin_prefetch(gave + ahead); \
                        value = BLEND(LT((vec){0}, TAKE(gave, ragged)), value, (vec){0}); \
                    } \
                    __builtin_prefetch(y + at + ahead, 1); \
                    GIVE(y + at, value, ragged) \
                } \
            } else if (i % 2) { \
                NAME(pool_rows)(out, ragged, last, ragged ? t->channels - c : LANES, t, row[0], \
                                row[1], relu, y + i / 2 * t->row + c, \
                                t->argmax + i / 2 * t->row + c); \
            } \
        } \
    }
    EACH_VECTOR(t->channels, BODY)
#undef BODY
}

/* m (n^2, channels) -> what one tile of dy adds to x (n, n, channels), the part inside; the shares of
 * neighbours add up.  Every value is (the tiles of the upper row) + (the tiles of the lower row), each sum
 * from left to right, whichever row comes first.  Zeros are positive, so that tiles of zeros may be left
 * out.  Channels from `first` on.  whole: all pixels of the tile are inside the image, and no sum is given;
 * channels that do not fill a vector are left out. */
INLINE void NAME(points_to_input)(const int out, const int n, const int whole, const cconv_tile *t,
                                  const cconv_seam *s, const REAL *m, REAL *x, ptrdiff_t first) {
    const int over = n - out, begins = s->first, ends = s->last, add = s->add;
    const ptrdiff_t r0 = whole ? 0 : t->r0, r1 = whole ? n : t->r1, c0 = whole ? 0 : t->c0;
    const ptrdiff_t stop = ends ? n : out, end = whole || t->c1 >= stop ? stop : t->c1;
    const ptrdiff_t ahead = out * t->column; /* to the next tile, which is prefetched meanwhile */
    const ptrdiff_t channels = t->channels;
    const REAL *const positive = t->positive;
    REAL *const top = s->top, *const carry = s->carry;
#define BODY(ragged) { \
        vec half[36]; \
        ptrdiff_t point = t->point, down = t->row, column = t->column; \
        OPAQUE(point) \
        OPAQUE(down) \
        OPAQUE(column) \
        UNROLL for (int j = 0; j < n; j++) { \
            vec d[6], to[6]; \
            const REAL *from = m + j * point + c; \
            UNROLL for (int i = 0; i < n; i++) d[i] = TAKE(from + i * n * point, ragged); \
            NAME(wino_input_sums)(n, d, to); \
            UNROLL for (int i = 0; i < n; i++) half[i * n + j] = to[i]; \
        } \
        UNROLL for (int i = 0; i < n; i++) { \
            if (i < r0 || i >= r1) continue; \
            vec row[6]; \
            NAME(wino_input_sums)(n, half + i * n, row); \
            if (!whole) GIVEN(i, n, row, ragged) \
            REAL *aside = carry + i * over * channels + c; \
            UNROLL for (int j = 0; j < over; j++) { \
                if (!begins) row[j] = TAKE(aside + j * channels, ragged) + row[j]; \
                if (!ends) GIVE(aside + j * channels, row[out + j], ragged) \
            } \
            REAL *to = i < over ? top : x; \
            ptrdiff_t at = i * down + c; \
            UNROLL for (int j = 0; j < n; j++, at += column) { \
                if ((!whole && j < c0) || ((!whole || j >= out) && j >= end)) continue; \
                vec value = row[j] + (vec){0}; /* no negative zero */ \
                if (positive) { \
                    const REAL *gave = positive + at; \
                    __builtin_prefetch(gave + ahead); \
                    value = BLEND(LT((vec){0}, TAKE(gave, ragged)), value, (vec){0}); \
                } \
                __builtin_prefetch(to + at + ahead, 1); \
                if (i < over && add) value = TAKE(to + at, ragged) + value; \
                GIVE(to + at, value, ragged) \
            } \
        } \
    }
    if (whole) {
        const tail last = TAIL(LANES);
        for (ptrdiff_t c = first; c + LANES <= channels; c += LANES) BODY(0)
    } else EACH_VECTOR_FROM(first, channels, BODY)
#undef BODY
}

/* g (taps, taps, channels) -> u (n^2, channels) */
INLINE void NAME(kernel_to_points)(const int taps, const int n, ptrdiff_t channels, ptrdiff_t tap,
                                   int flip, ptrdiff_t point, const REAL *g, REAL *u) {
    const ptrdiff_t step = flip ? -tap : tap;
    if (flip) g += (taps * taps - 1) * tap;
#define BODY(ragged) { \
        vec half[18]; \
        UNROLL for (int j = 0; j < taps; j++) { \
            vec d[3], to[6]; \
            UNROLL for (int i = 0; i < taps; i++) \
                d[i] = TAKE(g + (i * taps + j) * step + c, ragged); \
            NAME(wino_powers)(n, taps, d, to); \
            NAME(wino_scales)(n, to); \
            UNROLL for (int i = 0; i < n; i++) half[i * taps + j] = to[i]; \
        } \
        UNROLL for (int i = 0; i < n; i++) { \
            vec to[6]; \
            NAME(wino_powers)(n, taps, half + i * taps, to); \
            NAME(wino_scales)(n, to); \
            UNROLL for (int j = 0; j < n; j++) GIVE(u + (i * n + j) * point + c, to[j], ragged) \
        } \
    }
    EACH_VECTOR(channels, BODY)
#undef BODY
}

/* s (n^2, channels) -> dg (taps, taps, channels) */
INLINE void NAME(points_to_kernel)(const int taps, const int n, ptrdiff_t channels, ptrdiff_t point,
                                   ptrdiff_t tap, const REAL *s, REAL *dg) {
#define BODY(ragged) { \
        vec half[18]; \
        UNROLL for (int j = 0; j < n; j++) { \
            vec d[6], to[3]; \
            UNROLL for (int i = 0; i < n; i++) d[i] = TAKE(s + (i * n + j) * point + c, ragged); \
            NAME(wino_scales)(n, d); \
            NAME(wino_sums)(n, taps, d, to); \
            UNROLL for (int i = 0; i < taps; i++) half[i * n + j] = to[i]; \
        } \
        UNROLL for (int i = 0; i < taps; i++) { \
            vec to[3]; \
            NAME(wino_scales)(n, half + i * n); \
            NAME(wino_sums)(n, taps, half + i * n, to); \
            UNROLL for (int j = 0; j < taps; j++) \
                GIVE(dg + (i * taps + j) * tap + c, to[j], ragged) \
        } \
    }
    EACH_VECTOR(channels, BODY)
#undef BODY
}
#undef EACH_VECTOR
#undef EACH_VECTOR_FROM
#undef TAKE
#undef GIVE
#undef OPAQUE

static inline int NAME(winograd_whole)(const cconv_tile *t, int size) {
    return t->r0 <= 0 && t->c0 <= 0 && t->r1 >= size && t->c1 >= size;
}

/* If tiles have even width, every window of pooling lies within one tile. */
#define INSTANCE(o, k) \
    static int NAME(winograd_input_##o##k)(const cconv_tile *t, const void *x, void *v) { \
        const int n = o + k - 1; \
        if (o % 2 == 0 && t->argmax) return NAME(input_to_points)(o, n, POOLED, t, x, v); \
        if (NAME(winograd_whole)(t, n)) return NAME(input_to_points)(o, n, WHOLE, t, x, v); \
        return NAME(input_to_points)(o, n, CLIPPED, t, x, v); \
    } \
    static int NAME(winograd_gradient_##o##k)(const cconv_tile *t, const void *dy, void *w, \
                                              void *dbias) { \
        const int n = o + k - 1; \
        if (o % 2 == 0 && t->argmax) \
            return NAME(gradient_to_points)(o, n, POOLED, t, dy, w, dbias); \
        if (NAME(winograd_whole)(t, o)) \
            return NAME(gradient_to_points)(o, n, WHOLE, t, dy, w, dbias); \
        return NAME(gradient_to_points)(o, n, CLIPPED, t, dy, w, dbias); \
    } \
    static void NAME(winograd_output_##o##k)(const cconv_tile *t, const void *m, void *y, \
                                             const void *bias, int relu) { \
        const int n = o + k - 1; \
        if (o % 2 == 0 && t->argmax) NAME(points_to_output)(o, n, 1, t, m, y, bias, relu); \
        else NAME(points_to_output)(o, n, 0, t, m, y, bias, relu); \
    } \
    static __attribute__((noinline)) void NAME(winograd_scatter_any_##o##k)( \
            const cconv_tile *t, const cconv_seam *s, const void *m, void *x, ptrdiff_t first) { \
        NAME(points_to_input)(o, o + k - 1, 0, t, s, m, x, first); \
    } \
    static void NAME(winograd_scatter_##o##k)(const cconv_tile *t, const cconv_seam *s, \
                                              const void *m, void *x) { \
        const int n = o + k - 1; \
        ptrdiff_t first = 0; \
        if (NAME(winograd_whole)(t, n) && !t->weak) { \
            NAME(points_to_input)(o, n, 1, t, s, m, x, first); \
            first = t->channels / LANES * LANES; \
        } \
        if (first < t->channels) NAME(winograd_scatter_any_##o##k)(t, s, m, x, first); \
    } \
    static void NAME(winograd_kernel_##o##k)(ptrdiff_t channels, ptrdiff_t tap, int flip, \
                                             ptrdiff_t point, const void *g, void *u) { \
        NAME(kernel_to_points)(k, o + k - 1, channels, tap, flip, point, g, u); \
    } \
    static void NAME(winograd_kernel_gradient_##o##k)(ptrdiff_t channels, ptrdiff_t point, \
                                                      ptrdiff_t tap, const void *s, void *dg) { \
        NAME(points_to_kernel)(k, o + k - 1, channels, point, tap, s, dg); \
    }
INSTANCE(4, 3)
INSTANCE(2, 3)
INSTANCE(3, 2)
#undef INSTANCE
#define INSTANCE(o, k) \
    {o, k, NAME(winograd_input_##o##k), NAME(winograd_gradient_##o##k), \
     NAME(winograd_output_##o##k), NAME(winograd_scatter_##o##k), \
     NAME(winograd_kernel_##o##k), NAME(winograd_kernel_gradient_##o##k), \
     NAME(winograd_patch), NAME(wino_weak), NAME(wino_top), \
     NAME(wino_reaches), NAME(wino_sizes), NAME(wino_kernel_sizes)}
static const cconv_winograd NAME(winograd)[] = {
    INSTANCE(4, 3), INSTANCE(2, 3), INSTANCE(3, 2)};
#undef INSTANCE
