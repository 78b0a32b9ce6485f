/* isa/dispatch.c: which instruction sets this build has and this machine runs. */
#include "simd.h"
#include <string.h>

extern const cconv_table_f32 cconv_f32_generic;
extern const cconv_table_f64 cconv_f64_generic;
#if defined(__x86_64__)
extern const cconv_table_f32 cconv_f32_avx2, cconv_f32_avx512;
extern const cconv_table_f64 cconv_f64_avx2, cconv_f64_avx512;

#if defined(_WIN32)
/* clang-cl does not link the library that __builtin_cpu_supports reads: ask the processor itself, and
 * whether the system keeps the registers. */
#include <cpuid.h>
enum { FMA_BIT = 1 << 12, XSAVE_BIT = 1 << 27 };                             /* leaf 1, ecx */
enum { AVX2_BIT = 1 << 5, AVX512_BITS = 1 << 16 | 1 << 17 | 1 << 30 };       /* leaf 7, ebx: F, DQ, BW */
#define AVX512VL_BIT (1u << 31)
enum { AVX_STATE = 6, AVX512_STATE = 0xe6 };

static int processor_has(unsigned wanted, unsigned state) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & FMA_BIT) || !(c & XSAVE_BIT)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & state) != state || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (b & wanted) == wanted;
}

static int has_avx2(void) { return processor_has(AVX2_BIT, AVX_STATE); }

static int has_avx512(void) {
    return processor_has(AVX2_BIT | AVX512_BITS | AVX512VL_BIT, AVX512_STATE);
}
#define LOOK_AT_PROCESSOR() ((void)0)
#else
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#define LOOK_AT_PROCESSOR() __builtin_cpu_init()
#endif
#else
#define LOOK_AT_PROCESSOR() ((void)0)
#endif

static int always(void) { return 1; }

static const struct {
    cconv_isa isa;
    int (*runs)(void);
} known[] = { /* best first */
#if defined(__x86_64__)
    {{"avx512", &cconv_f32_avx512, &cconv_f64_avx512}, has_avx512},
    {{"avx2", &cconv_f32_avx2, &cconv_f64_avx2}, has_avx2},
#endif
    {{"generic", &cconv_f32_generic, &cconv_f64_generic}, always},
};

int cconv_choose(const char *name, cconv_isa *isa) {
    LOOK_AT_PROCESSOR();
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (name && strcmp(name, known[i].isa.name)) continue;
        if (known[i].runs()) {
            *isa = known[i].isa;
            return 0;
        }
        if (name) return -2;
    }
    return -1;
}

const char *cconv_known(int i) {
    return i < (int)(sizeof known / sizeof *known) ? known[i].isa.name : NULL;
}

const char *cconv_available(int i) {
    LOOK_AT_PROCESSOR();
    for (size_t j = 0; j < sizeof known / sizeof *known; j++)
        if (known[j].runs() && i-- == 0) return known[j].isa.name;
    return NULL;
}
