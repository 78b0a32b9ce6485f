/* winograd/table.h: the Winograd transforms that the Cython loops call; see winograd/tiles.h. */
#ifndef CCONV_WINOGRAD_TABLE_H
#define CCONV_WINOGRAD_TABLE_H
#include <stddef.h>
#include <stdint.h>

/* How many times larger than what an output sees the largest value of its tile may be. */
#define CCONV_WINOGRAD_RANGE 256

/* In a weight gradient: how much of that dy may take, where x keeps the rest. */
#define CCONV_OUTPUT_RANGE 8

/* What a glance at a tile tells: winograd/range.h. */
enum { CCONV_MAYBE_UNEVEN = 1, CCONV_MAYBE_TINY = 2 };

/* How large the sums of squares of tiles were so far, and how large one of a cell must be beside that. */
typedef struct {
    double top, enough;
} cconv_usual;

/* Where a tile lies in an image of (rows, columns, channels), and which of it are inside.
 *
 * Behind 2x2 max pooling of stride 2 only the pooled image is in memory.  Then the strides are its
 * own, and pointers mean the window that row 0, column 0 of the tile is in. */
typedef struct {
    ptrdiff_t row, column;   /* strides of the image, elements */
    ptrdiff_t r0, r1;        /* rows r0 <= i < r1 of the tile are inside */
    ptrdiff_t c0, c1;        /* columns likewise; the others are zeros, or not written */
    ptrdiff_t channels;
    ptrdiff_t point;         /* elements from one point of the transform to the next */
    uint8_t *argmax;         /* of the windows, from that one on; NULL where nothing is pooled */
    const void *positive;    /* what ReLU gave at the tile's place, or NULL: an output whose value
                                there is not above zero is zero; only where nothing is pooled */
    int cells;               /* a bit for each of the four cells that outputs see */
    cconv_usual *usual;      /* from tile to tile */
    double *squares;         /* for a sum of squares that no value of the tile is above, or NULL: then
                                its cells are looked at */
    uint64_t weak, empty;    /* a bit for each sum of the way back that is to be replaced, and for */
    const void *given;       /* each of these that is zero; the others: (out^2 or points^2, channels) */
} cconv_tile;

/* How tiles of an input gradient, each `over` = taps - 1 pixels wider and higher than its tile of
 * dy, add up to an image.  Those of one row come from left to right: */
typedef struct {
    void *carry;             /* (points, over, channels): the last columns of the tile before */
    int first, last;         /* of the row: there is no tile before; behind */
    void *top;               /* where rows i < over go, with the strides of the image */
    int add;                 /* to what is there, the sum of the row of tiles above */
} cconv_seam;

/* F(out x out, taps x taps) with points = out + taps - 1.  All arrays hold one real type; out and
 * in never overlap. */
typedef struct {
    ptrdiff_t out, taps;
    /* (points, points, channels) of an image -> (points^2, channels); what a glance tells */
    int (*input)(const cconv_tile *t, const void *x, void *v);
    /* (out, out, channels) of dy -> (points^2, channels); adds its sum to dbias unless
     * NULL; what a glance tells */
    int (*gradient)(const cconv_tile *t, const void *dy, void *w, void *dbias);
    /* (points^2, channels) -> (out, out, channels) of an image, + bias unless NULL, then ReLU if
     * relu, then pooled where t->argmax is given: 255 for what ReLU left not above zero */
    void (*output)(const cconv_tile *t, const void *m, void *y, const void *bias, int relu);
    /* (points^2, channels) of dy's tile -> (points, points, channels) of the image x */
    void (*scatter)(const cconv_tile *t, const cconv_seam *s, const void *m, void *x);
    /* (taps, taps, channels), `tap` apart, reversed if flip -> (points^2, channels) */
    void (*kernel)(ptrdiff_t channels, ptrdiff_t tap, int flip, ptrdiff_t point, const void *g,
                   void *u);
    /* (points^2, channels) -> (taps, taps, channels) */
    void (*kernel_gradient)(ptrdiff_t channels, ptrdiff_t point, ptrdiff_t tap, const void *s,
                            void *dg);
    /* the tile itself, (size, size, channels); which of its sums are weak, and see zeros; the
     * largest absolute value of a region; whether all its pixels, or any, are at least so large;
     * largest absolute values of pixels, and of taps of a kernel: winograd/range.h */
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
