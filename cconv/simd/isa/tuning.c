/* isa/tuning.c: what the kernels know of the processor: found at import, or named. */
#include "tuning.h"
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <x86intrin.h>
#endif

enum { KB = 1 << 10 };

/* generic: where no processor says what it has. */
static const cconv_tuning known[] = {
    {"generic", 1024 * KB, 32},
    {"haswell", 256 * KB, 32},
    {"zen2", 512 * KB, 32},
    {"zen4", 1024 * KB, 32},
    {"zen5", 1024 * KB, 64},
    {"skylake-avx512", 1024 * KB, 64},
    {"sapphirerapids", 2048 * KB, 64},
};

cconv_tuning cconv_tuned = {"generic", 1024 * KB, 32};

const char *cconv_tuning_known(int i) {
    return i < (int)(sizeof known / sizeof *known) ? known[i].name : NULL;
}

/* ---- what the answers say ---- */

/* The questions: about caches, one part each, and how many bits floating point is computed in at once. */
enum { PARTS = 8 };
static const uint32_t caches = 4, amd_caches = 0x8000001du, amd_widths = 0x8000001au;
enum { BITS_256 = 1 << 2, BITS_512 = 1 << 3 };
/* What is believed.  Some cores share a cache, and some hypervisors say what no machine has. */
static const ptrdiff_t least_cache = 256 * KB, most_cache = 2048 * KB;

/* The bytes of a second cache for data, if this answer is about it, or 0. */
static ptrdiff_t second_cache(const cconv_answer *s) {
    const uint32_t type = s->a & 31, level = s->a >> 5 & 7;
    if (level != 2 || (type != 1 && type != 3)) return 0;
    const uint32_t ways = (s->b >> 22) + 1, partitions = (s->b >> 12 & 1023) + 1, line = (s->b & 4095) + 1;
    const double bytes = (double)ways * partitions * line * (s->c + 1.0);
    return bytes < least_cache ? least_cache : bytes > most_cache ? most_cache : (ptrdiff_t)bytes;
}

cconv_tuning cconv_tuning_said(int count, const cconv_answer *answers) {
    cconv_tuning found = {"found", known[0].cache, 0};
    for (int i = 0; i < count; i++) {
        const cconv_answer *s = answers + i;
        if (s->leaf == caches || s->leaf == amd_caches) {
            const ptrdiff_t bytes = second_cache(s);
            if (bytes) found.cache = bytes;
        } else if (s->leaf == amd_widths) {
            found.multiplier = s->a & BITS_512 ? 64 : s->a & BITS_256 ? 32 : 0;
        }
    }
    return found;
}

/* ---- asking the processor ---- */

#if defined(__x86_64__)

static int ask(uint32_t leaf, uint32_t part, cconv_answer *to) {
    const uint32_t last = __get_cpuid_max(leaf & 0x80000000u, NULL);
    if (!last || leaf > last) return 0;
    *to = (cconv_answer){.leaf = leaf, .part = part};
    __cpuid_count(leaf, part, to->a, to->b, to->c, to->d);
    return 1;
}

int cconv_ask_processor(cconv_answer *answers) {
    int count = 0;
    for (uint32_t part = 0; part < PARTS; part++) count += ask(caches, part, answers + count);
    /* Other makers' processors have no such questions, or answer 0. */
    for (uint32_t part = 0; part < PARTS; part++) count += ask(amd_caches, part, answers + count);
    return count + ask(amd_widths, 0, answers + count);
}

/* ---- the race ----
 *
 * Intel's processors do not say whether they have one multiplier for 512 bits or two.  With two, as many
 * fused multiply-adds of 512 bits take as long as of 256 bits; with one, or in halves, twice as long. */

enum { ROUNDS = 100, REPEATS = 1000 };

#define RACE(name, features, vector, set, fma)                                              \
    __attribute__((target(features), noinline)) static uint64_t name(void) {                \
        vector s = set(0.5f), v[10];                                                        \
        for (int i = 0; i < 10; i++) v[i] = s;                                              \
        const uint64_t start = __rdtsc();                                                   \
        for (int round = 0; round < ROUNDS; round++) {                                      \
            v[0] = fma(v[0], s, s), v[1] = fma(v[1], s, s), v[2] = fma(v[2], s, s);         \
            v[3] = fma(v[3], s, s), v[4] = fma(v[4], s, s), v[5] = fma(v[5], s, s);         \
            v[6] = fma(v[6], s, s), v[7] = fma(v[7], s, s), v[8] = fma(v[8], s, s);         \
            v[9] = fma(v[9], s, s);                                                         \
            __asm__ volatile("" : "+v"(v[0]), "+v"(v[1]), "+v"(v[2]), "+v"(v[3]), "+v"(v[4]), \
                                  "+v"(v[5]), "+v"(v[6]), "+v"(v[7]), "+v"(v[8]), "+v"(v[9])); \
        }                                                                                   \
        return __rdtsc() - start;                                                           \
    }
RACE(whole, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
RACE(half, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
#undef RACE

/* The shortest of many: others may take the processor meanwhile, and it may have to wake its multipliers. */
int cconv_race_multipliers(void) {
    uint64_t least_whole = UINT64_MAX, least_half = UINT64_MAX;
    for (int i = 0; i < REPEATS; i++) {
        const uint64_t w = whole(), h = half();
        if (w < least_whole) least_whole = w;
        if (h < least_half) least_half = h;
    }
    return 2 * least_whole > 3 * least_half ? 32 : 64;
}

#else

int cconv_ask_processor(cconv_answer *answers) {
    (void)answers;
    return 0;
}

int cconv_race_multipliers(void) { return 32; }

#endif

/* ---- the choice ---- */

static cconv_tuning this_processor(int races) {
    cconv_answer answers[CCONV_ANSWERS];
    const int count = cconv_ask_processor(answers);
    if (!count) return known[0];
    cconv_tuning found = cconv_tuning_said(count, answers);
    if (!found.multiplier) found.multiplier = races ? cconv_race_multipliers() : known[0].multiplier;
    return found;
}

int cconv_tune(const char *name, int races) {
    if (!name) {
        cconv_tuned = this_processor(races);
        return 0;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(name, known[i].name)) {
            cconv_tuned = known[i];
            return 0;
        }
    }
    return -1;
}
