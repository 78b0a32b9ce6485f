/* Callers on several threads run regions of every shape on the crew, and see that each iteration is computed once,
 * that a loop sees all of the one before, and that no two members have one number. Arguments: callers, regions
 * each, seed. */
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system/team.h"

enum { MOST = 3000, MOST_THREADS = 9 };

#define CHECK(what)                                                                       \
    do {                                                                                  \
        if (!(what)) fprintf(stderr, "line %d: %s\n", __LINE__, #what), exit(1);          \
    } while (0)

static unsigned drawn(uint64_t *state, unsigned below) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33) % below;
}

/* What a task takes: nothing, some microseconds, or its processor's time slice. */
static void work(unsigned kind, long i) {
    if (kind == 1)
        for (volatile int turn = 0; turn < 200 + (int)(i % 7) * 100; turn++) continue;
    if (kind == 2 && i % 17 == 0) usleep(20);
}

static void one_loop(long count, int threads, unsigned kind, int *seen) {
    atomic_int taken[MOST_THREADS] = {0};
    long sum = 0;
    memset(seen, 0, sizeof *seen * MOST);
#pragma omp parallel num_threads(threads)
    {
        const int id = omp_get_thread_num();
        CHECK(id >= 0 && id < threads && !atomic_exchange(&taken[id], 1));
#pragma omp for schedule(dynamic) reduction(+ : sum)
        for (long i = 0; i < count; i++) seen[i]++, sum += i, work(kind, i);
        atomic_store(&taken[id], 0);
    }
    for (long i = 0; i < count; i++) CHECK(seen[i] == 1);
    CHECK(sum == count * (count - 1) / 2);
}

/* Each loop doubles what its neighbour has from the loop before. */
static void three_loops(long count, int threads, unsigned kind, int *seen) {
    static const int expected[] = {1, 2, 4};
    int *second = seen + MOST, *third = second + MOST;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic)
        for (long i = 0; i < count; i++) seen[i] = expected[0], work(kind, i);
#pragma omp for schedule(dynamic)
        for (long i = count - 1; i >= 0; i--) second[i] = 2 * seen[count - 1 - i], work(kind, i);
#pragma omp for schedule(dynamic)
        for (long i = 0; i < count; i += 1) third[i] = 2 * second[(i + 1) % count];
    }
    for (long i = 0; i < count; i++) CHECK(second[i] == expected[1] && third[i] == expected[2]);
}

static int regions;

static void *call(void *given) {
    uint64_t state = (uint64_t)(uintptr_t)given;
    int *seen = malloc(sizeof *seen * MOST * 3);
    for (int region = 0; region < regions; region++) {
        const int threads = 1 + (int)drawn(&state, MOST_THREADS);
        const long count = drawn(&state, drawn(&state, 4) ? 40 : MOST);
        const unsigned kind = drawn(&state, 8);
        if (drawn(&state, 3)) one_loop(count, threads, kind, seen);
        else three_loops(count, threads, kind, seen);
    }
    free(seen);
    return NULL;
}

int main(int count, char **given) {
    CHECK(count == 4);
    const int callers = atoi(given[1]), seed = atoi(given[3]);
    pthread_t threads[64];
    regions = atoi(given[2]);
    CHECK(callers <= 64);
    cconv_join(cconv_crew_of_process());
    cconv_look(seed % 2 * 100);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < callers; i++)
            CHECK(!pthread_create(&threads[i], NULL, call, (void *)(uintptr_t)(seed * 1000 + turn * 100 + i + 1)));
        for (int i = 0; i < callers; i++) pthread_join(threads[i], NULL);
        /* A fork has no helpers, and may make its own. */
        const pid_t child = turn ? 0 : fork();
        if (child) {
            int status = 1;
            CHECK(waitpid(child, &status, 0) == child && status == 0);
        } else if (!turn) call((void *)(uintptr_t)seed), _exit(0);
    }
    printf("done\n");
    return 0;
}
