/* Sets the state of the arithmetic as careless libraries do, in one thread or in a team of OpenMP's. */
#define _GNU_SOURCE
#include <fenv.h>
#include "../../cconv/simd/system/control.h"

#if defined(__x86_64__)
enum { CONTROL = 0xffc0, INPUTS_ARE_ZERO = 1 << 6, RESULTS_ARE_ZERO = 1 << 15, MASKS = 0x1f80 };
#elif defined(__aarch64__)
#define CONTROL 0xffffffffu
enum { INPUTS_ARE_ZERO = 1 << 24, RESULTS_ARE_ZERO = 1 << 24, MASKS = 0 };
#endif

/* As in a fresh process; rounding up, down, towards zero; zeros for denormal numbers; no exception masked. */
enum { FRESH, UP, DOWN, TOWARDS_ZERO, NO_RESULTS, NO_INPUTS, NEITHER, TRAPS, STATES };

cconv_word control_word(void) { return cconv_word_read(); }

void set_control(int state) {
    static const int roundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    static const cconv_word zeros[] = {RESULTS_ARE_ZERO, INPUTS_ARE_ZERO, RESULTS_ARE_ZERO | INPUTS_ARE_ZERO};
    cconv_word_write(cconv_word_default(0));
    if (state <= TOWARDS_ZERO) fesetround(roundings[state]);
    else if (state < TRAPS) cconv_word_write(cconv_word_read() | zeros[state - NO_RESULTS]);
    else cconv_word_write(cconv_word_read() & ~(cconv_word)MASKS);
}

/* 1 if the thread has that state, whatever exceptions it has met. */
static int is_control(int state) {
    const cconv_word found = cconv_word_read();
    set_control(state);
    const cconv_word wanted = cconv_word_read();
    cconv_word_write(found);
    return (found & CONTROL) == (wanted & CONTROL);
}

void set_team(int threads, int state) {
    (void)threads;
    #pragma omp parallel num_threads(threads)
    set_control(state);
}

/* How many threads of a team have that state. */
int team_has(int threads, int state) {
    int count = 0;
    (void)threads;
    #pragma omp parallel num_threads(threads) reduction(+ : count)
    count += is_control(state);
    return count;
}

/* The arithmetic of careless users: they see what they have set. */
double third(void) {
    volatile double one = 1.0, three = 3.0;
    return one / three;
}
