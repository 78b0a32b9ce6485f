/* images/sample.h: flips of images, and images that are sampled at other places of the input.
 *
 * Places and weights are double for both real types, and so is the sum of the four pixels at most
 * that surround a place. */

/* TOGETHER: pixels of an output row whose places are computed at once.  FAR: coordinates are cut at this
 * distance, in pixels, so that they fit into an int32. */
#define TOGETHER 64
#define FAR ((double)(1 << 30))

/* The taps of a part of an output row: what each of its pixels is made of. */
typedef struct {
    ptrdiff_t place[4][TOGETHER]; /* element of the input image at which the pixel begins */
    double weight[4][TOGETHER];
    double lost[TOGETHER]; /* with CCONV_FILL_CONSTANT: weight of the taps outside the image */
} NAME(taps);

/* x (w, c) -> y (w, c), pixels in reverse order. */
INLINE void NAME(reversed)(ptrdiff_t w, ptrdiff_t c, const REAL *x, REAL *y) {
    for (ptrdiff_t j = 0; j < w; j++)
        for (ptrdiff_t k = 0; k < c; k++) y[j * c + k] = x[(w - 1 - j) * c + k];
}

/* x (h, w, c) -> y (h, w, c), rows or columns or both in reverse order. */
static void NAME(flip)(ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, int upside_down, int mirrored,
                       const void *x, void *y) {
    const ptrdiff_t row = w * c;
    for (ptrdiff_t i = 0; i < h; i++) {
        const REAL *from = (const REAL *)x + (upside_down ? h - 1 - i : i) * row;
        REAL *to = (REAL *)y + i * row;
        if (!mirrored) __builtin_memcpy(to, from, row * sizeof(REAL));
        else if (c == 1) NAME(reversed)(w, 1, from, to);
        else if (c == 3) NAME(reversed)(w, 3, from, to);
        else NAME(reversed)(w, c, from, to);
    }
}

/* The pixel that is read for index i of an axis of n pixels. */
INLINE ptrdiff_t NAME(inside)(ptrdiff_t i, ptrdiff_t n, int fill) {
    if (i >= 0 && i < n) return i;
    if (fill == CCONV_FILL_NEAREST || fill == CCONV_FILL_CONSTANT) return i < 0 ? 0 : n - 1;
    const ptrdiff_t period = fill == CCONV_FILL_REFLECT ? 2 * n : n;
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : period - 1 - i;
}

/* Along one axis, for n outputs: the pixel at or below the place of each, and the distance from it; without
 * interpolation the nearest pixel, and 0. */
INLINE void NAME(along)(const double *by_column, double by_row, double middle, int bilinear,
                        ptrdiff_t n, int32_t *below, double *share) {
    for (ptrdiff_t j = 0; j < n; j++) {
        double at = (by_column[j] + by_row) + middle;
        at = at > -FAR ? at : -FAR;
        at = at < FAR ? at : FAR;
        const double up = bilinear ? at : at + 0.5;
        int32_t floor = (int32_t)up;
        floor -= (double)floor > up;
        below[j] = floor;
        share[j] = bilinear ? at - (double)floor : 0.0;
    }
}

/* The taps of n output pixels (i, first), (i, first + 1), ...; returns how many each has: 4, or 1 without
 * interpolation. */
static int NAME(taps_of)(const cconv_sampling *p, const double *at, ptrdiff_t i, ptrdiff_t first,
                         ptrdiff_t n, NAME(taps) *taps) {
    int32_t rows[TOGETHER], columns[TOGETHER];
    double down[TOGETHER], right[TOGETHER];
    const ptrdiff_t line = p->ow + p->oh;
    const int sides = p->bilinear ? 2 : 1;
    NAME(along)(at + first, at[p->ow + i], p->middle[0], p->bilinear, n, rows, down);
    NAME(along)(at + line + first, at[line + p->ow + i], p->middle[1], p->bilinear, n, columns,
                right);
    for (ptrdiff_t j = 0; j < n; j++) taps->lost[j] = 0;
    for (int tap = 0; tap < sides * sides; tap++) {
        const int below = tap / sides, beside = tap % sides;
        for (ptrdiff_t j = 0; j < n; j++) {
            const ptrdiff_t row = rows[j] + below, column = columns[j] + beside;
            double weight =
                (below ? down[j] : 1.0 - down[j]) * (beside ? right[j] : 1.0 - right[j]);
            if (p->fill == CCONV_FILL_CONSTANT
                && (row < 0 || row >= p->h || column < 0 || column >= p->w)) {
                taps->lost[j] += weight;
                weight = 0;
            }
            taps->place[tap][j] = (NAME(inside)(row, p->h, p->fill) * p->w
                                   + NAME(inside)(column, p->w, p->fill)) * p->c;
            taps->weight[tap][j] = weight;
        }
    }
    return sides * sides;
}

