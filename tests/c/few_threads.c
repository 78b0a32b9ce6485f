/* Preloaded, this refuses threads as a system does whose limit is reached. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* How many more threads may be made; below 0: any number. */
static int allowed = -1;

void allow_threads(int count) { __atomic_store_n(&allowed, count, __ATOMIC_SEQ_CST); }

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("ALLOW_THREADS");
    if (given) allow_threads(atoi(given));
}

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *given) {
    create *next = (create *)dlsym(RTLD_NEXT, "pthread_create");
    int left = __atomic_load_n(&allowed, __ATOMIC_SEQ_CST);
    while (left > 0)
        if (__atomic_compare_exchange_n(&allowed, &left, left - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) break;
    return left == 0 ? EAGAIN : next(thread, attributes, start, given);
}
