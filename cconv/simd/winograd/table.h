/* winograd/table.h: the Winograd transforms that the Cython loops call; see winograd/tiles.h. */
#ifndef CCONV_WINOGRAD_TABLE_H
#define CCONV_WINOGRAD_TABLE_H
#include <stddef.h>
#include <stdint.h>

/* Largest ratio of the largest value of a tile to the largest that an output sees; above it, it is weak. */
#define CCONV_WINOGRAD_RANGE 256

/* Of that range, the part that a weight gradient leaves to dy; x has the rest. */
#define CCONV_OUTPUT_RANGE 8

/* What the glance at a tile, a quick look at its sums of squares, may tell: winograd/range.h. */
enum { CCONV_MAYBE_UNEVEN = 1, CCONV_MAYBE_TINY = 2 };

/* Of the tiles so far: `top`, a bound for their sums of squares, and `enough`, the sum of squares that a cell
 * needs beside it. */
typedef struct {
    double top, enough;
} cconv_usual;

/* Where a tile lies in an image of (rows, columns, channels), and which part of the tile is inside.
 *
 * Behind 2x2 max pooling of stride 2 only the pooled image is in memory.  Then the strides are those of
 * the pooled image, and pointers point to the window that contains row 0, column 0 of the tile. */
typedef struct {
    ptrdiff_t row, column;   /* strides of the image, elements */
    ptrdiff_t r0, r1;        /* rows r0 <= i < r1 of the tile are inside */
    ptrdiff_t c0, c1;        /* columns likewise; the others are zeros, or not written */
    ptrdiff_t channels;
    ptrdiff_t point;         /* elements from one point of the transform to the next */
    uint8_t *argmax;         /* of the windows, from that window on; NULL where nothing is pooled */
    const void *positive;    /* the ReLU's output at the tile's place, or NULL: where it is not above zero,
                                the result is zero; only where nothing is pooled */
    int cells;               /* a bit for each of the four cells that outputs see */
    cconv_usual *usual;      /* kept from tile to tile */
    double *squares;         /* gets a bound for the square of every value of the tile, or is NULL; a tile of
                                dy has cells only if it is NULL */
    uint64_t weak, empty;    /* a bit for each sum of the way back that is replaced; weak ones by `given`, */
    const void *given;       /* (out^2 or points^2, channels), those that are also empty by zero */
} cconv_tile;

/* Tiles of an input gradient are `over` = taps - 1 pixels wider and higher than their tiles of dy.  They
 * overlap and add up to an image.  The tiles of one row come from left to right. */
typedef struct {
    void *carry;             /* (points, over, channels): the last columns of the tile before */
    int first, last;         /* whether the tile is the first, or the last, of its row */
    void *top;               /* where rows i < over go, with the strides of the image */
    int add;                 /* whether they are added to what is there, the sum of the row of tiles above */
} cconv_seam;

/* F(out x out, taps x taps) with points = out + taps - 1.  All arrays hold one real type; out and
 * in never overlap. */
typedef struct {
    ptrdiff_t out, taps;
    /* (points, points, channels) of an image -> (points^2, channels); returns what the glance tells */
    int (*input)(const cconv_tile *t, const void *x, void *v);
    /* (out, out, channels) of dy -> (points^2, channels); adds the tile's sum to dbias unless that is
     * NULL; returns what the glance tells */
    int (*gradient)(const cconv_tile *t, const void *dy, void *w, void *dbias);
    /* (points^2, channels) -> (out, out, channels) of an image, + bias unless NULL, then ReLU if relu,
     * then pooled if t->argmax is not NULL: argmax is 255 where the ReLU left nothing above zero */
    void (*output)(const cconv_tile *t, const void *m, void *y, const void *bias, int relu);
    /* (points^2, channels) of dy's tile -> (points, points, channels) of the image x */
    void (*scatter)(const cconv_tile *t, const cconv_seam *s, const void *m, void *x);
    /* (taps, taps, channels), `tap` apart, reversed if flip -> (points^2, channels) */
    void (*kernel)(ptrdiff_t channels, ptrdiff_t tap, int flip, ptrdiff_t point, const void *g,
                   void *u);
    /* (points^2, channels) -> (taps, taps, channels) */
    void (*kernel_gradient)(ptrdiff_t channels, ptrdiff_t point, ptrdiff_t tap, const void *s,
                            void *dg);
    /* winograd/range.h, and `patch`, the tile as it is, (size, size, channels).
     * weak: which sums are weak, and which of them see only zeros; top: the largest absolute value of a
     * region; reaches: whether all its pixels, or any, are at least `least`; sizes, kernel_sizes: the
     * largest absolute values of pixels, and of the taps of a kernel */
    void (*patch)(const cconv_tile *t, int size, const void *x, void *to);
    void (*weak)(const cconv_tile *t, ptrdiff_t pixels, ptrdiff_t sums, ptrdiff_t rows,
                 ptrdiff_t columns, const void *x, unsigned long long *weak,
                 unsigned long long *empty);
    double (*top)(const cconv_tile *t, const ptrdiff_t *region, const void *x);
    int (*reaches)(const cconv_tile *t, const ptrdiff_t *region, const void *x, double least, int all);
    void (*sizes)(ptrdiff_t pixels, ptrdiff_t channels, const void *x, double *size);
    void (*kernel_sizes)(ptrdiff_t taps, ptrdiff_t rows, ptrdiff_t channels, ptrdiff_t tap,
                         ptrdiff_t row, int first, const void *g, void *size);
} cconv_winograd;

#endif
