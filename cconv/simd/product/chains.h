/* product/chains.h: where a long sum of products is cut.
 *
 * A sum of at most CCONV_ONE_PRODUCT terms is one chain.  A longer sum is cut into chains of about
 * CCONV_PRODUCT terms, by its extents alone.  A chain is a part of one run, or some whole runs. */
#ifndef CCONV_CHAINS_H
#define CCONV_CHAINS_H
#include "simd.h"

/* How many of `count` pieces of `terms` terms each make a chain. */
static inline ptrdiff_t cconv_pieces(ptrdiff_t count, ptrdiff_t terms) {
    const ptrdiff_t chains = (count * terms + CCONV_PRODUCT / 2) / CCONV_PRODUCT;
    return chains > 1 ? (count + chains - 1) / chains : count;
}

static inline int cconv_is_one_chain(const cconv_sum *s) { return s->q * s->r * s->k <= CCONV_ONE_PRODUCT; }

/* The sum s with the extents of its chains; s itself if it is one chain. */
static inline cconv_sum cconv_cut(const cconv_sum *s) {
    cconv_sum most = *s;
    if (cconv_is_one_chain(s)) return most;
    if (s->r * s->k < CCONV_PRODUCT) {
        most.q = cconv_pieces(s->q, s->r * s->k);
    } else if (s->k < CCONV_PRODUCT) {
        most.q = 1, most.r = cconv_pieces(s->r, s->k);
    } else {
        most.q = most.r = 1, most.k = cconv_pieces(s->k, 1);
    }
    return most;
}

/* A chain of a sum: from (q, r, k) on, with the extents of `part`. */
typedef struct {
    ptrdiff_t q, r, k;
    cconv_sum part;
    int first, last; /* of the sum */
} cconv_chain;

static inline ptrdiff_t cconv_at_most(ptrdiff_t most, ptrdiff_t left) { return most < left ? most : left; }

/* The chain of s that begins at (q, r, k); `most`: what cconv_cut returns. */
static inline void cconv_chain_at(ptrdiff_t q, ptrdiff_t r, ptrdiff_t k, const cconv_sum *s,
                                  const cconv_sum *most, cconv_chain *chain) {
    chain->q = q, chain->r = r, chain->k = k;
    chain->part.q = cconv_at_most(most->q, s->q - q);
    chain->part.r = cconv_at_most(most->r, s->r - r);
    chain->part.k = cconv_at_most(most->k, s->k - k);
    chain->first = !(q | r | k);
    chain->last = q + most->q >= s->q && r + most->r >= s->r && k + most->k >= s->k;
}

static inline cconv_chain cconv_first_chain(const cconv_sum *s, const cconv_sum *most) {
    cconv_chain chain = {.part = *s};
    cconv_chain_at(0, 0, 0, s, most, &chain);
    return chain;
}

static inline void cconv_next_chain(const cconv_sum *s, const cconv_sum *most, cconv_chain *chain) {
    ptrdiff_t q = chain->q, r = chain->r, k = chain->k + most->k;
    if (k >= s->k) k = 0, r += most->r;
    if (r >= s->r) r = 0, q += most->q;
    cconv_chain_at(q, r, k, s, most, chain);
}
#endif
