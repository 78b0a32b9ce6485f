/* rows/stream.h: stores that bypass the caches, for outputs so large that their next reader would not
 * find them in a cache.
 *
 * A plain store first reads the line that it writes, so a large output moves twice.  Here a piece of it
 * is written to a stage in the L1 cache; then whole lines go straight to memory.  They wait for memory in
 * the store queue.  With the widest vectors that queue must hold a whole stage, else the next piece cannot
 * begin meanwhile.  The values are those of plain stores. */

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

/* The last call of a thread: what it streamed becomes visible to the others. */
static void NAME(streamed)(void) { _mm_sfence(); }

#define STREAM .stream = NAME(stream), .streamed = NAME(streamed),
#else
#define STREAM
#endif
