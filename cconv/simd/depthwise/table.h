/* depthwise/table.h: the depthwise kernels that the Cython loops call; see depthwise/kernels.h. */
#ifndef CCONV_DEPTHWISE_TABLE_H
#define CCONV_DEPTHWISE_TABLE_H
#include <stddef.h>

/* The output y[i, j] sees the input rows i*sh + u*dh - top and columns j*sw + v*dw - left. */
typedef struct {
    ptrdiff_t h, w, c;               /* input image; c is also the output's */
    ptrdiff_t kh, kw, sh, sw, dh, dw;
    ptrdiff_t top, left;             /* if negative: pixels that are skipped */
    ptrdiff_t rows, columns;         /* grid of outputs */
    ptrdiff_t row, column;           /* elements from one output to the next, down and across */
    ptrdiff_t tap;                   /* elements from one tap of the kernel to the next */
} cconv_depth;

/* All arrays hold one real type; input and output never overlap.  Outputs: rows first <= i < stop
 * of one image, channels from <= k < to; every pointer points to the first element of its array. */
typedef struct {
    /* y = x * kernel (kh, kw, tap) + bias (c) unless NULL, then ReLU if relu */
    void (*convolve)(const cconv_depth *d, ptrdiff_t first, ptrdiff_t stop, ptrdiff_t from,
                     ptrdiff_t to, const void *x, const void *kernel, const void *bias, void *y,
                     int relu);
    /* dkernel (kh, kw, tap) and dbias (c) += their gradients, from outputs left <= j < right of these
     * rows; dy is laid out as the output, contiguous */
    void (*gradient)(const cconv_depth *d, ptrdiff_t first, ptrdiff_t stop, ptrdiff_t left,
                     ptrdiff_t right, ptrdiff_t from, ptrdiff_t to, const void *x, const void *dy,
                     void *dkernel, void *dbias);
} cconv_depthwise;

#endif
