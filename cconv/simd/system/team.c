/* system/team.c: the parallel regions of a module go to the crew of the process.
 *
 * With -Wl,--wrap (see setup.py) the linker sends GCC's calls of OpenMP's library here.  A region of one
 * thread is a plain call: OpenMP's library would make a team even for it, and end it with a system call,
 * which takes longer than many kernels need for one image.  The crew (system/crew.c) runs all other regions;
 * where there is no crew, OpenMP's library does. */
#include "system/team.h"

#if CCONV_HAS_CREW
#include <omp.h>
#include <stddef.h>

typedef void body_of_region(void *data);

void __real_GOMP_parallel(body_of_region *body, void *data, unsigned threads, unsigned flags);
void __real_GOMP_barrier(void);
_Bool __real_GOMP_loop_nonmonotonic_dynamic_start(long first, long stop, long step, long chunk, long *from, long *to);
_Bool __real_GOMP_loop_nonmonotonic_dynamic_next(long *from, long *to);
void __real_GOMP_loop_end(void);
void __real_GOMP_loop_end_nowait(void);
int __real_omp_get_thread_num(void);

void __wrap_GOMP_parallel(body_of_region *body, void *data, unsigned threads, unsigned flags);
void __wrap_GOMP_barrier(void);
_Bool __wrap_GOMP_loop_nonmonotonic_dynamic_start(long first, long stop, long step, long chunk, long *from, long *to);
_Bool __wrap_GOMP_loop_nonmonotonic_dynamic_next(long *from, long *to);
_Bool __wrap_GOMP_loop_dynamic_start(long first, long stop, long step, long chunk, long *from, long *to);
_Bool __wrap_GOMP_loop_dynamic_next(long *from, long *to);
void __wrap_GOMP_loop_end(void);
void __wrap_GOMP_loop_end_nowait(void);
int __wrap_omp_get_thread_num(void);

static const cconv_crew *crew;
static _Thread_local cconv_member *self; /* NULL outside of regions, and in those of OpenMP's library */

void cconv_join(const void *given) { crew = given; }

static void enter(cconv_member *member, body_of_region *body, void *data) {
    cconv_member *outer = self;
    self = member;
    body(data);
    self = outer;
}

void __wrap_GOMP_parallel(body_of_region *body, void *data, unsigned threads, unsigned flags) {
    if (threads == 1) {
        cconv_member alone = {.threads = 1};
        enter(&alone, body, data);
    } else if (crew && threads > 1) crew->region(enter, body, data, (int)threads);
    else __real_GOMP_parallel(body, data, threads, flags);
}

int __wrap_omp_get_thread_num(void) { return self ? self->id : __real_omp_get_thread_num(); }

_Bool __wrap_GOMP_loop_nonmonotonic_dynamic_start(
    long first, long stop, long step, long chunk, long *from, long *to) {
    cconv_member *member = self;
    if (!member) return __real_GOMP_loop_nonmonotonic_dynamic_start(first, stop, step, chunk, from, to);
    *from = first, *to = stop;
    if (!member->job) return step > 0 ? first < stop : first > stop;
    if (!crew->start(member, first, stop, step, from)) return 0;
    *to = *from + step;
    return 1;
}

_Bool __wrap_GOMP_loop_nonmonotonic_dynamic_next(long *from, long *to) {
    cconv_member *member = self;
    if (!member) return __real_GOMP_loop_nonmonotonic_dynamic_next(from, to);
    if (!member->job || !crew->next(member, from)) return 0;
    *to = *from + member->step;
    return 1;
}

/* The names that GCC used before version 9. */
_Bool __wrap_GOMP_loop_dynamic_start(long first, long stop, long step, long chunk, long *from, long *to) {
    return __wrap_GOMP_loop_nonmonotonic_dynamic_start(first, stop, step, chunk, from, to);
}

_Bool __wrap_GOMP_loop_dynamic_next(long *from, long *to) {
    return __wrap_GOMP_loop_nonmonotonic_dynamic_next(from, to);
}

/* A member does not wait at the end of a loop.  The next loop waits at its start for all iterations of the
 * one before, and the end of the region waits for the members. */
void __wrap_GOMP_loop_end(void) {
    if (!self) __real_GOMP_loop_end();
}

void __wrap_GOMP_loop_end_nowait(void) {
    if (!self) __real_GOMP_loop_end_nowait();
}

void __wrap_GOMP_barrier(void) {
    if (!self) __real_GOMP_barrier();
}
#elif defined(_OPENMP)
/* Clang's code calls it too. */
int __real_omp_get_thread_num(void);
int __wrap_omp_get_thread_num(void);
int __wrap_omp_get_thread_num(void) { return __real_omp_get_thread_num(); }
#endif
