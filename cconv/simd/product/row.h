/* product/row.h: one row of A times B, for which B is read once and in the order in which it lies:
 *
 *   c[n] = sum_k  a[k] * B[k*ldb + n]
 *
 * Each c[n] is one chain of product/product.h: fused multiply-adds in the order of k, from zero.  There
 * the columns are cut into blocks that suit many rows.  Here a tile is ROW_VECTORS wide, because rows of B
 * that are read in shorter pieces arrive at half the speed. */

/* Vectors of C in a tile.  They and one vector of B fit into the registers. */
#undef ROW_VECTORS
#if defined(ISA_AVX512) || defined(__aarch64__)
#define ROW_VECTORS 16
#else
#define ROW_VECTORS 8
#endif

#undef EACH_ROW_VECTOR
#define EACH_ROW_VECTOR(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) \
    DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

/* c (n), n in ((width-1)*LANES, width*LANES]; ragged: the last vector is not full. */
static inline __attribute__((always_inline)) void NAME(row_tile)(
        const int width, const int ragged, ptrdiff_t depth, ptrdiff_t n, ptrdiff_t ldb,
        const REAL *a, const REAL *b, REAL *c) {
    tail last = TAIL(ragged ? n - (width - 1) * LANES : LANES);
    (void)last;
#define DECLARE(i) vec c##i = {0};
    EACH_ROW_VECTOR(DECLARE)
#undef DECLARE
    for (ptrdiff_t k = 0; k < depth; k++, b += ldb) {
        const vec s = SPLAT(a[k]);
#define STEP(i) if (width > i) { \
            const REAL *p_ = b + i * LANES; \
            c##i = FMA(s, ragged && width == i + 1 ? LOAD_TAIL(p_, last) : LOAD(p_), c##i); }
        EACH_ROW_VECTOR(STEP)
#undef STEP
    }
#define KEEP(i) if (width > i) { \
        if (ragged && width == i + 1) { STORE_TAIL(c + i * LANES, last, c##i); } \
        else { STORE(c + i * LANES, c##i); } }
    EACH_ROW_VECTOR(KEEP)
#undef KEEP
}

#define ROW_TILE(width, ragged) \
    static __attribute__((noinline)) void NAME(row_tile_##width##_##ragged)( \
            ptrdiff_t depth, ptrdiff_t n, ptrdiff_t ldb, const REAL *a, const REAL *b, REAL *c) { \
        NAME(row_tile)(width, ragged, depth, n, ldb, a, b, c); \
    }
#define ROW_TILES(width) ROW_TILE(width, 0) ROW_TILE(width, 1)
ROW_TILES(1) ROW_TILES(2) ROW_TILES(3) ROW_TILES(4)
ROW_TILES(5) ROW_TILES(6) ROW_TILES(7) ROW_TILES(8)
#if ROW_VECTORS == 16
ROW_TILES(9) ROW_TILES(10) ROW_TILES(11) ROW_TILES(12)
ROW_TILES(13) ROW_TILES(14) ROW_TILES(15) ROW_TILES(16)
#endif
#undef ROW_TILES
#undef ROW_TILE

typedef void (*NAME(row_function))(ptrdiff_t, ptrdiff_t, ptrdiff_t, const REAL *, const REAL *,
                                   REAL *);
#define OF_WIDTH(width) {NAME(row_tile_##width##_0), NAME(row_tile_##width##_1)}
static const NAME(row_function) NAME(row_tiles)[ROW_VECTORS][2] = {
    OF_WIDTH(1), OF_WIDTH(2), OF_WIDTH(3), OF_WIDTH(4),
    OF_WIDTH(5), OF_WIDTH(6), OF_WIDTH(7), OF_WIDTH(8),
#if ROW_VECTORS == 16
    OF_WIDTH(9), OF_WIDTH(10), OF_WIDTH(11), OF_WIDTH(12),
    OF_WIDTH(13), OF_WIDTH(14), OF_WIDTH(15), OF_WIDTH(16),
#endif
};
#undef OF_WIDTH

/* c (n) = a (depth) times B (depth, n), rows ldb apart. */
static void NAME(row)(ptrdiff_t depth, ptrdiff_t n, ptrdiff_t ldb, const REAL *a, const REAL *b,
                      REAL *c) {
    for (ptrdiff_t j = 0; j < n; j += ROW_VECTORS * LANES) {
        const ptrdiff_t left = n - j, most = ROW_VECTORS * LANES,
                        columns = left < most ? left : most;
        const ptrdiff_t width = (columns + LANES - 1) / LANES;
        NAME(row_tiles)[width - 1][columns % LANES != 0](depth, columns, ldb, a, b + j, c + j);
    }
}
