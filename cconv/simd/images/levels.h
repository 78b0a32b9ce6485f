/* images/levels.h: brightness and contrast of images.
 *
 * Values below `low` become low, values above `high` become high; a NaN stays NaN. */

/* BESIDE pixels are added side by side.  CHAIN terms make a chain; the sums of CHAINS chains make a chain
 * of the next level.  TOGETHER: channels that are added at once. */
#define BESIDE 8
#define CHAIN 64
#define CHAINS 256
#define TOGETHER 16

INLINE REAL NAME(between)(REAL value, REAL low, REAL high) {
    value = value < low ? low : value;
    return value > high ? high : value;
}

/* x (n) -> y (n) = x + delta, between low and high. */
static void NAME(brighten)(ptrdiff_t n, double delta, double low, double high, const void *x,
                           void *y) {
    const REAL more = (REAL)delta, least = (REAL)low, most = (REAL)high;
    for (ptrdiff_t i = 0; i < n; i++)
        ((REAL *)y)[i] = NAME(between)(((const REAL *)x)[i] + more, least, most);
}

/* dy (n), y (n) -> dx (n): dy where low < y < high, else 0. */
static void NAME(brighten_backward)(ptrdiff_t n, double low, double high, const void *dy,
                                    const void *y, void *dx) {
    const REAL least = (REAL)low, most = (REAL)high;
    for (ptrdiff_t i = 0; i < n; i++) {
        const REAL value = ((const REAL *)y)[i];
        ((REAL *)dx)[i] = value > least && value < most ? ((const REAL *)dy)[i] : 0;
    }
}

/* Channels 0 ... count - 1 of x (pixels, c) -> their sums over the pixels. */
INLINE void NAME(channel_sums)(ptrdiff_t pixels, ptrdiff_t c, ptrdiff_t count, const REAL *x,
                               double *sums) {
    double chain[BESIDE * TOGETHER] = {0}, chains[BESIDE * TOGETHER] = {0};
    double all[BESIDE * TOGETHER] = {0};
    const ptrdiff_t width = BESIDE * count, steps = (pixels + BESIDE - 1) / BESIDE;
    for (ptrdiff_t step = 0; step < steps; step++) {
        const REAL *from = x + step * BESIDE * c;
        const ptrdiff_t left = pixels - step * BESIDE, beside = left < BESIDE ? left : BESIDE;
        if (count == c && beside == BESIDE)
            for (ptrdiff_t e = 0; e < width; e++) chain[e] += (double)from[e];
        else
            for (ptrdiff_t j = 0; j < beside; j++)
                for (ptrdiff_t k = 0; k < count; k++)
                    chain[j * count + k] += (double)from[j * c + k];
        const int ends = step % CHAIN == CHAIN - 1 || step == steps - 1;
        const int all_end = step % (CHAIN * CHAINS) == CHAIN * CHAINS - 1 || step == steps - 1;
        for (ptrdiff_t e = 0; ends && e < width; e++) chains[e] += chain[e], chain[e] = 0;
        for (ptrdiff_t e = 0; all_end && e < width; e++) all[e] += chains[e], chains[e] = 0;
    }
    for (ptrdiff_t half = BESIDE / 2; half > 0; half /= 2)
        for (ptrdiff_t e = 0; e < half * count; e++) all[e] += all[half * count + e];
    for (ptrdiff_t k = 0; k < count; k++) sums[k] = all[k];
}

/* x (pixels, c) -> y (pixels, c), as in `contrast`, for channels 0 ... count - 1. */
INLINE void NAME(contrast_channels)(ptrdiff_t pixels, ptrdiff_t c, ptrdiff_t count, REAL factor,
                                    REAL low, REAL high, const REAL *x, REAL *y) {
    double sums[TOGETHER];
    REAL means[TOGETHER];
    NAME(channel_sums)(pixels, c, count, x, sums);
    for (ptrdiff_t k = 0; k < count; k++) means[k] = (REAL)(sums[k] / (double)pixels);
    for (ptrdiff_t i = 0; i < pixels; i++)
        for (ptrdiff_t k = 0; k < count; k++) {
            const REAL value = (x[i * c + k] - means[k]) * factor + means[k];
            y[i * c + k] = NAME(between)(value, low, high);
        }
}

/* x (pixels, c) -> y (pixels, c) = (x - m) * factor + m, between low and high; m is the mean of
 * the channel, which is summed in double. */
static void NAME(contrast)(ptrdiff_t pixels, ptrdiff_t c, double factor, double low, double high,
                           const void *x, void *y) {
    const REAL by = (REAL)factor, least = (REAL)low, most = (REAL)high;
    if (c == 1) NAME(contrast_channels)(pixels, 1, 1, by, least, most, x, y);
    else if (c == 3) NAME(contrast_channels)(pixels, 3, 3, by, least, most, x, y);
    else
        for (ptrdiff_t k = 0; k < c; k += TOGETHER) {
            const ptrdiff_t count = c - k < TOGETHER ? c - k : TOGETHER;
            NAME(contrast_channels)(pixels, c, count, by, least, most, (const REAL *)x + k,
                                    (REAL *)y + k);
        }
}

#undef BESIDE
#undef CHAIN
#undef CHAINS
#undef TOGETHER
