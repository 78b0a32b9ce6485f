/* simd.h: what the serial C kernels offer to the Cython loops: one table of function pointers
 * per real type, filled once per instruction set and chosen at import (isa/dispatch.c). */
#ifndef CCONV_SIMD_H
#define CCONV_SIMD_H
#include <stddef.h>
#include <stdint.h>
#include "depthwise/table.h"
#include "product/fetch.h"
#include "few_taps/table.h"
#include "lanes/table.h"
#include "rows/table.h"
#include "winograd/table.h"

/* The strides and extents, in elements, of the sum in product/product.h. */
typedef struct {
    ptrdiff_t q, r, k;        /* extents of the sum */
    ptrdiff_t am, aq, ar, ak; /* A */
    ptrdiff_t bq, br, bk, bn; /* B; bn from one block of columns to the next */
    ptrdiff_t cm;             /* C, from row to row */
    /* With CCONV_CUT, see product/chains.h: */
    ptrdiff_t chain_q, chain_r, chain_k; /* extents of the chains */
    ptrdiff_t q0, r0, k0;     /* where it begins in the sum that was cut */
    cconv_ahead *ahead;       /* with CCONV_FETCH: two matrices, prefetched part by part, a part a run */
} cconv_sum;

/* Terms of a sum of products that is one chain, at most, and of each chain of a longer one, about: see
 * product/product.h. */
enum { CCONV_ONE_PRODUCT = 192, CCONV_PRODUCT = 128 };

/* mode of a product; NEAR: C is in the caches; CUT: the sum was cut, and may be a part of a longer one */
enum { CCONV_ACCUMULATE = 1, CCONV_RELU = 2, CCONV_FETCH = 4, CCONV_NEAR = 8, CCONV_CUT = 16 };

/* Width of a block of packed kernel columns: 32 floats or 16 doubles, for every
 * instruction set, so that packing does not depend on it. */
#define CCONV_BLOCK_BYTES 128

#define CCONV_TABLE(REAL)                                                                       \
    struct {                                                                                    \
        void (*product)(const cconv_sum *s, ptrdiff_t m, ptrdiff_t n, const REAL *a,            \
                        const REAL *b, REAL *c, const REAL *bias, int mode);                    \
        void (*pack)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t stride, ptrdiff_t width,      \
                     ptrdiff_t block, const REAL *b, const REAL *scale, REAL *to);              \
        void (*pack_transposed)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t stride,            \
                                ptrdiff_t width, ptrdiff_t block, const REAL *b, REAL *to);     \
        void (*transposed)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t stride,                 \
                           ptrdiff_t apart, const REAL *b, REAL *to);                           \
        void (*row)(ptrdiff_t depth, ptrdiff_t n, ptrdiff_t ldb, const REAL *a, const REAL *b,  \
                    REAL *c);                                                                   \
        const cconv_rows *rows;                                                                 \
        const cconv_winograd *winograd;                                                         \
        const cconv_depthwise *depthwise;                                                       \
        const cconv_lanes *lanes;                                                               \
        const cconv_few_taps *few_taps;                                                         \
    }

typedef CCONV_TABLE(float) cconv_table_f32;
typedef CCONV_TABLE(double) cconv_table_f64;

/* One instruction set: its name and tables; NULL where this build or machine has none. */
typedef struct {
    const char *name;
    const cconv_table_f32 *f32;
    const cconv_table_f64 *f64;
} cconv_isa;

/* The instruction set called name, or the best one this machine runs if name is NULL.
 * Returns 0 and fills isa, or -1: no such name, -2: this machine does not run it. */
int cconv_choose(const char *name, cconv_isa *isa);

/* Name of the i-th instruction set, best first; NULL past the last.  cconv_known: of those in this build.
 * cconv_available: of those that this machine can also run. */
const char *cconv_known(int i);
const char *cconv_available(int i);

#endif
