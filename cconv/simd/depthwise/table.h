/* depthwise/table.h: the depthwise kernels that the Cython loops call; see depthwise/kernels.h. */
#ifndef CCONV_DEPTHWISE_TABLE_H
#define CCONV_DEPTHWISE_TABLE_H
#include <stddef.h>

/* The output y[i, j] sees the input rows i*sh + u*dh - top and columns j*sw + v*dw - left. */
typedef struct {
    ptrdiff_t h, w, c;               /* input image; c is also the output's */
    ptrdiff_t kh, kw, sh, sw, dh, dw;
    ptrdiff_t top, left;             /* negative: pixels that are passed over */
    ptrdiff_t rows, columns;         /* grid of outputs */
    ptrdiff_t row, column;           /* elements from one to the next */
    ptrdiff_t tap;                   /* elements from one tap of the kernel to the next */
} cconv_depth;

/* All arrays hold one real type; out and in never overlap.  Rows first <= i < stop of the outputs
 * of one image, channels from <= k < to; every pointer is to its array's first element. */
typedef struct {
    /* y = x * kernel (kh, kw, tap) + bias (c) unless NULL, then ReLU if relu */
    void (*convolve)(const cconv_depth *d, ptrdiff_t first, ptrdiff_t stop, ptrdiff_t from,
                     ptrdiff_t to, const void *x, const void *kernel, const void *bias, void *y,
                     int relu);
    /* dkernel (kh, kw, tap) and dbias (c) += their gradients, of outputs left <= j < right of those
     * rows; dy is the output, contiguous */
    void (*gradient)(const cconv_depth *d, ptrdiff_t first, ptrdiff_t stop, ptrdiff_t left,
                     ptrdiff_t right, ptrdiff_t from, ptrdiff_t to, const void *x, const void *dy,
                     void *dkernel, void *dbias);
} cconv_depthwise;

#endif