/* x (h, w, c), taps of n pixels -> y (n, c). */
INLINE void NAME(blend)(const cconv_sampling *p, ptrdiff_t n, ptrdiff_t c, int count,
                        const NAME(taps) *taps, const REAL *x, REAL *y) {
    for (ptrdiff_t j = 0; j < n; j++)
        for (ptrdiff_t k = 0; k < c; k++) {
            double sum = (double)x[taps->place[0][j] + k] * taps->weight[0][j];
            for (int tap = 1; tap < count; tap++)
                sum += (double)x[taps->place[tap][j] + k] * taps->weight[tap][j];
            if (p->fill == CCONV_FILL_CONSTANT) sum += p->value * taps->lost[j];
            y[j * c + k] = (REAL)sum;
        }
}

INLINE void NAME(blend_channels)(const cconv_sampling *p, ptrdiff_t n, int count,
                                 const NAME(taps) *taps, const REAL *x, REAL *y) {
    if (p->c == 1) NAME(blend)(p, n, 1, count, taps, x, y);
    else if (p->c == 3) NAME(blend)(p, n, 3, count, taps, x, y);
    else NAME(blend)(p, n, p->c, count, taps, x, y);
}

/* x (h, w, c), at (2, ow + oh) -> y (oh, ow, c).  The value of output pixel (i, j) is found at row
 * at[0][j] + at[0][ow + i] + middle[0] and column at[1][j] + at[1][ow + i] + middle[1] of the
 * input. */
static void NAME(sample)(const cconv_sampling *p, const double *at, const void *x, void *y) {
    NAME(taps) taps;
    for (ptrdiff_t i = 0; i < p->oh; i++)
        for (ptrdiff_t first = 0; first < p->ow; first += TOGETHER) {
            const ptrdiff_t n = p->ow - first < TOGETHER ? p->ow - first : TOGETHER;
            REAL *to = (REAL *)y + (i * p->ow + first) * p->c;
            if (NAME(taps_of)(p, at, i, first, n, &taps) == 4)
                NAME(blend_channels)(p, n, 4, &taps, x, to);
            else
                NAME(blend_channels)(p, n, 1, &taps, x, to);
        }
}

/* dy (oh, ow, c), at (2, ow + oh) -> dx (h, w, c): every gradient goes to the pixels that its value came
 * from: first all upper left ones, then all upper right, lower left, lower right ones. */
static void NAME(sample_backward)(const cconv_sampling *p, const double *at, const void *dy,
                                  void *dx) {
    NAME(taps) taps;
    const int count = p->bilinear ? 4 : 1;
    for (ptrdiff_t e = 0; e < p->h * p->w * p->c; e++) ((REAL *)dx)[e] = 0;
    for (int tap = 0; tap < count; tap++)
        for (ptrdiff_t i = 0; i < p->oh; i++)
            for (ptrdiff_t first = 0; first < p->ow; first += TOGETHER) {
                const ptrdiff_t n = p->ow - first < TOGETHER ? p->ow - first : TOGETHER;
                const REAL *from = (const REAL *)dy + (i * p->ow + first) * p->c;
                NAME(taps_of)(p, at, i, first, n, &taps);
                for (ptrdiff_t j = 0; j < n; j++)
                    for (ptrdiff_t k = 0; k < p->c; k++)
                        ((REAL *)dx)[taps.place[tap][j] + k]
                            += (REAL)((double)from[j * p->c + k] * taps.weight[tap][j]);
            }
}

#undef TOGETHER
#undef FAR
