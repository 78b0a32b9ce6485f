/* system/probe.c: would the system give so many threads now?
 *
 * OpenMP's library ends the process if it cannot get the threads of a region.  So we first make that many
 * threads at the same time, with stacks as large as its own, and let them end. */
#if defined(_OPENMP) && !defined(_WIN32)
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include "system/probe.h"

typedef struct {
    pthread_t thread;
    pthread_mutex_t *gate;
    long id; /* the system's, on Linux */
} visitor;

static void *visit(void *given) {
    visitor *self = given;
#if defined(__linux__)
    self->id = syscall(SYS_gettid);
#endif
    pthread_mutex_lock(self->gate); /* no thread ends before all have been made */
    pthread_mutex_unlock(self->gate);
    return NULL;
}

/* A thread that was joined still counts against the limits for some microseconds. */
static void wait_until_gone(const visitor *v) {
#if defined(__linux__)
    for (int turn = 0; turn < 10000 && syscall(SYS_tgkill, getpid(), v->id, 0) == 0; turn++) usleep(20);
#else
    (void)v;
#endif
}

int cconv_probe(int threads, size_t stack) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attributes;
    /* One more than the team needs: a thread that prepares batches may start before the team does. */
    visitor *visitors = threads > 1 ? calloc((size_t)threads, sizeof *visitors) : NULL;
    if (!visitors) return threads > 1 ? ENOMEM : 0;
    int count = 0, error = pthread_attr_init(&attributes);
    if (!error) {
        if (stack) (void)pthread_attr_setstacksize(&attributes, stack); /* else the default, as in libgomp */
        pthread_mutex_lock(&gate);
        for (; !error && count < threads; count += !error) {
            visitors[count].gate = &gate;
            error = pthread_create(&visitors[count].thread, &attributes, visit, &visitors[count]);
        }
        pthread_mutex_unlock(&gate);
        pthread_attr_destroy(&attributes);
    }
    for (int i = 0; i < count; i++) pthread_join(visitors[i].thread, NULL);
    for (int i = 0; i < count; i++) wait_until_gone(&visitors[i]);
    free(visitors);
    return error;
}
#else
#include "system/probe.h"

int cconv_probe(int threads, size_t stack) { return (void)threads, (void)stack, 0; }
#endif
