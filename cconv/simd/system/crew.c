/* system/crew.c: threads that help a caller with the loops of a parallel region.
 *
 * A region of OpenMP waits for every thread of its team, also for one that the system has not run yet.
 * Where other processes need the processors too, a kernel of 40 microseconds then takes as long as their
 * time slices.  Here the caller begins at once and takes every iteration that nobody has claimed.  It waits
 * only for helpers that are in the middle of an iteration.  Each member first takes the iterations of its
 * own part of a loop, from the front, so that it finds in its cache what it wrote in the kernel before;
 * then those left in the parts of others, from the back.  Which member computes an iteration changes no bit
 * of the result.
 *
 * Linux likes to wake a thread on the processor of the thread that wakes it.  On a virtual machine it does so
 * although others are idle, and leaves both there for longer than a network takes.  A helper therefore tells
 * the system to keep it off the processor of the last caller.
 *
 * A job describes a region.  The upper half of its `word` counts the helpers that may still join.  The
 * lower half counts those inside, and says (ASLEEP) whether the caller sleeps until they have left.
 * Helpers join by a compare-and-swap of the word, so they see all that the caller wrote before it opened
 * the job.  The caller does not close a job while a helper is inside.  No other lock protects a job. */
#define _GNU_SOURCE
#include "system/team.h"

#if CCONV_HAS_CREW
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_JOBS = 64,  /* regions at the same time; a further region runs on its caller alone */
    MOST_LOOPS = 4,  /* in a region */
    MOST_SLEEPERS = 128, /* helpers that callers look after; more look after themselves */
    LINE = 64,       /* bytes of a cache line */
    PLACE = 1 << 16, /* in a job's word: one helper that may join */
    ASLEEP = 1 << 15,
    INSIDE = ASLEEP - 1,
    SPINS = 1000,    /* looks of a thread that waits for others, before it sleeps or yields */
    TIMED = 1000,    /* looks that are timed */
    SHORT = 100,     /* short looks after others have needed the processor */
    STACK = 1 << 21  /* bytes of a helper's stack */
};

/* Iterations of a member's part that nobody has claimed: low half the first one, high half one past the
 * last. */
typedef struct {
    _Alignas(LINE) _Atomic uint64_t left;
} part;

enum { NOBODY_CAME, IS_BEING_CUT, IS_CUT };

typedef struct {
    _Alignas(LINE) atomic_int state;
    atomic_long done; /* iterations, added up by members that found no more */
    long count;
    part *parts; /* (threads) */
} loop;

struct cconv_job {
    _Alignas(LINE) atomic_uint word;
    atomic_int taken; /* whether a caller uses it */
    int threads, room; /* room: the number of threads for which there are parts */
    cconv_enter *enter;
    void (*body)(void *);
    void *data;
    loop loops[MOST_LOOPS];
};

/* Seconds for which others put a thread off, if they need its processor; the system itself takes less. */
#define PUT_OFF 5e-4

static cconv_job jobs[MOST_JOBS];
static atomic_int used_jobs; /* jobs from this one on have never been taken */
/* opened: counts the regions; helpers sleep on it.  asleep: helpers that sleep.  idle: helpers outside of
 * regions.  helpers: all.  making: whether a thread is making helpers.  caller, caller_on: the thread
 * that opened the last region, and its processor.  spins: looks of who waits for others in a region.
 * looks: of a helper outside of regions. */
static struct {
    _Alignas(LINE) atomic_uint opened;
    atomic_int asleep, idle, helpers, making, caller, caller_on;
    int spins, looks, processors;
} crew;

/* Helpers as callers see them: their numbers, 0 where there is none, and where they went to sleep. */
typedef struct {
    atomic_int number, processor;
} sleeper;

static sleeper sleepers[MOST_SLEEPERS];

