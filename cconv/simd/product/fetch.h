/* product/fetch.h: prefetches what will be read next, while the processor multiplies. */
#ifndef CCONV_FETCH_H
#define CCONV_FETCH_H
#include <stddef.h>

/* A matrix whose 64-byte lines are prefetched, `each` per call: the processor has few requests under way. */
typedef struct {
    const char *at, *end;     /* the next line; the end of its row */
    ptrdiff_t bytes, stride;  /* of a row; from one row to the next */
    ptrdiff_t rows, each;     /* rows left; lines at a time */
} cconv_ahead;

/* `rows` rows of `bytes` bytes, `stride` bytes apart, to be prefetched in `parts` calls of cconv_fetch. */
static inline cconv_ahead cconv_ask(const void *from, ptrdiff_t rows, ptrdiff_t bytes,
                                    ptrdiff_t stride, ptrdiff_t parts) {
    const char *at = (const char *)from;
    cconv_ahead a = {at, at + bytes, bytes, stride, bytes > 0 && rows > 0 && parts > 0 ? rows : 0, 0};
    if (a.rows) a.each = (a.rows * ((bytes + 63) / 64) + parts - 1) / parts;
    return a;
}

/* Prefetch the next `each` lines. */
static inline void cconv_fetch(cconv_ahead *a) {
    for (ptrdiff_t n = a->each; n > 0 && a->rows > 0; n--) {
        __builtin_prefetch(a->at, 0, 2);
        a->at += 64;
        if (a->at >= a->end) {
            a->end += a->stride;
            a->at = a->end - a->bytes;
            a->rows--;
        }
    }
}

#endif
