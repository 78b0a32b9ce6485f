/* Stands before GCC's OpenMP library: runs parallel regions on their caller alone, and notes how many tasks
 * each loop has and how long all of them take.  Compiled by machine.py, loaded before cconv's kernels by
 * peers/with_cconv_tasks.py: the linker then finds these functions first. */
#define _GNU_SOURCE
#include <time.h>

enum { MOST = 1 << 12 }; /* loops of one kernel call */

static struct {
    long tasks;
    double seconds;
} loops[MOST];
static int count, regions;
static long stride; /* of the loop that is on; 0: none is */
static double begin;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void end_loop(void) {
    if (stride && count < MOST) loops[count++].seconds = now() - begin;
    stride = 0;
}

void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags) {
    (void)threads, (void)flags;
    regions++;
    body(data);
    end_loop();
}

_Bool GOMP_loop_nonmonotonic_dynamic_start(long first, long stop, long step, long chunk, long *from, long *to) {
    (void)chunk;
    end_loop();
    const long tasks = (stop - first + step + (step > 0 ? -1 : 1)) / step;
    if (tasks <= 0) return 0;
    if (count < MOST) loops[count].tasks = tasks;
    stride = step, begin = now();
    *from = first, *to = stop;
    return 1;
}

_Bool GOMP_loop_nonmonotonic_dynamic_next(long *from, long *to) {
    (void)from, (void)to;
    return 0;
}

void GOMP_loop_end(void) { end_loop(); }
void GOMP_loop_end_nowait(void) { end_loop(); }
void GOMP_barrier(void) {}

/* Writes what the loops since the last call were; returns their number, and that of the regions. */
int noted_loops(long *tasks, double *seconds, int *opened) {
    const int found = count;
    for (int i = 0; i < found; i++) tasks[i] = loops[i].tasks, seconds[i] = loops[i].seconds;
    *opened = regions;
    count = regions = 0;
    return found;
}
