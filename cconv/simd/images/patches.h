/* images/patches.h: images mixed with others, and rectangles cut out of images and put into
 * them. */

/* a (n), b (n) -> y (n) = weight * a + (1 - weight) * b. */
static void NAME(mix)(ptrdiff_t n, double weight, const void *a, const void *b, void *y) {
    const REAL first = (REAL)weight, second = (REAL)1 - first;
    for (ptrdiff_t i = 0; i < n; i++)
        ((REAL *)y)[i] = first * ((const REAL *)a)[i] + second * ((const REAL *)b)[i];
}

/* x (h, w, c), other (h, w, c) -> y (h, w, c): other in rows box[0] ... box[1] - 1 of columns
 * box[2] ... box[3] - 1, x around them. */
static void NAME(paste)(ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, const long long *box, const void *x,
                        const void *other, void *y) {
    __builtin_memcpy(y, x, h * w * c * sizeof(REAL));
    if (box[3] <= box[2]) return;
    for (ptrdiff_t i = box[0]; i < box[1]; i++) {
        const ptrdiff_t start = (i * w + box[2]) * c;
        __builtin_memcpy((REAL *)y + start, (const REAL *)other + start,
                         (box[3] - box[2]) * c * sizeof(REAL));
    }
}

/* x (h, w, c) -> y (oh, ow, c), whose first pixel is (top, left) of x. */
static void NAME(crop)(ptrdiff_t w, ptrdiff_t c, ptrdiff_t oh, ptrdiff_t ow, ptrdiff_t top,
                       ptrdiff_t left, const void *x, void *y) {
    for (ptrdiff_t i = 0; i < oh; i++)
        __builtin_memcpy((REAL *)y + i * ow * c,
                         (const REAL *)x + ((top + i) * w + left) * c, ow * c * sizeof(REAL));
}

/* dy (oh, ow, c) -> dx (h, w, c): dy from pixel (top, left) on, 0 around it. */
static void NAME(crop_backward)(ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, ptrdiff_t oh, ptrdiff_t ow,
                                ptrdiff_t top, ptrdiff_t left, const void *dy, void *dx) {
    for (ptrdiff_t e = 0; e < h * w * c; e++) ((REAL *)dx)[e] = 0;
    for (ptrdiff_t i = 0; i < oh; i++)
        __builtin_memcpy((REAL *)dx + ((top + i) * w + left) * c,
                         (const REAL *)dy + i * ow * c, ow * c * sizeof(REAL));
}
