/* fetch.h: asking memory, while the processor multiplies, for what will be read next. */
#ifndef CCONV_FETCH_H
#define CCONV_FETCH_H
#include <stddef.h>

/* A matrix of `rows` rows of `bytes` bytes, `stride` bytes apart, asked for in `parts` parts. */
typedef struct {
    const void *from;
    ptrdiff_t rows, bytes, stride, part, parts;
} cconv_ahead;

/* Ask for the next part: a few lines at a time, since only so many can be under way. */
static inline void cconv_fetch(cconv_ahead *a) {
    const ptrdiff_t last = (a->part + 1) * a->rows / a->parts;
    for (ptrdiff_t r = a->part * a->rows / a->parts; r < last; r++) {
        const char *row = (const char *)a->from + r * a->stride;
        for (ptrdiff_t i = 0; i < a->bytes; i += 64) __builtin_prefetch(row + i, 0, 2);
    }
    a->part++;
}

#endif
