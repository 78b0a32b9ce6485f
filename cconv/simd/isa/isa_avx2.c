/* isa/isa_avx2.c: 32-byte vectors with fused multiply-add. */
#include "simd.h"
#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define ISA_AVX2
#define ISA(name) name##_avx2
#include "isa/template.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
