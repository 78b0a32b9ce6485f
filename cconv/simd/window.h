/* window.h: which positions of a convolution see the image, along one axis. */
#ifndef CCONV_WINDOW_H
#define CCONV_WINDOW_H
#include <stddef.h>

/* The positions lo <= i < hi of `count` whose k taps all fall inside the n pixels or at most
 * `slack` pixels before or behind them. */
static inline void window_inner(ptrdiff_t n, ptrdiff_t k, ptrdiff_t stride, ptrdiff_t before,
                                ptrdiff_t dilation, ptrdiff_t count, ptrdiff_t slack, ptrdiff_t *lo,
                                ptrdiff_t *hi) {
    const ptrdiff_t over = before - slack, room = n - 1 + before + slack - dilation * (k - 1);
    *lo = over > 0 ? (over + stride - 1) / stride : 0;
    if (*lo > count) *lo = count;
    *hi = room < 0 ? *lo : room / stride + 1;
    if (*hi > count) *hi = count;
    if (*hi < *lo) *hi = *lo;
}

/* Of k taps, those lo <= u < hi that fall inside the n pixels if tap 0 falls on pixel `first`. */
static inline void window_reach(ptrdiff_t first, ptrdiff_t n, ptrdiff_t k, ptrdiff_t dilation,
                                ptrdiff_t *lo, ptrdiff_t *hi) {
    *lo = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
    if (*lo > k) *lo = k;
    *hi = first >= n ? *lo : (n - 1 - first) / dilation + 1;
    if (*hi > k) *hi = k;
    if (*hi < *lo) *hi = *lo;
}

#endif
