/* isa/isa_avx512.c: 64-byte vectors with masks. */
#include "simd.h"
#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
#define ISA_AVX512
#define HALF_TILES
#define ISA(name) name##_avx512
#include "isa/template.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif

