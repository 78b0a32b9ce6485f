/* product/product.h: the micro-kernel.  One idea carries the library:
 *
 *   C[m, n] (+)= sum_q sum_r sum_k  A[m*am + q*aq + r*ar + k*ak] * B[q*bq + r*br + k*bk + n]
 *
 * Scalars of A are broadcast straight from an activation array, vectors of B are loaded along
 * the output channels, C stays in registers over the whole sum.
 *
 *                 m                    q, r, k                         B
 *   forward       output pixels        kernel row, column, channel     packed kernel
 *   input grad    input pixels         the same, of the flipped kernel packed flipped kernel
 *   weight grad   taps (kw, ic)        image, output row, pixel        dy
 *   dense         samples              input features                  kernel
 *
 * A sum of at most CCONV_ONE_PRODUCT terms is one chain of fused multiply-adds in the order q, r, k
 * that starts from zero; the old C, then the bias, are added at the end.  A longer sum is cut into chains of
 * about CCONV_PRODUCT terms, by its extents alone, and the chains are added in order: the rounding
 * error of one chain grows with its length (docs/architecture.md, "Long sums").  Tile sizes
 * therefore never change a bit of the result. */
#include "chains.h"
#include "isa/tuning.h"

/* How many of the `left` columns the next tile takes: at most two vectors.  Where multipliers are narrower
 * than vectors, a whole and a half vector are faster than two, but not in a tile of few rows: that waits for
 * its sums, and a second tile as long. */
static inline ptrdiff_t NAME(next_columns)(ptrdiff_t m, ptrdiff_t left) {
#if defined(HALF_TILES)
    if (left > LANES && left <= LANES + LANES / 2 && m > 5 && cconv_tuned.multiplier < VECTOR_BYTES)
        return LANES;
#else
    (void)m;
#endif
    return left < 2 * LANES ? left : 2 * LANES;
}

static inline NAME(tile_function) NAME(tile_of)(ptrdiff_t rows, ptrdiff_t columns) {
#if defined(HALF_TILES)
    if (columns <= LANES / 2) return NAME(half_tiles)[rows - 1];
#endif
    return NAME(tiles)[rows - 1][columns > LANES][columns % LANES != 0];
}

/* What a chain adds to the columns `to`: bias and ReLU belong to the last one. */
static inline cconv_target NAME(target_of)(const cconv_chain *chain, const cconv_target *to) {
    cconv_target part = {to->c, chain->last ? to->bias : NULL, to->n, to->mode};
    if (!chain->first) part.mode |= CCONV_ACCUMULATE | CCONV_NEAR;
    if (!chain->last) part.mode &= ~CCONV_RELU;
    return part;
}

/* A tile of C, chain by chain. */
static void NAME(chains)(NAME(tile_function) tile, const cconv_sum *s, const REAL *a, const REAL *b,
                         const cconv_target *to) {
    cconv_chain chain = cconv_first_chain(s);
    for (;; cconv_next_chain(s, &chain)) {
        const cconv_target part = NAME(target_of)(&chain, to);
        tile(&chain.part, a + chain.q * s->aq + chain.r * s->ar + chain.k * s->ak,
             b + chain.q * s->bq + chain.r * s->br + chain.k * s->bk, &part);
        if (chain.last) return;
    }
}

/* Rows of C in tiles of even height: 26 rows are 9 + 9 + 8, not 12 + 12 + 2. */
static void NAME(tiles_below)(const cconv_sum *s, int one_chain, ptrdiff_t m, const REAL *a, const REAL *b,
                              cconv_target to) {
    const ptrdiff_t count = (m + TILE_ROWS - 1) / TILE_ROWS;
    for (ptrdiff_t t = 0; t < count; t++) {
        const ptrdiff_t rows = m / count + (t < m % count);
        const NAME(tile_function) tile = NAME(tile_of)(rows, to.n);
        if (one_chain) tile(s, a, b, &to);
        else NAME(chains)(tile, s, a, b, &to);
        a += rows * s->am;
        to.c = (REAL *)to.c + rows * s->cm;
    }
}

/* Two vectors of each term of s, one term behind the other, from B to `near`; s then describes these. */
static void NAME(gather_terms)(cconv_sum *s, const REAL *b, REAL *near) {
    for (ptrdiff_t q = 0; q < s->q; q++)
        for (ptrdiff_t r = 0; r < s->r; r++) {
            const REAL *term = b + q * s->bq + r * s->br;
            for (ptrdiff_t k = 0; k < s->k; k++, near += 2 * LANES, term += s->bk) {
                STORE(near, LOAD(term));
                STORE(near + LANES, LOAD(term + LANES));
            }
        }
    s->bk = 2 * LANES, s->br = s->k * s->bk, s->bq = s->r * s->br;
}

/* Two vectors of columns of C, where many tiles read terms of B that lie apart in memory, in few sets of
 * the first cache: a chain's terms are gathered, and it is added to all rows before the next one begins.
 * Not inlined: its array would make the frame of all products larger. */
static __attribute__((noinline)) void NAME(gathered)(const cconv_sum *s, ptrdiff_t m, const REAL *a,
                                                     const REAL *b, const cconv_target *to) {
    REAL near[CCONV_LONGEST_CHAIN * 2 * LANES] __attribute__((aligned(64)));
    cconv_chain chain = cconv_first_chain(s);
    for (;; cconv_next_chain(s, &chain)) {
        cconv_sum part = chain.part;
        NAME(gather_terms)(&part, b + chain.q * s->bq + chain.r * s->br + chain.k * s->bk, near);
        NAME(tiles_below)(&part, 1, m, a + chain.q * s->aq + chain.r * s->ar + chain.k * s->ak, near,
                          NAME(target_of)(&chain, to));
        if (chain.last) return;
    }
}

/* C (m, n), any m and n.  Blocks of CCONV_BLOCK_BYTES of columns lie bn elements apart in B. */
static void NAME(product)(const cconv_sum *s, ptrdiff_t m, ptrdiff_t n, const REAL *a,
                          const REAL *b, REAL *c, const REAL *bias, int mode) {
    enum { FEW_TILES = 4, FEW_OF_ONE = 8 }; /* for fewer, gathering takes as long as it saves */
    const ptrdiff_t block = CCONV_BLOCK_BYTES / sizeof(REAL);
    const int one_chain = mode & CCONV_CUT ? cconv_is_one_chain(s) : cconv_terms(s) <= CCONV_ONE_PRODUCT;
    const int apart = /* not of no terms, which have no chain */
        s->bk != block && m > (one_chain ? FEW_OF_ONE : FEW_TILES) * TILE_ROWS && cconv_terms(s) > 0;
    cconv_sum whole;
    if ((!one_chain || apart) && !(mode & CCONV_CUT)) {
        whole = *s;
        cconv_cut(&whole);
        s = &whole;
    }
    for (ptrdiff_t j = 0, columns; j < n; j += columns) {
        columns = NAME(next_columns)(m, n - j);
        const REAL *bj = b + (j / block) * s->bn + j % block;
        const cconv_target to = {c + j, bias ? bias + j : bias, columns, mode};
        if (apart && columns == 2 * LANES) NAME(gathered)(s, m, a, bj, &to);
        else NAME(tiles_below)(s, one_chain, m, a, bj, to);
    }
}
