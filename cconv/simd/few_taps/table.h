/* few_taps/table.h: the kernels of convolutions of few taps, such as the first of a network; see
 * few_taps/forward.h and few_taps/gradient.h.  `void *` points to float or double, as the table does. */
#ifndef CCONV_FEW_TAPS_TABLE_H
#define CCONV_FEW_TAPS_TABLE_H
#include <stddef.h>
#include <stdint.h>

#define CCONV_MOST_TAPS 75 /* 5x5 taps of three channels */

/* Where a convolution reads; distances in elements. */
typedef struct {
    ptrdiff_t taps;                 /* kh * kw * channels */
    ptrdiff_t at[CCONV_MOST_TAPS]; /* distance from the first tap of an output to this tap */
    ptrdiff_t row, column;          /* from the input of an output to that of the next one */
    ptrdiff_t columns;              /* outputs, or windows of 2x2 outputs, of a row */
    ptrdiff_t wide;                 /* gradient: how many of them a row of dy holds */
    const ptrdiff_t *inputs;        /* forward: where the input of each output, or window, begins */
    ptrdiff_t filters;
} cconv_few_taps_walk;

/* A convolution whose rows are computed in tiles of four outputs; see winograd/along_rows.h. */
typedef struct {
    ptrdiff_t height, taps, channels, filters; /* the kernel: (height, taps, channels, filters) */
    ptrdiff_t tiles;                           /* of a row */
    ptrdiff_t columns;                         /* outputs, or windows of 2x2 outputs, in a row */
    /* for weak outputs, which are computed directly: winograd/along_rows_weak.h */
    ptrdiff_t width;                           /* outputs in a row, pooled or not */
    const void *kernel, *bias;                 /* not packed; bias may be NULL */
    int level;                                 /* 1: some taps are much larger; 2: out of range */
    const void *x;                             /* the rows of the input, `stride` apart */
    ptrdiff_t stride;
    ptrdiff_t r0, r1, c0, c1;                  /* rows and columns that are not padding */
    const uint16_t *weak;                      /* (pairs of rows, tiles), or NULL */
    void *given;                               /* (8, filters) */
} cconv_along_rows;

/* what an output gets after its sum */
enum { CCONV_FEW_TAPS_BIAS = 1, CCONV_FEW_TAPS_RELU = 2 };

typedef struct {
    /* kernel (taps, filters), bias (filters) or NULL -> packed: cconv_few_taps_room(taps + 1, ..) elements */
    void (*pack)(ptrdiff_t taps, ptrdiff_t filters, const void *kernel, const void *bias,
                 void *packed);
    /* y (count, filters): outputs from x on, row after row */
    void (*forward)(const cconv_few_taps_walk *s, ptrdiff_t count, const void *x, const void *packed,
                    int mode, void *y);
    /* y, argmax (count, filters): the same behind 2x2 max pooling; argmax 255 where ReLU gave 0 */
    void (*pooled)(const cconv_few_taps_walk *s, ptrdiff_t count, const void *x, const void *packed,
                   int mode, void *y, uint8_t *argmax);
    /* by tiles of a row: kernel, bias or NULL -> packed: cconv_few_taps_room(channels * height * 8 + 1, ..)
     * elements; rows of x -> tiles (rows, tiles, channels, 8); tiles of rows + height - 1 rows, and of one
     * more if that is odd -> `rows` rows of y, or rows / 2 of pooled y, argmax */
    void (*tiles_pack)(const cconv_along_rows *s, const void *kernel, const void *bias,
                       void *packed);
    void (*tiles_input)(const cconv_along_rows *s, ptrdiff_t rows, ptrdiff_t stride, const void *x,
                        void *tiles);
    /* weak: which outputs of `rows` rows are computed directly.  room has an element for each pixel of the
     * input rows that they see, and 8 for each row; four rows of 16 elements more each; and 128 */
    void (*tiles_weak)(const cconv_along_rows *s, ptrdiff_t rows, void *room, uint16_t *weak);
    void (*tiles_forward)(const cconv_along_rows *s, ptrdiff_t rows, const void *tiles,
                          const void *packed, int mode, void *y);
    void (*tiles_pooled)(const cconv_along_rows *s, ptrdiff_t rows, const void *tiles,
                         const void *packed, int mode, void *y, uint8_t *argmax);
    /* sums += products of dy (rows, wide, filters), from its first column on, with x; if `first`, the sums
     * were zero before */
    void (*gradient)(const cconv_few_taps_walk *s, ptrdiff_t rows, const void *x, const void *dy,
                     int first, void *sums);
    /* quads (rows, n, 4): each element of x, and those `right`, `down` and `right + down` behind it */
    void (*quads)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t row, ptrdiff_t right, ptrdiff_t down,
                  const void *x, void *quads);
    /* the same sums from quads and the dy, argmax (rows, columns, filters) of 2x2 max pooling */
    void (*pooled_gradient)(const cconv_few_taps_walk *s, ptrdiff_t rows, const void *quads,
                            const void *dy, const uint8_t *argmax, int first, void *sums);
    /* sums -> dkernel (taps, filters), dbias (filters) */
    void (*unpack)(ptrdiff_t taps, ptrdiff_t filters, const void *sums, void *dkernel, void *dbias);
} cconv_few_taps;

/* Elements of packed, and of sums, for so many rows (taps and bias), with vectors of any width. */
static inline ptrdiff_t cconv_few_taps_room(ptrdiff_t rows, ptrdiff_t filters, size_t item) {
    const ptrdiff_t lanes = 64 / (ptrdiff_t)item;
    return rows * ((filters + lanes - 1) / lanes * lanes);
}

#endif
