/* winograd_table.h: the Winograd transforms that the Cython loops call; see winograd.h. */
#ifndef CCONV_WINOGRAD_TABLE_H
#define CCONV_WINOGRAD_TABLE_H
#include <stddef.h>

/* Where a tile lies in an image of (rows, columns, channels), and which of it are inside. */
typedef struct {
    ptrdiff_t row, column;   /* strides of the image, elements */
    ptrdiff_t r0, r1;        /* rows r0 <= i < r1 of the tile are inside */
    ptrdiff_t c0, c1;        /* columns likewise; the others are zeros, or not written */
    ptrdiff_t channels;
    ptrdiff_t point;         /* elements from one point of the transform to the next */
} cconv_tile;

/* All arrays hold one real type; out and in never overlap. */
typedef struct {
    /* (6, 6, channels) of an image -> (36, channels) */
    void (*input)(const cconv_tile *t, const void *x, void *v);
    /* (4, 4, channels) of dy -> (36, channels) */
    void (*gradient)(const cconv_tile *t, const void *dy, void *w);
    /* (36, channels) -> (4, 4, channels) of an image, + bias unless NULL, then ReLU if relu */
    void (*output)(const cconv_tile *t, const void *m, void *y, const void *bias, int relu);
    /* (3, 3, channels), taps `tap` apart, reversed if flip -> (36, channels), points `point` apart */
    void (*kernel)(ptrdiff_t channels, ptrdiff_t tap, int flip, ptrdiff_t point, const void *g, void *u);
    /* (36, channels) -> (3, 3, channels) */
    void (*kernel_gradient)(ptrdiff_t channels, ptrdiff_t point, ptrdiff_t tap, const void *s, void *dg);
} cconv_winograd;

#endif
