/* rows/stream.h: stores past the caches, for outputs too large to be found there by who reads them
 * next.
 *
 * A plain store first reads the line that it writes, so that a large output moves twice.  A piece
 * of it is written to a stage in the first cache instead; whole lines then go straight to memory.
 * They wait for it in the store queue, which has to hold a stage of the widest vectors, or the next
 * piece is not begun meanwhile.  The values are those of plain stores. */

#undef STREAM
#if defined(ISA_AVX512) || defined(ISA_AVX2)
/* to (n) = stage (n) */
static void NAME(stream)(ptrdiff_t n, const void *stage, void *to_) {
    const REAL *from = stage;
    REAL *to = to_;
    const ptrdiff_t step = (ptrdiff_t)sizeof(vec), off = (ptrdiff_t)((uintptr_t)to % sizeof(vec));
    ptrdiff_t head = off ? (step - off) / (ptrdiff_t)sizeof(REAL) : 0, i = 0;
    if (head > n) head = n;
    for (; i < head; i++) to[i] = from[i];
    for (; i + LANES <= n; i += LANES) M_(stream)(to + i, LOAD(from + i));
    for (; i < n; i++) to[i] = from[i];
}

/* A thread's last word: what it streamed is there for the others. */
static void NAME(streamed)(void) { _mm_sfence(); }

#define STREAM .stream = NAME(stream), .streamed = NAME(streamed),
#else
#define STREAM
#endif
