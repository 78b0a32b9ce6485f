/* lanes/table.h: the convolution across images that the Cython loops call; see lanes/kernels.h. */
#ifndef CCONV_LANES_TABLE_H
#define CCONV_LANES_TABLE_H
#include <stddef.h>

/* A group has as many images as a cache line holds reals, for every instruction set. */
#define CCONV_GROUP_BYTES 64

/* The output y[i, j] sees the input rows i*sh + u*dh - top and columns j*sw + v*dw - left. */
typedef struct {
    ptrdiff_t h, w, c;               /* input image */
    ptrdiff_t kh, kw, sh, sw, dh, dw;
    ptrdiff_t top, left;
    ptrdiff_t columns, f;            /* outputs of a row; filters, at most 8 */
} cconv_lanes_shape;

/* All arrays hold one real type; input and output never overlap.  A group has G images. */
typedef struct {
    /* x, `count` images `image` apart -> group (n, G), zeros for the images that are not there */
    void (*gather)(ptrdiff_t count, ptrdiff_t image, ptrdiff_t n, const void *x, void *group);
    /* group (n, G) -> y, `count` images `image` apart */
    void (*scatter)(ptrdiff_t count, ptrdiff_t image, ptrdiff_t n, const void *group, void *y);
    /* row i of y = x * kernel + bias, then ReLU if relu: x (.., w, c, G) from input row `first` on,
     * kernel (kh, kw, c, f), bias (f) or NULL, y (columns, f, G) */
    void (*row)(const cconv_lanes_shape *d, ptrdiff_t i, ptrdiff_t first, const void *x,
                const void *kernel, const void *bias, void *y, int relu);
} cconv_lanes;

#endif
