/* isa/dispatch.c: which instruction sets this build has and this machine runs. */
#include "simd.h"
#include <string.h>

extern const cconv_table_f32 cconv_f32_generic;
extern const cconv_table_f64 cconv_f64_generic;
#if defined(__x86_64__)
extern const cconv_table_f32 cconv_f32_avx2, cconv_f32_avx512;
extern const cconv_table_f64 cconv_f64_avx2, cconv_f64_avx512;

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
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
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
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
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    for (size_t j = 0; j < sizeof known / sizeof *known; j++)
        if (known[j].runs() && i-- == 0) return known[j].isa.name;
    return NULL;
}
