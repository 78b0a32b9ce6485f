/* product/tile.h: the tiles of the micro-kernel, product/product.h.
 *
 * With HALF_VECTORS a tile is one vector of half the size, for a few last columns.  Processors whose
 * multipliers are half as wide as their vectors, as Zen 4, compute it in half the time.
 *
 * The accumulators are named variables, not an array: GCC leaves an array of vectors in memory.
 * `rows` and `width` are constants wherever `tile` is inlined, so the tests on them vanish. */

#ifndef CCONV_TILE_H
#define CCONV_TILE_H
/* Where a tile is stored: float or double.  It stays in memory, because it is needed only at the end. */
typedef struct {
    void *c;
    const void *bias; /* or NULL */
    ptrdiff_t n;
    int mode;
} cconv_target;
#endif

#undef FEWEST_TERMS
#define FEWEST_TERMS 16 /* of a sum that takes long enough to prefetch its C meanwhile */
/* Rows of C in a tile.  Each has two vectors of C; two vectors of B and a broadcast need registers too.  The
 * more rows, the less often B is loaded: 12 take 24 + 3 of the 32 registers of AVX-512. */
#undef TILE_ROWS
#if defined(ISA_AVX512)
#define TILE_ROWS 12
#elif defined(__aarch64__)
#define TILE_ROWS 8
#else
#define TILE_ROWS 6
#endif

/* The compiler forgets what it knows about p, which is in a register.  It then computes an address that
 * depends on p when it is needed.  Otherwise it computes all of them before the loops.  There are not enough
 * general registers for them, so it keeps them in vector registers; to move them back from there takes as
 * long as all multiplications that are still queued. */
#undef FORGET
#define FORGET(p) __asm__("" : "+r"(p))

#undef EACH_ROW
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

/* C (rows, n): rows <= TILE_ROWS, n in ((width-1)*LANES, width*LANES]; ragged: n is not full. */
static inline __attribute__((always_inline)) void NAME(tile)(
        const int rows, const int width, const int ragged, const cconv_sum *s, const REAL *a,
        const REAL *b, const cconv_target *to) {
#define LOAD_FIRST(p) (width == 1 && ragged ? LOAD_TAIL((p), last) : LOAD(p))
#define LOAD_SECOND(p) (ragged ? LOAD_TAIL((p) + LANES, last) : LOAD((p) + LANES))
/* The address of row i, from pointers to rows 0 (upper), 4 (middle) and 8 (lower). */
#define AT_ROW(i, stride) ((i < 4 ? upper : i < 8 ? middle : lower) + i % 4 * (stride))
#define DECLARE(i) vec c##i##0 = {0}, c##i##1 = {0};
    EACH_ROW(DECLARE)
#undef DECLARE
    if (!(to->mode & CCONV_NEAR) && (to->mode & CCONV_ACCUMULATE || s->q * s->r * s->k >= FEWEST_TERMS)) {
        /* C is needed only at the end: prefetch it now, also where it will be overwritten.  For 64 terms, an
         * output that is written to memory takes two thirds of the time. */
        const REAL *p_ = to->c;
#define FETCH(i) if (rows > i) { \
        __builtin_prefetch(p_, 1); \
        if (width == 2) __builtin_prefetch(p_ + LANES, 1); \
        p_ += s->cm; }
        EACH_ROW(FETCH)
#undef FETCH
    }
    tail last = TAIL(ragged ? to->n - (width - 1) * LANES : LANES);
    for (ptrdiff_t q = s->q; q > 0; q--) {
        for (ptrdiff_t r = s->r; r > 0; r--) {
            /* Where a whole vector and a half vector share the columns, only the half one prefetches. */
            if ((width == 2 || ragged) && to->mode & CCONV_FETCH) {
                cconv_fetch(s->ahead);
                cconv_fetch(s->ahead + 1);
            }
            const ptrdiff_t am = s->am, ak = s->ak, step = s->bk, run = s->k;
            const REAL *upper = a, *middle = rows > 4 ? a + 4 * am : a, *lower = rows > 8 ? a + 8 * am : a;
            for (ptrdiff_t k = run; k > 0; k--) {
                vec b0 = LOAD_FIRST(b), b1 = b0;
                if (width == 2) b1 = LOAD_SECOND(b);
#define STEP(i) if (rows > i) { \
                    const vec s_ = SPLAT(*AT_ROW(i, am)); \
                    c##i##0 = FMA(s_, b0, c##i##0); \
                    if (width == 2) c##i##1 = FMA(s_, b1, c##i##1); }
                EACH_ROW(STEP)
#undef STEP
                upper += ak;
                FORGET(upper);
                if (rows > 4) {
                    middle += ak;
                    FORGET(middle);
                }
                if (rows > 8) {
                    lower += ak;
                    FORGET(lower);
                }
                b += step;
            }
            FORGET(s);
            a += s->ar;
            b += s->br - run * s->bk;
        }
        a += s->aq - s->r * s->ar;
        b += s->bq - s->r * s->br;
    }
    FORGET(to);
    const ptrdiff_t cm = s->cm;
    REAL *upper = to->c, *middle = rows > 4 ? upper + 4 * cm : upper;
    REAL *lower = rows > 8 ? upper + 8 * cm : upper;
    FORGET(middle);
    FORGET(lower);
    if (to->mode & CCONV_ACCUMULATE) {
#define ADD_OLD(i) if (rows > i) { \
        const REAL *p_ = AT_ROW(i, cm); \
        c##i##0 += LOAD_FIRST(p_); \
        if (width == 2) c##i##1 += LOAD_SECOND(p_); }
        EACH_ROW(ADD_OLD)
#undef ADD_OLD
    }
    if (to->bias) {
        const REAL *p_ = to->bias;
        const vec bias0 = LOAD_FIRST(p_), bias1 = width == 2 ? LOAD_SECOND(p_) : bias0;
#define ADD_BIAS(i) c##i##0 += bias0; c##i##1 += bias1;
        EACH_ROW(ADD_BIAS)
#undef ADD_BIAS
    }
    if (to->mode & CCONV_RELU) {
#define CUT(i) c##i##0 = RELU(c##i##0); c##i##1 = RELU(c##i##1);
        EACH_ROW(CUT)
#undef CUT
    }
