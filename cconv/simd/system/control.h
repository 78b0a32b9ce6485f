/* system/control.h: the processor's control word, which decides how every sum rounds.
 *
 * Other libraries change it, and not all put it back: a rounding mode, zeros in place of denormal numbers
 * (libraries linked with GCC's old -ffast-math), exceptions that end the process.  A new thread inherits
 * the word of the thread that made it.  So wherever a thread begins to compute, it sets the word to that of a
 * fresh process, and at the end it puts the old word back.  setup.py writes CCONV_CONTROL into the C that
 * Cython makes, at all these places. */
#ifndef CCONV_CONTROL_H
#define CCONV_CONTROL_H

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
/* MXCSR: bits 0-5 tell which exceptions have occurred, 6 and 15 replace denormal inputs and results by zeros,
 * 7-12 mask the exceptions, 13-14 are the rounding mode. */
typedef uint32_t cconv_word;
static inline cconv_word cconv_word_read(void) { return _mm_getcsr(); }
static inline void cconv_word_write(cconv_word word) { _mm_setcsr(word); }
static inline cconv_word cconv_word_default(cconv_word word) { return (word & ~0xffc0u) | 0x1f80u; }

#elif defined(__aarch64__)
/* Low half: FPCR, 0 in a fresh process.  High half: FPSR, the exceptions that have occurred. */
typedef uint64_t cconv_word;
static inline cconv_word cconv_word_read(void) {
    uint64_t control, status;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(status) : : "memory");
    return status << 32 | (uint32_t)control;
}
static inline void cconv_word_write(cconv_word word) {
    const uint64_t control = (uint32_t)word, status = word >> 32;
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(control), "r"(status) : "memory");
}
static inline cconv_word cconv_word_default(cconv_word word) { return word >> 32 << 32; }

#else
/* All that the C standard knows: the rounding mode. */
#include <fenv.h>
typedef int cconv_word;
static inline cconv_word cconv_word_read(void) { return fegetround(); }
static inline void cconv_word_write(cconv_word word) { fesetround(word); }
static inline cconv_word cconv_word_default(cconv_word word) { return (void)word, FE_TONEAREST; }
#endif

/* Never inlined: the compiler does not know that arithmetic depends on the word, and would move it across. */
__attribute__((noinline, unused)) static cconv_word cconv_control_enter(void) {
    const cconv_word before = cconv_word_read(), wanted = cconv_word_default(before);
    if (before != wanted) cconv_word_write(wanted);
    return before;
}

__attribute__((noinline, unused)) static void cconv_control_leave(const cconv_word *before) {
    if (*before != cconv_word_default(*before)) cconv_word_write(*before);
}

/* Stands at the beginning of a block.  However the block ends, the word is put back. */
#define CCONV_CONTROL \
    const cconv_word cconv_before __attribute__((cleanup(cconv_control_leave), unused)) = cconv_control_enter();
#endif
