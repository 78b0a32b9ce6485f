/* product/chains.h: where a long sum of products is cut.
 *
 * A sum of at most CCONV_ONE_PRODUCT terms is one chain.  A longer sum is cut into chains of about
 * CCONV_PRODUCT terms, by its extents alone.  A chain is a part of one run, or some whole runs.
 *
 * At the border of an image a sum leaves out the terms that see padding.  It is cut where the whole sum
 * is, so that it has the bits that it would have with zeros for these terms. */
#ifndef CCONV_CHAINS_H
#define CCONV_CHAINS_H
#include "simd.h"

/* No chain has more terms: of count = chains + 1 runs, each of less than CCONV_PRODUCT, two make one. */
enum { CCONV_LONGEST_CHAIN = 2 * CCONV_PRODUCT };

/* How many of `count` pieces of `terms` terms each make a chain. */
static inline ptrdiff_t cconv_pieces(ptrdiff_t count, ptrdiff_t terms) {
    const ptrdiff_t chains = (count * terms + CCONV_PRODUCT / 2) / CCONV_PRODUCT;
    return chains > 1 ? (count + chains - 1) / chains : count;
}

static inline ptrdiff_t cconv_terms(const cconv_sum *s) { return s->q * s->r * s->k; }

/* Cuts the whole sum s: sets the extents of its chains; q0, r0 and k0 are 0. */
static inline void cconv_cut(cconv_sum *s) {
    s->q0 = s->r0 = s->k0 = 0;
    s->chain_q = s->q, s->chain_r = s->r, s->chain_k = s->k;
    if (cconv_terms(s) <= CCONV_ONE_PRODUCT) return;
    if (s->r * s->k < CCONV_PRODUCT) {
        s->chain_q = cconv_pieces(s->q, s->r * s->k);
    } else if (s->k < CCONV_PRODUCT) {
        s->chain_q = 1, s->chain_r = cconv_pieces(s->r, s->k);
    } else {
        s->chain_q = s->chain_r = 1, s->chain_k = cconv_pieces(s->k, 1);
    }
}

/* Whether s, which was cut, lies in one chain. */
static inline int cconv_is_one_chain(const cconv_sum *s) {
    return s->q0 + s->q <= s->chain_q && s->r0 + s->r <= s->chain_r && s->k0 + s->k <= s->chain_k;
}

/* A chain of a sum: from (q, r, k) on, with the extents of `part`. */
typedef struct {
    ptrdiff_t q, r, k;
    cconv_sum part;
    int first, last; /* of the sum */
} cconv_chain;

/* Of `extent` terms, which begin at `begin` in the whole sum: how many the chain at `at` has.  All
 * chains but the first begin at a multiple of `chain`. */
static inline ptrdiff_t cconv_reach(ptrdiff_t at, ptrdiff_t extent, ptrdiff_t begin, ptrdiff_t chain) {
    const ptrdiff_t left = extent - at, before = at ? 0 : begin < chain ? begin : begin % chain;
    return left < chain - before ? left : chain - before;
}

/* The chain of s that begins at (q, r, k). */
static inline void cconv_chain_at(ptrdiff_t q, ptrdiff_t r, ptrdiff_t k, const cconv_sum *s,
                                  cconv_chain *chain) {
    chain->q = q, chain->r = r, chain->k = k;
    chain->part.q = cconv_reach(q, s->q, s->q0, s->chain_q);
    chain->part.r = cconv_reach(r, s->r, s->r0, s->chain_r);
    chain->part.k = cconv_reach(k, s->k, s->k0, s->chain_k);
    chain->first = !(q | r | k);
    chain->last = q + chain->part.q >= s->q && r + chain->part.r >= s->r && k + chain->part.k >= s->k;
}

static inline cconv_chain cconv_first_chain(const cconv_sum *s) {
    cconv_chain chain = {.part = *s};
    cconv_chain_at(0, 0, 0, s, &chain);
    return chain;
}

static inline void cconv_next_chain(const cconv_sum *s, cconv_chain *chain) {
    ptrdiff_t q = chain->q, r = chain->r, k = chain->k + chain->part.k;
    if (k >= s->k) k = 0, r += chain->part.r;
    if (r >= s->r) r = 0, q += chain->part.q;
    cconv_chain_at(q, r, k, s, chain);
}
#endif