#define PUT(p, v, is_tail) { if (is_tail) { STORE_TAIL(p, last, v); } else { STORE(p, v); } }
#define STORE_ROW(i) if (rows > i) { \
        REAL *p_ = AT_ROW(i, cm); \
        PUT(p_, c##i##0, (width == 1 && ragged)) \
        if (width == 2) PUT(p_ + LANES, c##i##1, ragged) }
    EACH_ROW(STORE_ROW)
#undef STORE_ROW
#undef PUT
#undef AT_ROW
#undef LOAD_FIRST
#undef LOAD_SECOND
}

#define TILE(rows, width, ragged) \
    static __attribute__((noinline)) void NAME(tile_##rows##_##width##_##ragged)( \
            const cconv_sum *s, const REAL *a, const REAL *b, const cconv_target *to) { \
        NAME(tile)(rows, width, ragged, s, a, b, to); \
    }
typedef void (*NAME(tile_function))(const cconv_sum *, const REAL *, const REAL *,
                                    const cconv_target *);
#define EACH_HEIGHT_6(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#if TILE_ROWS == 12
#define EACH_HEIGHT(DO) EACH_HEIGHT_6(DO) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#elif TILE_ROWS == 8
#define EACH_HEIGHT(DO) EACH_HEIGHT_6(DO) DO(7) DO(8)
#else
#define EACH_HEIGHT(DO) EACH_HEIGHT_6(DO)
#endif
#if defined(HALF_VECTORS)
#define TILES(rows) TILE(rows, 1, 1)
#define OF_ROWS(rows) NAME(tile_##rows##_1_1),
EACH_HEIGHT(TILES)
static const NAME(tile_function) NAME(tiles)[TILE_ROWS] = {EACH_HEIGHT(OF_ROWS)};
#else
#define TILES(rows) TILE(rows, 1, 0) TILE(rows, 1, 1) TILE(rows, 2, 0) TILE(rows, 2, 1)
#define OF_ROWS(rows) { \
    {NAME(tile_##rows##_1_0), NAME(tile_##rows##_1_1)}, \
    {NAME(tile_##rows##_2_0), NAME(tile_##rows##_2_1)}},
EACH_HEIGHT(TILES)
static const NAME(tile_function) NAME(tiles)[TILE_ROWS][2][2] = {EACH_HEIGHT(OF_ROWS)};
#endif
#undef EACH_HEIGHT_6
#undef EACH_HEIGHT
#undef OF_ROWS
#undef TILES
#undef TILE
