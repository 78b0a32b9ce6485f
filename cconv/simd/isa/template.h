/* isa/template.h: everything an instruction set offers, for both real types.  Included once by each
 * isa_*.c, which defines ISA(name) and the ISA_* switch and has set the compiler's target. */
#define TABLE \
    {NAME(product), NAME(pack), NAME(pack_transposed), NAME(transposed), NAME(row), &NAME(rows), \
     NAME(winograd), &NAME(depthwise), &NAME(lanes_table), &NAME(few_taps)}

#define REAL float
#define REAL_BITS 32
#if defined(HALF_TILES)
#define HALF_VECTORS
#define NAME(name) half_##name##_f32
#include "vector.h"
#include "product/tile.h"
#include "few_taps/sums.h"
#undef HALF_VECTORS
#undef NAME
#endif
#define NAME(name) name##_f32
#include "vector.h"
#include "product/tile.h"
#include "product/product.h"
#include "product/pack.h"
#include "product/row.h"
#include "rows/rows.h"
#include "winograd/tiles.h"
#include "depthwise/kernels.h"
#include "lanes/kernels.h"
#include "few_taps/forward.h"
#include "winograd/along_rows_weak.h"
#include "winograd/along_rows.h"
#include "few_taps/sums.h"
#include "few_taps/gradient.h"
const cconv_table_f32 ISA(cconv_f32) = TABLE;
#undef REAL
#undef REAL_BITS
#undef NAME

#define REAL double
#define REAL_BITS 64
#if defined(HALF_TILES)
#define HALF_VECTORS
#define NAME(name) half_##name##_f64
#include "vector.h"
#include "product/tile.h"
#include "few_taps/sums.h"
#undef HALF_VECTORS
#undef NAME
#endif
#define NAME(name) name##_f64
#include "vector.h"
#include "product/tile.h"
#include "product/product.h"
#include "product/pack.h"
#include "product/row.h"
#include "rows/rows.h"
#include "winograd/tiles.h"
#include "depthwise/kernels.h"
#include "lanes/kernels.h"
#include "few_taps/forward.h"
#include "winograd/along_rows_weak.h"
#include "winograd/along_rows.h"
#include "few_taps/sums.h"
#include "few_taps/gradient.h"
const cconv_table_f64 ISA(cconv_f64) = TABLE;
