/* isa/tuning.h: what the kernels know of the processor.
 *
 * Only what changes no bit may depend on it: how much lies in the cache at a time, how columns become tiles.
 * Never where a sum begins or ends, and never an algorithm. */
#ifndef CCONV_TUNING_H
#define CCONV_TUNING_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;
    ptrdiff_t cache; /* bytes of a core's second cache */
    int multiplier;  /* bytes of a vector that a multiplier takes at once: half of AVX-512's, or all */
} cconv_tuning;

/* The one in use; chosen at import, before any kernel runs. */
extern cconv_tuning cconv_tuned;

/* What the processor answers to one question of the instruction CPUID. */
typedef struct {
    uint32_t leaf, part;  /* the question */
    uint32_t a, b, c, d;  /* the answer */
} cconv_answer;

/* The tuning that these answers give; multiplier is 0 if they do not say it. */
cconv_tuning cconv_tuning_said(int count, const cconv_answer *answers);

/* Asks this processor; returns the number of answers, at most CCONV_ANSWERS, 0 where there is no CPUID. */
enum { CCONV_ANSWERS = 17 };
int cconv_ask_processor(cconv_answer *answers);

/* How wide the multipliers are, by a race of 1 ms; only where AVX-512 runs. */
int cconv_race_multipliers(void);

/* Sets cconv_tuned to the tuning called name, or to this processor's if name is NULL.  races: whether it may
 * be found by a race.  Returns 0, or -1: no such name. */
int cconv_tune(const char *name, int races);

/* Name of the i-th tuning that can be asked for; NULL past the last. */
const char *cconv_tuning_known(int i);

#endif
