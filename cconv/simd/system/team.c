/* system/team.c: a parallel region of one thread is a plain call.
 *
 * GCC's OpenMP library makes a team even for one thread and ends it with a system call: 0.7
 * microseconds, longer than many a kernel takes for one image.  The linker sends the beginning of
 * every region here first (-Wl,--wrap, see setup.py).  Clang's library has no need of it. */
#if defined(_OPENMP) && !defined(__clang__)
#include <omp.h>

void __real_GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
void __wrap_GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);

void __wrap_GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags) {
    /* Inside somebody else's region the body would take their number of threads for its own. */
    if (threads == 1 && omp_get_num_threads() == 1) body(data);
    else __real_GOMP_parallel(body, data, threads, flags);
}
#endif
