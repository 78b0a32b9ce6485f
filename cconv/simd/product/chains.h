/* product/chains.h: where a long sum of products is cut. */
#ifndef CCONV_CHAINS_H
#define CCONV_CHAINS_H
#include "simd.h"

static inline ptrdiff_t cconv_least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* How many of `count` pieces of `terms` terms each make a chain. */
static inline ptrdiff_t cconv_part(ptrdiff_t count, ptrdiff_t terms) {
    const ptrdiff_t parts = (count * terms + CCONV_PRODUCT / 2) / CCONV_PRODUCT;
    return parts > 1 ? (count + parts - 1) / parts : count;
}

/* The extents of one chain of the sum s. */
static inline cconv_sum cconv_chain(const cconv_sum *s) {
    cconv_sum chain = *s;
    if (s->q * s->r * s->k <= CCONV_ONE_PRODUCT) return chain;
    if (s->r * s->k < CCONV_PRODUCT) {
        chain.q = cconv_part(s->q, s->r * s->k);
    } else if (s->k < CCONV_PRODUCT) {
        chain.q = 1, chain.r = cconv_part(s->r, s->k);
    } else {
        chain.q = chain.r = 1, chain.k = cconv_part(s->k, 1);
    }
    return chain;
}
#endif