static inline void rest(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void sleep_while(atomic_uint *word, unsigned value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(atomic_uint *word, int threads) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static _Thread_local int number; /* of this thread; 0 until it is asked for, which takes a system call */

static int thread_number(void) {
    if (!number) number = (int)syscall(SYS_gettid);
    return number;
}

/* ---- loops ---------------------------------------------------------------------------------- */

static inline uint64_t part_of(uint64_t first, uint64_t stop) { return stop << 32 | first; }

static int claim(part *p, int at_front, long *found) {
    uint64_t left = atomic_load_explicit(&p->left, memory_order_relaxed), first, stop;
    do {
        first = left & UINT32_MAX, stop = left >> 32;
        if (first >= stop) return 0;
    } while (!atomic_compare_exchange_weak_explicit(
        &p->left, &left, at_front ? part_of(first + 1, stop) : part_of(first, stop - 1),
        memory_order_relaxed, memory_order_relaxed));
    *found = (long)(at_front ? first : stop - 1);
    return 1;
}

static int next(cconv_member *m, long *from) {
    loop *l = &m->job->loops[m->loop - 1];
    long found = 0;
    int claimed = claim(&l->parts[m->id], 1, &found);
    for (int other = 1; !claimed && other < m->threads; other++)
        claimed = claim(&l->parts[(m->id + other) % m->threads], 0, &found);
    if (!claimed) {
        atomic_fetch_add_explicit(&l->done, m->done, memory_order_acq_rel);
        m->done = 0;
        return 0;
    }
    m->done++;
    *from = m->first + found * m->step;
    return 1;
}

static void wait_for(loop *l) {
    for (int turn = 0; atomic_load_explicit(&l->done, memory_order_acquire) < l->count; turn++) {
        if (turn < crew.spins) rest();
        else (void)syscall(SYS_sched_yield);
    }
}

static void cut(loop *l, long count, int threads) {
    l->count = count;
    for (int i = 0; i < threads; i++) {
        const uint64_t first = (uint64_t)count * (uint64_t)i / (uint64_t)threads;
        const uint64_t stop = (uint64_t)count * (uint64_t)(i + 1) / (uint64_t)threads;
        atomic_store_explicit(&l->parts[i].left, part_of(first, stop), memory_order_relaxed);
    }
    atomic_store_explicit(&l->done, 0, memory_order_relaxed);
}

static int start(cconv_member *m, long first, long stop, long step, long *from) {
    const long count = step > 0 ? (stop - first + step - 1) / step : (first - stop - step - 1) / -step;
    /* No kernel has more loops in a region, or more tasks in a loop. */
    if (m->loop == MOST_LOOPS || count > INT_MAX) abort();
    loop *l = &m->job->loops[m->loop];
    if (m->loop > 0) wait_for(l - 1);
    m->loop++;
    m->first = first, m->step = step, m->done = 0;
    int state = NOBODY_CAME;
    if (atomic_compare_exchange_strong(&l->state, &state, IS_BEING_CUT)) {
        cut(l, count > 0 ? count : 0, m->threads);
        atomic_store_explicit(&l->state, IS_CUT, memory_order_release);
    } else
        while (atomic_load_explicit(&l->state, memory_order_acquire) != IS_CUT) rest();
    return next(m, from);
}

/* ---- helpers -------------------------------------------------------------------------------- */

static int help(cconv_job *job) {
    unsigned word = atomic_load_explicit(&job->word, memory_order_relaxed);
    do {
        if (word < PLACE) return 0;
    } while (!atomic_compare_exchange_weak_explicit(
        &job->word, &word, word - PLACE + 1, memory_order_acq_rel, memory_order_relaxed));
    atomic_fetch_sub_explicit(&crew.idle, 1, memory_order_relaxed);
    cconv_member member = {.job = job, .threads = job->threads};
    member.id = job->threads - (int)(word / PLACE);
    job->enter(&member, job->body, job->data);
    atomic_fetch_add_explicit(&crew.idle, 1, memory_order_relaxed);
    /* From here on another caller may own the job.  To wake its sleeper without need does no harm. */
    word = atomic_fetch_sub_explicit(&job->word, 1, memory_order_acq_rel);
    if ((word & INSIDE) == 1 && word & ASLEEP) wake(&job->word, 1);
    return 1;
}

static int help_somebody(void) {
    const int used = atomic_load_explicit(&used_jobs, memory_order_acquire);
    for (int i = 0; i < used; i++)
        if (help(&jobs[i])) return 1;
    return 0;
}

/* Lets a thread, 0: this one, run wherever the caller of the last region may, except where that is; there too
 * if it may nowhere else. */
static void keep_apart(int thread) {
    cpu_set_t now, wanted;
    const int caller = atomic_load_explicit(&crew.caller, memory_order_relaxed);
    const int processor = atomic_load_explicit(&crew.caller_on, memory_order_relaxed);
    if (processor < 0 || processor >= CPU_SETSIZE || sched_getaffinity(caller, sizeof wanted, &wanted)) return;
    if (CPU_COUNT(&wanted) > 1) CPU_CLR((size_t)processor, &wanted);
    if (sched_getaffinity(thread, sizeof now, &now) || CPU_EQUAL(&now, &wanted)) return;
    (void)sched_setaffinity(thread, sizeof wanted, &wanted);
}

/* A caller that has moved looks for helpers that sleep where it is now. */
static void keep_sleepers_apart(int processor) {
    const int helpers = atomic_load(&crew.helpers);
    for (int i = 0; i < helpers && i < MOST_SLEEPERS; i++)
        if (atomic_load_explicit(&sleepers[i].number, memory_order_relaxed)
            && atomic_load_explicit(&sleepers[i].processor, memory_order_relaxed) == processor)
            keep_apart(atomic_load_explicit(&sleepers[i].number, memory_order_relaxed));
}

/* Whether a region is opened while a thread looks so many times. */
static int seen(unsigned opened, int looks) {
    for (int turn = 0; turn < looks; turn++) {
        if (atomic_load_explicit(&crew.opened, memory_order_relaxed) != opened) return 1;
        rest();
    }
    return 0;
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What a helper knows about others who need its processor. */
typedef struct {
    double waited; /* seconds that it did not run so far, asleep or put off */
    int careful;   /* short looks to come */
} neighbours;

static double waited(void) { return seconds(CLOCK_MONOTONIC) - seconds(CLOCK_THREAD_CPUTIME_ID); }

/* Looks for work: long, but where others need the processor.  The system counts the time of looking as if it
 * were used, and gives the processor to the others when there is work. */
static int look(unsigned opened, neighbours *of) {
    if (seen(opened, crew.spins)) return 1;
    if (crew.looks <= crew.spins) return 0;
    const double now = waited();
    if (now > of->waited + PUT_OFF) of->careful = SHORT;
    else if (of->careful) of->careful--;
    of->waited = now;
    return of->careful ? 0 : seen(opened, crew.looks - crew.spins);
}

static void *helper(void *place) {
    sleeper *own = place;
    neighbours of = {waited(), 0};
    if (own) atomic_store(&own->number, thread_number());
    for (;;) {
        const unsigned opened = atomic_load(&crew.opened);
        if (help_somebody()) continue;
        if (look(opened, &of)) continue;
        /* A caller counts the job it opens, then looks who sleeps.  A helper does it the other way round. */
        keep_apart(0);
        if (own) atomic_store_explicit(&own->processor, sched_getcpu(), memory_order_relaxed);
        atomic_fetch_add(&crew.asleep, 1);
        sleep_while(&crew.opened, opened);
        atomic_fetch_sub(&crew.asleep, 1);
        of.waited = waited();
        if (sched_getcpu() == atomic_load_explicit(&crew.caller_on, memory_order_relaxed)) keep_apart(0);
    }
    return NULL;
}

/* Makes up to `count` more helpers.  Where the system gives none, the caller does their work. */
static void make_helpers(int count) {
    pthread_attr_t attributes;
    if (atomic_exchange(&crew.making, 1)) return; /* another thread makes them */
    if (!pthread_attr_init(&attributes)) {
        sigset_t all, before;
        pthread_t thread;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the user's threads */
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, STACK);
        for (int made = atomic_load(&crew.helpers); count > 0; count--, made++) {
            if (pthread_create(&thread, &attributes, helper, made < MOST_SLEEPERS ? &sleepers[made] : NULL)) break;
            atomic_fetch_add(&crew.helpers, 1);
            atomic_fetch_add(&crew.idle, 1);
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
    }
    atomic_store(&crew.making, 0);
}

static void call_helpers(int wanted) {
    const int processor = sched_getcpu();
    atomic_store_explicit(&crew.caller, thread_number(), memory_order_relaxed);
    if (atomic_load_explicit(&crew.caller_on, memory_order_relaxed) != processor) {
        atomic_store_explicit(&crew.caller_on, processor, memory_order_relaxed);
        keep_sleepers_apart(processor);
    }
    atomic_fetch_add(&crew.opened, 1);
    const int asleep = atomic_load(&crew.asleep), idle = atomic_load(&crew.idle);
    if (asleep > 0) wake(&crew.opened, wanted < asleep ? wanted : asleep);
    if (idle < wanted) {
        const int most = (crew.processors > wanted ? crew.processors - 1 : wanted) - atomic_load(&crew.helpers);
        if (most > 0) make_helpers(wanted - idle < most ? wanted - idle : most);
    }
}

/* ---- callers -------------------------------------------------------------------------------- */

/* Makes parts for each loop, for `threads` threads.  Nobody else looks at the parts of a job that is not
 * open. */
static int make_room(cconv_job *job, int threads) {
    if (job->room >= threads) return 1;
    part *parts = aligned_alloc(LINE, sizeof(part) * MOST_LOOPS * (size_t)threads);
    if (!parts) return 0;
    free(job->loops[0].parts);
    for (int i = 0; i < MOST_LOOPS; i++) job->loops[i].parts = parts + (size_t)i * (size_t)threads;
    job->room = threads;
    return 1;
}

static cconv_job *free_job(int threads) {
    for (int i = 0; i < MOST_JOBS; i++) {
        cconv_job *job = &jobs[i];
        if (atomic_load_explicit(&job->taken, memory_order_relaxed) || atomic_exchange(&job->taken, 1)) continue;
        if (!make_room(job, threads)) {
            atomic_store(&job->taken, 0);
            return NULL;
        }
        int used = atomic_load(&used_jobs);
        while (used <= i && !atomic_compare_exchange_weak(&used_jobs, &used, i + 1)) continue;
        return job;
    }
    return NULL;
}

static void close_job(cconv_job *job, int loops) {
    unsigned word = atomic_fetch_and(&job->word, PLACE - 1u) & (PLACE - 1u);
    for (int turn = 0; turn < crew.spins && word & INSIDE; turn++) {
        rest();
        word = atomic_load_explicit(&job->word, memory_order_acquire);
    }
    while (word & INSIDE) {
        word = atomic_fetch_or(&job->word, ASLEEP) | ASLEEP;
        if (word & INSIDE) sleep_while(&job->word, word);
        word = atomic_load_explicit(&job->word, memory_order_acquire);
    }
    atomic_store_explicit(&job->word, 0, memory_order_relaxed);
    for (int i = 0; i < loops; i++)
        atomic_store_explicit(&job->loops[i].state, NOBODY_CAME, memory_order_relaxed);
    atomic_store_explicit(&job->taken, 0, memory_order_release);
}

static void region(cconv_enter *enter, void (*body)(void *), void *data, int threads) {
    cconv_job *job = free_job(threads);
    cconv_member caller = {.job = job, .threads = job ? threads : 1};
    if (job) {
        job->threads = threads, job->enter = enter, job->body = body, job->data = data;
        atomic_store_explicit(&job->word, (unsigned)(threads - 1) * PLACE, memory_order_release);
        call_helpers(threads - 1);
    }
    enter(&caller, body, data);
    if (job) close_job(job, caller.loop);
}

/* ---- the crew ------------------------------------------------------------------------------- */

/* A fork has neither the helpers nor the threads that were in a region. */
static void begin_anew(void) {
    for (int i = 0; i < MOST_JOBS; i++) {
        atomic_store(&jobs[i].word, 0);
        atomic_store(&jobs[i].taken, 0);
        for (int j = 0; j < MOST_LOOPS; j++) atomic_store(&jobs[i].loops[j].state, NOBODY_CAME);
    }
    atomic_store(&crew.asleep, 0);
    atomic_store(&crew.idle, 0);
    atomic_store(&crew.helpers, 0);
    atomic_store(&crew.making, 0);
    for (int i = 0; i < MOST_SLEEPERS; i++) atomic_store(&sleepers[i].number, 0);
    number = 0;
}

/* How many times a thread looks for work before it sleeps; the variables mean what they mean to libgomp. */
static int spins_wanted(void) {
    const char *count = getenv("GOMP_SPINCOUNT"), *policy = getenv("OMP_WAIT_POLICY");
    if (count && *count) {
        const long given = strtol(count, NULL, 10);
        return given < 0 ? 0 : given > INT_MAX ? INT_MAX : (int)given;
    }
    return policy && !strcasecmp(policy, "passive") ? 0 : policy && !strcasecmp(policy, "active") ? 1 << 20 : SPINS;
}

/* Processors rest for 1 to 50 nanoseconds, and longer if this thread is interrupted. */
void cconv_look(long microseconds) {
    double least = 1;
    for (int trial = 0; trial < 3; trial++) {
        const double begin = seconds(CLOCK_MONOTONIC);
        for (int turn = 0; turn < TIMED; turn++) {
            (void)atomic_load_explicit(&crew.opened, memory_order_relaxed);
            rest();
        }
        const double took = seconds(CLOCK_MONOTONIC) - begin;
        if (took < least) least = took;
    }
    const double wanted = 1e-6 * (double)microseconds * TIMED / (least > 1e-7 ? least : 1e-7);
    crew.looks = wanted < INT_MAX ? (int)wanted : INT_MAX;
}

const cconv_crew *cconv_crew_of_process(void) {
    static const cconv_crew functions = {region, start, next};
    static const char *const placed[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"};
    for (size_t i = 0; i < sizeof placed / sizeof *placed; i++)
        if (getenv(placed[i])) return NULL;
    crew.looks = crew.spins = spins_wanted();
    crew.processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    pthread_atfork(NULL, NULL, begin_anew);
    return &functions;
}
#endif
