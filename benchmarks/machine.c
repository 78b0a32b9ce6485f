/* What this machine can do at most: multiply-adds that stay in registers, and a triad through memory.
 * Compiled on the machine for the machine by machine.py. */
#include <omp.h>
#include <stdatomic.h>
#include <stddef.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

/* Independent chains: enough for a latency of 4 on 2 units, with few enough registers for AVX2. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define START(i) v a##i = one * (i + 1);
#define STEP(i) a##i = a##i * factor + term;
#define SUM(i) + a##i

/* rounds times 12 vector multiply-adds on each of `threads` threads; factor < 1 keeps them finite. */
#define PEAK(NAME, T)                                                                                   \
    double NAME(long rounds, int threads, double given_factor, double given_term)                       \
    {                                                                                                   \
        typedef T v __attribute__((vector_size(VECTOR_BYTES)));                                         \
        double total = 0;                                                                               \
        _Pragma("omp parallel num_threads(threads) reduction(+ : total)")                               \
        {                                                                                               \
            const v one = (v){0} + (T)1, factor = one * (T)given_factor, term = one * (T)given_term;    \
            CHAINS(START)                                                                               \
            for (long round = 0; round < rounds; round++) {                                             \
                CHAINS(STEP)                                                                            \
            }                                                                                           \
            const v sum = (v){0} CHAINS(SUM);                                                           \
            total += sum[0];                                                                            \
        }                                                                                               \
        return total;                                                                                   \
    }

PEAK(fma_float32, float)
PEAK(fma_float64, double)

/* Flops of one round on one thread, by the size of an item. */
long round_flops(size_t itemsize) { return 12L * 2L * (long)(VECTOR_BYTES / itemsize); }

/* Two threads give a word of memory back and forth, `times` times each. */
void handoff(long times)
{
    atomic_long turn = 0;
#pragma omp parallel num_threads(2)
    {
        const long own = omp_get_thread_num();
        /* A team of one has nobody to wait for. */
        for (long i = 0; i < times && omp_get_num_threads() == 2; i++) {
            while (atomic_load_explicit(&turn, memory_order_acquire) != own)
                ;
            atomic_store_explicit(&turn, 1 - own, memory_order_release);
        }
    }
}

/* a, b, c (n): McCalpin's triad. */
void triad(double *restrict a, const double *restrict b, const double *restrict c, long n, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long i = 0; i < n; i++)
        a[i] = b[i] + 3.0 * c[i];
}
